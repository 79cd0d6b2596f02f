// SPDX-License-Identifier: BSD-2-Clause
/* A device's link at work: packets in and out of the rings. Nothing here allocates or blocks. */
#include "xsk.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "net_headers.h"
#include "xsk_link.h"

#define MAX_KICKS       16  /* system calls per flush: copy mode takes 32 frames in each */
#define IDLE_CHECK_MASK 255 /* empty polls between two looks at the device */

static struct xsk_link *of(struct link *link)
{
	return (struct xsk_link *)link;
}

/* Takes back the frames that the kernel has sent. */
static void reap(struct xsk_link *xsk)
{
	struct xsk_ring_cons *ring = &xsk->queues[0].xsk.completion;
	uint32_t index = 0;
	uint32_t count = xsk_ring_cons__peek(ring, ring->size, &index);

	if (!count)
		return;
	for (uint32_t i = 0; i < count; i++)
		xsk->free[xsk->free_count++] = *xsk_ring_cons__comp_addr(ring, index + i);
	xsk_ring_cons__release(ring, count);
}

/* True if the kernel may take more at once, after it answered a kick with `error`. */
static bool kick_failed_for_now(struct xsk_link *xsk, int error)
{
	switch (error) {
	case EAGAIN: /* a batch is done, or there is no memory for more */
		return true;
	case EBUSY: /* completion ring full, or driver busy: the next flush tries again */
	case ENOBUFS:
		return false;
	case ENXIO: /* unbound: the device is gone */
	case ENODEV:
		xsk->link.failed = -ENODEV;
		break;
	}
	xsk->send_errors++;
	return false;
}

/* Entries of the transmit ring that the kernel has not taken yet. */
static uint32_t untaken(struct xsk_ring_prod *ring)
{
	return ring->size - xsk_prod_nb_free(ring, ring->size);
}

