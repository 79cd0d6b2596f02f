/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which captured frames did not reach the other side: a capture does not say, what
 * follows them does.
 *
 *  1. DATA whose bytes the receiver asks for LATE_NS or more afterwards was lost: a RESEND
 *     comes after 5 ms of silence. (One that comes sooner has crossed with the DATA.)
 *     But if the receiver demonstrably had the whole message in the end, the last copy of
 *     each segment must have arrived.
 *  2. If a server says RPC_UNKNOWN and never showed that it knew the RPC, everything that
 *     the client had sent of it was lost.
 *  3. If a server never says anything of an RPC, nothing of it arrived; unless the port is
 *     one that it refuses.
 *  4. A RESEND that is not answered within ANSWER_NS was lost.
 *  5. An ACK after which the server still asks for one was lost.
 *  6. A CUTOFFS arrived when the receiver first uses its version; if it goes on with
 *     another one, it was lost.
 */
#include "replay.h"

#define LATE_NS    (3 * MS)
#define ANSWER_NS  (20 * MS)
#define CROSSED_NS (MS / 2)

static bool between(const struct frame *frame, const struct net_ip *from, const struct net_ip *to)
{
	return net_ip_equal(&frame->source, from) && net_ip_equal(&frame->destination, to);
}

/* ---- rule 1 ---- */

static bool asked_for_again(const struct capture *capture, int index)
{
	const struct frame *data = &capture->frames[index];

	for (int i = index + 1; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame_type(frame) == HOMA_RESEND && frame->rpc == data->rpc &&
		    frame->from_client != data->from_client && frame->time_ns >= data->time_ns + LATE_NS &&
		    wire32(frame_resend(frame)->offset) < frame_end(data) &&
		    resend_end(frame_resend(frame)) > frame_offset(data))
			return true;
	}
	return false;
}

/* The frame that shows that the message was complete at its receiver; the capture's end if none. */
static int complete_by(const struct capture *capture, const struct frame *data)
{
	const struct rpc *rpc = &capture->rpcs[data->rpc];

	if (!data->from_client)
		return rpc->answered >= 0 ? rpc->answered : capture->frame_count;
	return rpc->message[RESPONSE].length ? rpc->message[RESPONSE].first : capture->frame_count;
}

static void keep_last_copy(struct capture *capture, int index)
{
	const struct frame *data = &capture->frames[index];
	int complete = complete_by(capture, data), last = index;

	if (complete == capture->frame_count || index >= complete)
		return;
	for (int i = 0; i < complete; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame_type(frame) != HOMA_DATA || frame->rpc != data->rpc ||
		    frame->from_client != data->from_client || frame_offset(frame) != frame_offset(data))
			continue;
		if (!frame->lost)
			return;
		last = i;
	}
	capture->frames[last].lost = false;
}

static void lose_data(struct capture *capture)
{
	for (int i = 0; i < capture->frame_count; i++)
		if (frame_type(&capture->frames[i]) == HOMA_DATA)
			capture->frames[i].lost = asked_for_again(capture, i);
	for (int i = 0; i < capture->frame_count; i++)
		if (frame_type(&capture->frames[i]) == HOMA_DATA && capture->frames[i].lost)
			keep_last_copy(capture, i);
}

/* ---- rules 2 and 3 ---- */

static bool port_refused(const struct capture *capture, const struct rpc *rpc)
{
	if (rpc->server_port >= HOMA_MIN_CLIENT_PORT)
		return true;
	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame->kind == FRAME_ICMP && frame->icmp == HOMA_ICMP_PORT &&
		    net_ip_equal(&frame->source, &rpc->server) &&
		    wire16(frame_header(frame)->dport) == rpc->server_port)
			return true;
	}
	return false;
}

/* The first frame of the RPC that came from its server, or -1. */
static int first_from_server(const struct capture *capture, int rpc)
{
	for (int i = capture->rpcs[rpc].first_frame; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame->rpc == rpc && net_ip_equal(&frame->source, &capture->rpcs[rpc].server))
			return i;
	}
	return -1;
}

static void lose_from_client(struct capture *capture, int rpc, int before, bool data_only)
{
	for (int i = capture->rpcs[rpc].first_frame; i < before; i++) {
		struct frame *frame = &capture->frames[i];

		if (frame->rpc == rpc && frame->kind == FRAME_HOMA && frame->from_client &&
		    (!data_only || frame_type(frame) == HOMA_DATA))
			frame->lost = true;
	}
}

static void lose_requests(struct capture *capture)
{
	for (int i = 0; i < capture->rpc_count; i++) {
		int first = first_from_server(capture, i);

		if (first < 0 && !port_refused(capture, &capture->rpcs[i]))
			lose_from_client(capture, i, capture->frame_count, false);
		else if (first >= 0 && frame_type(&capture->frames[first]) == HOMA_RPC_UNKNOWN)
			lose_from_client(capture, i, first, true);
	}
}

/* ---- rules 4 and 5 ---- */

static bool answers_resend(const struct frame *frame, const struct frame *resend)
{
	uint8_t type = frame_type(frame);

	if (frame->rpc != resend->rpc || !net_ip_equal(&frame->source, &resend->destination))
		return false;
	if (frame->kind == FRAME_ICMP || type == HOMA_BUSY || type == HOMA_RPC_UNKNOWN)
		return true;
	return type == HOMA_DATA && frame_end(frame) > wire32(frame_resend(resend)->offset) &&
	       frame_offset(frame) < resend_end(frame_resend(resend));
}

static void lose_resend(struct capture *capture, int index)
{
	struct frame *resend = &capture->frames[index];

	for (int i = index + 1; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame->time_ns > resend->time_ns + ANSWER_NS)
			break;
		if (answers_resend(frame, resend))
			return;
	}
	resend->lost = true;
}

static void lose_ack(struct capture *capture, int index)
{
	struct frame *ack = &capture->frames[index];

	for (int i = index + 1; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame_type(frame) == HOMA_NEED_ACK && frame->rpc == ack->rpc &&
		    frame->time_ns > ack->time_ns + CROSSED_NS)
			ack->lost = true;
	}
}

/* ---- rule 6 ---- */

static void place_cutoffs(struct capture *capture, int index)
{
	struct frame *cutoffs = &capture->frames[index];
	const struct homa_cutoffs_header *h = (const void *)cutoffs->data;
	bool others = false;

	for (int i = index + 1; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame_type(frame) != HOMA_DATA ||
		    !between(frame, &cutoffs->destination, &cutoffs->source))
			continue;
		if (frame_data(frame)->cutoff_version == h->version) {
			if (others)
				cutoffs->hold_back = i;
			return;
		}
		others = true;
	}
	cutoffs->lost = others;
}

void capture_infer_loss(struct capture *capture)
{
	lose_data(capture);
	lose_requests(capture);
	for (int i = 0; i < capture->frame_count; i++) {
		uint8_t type = frame_type(&capture->frames[i]);

		if (type == HOMA_RESEND)
			lose_resend(capture, i);
		else if (type == HOMA_ACK)
			lose_ack(capture, i);
		else if (type == HOMA_CUTOFFS)
			place_cutoffs(capture, i);
	}
}
