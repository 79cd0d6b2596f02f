/* SPDX-License-Identifier: BSD-2-Clause */
/* The matching of DATA and GRANT packets: messages, in short. */
#include "replay.h"

#include <string.h>

#define SLACK_NS    (MS / 20) /* what the tap and the host may disagree about the time */
#define CROSSING_NS (5 * MS)  /* how long a slow host takes to act on a packet that passed the tap */

/* ---- DATA ---- */

/* The output with the same bytes; rather one that also agrees with the frame otherwise. */
static struct output *find_data(struct play *play, const struct frame *frame, bool unmatched)
{
	const struct homa_data_header *h = frame_data(frame);
	struct output *found = NULL;

	for (int i = 0; i < play->output_count; i++) {
		struct output *output = &play->outputs[i];
		const struct homa_data_header *ours = &output->packet.header.data;

		if (output->rpc != frame->rpc || output->unreachable || ours->common.type != HOMA_DATA ||
		    ours->retransmit != h->retransmit || homa_data_offset(ours) != frame_offset(frame) ||
		    output->packet.payload_length != frame_payload(frame) ||
		    (unmatched && output->frame >= 0))
			continue;
		if (ours->incoming == h->incoming && output->packet.priority == frame->priority)
			return output;
		if (!found)
			found = output;
	}
	return found;
}

/* True for CUTOFFS that passed while the frame's message was being sent: then it is a matter of
 * time which packets use them already. */
static bool cutoffs_crossed(const struct play *play, const struct frame *frame, const struct frame *cutoffs)
{
	const struct message *m = message_out(play, frame->rpc);
	const struct frame *frames = play->capture->frames;

	return frame_type(cutoffs) == HOMA_CUTOFFS && net_ip_equal(&cutoffs->source, &frame->destination) &&
	       net_ip_equal(&cutoffs->destination, &frame->source) &&
	       cutoffs->time_ns + CROSSING_NS >= frames[m->first].time_ns &&
	       cutoffs->time_ns <= frames[m->last].time_ns + CROSSING_NS;
}

/* True if the peer has given the RPC this priority, in a GRANT or RESEND that the host got. */
static bool priority_given(const struct play *play, int rpc, uint8_t priority)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];
		const struct homa_grant_header *grant = (const void *)frame->data;

		if (frame->rpc != rpc || !net_ip_equal(&frame->destination, &play->host->ip))
			continue;
		if ((frame_type(frame) == HOMA_GRANT && grant->priority == priority) ||
		    (frame_type(frame) == HOMA_RESEND && frame_resend(frame)->priority == priority))
			return true;
	}
	return false;
}

/* The level of unscheduled bytes by CUTOFFS that may or may not have been known, or by none. */
static bool priority_crossed(const struct play *play, const struct frame *frame)
{
	const struct frame *frames = play->capture->frames;
	uint32_t length = message_out(play, frame->rpc)->length;

	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct homa_cutoffs_header *h = (const void *)frames[i].data;
		uint32_t cutoffs[HOMA_PRIORITIES];

		if (!cutoffs_crossed(play, frame, &frames[i]))
			continue;
		for (int p = 0; p < HOMA_PRIORITIES; p++)
			cutoffs[p] = wire32(h->cutoffs[p]);
		if (frame->priority == homa_unscheduled_priority(cutoffs, HOMA_PRIORITIES, length) ||
		    frame->priority == HOMA_PRIORITIES - 2)
			return true;
	}
	return false;
}

static bool version_crossed(const struct play *play, const struct frame *frame)
{
	const struct frame *frames = play->capture->frames;

	for (int i = 0; i < play->capture->frame_count; i++)
		if (cutoffs_crossed(play, frame, &frames[i]) &&
		    (!frame_data(frame)->cutoff_version ||
		     ((const struct homa_cutoffs_header *)frames[i].data)->version ==
			 frame_data(frame)->cutoff_version))
			return true;
	return false;
}

