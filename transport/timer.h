/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A timing wheel (Varghese and Lauck, 1987): one slot a tick, intrusive, O(1) to set and
 * to cancel. A timer further away than the wheel is wide stays in its slot for another
 * round. It reads no clock; a tick is whatever unit the owner counts in.
 */
#ifndef TERN_TIMER_H
#define TERN_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_SLOTS 256 /* a power of two, a multiple of 64 */

struct timer {
	struct timer *next;
	struct timer **link; /* what points at this timer; NULL when it is not set */
	uint64_t expiry;     /* tick */
};

struct timer_wheel {
	uint64_t tick; /* all up to this one have been run */
	uint64_t occupied[TIMER_SLOTS / 64];
	struct timer *slots[TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t tick);

static inline bool timer_is_set(const struct timer *timer)
{
	return timer->link != NULL;
}

/* Sets or moves a timer; one in the past runs with the next tick. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t expiry);
/* Does nothing for a timer that is not set. */
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);

/*
 * Moves the wheel up to `tick`, at most, and takes out one timer that is due; NULL when
 * none is left. To be called until NULL; timers may be set and cancelled in between.
 */
struct timer *timer_wheel_expire(struct timer_wheel *wheel, uint64_t tick);

/*
 * The next tick at which a timer may be due; UINT64_MAX for an empty wheel. Never late;
 * early only for timers more than a round away.
 */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);

#endif
