/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages' arena: sizes, places, reuse, chunks that change size, the part for sending, pins. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message_arena.h"
#include "test.h"

#define CHUNKS  8
#define RESERVE (CHUNKS / 4) /* chunks that are not for receiving */
#define MOST    (CHUNKS * (ARENA_CHUNK_BYTES / 2112))
#define HELD    512
#define ROUNDS  300000

static uint8_t *memory;

static struct arena *create(uint32_t chunks)
{
	struct arena *arena;

	CHECK_EQ(arena_create(memory, chunks, &arena), 0);
	return arena;
}

static struct arena_usage usage_of(const struct arena *arena)
{
	struct arena_usage usage;

	arena_usage_get(arena, &usage);
	return usage;
}

static void limits(void)
{
	struct arena *arena;

	CHECK_EQ(arena_create(memory, 0, &arena), -EINVAL);
	CHECK_EQ(arena_create(memory, ARENA_MAX_CHUNKS + 1, &arena), -EINVAL);
	arena = create(CHUNKS);
	CHECK(!arena_get(arena, ARENA_CHUNK_BYTES + 1, ARENA_SEND));
	CHECK_EQ(usage_of(arena).refused, 1);
	CHECK(!arena_holds(arena, memory - 1) && arena_holds(arena, memory));
	CHECK(arena_holds(arena, memory + (uint64_t)CHUNKS * ARENA_STRIDE - 1));
	CHECK(!arena_holds(arena, memory + (uint64_t)CHUNKS * ARENA_STRIDE));
	CHECK(!arena_holds(arena, NULL));
	CHECK(!arena_at(arena, ARENA_NOWHERE) && !arena_at(arena, CHUNKS << ARENA_CHUNK_SHIFT));
	CHECK(arena_at(arena, (CHUNKS - 1) << ARENA_CHUNK_SHIFT | 5) ==
	      memory + (uint64_t)(CHUNKS - 1) * ARENA_STRIDE + 5);
	CHECK_EQ(arena_place(arena, memory + ARENA_STRIDE + 7), ARENA_CHUNK_BYTES + 7);
	arena_destroy(arena);
}

/* As many as there can be of one size, apart from each other and each within one chunk. */
static void fill(struct arena *arena, uint32_t length, uint32_t capacity)
{
	static uint8_t *held[MOST];
	uint32_t i, count = 0, most = CHUNKS * (ARENA_CHUNK_BYTES / capacity);

	while (count < MOST && (held[count] = arena_get(arena, length, ARENA_SEND))) {
		uint8_t *data = held[count];
		uint32_t place = arena_place(arena, data);

		CHECK_EQ((uintptr_t)data % 64, 0);
		CHECK_EQ(arena_capacity(arena, data), capacity);
		CHECK(arena_at(arena, place) == data);
		CHECK((place & (ARENA_CHUNK_BYTES - 1)) + capacity <= ARENA_CHUNK_BYTES);
		memcpy(data, &count, sizeof(count));
		memcpy(data + capacity - sizeof(count), &count, sizeof(count));
		count++;
	}
	CHECK_EQ(count, most);
	CHECK_EQ(usage_of(arena).buffers, most);
	CHECK_EQ(usage_of(arena).chunks_used, CHUNKS);
	for (i = 0; i < count; i++) {
		CHECK(!memcmp(held[i], &i, sizeof(i)));
		CHECK(!memcmp(held[i] + capacity - sizeof(i), &i, sizeof(i)));
		arena_put(arena, held[i]);
	}
	/* The last ones put back come first. */
	for (i = count; i--;)
		CHECK(arena_get(arena, length, ARENA_SEND) == held[i]);
	for (i = 0; i < count; i++)
		arena_put(arena, held[i]);
	CHECK_EQ(usage_of(arena).buffers, 0);
	CHECK_EQ(usage_of(arena).chunks_used, 0);
}