static void flush(struct link *link)
{
	struct xsk_link *xsk = of(link);
	struct xsk_queue *queue = &xsk->queues[0].xsk;
	struct xsk_ring_prod *ring = &queue->transmit;
	uint32_t before, left;

	if (!xsk->unsent)
		return;
	xsk_ring_prod__submit(ring, xsk->queued);
	xsk->queued = 0;
	left = untaken(ring);
	for (int kicks = 0; left && kicks < MAX_KICKS; kicks++) {
		if (!xsk_ring_prod__needs_wakeup(ring))
			break;
		if (sendto(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && !kick_failed_for_now(xsk, errno))
			break;
		before = left;
		left = untaken(ring);
		if (left == before)
			break;
		reap(xsk);
	}
	xsk->unsent = left;
	reap(xsk);
}

/* The next descriptor to send by, its frame set. NULL if the kernel takes no more for now. */
static struct xdp_desc *next_to_send(struct link *link)
{
	struct xsk_link *xsk = of(link);
	struct xsk_ring_prod *ring = &xsk->queues[0].xsk.transmit;
	struct xdp_desc *descriptor;
	uint32_t index;

	if (!xsk->free_count || !xsk_prod_nb_free(ring, 1)) {
		flush(link);
		if (!xsk->free_count || !xsk_prod_nb_free(ring, 1))
			return NULL;
	}
	xsk_ring_prod__reserve(ring, 1, &index);
	descriptor = xsk_ring_prod__tx_desc(ring, index);
	descriptor->addr = xsk->free[--xsk->free_count];
	descriptor->options = 0;
	xsk->queued++;
	xsk->unsent = true;
	return descriptor;
}

static int send_packet(struct link *link, const struct link_destination *to, uint8_t protocol,
		       uint8_t traffic_class, const void *header, uint32_t header_length, const void *payload,
		       uint32_t payload_length)
{
	struct xsk_link *xsk = of(link);
	uint32_t length = header_length + payload_length;
	struct xdp_desc *descriptor;
	uint8_t *frame, *at;

	if (length < header_length || length > link->mtu ||
	    length + net_ip_header_bytes(&to->remote) > link->mtu)
		return -EMSGSIZE;
	descriptor = next_to_send(link);
	if (!descriptor) {
		xsk->send_full++;
		return -ENOBUFS;
	}
	frame = xsk_umem__get_data(xsk->queues[0].xsk.memory, descriptor->addr);
	at = frame + frame_write_header(frame, to, protocol, traffic_class, length);
	memcpy(at, header, header_length);
	if (payload_length)
		memcpy(at + header_length, payload, payload_length);
	if (protocol == NET_PROTOCOL_TCP)
		frame_write_tcp_checksum(at, length, to);
	descriptor->len = (uint32_t)(at - frame) + length;
	xsk->sent++;
	return 0;
}

/* Gives the frames of the last receive back to the kernel. */
static void recycle(struct xsk_link *xsk, struct xsk_link_queue *queue)
{
	struct xsk_ring_prod *ring = &queue->xsk.fill;
	uint32_t index = 0;

	if (queue->held_count) {
		/* There is room: the queue has no more frames than the ring has entries. */
		xsk_ring_prod__reserve(ring, queue->held_count, &index);
		for (uint32_t i = 0; i < queue->held_count; i++)
			*xsk_ring_prod__fill_addr(ring, index + i) = queue->held[i];
		xsk_ring_prod__submit(ring, queue->held_count);
		queue->held_count = 0;
	}
	/* Asked even when nothing was refilled: the driver may have run dry just before the refill. */
	if (xsk->zero_copy && xsk_ring_prod__needs_wakeup(ring))
		recvfrom(queue->xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static unsigned receive_queue(struct xsk_link *xsk, struct xsk_link_queue *queue, struct link_packet *packets,
			      unsigned max)
{
	struct xsk_ring_cons *ring = &queue->xsk.receive;
	uint8_t *memory = queue->xsk.memory;
	const uint64_t frame_mask = ~(uint64_t)(queue->xsk.frame_bytes - 1);
	uint32_t available, index = 0;
	unsigned count = 0;

	recycle(xsk, queue);
	available = xsk_ring_cons__peek(ring, max, &index);
	if (!available)
		return 0;
	for (uint32_t i = 0; i < available; i++) {
		const struct xdp_desc *descriptor = xsk_ring_cons__rx_desc(ring, index + i);
		const uint8_t *frame = xsk_umem__get_data(memory, descriptor->addr);

		if (i + 1 < available)
			__builtin_prefetch(memory + xsk_ring_cons__rx_desc(ring, index + i + 1)->addr);
		queue->held[queue->held_count++] = descriptor->addr & frame_mask;
		if (frame_parse(frame, descriptor->len, xsk->device.mac, &packets[count]))
			count++;
		else
			xsk->receive_invalid++;
	}
	xsk_ring_cons__release(ring, available);
	return count;
}

/* A device that goes away leaves an error on its sockets, and wakes nobody who spins. */
static void check_device(struct xsk_link *xsk)
{
	socklen_t bytes = sizeof(int);
	int error = 0;

	if (!getsockopt(xsk->queues[0].xsk.fd, SOL_SOCKET, SO_ERROR, &error, &bytes) && error)
		xsk->link.failed = -ENODEV;
}

static unsigned receive(struct link *link, struct link_packet *packets, unsigned max)
{
	struct xsk_link *xsk = of(link);
	unsigned count = 0;
	uint32_t queue = xsk->next_queue;

	for (uint32_t i = 0; i < xsk->queue_count && count < max; i++) {
		count += receive_queue(xsk, &xsk->queues[queue], packets + count, max - count);
		if (++queue == xsk->queue_count)
			queue = 0;
	}
	/* Begin with another queue each time, so that a busy one starves none. */
	if (++xsk->next_queue >= xsk->queue_count)
		xsk->next_queue = 0;
	xsk->received += count;
	if (!count && !(++xsk->idle_polls & IDLE_CHECK_MASK))
		check_device(xsk);
	return count;
}

static int pollable_fd(const struct link *link)
{
	const struct xsk_link *xsk = (const struct xsk_link *)link;

	return xsk->epoll_fd >= 0 ? xsk->epoll_fd : xsk->queues[0].xsk.fd;
}

/* The kernel's own statistics, summed over the sockets. */
static struct xdp_statistics socket_statistics(const struct xsk_link *xsk)
{
	struct xdp_statistics sum = { 0 };

	for (uint32_t i = 0; i < xsk->queue_count; i++) {
		struct xdp_statistics one = { 0 };
		socklen_t bytes = sizeof(one);

		if (getsockopt(xsk->queues[i].xsk.fd, SOL_XDP, XDP_STATISTICS, &one, &bytes))
			continue;
		sum.rx_dropped += one.rx_dropped;
		sum.rx_ring_full += one.rx_ring_full;
		sum.rx_fill_ring_empty_descs += one.rx_fill_ring_empty_descs;
		sum.rx_invalid_descs += one.rx_invalid_descs;
		sum.tx_invalid_descs += one.tx_invalid_descs;
	}
	return sum;
}

static void counters(struct link *link, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	static const char *const names[] = {
#define X(id, name) #name,
		DATAPATH_COUNTERS(X)
#undef X
	};
	struct xsk_link *xsk = of(link);
	struct xdp_statistics kernel = socket_statistics(xsk);
	struct datapath_counters xdp;

	xdp_program_counters(&xsk->program, &xdp);
	for (int i = 0; i < DATAPATH_COUNTERS_USED; i++)
		each(ctx, names[i], xdp.value[i]);
	each(ctx, "xsk_received", xsk->received);
	each(ctx, "xsk_receive_invalid", xsk->receive_invalid);
	each(ctx, "xsk_sent", xsk->sent);
	each(ctx, "xsk_send_full", xsk->send_full);
	each(ctx, "xsk_send_errors", xsk->send_errors);
	each(ctx, "xsk_kernel_receive_dropped", kernel.rx_dropped);
	each(ctx, "xsk_kernel_receive_ring_full", kernel.rx_ring_full);
	each(ctx, "xsk_kernel_fill_ring_empty", kernel.rx_fill_ring_empty_descs);
	each(ctx, "xsk_kernel_invalid_descriptors", kernel.rx_invalid_descs + kernel.tx_invalid_descs);
}

const struct link_ops xsk_link_ops = {
	.send = send_packet,
	.flush = flush,
	.receive = receive,
	.fd = pollable_fd,
	.describe = xsk_link_describe,
	.counters = counters,
	.close = xsk_link_close,
};