static bool same_priority(const struct play *play, const struct frame *frame, const struct output *output)
{
	bool unscheduled = frame_offset(frame) < message_out(play, frame->rpc)->unscheduled;
	bool given = priority_given(play, frame->rpc, frame->priority);

	if (frame->priority == output->packet.priority)
		return true;
	if (unscheduled && !frame_data(frame)->retransmit)
		return priority_crossed(play, frame);
	/* After RPC_UNKNOWN it is that of unscheduled bytes, after RESEND the one given there. */
	if (frame_data(frame)->retransmit && play->parts[frame->rpc].unknowns_fed &&
	    (given != priority_given(play, frame->rpc, output->packet.priority) ||
	     priority_crossed(play, frame)))
		return true;
	/* Which of several grants is the latest when a packet leaves is a matter of time. */
	return given && priority_given(play, frame->rpc, output->packet.priority);
}

/* True if the peer asked for a range of the RPC that ends there. */
static bool asked_until(const struct play *play, int rpc, uint32_t end)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame->rpc == rpc && frame_type(frame) == HOMA_RESEND &&
		    net_ip_equal(&frame->destination, &play->host->ip) &&
		    (resend_end(frame_resend(frame)) == end || resend_end(frame_resend(frame)) == UINT64_MAX))
			return true;
	}
	return false;
}

/* Retransmissions say where the range ends that was asked for. Ours round it up to a segment, and
 * join ranges that they have not sent yet when they are asked for more. */
static bool same_incoming(const struct play *play, const struct frame *frame,
			  const struct homa_data_header *ours)
{
	uint32_t theirs = wire32(frame_data(frame)->incoming);

	if (theirs == wire32(ours->incoming))
		return true;
	return frame_data(frame)->retransmit && wire32(ours->incoming) >= frame_end(frame) &&
	       wire32(ours->incoming) <= wire32(ours->message_length) &&
	       asked_until(play, frame->rpc, theirs);
}

static void compare_data(const struct play *play, const struct frame *frame, struct output *output,
			 struct verdict *verdict)
{
	const struct homa_data_header *h = frame_data(frame), *ours = &output->packet.header.data;

	if (h->message_length != ours->message_length)
		verdict_set(verdict, DIFFERENT, "message_length: ours is %u", wire32(ours->message_length));
	else if (!same_incoming(play, frame, ours))
		verdict_set(verdict, DIFFERENT, "incoming %u: ours is %u", wire32(h->incoming),
			    wire32(ours->incoming));
	else if (!same_priority(play, frame, output))
		verdict_set(verdict, DIFFERENT, "priority %u: ours is %u", frame->priority,
			    output->packet.priority);
	else if (h->cutoff_version != ours->cutoff_version && !version_crossed(play, frame))
		verdict_set(verdict, DIFFERENT, "cutoff_version %u: ours is %u", wire16(h->cutoff_version),
			    wire16(ours->cutoff_version));
	/* When a Tern host learns which incarnation it speaks to is a matter of time. */
	else if (memcmp(h->pad, ours->pad, sizeof(h->pad)) != 0 && !homa_get24(h->common.ack))
		verdict_set(verdict, DIFFERENT, "padding is not zero");
	else if (!output->same_payload ||
		 memcmp(frame->data + sizeof(*h), message_out(play, frame->rpc)->bytes + frame_offset(frame),
			frame_payload(frame)) != 0)
		verdict_set(verdict, DIFFERENT, "payload differs");
	else
		match_same(play, frame, output, verdict);
}

/* True if an identical frame is right before: the network made two of it. */
static bool network_duplicate(const struct play *play, const struct frame *frame)
{
	for (const struct frame *other = frame - 1; other >= play->capture->frames && other > frame - 64;
	     other--)
		if (other->kind == FRAME_HOMA && other->rpc == frame->rpc && other->length == frame->length &&
		    net_ip_equal(&other->source, &frame->source) &&
		    !memcmp(other->data, frame->data, frame->length))
			return true;
	return false;
}

void match_data(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	const struct part *part = &play->parts[frame->rpc];
	struct output *output = find_data(play, frame, true);

	if (output) {
		compare_data(play, frame, output, verdict);
		output->frame = (int)(frame - play->capture->frames);
		return;
	}
	output = find_data(play, frame, false);
	if (output && frame_data(frame)->retransmit)
		verdict_set(verdict, FREE, "sent again more often than by us");
	else if (output && network_duplicate(play, frame))
		verdict_set(verdict, FREE, "duplicated by the network");
	else if (output && part->acked >= 0 && play->capture->frames[part->acked].number < frame->number)
		verdict_set(verdict, FREE, "executed again after the ACK; we do it at most once");
	else if (message_in(play, frame->rpc)->length && plays_client(play, frame->rpc) == false &&
		 !part->requested)
		verdict_set(verdict, FREE, "the capture lacks a part of the request");
	else if (frame_data(frame)->retransmit && match_find(play, frame->rpc, HOMA_BUSY, false) &&
		 part->responded)
		verdict_set(verdict, FREE,
			    "our BUSY was the answer to the RESEND, which crossed with the response");
	else if (part->ended && part->error)
		verdict_set(verdict, DIFFERENT, "not sent by us: the RPC had ended with error %d",
			    part->error);
	else
		verdict_set(verdict, DIFFERENT, "not sent by us");
}

