/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AF_XDP socket of one device queue, with its rings and its frame memory (UMEM), by
 * libxdp. XDP programs are not libxdp's here: its dispatcher takes freplace, which not
 * every kernel has, and ours is attached by a bpf_link that goes with the process.
 */
#ifndef TERN_XSK_QUEUE_H
#define TERN_XSK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xdp/xsk.h>

struct xsk_queue_options {
	const char *device;
	uint32_t queue;
	uint32_t entries;     /* of the receive, transmit and completion rings: a power of two */
	uint32_t frames;      /* of the frame memory */
	uint32_t frame_bytes; /* 2048 or 4096 */
	uint16_t flags;       /* XDP_COPY, XDP_ZEROCOPY, XDP_USE_NEED_WAKEUP */
	bool transmits;       /* there is a transmit ring */
};

struct xsk_queue {
	int fd;
	uint32_t frame_bytes;
	uint8_t *memory;
	size_t memory_bytes;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_ring_cons receive;
	struct xsk_ring_prod transmit;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
};

/*
 * Opens and binds a socket. The memory is touched, so that no page fault comes later. 0,
 * or a negative errno, and nothing is left open: -EPERM (CAP_NET_RAW is missing),
 * -ENOBUFS (more memory than RLIMIT_MEMLOCK allows), -EBUSY (the queue has a socket),
 * -EINVAL (no such queue), -EOPNOTSUPP, -ENODEV, -ENOMEM, ...
 */
int xsk_queue_open(struct xsk_queue *queue, const struct xsk_queue_options *options);
void xsk_queue_close(struct xsk_queue *queue);

/* Gives the kernel the first `frames` frames, at most `entries`, to receive into. */
void xsk_queue_fill(struct xsk_queue *queue, uint32_t frames);

/* Whether the kernel bound it without copies. */
bool xsk_queue_is_zero_copy(const struct xsk_queue *queue);

#endif
