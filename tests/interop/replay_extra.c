/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What our core sent and the capture's host did not. Each kind that is allowed is here,
 * with its reason; anything else is a difference.
 */
#include "replay.h"

#include <string.h>

#define TICK_NS    MS
#define CONTENT_NS (10 * MS) /* a server asks for an ACK every millisecond until it has it */

static uint8_t type_of(const struct output *output)
{
	return output->packet.header.common.type;
}

static uint8_t cause_type(const struct play *play, const struct output *output)
{
	return output->cause >= 0 ? frame_type(&play->capture->frames[output->cause]) : 0;
}

/* ---- DATA ---- */

/* True if the host sent the bytes in a packet of another kind: a retransmission. */
static bool in_capture(const struct play *play, const struct output *output)
{
	const struct message *m = message_out(play, output->rpc);
	uint32_t offset = homa_data_offset(&output->packet.header.data);

	for (uint32_t i = offset; i < offset + output->packet.payload_length; i++)
		if (i >= m->length || !m->have[i])
			return false;
	return true;
}

/* True if the peer demonstrably had all of the message that the host sent. */
static bool peer_had_it(const struct play *play, int index)
{
	const struct rpc *rpc = &play->capture->rpcs[index];

	return plays_client(play, index) ? rpc->message[RESPONSE].length > 0 : rpc->answered >= 0;
}

static void judge_data(const struct play *play, const struct output *output, struct verdict *verdict)
{
	const struct part *part = &play->parts[output->rpc];

	if (!output->same_payload)
		verdict_set(verdict, DIFFERENT, "its bytes are not the message's");
	else if (output->packet.header.data.retransmit && part->resends_fed + part->unknowns_fed)
		verdict_set(verdict, FREE,
			    "asked for by a RESEND or RPC_UNKNOWN that the host left unanswered");
	else if (output->packet.header.data.retransmit)
		verdict_set(verdict, DIFFERENT, "nobody asked for it");
	else if (in_capture(play, output))
		verdict_set(verdict, FREE, "the host's was lost before the capture point, and sent again");
	else if (!peer_had_it(play, output->rpc))
		verdict_set(verdict, FREE, "the host's was lost, or came after the end of the capture");
	else
		verdict_set(verdict, DIFFERENT,
			    "the peer had the whole message, but the capture lacks these bytes");
}

/* ---- the others ---- */

static void judge_grant(const struct play *play, const struct output *output, struct verdict *verdict)
{
	const struct message *m = message_in(play, output->rpc);
	uint32_t offset = wire32(output->packet.header.grant.offset);

	if (offset > m->length || offset <= m->unscheduled)
		verdict_set(verdict, DIFFERENT, "outside of what can be granted: %u..%u", m->unscheduled,
			    m->length);
	else
		verdict_set(verdict, FREE, "how grants are batched is free");
}

static void judge_resend(const struct play *play, const struct output *output, struct verdict *verdict)
{
	if (!output->wanted)
		verdict_set(verdict, DIFFERENT, "all of that had arrived");
	else if (cause_type(play, output) == HOMA_NEED_ACK)
		verdict_set(verdict, FREE, "the answer to a NEED_ACK for a message that is incomplete");
	else if (output->silence_ns >= (play->params.resend_ticks - 1) * TICK_NS)
		verdict_set(verdict, FREE, "after %.1f ms of silence; the host's clock ran slower",
			    (double)output->silence_ns / 1e6);
	else
		verdict_set(verdict, DIFFERENT, "after %.1f ms of silence only",
			    (double)output->silence_ns / 1e6);
}

static void judge_need_ack(const struct play *play, const struct output *output, struct verdict *verdict)
{
	const struct part *part = &play->parts[output->rpc];

	if (part->sent_ns &&
	    output->time_ns >= part->sent_ns + (play->params.request_ack_ticks - 1) * TICK_NS)
		verdict_set(verdict, FREE, "the response was not acknowledged; the host's clock ran slower");
	else
		verdict_set(verdict, DIFFERENT, "too early");
}

static void judge_ack(const struct play *play, const struct output *output, struct verdict *verdict)
{
	if (cause_type(play, output) == HOMA_NEED_ACK)
		verdict_set(verdict, FREE, "the answer to a NEED_ACK");
	else if (wire16(output->packet.header.ack.count) == HOMA_ACKS_PER_PACKET)
		verdict_set(verdict, FREE, "no more could be saved up");
	else
		verdict_set(verdict, DIFFERENT, "nobody asked for it");
}

