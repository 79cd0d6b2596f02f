/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages out. A message is cut into segments once, on boundaries that never change;
 * what may be sent of it is limited by its unscheduled bytes and by grants. Messages that
 * have something to send queue for the link: fewest bytes left first (SRPT), with a small
 * share for the oldest, and never further ahead of the link than the pacer allows. Short
 * messages do not queue.
 */
#include "homa_state.h"

static uint32_t minimum(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void homa_send_init(struct homa *homa, struct homa_rpc *rpc, void *data, uint32_t length)
{
	struct homa_message_out *out = &rpc->out;
	uint32_t overhead = net_ip_header_bytes(&rpc->peer->remote) + (uint32_t)sizeof(struct homa_data_header);

	out->data = data;
	out->length = length;
	out->unscheduled = out->granted = minimum(length, homa->params.unsched_bytes);
	out->segment = rpc->peer->path.mtu - overhead;
	homa->counters.outgoing_bytes += length;
}

static void dequeue(struct homa *homa, struct homa_message_out *out)
{
	if (!out->queued)
		return;
	out->queued = false;
	heap_remove(&homa->sendable, &out->by_remaining);
	heap_remove(&homa->sendable_by_age, &out->by_age);
}

void homa_send_free(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_out *out = &rpc->out;

	if (!out->length)
		return;
	dequeue(homa, out);
	ranges_free(&out->resend);
	if (homa->ops.buffer_put)
		homa->ops.buffer_put(homa->ctx, out->data, out->length);
	homa->counters.outgoing_bytes -= out->length;
	out->data = NULL;
	out->length = 0;
}

static bool has_something_to_send(const struct homa_message_out *out)
{
	return out->sent < out->granted || out->resend.count;
}

/* Puts a message where it belongs in the queues, after any change to it. */
static void enqueue(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_out *out = &rpc->out;
	uint64_t left = (uint64_t)(out->length - out->sent) + ranges_bytes(&out->resend);

	if (!has_something_to_send(out)) {
		dequeue(homa, out);
	} else if (out->queued) {
		heap_update(&homa->sendable, &out->by_remaining, left, rpc->sequence);
	} else {
		out->queued = true;
		heap_insert(&homa->sendable, &out->by_remaining, left, rpc->sequence);
		heap_insert(&homa->sendable_by_age, &out->by_age, rpc->sequence, 0);
	}
}

/* Sends [start, end), one segment. `incoming`: what the header says of bytes to come. */
static void send_segment(struct homa *homa, struct homa_rpc *rpc, uint32_t start, uint32_t end, uint32_t incoming,
			 uint8_t priority, bool retransmit)
{
	struct homa_message_out *out = &rpc->out;
	struct homa_packet_out packet = {
		.priority = priority,
		.header_length = sizeof(struct homa_data_header),
		.payload_length = end - start,
		.payload = out->data ? out->data + start : NULL,
	};
	struct homa_data_header *h = &packet.header.data;

	homa_header_init(rpc, &h->common, HOMA_DATA);
	h->common.sequence = wire32(start);
	h->segment_offset = wire32(start);
	h->message_length = wire32(out->length);
	h->incoming = wire32(incoming);
	h->ack = homa_ack_take(rpc->peer);
	h->cutoff_version = wire16(rpc->peer->cutoff_version);
	h->retransmit = retransmit;
	homa_put24(h->pad, rpc->server);
	homa->counters.bytes_out += end - start;
	homa->counters.retransmitted += retransmit;
	homa_transmit(homa, rpc->peer, &packet);
}

static void send_new(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_out *out = &rpc->out;
	uint32_t start = out->sent;
	uint32_t end = homa_segment_end(start, out->unscheduled, out->segment, out->length);
	uint8_t priority = out->priority;

	if (start < out->unscheduled)
		priority = homa_unscheduled_priority(rpc->peer->cutoffs, (uint8_t)homa->params.num_priorities,
						     out->length);
	out->sent = end;
	send_segment(homa, rpc, start, end, out->unscheduled, priority, false);
	/* From now on it is the client who has to say something. */
	if (end == out->length && !homa_rpc_is_client(rpc))
		homa_timer_start(homa, rpc);
}

static void send_old(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_out *out = &rpc->out;
	struct range r = ranges_get(&out->resend)[0];
	uint32_t end = minimum(r.end, homa_segment_end(r.start, out->unscheduled, out->segment, out->length));

	/* Taking the head off a range never needs room. */
	ranges_subtract(&out->resend, r.start, end);
	send_segment(homa, rpc, r.start, end, r.end, out->resend_priority, true);
}

static void send_one(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->out.resend.count)
		send_old(homa, rpc);
	else
		send_new(homa, rpc);
}

static bool link_is_free(const struct homa *homa)
{
	return homa->link_idle_ns <= homa->now_ns + homa->params.max_nic_est_backlog_usecs * 1000ull;
}

/* The message that sends next: the shortest, and once in a while the oldest, so that it does not starve. */
static struct homa_rpc *pick(struct homa *homa)
{
	homa->pacer_fifo_count += homa->params.pacer_fifo_fraction;
	if (homa->pacer_fifo_count >= 1000) {
		homa->pacer_fifo_count -= 1000;
		return heap_item(heap_first(&homa->sendable_by_age), struct homa_rpc, out.by_age);
	}
	return heap_item(heap_first(&homa->sendable), struct homa_rpc, out.by_remaining);
}

void homa_send_run(struct homa *homa)
{
	while (heap_first(&homa->sendable) && link_is_free(homa)) {
		struct homa_rpc *rpc = pick(homa);

		send_one(homa, rpc);
		enqueue(homa, rpc);
	}
}

uint64_t homa_send_next(const struct homa *homa)
{
	uint64_t ahead = homa->params.max_nic_est_backlog_usecs * 1000ull;

	if (!heap_first(&homa->sendable))
		return UINT64_MAX;
	return homa->link_idle_ns > ahead ? homa->link_idle_ns - ahead : 0;
}

void homa_send_start(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->out.length < homa->params.defer_min_bytes) {
		while (has_something_to_send(&rpc->out))
			send_one(homa, rpc);
		return;
	}
	enqueue(homa, rpc);
	homa_send_run(homa);
}

void homa_send_granted(struct homa *homa, struct homa_rpc *rpc, uint32_t offset, uint8_t priority)
{
	struct homa_message_out *out = &rpc->out;

	offset = minimum(offset, out->length);
	out->priority = priority;
	if (offset > out->granted)
		out->granted = offset;
	homa_send_start(homa, rpc);
}

void homa_send_again(struct homa *homa, struct homa_rpc *rpc, uint32_t start, uint32_t end, uint8_t priority)
{
	struct homa_message_out *out = &rpc->out;

	end = minimum(end, out->sent);
	if (start >= end)
		return;
	out->resend_priority = priority;
	start = homa_segment_start(start, out->unscheduled, out->segment);
	end = homa_segment_end(homa_segment_start(end - 1, out->unscheduled, out->segment), out->unscheduled,
			       out->segment, out->length);
	/* Where memory is short the peer has to ask again. */
	if (ranges_add(&out->resend, start, end))
		homa_send_start(homa, rpc);
}
