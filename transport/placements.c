/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program is on its way through a record from the moment its counter is odd until it is
 * even again. It looks at a record's id only after its counter has become odd, and
 * placement_end looks at the counters only after it has cleared the id: whoever is second
 * sees what the first has done. All of that takes sequentially consistent accesses.
 */
#include "placements.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

#define SPINS_BEFORE_YIELD 1024 /* microseconds: longer only if the program's CPU was taken away */

_Static_assert(PLACEMENT_RECORDS == 1 << PLACEMENT_INDEX_BITS, "a handle's low bits are the index");

void placements_init(struct placements *placements, struct placement_table *table,
		     struct datapath_running *running, uint32_t cpus, uint64_t key)
{
	*placements = (struct placements){ .table = table, .running = running, .cpus = cpus };
	table->key = key;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Returns when every program that was on its way has left. */
static void wait_for_programs(struct placements *placements)
{
	bool waited = false;

	for (uint32_t cpu = 0; cpu < placements->cpus; cpu++) {
		const __u64 *count = &placements->running[cpu].count;
		uint64_t before = __atomic_load_n(count, __ATOMIC_SEQ_CST);

		if (!(before & 1))
			continue;
		waited = true;
		for (uint32_t spins = 0; __atomic_load_n(count, __ATOMIC_SEQ_CST) == before; spins++) {
			if (spins < SPINS_BEFORE_YIELD)
				relax();
			else
				sched_yield();
		}
	}
	placements->waits += waited;
}

static void clear_bit(uint64_t *words, uint32_t index)
{
	words[index / 64] &= ~(1ull << index % 64);
}

/* A vacant record of the bucket that begins at `first`, or NULL. */
static struct placement *find_vacant(struct placements *placements, uint32_t first)
{
	for (uint32_t index = first; index < first + PLACEMENT_WAYS; index++)
		if (!placements->table->records[index].id)
			return &placements->table->records[index];
	return NULL;
}

static uint32_t segments_in(uint32_t bytes, uint32_t segment)
{
	return bytes / segment + (bytes % segment != 0);
}

/* The segment to which the byte at `offset` belongs. */
static uint32_t segment_of(const struct placement *record, uint32_t offset)
{
	if (offset < record->unscheduled)
		return offset / record->segment;
	return record->unscheduled_segments + (offset - record->unscheduled) / record->segment;
}

/* In how many words of `claimed` there are segments. */
static uint32_t words_of(uint32_t segments)
{
	return (segments + 63) / 64;
}

/* Sets the bits of the segments that have come in full. */
static void preclaim(struct placement *record, const struct placement_message *message, uint32_t segments)
{
	uint64_t claimed[PLACEMENT_SEGMENTS / 64] = { 0 };
	const struct ranges *gaps = message->gaps;
	const struct range *gap = gaps->capacity ? gaps->more : gaps->few;
	uint32_t i, s, end = segments;

	if (message->received_end < message->length)
		end = segment_of(record, message->received_end);
	for (i = 0; i < end / 64; i++)
		claimed[i] = UINT64_MAX;
	if (end % 64)
		claimed[i] = (1ull << end % 64) - 1;
	for (i = 0; i < gaps->count; i++)
		for (s = segment_of(record, gap[i].start); s <= segment_of(record, gap[i].end - 1); s++)
			clear_bit(claimed, s);
	for (i = 0; i < words_of(segments); i++)
		__atomic_store_n(&record->claimed[i], claimed[i], __ATOMIC_RELAXED);
}

/* All but the id and `claimed`; the number of its segments, 0 if it has too many. */
static uint32_t describe(struct placement *record, const struct placement_message *message)
{
	uint32_t boundary = message->unscheduled, first, segments;

	/* Past the end there is none: programs need not ask whether there is one. */
	if (!boundary || boundary > message->length)
		boundary = message->length;
	first = segments_in(boundary, message->segment);
	segments = first + segments_in(message->length - boundary, message->segment);
	if (segments > PLACEMENT_SEGMENTS)
		return 0;
	memcpy(record->source, message->source.b, sizeof(record->source));
	record->sport = message->sport;
	record->dport = message->dport;
	record->place = message->place;
	record->length = message->length;
	record->segment = message->segment;
	record->unscheduled = boundary;
	record->unscheduled_segments = first;
	return segments;
}

static uint32_t next_handle(uint32_t handle, uint32_t index)
{
	handle = ((handle >> PLACEMENT_INDEX_BITS) + 1) << PLACEMENT_INDEX_BITS | index;
	return handle == PLACEMENT_NONE ? index : handle;
}

/* The record of a handle, or NULL if it has ended. */
static struct placement *record_of(const struct placements *placements, uint32_t handle)
{
	struct placement *record = &placements->table->records[handle % PLACEMENT_RECORDS];

	return record->id && record->handle == handle ? record : NULL;
}

uint32_t placement_begin(struct placements *placements, const struct placement_message *message)
{
	struct placement_table *table = placements->table;
	struct placement *record = NULL;
	uint32_t segments = 0;

	if (message->id && message->segment && message->length)
		record =
			find_vacant(placements, placement_bucket(table->key, message->source.b, message->id));
	if (record)
		segments = describe(record, message);
	if (!segments) {
		placements->refused++;
		return PLACEMENT_NONE;
	}
	preclaim(record, message, segments);
	record->handle = next_handle(record->handle, (uint32_t)(record - table->records));
	__atomic_store_n(&record->id, message->id, __ATOMIC_RELEASE);
	placements->used++;
	return record->handle;
}

void placement_unclaim(struct placements *placements, uint32_t handle, uint32_t offset, uint32_t length)
{
	struct placement *record = record_of(placements, handle);
	uint32_t segment, last;

	if (!record || !length || offset >= record->length || length > record->length - offset)
		return;
	last = segment_of(record, offset + length - 1);
	for (segment = segment_of(record, offset); segment <= last; segment++)
		__atomic_fetch_and(&record->claimed[segment / 64], ~(1ull << segment % 64), __ATOMIC_RELEASE);
}

void placement_end(struct placements *placements, uint32_t handle)
{
	struct placement *record = record_of(placements, handle);

	assert(record);
	__atomic_store_n(&record->id, 0, __ATOMIC_SEQ_CST);
	placements->used--;
	wait_for_programs(placements);
}
