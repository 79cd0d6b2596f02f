/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chunk is vacant, or of one size. What is known about buffers is kept here, not in
 * them, as packets are written to them and applications read them.
 *
 *	size  free    -> slot -> slot       buffers put back, the last one first, of whatever chunk
 *	      filling -> chunk              whose buffers from `begun` on were never used
 *	      idle    -> chunk -> chunk     those without a buffer in use, the longest idle first
 *
 * An idle chunk keeps its size until another size needs a chunk and none is vacant. Taking
 * its buffers off the free list then costs, altogether, no more than getting them did.
 */
#include "message_arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SIZES         6
#define ALIGNMENT     64
#define SLOT_SHIFT    11 /* buffers are longer than this: no two begin in the same 2 KiB */
#define CHUNK_SLOTS   (ARENA_CHUNK_BYTES >> SLOT_SHIFT)
#define OFFSET_MASK   (ARENA_CHUNK_BYTES - 1)
#define RESERVED_PART 4 /* of the chunks: a quarter is not for receiving */

/* The small ones are no multiples of a page: their beginnings spread over the cache's sets. */
static const uint32_t size_bytes[SIZES] = { 2048 + 64, 4096 + 64, 16u << 10,
					    64u << 10, 256u << 10, 1u << 20 };

_Static_assert(ARENA_STRIDE % ALIGNMENT == 0, "chunks begin aligned");

enum slot_state { SLOT_UNUSED = 0, SLOT_FREE, SLOT_USED, SLOT_DEFERRED };

struct slot {
	union {
		LIST_ENTRY(slot) free;
		STAILQ_ENTRY(slot) deferred;
	};
	uint32_t place;
	uint8_t state;
};

struct chunk {
	TAILQ_ENTRY(chunk) entry; /* of the vacant, or of its size's idle ones */
	uint16_t begun;           /* buffers that were in use since it has its size: the first so many */
	uint16_t used;            /* that are in use */
	uint8_t size;
	bool idle;
};

LIST_HEAD(slot_list, slot);
STAILQ_HEAD(slot_queue, slot);
TAILQ_HEAD(chunk_queue, chunk);

struct size {
	uint32_t bytes;
	uint32_t per_chunk;
	struct slot_list free;
	struct chunk_queue idle;
	struct chunk *filling; /* or NULL */
};

struct arena {
	uint8_t *base;
	uint64_t span; /* bytes from `base` on */
	uint32_t chunk_count;
	uint32_t receive_chunks; /* that may be in use when ARENA_RECEIVE takes another into use */
	uint32_t busy;           /* chunks with buffers in use */
	uint32_t pins;
	uint64_t bytes;          /* of all buffers in use */
	uint64_t receive_bytes;
	uint64_t buffers;
	uint64_t refused;
	struct size sizes[SIZES];
	struct chunk_queue vacant;
	struct slot_queue deferred; /* put back while pinned, in that order */
	struct chunk *chunks;
	struct slot *slots; /* CHUNK_SLOTS a chunk; by the place's high bits */
};

int arena_create(void *base, uint32_t chunks, struct arena **arena)
{
	struct arena *new;
	uint32_t i, reserved = chunks / RESERVED_PART;

	if (!chunks || chunks > ARENA_MAX_CHUNKS)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->chunks = calloc(chunks, sizeof(*new->chunks));
	new->slots = calloc((size_t)chunks * CHUNK_SLOTS, sizeof(*new->slots));
	if (!new->chunks || !new->slots) {
		arena_destroy(new);
		return -ENOMEM;
	}
	if (!reserved && chunks > 1)
		reserved = 1;
	new->base = base;
	new->span = (uint64_t)chunks * ARENA_STRIDE;
	new->chunk_count = chunks;
	new->receive_chunks = chunks - reserved;
	new->receive_bytes = (uint64_t)new->receive_chunks << ARENA_CHUNK_SHIFT;
	STAILQ_INIT(&new->deferred);
	TAILQ_INIT(&new->vacant);
	for (i = 0; i < chunks; i++)
		TAILQ_INSERT_TAIL(&new->vacant, &new->chunks[i], entry);
	for (i = 0; i < SIZES; i++) {
		new->sizes[i].bytes = size_bytes[i];
		new->sizes[i].per_chunk = ARENA_CHUNK_BYTES / size_bytes[i];
		LIST_INIT(&new->sizes[i].free);
		TAILQ_INIT(&new->sizes[i].idle);
	}
	*arena = new;
	return 0;
}

