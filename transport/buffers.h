/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for messages: contiguous buffers of five sizes, out of one mapping for each
 * size. Address space is reserved generously and costs nothing; what is bounded is the
 * memory that is touched, so that a peer which announces a megabyte and sends one byte
 * costs a page.
 *
 *	memory = incoming + warm + committed
 *
 *	incoming   messages not yet complete. The core counts the bytes received and gives
 *	           the oldest up (max_incoming_memory); a buffer got for one costs nothing
 *	           here until buffers_commit says that the message is complete.
 *	warm       pages of free buffers, kept because touching new ones costs a page fault:
 *	           an eighth of the memory. Beyond that they go back to the kernel.
 *	committed  messages being sent, and received ones in the application's hands, in
 *	           whole pages. The smallest buffers are never given back, and stay in this
 *	           sum once they have been used: at most a quarter of the memory.
 *
 * The last quarter of what may be committed is for messages to send: received ones that
 * nobody frees must not prevent the answers that would free them.
 *
 * A buffer's size is found from its address alone. Nothing here relies on anonymous
 * memory: the mappings can be those of BPF arrays, in which XDP delivers.
 */
#ifndef TERN_BUFFERS_H
#define TERN_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#define BUFFERS_CLASSES     5
#define BUFFERS_MAX_LENGTH  (1u << 20)
#define BUFFERS_MIN_MEMORY  (8ull << 20)
#define BUFFERS_MAX_MEMORY  (1ull << 40)
#define BUFFERS_RESERVATION 4 /* address space for each size, as a multiple of the memory */

struct buffers;

/*
 * `memory`: all in all, BUFFERS_MIN_MEMORY..BUFFERS_MAX_MEMORY bytes; `incoming`: the part
 * that the core accounts for, at most half of it. 0, -EINVAL, -ENOMEM.
 */
int buffers_create(uint64_t memory, uint64_t incoming, struct buffers **buffers);
void buffers_destroy(struct buffers *buffers);

/* A buffer that will be filled with `length` bytes, 16-byte aligned; NULL when there is no memory. */
void *buffers_get(struct buffers *buffers, uint32_t length);
/* One for a message that has begun to arrive. */
void *buffers_get_incoming(struct buffers *buffers, uint32_t length);
/* That message is complete: `length` bytes are there. */
void buffers_commit(struct buffers *buffers, const void *data, uint32_t length);
/* Takes a buffer of either kind back. */
void buffers_put(struct buffers *buffers, void *data);

/* True when so much is committed that what arrives should be shed. */
bool buffers_full(const struct buffers *buffers);

struct buffers_usage {
	uint64_t committed; /* bytes */
	uint64_t warm;
	uint64_t in_use;    /* buffers */
	uint64_t refused;   /* since the start */
};
void buffers_usage_get(const struct buffers *buffers, struct buffers_usage *usage);

#endif