/* ---- GRANT ---- */

/* The furthest that our core had granted by `time_ns`. */
static uint32_t granted_by(const struct play *play, int rpc, uint64_t time_ns)
{
	uint32_t most = 0;

	for (int i = 0; i < play->output_count; i++) {
		const struct output *output = &play->outputs[i];

		if (output->rpc == rpc && !output->unreachable && output->time_ns <= time_ns &&
		    output->packet.header.common.type == HOMA_GRANT &&
		    wire32(output->packet.header.grant.offset) > most)
			most = wire32(output->packet.header.grant.offset);
	}
	return most;
}

/* True if no other message that needs grants was on its way to the host at the same time. */
static bool granted_alone(const struct play *play, int rpc)
{
	const struct message *m = message_in(play, rpc);

	for (int i = 0; i < play->capture->rpc_count; i++) {
		const struct rpc *other = &play->capture->rpcs[i];
		const struct message *in = message_in(play, i);

		if (i != rpc && in->length > in->unscheduled && in->first <= m->last &&
		    in->last >= m->first &&
		    (net_ip_equal(&other->client, &play->host->ip) ||
		     net_ip_equal(&other->server, &play->host->ip)))
			return false;
	}
	return true;
}

static bool any_grant_of(const struct play *play, int rpc, uint8_t priority)
{
	for (int i = 0; i < play->output_count; i++)
		if (play->outputs[i].rpc == rpc && play->outputs[i].packet.header.common.type == HOMA_GRANT &&
		    play->outputs[i].packet.header.grant.priority == priority)
			return true;
	return false;
}

/*
 * Alone, a message has the whole window, and ours must have granted as much by now, but for
 * what FIFO grants add now and then, and for grants that we save up to an eighth of the
 * window. Among others, which comes first is a matter of time: in the end all is granted.
 */
void match_grant(struct play *play, const struct frame *frame, struct verdict *verdict)
{
	const struct homa_grant_header *h = (const void *)frame->data;
	const struct homa_params *p = &play->params;
	const struct message *m = message_in(play, frame->rpc);
	const struct part *part = &play->parts[frame->rpc];
	uint32_t offset = wire32(h->offset), window = homa_grant_window(p->window, p->max_incoming, 1);
	uint32_t ours = granted_by(play, frame->rpc, frame->time_ns + SLACK_NS);
	uint32_t ever = granted_by(play, frame->rpc, UINT64_MAX);
	uint32_t slack = m->length <= window ? 0 : 2 * p->fifo_grant_increment + window / 8;
	bool alone = granted_alone(play, frame->rpc), fifo = h->priority == p->num_priorities - 2;

	if (offset > m->length)
		verdict_set(verdict, DIFFERENT, "beyond the message of %u bytes", m->length);
	else if (!ever && alone)
		verdict_set(verdict, DIFFERENT, "we sent no GRANT at all");
	else if (alone && ours + slack < offset)
		verdict_set(verdict, DIFFERENT, "we had granted %u", ours);
	else if (!any_grant_of(play, frame->rpc, h->priority) && alone && !fifo)
		verdict_set(verdict, DIFFERENT, "none of our grants has priority %u", h->priority);
	else if (ours >= offset)
		verdict_set(verdict, SAME, "we had granted %u", ours);
	else if (ever >= offset || part->fed_end >= offset)
		verdict_set(verdict, SAME, "granted by us too, later");
	else if (part->fed_bytes < m->length)
		verdict_set(verdict, FREE, "the message is incomplete; we had granted %u", ever);
	else
		verdict_set(verdict, DIFFERENT, "we granted %u at most", ever);
	for (struct output *output; (output = match_find(play, frame->rpc, HOMA_GRANT, true));)
		output->frame = (int)(frame - play->capture->frames);
}
