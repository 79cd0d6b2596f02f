/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame by frame: did our core send this too? Timing, ids and ports are free, and so is
 * how grants and acks are batched; each further freedom is one FREE verdict below, with
 * its reason.
 */
#include "replay.h"

#include <stdarg.h>
#include <string.h>

#define TICK_NS MS

void verdict_set(struct verdict *verdict, enum outcome outcome, const char *format, ...)
{
	va_list arguments;

	verdict->outcome = outcome;
	va_start(arguments, format);
	vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
	va_end(arguments);
}

struct output *match_find(struct play *play, int rpc, uint8_t type, bool unmatched)
{
	for (int i = 0; i < play->output_count; i++) {
		struct output *output = &play->outputs[i];

		if (output->rpc == rpc && !output->unreachable && output->packet.header.common.type == type &&
		    (!unmatched || output->frame < 0))
			return output;
	}
	return NULL;
}

static double output_ms(const struct play *play, const struct output *output)
{
	return ((double)output->time_ns - (double)play->capture->frames[0].time_ns) / 1e6;
}

void match_same(const struct play *play, const struct frame *frame, struct output *output,
		struct verdict *verdict)
{
	if (output->frame < 0)
		output->frame = (int)(frame - play->capture->frames);
	verdict_set(verdict, SAME, "as ours at %.3f ms", output_ms(play, output));
}

/* ---- RESEND, BUSY, RPC_UNKNOWN, NEED_ACK, ACK, CUTOFFS, ICMP ---- */

static struct output *find_resend(struct play *play, const struct frame *frame, bool unmatched, bool tail)
{
	const struct homa_resend_header *h = frame_resend(frame);

	for (int i = 0; i < play->output_count; i++) {
		struct output *output = &play->outputs[i];
		const struct homa_resend_header *ours = &output->packet.header.resend;

		if (output->rpc == frame->rpc && !output->unreachable && ours->common.type == HOMA_RESEND &&
		    ours->offset == h->offset && (tail || ours->length == h->length) &&
		    (!unmatched || output->frame < 0))
			return output;
	}
	return NULL;
}

static void match_resend(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	const struct moment *moment = &play->moments[frame - play->capture->frames];
	struct output *output = find_resend(play, frame, true, false);
	uint64_t early_ns = (play->params.resend_ticks + 1) * TICK_NS;

	if (!output)
		output = find_resend(play, frame, false, false);
	if (!output && wire32(frame_resend(frame)->offset) >= play->parts[frame->rpc].fed_end)
		output = find_resend(play, frame, false, true); /* how much was granted is a matter of time */
	if (output && output->packet.header.resend.priority != frame_resend(frame)->priority)
		verdict_set(verdict, DIFFERENT, "priority: ours is %u",
			    output->packet.header.resend.priority);
	else if (output)
		match_same(play, frame, output, verdict);
	else if (!moment->sensible)
		verdict_set(verdict, DIFFERENT, "that is not what was missing");
	else if (!moment->wanted && moment->silence_ns < early_ns)
		verdict_set(verdict, FREE, "crossed with what it asks for");
	else if (!moment->wanted)
		verdict_set(verdict, DIFFERENT, "that had arrived %.1f ms before",
			    (double)moment->silence_ns / 1e6);
	else if (moment->silence_ns < early_ns)
		verdict_set(verdict, FREE, "early: after %.1f ms of silence only",
			    (double)moment->silence_ns / 1e6);
	else
		verdict_set(verdict, DIFFERENT, "not asked for by us, after %.1f ms of silence",
			    (double)moment->silence_ns / 1e6);
}

static bool sent_again(const struct play *play, int rpc)
{
	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];

		if (output->rpc == rpc && !output->unreachable &&
		    output->packet.header.common.type == HOMA_DATA && output->packet.header.data.retransmit)
			return true;
	}
	return false;
}

static void match_busy(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	struct output *output = match_find(play, frame->rpc, HOMA_BUSY, true);
	const struct message *m = message_out(play, frame->rpc);

	if (!output)
		output = match_find(play, frame->rpc, HOMA_BUSY, false);
	if (output)
		match_same(play, frame, output, verdict);
	else if (sent_again(play, frame->rpc))
		verdict_set(verdict, FREE, "we had sent already what the RESEND asks for, and sent it again");
	else if (m->length && frame->time_ns + 2 * MS >= play->capture->frames[m->first].time_ns)
		verdict_set(verdict, FREE, "crossed with the first DATA");
	else
		verdict_set(verdict, DIFFERENT, "not sent by us");
}

