/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of messages that programs put together: what is claimed from the start, reuse,
 * and, with threads that play the programs, that nothing is written once a record has ended.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "homa_core.h"
#include "placements.h"
#include "test.h"

#define KEY      0x243f6a8885a308d3ull
#define CPUS     3 /* the last one does nothing */
#define PROGRAMS 2

static struct placement_table *table;
static struct datapath_running running[CPUS];
static struct placements placements;
static const struct ranges no_gaps;

static void reset(void)
{
	memset(table, 0, sizeof(*table));
	memset(running, 0, sizeof(running));
	placements_init(&placements, table, running, CPUS, KEY);
}

static uint32_t random_word(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static struct placement_message message_of(uint64_t id, uint32_t length, uint32_t segment,
					   uint32_t unscheduled)
{
	return (struct placement_message){
		.source = { .b = { 0x20, 1, [15] = 7 } },
		.id = id,
		.sport = 0x1234,
		.dport = 0x5678,
		.place = 5u << ARENA_CHUNK_SHIFT | 64,
		.length = length,
		.segment = segment,
		.unscheduled = unscheduled,
		.gaps = &no_gaps,
	};
}

static struct placement *record_at(uint32_t handle)
{
	return &table->records[handle % PLACEMENT_RECORDS];
}

static bool is_claimed(const struct placement *record, uint32_t segment)
{
	return __atomic_load_n(&record->claimed[segment / 64], __ATOMIC_SEQ_CST) >> segment % 64 & 1;
}

static void fields(void)
{
	struct placement_message message = message_of(99, 10000, 1400, 3000);
	struct placement *record;
	uint32_t handle;

	reset();
	CHECK_EQ(table->key, KEY);
	handle = placement_begin(&placements, &message);
	CHECK(handle != PLACEMENT_NONE);
	CHECK_EQ(placements.used, 1);
	record = record_at(handle);
	CHECK_EQ(handle % PLACEMENT_RECORDS / PLACEMENT_WAYS * PLACEMENT_WAYS,
		 placement_bucket(KEY, message.source.b, 99));
	CHECK(record->id == 99 && record->handle == handle && record->place == message.place);
	CHECK(!memcmp(record->source, message.source.b, 16));
	CHECK(record->sport == 0x1234 && record->dport == 0x5678);
	CHECK(record->length == 10000 && record->segment == 1400);
	CHECK(record->unscheduled == 3000 && record->unscheduled_segments == 3);
	placement_end(&placements, handle);
	CHECK(!record->id && !placements.used && !placements.waits);

	/* No boundary, in both of its forms. */
	for (uint32_t i = 0; i < 2; i++) {
		message = message_of(99, 10000, 1400, i * 20000);
		handle = placement_begin(&placements, &message);
		CHECK(record_at(handle)->unscheduled >= 10000);
		placement_end(&placements, handle);
	}
}

static void refusals(void)
{
	struct placement_message message = message_of(0, 10000, 1400, 0);

	reset();
	CHECK_EQ(placement_begin(&placements, &message), PLACEMENT_NONE);
	message = message_of(1, PLACEMENT_SEGMENTS * 100 + 1, 100, 0);
	CHECK_EQ(placement_begin(&placements, &message), PLACEMENT_NONE);
	message = message_of(1, PLACEMENT_SEGMENTS * 100, 100, 50); /* one more, for the boundary */
	CHECK_EQ(placement_begin(&placements, &message), PLACEMENT_NONE);
	CHECK(placements.refused == 3 && !placements.used);
	message = message_of(1, PLACEMENT_SEGMENTS * 100, 100, 0);
	CHECK(placement_begin(&placements, &message) != PLACEMENT_NONE);
}

/* Finds `count` ids in one bucket, and begins messages with them until none is left. */
static void full_bucket(uint32_t handles[PLACEMENT_WAYS])
{
	struct placement_message message = message_of(0, 10000, 1400, 0);
	uint32_t bucket = PLACEMENT_BUCKETS / 2 * PLACEMENT_WAYS, count = 0;

	for (message.id = 1;; message.id++) {
		if (placement_bucket(KEY, message.source.b, message.id) != bucket)
			continue;
		if (count == PLACEMENT_WAYS) {
			CHECK_EQ(placement_begin(&placements, &message), PLACEMENT_NONE);
			break;
		}
		handles[count] = placement_begin(&placements, &message);
		CHECK_EQ(handles[count] % PLACEMENT_RECORDS, bucket + count);
		count++;
	}
}

static void collisions(void)
{
	struct placement_message message = message_of(0, 10000, 1400, 0);
	uint32_t handles[PLACEMENT_WAYS], again;

	reset();
	full_bucket(handles);
	CHECK(placements.used == PLACEMENT_WAYS && placements.refused == 1);
	message.id = record_at(handles[2])->id;
	placement_end(&placements, handles[2]);
	again = placement_begin(&placements, &message);
	CHECK(again != handles[2] && again % PLACEMENT_RECORDS == handles[2] % PLACEMENT_RECORDS);
}

/* Handles count how often a record was used; when they wrap around, none is PLACEMENT_NONE. */
static void handles_wrap(void)
{
	uint32_t handles[PLACEMENT_WAYS], before = PLACEMENT_NONE;
	struct placement_message message = message_of(0, 10000, 1400, 0);
	uint32_t index = PLACEMENT_RECORDS - 1;

	reset();
	table->records[index].handle = PLACEMENT_NONE - 2 * PLACEMENT_RECORDS;
	for (uint32_t i = 0; i < PLACEMENT_WAYS - 1; i++)
		table->records[index - 1 - i].id = 1; /* all others of the last bucket */
	do
		message.id++;
	while (placement_bucket(KEY, message.source.b, message.id) != PLACEMENT_RECORDS - PLACEMENT_WAYS);
	for (uint32_t i = 0; i < 4; i++) {
		handles[i] = placement_begin(&placements, &message);
		CHECK(handles[i] != PLACEMENT_NONE && handles[i] != before);
		CHECK_EQ(handles[i] % PLACEMENT_RECORDS, index);
		placement_end(&placements, before = handles[i]);
	}
}

/* What is claimed at first, against the definition of segments that the sender uses. */
static void check_claims(uint64_t *seed)
{
	uint32_t segment = 1 + random_word(seed) % 3000, length = 1 + random_word(seed) % (segment * 300);
	uint32_t unscheduled = random_word(seed) % 3 ? random_word(seed) % (length + length / 4 + 1) : 0;
	struct placement_message message = message_of(1 + random_word(seed), length, segment, unscheduled);
	uint32_t start = 0, number = 0, handle;
	struct ranges gaps = { 0 };

	message.received_end = random_word(seed) % (length + 1);
	if (random_word(seed) % 4 == 0)
		message.received_end = homa_segment_start(length - 1, unscheduled, segment);
	for (uint32_t i = random_word(seed) % 12; i-- && message.received_end;) {
		uint32_t from = random_word(seed) % message.received_end;
		uint32_t to = from + 1 + random_word(seed) % (message.received_end - from);

		if (random_word(seed) % 2)
			from = homa_segment_start(from, unscheduled, segment);
		if (to - from < 5 * segment)
			CHECK(ranges_add(&gaps, from, to));
	}
	message.gaps = &gaps;
	handle = placement_begin(&placements, &message);
	CHECK(handle != PLACEMENT_NONE);
	while (start < length) {
		uint32_t end = homa_segment_end(start, unscheduled, segment, length);
		bool whole = end <= message.received_end;
		const struct range *gap = ranges_get(&gaps);

		for (uint32_t i = 0; i < gaps.count; i++)
			whole &= gap[i].end <= start || gap[i].start >= end;
		CHECK_EQ(is_claimed(record_at(handle), number), whole);
		start = end;
		number++;
	}
	if (number < PLACEMENT_SEGMENTS && number % 64)
		CHECK(!is_claimed(record_at(handle), number));
	ranges_free(&gaps);
	placement_end(&placements, handle);
}

static void claims(void)
{
	uint64_t seed = 5;

	reset();
	for (uint32_t i = 0; i < 20000; i++)
		check_claims(&seed);
}

static void unclaiming(void)
{
	struct placement_message message = message_of(3, 10000, 1000, 2500);
	uint32_t handle, stale, i;

	reset();
	message.received_end = 10000;
	stale = placement_begin(&placements, &message);
	placement_end(&placements, stale);
	handle = placement_begin(&placements, &message);
	CHECK_EQ(stale % PLACEMENT_RECORDS, handle % PLACEMENT_RECORDS);
	placement_unclaim(&placements, stale, 0, 1000);
	placement_unclaim(&placements, PLACEMENT_NONE, 0, 1000);
	placement_unclaim(&placements, handle, 10000, 1);
	placement_unclaim(&placements, handle, 9500, 501);
	placement_unclaim(&placements, handle, 500, UINT32_MAX);
	placement_unclaim(&placements, handle, 500, 0);
	for (i = 0; i < 11; i++)
		CHECK(is_claimed(record_at(handle), i));
	placement_unclaim(&placements, handle, 2000, 500); /* the third */
	placement_unclaim(&placements, handle, 9500, 500); /* the last */
	placement_unclaim(&placements, handle, 4499, 2);   /* of both the fifth and the sixth */
	for (i = 0; i < 11; i++)
		CHECK_EQ(is_claimed(record_at(handle), i), i != 2 && i != 10 && i != 4 && i != 5);
	placement_end(&placements, handle);
}

/* ---- waiting ---- */

static void nap_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Lets a program that is on its way leave a while later. */
static uint32_t leaving;

static void *leave_later(void *ctx)
{
	struct datapath_running *cpu = ctx;

	nap_us(20000);
	__atomic_store_n(&leaving, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&cpu->count, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static pthread_t enter_and_leave_later(unsigned cpu)
{
	pthread_t thread;

	leaving = 0;
	running[cpu].count++;
	CHECK_EQ(pthread_create(&thread, NULL, leave_later, &running[cpu]), 0);
	return thread;
}

static void waiting(void)
{
	struct placement_message message = message_of(0, 10000, 1400, 0);
	uint32_t handle;
	pthread_t thread;

	reset();
	message.id = 1;
	message.received_end = 10000;
	handle = placement_begin(&placements, &message);
	thread = enter_and_leave_later(1);
	placement_end(&placements, handle);
	CHECK(__atomic_load_n(&leaving, __ATOMIC_SEQ_CST));
	pthread_join(thread, NULL);
	CHECK_EQ(placements.waits, 1);
}

/* ---- threads as programs ---- */

#define MESSAGES 5000
#define AREAS    4
#define LENGTH   6000
#define SEGMENT  500
#define BOUNDARY 1300
#define SEGMENTS (3 + (LENGTH - BOUNDARY + SEGMENT - 1) / SEGMENT)
#define RING     64
#define OTHERS   0xee

static uint8_t areas[AREAS][LENGTH];
static uint64_t current_id;
static bool stop;

/* Of a program to the engine, like a receive ring. */
static struct {
	uint32_t produced;
	uint32_t consumed;
	struct {
		uint32_t handle;
		uint32_t number;
	} entries[RING];
} rings[PROGRAMS];

static struct placement *lookup(uint64_t id)
{
	struct placement_message message = message_of(id, LENGTH, SEGMENT, BOUNDARY);
	uint32_t first = placement_bucket(table->key, message.source.b, id);

	for (uint32_t way = 0; way < PLACEMENT_WAYS; way++)
		if (__atomic_load_n(&table->records[first + way].id, __ATOMIC_SEQ_CST) == id)
			return &table->records[first + way];
	return NULL;
}

static uint32_t start_of(uint32_t number)
{
	return number < 3 ? number * SEGMENT : BOUNDARY + (number - 3) * SEGMENT;
}

static bool ring_is_full(unsigned program)
{
	return rings[program].produced - __atomic_load_n(&rings[program].consumed, __ATOMIC_ACQUIRE) == RING;
}

static void tell(unsigned program, uint32_t handle, uint32_t number)
{
	uint32_t at = rings[program].produced;

	rings[program].entries[at % RING].handle = handle;
	rings[program].entries[at % RING].number = number;
	__atomic_store_n(&rings[program].produced, at + 1, __ATOMIC_RELEASE);
}

/* Mostly for a moment; now and then for long, as if the CPU had been taken away. */
static void linger(uint64_t *seed)
{
	uint32_t spins = random_word(seed) % 8192;

	if (random_word(seed) % 256 == 0)
		sched_yield();
	while (spins--)
		__asm__ volatile("" : : : "memory");
}

/* A packet: segment `number` of message `id`. */
static void play(unsigned program, uint64_t id, uint32_t number, uint64_t *seed)
{
	struct placement *record = lookup(id);
	uint64_t bit = 1ull << number % 64;

	if (!record || ring_is_full(program))
		return;
	__atomic_fetch_add(&running[program].count, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&record->id, __ATOMIC_SEQ_CST) == id && record->length == LENGTH &&
	    !(__atomic_fetch_or(&record->claimed[number / 64], bit, __ATOMIC_SEQ_CST) & bit)) {
		uint32_t start = start_of(number), end = homa_segment_end(start, BOUNDARY, SEGMENT, LENGTH);

		linger(seed);
		memset(areas[record->place] + start, (uint8_t)id, end - start);
		tell(program, record->handle, number);
	}
	__atomic_fetch_add(&running[program].count, 1, __ATOMIC_SEQ_CST);
}

static void *program_thread(void *ctx)
{
	unsigned program = (unsigned)(uintptr_t)ctx;
	uint64_t seed = program + 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t id = __atomic_load_n(&current_id, __ATOMIC_RELAXED);

		/* Sometimes many packets of one message, while others follow it. */
		for (uint32_t i = random_word(&seed) % 32; i--;)
			play(program, id, random_word(&seed) % SEGMENTS, &seed);
		if (random_word(&seed) % 32 == 0)
			nap_us(1);
	}
	return NULL;
}

/* Takes what the programs tell. Those segments of `handle` that have come are set in *told. */
static void consume(uint32_t handle, uint64_t *told, uint64_t *seed)
{
	for (unsigned i = 0; i < PROGRAMS; i++) {
		uint32_t at = rings[i].consumed;

		for (; at != __atomic_load_n(&rings[i].produced, __ATOMIC_ACQUIRE); at++) {
			uint32_t number = rings[i].entries[at % RING].number;
			uint32_t from = rings[i].entries[at % RING].handle;

			if (from != handle || random_word(seed) % 64 == 0)
				placement_unclaim(&placements, from, start_of(number), 1);
			else
				*told |= 1ull << number;
		}
		__atomic_store_n(&rings[i].consumed, at, __ATOMIC_RELEASE);
	}
}

/*
 * One message: some of it, or all, is put together by the programs. Its id was most often
 * used before, as by a sender that repeats a message which was given up.
 */
static bool run_message(uint32_t area, uint64_t id, uint64_t *seed)
{
	struct placement_message message = message_of(id, LENGTH, SEGMENT, BOUNDARY);
	uint64_t told = 0, enough = (1ull << (random_word(seed) % 2 ? SEGMENTS : 3)) - 1;
	uint32_t handle;

	/* Nobody has written here since the last message ended. */
	for (uint32_t i = 0; i < LENGTH; i++)
		CHECK_EQ(areas[area][i], OTHERS);
	message.place = area;
	handle = placement_begin(&placements, &message);
	CHECK(handle != PLACEMENT_NONE);
	__atomic_store_n(&current_id, id, __ATOMIC_RELAXED);
	while (consume(handle, &told, seed), (told & enough) != enough)
		nap_us(1);
	placement_end(&placements, handle);
	if (told == (1ull << SEGMENTS) - 1)
		for (uint32_t i = 0; i < LENGTH; i++)
			CHECK_EQ(areas[area][i], (uint8_t)id);
	memset(areas[area], OTHERS, LENGTH);
	return told == (1ull << SEGMENTS) - 1;
}

static void programs(void)
{
	pthread_t threads[PROGRAMS];
	uint32_t complete = 0, i;
	uint64_t seed = 77;

	reset();
	memset(areas, OTHERS, sizeof(areas));
	for (i = 0; i < PROGRAMS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, program_thread, (void *)(uintptr_t)i), 0);
	for (i = 0; i < MESSAGES; i++)
		complete += run_message(i / 3 % AREAS, 1 + i / 5 % 200, &seed);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < PROGRAMS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(placements.used, 0);
	printf("%u messages put together by %u threads, %u complete; %llu waits\n", MESSAGES, PROGRAMS,
	       complete, (unsigned long long)placements.waits);
}

int main(void)
{
	table = calloc(1, sizeof(*table));
	CHECK(table);
	fields();
	refusals();
	collisions();
	handles_wrap();
	claims();
	unclaiming();
	waiting();
	programs();
	free(table);
	return 0;
}
