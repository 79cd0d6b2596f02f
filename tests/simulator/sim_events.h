/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of what is going to happen, in order of time and, at equal times, of insertion.
 *
 *	wheel   a slot a nanosecond for the next SIM_WHEEL_NS, each a list: O(1), and where
 *	        nearly everything happens
 *	heap    what is further away, 4-ary; moves into the wheel when its time comes near
 */
#ifndef TERN_SIM_EVENTS_H
#define TERN_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_WHEEL_NS 4096 /* a power of two, a multiple of 64; longer than a full packet takes at 10 Gbit/s */

typedef void sim_action(void *object, uint64_t argument);

struct sim_event {
	uint64_t time_ns;
	sim_action *action;
	void *object;
	uint64_t argument;
};

/* An event in the wheel; which slot it is in says when. */
struct sim_slot_entry {
	sim_action *action;
	void *object;
	uint64_t argument;
	uint32_t next; /* index of an entry; 0: the last */
};

struct sim_far_event {
	struct sim_event event;
	uint64_t order; /* of insertion */
};

struct sim_events {
	uint64_t now_ns; /* nothing is earlier */
	uint64_t count;
	uint64_t occupied[SIM_WHEEL_NS / 64]; /* a bit a slot */
	struct { uint32_t first, last; } slots[SIM_WHEEL_NS];
	struct sim_slot_entry *entries; /* [0] is not used */
	uint32_t entry_capacity, vacant; /* vacant ones by `next` */
	struct sim_far_event *heap;
	uint64_t heap_count, heap_capacity, next_order;
};

void sim_events_init(struct sim_events *events);
void sim_events_free(struct sim_events *events);
/* Has `action` called at `time_ns`, or now if that is past. Out of memory ends the process: a test tool may. */
void sim_events_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
		    uint64_t argument);
/* Takes the earliest, if it is not later than `end_ns`; false when there is none. */
bool sim_events_take(struct sim_events *events, uint64_t end_ns, struct sim_event *event);
/* When the earliest is; UINT64_MAX when there is none. */
uint64_t sim_events_next(const struct sim_events *events);

#endif
