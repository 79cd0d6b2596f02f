/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers of calls: see deadline.h. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "deadline.h"

#define DIGIT_BITS 6
#define DUE        UINT32_MAX
#define TICK_LAST  (UINT64_MAX / DEADLINE_TICK_NS)

static uint64_t begun_tick(uint64_t ns)
{
	return ns / DEADLINE_TICK_NS;
}

void deadline_init(struct deadline_wheel *wheel, uint64_t now_ns)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = begun_tick(now_ns);
}

static void link_in(struct deadline **head, struct deadline *deadline)
{
	deadline->next = *head;
	if (deadline->next)
		deadline->next->link = &deadline->next;
	deadline->link = head;
	*head = deadline;
}

static void link_out(struct deadline *deadline)
{
	*deadline->link = deadline->next;
	if (deadline->next)
		deadline->next->link = deadline->link;
	deadline->link = NULL;
}

/* The timer's tick is later than the wheel's. */
static void insert(struct deadline_wheel *wheel, struct deadline *deadline)
{
	unsigned int top_bit = 63 - (unsigned int)__builtin_clzll(deadline->tick ^ wheel->tick);
	unsigned int level = top_bit / DIGIT_BITS;
	unsigned int digit = (deadline->tick >> (level * DIGIT_BITS)) % DEADLINE_SLOTS;

	deadline->slot = level * DEADLINE_SLOTS + digit;
	wheel->occupied[level] |= 1ull << digit;
	link_in(&wheel->slots[deadline->slot], deadline);
}

void deadline_set(struct deadline_wheel *wheel, struct deadline *deadline, uint64_t at_ns)
{
	if (at_ns == DEADLINE_NEVER)
		return;
	deadline->tick = begun_tick(at_ns) + (at_ns % DEADLINE_TICK_NS != 0);
	if (deadline->tick <= wheel->tick)
		deadline->tick = wheel->tick + 1;
	if (deadline->tick > TICK_LAST)
		deadline->tick = TICK_LAST;
	insert(wheel, deadline);
}

void deadline_cancel(struct deadline_wheel *wheel, struct deadline *deadline)
{
	if (!deadline_is_set(deadline))
		return;
	link_out(deadline);
	if (deadline->slot != DUE && !wheel->slots[deadline->slot])
		wheel->occupied[deadline->slot / DEADLINE_SLOTS] &=
			~(1ull << deadline->slot % DEADLINE_SLOTS);
}

static_assert(TICK_LAST < 1ull << (DIGIT_BITS * DEADLINE_LEVELS), "every tick has a level");

/* Level of the first occupied slot, DEADLINE_LEVELS if there is none; and the tick at which it begins. */
static unsigned int first_slot(const struct deadline_wheel *wheel, uint64_t *begins)
{
	unsigned int level;

	for (level = 0; level < DEADLINE_LEVELS; level++) {
		unsigned int shift = level * DIGIT_BITS;
		uint64_t digit;

		if (!wheel->occupied[level])
			continue;
		digit = (uint64_t)__builtin_ctzll(wheel->occupied[level]);
		*begins = (wheel->tick >> shift >> DIGIT_BITS << DIGIT_BITS << shift) | digit << shift;
		break;
	}
	return level;
}

/* The wheel's tick has reached the beginning of a slot: its timers are due, or move down. */
static void open_slot(struct deadline_wheel *wheel, unsigned int level)
{
	unsigned int digit = (unsigned int)__builtin_ctzll(wheel->occupied[level]);
	struct deadline **head = &wheel->slots[level * DEADLINE_SLOTS + digit];

	wheel->occupied[level] &= ~(1ull << digit);
	while (*head) {
		struct deadline *deadline = *head;

		link_out(deadline);
		if (deadline->tick <= wheel->tick) {
			deadline->slot = DUE;
			link_in(&wheel->due, deadline);
		} else {
			insert(wheel, deadline);
		}
	}
}

struct deadline *deadline_expire(struct deadline_wheel *wheel, uint64_t now_ns)
{
	uint64_t now = begun_tick(now_ns), begins;
	struct deadline *deadline;

	while (!wheel->due && wheel->tick < now) {
		unsigned int level = first_slot(wheel, &begins);

		if (level == DEADLINE_LEVELS || begins > now) {
			wheel->tick = now;
			break;
		}
		wheel->tick = begins;
		open_slot(wheel, level);
	}
	deadline = wheel->due;
	if (deadline)
		link_out(deadline);
	return deadline;
}

uint64_t deadline_next_ns(const struct deadline_wheel *wheel)
{
	uint64_t begins;

	if (wheel->due)
		return 0;
	if (first_slot(wheel, &begins) == DEADLINE_LEVELS)
		return DEADLINE_NEVER;
	return begins * DEADLINE_TICK_NS;
}