void arena_destroy(struct arena *arena)
{
	free(arena->slots);
	free(arena->chunks);
	free(arena);
}

static struct chunk *chunk_of(struct arena *arena, const struct slot *slot)
{
	return &arena->chunks[slot->place >> ARENA_CHUNK_SHIFT];
}

static struct slot *slot_at(const struct arena *arena, uint32_t place)
{
	return &arena->slots[place >> SLOT_SHIFT];
}

/* Whether one more chunk may be taken into use. */
static bool may_occupy(const struct arena *arena, enum arena_use use)
{
	return use == ARENA_SEND || arena->busy < arena->receive_chunks;
}

/* Makes an idle chunk vacant. */
static void vacate(struct arena *arena, struct chunk *chunk)
{
	struct size *size = &arena->sizes[chunk->size];
	uint32_t place = (uint32_t)(chunk - arena->chunks) << ARENA_CHUNK_SHIFT;

	for (uint32_t i = 0; i < chunk->begun; i++, place += size->bytes) {
		struct slot *slot = slot_at(arena, place);

		LIST_REMOVE(slot, free);
		slot->state = SLOT_UNUSED;
	}
	if (size->filling == chunk)
		size->filling = NULL;
	TAILQ_REMOVE(&size->idle, chunk, entry);
	chunk->idle = false;
	TAILQ_INSERT_HEAD(&arena->vacant, chunk, entry);
}

/* The buffer of that size which was put back last; chunks that may not be taken into use are vacated. */
static struct slot *take_free(struct arena *arena, struct size *size, enum arena_use use)
{
	struct slot *slot;

	while ((slot = LIST_FIRST(&size->free))) {
		struct chunk *chunk = chunk_of(arena, slot);

		if (!chunk->idle || may_occupy(arena, use)) {
			LIST_REMOVE(slot, free);
			return slot;
		}
		vacate(arena, chunk);
	}
	return NULL;
}

/* A buffer of that size which was never used. */
static struct slot *take_new(struct arena *arena, struct size *size)
{
	struct chunk *chunk = size->filling;
	struct slot *slot;
	uint32_t place;

	if (!chunk)
		return NULL;
	place = (uint32_t)(chunk - arena->chunks) << ARENA_CHUNK_SHIFT | chunk->begun * size->bytes;
	slot = slot_at(arena, place);
	slot->place = place;
	if (++chunk->begun == size->per_chunk)
		size->filling = NULL;
	return slot;
}

static struct slot *take(struct arena *arena, uint32_t size, enum arena_use use)
{
	struct slot *slot = take_free(arena, &arena->sizes[size], use);

	return slot ? slot : take_new(arena, &arena->sizes[size]);
}

/* The idle chunk that is cheapest to vacate. */
static struct chunk *find_idle(struct arena *arena)
{
	for (unsigned i = SIZES; i--;)
		if (!TAILQ_EMPTY(&arena->sizes[i].idle))
			return TAILQ_FIRST(&arena->sizes[i].idle);
	return NULL;
}

/* Adds a chunk to a size that has no free buffer. */
static bool grow(struct arena *arena, uint32_t size, enum arena_use use)
{
	struct chunk *chunk;

	if (!may_occupy(arena, use))
		return false;
	if (TAILQ_EMPTY(&arena->vacant)) {
		chunk = find_idle(arena);
		if (!chunk)
			return false;
		vacate(arena, chunk);
	}
	chunk = TAILQ_FIRST(&arena->vacant);
	TAILQ_REMOVE(&arena->vacant, chunk, entry);
	chunk->size = (uint8_t)size;
	chunk->begun = 0;
	arena->sizes[size].filling = chunk;
	return true;
}

