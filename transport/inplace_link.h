/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of an in-place link: inplace.c moves packets, inplace_open.c sets it up.
 *
 * Every receive queue has a ring of entries and one of free buffers, which is kept filled out
 * of the arena: with RECEIVE_BUFFERS, and twice as many whenever it was found empty, since
 * then bursts are longer than that; half as many again after it has done well for a
 * while, as few buffers stay in the cache.
 */
#ifndef TERN_INPLACE_LINK_H
#define TERN_INPLACE_LINK_H

#include "inplace.h"
#include "link_log.h"
#include "tap.h"
#include "xsk_link.h"

#define RECEIVE_BUFFERS  256          /* per queue, at first */
#define RECEIVE_MANY        32          /* used between two refills: the ring may have run dry */
#define RECEIVE_CALM     (1 << 16)    /* buffers used without running dry, until there are fewer again */
#define INPLACE_CHECK_NS 100000000ull /* between two looks at whether the device takes frames */
#define INPLACE_MAX_MTU  (SEND_MAX_FRAME - 14) /* bytes: the frame with its Ethernet header */

struct inplace_queue {
	struct receive_ring *ring;
	uint64_t next;     /* entry to hand out; those before were, but not all are released */
	uint64_t given;    /* the ring's buffers_given */
	/*
	 * Buffers that were handed out. The ring's buffers_used may be ahead by one of which the
	 * program is still reading where it is: that must not be overwritten yet.
	 */
	uint64_t used;
	uint64_t refilled_at; /* `used` when the ring was last refilled */
	uint32_t target;   /* buffers to keep there */
	uint64_t calm_end; /* by the ring's buffers_used: when there may be fewer */
};

struct inplace_link {
	struct link link;
	struct xsk_link *xsk;
	struct datapath *datapath;
	struct link_log log;
	unsigned parts;
	uint32_t buffer_bytes; /* of a receive buffer */
	int epoll_fd; /* over the xsk link's and the wake map's; -1: packets only come by the xsk link */
	struct ring_buffer *wake;

	bool has_tap;
	bool to_tap; /* packets go there */
	bool queued; /* some wait for flush */
	bool watched;
	uint64_t check_ns; /* when to look again whether the tap can be used */
	struct tap tap;

	uint64_t delivered;
	uint64_t invalid;   /* entries that made no sense */
	uint64_t dry;       /* times that a queue was found without buffers */
	uint64_t unclaimed; /* packets put in place in vain */

	uint32_t next_queue; /* to receive from first */
	uint32_t queue_count;
	struct receive_ring *rings;
	struct inplace_queue queues[];
};

extern const struct link_ops inplace_link_ops;

/* Fills the queue's ring of free buffers up to its target. */
void inplace_refill(struct inplace_link *link, struct inplace_queue *queue);
/* Takes an entry apart; false for one that makes no sense. */
bool inplace_take(struct inplace_link *link, const struct received *entry, struct link_packet *packet);
/* Takes back what the receiver has left of a packet. */
void inplace_take_back(struct inplace_link *link, const struct link_packet *packet);

/* The operations that are not about packets (inplace_open.c); see link.h. */
void inplace_link_describe(const struct link *link, char *buffer, size_t size);
void inplace_link_close(struct link *link);

#endif
