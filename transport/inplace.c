// SPDX-License-Identifier: BSD-2-Clause
/* An in-place link at work. */
#include "inplace.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <bpf/libbpf.h>

#include "homa_core.h"
#include "inplace_link.h"
#include "net_headers.h"

static struct inplace_link *of(struct link *link)
{
	return (struct inplace_link *)link;
}

/* ---- sending ---- */

static uint64_t coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Between two flushes all packets go the same way, so that they stay in order. */
static void choose_way(struct inplace_link *inplace)
{
	uint64_t now_ns = coarse_ns();

	if (now_ns < inplace->check_ns)
		return;
	inplace->check_ns = now_ns + INPLACE_CHECK_NS;
	if (inplace->has_tap)
		inplace->to_tap = tap_usable(&inplace->tap);
}

static int send_packet(struct link *link, const struct link_destination *to, uint8_t protocol,
		       uint8_t traffic_class, const void *header, uint32_t header_length, const void *payload,
		       uint32_t payload_length)
{
	struct inplace_link *inplace = of(link);
	uint32_t length = header_length + payload_length;

	if (length < header_length || length > link->mtu ||
	    length + net_ip_header_bytes(&to->remote) > link->mtu)
		return -EMSGSIZE;
	if (!inplace->queued)
		choose_way(inplace);
	inplace->queued = true;
	if (inplace->to_tap)
		return tap_send(&inplace->tap, to, protocol, traffic_class, header, header_length, payload,
				payload_length);
	return inplace->xsk->link.ops->send(&inplace->xsk->link, to, protocol, traffic_class, header,
					    header_length, payload, payload_length);
}

static void flush(struct link *link)
{
	struct inplace_link *inplace = of(link);
	struct link *xsk = &inplace->xsk->link;

	if (inplace->queued && inplace->to_tap) {
		tap_flush(&inplace->tap);
		inplace->to_tap = !inplace->tap.broken;
		if (!inplace->to_tap)
			link_logf(&inplace->log, TERN_LOG_WARNING,
				  "the tap is gone: packets are sent by AF_XDP from now on");
	}
	inplace->queued = false;
	xsk->ops->flush(xsk); /* which may have kept some from before */
	if (xsk->failed)
		link->failed = xsk->failed;
}

/* ---- receiving ---- */

/* Whether the program has used all buffers. Few packets at a time cannot: its counter is left in peace then. */
static bool ran_dry(const struct inplace_queue *queue, uint64_t used)
{
	return used - queue->refilled_at >= RECEIVE_MANY &&
	       __atomic_load_n(&queue->ring->buffers_used, __ATOMIC_ACQUIRE) == queue->given;
}

static void adapt(struct inplace_link *inplace, struct inplace_queue *queue, uint64_t used)
{
	if (ran_dry(queue, used)) {
		inplace->dry++;
		if (queue->target < RECEIVE_RING_ENTRIES)
			queue->target *= 2;
	} else if (used < queue->calm_end) {
		return;
	} else if (queue->target > RECEIVE_BUFFERS) {
		queue->target /= 2;
	}
	queue->calm_end = used + RECEIVE_CALM;
}

void inplace_refill(struct inplace_link *inplace, struct inplace_queue *queue)
{
	struct receive_ring *ring = queue->ring;
	uint64_t used = queue->used;
	void *buffer;

	if (queue->given)
		adapt(inplace, queue, used);
	queue->refilled_at = used;
	while (queue->given - used < queue->target) {
		buffer = arena_get(inplace->datapath->arena, inplace->buffer_bytes, ARENA_RECEIVE);
		if (!buffer)
			break;
		ring->buffers[queue->given % RECEIVE_RING_ENTRIES] =
			arena_place(inplace->datapath->arena, buffer);
		queue->given++;
	}
	__atomic_store_n(&ring->buffers_given, queue->given, __ATOMIC_RELEASE);
}

bool inplace_take(struct inplace_link *inplace, const struct received *entry, struct link_packet *packet)
{
	uint8_t flags = entry->flags & (RECEIVED_IN_BUFFER | RECEIVED_PLACED);

	memcpy(packet->source.b, entry->source, sizeof(packet->source.b));
	memcpy(packet->destination.b, entry->destination, sizeof(packet->destination.b));
	packet->protocol = entry->protocol;
	packet->traffic_class = entry->traffic_class;
	packet->data = entry->header;
	packet->length = entry->length;
	packet->where = LINK_FOLLOWS;
	packet->payload = NULL;
	if (!flags)
		return packet->length <= RECEIVE_HEADER_BYTES;
	if (packet->length <= sizeof(struct homa_data_header))
		return false;
	packet->where = flags == RECEIVED_PLACED ? LINK_PLACED : LINK_BUFFER;
	packet->placement = entry->placement;
	packet->payload = arena_at(inplace->datapath->arena, entry->place);
	return packet->payload;
}

