/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_events.h"

#include <string.h>

#include "sim.h"

#define ARITY       4
#define WORDS       (SIM_WHEEL_NS / 64)
#define FIRST_CHUNK 1024

void sim_events_free(struct sim_events *events)
{
	free(events->entries);
	free(events->heap);
}

/* ---- the wheel ---- */

void sim_events_more(struct sim_events *events)
{
	uint32_t old = events->entry_capacity, size = old ? 2 * old : FIRST_CHUNK;

	events->entries = sim_realloc(events->entries, size * sizeof(*events->entries));
	events->entry_capacity = size;
	for (uint32_t i = size - 1; i >= (old ? old : 1); i--) {
		events->entries[i].next = events->vacant;
		events->vacant = i;
	}
}

void sim_events_init(struct sim_events *events)
{
	memset(events, 0, sizeof(*events));
	sim_events_more(events);
	memset(events->entries, 0, sizeof(*events->entries));
	events->far_from_ns = UINT64_MAX;
}

/* The time of the wheel's first event; UINT64_MAX when it is empty. */
static inline uint64_t wheel_next(const struct sim_events *events)
{
	uint32_t first = events->now_ns % SIM_WHEEL_NS;
	uint64_t word = events->occupied[first / 64] >> first % 64;
	uint64_t base = events->now_ns - first % 64;

	if (word)
		return events->now_ns + (unsigned int)__builtin_ctzll(word);
	/* The first word is looked at again in the end: its lower part is a round later. */
	for (uint32_t i = 1; i <= WORDS; i++) {
		word = events->occupied[(first / 64 + i) % WORDS];
		if (word)
			return base + 64ull * i + (unsigned int)__builtin_ctzll(word);
	}
	return UINT64_MAX;
}

/* ---- the heap ---- */

static bool before(const struct sim_far_event *a, const struct sim_far_event *b)
{
	return a->event.time_ns != b->event.time_ns ? a->event.time_ns < b->event.time_ns
						    : a->order < b->order;
}

void sim_events_add_far(struct sim_events *events, const struct sim_event *event)
{
	struct sim_far_event far = { *event, events->next_order++ };
	uint64_t at = events->heap_count++;

	if (events->heap_count > events->heap_capacity) {
		events->heap_capacity = events->heap_capacity ? events->heap_capacity * 2 : FIRST_CHUNK;
		events->heap = sim_realloc(events->heap, events->heap_capacity * sizeof(*events->heap));
	}
	while (at) {
		uint64_t parent = (at - 1) / ARITY;

		if (before(&events->heap[parent], &far))
			break;
		events->heap[at] = events->heap[parent];
		at = parent;
	}
	events->heap[at] = far;
	events->far_from_ns = events->heap[0].event.time_ns;
}

static uint64_t earliest_child(const struct sim_events *events, uint64_t at)
{
	uint64_t first = at * ARITY + 1, last = first + ARITY, best = first;

	if (last > events->heap_count)
		last = events->heap_count;
	for (uint64_t child = first + 1; child < last; child++)
		if (before(&events->heap[child], &events->heap[best]))
			best = child;
	return best;
}

static struct sim_event heap_take(struct sim_events *events)
{
	struct sim_event earliest = events->heap[0].event;
	struct sim_far_event last = events->heap[--events->heap_count];
	uint64_t at = 0;

	for (;;) {
		uint64_t child = earliest_child(events, at);

		if (child >= events->heap_count || before(&last, &events->heap[child]))
			break;
		events->heap[at] = events->heap[child];
		at = child;
	}
	events->heap[at] = last;
	events->far_from_ns = events->heap_count ? events->heap[0].event.time_ns : UINT64_MAX;
	return earliest;
}

/* ---- both ---- */

uint64_t sim_events_next(const struct sim_events *events)
{
	uint64_t next_ns = wheel_next(events);

	return next_ns == UINT64_MAX ? events->far_from_ns : next_ns;
}

void sim_events_approach(struct sim_events *events)
{
	while (events->far_from_ns - events->now_ns < SIM_WHEEL_NS) {
		struct sim_event event = heap_take(events);

		sim_events_add_near(events, event.time_ns, event.action, event.object, event.argument);
	}
}

bool sim_events_advance(struct sim_events *events, uint64_t end_ns)
{
	uint64_t next_ns = sim_events_next(events);

	if (next_ns > end_ns || next_ns == UINT64_MAX)
		return false;
	events->now_ns = next_ns;
	/* Before anything new can be there. */
	sim_events_approach(events);
	return true;
}
