/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-load's own parts: histogram, ledger, pattern. */
#include <string.h>

#include "test.h"

#include "../../benchmarks/load_histogram.h"
#include "../../benchmarks/load_ledger.c"
#include "../../benchmarks/load_pattern.c"

/* Every value reads back within 0.4 %, and buckets follow each other without a gap. */
static void histogram_error(void)
{
	uint32_t last = 0;

	for (uint64_t ns = 0; ns < 1ull << 39; ns = ns < 4096 ? ns + 1 : ns + ns / 1000) {
		uint32_t index = histogram_index(ns);
		uint64_t value = histogram_value(index), error = value > ns ? value - ns : ns - value;

		CHECK(index < HISTOGRAM_BUCKETS);
		CHECK(index == last || index == last + 1 || ns > 4096);
		CHECK(error * 250 <= ns);
		last = index;
	}
	CHECK_EQ(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void histogram_percentiles(void)
{
	static struct histogram histogram;

	CHECK_EQ(histogram_at(&histogram, 500), 0);
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_record(&histogram, us * 1000);
	CHECK(histogram_at(&histogram, 500) >= 498000 && histogram_at(&histogram, 500) <= 502000);
	CHECK(histogram_at(&histogram, 999) >= 995000 && histogram_at(&histogram, 999) <= 1000000);
	CHECK_EQ(histogram_at(&histogram, 1000), 1000000);
	CHECK_EQ(histogram.max_ns, 1000000);
	histogram_record(&histogram, UINT64_MAX);
	CHECK_EQ(histogram.max_ns, UINT64_MAX);
}

static void expect(struct ledger *ledger, uint64_t client, uint64_t executed, uint64_t twice,
		   uint64_t unknown)
{
	struct ledger_counts counts;

	CHECK(ledger_read(ledger, client, &counts));
	CHECK_EQ(counts.executed, executed);
	CHECK_EQ(counts.twice, twice);
	CHECK_EQ(counts.unknown, unknown);
}

static void ledger_counts_twice(void)
{
	struct ledger *ledger = ledger_create();

	CHECK(ledger);
	for (uint64_t s = 0; s < 1000; s++)
		CHECK_EQ(ledger_note(ledger, 7, s ^ 1), 0); /* out of order */
	expect(ledger, 7, 1000, 0, 0);
	ledger_note(ledger, 7, 0);
	ledger_note(ledger, 7, 999);
	expect(ledger, 7, 1000, 2, 0);
	/* Once round the window: old places are clean again, and what fell out of it is unknown. */
	ledger_note(ledger, 7, LEDGER_WINDOW + 5);
	ledger_note(ledger, 7, LEDGER_WINDOW + 4);
	ledger_note(ledger, 7, 5);
	ledger_note(ledger, 7, 6);
	expect(ledger, 7, 1002, 3, 1);
	ledger_note(ledger, 7, 1ull << 40);
	ledger_note(ledger, 7, 1ull << 40);
	ledger_note(ledger, 7, UINT64_MAX);
	expect(ledger, 7, 1003, 4, 2);
	ledger_destroy(ledger);
}

/* The client longest idle makes room. */
static void ledger_evicts(void)
{
	struct ledger *ledger = ledger_create();
	struct ledger_counts counts;

	CHECK(ledger);
	for (uint64_t client = 1; client <= LEDGER_CLIENTS; client++)
		CHECK_EQ(ledger_note(ledger, client, 0), 0);
	CHECK_EQ(ledger_note(ledger, 1, 1), 0);
	CHECK_EQ(ledger_note(ledger, 1000, 0), 0);
	expect(ledger, 1, 2, 0, 0);
	expect(ledger, 1000, 1, 0, 0);
	CHECK(!ledger_read(ledger, 2, &counts));
	CHECK(ledger_read(ledger, 3, &counts));
	ledger_destroy(ledger);
}

/* Messages differ from each other and from themselves shifted. */
static void pattern_differs(void)
{
	const uint8_t *first;

	CHECK(pattern_init());
	first = pattern_of(1, 0);
	for (uint64_t s = 1; s < 1000; s++)
		CHECK(memcmp(first, pattern_of(1, s), 32) && memcmp(first, pattern_of(s + 1, 0), 32));
	for (uint32_t shift = 1; shift < 3000; shift++)
		CHECK(memcmp(first, first + shift, 32));
	CHECK(pattern_of(1, 0) == first);
	free(table);
}

int main(void)
{
	histogram_error();
	histogram_percentiles();
	ledger_counts_twice();
	ledger_evicts();
	pattern_differs();
	puts("histogram, ledger, pattern: as they should be");
	return 0;
}
