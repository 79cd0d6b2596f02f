/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for messages that the BPF programs read and write too (map_abi.h: the arena),
 * given out in buffers of a few sizes. Chunks are turned into buffers of one size when
 * that size runs out, and are free again when all their buffers are.
 *
 * Used by one thread. Where the memory comes from is not this file's business: it works
 * on any, which is how it is tested.
 */
#ifndef TERN_MESSAGE_ARENA_H /* rpc/ has an arena.h too */
#define TERN_MESSAGE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "map_abi.h"

struct arena;

enum arena_use {
	ARENA_SEND,    /* may take all of it */
	ARENA_RECEIVE, /* leaves the last quarter to messages to send */
};

/*
 * Takes `chunks` chunks, ARENA_STRIDE bytes apart, at `base`, which stays the caller's and
 * outlives the arena. 0, -EINVAL (none, or more than ARENA_MAX_CHUNKS), -ENOMEM.
 */
int arena_create(void *base, uint32_t chunks, struct arena **arena);
void arena_destroy(struct arena *arena);

/* At least `length` bytes, 64-byte aligned, not zeroed: those put back last. NULL when there are none. */
void *arena_get(struct arena *arena, uint32_t length, enum arena_use use);
/* Takes it back; while the arena is pinned, only when it no longer is. */
void arena_put(struct arena *arena, void *data);
/* Bytes that fit into the buffer at `data`, its start. */
uint32_t arena_capacity(const struct arena *arena, const void *data);

/* Whether `data` points into the arena. */
bool arena_holds(const struct arena *arena, const void *data);
/* Where it is, for the programs. `data` must be held. */
uint32_t arena_place(const struct arena *arena, const void *data);
/* The reverse; NULL for a place that is not in the arena: places come out of shared memory. */
void *arena_at(const struct arena *arena, uint32_t place);

/*
 * While it is pinned nothing that is put back is given out again: the send ring refers to
 * messages that their owners may free before it has been sent. Pins are counted.
 */
void arena_pin(struct arena *arena);
void arena_unpin(struct arena *arena);

struct arena_usage {
	uint32_t chunks;      /* in all */
	uint32_t chunks_used; /* that have buffers in use */
	uint64_t buffers;     /* in use, with those that wait to be unpinned */
	uint64_t refused;     /* since the start */
};
void arena_usage_get(const struct arena *arena, struct arena_usage *usage);

#endif
