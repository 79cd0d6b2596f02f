/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of calls: a hierarchical timing wheel (Varghese and Lauck, 1987), intrusive.
 * Setting and cancelling are O(1), which is what matters: nearly every deadline is
 * cancelled. A timer is moved at most once a level on its way down.
 *
 * A timer runs when its tick has begun: never early, at most one tick late. Level l has
 * 64 slots of 64^l ticks each; a timer stands in the level of the highest base-64 digit
 * in which its tick differs from the wheel's, in the slot of that digit. So a level
 * holds no timer of the past, and slots never wrap round.
 */
#ifndef TERN_DEADLINE_H
#define TERN_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#define DEADLINE_TICK_NS (1u << 16) /* 66 us */
#define DEADLINE_LEVELS  8          /* 64^8 ticks: 500 years */
#define DEADLINE_SLOTS   64
#define DEADLINE_NEVER   UINT64_MAX

struct deadline {
	struct deadline *next;
	struct deadline **link; /* what points at this one; NULL when it is not set */
	uint64_t tick;
	uint32_t slot; /* level * 64 + slot, or UINT32_MAX once it is due */
};

struct deadline_wheel {
	uint64_t tick; /* timers up to this one are due */
	struct deadline *due;
	uint64_t occupied[DEADLINE_LEVELS];
	struct deadline *slots[DEADLINE_LEVELS * DEADLINE_SLOTS];
};

void deadline_init(struct deadline_wheel *wheel, uint64_t now_ns);

static inline bool deadline_is_set(const struct deadline *deadline)
{
	return deadline->link != NULL;
}

/* `deadline` is not set. DEADLINE_NEVER sets nothing; a time that is past is due at the next tick. */
void deadline_set(struct deadline_wheel *wheel, struct deadline *deadline, uint64_t at_ns);
/* Does nothing if it is not set. */
void deadline_cancel(struct deadline_wheel *wheel, struct deadline *deadline);

/* Takes out one timer that is due at `now_ns`, or NULL. Timers may be set and cancelled between calls. */
struct deadline *deadline_expire(struct deadline_wheel *wheel, uint64_t now_ns);

/*
 * When deadline_expire is to be called next: DEADLINE_NEVER if there is no timer. May be
 * earlier than the first timer (then timers move down a level), not later.
 */
uint64_t deadline_next_ns(const struct deadline_wheel *wheel);

/* now + timeout, DEADLINE_NEVER for a timeout of UINT64_MAX microseconds or one beyond the clock's range. */
static inline uint64_t deadline_after(uint64_t now_ns, uint64_t timeout_us)
{
	return timeout_us < (UINT64_MAX - now_ns) / 1000 ? now_ns + timeout_us * 1000 : DEADLINE_NEVER;
}

#endif
