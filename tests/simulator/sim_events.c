/* SPDX-License-Identifier: BSD-2-Clause */
/* A 4-ary heap: half the depth of a binary one, and siblings share cache lines. */
#include "sim_events.h"

#include "sim.h"

#define ARITY 4

void sim_events_init(struct sim_events *events)
{
	*events = (struct sim_events){0};
}

void sim_events_free(struct sim_events *events)
{
	free(events->heap);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

void sim_events_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
		    uint64_t argument)
{
	struct sim_event event = {time_ns, events->next_order++, action, object, argument};
	size_t at = events->count++;

	if (events->count > events->capacity) {
		events->capacity = events->capacity ? events->capacity * 2 : 1024;
		events->heap = sim_realloc(events->heap, events->capacity * sizeof(*events->heap));
	}
	while (at) {
		size_t parent = (at - 1) / ARITY;

		if (before(&events->heap[parent], &event))
			break;
		events->heap[at] = events->heap[parent];
		at = parent;
	}
	events->heap[at] = event;
}

static size_t earliest_child(const struct sim_events *events, size_t at)
{
	size_t first = at * ARITY + 1, last = first + ARITY, best = first;

	if (last > events->count)
		last = events->count;
	for (size_t child = first + 1; child < last; child++)
		if (before(&events->heap[child], &events->heap[best]))
			best = child;
	return best;
}

bool sim_events_take(struct sim_events *events, struct sim_event *event)
{
	struct sim_event last;
	size_t at = 0;

	if (!events->count)
		return false;
	*event = events->heap[0];
	last = events->heap[--events->count];
	for (;;) {
		size_t child = earliest_child(events, at);

		if (child >= events->count || before(&last, &events->heap[child]))
			break;
		events->heap[at] = events->heap[child];
		at = child;
	}
	events->heap[at] = last;
	return true;
}