static unsigned receive_queue(struct inplace_link *inplace, struct inplace_queue *queue,
			      struct link_packet *packets, unsigned max)
{
	const struct receive_ring *ring = queue->ring;
	uint64_t produced = __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE);
	unsigned count = 0;

	for (; queue->next != produced && count < max; queue->next++) {
		const struct received *next = &ring->entries[(queue->next + 1) % RECEIVE_RING_ENTRIES];

		/* Not one that is still to be written: it would be taken away from its writer. */
		if (queue->next + 1 != produced) {
			__builtin_prefetch(next);
			__builtin_prefetch(next->header + 24);
		}
		if (!inplace_take(inplace, &ring->entries[queue->next % RECEIVE_RING_ENTRIES],
				  &packets[count])) {
			inplace->invalid++;
			continue;
		}
		if (packets[count].where == LINK_BUFFER) {
			__builtin_prefetch(packets[count].payload);
			queue->used++;
		}
		count++;
	}
	return count;
}

static unsigned receive(struct link *link, struct link_packet *packets, unsigned max)
{
	struct inplace_link *inplace = of(link);
	struct link *xsk = &inplace->xsk->link;
	uint32_t queue = inplace->next_queue;
	unsigned count = 0;

	for (uint32_t i = 0; i < inplace->queue_count && count < max; i++) {
		count += receive_queue(inplace, &inplace->queues[queue], packets + count, max - count);
		if (++queue == inplace->queue_count)
			queue = 0;
	}
	if (++inplace->next_queue >= inplace->queue_count)
		inplace->next_queue = 0;
	inplace->delivered += count;
	if (count < max)
		count += xsk->ops->receive(xsk, packets + count, max - count);
	if (xsk->failed)
		link->failed = xsk->failed;
	return count;
}

void inplace_take_back(struct inplace_link *inplace, const struct link_packet *packet)
{
	const struct homa_data_header *header = (const void *)packet->data;

	if (!packet->payload)
		return;
	if (packet->where == LINK_BUFFER) {
		arena_put(inplace->datapath->arena, packet->payload);
	} else if (packet->where == LINK_PLACED) {
		placement_unclaim(&inplace->datapath->placements, packet->placement, homa_data_offset(header),
				  packet->length - (uint32_t)sizeof(*header));
		inplace->unclaimed++;
	}
}

static void release(struct link *link, const struct link_packet *packets, unsigned count)
{
	struct inplace_link *inplace = of(link);

	for (unsigned i = 0; i < count; i++)
		inplace_take_back(inplace, &packets[i]);
	for (uint32_t i = 0; i < inplace->queue_count; i++) {
		struct inplace_queue *queue = &inplace->queues[i];

		if (queue->ring->consumed == queue->next)
			continue;
		__atomic_store_n(&queue->ring->consumed, queue->next, __ATOMIC_RELEASE);
		inplace_refill(inplace, queue);
	}
}

/* ---- waiting ---- */

static int pollable_fd(const struct link *link)
{
	const struct inplace_link *inplace = (const struct inplace_link *)link;

	return inplace->epoll_fd >= 0 ? inplace->epoll_fd : inplace->xsk->link.ops->fd(&inplace->xsk->link);
}

/* The program wakes who sleeps once: each time before sleeping, it has to be told again. */
static bool watch(struct link *link, bool on)
{
	struct inplace_link *inplace = of(link);
	bool pending = false;

	if (!inplace->queue_count)
		return false;
	if (on || inplace->watched)
		ring_buffer__consume(inplace->wake);
	inplace->watched = on;
	for (uint32_t i = 0; i < inplace->queue_count; i++)
		__atomic_store_n(&inplace->queues[i].ring->sleeping, on, __ATOMIC_SEQ_CST);
	/* What came before that wakes nobody. */
	for (uint32_t i = 0; on && i < inplace->queue_count; i++)
		pending |= __atomic_load_n(&inplace->queues[i].ring->produced, __ATOMIC_SEQ_CST) !=
			   inplace->queues[i].next;
	return pending;
}

/* ---- counting ---- */

static void counters(struct link *link, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	static const char *const names[] = {
#define X(id, name) #name,
		DATAPATH_IN_PLACE_COUNTERS(X)
#undef X
	};
	struct inplace_link *inplace = of(link);
	struct datapath_counters xdp;

	inplace->xsk->link.ops->counters(&inplace->xsk->link, each, ctx);
	xdp_program_counters(&inplace->xsk->program, &xdp);
	for (int i = 0; i < DATAPATH_ALL_COUNTERS_USED - DATAPATH_COUNTERS_USED; i++)
		each(ctx, names[i], xdp.value[DATAPATH_COUNTERS_USED + i]);
	each(ctx, "inplace_received", inplace->delivered);
	each(ctx, "inplace_invalid", inplace->invalid);
	each(ctx, "inplace_unclaimed", inplace->unclaimed);
	each(ctx, "inplace_dry", inplace->dry);
	if (inplace->has_tap)
		tap_counters(&inplace->tap, each, ctx);
}

const struct link_ops inplace_link_ops = {
	.send = send_packet,
	.flush = flush,
	.receive = receive,
	.release = release,
	.fd = pollable_fd,
	.watch = watch,
	.describe = inplace_link_describe,
	.counters = counters,
	.close = inplace_link_close,
};
