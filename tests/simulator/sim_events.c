/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_events.h"

#include <string.h>

#include "sim.h"

#define ARITY       4
#define WORDS       (SIM_WHEEL_NS / 64)
#define FIRST_CHUNK 1024
#define PREFETCH_NS 12

void sim_events_init(struct sim_events *events)
{
	memset(events, 0, sizeof(*events));
}

void sim_events_free(struct sim_events *events)
{
	free(events->entries);
	free(events->heap);
}

/* ---- the wheel ---- */

static void more_entries(struct sim_events *events)
{
	uint32_t old = events->entry_capacity, size = old ? 2 * old : FIRST_CHUNK;

	events->entries = sim_realloc(events->entries, size * sizeof(*events->entries));
	events->entry_capacity = size;
	for (uint32_t i = size - 1; i >= (old ? old : 1); i--) {
		events->entries[i].next = events->vacant;
		events->vacant = i;
	}
}

static inline void wheel_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
			     uint64_t argument)
{
	uint32_t slot = time_ns % SIM_WHEEL_NS, index;

	if (!events->vacant)
		more_entries(events);
	index = events->vacant;
	events->vacant = events->entries[index].next;
	events->entries[index] = (struct sim_slot_entry){ action, object, argument, 0 };
	if (events->slots[slot].first)
		events->entries[events->slots[slot].last].next = index;
	else
		events->slots[slot].first = index;
	events->slots[slot].last = index;
	events->occupied[slot / 64] |= 1ull << slot % 64;
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

static inline void wheel_take(struct sim_events *events, struct sim_event *event)
{
	uint32_t slot = event->time_ns % SIM_WHEEL_NS, index = events->slots[slot].first;
	struct sim_slot_entry *entry = &events->entries[index];

	event->action = entry->action;
	event->object = entry->object;
	event->argument = entry->argument;
	events->slots[slot].first = entry->next;
	if (!entry->next)
		events->occupied[slot / 64] &= ~(1ull << slot % 64);
	entry->next = events->vacant;
	events->vacant = index;
}

/* ---- the heap ---- */

static bool before(const struct sim_far_event *a, const struct sim_far_event *b)
{
	return a->event.time_ns != b->event.time_ns ? a->event.time_ns < b->event.time_ns
						    : a->order < b->order;
}

static void heap_add(struct sim_events *events, const struct sim_event *event)
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
	return earliest;
}

/* ---- both ---- */

/* Hundreds of hosts do not fit into the cache: what will be used soon is fetched meanwhile. */
static inline void prefetch(const struct sim_events *events)
{
	uint32_t later = events->slots[(events->now_ns + 2 * PREFETCH_NS) % SIM_WHEEL_NS].first;
	uint32_t soon = events->slots[(events->now_ns + PREFETCH_NS) % SIM_WHEEL_NS].first;

	if (later)
		__builtin_prefetch(&events->entries[later]);
	for (; soon; soon = events->entries[soon].next) {
		const struct sim_slot_entry *entry = &events->entries[soon];

		__builtin_prefetch(entry->object);
		__builtin_prefetch((void *)((uintptr_t)entry->object + 64));
		/* A packet, often; if it is a number, this does no harm. */
		__builtin_prefetch((void *)(uintptr_t)entry->argument);
		__builtin_prefetch((void *)(uintptr_t)(entry->argument + 64));
	}
}

/* Moves on to `now_ns`. What the wheel then reaches goes there before anything new can. */
static inline void advance(struct sim_events *events, uint64_t now_ns)
{
	events->now_ns = now_ns;
	prefetch(events);
	while (events->heap_count && events->heap[0].event.time_ns - now_ns < SIM_WHEEL_NS) {
		struct sim_event event = heap_take(events);

		wheel_add(events, event.time_ns, event.action, event.object, event.argument);
	}
}

void sim_events_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
		    uint64_t argument)
{
	if (time_ns < events->now_ns)
		time_ns = events->now_ns;
	events->count++;
	if (time_ns - events->now_ns < SIM_WHEEL_NS)
		wheel_add(events, time_ns, action, object, argument);
	else
		heap_add(events, &(struct sim_event){ time_ns, action, object, argument });
}

static inline uint64_t next(const struct sim_events *events)
{
	uint64_t next_ns = wheel_next(events);

	return next_ns == UINT64_MAX && events->heap_count ? events->heap[0].event.time_ns : next_ns;
}

uint64_t sim_events_next(const struct sim_events *events)
{
	return next(events);
}

bool sim_events_take(struct sim_events *events, uint64_t end_ns, struct sim_event *event)
{
	uint64_t next_ns = next(events);

	if (next_ns > end_ns || next_ns == UINT64_MAX)
		return false;
	if (next_ns != events->now_ns)
		advance(events, next_ns);
	event->time_ns = next_ns;
	wheel_take(events, event);
	events->count--;
	return true;
}
