/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages in: DATA is put together, whatever its order and its segment boundaries, and
 * what is missing is asked for. A message's memory is asked for when its first packet
 * arrives; pages of it are touched only as bytes do.
 */
#include <string.h>

#include "homa_state.h"

#define RESENDS_AT_ONCE 256 /* RESEND packets for one message in one go */

/* From here on the message's memory is not written to by a datapath. */
static void end_placing(struct homa *homa, struct homa_message_in *in)
{
	if (in->placement != HOMA_NO_PLACEMENT)
		homa->ops.incoming_end(homa->ctx, in->placement);
	in->placement = HOMA_NO_PLACEMENT;
}

void homa_recv_free(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_in *in = &rpc->in;

	if (!in->length)
		return;
	if (in->remaining)
		homa->counters.incoming_bytes -= homa_message_received(in);
	homa_grant_end(homa, rpc);
	end_placing(homa, in);
	ranges_free(&in->gaps);
	if (in->data)
		homa->ops.buffer_put(homa->ctx, in->data, in->length);
	in->data = NULL;
	in->length = 0;
}

static bool begin(struct homa *homa, struct homa_rpc *rpc, struct homa_packet_in *packet)
{
	const struct homa_data_header *h = (const void *)packet->data;
	struct homa_message_in *in = &rpc->in;
	uint32_t length = wire32(h->message_length);

	if (packet->where == HOMA_PAYLOAD_BUFFER && packet->length - sizeof(*h) == length) {
		/* All of the message is there: where it is, it stays. */
		in->data = packet->payload;
	} else if (homa->ops.buffer_get) {
		in->data = homa->ops.buffer_get(homa->ctx, length);
		if (!in->data)
			return false;
	}
	in->placement = HOMA_NO_PLACEMENT;
	in->placing_tried = false;
	in->length = in->remaining = length;
	homa_grant_begin(homa, rpc, wire32(h->incoming));
	return true;
}

static void copy(const struct homa_message_in *in, const struct homa_packet_in *packet, uint32_t offset,
		 uint32_t start, uint32_t end)
{
	const uint8_t *payload = packet->payload ? packet->payload :
						   packet->data + sizeof(struct homa_data_header);

	payload += start - offset;
	if (in->data && packet->where != HOMA_PAYLOAD_ELIDED && payload != in->data + start)
		memcpy(in->data + start, payload, end - start);
}

/*
 * Has the datapath put the bytes of the following packets in their place. A packet that
 * is followed by more tells how long segments are.
 */
static void begin_placing(struct homa *homa, struct homa_rpc *rpc, const struct homa_packet_in *packet,
			  uint32_t start, uint32_t end)
{
	const struct homa_data_header *h = (const void *)packet->data;
	struct homa_message_in *in = &rpc->in;
	struct homa_incoming incoming = {
		.source = packet->source,
		.header = h,
		.data = in->data,
		.length = in->length,
		.segment = end - start,
		.unscheduled = in->unscheduled,
		.received_end = in->received_end,
		.gaps = &in->gaps,
	};

	if (in->placing_tried || !homa->ops.incoming_begin || end == in->length || end == in->unscheduled)
		return;
	in->placing_tried = true;
	in->placement = homa->ops.incoming_begin(homa->ctx, &incoming);
}

/* Takes note that the core has what was in the packet's own memory, or in the message already. */
static void keep_payload(const struct homa_message_in *in, struct homa_packet_in *packet, uint32_t added)
{
	if ((packet->where == HOMA_PAYLOAD_BUFFER && packet->payload == in->data) ||
	    (packet->where == HOMA_PAYLOAD_PLACED && added))
		packet->payload = NULL;
}

/* Copies what [start, end) fills of the gaps; bytes that were new. */
static uint32_t fill_gaps(struct homa_message_in *in, const struct homa_packet_in *packet, uint32_t start,
			  uint32_t end)
{
	const struct range *gap = ranges_get(&in->gaps);
	uint32_t filled = 0;

	for (uint32_t i = 0; i < in->gaps.count && gap[i].start < end; i++) {
		uint32_t from = gap[i].start > start ? gap[i].start : start;
		uint32_t to = gap[i].end < end ? gap[i].end : end;

		if (from < to) {
			copy(in, packet, start, from, to);
			filled += to - from;
		}
	}
	return filled && !ranges_subtract(&in->gaps, start, end) ? 0 : filled;
}