/* All chunks become those of each size in turn. */
static void sizes(void)
{
	static const uint32_t cases[][2] = { { 1, 2112 },         { 2112, 2112 },       { 1000000, 1 << 20 },
					     { 2113, 4160 },      { 4160, 4160 },       { 4161, 16384 },
					     { 16385, 65536 },    { 65537, 262144 },    { 0, 2112 },
					     { 262145, 1 << 20 }, { 1 << 20, 1 << 20 }, { 262144, 262144 } };
	struct arena *arena = create(CHUNKS);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fill(arena, cases[i][0], cases[i][1]);
	arena_destroy(arena);
}

/* Where a size runs out, the next one's free buffers do, but no larger ones. */
static void next_size(void)
{
	struct arena *arena = create(1);
	void *a = arena_get(arena, 3000, ARENA_SEND), *b;

	b = arena_get(arena, 100, ARENA_SEND);
	CHECK(b);
	CHECK_EQ(arena_capacity(arena, b), 4160);
	arena_put(arena, a);
	arena_put(arena, b);
	a = arena_get(arena, 10000, ARENA_SEND);
	CHECK(a && !arena_get(arena, 100, ARENA_SEND));
	arena_destroy(arena);
}

/* Whatever is received, messages to send have the last quarter. */
static void part_for_sending(void)
{
	struct arena *arena = create(CHUNKS);
	void *held[CHUNKS], *one;
	uint32_t count = 0, small;

	while ((held[count] = arena_get(arena, 1000000, ARENA_RECEIVE)))
		count++;
	CHECK_EQ(count, CHUNKS - RESERVE);
	CHECK(!arena_get(arena, 100, ARENA_RECEIVE));
	for (; count < CHUNKS; count++)
		CHECK((held[count] = arena_get(arena, 1000000, ARENA_SEND)));
	CHECK(!arena_get(arena, 1, ARENA_SEND));
	while (count)
		arena_put(arena, held[--count]);

	/* Nor is it used up by receiving beside what is being sent. */
	for (count = 0; count < CHUNKS - RESERVE - 1; count++)
		held[count] = arena_get(arena, 1000000, ARENA_RECEIVE);
	while (arena_get(arena, 100, ARENA_RECEIVE))
		;
	one = arena_get(arena, 100, ARENA_SEND);
	CHECK(one && usage_of(arena).chunks_used == CHUNKS - RESERVE + 1);
	for (small = 0; arena_get(arena, 100, ARENA_RECEIVE); small++)
		;
	CHECK(small < 2);
	for (small = 1; arena_get(arena, 100, ARENA_SEND); small++)
		;
	CHECK(small >= RESERVE * (ARENA_CHUNK_BYTES / 2112));
	arena_destroy(arena);
}

/* A chunk that may not be taken into use does not hide another's free buffers. */
static void receive_at_the_limit(void)
{
	struct arena *arena = create(4);
	uint32_t per_chunk = ARENA_CHUNK_BYTES / 2112, i;
	void *first[ARENA_CHUNK_BYTES / 2112], *second, *held[2];

	for (i = 0; i < per_chunk; i++)
		CHECK((first[i] = arena_get(arena, 100, ARENA_RECEIVE)));
	second = arena_get(arena, 100, ARENA_RECEIVE);
	for (i = 0; i < 2; i++)
		held[i] = arena_get(arena, 1000000, ARENA_SEND);
	CHECK(second && held[0] && held[1]);
	arena_put(arena, first[0]);
	/* The last one put back, but of a chunk that is idle now. */
	arena_put(arena, second);
	CHECK_EQ(usage_of(arena).chunks_used, 3);
	CHECK(arena_get(arena, 100, ARENA_RECEIVE) == first[0]);
	CHECK(!arena_get(arena, 100, ARENA_RECEIVE));
	CHECK(arena_get(arena, 100, ARENA_SEND));
	arena_destroy(arena);
}

