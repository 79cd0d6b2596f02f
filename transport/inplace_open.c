// SPDX-License-Identifier: BSD-2-Clause
/* Opening and closing an in-place link. */
#include "inplace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>

#include "homa_core.h"
#include "inplace_link.h"

#define SETTLE_NS 20000000 /* by which a program that has been detached is through */

static int ignore_wake(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

static int open_epoll(struct inplace_link *inplace)
{
	const int fds[] = { inplace->xsk->link.ops->fd(&inplace->xsk->link),
			    xdp_program_wake_fd(&inplace->xsk->program) };
	struct epoll_event event = { .events = EPOLLIN };

	inplace->wake = ring_buffer__new(fds[1], ignore_wake, NULL, NULL);
	if (!inplace->wake)
		return -errno;
	inplace->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (inplace->epoll_fd < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (epoll_ctl(inplace->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			return -errno;
	return 0;
}

/* Maps the receive rings, and gives each its first buffers. */
static int open_rings(struct inplace_link *inplace)
{
	uint32_t count = inplace->xsk->queue_count;
	void *memory = mmap(NULL, count * sizeof(*inplace->rings), PROT_READ | PROT_WRITE, MAP_SHARED,
			    xdp_program_rings_fd(&inplace->xsk->program), 0);

	if (memory == MAP_FAILED)
		return -errno;
	inplace->rings = memory;
	for (inplace->queue_count = 0; inplace->queue_count < count; inplace->queue_count++) {
		struct inplace_queue *queue = &inplace->queues[inplace->queue_count];

		queue->ring = &inplace->rings[inplace->queue_count];
		queue->target = RECEIVE_BUFFERS;
		inplace_refill(inplace, queue);
	}
	return inplace->queues[0].given ? 0 : -ENOMEM;
}

static void open_tap(struct inplace_link *inplace)
{
	/* A driver with zero-copy is fastest by it. */
	if (!(inplace->parts & TERN_PART_TAP) || inplace->xsk->zero_copy)
		return;
	inplace->has_tap = !tap_open(&inplace->tap, &inplace->xsk->device, inplace->datapath, &inplace->log);
	if (!inplace->has_tap) {
		link_logf(&inplace->log, TERN_LOG_WARNING, "packets are sent by AF_XDP, which takes longer");
		return;
	}
	if (!(inplace->parts & TERN_PART_PUMP))
		inplace->tap.pump_from = TAP_NO_PUMP;
	inplace->to_tap = tap_usable(&inplace->tap);
}

static int set_up(struct inplace_link *inplace)
{
	int error = 0;

	if (inplace->parts & TERN_PART_RECEIVE) {
		error = open_rings(inplace);
		if (!error)
			error = open_epoll(inplace);
	}
	if (error)
		link_logf(&inplace->log, TERN_LOG_ERROR, "receiving in place cannot be set up: %s",
			  strerror(-error));
	else
		open_tap(inplace);
	return error;
}

int inplace_link_open(const struct xsk_link_options *options, struct datapath *datapath, unsigned parts,
		      struct link **link)
{
	struct xsk_link_options native = *options;
	struct link_log log = { .write = options->log, .ctx = options->log_ctx };
	struct xsk_device device;
	struct xdp_tier tier = { .datapath = datapath };
	struct inplace_link *inplace;
	struct link *xsk;
	int error = xsk_device_query(&device, options->ifindex, &log);

	if (error)
		return error;
	if (parts & TERN_PART_RECEIVE)
		tier.parts = DELIVER_TO_RING | (parts & TERN_PART_PLACE ? DELIVER_IN_PLACE : 0);
	tier.buffer_bytes = device.mtu;
	native.mode = TERN_XDP_NATIVE;
	error = xsk_link_open_tier(&native, &tier, &xsk);
	if (error)
		return error;
	inplace = calloc(1, sizeof(*inplace) +
				    ((struct xsk_link *)xsk)->queue_count * sizeof(inplace->queues[0]));
	if (!inplace) {
		xsk->ops->close(xsk);
		return -ENOMEM;
	}
	inplace->link = *xsk;
	inplace->link.ops = &inplace_link_ops;
	if (inplace->link.max_mtu > INPLACE_MAX_MTU)
		inplace->link.mtu = inplace->link.max_mtu = INPLACE_MAX_MTU;
	inplace->xsk = (struct xsk_link *)xsk;
	inplace->datapath = datapath;
	inplace->log = log;
	inplace->parts = parts;
	inplace->buffer_bytes = tier.buffer_bytes;
	inplace->epoll_fd = -1;
	error = set_up(inplace);
	if (error) {
		inplace_link_close(&inplace->link);
		return error;
	}
	*link = &inplace->link;
	return 0;
}

/*
 * A detached program may still be running on another CPU. The kernel waits for all that
 * run now if it is asked for a barrier on all CPUs.
 */
static void wait_for_programs(void)
{
	const struct timespec settle = { .tv_nsec = SETTLE_NS };

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&settle, NULL);
}

/* Puts back the buffers that nobody else has, and leaves no message waiting for what was not told of. */
static void close_queue(struct inplace_link *inplace, struct inplace_queue *queue)
{
	const struct receive_ring *ring = queue->ring;
	struct link_packet packet;
	void *buffer;

	for (; queue->next != ring->produced; queue->next++)
		if (inplace_take(inplace, &ring->entries[queue->next % RECEIVE_RING_ENTRIES], &packet))
			inplace_take_back(inplace, &packet);
	for (uint64_t i = ring->buffers_used; i != queue->given; i++) {
		buffer = arena_at(inplace->datapath->arena, ring->buffers[i % RECEIVE_RING_ENTRIES]);
		if (buffer)
			arena_put(inplace->datapath->arena, buffer);
	}
}

void inplace_link_close(struct link *link)
{
	struct inplace_link *inplace = (struct inplace_link *)link;

	xdp_program_detach(&inplace->xsk->program);
	if (inplace->has_tap)
		tap_close(&inplace->tap);
	if (inplace->rings) {
		wait_for_programs();
		while (inplace->queue_count)
			close_queue(inplace, &inplace->queues[--inplace->queue_count]);
		munmap(inplace->rings, inplace->xsk->queue_count * sizeof(*inplace->rings));
	}
	ring_buffer__free(inplace->wake);
	if (inplace->epoll_fd >= 0)
		close(inplace->epoll_fd);
	inplace->xsk->link.ops->close(&inplace->xsk->link);
	free(inplace);
}

void inplace_link_describe(const struct link *link, char *buffer, size_t size)
{
	const struct inplace_link *inplace = (const struct inplace_link *)link;
	const char *receiving = inplace->rings ? "in place" : "AF_XDP receive";
	char way[128];

	if (!inplace->has_tap)
		snprintf(way, sizeof(way), "%s, AF_XDP transmit", receiving);
	else if (!inplace->to_tap)
		snprintf(way, sizeof(way), "%s, AF_XDP transmit%s", receiving,
			 inplace->tap.broken ? " (the tap is gone)"
					     : " for now (the device takes no redirected frames)");
	else if (inplace->tap.pump_from == TAP_NO_PUMP)
		snprintf(way, sizeof(way), "%s, tap", receiving);
	else
		snprintf(way, sizeof(way), "%s, tap with pump from %u frames", receiving,
			 inplace->tap.pump_from);
	xsk_link_describe_as(inplace->xsk, way, buffer, size);
}
