/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas: alignment, growth, reuse, and sizes that cannot be. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "test.h"

static void test_alignment_and_content(void)
{
	struct tern_arena *arena;
	uint8_t *blocks[500];

	CHECK_EQ(tern_arena_create(0, &arena), 0);
	for (unsigned int i = 0; i < 500; i++) {
		blocks[i] = tern_arena_alloc(arena, i);
		CHECK(blocks[i]);
		CHECK_EQ((uintptr_t)blocks[i] % ARENA_ALIGNMENT, 0);
		memset(blocks[i], (int)(i & 0xff), i);
	}
	for (unsigned int i = 0; i < 500; i++)
		for (unsigned int j = 0; j < i; j++)
			CHECK_EQ(blocks[i][j], i & 0xff);
	tern_arena_destroy(arena);
}

static void test_reset_keeps_the_largest_chunk(void)
{
	struct tern_arena *arena;
	void *large;

	CHECK_EQ(tern_arena_create(64, &arena), 0);
	large = tern_arena_alloc(arena, 100000);
	CHECK(large && tern_arena_alloc(arena, 5000));
	tern_arena_reset(arena);
	CHECK(!arena->chunks && arena->spare && arena->spare->size >= 100000);
	CHECK(tern_arena_alloc(arena, 48) == (void *)arena->base);
	CHECK(tern_arena_alloc(arena, 99999) == large);
	tern_arena_reset(arena);
	tern_arena_reset(arena);
	CHECK(tern_arena_alloc(arena, 100000) == large);
	tern_arena_destroy(arena);
}

static void test_reserve(void)
{
	struct tern_arena *arena;
	uint8_t *end;

	CHECK_EQ(tern_arena_create(64, &arena), 0);
	CHECK_EQ(arena_reserve(arena, 10000), 0);
	end = arena->at;
	for (unsigned int i = 0; i < 625; i++, end += 16)
		CHECK(tern_arena_alloc(arena, 16) == end);
	CHECK_EQ(arena_reserve(arena, SIZE_MAX), -ENOMEM);
	tern_arena_destroy(arena);
}

static void test_impossible_sizes(void)
{
	struct tern_arena *arena;

	CHECK_EQ(tern_arena_create(SIZE_MAX - 8, &arena), -ENOMEM);
	CHECK_EQ(tern_arena_create(64, &arena), 0);
	CHECK(!tern_arena_alloc(arena, SIZE_MAX));
	CHECK(!tern_arena_alloc(arena, SIZE_MAX - 15));
	CHECK(!tern_arena_alloc(arena, SIZE_MAX / 2));
	CHECK(tern_arena_alloc(arena, 16));
	tern_arena_destroy(arena);
	tern_arena_destroy(NULL);
}

static void test_allocator(void)
{
	struct tern_arena *arena;
	ProtobufCAllocator *allocator;
	void *memory;

	CHECK_EQ(tern_arena_create(0, &arena), 0);
	allocator = tern_arena_allocator(arena);
	memory = allocator->alloc(allocator->allocator_data, 100);
	CHECK(memory);
	allocator->free(allocator->allocator_data, memory);
	allocator->free(allocator->allocator_data, NULL);
	tern_arena_destroy(arena);
}

int main(void)
{
	test_alignment_and_content();
	test_reset_keeps_the_largest_chunk();
	test_reserve();
	test_impossible_sizes();
	test_allocator();
	return 0;
}
