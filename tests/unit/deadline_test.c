/* SPDX-License-Identifier: BSD-2-Clause */
/* The timing wheel of deadlines against a plain list of the same timers. */
#include <stdbool.h>
#include <string.h>

#include "deadline.h"
#include "test.h"

#define TIMERS 400
#define STEPS  20000

static uint64_t seed = 1;

static uint64_t random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct deadline timers[TIMERS];
static uint64_t times[TIMERS]; /* 0: not set */

static uint64_t earliest(void)
{
	uint64_t first = DEADLINE_NEVER;

	for (unsigned int i = 0; i < TIMERS; i++)
		if (times[i] && times[i] < first)
			first = times[i];
	return first;
}

/* Everything that is due, and nothing that is not, runs; the late ones by less than a tick. */
static void run(struct deadline_wheel *wheel, uint64_t now)
{
	struct deadline *due;

	while ((due = deadline_expire(wheel, now))) {
		unsigned int i = (unsigned int)(due - timers);

		CHECK(!deadline_is_set(due));
		CHECK(times[i] != 0 && times[i] <= now);
		times[i] = 0;
	}
	for (unsigned int i = 0; i < TIMERS; i++)
		CHECK(!times[i] || times[i] + DEADLINE_TICK_NS > now);
}

static void test_random(uint64_t start, unsigned int magnitude)
{
	static struct deadline_wheel wheel;
	uint64_t now = start;

	memset(timers, 0, sizeof(timers));
	memset(times, 0, sizeof(times));
	deadline_init(&wheel, now);
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int i = random_u64() % TIMERS;

		switch (random_u64() % 4) {
		case 0:
			deadline_cancel(&wheel, &timers[i]);
			times[i] = 0;
			break;
		case 1:
			now += random_u64() % (1ull << random_u64() % magnitude);
			run(&wheel, now);
			break;
		default:
			if (times[i])
				break;
			times[i] = now + 1 + random_u64() % (1ull << random_u64() % magnitude);
			deadline_set(&wheel, &timers[i], times[i]);
		}
		CHECK(deadline_next_ns(&wheel) < DEADLINE_NEVER || earliest() == DEADLINE_NEVER);
		CHECK(earliest() == DEADLINE_NEVER ||
		      deadline_next_ns(&wheel) <= earliest() + DEADLINE_TICK_NS);
	}
}

/* Sleeping until deadline_next_ns, again and again, a timer far away costs a wake-up a level. */
static void test_wake_ups(void)
{
	static struct deadline_wheel wheel;
	uint64_t now = 12345678901ull, at = now + 3600000000000ull;
	struct deadline timer = { 0 };
	unsigned int wake_ups = 0;

	deadline_init(&wheel, now);
	deadline_set(&wheel, &timer, at);
	while (deadline_is_set(&timer)) {
		CHECK(deadline_next_ns(&wheel) > now);
		now = deadline_next_ns(&wheel);
		deadline_expire(&wheel, now);
		wake_ups++;
	}
	CHECK(now >= at && now < at + DEADLINE_TICK_NS);
	CHECK(wake_ups <= DEADLINE_LEVELS);
	CHECK_EQ(deadline_next_ns(&wheel), DEADLINE_NEVER);
}

static void test_edges(void)
{
	static struct deadline_wheel wheel;
	struct deadline first = { 0 }, second = { 0 };

	deadline_init(&wheel, 1000000000);
	deadline_set(&wheel, &first, DEADLINE_NEVER);
	CHECK(!deadline_is_set(&first));
	deadline_set(&wheel, &first, 5);
	CHECK(!deadline_expire(&wheel, 1000000000));
	CHECK(deadline_expire(&wheel, 1000000000 + DEADLINE_TICK_NS) == &first);
	deadline_set(&wheel, &first, DEADLINE_NEVER - 1);
	deadline_set(&wheel, &second, 2000000000);
	CHECK(deadline_expire(&wheel, 3000000000) == &second);
	CHECK(!deadline_expire(&wheel, 3000000000));
	deadline_cancel(&wheel, &first);
	deadline_cancel(&wheel, &first);
	CHECK_EQ(deadline_after(1000, UINT64_MAX), DEADLINE_NEVER);
	CHECK_EQ(deadline_after(1000, UINT64_MAX / 1000), DEADLINE_NEVER);
	CHECK_EQ(deadline_after(1000, 7), 8000);
}

/* One that is due may be cancelled by the one before it. */
static void test_cancel_due(void)
{
	static struct deadline_wheel wheel;
	struct deadline pair[2] = { 0 }, *due;

	deadline_init(&wheel, 0);
	deadline_set(&wheel, &pair[0], 1000000);
	deadline_set(&wheel, &pair[1], 1000000);
	due = deadline_expire(&wheel, 2000000);
	CHECK(due);
	deadline_cancel(&wheel, due == &pair[0] ? &pair[1] : &pair[0]);
	CHECK(!deadline_expire(&wheel, 2000000));
	CHECK_EQ(deadline_next_ns(&wheel), DEADLINE_NEVER);
}

int main(void)
{
	test_random(0, 20);
	test_random(1ull << 40, 35);
	test_random((1ull << 48) - 5, 46);
	test_random(1ull << 62, 58);
	test_wake_ups();
	test_edges();
	test_cancel_due();
	return 0;
}
