/* SPDX-License-Identifier: BSD-2-Clause */
/* Message memory: sizes, reuse, the budget, half-received messages, and an arena in front of it. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "message_arena.h"
#include "buffers.h"
#include "test.h"

#define MEMORY   (64ull << 20)
#define INCOMING (16ull << 20)
#define HELD     4096
#define CHUNKS   8

static uint64_t resident_bytes(void)
{
	unsigned long size, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file);
	CHECK_EQ(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct buffers_usage usage_of(const struct buffers *buffers)
{
	struct buffers_usage usage;

	buffers_usage_get(buffers, &usage);
	return usage;
}

static void sizes(struct buffers *buffers)
{
	static const uint32_t lengths[] = { 1,     2112,   2113,   16384,   16385,  65536,
					    65537, 262144, 262145, 1000000, 1048576 };
	void *held[sizeof(lengths) / sizeof(*lengths)];
	unsigned i;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		held[i] = buffers_get(buffers, lengths[i]);
		CHECK(held[i]);
		CHECK_EQ((uintptr_t)held[i] % 16, 0);
		memset(held[i], (int)i, lengths[i]);
	}
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		CHECK_EQ(((uint8_t *)held[i])[0], i);
		CHECK_EQ(((uint8_t *)held[i])[lengths[i] - 1], i);
		buffers_put(buffers, held[i]);
		/* Last in, first out: the next one is warm. */
		CHECK(buffers_get(buffers, lengths[i]) == held[i]);
		buffers_put(buffers, held[i]);
	}
	CHECK(!buffers_get(buffers, BUFFERS_MAX_LENGTH + 1));
	CHECK_EQ(usage_of(buffers).in_use, 0);
}

/* What is committed stays within the budget, and all of it comes back. */
static void budget(struct buffers *buffers)
{
	static void *held[HELD];
	uint64_t sum = 0;
	unsigned count = 0;

	while (count < HELD && (held[count] = buffers_get(buffers, 1000000))) {
		memset(held[count++], 1, 1000000);
		sum += 1000000;
	}
	CHECK(count < HELD && sum <= MEMORY - INCOMING && sum > (MEMORY - INCOMING) / 2);
	CHECK(!buffers_get_incoming(buffers, 100)); /* nor may more arrive */
	while (count)
		buffers_put(buffers, held[--count]);
	CHECK(usage_of(buffers).warm <= MEMORY / 8);
}

/* A peer that announces a megabyte and sends one byte costs a page, not a megabyte. */
static void half_received(struct buffers *buffers)
{
	static uint8_t *held[HELD];
	uint64_t before = resident_bytes(), committed = usage_of(buffers).committed;
	unsigned i, count = 0;

	while (count < 200 && (held[count] = buffers_get_incoming(buffers, 1000000)))
		held[count++][0] = 1;
	CHECK_EQ(count, 200);
	/* Up to MEMORY / 8 of it was warm before, and is counted. */
	CHECK(usage_of(buffers).committed - committed <= MEMORY / 8);
	CHECK(resident_bytes() - before < 200 * 16384);
	/* Half of them become whole, the others are given up. */
	for (i = 0; i < 20; i++) {
		memset(held[i], 2, 1000000);
		buffers_commit(buffers, held[i], 1000000);
	}
	CHECK(usage_of(buffers).committed >= committed + 20 * 1000000ull);
	for (i = 0; i < count; i++)
		buffers_put(buffers, held[i]);
	CHECK_EQ(usage_of(buffers).committed, committed);
	CHECK(usage_of(buffers).warm <= MEMORY / 8);
	CHECK(resident_bytes() - before < MEMORY / 8 + (4 << 20));
}

/* Random use against a copy of what was written: no two buffers overlap. */
static void torture(struct buffers *buffers)
{
	static struct {
		uint8_t *data;
		uint32_t length;
		bool incoming;
	} held[256];
	uint32_t state = 1, i, j;

	for (i = 0; i < 200000; i++) {
		j = (state = state * 1664525 + 1013904223) >> 24;
		if (held[j].data) {
			CHECK_EQ(held[j].data[0], (uint8_t)j);
			CHECK_EQ(held[j].data[held[j].length - 1], (uint8_t)j);
			if (held[j].incoming && (state & 1))
				buffers_commit(buffers, held[j].data, held[j].length);
			buffers_put(buffers, held[j].data);
			held[j].data = NULL;
			continue;
		}
		held[j].length = 1 + (state >> 4) % (1u << (1 + state % 19));
		held[j].incoming = state & 1;
		held[j].data = held[j].incoming ? buffers_get_incoming(buffers, held[j].length) :
						  buffers_get(buffers, held[j].length);
		if (held[j].data)
			held[j].data[0] = held[j].data[held[j].length - 1] = (uint8_t)j;
	}
	for (j = 0; j < 256; j++) {
		if (held[j].data)
			buffers_put(buffers, held[j].data);
		held[j].data = NULL;
	}
	CHECK_EQ(usage_of(buffers).in_use, 0);
}

