/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram of latencies in nanoseconds, log-linear in the manner of HdrHistogram:
 * each power of two is cut into 128 equal buckets, so that a value read back is within
 * 0.4 % of one recorded. Recording is an increment.
 */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_MAX_BITS 40 /* 18 minutes; what is longer counts as that, but `max` is exact */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Values below 256 have a bucket each; above, `shift` low bits are dropped. */
static inline uint32_t histogram_index(uint64_t ns)
{
	uint32_t shift;

	if (ns >= 1ull << HISTOGRAM_MAX_BITS)
		ns = (1ull << HISTOGRAM_MAX_BITS) - 1;
	if (ns < 2 * HISTOGRAM_SUB)
		return (uint32_t)ns;
	shift = 63 - HISTOGRAM_SUB_BITS - (uint32_t)__builtin_clzll(ns);
	return shift * HISTOGRAM_SUB + (uint32_t)(ns >> shift);
}

/* The middle of a bucket. */
static inline uint64_t histogram_value(uint32_t index)
{
	uint32_t shift;

	if (index < 2 * HISTOGRAM_SUB)
		return index;
	shift = index / HISTOGRAM_SUB - 1;
	return ((uint64_t)(index - shift * HISTOGRAM_SUB) << shift) + (1ull << shift) / 2;
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns)
{
	histogram->count++;
	histogram->buckets[histogram_index(ns)]++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

/* The smallest value that at least `per_mille` of the recorded ones do not exceed; 0 when empty. */
static inline uint64_t histogram_at(const struct histogram *histogram, uint32_t per_mille)
{
	uint64_t wanted = (histogram->count * per_mille + 999) / 1000, seen = 0, value;
	uint32_t i;

	if (!histogram->count)
		return 0;
	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted)
			break;
	}
	value = histogram_value(i);
	return value < histogram->max_ns ? value : histogram->max_ns;
}

#endif