static void judge_answer(const struct play *play, const struct output *output, struct verdict *verdict)
{
	if (cause_type(play, output) == HOMA_RESEND)
		verdict_set(verdict, FREE, "the answer to a RESEND");
	else
		verdict_set(verdict, DIFFERENT, "nobody asked for it");
}

static void judge_cutoffs(const struct play *play, const struct output *output, struct verdict *verdict)
{
	const struct frame *cause = output->cause >= 0 ? &play->capture->frames[output->cause] : NULL;

	if (cause && frame_type(cause) == HOMA_DATA &&
	    frame_data(cause)->cutoff_version != output->packet.header.cutoffs.version)
		verdict_set(verdict, FREE, "the peer used others; when it is told again is a matter of time");
	else
		verdict_set(verdict, DIFFERENT, "the peer knew them");
}

/* The reference refuses control packets, and not more often than the kernel's limit on ICMP allows. */
static void judge_unreachable(const struct play *play, const struct output *output, struct verdict *verdict)
{
	const struct frame *cause = &play->capture->frames[output->cause];
	uint16_t port = wire16(frame_header(cause)->dport);

	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame->kind == FRAME_HOMA && frame->number > cause->number &&
		    net_ip_equal(&frame->source, &play->host->ip) &&
		    wire16(frame_header(frame)->sport) == port) {
			verdict_set(verdict, DIFFERENT, "the host's port was open");
			return;
		}
	}
	verdict_set(verdict, FREE, "the host limits its ICMP, and sends none for DATA");
}

static void judge(const struct play *play, const struct output *output, struct verdict *verdict)
{
	static void (*const by_type[])(const struct play *, const struct output *, struct verdict *) = {
	    [HOMA_DATA - HOMA_TYPE_FIRST] = judge_data,
	    [HOMA_GRANT - HOMA_TYPE_FIRST] = judge_grant,
	    [HOMA_RESEND - HOMA_TYPE_FIRST] = judge_resend,
	    [HOMA_RPC_UNKNOWN - HOMA_TYPE_FIRST] = judge_answer,
	    [HOMA_BUSY - HOMA_TYPE_FIRST] = judge_answer,
	    [HOMA_CUTOFFS - HOMA_TYPE_FIRST] = judge_cutoffs,
	    [HOMA_NEED_ACK - HOMA_TYPE_FIRST] = judge_need_ack,
	    [HOMA_ACK - HOMA_TYPE_FIRST] = judge_ack,
	};

	if (output->rpc < 0)
		verdict_set(verdict, DIFFERENT, "of no RPC in the capture");
	else if (output->unreachable)
		judge_unreachable(play, output, verdict);
	else if (type_of(output) == HOMA_FREEZE)
		verdict_set(verdict, DIFFERENT, "we never do that");
	else
		by_type[type_of(output) - HOMA_TYPE_FIRST](play, output, verdict);
}

/* What the peer had must have been sent, so that the capture has it. */
static void check_whole(const struct play *play, enum sides sides, struct report *report)
{
	for (int i = 0; i < play->capture->rpc_count; i++) {
		const struct rpc *rpc = &play->capture->rpcs[i];
		const struct message *m = message_out(play, i);
		struct verdict verdict;
		char subject[64];

		if (rpc->cut || !plays(play, i) || !side_wanted(play, i, sides) || !peer_had_it(play, i) ||
		    m->had == m->length)
			continue;
		snprintf(subject, sizeof(subject), "RPC %llu", (unsigned long long)rpc->id);
		verdict_set(&verdict, DIFFERENT,
			    "the peer had the whole message, but the capture lacks %u bytes of it",
			    m->length - m->had);
		report_line(report, &verdict, subject);
	}
}

void match_extras(struct play *play, enum sides sides, struct report *report)
{
	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];
		struct verdict verdict;
		char subject[160];

		if (output->frame >= 0 || (output->rpc >= 0 && !side_wanted(play, output->rpc, sides)))
			continue;
		judge(play, output, &verdict);
		output_text(play, output, subject, sizeof(subject));
		if (verdict.outcome == FREE)
			report->extra++;
		report_line(report, &verdict, subject);
		report->free -= verdict.outcome == FREE; /* counts the capture's frames only */
	}
	check_whole(play, sides, report);
}

/* ---- acknowledged ids ---- */

static void mark(const struct play *play, bool *acked, const struct net_ip *client,
		 const struct net_ip *server, uint64_t id)
{
	int rpc = id ? rpc_find(play->capture, client, server, id & ~1ull) : -1;

	if (rpc >= 0)
		acked[rpc] = true;
}

