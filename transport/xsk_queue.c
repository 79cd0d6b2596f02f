// SPDX-License-Identifier: BSD-2-Clause
/* Making and binding an AF_XDP socket (Documentation/networking/af_xdp.rst). */
#include "xsk_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define SEND_BUFFER_BYTES (4 << 20) /* copy mode charges an skb per queued frame */

static int open_memory(struct xsk_queue *queue, const struct xsk_queue_options *options)
{
	void *memory;

	queue->frame_bytes = options->frame_bytes;
	queue->memory_bytes = (size_t)options->frames * options->frame_bytes;
	memory = mmap(NULL, queue->memory_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	queue->memory = memory;
	return 0;
}

static int open_umem(struct xsk_queue *queue, const struct xsk_queue_options *options)
{
	struct xsk_umem_config config = {
		/* More than will ever be in it: who fills it needs to look at the kernel's index rarely. */
		.fill_size = 2 * options->entries,
		.comp_size = options->entries,
		.frame_size = options->frame_bytes,
	};
	static const int send_buffer = SEND_BUFFER_BYTES;
	int error = xsk_umem__create(&queue->umem, queue->memory, queue->memory_bytes, &queue->fill,
				     &queue->completion, &config);

	if (error)
		return error;
	queue->fd = xsk_umem__fd(queue->umem);
	fcntl(queue->fd, F_SETFD, FD_CLOEXEC);
	/* Without CAP_NET_ADMIN the system's default stays, which is enough for about 60 frames. */
	setsockopt(queue->fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof(send_buffer));
	return 0;
}

static int open_socket(struct xsk_queue *queue, const struct xsk_queue_options *options)
{
	struct xsk_socket_config config = {
		.rx_size = options->entries,
		.tx_size = options->entries,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = options->flags,
	};

	return xsk_socket__create(&queue->socket, options->device, options->queue, queue->umem,
				  &queue->receive, options->transmits ? &queue->transmit : NULL, &config);
}

int xsk_queue_open(struct xsk_queue *queue, const struct xsk_queue_options *options)
{
	int error;

	*queue = (struct xsk_queue){ .fd = -1 };
	error = open_memory(queue, options);
	if (error)
		return error;
	error = open_umem(queue, options);
	if (error)
		goto close_memory;
	error = open_socket(queue, options);
	if (error)
		goto close_umem;
	return 0;
close_umem:
	xsk_umem__delete(queue->umem);
close_memory:
	munmap(queue->memory, queue->memory_bytes);
	return error;
}

void xsk_queue_close(struct xsk_queue *queue)
{
	xsk_socket__delete(queue->socket);
	xsk_umem__delete(queue->umem);
	munmap(queue->memory, queue->memory_bytes);
}

void xsk_queue_fill(struct xsk_queue *queue, uint32_t frames)
{
	uint32_t index = 0;

	xsk_ring_prod__reserve(&queue->fill, frames, &index);
	for (uint32_t i = 0; i < frames; i++)
		*xsk_ring_prod__fill_addr(&queue->fill, index + i) = (uint64_t)i * queue->frame_bytes;
	xsk_ring_prod__submit(&queue->fill, frames);
}

bool xsk_queue_is_zero_copy(const struct xsk_queue *queue)
{
	struct xdp_options options = { 0 };
	socklen_t bytes = sizeof(options);

	return !getsockopt(queue->fd, SOL_XDP, XDP_OPTIONS, &options, &bytes) &&
	       (options.flags & XDP_OPTIONS_ZEROCOPY);
}
