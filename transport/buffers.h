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
 * A buffer's size is found from its address alone.
 *
 * Where XDP puts messages together, an arena (arena.h) is the first choice and what is
 * described above the second. It is allocated once and for all, and so in none of the
 * three sums; a peer that announces a megabyte has one of it, until the arena's part for
 * receiving is used up.
 */
#ifndef TERN_BUFFERS_H
#define TERN_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#define BUFFERS_CLASSES     5
#define BUFFERS_MAX_LENGTH  (1u << 20)
#define BUFFERS_MIN_MEMORY  (8ull << 20)
#define BUFFERS_MAX_MEMORY  (1ull << 40)
#define BUFFERS_PRIVATE_PART 4 /* of the memory: a quarter at least is neither incoming nor an arena */
#define BUFFERS_RESERVATION 4 /* address space for each size, as a multiple of the memory */

struct arena;
struct buffers;

/*
 * `memory`: all in all, BUFFERS_MIN_MEMORY..BUFFERS_MAX_MEMORY bytes; `incoming`: the part
 * that the core accounts for, at most half of it. 0, -EINVAL, -ENOMEM.
 */
int buffers_create(uint64_t memory, uint64_t incoming, struct buffers **buffers);
void buffers_destroy(struct buffers *buffers);

/*
 * From now on buffers come from the arena while it has any. To be called once; what was got
 * before stays where it is, and the arena must live until buffers_destroy. Its bytes are
 * part of `memory`. Nothing changes on -EINVAL, when they are more than
 * buffers_arena_limit, and on -EBUSY, when they would leave too little for what is
 * committed now.
 */
int buffers_set_arena(struct buffers *buffers, struct arena *arena);
/* The most that an arena may have, in bytes: BUFFERS_PRIVATE_PART is left beside incoming. */
uint64_t buffers_arena_limit(const struct buffers *buffers);
/* A buffer that somebody got from the arena itself is from now on as one got from here. */
void buffers_adopt(struct buffers *buffers, const void *data);

/* A buffer that will be filled with `length` bytes, 16-byte aligned; NULL when there is no memory. */
void *buffers_get(struct buffers *buffers, uint32_t length);
/* One for a message that has begun to arrive. */
void *buffers_get_incoming(struct buffers *buffers, uint32_t length);
/* That message is complete: `length` bytes are there. */
void buffers_commit(struct buffers *buffers, const void *data, uint32_t length);
/* Takes a buffer of either kind back. */
void buffers_put(struct buffers *buffers, void *data);

/* True when so much is committed that what arrives should be shed. What is in the arena does not count. */
bool buffers_full(const struct buffers *buffers);

struct buffers_usage {
	uint64_t committed; /* bytes */
	uint64_t warm;
	uint64_t in_use;    /* buffers, of the arena too */
	uint64_t refused;   /* since the start */
};
void buffers_usage_get(const struct buffers *buffers, struct buffers_usage *usage);

#endif
