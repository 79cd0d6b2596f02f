/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of what is going to happen, in order of time and, at equal times, of insertion.
 *
 *	wheel   a slot a nanosecond for the next SIM_WHEEL_NS, each a list: O(1), and where
 *	        nearly everything happens
 *	heap    what is further away, 4-ary; moves into the wheel when its time comes near
 *
 * A simulated packet is half a dozen events, so adding and taking one is inline.
 */
#ifndef TERN_SIM_EVENTS_H
#define TERN_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_WHEEL_NS 4096 /* a power of two, a multiple of 64; longer than a full packet takes at 10 Gbit/s */
#define SIM_LOOK_AHEAD_NS 16

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
	struct sim_slot_entry *entries; /* [0] is no event, and all zero */
	uint32_t vacant; /* one that is, and others by its `next` */
	uint32_t entry_capacity;
	uint64_t seen_ns;     /* what events up to here are about has been fetched into the cache */
	uint64_t far_from_ns; /* when the heap's first is; UINT64_MAX: it is empty */
	struct sim_far_event *heap;
	uint64_t heap_count, heap_capacity, next_order;
	uint64_t count;
	uint64_t occupied[SIM_WHEEL_NS / 64]; /* a bit a slot */
	struct { uint32_t first, last; } slots[SIM_WHEEL_NS]; /* 0: none */
};

void sim_events_init(struct sim_events *events);
void sim_events_free(struct sim_events *events);
/* When the earliest is; UINT64_MAX when there is none. */
uint64_t sim_events_next(const struct sim_events *events);

/* ---- of the functions below ---- */
void sim_events_more(struct sim_events *events);
void sim_events_add_far(struct sim_events *events, const struct sim_event *event);
/* Moves on to the word of `occupied` that has the next event; false when that is after `end_ns` or there is none. */
bool sim_events_advance(struct sim_events *events, uint64_t end_ns);
/* Moves what the wheel reaches from the heap. */
void sim_events_approach(struct sim_events *events);

/* When slots are taken is random, and so a branch on it is mispredicted often: there is none here. */
static inline void sim_events_add_near(struct sim_events *events, uint64_t time_ns, sim_action *action,
				       void *object, uint64_t argument)
{
	uint32_t slot = time_ns % SIM_WHEEL_NS, index = events->vacant;
	uint64_t *word = &events->occupied[slot / 64], bit = 1ull << slot % 64;
	struct sim_slot_entry *entry;
	uint32_t *link;

	if (__builtin_expect(!index, 0)) {
		sim_events_more(events);
		index = events->vacant;
	}
	entry = &events->entries[index];
	events->vacant = entry->next;
	*entry = (struct sim_slot_entry){ action, object, argument, 0 };
	link = *word & bit ? &events->entries[events->slots[slot].last].next : &events->slots[slot].first;
	*link = index;
	*word |= bit;
	events->slots[slot].last = index;
}

/* Has `action` called at `time_ns`, or now if that is past. Out of memory ends the process: a test tool may. */
static inline void sim_events_add(struct sim_events *events, uint64_t time_ns, sim_action *action, void *object,
				  uint64_t argument)
{
	if (time_ns < events->now_ns)
		time_ns = events->now_ns;
	events->count++;
	if (time_ns - events->now_ns < SIM_WHEEL_NS)
		sim_events_add_near(events, time_ns, action, object, argument);
	else
		sim_events_add_far(events, &(struct sim_event){ time_ns, action, object, argument });
}

/* An entry, and what it is about: often a packet. If the argument is a number, this does no harm. */
static inline void sim_events_fetch(const struct sim_slot_entry *entry)
{
	__builtin_prefetch(entry->object);
	__builtin_prefetch((void *)(uintptr_t)entry->argument);
}

/*
 * Hundreds of hosts do not fit into the cache: what events are about is fetched a little
 * before, one slot's with each event that is taken. Of three events in a slot one is left out.
 */
static inline void sim_events_look_ahead(struct sim_events *events)
{
	uint64_t least_ns = events->now_ns, most_ns = least_ns + SIM_LOOK_AHEAD_NS;
	uint64_t from_ns = (events->seen_ns > least_ns ? events->seen_ns : least_ns) + 1;
	uint64_t word = events->occupied[from_ns % SIM_WHEEL_NS / 64] >> from_ns % 64;
	uint64_t seen_ns = from_ns + (unsigned int)__builtin_ctzll(word | 1ull << (63 - from_ns % 64));
	uint32_t slot;

	seen_ns = seen_ns < most_ns ? seen_ns : most_ns;
	events->seen_ns = seen_ns;
	slot = seen_ns % SIM_WHEEL_NS;
	sim_events_fetch(&events->entries[events->slots[slot].first]);
	sim_events_fetch(&events->entries[events->slots[slot].last]);
	slot = (slot + SIM_LOOK_AHEAD_NS / 2) % SIM_WHEEL_NS;
	__builtin_prefetch(&events->entries[events->slots[slot].first]);
	__builtin_prefetch(&events->entries[events->slots[slot].last]);
}

/* Takes the earliest, if it is not later than `end_ns`; false when there is none. */
static inline bool sim_events_take(struct sim_events *events, uint64_t end_ns, struct sim_event *event)
{
	uint32_t first = events->now_ns % SIM_WHEEL_NS, slot, index;
	uint64_t word = events->occupied[first / 64] >> first % 64, next_ns;
	struct sim_slot_entry *entry;

	if (!word) {
		if (!sim_events_advance(events, end_ns))
			return false;
		next_ns = events->now_ns;
	} else {
		next_ns = events->now_ns + (unsigned int)__builtin_ctzll(word);
		if (next_ns > end_ns)
			return false;
		events->now_ns = next_ns;
		if (events->far_from_ns - next_ns < SIM_WHEEL_NS)
			sim_events_approach(events);
	}
	sim_events_look_ahead(events);
	slot = next_ns % SIM_WHEEL_NS;
	index = events->slots[slot].first;
	entry = &events->entries[index];
	*event = (struct sim_event){ next_ns, entry->action, entry->object, entry->argument };
	events->slots[slot].first = entry->next;
	events->occupied[slot / 64] ^= (uint64_t)!entry->next << slot % 64;
	entry->next = events->vacant;
	events->vacant = index;
	events->count--;
	return true;
}

#endif