/* Our core's ids, as the capture knows the RPCs. */
static void mark_ours(const struct play *play, bool *acked, uint64_t id)
{
	for (int i = 0; id && i < play->capture->rpc_count; i++)
		if (play->parts[i].our_id == id)
			acked[i] = true;
}

static void collect_theirs(const struct play *play, bool *acked)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];
		const struct homa_ack_header *ack = (const void *)frame->data;
		const struct net_ip *from = &frame->source, *to = &frame->destination;

		if (!net_ip_equal(from, &play->host->ip))
			continue;
		if (frame_type(frame) == HOMA_DATA)
			mark(play, acked, from, to, wire64(frame_data(frame)->ack.client_id));
		if (frame_type(frame) != HOMA_ACK)
			continue;
		mark(play, acked, from, to, wire64(ack->common.sender_id));
		for (uint32_t n = 0; n < wire16(ack->count) && n < HOMA_ACKS_PER_PACKET; n++)
			mark(play, acked, from, to, wire64(ack->acks[n].client_id));
	}
}

static void collect_ours(const struct play *play, bool *acked)
{
	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];
		const struct homa_ack_header *ack = &output->packet.header.ack;

		if (output->unreachable)
			continue;
		if (type_of(output) == HOMA_DATA)
			mark_ours(play, acked, wire64(output->packet.header.data.ack.client_id));
		if (type_of(output) != HOMA_ACK)
			continue;
		if (output->rpc >= 0)
			acked[output->rpc] = true;
		for (uint32_t n = 0; n < wire16(ack->count) && n < HOMA_ACKS_PER_PACKET; n++)
			mark_ours(play, acked, wire64(ack->acks[n].client_id));
	}
}

/* True if the server had asked, and then was content. */
static bool asked_and_content(const struct play *play, int index)
{
	const struct capture *capture = play->capture;
	uint64_t last_ns = UINT64_MAX - CONTENT_NS;

	for (int i = 0; i < capture->frame_count; i++)
		if (frame_type(&capture->frames[i]) == HOMA_NEED_ACK && capture->frames[i].rpc == index)
			last_ns = capture->frames[i].time_ns;
	return capture->frames[capture->frame_count - 1].time_ns > last_ns + CONTENT_NS;
}

/* True if our core, after the end of the RPC, sent its server something that could have carried
 * the ack: then it has none saved up. */
static bool let_pass(const struct play *play, int index)
{
	const struct part *part = &play->parts[index];

	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];

		if (output->unreachable || output->time_ns <= part->ended_ns ||
		    !net_ip_equal(&output->to, &play->capture->rpcs[index].server))
			continue;
		if (type_of(output) == HOMA_ACK ||
		    (type_of(output) == HOMA_DATA && !output->packet.header.data.ack.client_id))
			return true;
	}
	return false;
}

static const char *judge_acked(const struct play *play, int index, bool theirs, bool ours)
{
	const struct message *response = message_in(play, index);
	const struct part *part = &play->parts[index];

	if (ours && part->issued && !part->error && part->fed_bytes < response->length)
		return "acknowledged by us, but the response is incomplete";
	if (theirs && !play->capture->rpcs[index].cut && !response->length)
		return "acknowledged by the host without a response";
	if (ours && !theirs && asked_and_content(play, index))
		return "acknowledged by us; not by the host, yet the server stopped asking";
	if (theirs && !ours && !play->capture->rpcs[index].cut && (!part->ended || let_pass(play, index)))
		return "acknowledged by the host, not by us";
	return NULL;
}

/*
 * When an ack goes is free, as is its company: one that the host has sent we may still
 * have saved up.
 */
void match_acks(struct play *play, enum sides sides, struct report *report)
{
	size_t size = (size_t)play->capture->rpc_count * sizeof(bool);
	bool *theirs = memset(replay_realloc(NULL, size), 0, size);
	bool *ours = memset(replay_realloc(NULL, size), 0, size);

	collect_theirs(play, theirs);
	collect_ours(play, ours);
	for (int i = 0; i < play->capture->rpc_count; i++) {
		struct verdict verdict;
		const char *what;
		char subject[64];

		if (!plays(play, i) || !plays_client(play, i) || !side_wanted(play, i, sides))
			continue;
		what = judge_acked(play, i, theirs[i], ours[i]);
		if (!what)
			continue;
		snprintf(subject, sizeof(subject), "RPC %llu", (unsigned long long)play->capture->rpcs[i].id);
		verdict_set(&verdict, DIFFERENT, "%s", what);
		report_line(report, &verdict, subject);
	}
	free(theirs);
	free(ours);
}
