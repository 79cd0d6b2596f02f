/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heap, timing wheel and range set against simple oracles, with random operations: an
 * array that is searched, a sorted scan, a byte map.
 */
#include <stdint.h>
#include <string.h>

#include "heap.h"
#include "ranges.h"
#include "test.h"
#include "timer.h"

static uint64_t random_state = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % n;
}

/* ---- heap ---- */

#define NODES 300

static const struct heap_node *least(const struct heap_node *nodes)
{
	const struct heap_node *best = NULL;

	for (int i = 0; i < NODES; i++) {
		const struct heap_node *n = &nodes[i];

		if (heap_contains(n) && (!best || n->key < best->key || (n->key == best->key && n->tie < best->tie)))
			best = n;
	}
	return best;
}

static void test_heap(void)
{
	static struct heap_node nodes[NODES];
	struct heap heap = { NULL };

	for (int step = 0; step < 200000; step++) {
		uint32_t i = random_below(NODES);
		uint64_t key = random_below(50);

		if (!heap_contains(&nodes[i]))
			heap_insert(&heap, &nodes[i], key, i);
		else if (random_below(3))
			heap_update(&heap, &nodes[i], key, i);
		else
			heap_remove(&heap, step % 5 ? &nodes[i] : heap_first(&heap));
		if (step % 7 == 0)
			CHECK(heap_first(&heap) == least(nodes));
	}
	for (uint64_t last = 0; heap_first(&heap);) {
		struct heap_node *first = heap_first(&heap);

		CHECK(first->key >= last);
		last = first->key;
		heap_remove(&heap, first);
		CHECK(!heap_contains(first));
	}
}

/* ---- timing wheel ---- */

#define TIMERS 200

static void test_wheel(uint64_t start)
{
	static struct timer timers[TIMERS];
	static uint64_t due[TIMERS]; /* 0: not set */
	static struct timer_wheel wheel;
	uint64_t now = start;

	memset(timers, 0, sizeof(timers));
	memset(due, 0, sizeof(due));
	timer_wheel_init(&wheel, start);
	CHECK(timer_wheel_next(&wheel) == UINT64_MAX);
	for (int step = 0; step < 100000; step++) {
		uint32_t i = random_below(TIMERS);
		uint64_t soonest = UINT64_MAX;
		struct timer *t;

		if (random_below(4)) {
			due[i] = now + 1 + random_below(step % 3 ? 100 : 1000);
			timer_set(&wheel, &timers[i], due[i]);
		} else {
			timer_cancel(&wheel, &timers[i]);
			due[i] = 0;
		}
		for (int k = 0; k < TIMERS; k++)
			if (due[k] && due[k] < soonest)
				soonest = due[k];
		CHECK(timer_wheel_next(&wheel) <= soonest);
		if (soonest < now + TIMER_SLOTS)
			CHECK(timer_wheel_next(&wheel) > now);
		now += random_below(4);
		while ((t = timer_wheel_expire(&wheel, now))) {
			CHECK(due[t - timers] && due[t - timers] <= now);
			due[t - timers] = 0;
		}
		for (int k = 0; k < TIMERS; k++)
			CHECK(!due[k] || due[k] > now);
	}
}

/* ---- ranges ---- */

#define BYTES 3000

static void test_ranges(void)
{
	static uint8_t map[BYTES];
	struct ranges ranges = { 0 };
	bool full = false;

	for (int step = 0; step < 30000; step++) {
		uint32_t start = random_below(BYTES), end = start + random_below(step % 2 ? 20 : 300), bytes = 0;
		bool add = random_below(2);

		end = end > BYTES ? BYTES : end;
		if (!(add ? ranges_add(&ranges, start, end) : ranges_subtract(&ranges, start, end)))
			full = true; /* nothing may have changed */
		else
			memset(map + start, add, end - start);
		for (uint32_t i = 0; i < ranges.count; i++) {
			struct range r = ranges_get(&ranges)[i];

			CHECK(r.start < r.end);
			CHECK(i == 0 || ranges_get(&ranges)[i - 1].end < r.start);
			bytes += r.end - r.start;
			CHECK(map[r.start] && map[r.end - 1] && (r.end == BYTES || !map[r.end]));
			CHECK(r.start == 0 || !map[r.start - 1]);
		}
		CHECK_EQ(bytes, ranges_bytes(&ranges));
		for (uint32_t i = 0; i < BYTES; i++)
			bytes -= map[i];
		CHECK_EQ(bytes, 0);
	}
	CHECK(!full);
	ranges_free(&ranges);
	/* One more than the limit is refused, and refusing changes nothing. */
	for (uint32_t i = 0; i < RANGES_MAX; i++)
		CHECK(ranges_add(&ranges, 2 * i, 2 * i + 1));
	CHECK(!ranges_add(&ranges, 2 * RANGES_MAX, 2 * RANGES_MAX + 1));
	CHECK_EQ(ranges_bytes(&ranges), RANGES_MAX);
	CHECK(ranges_add(&ranges, 0, 2 * RANGES_MAX));
	CHECK_EQ(ranges.count, 1);
	ranges_free(&ranges);
}

int main(void)
{
	test_heap();
	test_wheel(0);
	test_wheel(UINT64_MAX / 1000000 - 5000); /* milliseconds of a clock near its end */
	test_ranges();
	return 0;
}
