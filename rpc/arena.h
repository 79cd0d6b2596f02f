/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arenas from within. Memory comes from a base region (embedded in the owner, or in the
 * arena's own allocation) and then from chunks; one chunk survives a reset.
 *
 *	base    [##########......]        at..end: what is free in the current region
 *	chunks  [################] -> [################]
 *	spare   [                ]        the largest chunk of before the reset
 */
#ifndef TERN_ARENA_H
#define TERN_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "tern.h"

#define ARENA_ALIGNMENT 16
#define ARENA_CHUNK_MIN 4096 /* bytes of a chunk, at least */

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of data */
	_Alignas(ARENA_ALIGNMENT) uint8_t data[];
};

struct tern_arena {
	ProtobufCAllocator allocator;
	uint8_t *at;
	uint8_t *end;
	uint8_t *base;
	size_t base_size;
	struct arena_chunk *chunks;
	struct arena_chunk *spare;
};

/* What an allocation of `size` takes; `size` is at most SIZE_MAX - ARENA_ALIGNMENT. */
static inline size_t arena_rounded(size_t size)
{
	return (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
}

/* `base` is 16-byte aligned and outlives the arena. */
void arena_init(struct tern_arena *arena, void *base, size_t base_size);
/* Frees the chunks; the arena's own memory and its base are the caller's. */
void arena_release(struct tern_arena *arena);
/* The next `size` bytes of allocations need no further memory. -ENOMEM. */
int arena_reserve(struct tern_arena *arena, size_t size);
/* Frees the chunk that the last reset kept. */
void arena_trim(struct tern_arena *arena);

#endif