/* Puts a packet's bytes in their place; how many of them were new. */
static uint32_t add(struct homa_message_in *in, const struct homa_packet_in *packet, uint32_t start, uint32_t end)
{
	uint32_t added = 0, from = start;

	if (start < in->received_end) {
		added = fill_gaps(in, packet, start, end);
		from = in->received_end;
	} else if (!ranges_add(&in->gaps, in->received_end, start)) {
		return 0;
	}
	if (end > in->received_end) {
		copy(in, packet, start, from, end);
		added += end - from;
		in->received_end = end;
	}
	in->remaining -= added;
	return added;
}

static void complete(struct homa *homa, struct homa_rpc *rpc)
{
	homa->counters.incoming_bytes -= rpc->in.length;
	homa_grant_end(homa, rpc);
	end_placing(homa, &rpc->in);
	ranges_free(&rpc->in.gaps);
	timer_cancel(&homa->wheel, &rpc->timer);
	if (homa_rpc_is_client(rpc)) {
		homa_send_free(homa, rpc);
		homa_rpc_set_state(homa, rpc, HOMA_RPC_DONE);
		homa_ack_queue(homa, rpc);
		homa->counters.responses++;
		homa_event_post(homa, rpc, HOMA_EVENT_RESPONSE, 0);
	} else {
		homa_rpc_set_state(homa, rpc, HOMA_RPC_IN_SERVICE);
		homa->counters.requests++;
		homa_event_post(homa, rpc, HOMA_EVENT_REQUEST, 0);
	}
}

static void receive(struct homa *homa, struct homa_rpc *rpc, struct homa_packet_in *packet)
{
	const struct homa_data_header *h = (const void *)packet->data;
	uint32_t length = packet->length - (uint32_t)sizeof(*h);
	uint32_t offset = homa_data_offset(h), added;

	/* Of a message that was given up, and whose memory may be somebody else's by now. */
	if (packet->where == HOMA_PAYLOAD_PLACED &&
	    (!rpc->in.length || rpc->in.placement != packet->placement))
		return;
	rpc->starved = !rpc->in.length && !begin(homa, rpc, packet);
	if (rpc->starved) {
		homa->counters.no_buffer++;
		return;
	}
	/* The first packet's message length is the one that counts. */
	if (length > rpc->in.length || offset > rpc->in.length - length) {
		homa->counters.dropped[HOMA_BAD_OFFSET]++;
		return;
	}
	added = add(&rpc->in, packet, offset, offset + length);
	keep_payload(&rpc->in, packet, added);
	/* Only progress counts as a sign of life: a peer that repeats itself for ever is no use. */
	if (added) {
		rpc->heard_ns = homa->now_ns;
		homa_holes_received(homa, rpc, offset, offset + length, added);
	}
	homa->counters.bytes_in += length;
	homa->counters.duplicate_bytes += length - added;
	homa->counters.overlaps += added && added < length;
	homa->counters.incoming_bytes += added;
	while (homa->counters.incoming_bytes > homa->params.max_incoming_memory && homa_rpc_evict(homa, rpc))
		;
	if (rpc->in.remaining) {
		begin_placing(homa, rpc, packet, offset, offset + length);
		homa_grant_progress(homa, rpc);
	} else {
		complete(homa, rpc);
	}
}

static void check_cutoffs(struct homa *homa, struct homa_rpc *rpc, const struct homa_data_header *h)
{
	struct homa_peer *peer = rpc->peer;

	if (h->cutoff_version == wire16(HOMA_CUTOFF_VERSION) ||
	    (peer->cutoffs_sent_ns && homa->now_ns - peer->cutoffs_sent_ns < HOMA_TICK_NS))
		return;
	peer->cutoffs_sent_ns = homa->now_ns;
	homa_cutoffs_send(homa, rpc);
}

/* A new request, unless it is one that was finished before. */
static struct homa_rpc *admit(struct homa *homa, struct homa_peer *peer, const struct homa_data_header *h)
{
	uint64_t id = wire64(h->common.sender_id) | 1;
	struct homa_rpc *rpc;

	if (homa_dedupe_has(homa, peer, id)) {
		homa->counters.duplicates_refused++;
		return NULL;
	}
	if (!homa_incarnation_admits(homa, h)) {
		struct homa_packet_out unknown = { .header_length = sizeof(struct homa_common_header) };

		homa->counters.incarnations_refused++;
		/* Once for a message; the client asks if it gets lost. */
		if (!homa_data_offset(h))
			homa_control_answer(homa, peer, &h->common, &unknown, HOMA_RPC_UNKNOWN);
		return NULL;
	}
	rpc = homa_server_rpc_new(homa, peer, id);
	if (!rpc && homa_rpc_evict(homa, NULL))
		rpc = homa_server_rpc_new(homa, peer, id);
	if (!rpc) {
		homa->counters.no_buffer++;
		return NULL;
	}
	rpc->local_port = wire16(h->common.dport);
	rpc->remote_port = wire16(h->common.sport);
	homa_rpc_set_state(homa, rpc, HOMA_RPC_INCOMING);
	homa_timer_start(homa, rpc);
	return rpc;
}