static void *hand_out(struct arena *arena, struct slot *slot)
{
	struct chunk *chunk = chunk_of(arena, slot);
	struct size *size = &arena->sizes[chunk->size];

	if (chunk->idle) {
		TAILQ_REMOVE(&size->idle, chunk, entry);
		chunk->idle = false;
	}
	if (!chunk->used++)
		arena->busy++;
	slot->state = SLOT_USED;
	arena->buffers++;
	arena->bytes += size->bytes;
	return arena_at(arena, slot->place);
}

void *arena_get(struct arena *arena, uint32_t length, enum arena_use use)
{
	struct slot *slot = NULL;
	uint32_t i = 0;

	while (i < SIZES && size_bytes[i] < length)
		i++;
	if (i < SIZES && (use == ARENA_SEND || arena->bytes + size_bytes[i] <= arena->receive_bytes)) {
		slot = take(arena, i, use);
		if (!slot && grow(arena, i, use))
			slot = take(arena, i, use);
		/* The next size wastes less than not having one. */
		if (!slot && i + 1 < SIZES)
			slot = take(arena, i + 1, use);
	}
	if (!slot) {
		arena->refused++;
		return NULL;
	}
	return hand_out(arena, slot);
}

static void take_back(struct arena *arena, struct slot *slot)
{
	struct chunk *chunk = chunk_of(arena, slot);
	struct size *size = &arena->sizes[chunk->size];

	slot->state = SLOT_FREE;
	LIST_INSERT_HEAD(&size->free, slot, free);
	arena->buffers--;
	arena->bytes -= size->bytes;
	if (--chunk->used)
		return;
	arena->busy--;
	chunk->idle = true;
	TAILQ_INSERT_TAIL(&size->idle, chunk, entry);
}

void arena_put(struct arena *arena, void *data)
{
	uint32_t place = arena_place(arena, data);
	struct slot *slot = slot_at(arena, place);

	assert(slot->state == SLOT_USED && slot->place == place);
	if (arena->pins) {
		slot->state = SLOT_DEFERRED;
		STAILQ_INSERT_TAIL(&arena->deferred, slot, deferred);
		return;
	}
	take_back(arena, slot);
}

uint32_t arena_capacity(const struct arena *arena, const void *data)
{
	return size_bytes[arena->chunks[arena_place(arena, data) >> ARENA_CHUNK_SHIFT].size];
}

bool arena_holds(const struct arena *arena, const void *data)
{
	return (uintptr_t)data - (uintptr_t)arena->base < arena->span;
}

uint32_t arena_place(const struct arena *arena, const void *data)
{
	uint64_t offset = (uintptr_t)data - (uintptr_t)arena->base;

	assert(offset < arena->span);
	return (uint32_t)(offset / ARENA_STRIDE << ARENA_CHUNK_SHIFT | offset % ARENA_STRIDE);
}

void *arena_at(const struct arena *arena, uint32_t place)
{
	uint32_t chunk = place >> ARENA_CHUNK_SHIFT;

	if (chunk >= arena->chunk_count)
		return NULL;
	return arena->base + (uint64_t)chunk * ARENA_STRIDE + (place & OFFSET_MASK);
}

void arena_pin(struct arena *arena)
{
	arena->pins++;
}

void arena_unpin(struct arena *arena)
{
	struct slot *slot;

	assert(arena->pins);
	if (--arena->pins)
		return;
	while ((slot = STAILQ_FIRST(&arena->deferred))) {
		STAILQ_REMOVE_HEAD(&arena->deferred, deferred);
		take_back(arena, slot);
	}
}

void arena_usage_get(const struct arena *arena, struct arena_usage *usage)
{
	*usage = (struct arena_usage){
		.chunks = arena->chunk_count,
		.chunks_used = arena->busy,
		.buffers = arena->buffers,
		.refused = arena->refused,
	};
}