static void match_need_ack(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	struct output *output = match_find(play, frame->rpc, HOMA_NEED_ACK, true);
	const struct part *part = &play->parts[frame->rpc];
	uint64_t due_ns = (play->params.request_ack_ticks + 2) * TICK_NS;

	if (!output)
		output = match_find(play, frame->rpc, HOMA_NEED_ACK, false);
	if (output)
		match_same(play, frame, output, verdict);
	else if (part->acked >= 0 && play->capture->frames[part->acked].time_ns < part->sent_ns + due_ns)
		verdict_set(verdict, FREE, "the ACK of frame %u came before we had to ask",
			    play->capture->frames[part->acked].number);
	else if (!part->responded && !plays_client(play, frame->rpc))
		verdict_set(verdict, FREE, "the capture lacks a part of the request");
	else if (frame->time_ns < part->sent_ns + due_ns)
		verdict_set(verdict, FREE, "early: ours is not due yet");
	else
		verdict_set(verdict, DIFFERENT, "not sent by us");
}

/* True if our answer to a NEED_ACK was that something was missing still. */
static bool answered_by_resend(const struct play *play, int rpc)
{
	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];

		if (output->rpc == rpc && output->cause >= 0 &&
		    output->packet.header.common.type == HOMA_RESEND &&
		    frame_type(&play->capture->frames[output->cause]) == HOMA_NEED_ACK)
			return true;
	}
	return false;
}

/* An ACK packet matters for the ids in it, which match_acks compares; and as the answer to a NEED_ACK. */
static void match_ack(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	struct output *output = match_find(play, frame->rpc, HOMA_ACK, true);
	const struct part *part = &play->parts[frame->rpc];

	if (!output)
		output = match_find(play, frame->rpc, HOMA_ACK, false);
	if (frame->length < sizeof(struct homa_ack_header))
		verdict_set(verdict, DIFFERENT, "only %u bytes", frame->length);
	else if (output)
		match_same(play, frame, output, verdict);
	else if (answered_by_resend(play, frame->rpc))
		verdict_set(verdict, FREE, "when we were asked, the response was incomplete");
	else if (!part->need_acks_fed)
		verdict_set(verdict, FREE, "not asked for; its ids are compared below");
	else
		verdict_set(verdict, DIFFERENT, "we did not answer the NEED_ACK");
}

static bool reconfigured(const struct play *play)
{
	struct homa_params defaults;

	homa_params_init(&defaults);
	return memcmp(defaults.unsched_cutoffs, play->params.unsched_cutoffs,
		      sizeof(defaults.unsched_cutoffs)) != 0;
}

static void match_cutoffs(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	const struct homa_cutoffs_header *h = (const void *)frame->data;

	verdict_set(verdict, DIFFERENT, "not sent by us");
	for (int i = 0; i < play->output_count; i++) {
		struct output *output = &play->outputs[i];
		const struct homa_cutoffs_header *ours = &output->packet.header.cutoffs;

		if (output->unreachable || ours->common.type != HOMA_CUTOFFS ||
		    !net_ip_equal(&output->to, &frame->destination))
			continue;
		/* Level 0 takes every length, whatever is written there. */
		if (memcmp(ours->cutoffs + 1, h->cutoffs + 1, sizeof(h->cutoffs) - sizeof(h->cutoffs[0])) !=
		    0) {
			verdict_set(verdict, DIFFERENT, "our cutoffs are others");
		} else if (ours->version != h->version) {
			verdict_set(verdict, reconfigured(play) ? FREE : DIFFERENT,
				    "version %u: ours, which never change, are %u", wire16(h->version),
				    wire16(ours->version));
			return;
		} else {
			match_same(play, frame, output, verdict);
			if (output->rpc == frame->rpc)
				return;
		}
	}
}

static void match_unknown(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	struct output *output = match_find(play, frame->rpc, HOMA_RPC_UNKNOWN, true);

	if (!output)
		output = match_find(play, frame->rpc, HOMA_RPC_UNKNOWN, false);
	if (output)
		match_same(play, frame, output, verdict);
	else
		verdict_set(verdict, DIFFERENT, "not sent by us");
}

static void match_icmp(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	if (frame->icmp != HOMA_ICMP_PORT) {
		verdict_set(verdict, FREE, "from the kernel, not from Homa");
		return;
	}
	verdict_set(verdict, DIFFERENT, "we did not refuse");
	for (int i = 0; i < play->output_count; i++) {
		struct output *output = &play->outputs[i];

		if (!output->unreachable || output->rpc != frame->rpc)
			continue;
		match_same(play, frame, output, verdict);
		if (output->frame == (int)(frame - play->capture->frames))
			return;
	}
}