/* A small buffer that comes and goes keeps its place while large ones come and go. */
static void no_flapping(void)
{
	struct arena *arena = create(CHUNKS);
	void *small = arena_get(arena, 64, ARENA_RECEIVE), *large, *held[CHUNKS];
	uint32_t i, j;

	arena_put(arena, small);
	for (i = 0; i < 100; i++) {
		CHECK(arena_get(arena, 64, ARENA_RECEIVE) == small);
		arena_put(arena, small);
		large = arena_get(arena, 20000u << i % 6, ARENA_SEND);
		CHECK(large);
		arena_put(arena, large);
		for (j = 0; j < CHUNKS - 1; j++)
			CHECK((held[j] = arena_get(arena, 1000000, ARENA_SEND)));
		while (j)
			arena_put(arena, held[--j]);
	}
	arena_destroy(arena);
}

static void pins(void)
{
	struct arena *arena = create(1);
	void *a, *b;

	a = arena_get(arena, 600000, ARENA_SEND);
	arena_pin(arena);
	arena_pin(arena);
	arena_put(arena, a);
	arena_unpin(arena);
	CHECK(!arena_get(arena, 600000, ARENA_SEND));
	CHECK_EQ(usage_of(arena).buffers, 1);
	arena_unpin(arena);
	CHECK_EQ(usage_of(arena).buffers, 0);
	CHECK(arena_get(arena, 600000, ARENA_SEND) == a);
	arena_put(arena, a);
	a = arena_get(arena, 100, ARENA_SEND);
	b = arena_get(arena, 100, ARENA_SEND);
	arena_pin(arena);
	arena_put(arena, a);
	arena_put(arena, b);
	CHECK(arena_get(arena, 100, ARENA_SEND) != b);
	arena_unpin(arena);
	CHECK(arena_get(arena, 100, ARENA_SEND) == b && arena_get(arena, 100, ARENA_SEND) == a);
	arena_destroy(arena);
}

static uint32_t random_word(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

struct holding {
	uint8_t *data;
	uint32_t length;
};

static void drop(struct arena *arena, struct holding *holding, uint8_t mark)
{
	CHECK_EQ(holding->data[0], mark);
	CHECK_EQ(holding->data[holding->length - 1], mark);
	arena_put(arena, holding->data);
	holding->data = NULL;
}

/* Random use: no two buffers overlap, counts are right, and at the end all of it is there for anything. */
static void torture(void)
{
	static struct holding held[HELD];
	struct arena *arena = create(CHUNKS);
	uint32_t i, pins_held = 0, in_use = 0;
	bool exact = true; /* nothing is deferred */

	for (i = 0; i < ROUNDS; i++) {
		uint32_t at = random_word() % HELD;
		struct holding *holding = &held[at];

		if (random_word() % 64 == 0 && pins_held < 3) {
			arena_pin(arena);
			pins_held++;
		} else if (pins_held && random_word() % 8 == 0) {
			arena_unpin(arena);
			exact |= !--pins_held;
		}
		if (holding->data) {
			drop(arena, holding, (uint8_t)at);
			in_use--;
			exact &= !pins_held;
		} else {
			holding->length = 1 + random_word() % (1u << random_word() % 21);
			holding->data = arena_get(arena, holding->length,
						  random_word() % 2 ? ARENA_SEND : ARENA_RECEIVE);
			if (holding->data) {
				CHECK(arena_capacity(arena, holding->data) >= holding->length);
				holding->data[0] = holding->data[holding->length - 1] = (uint8_t)at;
				in_use++;
			}
		}
		CHECK(usage_of(arena).buffers == in_use || (!exact && usage_of(arena).buffers > in_use));
	}
	while (pins_held--)
		arena_unpin(arena);
	for (i = 0; i < HELD; i++)
		if (held[i].data)
			drop(arena, &held[i], (uint8_t)i);
	fill(arena, 1000000, ARENA_CHUNK_BYTES);
	fill(arena, 1000, 2112);
	arena_destroy(arena);
}

int main(void)
{
	memory = aligned_alloc(4096, (size_t)CHUNKS * ARENA_STRIDE);
	CHECK(memory);
	limits();
	sizes();
	next_size();
	part_for_sending();
	receive_at_the_limit();
	no_flapping();
	pins();
	torture();
	free(memory);
	printf("sizes, places, the part for sending, pins, %u random uses\n", ROUNDS);
	return 0;
}
