/* SPDX-License-Identifier: BSD-2-Clause */
#include "timer.h"

#include <string.h>

static unsigned slot_of(uint64_t tick)
{
	return (unsigned)(tick % TIMER_SLOTS);
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t tick)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = tick;
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	unsigned slot = slot_of(timer->expiry);

	if (!timer->link)
		return;
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	timer->link = NULL;
	if (!wheel->slots[slot])
		wheel->occupied[slot / 64] &= ~(1ull << slot % 64);
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t expiry)
{
	unsigned slot;

	timer_cancel(wheel, timer);
	timer->expiry = expiry > wheel->tick ? expiry : wheel->tick + 1;
	slot = slot_of(timer->expiry);
	timer->next = wheel->slots[slot];
	timer->link = &wheel->slots[slot];
	if (timer->next)
		timer->next->link = &timer->next;
	wheel->slots[slot] = timer;
	wheel->occupied[slot / 64] |= 1ull << slot % 64;
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel)
{
	unsigned words = TIMER_SLOTS / 64, first = slot_of(wheel->tick + 1);
	uint64_t base = wheel->tick + 1 - first % 64; /* tick of the first word's bit 0 */

	/* The first word is looked at twice: its upper part now, its lower part a round later. */
	for (unsigned i = 0; i <= words; i++) {
		uint64_t word = wheel->occupied[(first / 64 + i) % words];

		if (i == 0)
			word &= ~0ull << first % 64;
		if (word)
			return base + 64 * i + (unsigned)__builtin_ctzll(word);
	}
	return UINT64_MAX;
}

struct timer *timer_wheel_expire(struct timer_wheel *wheel, uint64_t tick)
{
	for (;;) {
		uint64_t next = timer_wheel_next(wheel);

		if (next > tick) {
			if (tick > wheel->tick)
				wheel->tick = tick;
			return NULL;
		}
		/* One tick before it: a timer that is set meanwhile for `next` still fits in. */
		wheel->tick = next - 1;
		for (struct timer *t = wheel->slots[slot_of(next)]; t; t = t->next) {
			if (t->expiry <= next) {
				timer_cancel(wheel, t);
				return t;
			}
		}
		wheel->tick = next;
	}
}
