/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a device's link: xsk.c moves packets, xsk_open.c sets it up.
 *
 * Every receive queue has a socket and as many frames as its receive ring has entries, which
 * circulate: fill ring, kernel, receive ring, the engine (held), fill ring. What is
 * sent goes through the first queue's socket, from as many frames again, the last one
 * freed first: it is the warmest.
 */
#ifndef TERN_XSK_LINK_H
#define TERN_XSK_LINK_H

#include "link.h"
#include "link_log.h"
#include "xdp_program.h"
#include "xsk.h"
#include "xsk_device.h"
#include "xsk_queue.h"

struct xsk_link_queue {
	struct xsk_queue xsk;
	uint32_t held_count;
	uint64_t *held; /* frames whose packets the engine was given by the last receive */
};

struct xsk_link {
	struct link link;
	struct xsk_device device;
	uint32_t frames;      /* per queue and to send; also the entries of each ring */
	uint32_t queue_count; /* opened */
	uint32_t next_queue;  /* to receive from first */
	bool zero_copy;
	uint32_t queued; /* written to the transmit ring, not shown to the kernel yet */
	bool unsent;     /* the transmit ring holds what the kernel has not taken */
	uint32_t idle_polls;
	uint32_t free_count;
	uint64_t *free;      /* frames to send from: a stack */
	uint64_t *addresses; /* what free and held point into */
	int epoll_fd;        /* over all sockets, if there are several; else -1 */

	uint64_t received;
	uint64_t receive_invalid; /* packets that the XDP program should not have steered */
	uint64_t sent;
	uint64_t send_full;
	uint64_t send_errors; /* system calls that failed other than by asking to retry */

	struct xdp_program program;
	struct link_log log;
	struct xsk_link_queue queues[]; /* device.queues */
};

extern const struct link_ops xsk_link_ops;

/* As xsk_link_open; with a `tier`, with the program of the in-place tier. */
int xsk_link_open_tier(const struct xsk_link_options *options, const struct xdp_tier *tier,
		       struct link **link);

/* The operations that are not about packets (xsk_open.c); see link.h. */
void xsk_link_describe(const struct link *link, char *buffer, size_t size);
/* The same, with `way` for how packets are received and sent. */
void xsk_link_describe_as(const struct xsk_link *xsk, const char *way, char *buffer, size_t size);
void xsk_link_close(struct link *link);

#endif
