/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of what is going to happen: a 4-ary heap, ordered by time and, at equal
 * times, by the order of insertion, so that a run does not depend on the heap's shape.
 */
#ifndef TERN_SIM_EVENTS_H
#define TERN_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sim_action(void *object, uint64_t argument);

struct sim_event {
	uint64_t time_ns;
	uint64_t order;
	sim_action *action;
	void *object;
	uint64_t argument;
};

struct sim_events {
	struct sim_event *heap;
	size_t count, capacity;
	uint64_t next_order;
};

void sim_events_init(struct sim_events *events);
void sim_events_free(struct sim_events *events);
/* Has `action` called at `time_ns`. Out of memory ends the process: a test tool may. */
void sim_events_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
		    uint64_t argument);
/* Takes the earliest; false when there is none. */
bool sim_events_take(struct sim_events *events, struct sim_event *event);

#endif