static bool same_ports(const struct play *play, const struct frame *frame)
{
	const struct homa_common_header *h = frame_header(frame);
	const struct rpc *rpc = &play->capture->rpcs[frame->rpc];

	return wire16(frame->from_client ? h->sport : h->dport) == rpc->client_port &&
	       wire16(frame->from_client ? h->dport : h->sport) == rpc->server_port;
}

/* What all types have in common; SAME if nothing differs. */
static void match_common(const struct play *play, const struct frame *frame, struct verdict *verdict)
{
	const struct homa_common_header *h = frame_header(frame);

	verdict->outcome = SAME;
	if (!frame->checksum_good && play->host->good_checksums * 2 > play->host->homa_frames &&
	    h->doff == (h->type == HOMA_DATA ? HOMA_DOFF_DATA : HOMA_DOFF_CONTROL))
		verdict_set(verdict, DIFFERENT, "damaged: its checksum is wrong, unlike those of the others");
	else if (frame->rpc >= 0 && !same_ports(play, frame))
		verdict_set(verdict, DIFFERENT, "ports %u > %u are not the RPC's", wire16(h->sport),
			    wire16(h->dport));
	else if (h->flags != HOMA_HIJACK_FLAGS || h->urgent != wire16(HOMA_HIJACK_URGENT))
		verdict_set(verdict, DIFFERENT, "flags %#x, urgent %#x: ours are %#x, %#x", h->flags,
			    wire16(h->urgent), HOMA_HIJACK_FLAGS, HOMA_HIJACK_URGENT);
	else if (h->window && !homa_get24(h->ack))
		verdict_set(verdict, DIFFERENT, "an age without an incarnation: window, but no ack");
	else if (h->type != HOMA_DATA && h->type != HOMA_FREEZE && frame->priority != HOMA_PRIORITIES - 1)
		verdict_set(verdict, DIFFERENT, "priority %u: ours is %u", frame->priority,
			    HOMA_PRIORITIES - 1);
}

static void match_frame(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	static void (*const by_type[])(struct play *, const struct frame *, struct verdict *) = {
	    [HOMA_DATA - HOMA_TYPE_FIRST] = match_data,
	    [HOMA_GRANT - HOMA_TYPE_FIRST] = match_grant,
	    [HOMA_RESEND - HOMA_TYPE_FIRST] = match_resend,
	    [HOMA_RPC_UNKNOWN - HOMA_TYPE_FIRST] = match_unknown,
	    [HOMA_BUSY - HOMA_TYPE_FIRST] = match_busy,
	    [HOMA_CUTOFFS - HOMA_TYPE_FIRST] = match_cutoffs,
	    [HOMA_NEED_ACK - HOMA_TYPE_FIRST] = match_need_ack,
	    [HOMA_ACK - HOMA_TYPE_FIRST] = match_ack,
	};

	if (frame->kind == FRAME_ICMP) {
		if (frame->rpc >= 0)
			match_icmp(play, frame, verdict);
		else
			verdict_set(verdict, FREE, "about no RPC");
		return;
	}
	if (frame->kind == FRAME_BAD) {
		verdict_set(verdict, DIFFERENT, "malformed, so that we would drop it");
		return;
	}
	match_common(play, frame, verdict);
	if (verdict->outcome != SAME)
		return;
	if (frame_type(frame) == HOMA_FREEZE)
		verdict_set(verdict, FREE, "a debugging aid that we neither send nor obey");
	else if (play->capture->rpcs[frame->rpc].orphan)
		verdict_set(verdict, DIFFERENT, "no request with that id was ever sent");
	else if (play->capture->rpcs[frame->rpc].cut && frame_type(frame) != HOMA_ACK)
		verdict_set(verdict, FREE, "its RPC began before the capture");
	else
		by_type[frame_type(frame) - HOMA_TYPE_FIRST](play, frame, verdict);
}

void match_frames(struct play *play, enum sides sides, struct report *report)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];
		struct verdict verdict;
		char subject[160];

		if (frame->kind == FRAME_OTHER || !net_ip_equal(&frame->source, &play->host->ip) ||
		    (frame->rpc >= 0 && !side_wanted(play, frame->rpc, sides)))
			continue;
		match_frame(play, frame, &verdict);
		frame_text(play->capture, frame, subject, sizeof(subject));
		report_line(report, &verdict, subject);
	}
}