static void receive_request(struct homa *homa, struct homa_peer *peer, struct homa_packet_in *packet)
{
	const struct homa_data_header *h = (const void *)packet->data;
	struct homa_rpc *rpc = homa_server_rpc_find(homa, peer, wire64(h->common.sender_id) | 1);

	if (!rpc)
		rpc = admit(homa, peer, h);
	else if (!homa_rpc_matches(rpc, peer, &h->common))
		homa->counters.wrong_source++;
	if (!rpc || !homa_rpc_matches(rpc, peer, &h->common))
		return;
	check_cutoffs(homa, rpc, h);
	if (rpc->state == HOMA_RPC_INCOMING) {
		receive(homa, rpc, packet);
		/* Nothing to remember of a request that found no memory: the client will ask. */
		if (rpc->starved && rpc->state == HOMA_RPC_INCOMING)
			homa_rpc_free(homa, rpc);
	}
}

static void receive_response(struct homa *homa, struct homa_peer *peer, struct homa_packet_in *packet)
{
	const struct homa_data_header *h = (const void *)packet->data;
	struct homa_rpc *rpc = homa_client_rpc_find(homa, wire64(h->common.sender_id) ^ 1);

	if (!rpc) {
		homa->counters.no_rpc++;
		return;
	}
	if (!homa_rpc_matches(rpc, peer, &h->common)) {
		homa->counters.wrong_source++;
		return;
	}
	homa_incarnation_heard(homa, rpc, &h->common);
	check_cutoffs(homa, rpc, h);
	if (rpc->state == HOMA_RPC_OUTGOING)
		homa_rpc_set_state(homa, rpc, HOMA_RPC_INCOMING);
	if (rpc->state == HOMA_RPC_INCOMING)
		receive(homa, rpc, packet);
}

void homa_recv_data(struct homa *homa, struct homa_packet_in *packet)
{
	const struct homa_data_header *h = (const void *)packet->data;
	struct homa_ack_entry ack = h->ack;
	bool request = !(wire64(h->common.sender_id) & 1);
	enum homa_verdict verdict = homa_check_data(h, packet->length);
	struct homa_peer *peer;
	int error;

	if (verdict != HOMA_OK) {
		homa->counters.dropped[verdict]++;
		return;
	}
	peer = request ? homa_peer_get(homa, &packet->source, &packet->destination, &error) :
			 homa_peer_find(homa, &packet->source, &packet->destination);
	if (!peer) {
		if (request)
			homa->counters.no_buffer++;
		else
			homa->counters.no_rpc++;
		return;
	}
	homa_peer_hold(homa, peer);
	peer->heard_ns = homa->now_ns;
	if (request)
		receive_request(homa, peer, packet);
	else
		receive_response(homa, peer, packet);
	/* Last, as it may end an RPC that this very packet's sender has just been served for. */
	homa_ack_entry_input(homa, peer, &ack);
	homa_peer_release(homa, peer);
}

void homa_recv_ask(struct homa *homa, struct homa_rpc *rpc, uint32_t offset, uint32_t length, uint8_t priority)
{
	struct homa_packet_out packet = { .header_length = sizeof(struct homa_resend_header) };

	packet.header.resend.offset = wire32(offset);
	packet.header.resend.length = wire32(length);
	packet.header.resend.priority = priority;
	homa_control_send(homa, rpc, HOMA_RESEND, &packet);
}

void homa_recv_request_missing(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_in *in = &rpc->in;
	const struct range *gap = ranges_get(&in->gaps);
	uint8_t priority = (uint8_t)(homa->params.num_priorities - 1);

	if (!in->length) {
		homa_recv_ask(homa, rpc, 0, HOMA_RESEND_ALL, priority);
		return;
	}
	for (uint32_t i = 0; i < in->gaps.count && i < RESENDS_AT_ONCE; i++)
		homa_recv_ask(homa, rpc, gap[i].start, gap[i].end - gap[i].start, priority);
	if (in->granted > in->received_end)
		homa_recv_ask(homa, rpc, in->received_end, in->granted - in->received_end, priority);
	homa_holes_asked(homa, in);
	homa_grant_progress(homa, rpc);
}