/* Little address space: smaller reservations, or an error, but no crash. */
static void limited_address_space(void)
{
	struct rlimit limit, old;
	struct buffers *buffers;

	getrlimit(RLIMIT_AS, &old);
	limit = (struct rlimit){ .rlim_cur = 1ull << 20, .rlim_max = old.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	CHECK_EQ(buffers_create(MEMORY, INCOMING, &buffers), -ENOMEM);
	CHECK_EQ(setrlimit(RLIMIT_AS, &old), 0);
}

/* An arena's bytes are part of the memory, and leave enough for the rest. */
static void arena_limits(void *memory)
{
	struct buffers *buffers;
	struct arena *arena;
	uint32_t chunks;

	for (chunks = CHUNKS; chunks; chunks--) {
		CHECK_EQ(buffers_create(BUFFERS_MIN_MEMORY, BUFFERS_MIN_MEMORY / 4, &buffers), 0);
		CHECK_EQ(buffers_arena_limit(buffers), BUFFERS_MIN_MEMORY / 2);
		CHECK_EQ(arena_create(memory, chunks, &arena), 0);
		if ((uint64_t)chunks * ARENA_STRIDE > buffers_arena_limit(buffers))
			CHECK_EQ(buffers_set_arena(buffers, arena), -EINVAL);
		else
			CHECK_EQ(buffers_set_arena(buffers, arena), 0);
		buffers_destroy(buffers);
		arena_destroy(arena);
	}
}

/* One that comes later takes no memory that is in use, and what is in use can still be put back. */
static void late_arena(void *memory)
{
	struct buffers *buffers;
	struct arena *arena;
	void *held[3];

	CHECK_EQ(arena_create(memory, 3, &arena), 0);
	CHECK_EQ(buffers_create(BUFFERS_MIN_MEMORY, BUFFERS_MIN_MEMORY / 4, &buffers), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK((held[i] = buffers_get(buffers, 1000000)));
	CHECK_EQ(buffers_set_arena(buffers, arena), -EBUSY);
	buffers_put(buffers, held[2]);
	buffers_put(buffers, held[1]);
	CHECK_EQ(buffers_set_arena(buffers, arena), 0);
	buffers_put(buffers, held[0]);
	CHECK(!usage_of(buffers).in_use && !usage_of(buffers).committed);
	buffers_destroy(buffers);
	arena_destroy(arena);
}

/* What is got while the arena lasts is the arena's; what is beyond is bounded as ever. */
static void arena_first(struct buffers *buffers, struct arena *arena)
{
	static void *held[HELD];
	unsigned count = 0, beyond = 0;
	void *one;

	one = buffers_get(buffers, 100);
	CHECK(one && arena_holds(arena, one));
	CHECK_EQ(usage_of(buffers).committed, 0);
	buffers_put(buffers, one);
	CHECK(buffers_get_incoming(buffers, 100) == one);
	buffers_commit(buffers, one, 100);
	CHECK_EQ(usage_of(buffers).committed, 0);
	buffers_put(buffers, one);
	CHECK(!buffers_get(buffers, BUFFERS_MAX_LENGTH + 1));

	while (count < HELD && (held[count] = buffers_get_incoming(buffers, 1000000))) {
		beyond += !arena_holds(arena, held[count]);
		buffers_commit(buffers, held[count++], 1000000);
	}
	CHECK_EQ(count - beyond, CHUNKS - CHUNKS / 4);
	while (count < HELD && (held[count] = buffers_get(buffers, 1000000)))
		beyond += !arena_holds(arena, held[count++]);
	CHECK_EQ(count - beyond, CHUNKS);
	CHECK(count < HELD && beyond > 8);
	CHECK(beyond * 1000000ull + CHUNKS * ARENA_STRIDE <= MEMORY - INCOMING);
	CHECK_EQ(usage_of(buffers).in_use, count);
	while (count)
		buffers_put(buffers, held[--count]);
	CHECK(!usage_of(buffers).in_use && !usage_of(buffers).committed && !buffers_full(buffers));
}

/* A buffer that XDP filled becomes a message's. */
static void adopting(struct buffers *buffers, struct arena *arena)
{
	void *received = arena_get(arena, 2000, ARENA_RECEIVE);
	struct arena_usage usage;

	buffers_adopt(buffers, received);
	CHECK_EQ(usage_of(buffers).in_use, 1);
	buffers_commit(buffers, received, 2000);
	buffers_put(buffers, received);
	CHECK_EQ(usage_of(buffers).in_use, 0);
	arena_usage_get(arena, &usage);
	CHECK_EQ(usage.buffers, 0);
}

static void with_arena(void)
{
	void *memory = aligned_alloc(4096, (size_t)CHUNKS * ARENA_STRIDE);
	struct arena_usage usage;
	struct buffers *buffers;
	struct arena *arena;

	CHECK(memory);
	arena_limits(memory);
	late_arena(memory);
	CHECK_EQ(arena_create(memory, CHUNKS, &arena), 0);
	CHECK_EQ(buffers_create(MEMORY, INCOMING, &buffers), 0);
	CHECK_EQ(buffers_set_arena(buffers, arena), 0);
	arena_first(buffers, arena);
	adopting(buffers, arena);
	torture(buffers);
	arena_usage_get(arena, &usage);
	CHECK(!usage.buffers && !usage.chunks_used && usage.refused);
	buffers_destroy(buffers);
	arena_destroy(arena);
	free(memory);
}

int main(void)
{
	struct buffers *buffers;

	CHECK_EQ(buffers_create(1000, 0, &buffers), -EINVAL);
	CHECK_EQ(buffers_create(MEMORY, MEMORY, &buffers), -EINVAL);
	CHECK_EQ(buffers_create(MEMORY, INCOMING, &buffers), 0);
	sizes(buffers);
	budget(buffers);
	buffers_destroy(buffers);
	CHECK_EQ(buffers_create(MEMORY, INCOMING, &buffers), 0);
	half_received(buffers);
	torture(buffers);
	buffers_destroy(buffers);
	with_arena();
	limited_address_space();
	printf("sizes, budget, half-received messages, 200000 random uses, the same with an arena\n");
	return 0;
}
