/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of disjoint byte ranges in ascending order: the gaps of a message that is
 * arriving, or the parts of one that are to be sent again. A few fit inside; more are
 * allocated, up to RANGES_MAX.
 */
#ifndef TERN_RANGES_H
#define TERN_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define RANGES_INLINE 2
#define RANGES_MAX 1024 /* a message of 1,000,000 bytes has 703 packets of 1,424 */

struct range {
	uint32_t start;
	uint32_t end; /* exclusive */
};

struct ranges {
	uint32_t count;
	uint32_t capacity; /* of `more`; 0 while `few` is in use */
	union {
		struct range few[RANGES_INLINE];
		struct range *more;
	};
};

static inline struct range *ranges_get(struct ranges *ranges)
{
	return ranges->capacity ? ranges->more : ranges->few;
}

/* Of ranges_free. */
void ranges_clear(struct ranges *ranges);
/* An all-zero struct is an empty set; one that is empty already is not written to. */
static inline void ranges_free(struct ranges *ranges)
{
	if (ranges->count | ranges->capacity)
		ranges_clear(ranges);
}
/* Adds [start, end), joining what it touches. False, with nothing changed, when memory or RANGES_MAX forbids. */
bool ranges_add(struct ranges *ranges, uint32_t start, uint32_t end);
/* Takes out [start, end). False, with nothing changed, when a split finds no room. */
bool ranges_subtract(struct ranges *ranges, uint32_t start, uint32_t end);
/* Whether one of the ranges has all of [start, end). */
bool ranges_contain(struct ranges *ranges, uint32_t start, uint32_t end);
/* Sum of the ranges' lengths, bytes. */
uint32_t ranges_bytes(const struct ranges *ranges);

#endif
