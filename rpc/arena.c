/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas: see arena.h for the picture. */
#include <errno.h>
#include <stdlib.h>

#include "arena.h"

#define FIRST_CHUNK_DEFAULT 4096

static void *allocator_alloc(void *data, size_t size)
{
	return tern_arena_alloc(data, size);
}

static void allocator_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

void arena_init(struct tern_arena *arena, void *base, size_t base_size)
{
	*arena = (struct tern_arena){
		.allocator = { .alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena },
		.at = base,
		.end = (uint8_t *)base + base_size,
		.base = base,
		.base_size = base_size,
	};
}

static void free_chunks(struct arena_chunk *chunk)
{
	while (chunk) {
		struct arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

void arena_release(struct tern_arena *arena)
{
	free_chunks(arena->chunks);
	free(arena->spare);
	arena->chunks = NULL;
	arena->spare = NULL;
}

void arena_trim(struct tern_arena *arena)
{
	free(arena->spare);
	arena->spare = NULL;
}

/* The spare chunk if it is large enough, else a new one. */
static struct arena_chunk *get_chunk(struct tern_arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->spare;

	if (chunk && chunk->size >= size) {
		arena->spare = NULL;
		return chunk;
	}
	if (size < ARENA_CHUNK_MIN)
		size = ARENA_CHUNK_MIN;
	chunk = malloc(sizeof(*chunk) + size);
	if (chunk)
		chunk->size = size;
	return chunk;
}

int arena_reserve(struct tern_arena *arena, size_t size)
{
	struct arena_chunk *chunk;

	if (size <= (size_t)(arena->end - arena->at))
		return 0;
	if (size > SIZE_MAX / 2)
		return -ENOMEM;
	chunk = get_chunk(arena, arena_rounded(size));
	if (!chunk)
		return -ENOMEM;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->at = chunk->data;
	arena->end = chunk->data + chunk->size;
	return 0;
}

void *tern_arena_alloc(struct tern_arena *arena, size_t size)
{
	void *memory;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = size ? arena_rounded(size) : ARENA_ALIGNMENT;
	if (arena_reserve(arena, size) < 0)
		return NULL;
	memory = arena->at;
	arena->at += size;
	return memory;
}

void tern_arena_reset(struct tern_arena *arena)
{
	struct arena_chunk *keep = arena->spare, *chunk = arena->chunks;

	while (chunk) {
		struct arena_chunk *next = chunk->next;

		if (!keep || chunk->size > keep->size) {
			free(keep);
			keep = chunk;
		} else {
			free(chunk);
		}
		chunk = next;
	}
	arena->chunks = NULL;
	arena->spare = keep;
	arena->at = arena->base;
	arena->end = arena->base + arena->base_size;
}

int tern_arena_create(size_t first_chunk, struct tern_arena **arena)
{
	size_t header = arena_rounded(sizeof(**arena));

	if (first_chunk == 0)
		first_chunk = FIRST_CHUNK_DEFAULT;
	if (first_chunk > SIZE_MAX / 2)
		return -ENOMEM;
	first_chunk = arena_rounded(first_chunk);
	*arena = malloc(header + first_chunk);
	if (!*arena)
		return -ENOMEM;
	arena_init(*arena, (uint8_t *)*arena + header, first_chunk);
	return 0;
}

void tern_arena_destroy(struct tern_arena *arena)
{
	if (!arena)
		return;
	arena_release(arena);
	free(arena);
}

ProtobufCAllocator *tern_arena_allocator(struct tern_arena *arena)
{
	return &arena->allocator;
}
