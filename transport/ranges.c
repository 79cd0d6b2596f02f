/* SPDX-License-Identifier: BSD-2-Clause */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

void ranges_clear(struct ranges *ranges)
{
	if (ranges->capacity)
		free(ranges->more);
	memset(ranges, 0, sizeof(*ranges));
}

static bool make_room(struct ranges *ranges)
{
	uint32_t room = ranges->capacity ? ranges->capacity : RANGES_INLINE;
	struct range *more;

	if (ranges->count < room)
		return true;
	if (room >= RANGES_MAX)
		return false;
	more = malloc(2 * room * sizeof(*more));
	if (!more)
		return false;
	memcpy(more, ranges_get(ranges), ranges->count * sizeof(*more));
	if (ranges->capacity)
		free(ranges->more);
	ranges->more = more;
	ranges->capacity = 2 * room;
	return true;
}

/* Index of the first range that ends after `offset`. */
static uint32_t find(struct ranges *ranges, uint32_t offset)
{
	const struct range *r = ranges_get(ranges);
	uint32_t low = 0, high = ranges->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (r[middle].end > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void erase(struct ranges *ranges, uint32_t from, uint32_t to)
{
	struct range *r = ranges_get(ranges);

	memmove(r + from, r + to, (ranges->count - to) * sizeof(*r));
	ranges->count -= to - from;
}

static bool insert(struct ranges *ranges, uint32_t at, struct range range)
{
	struct range *r;

	if (!make_room(ranges))
		return false;
	r = ranges_get(ranges);
	memmove(r + at + 1, r + at, (ranges->count - at) * sizeof(*r));
	r[at] = range;
	ranges->count++;
	return true;
}

bool ranges_add(struct ranges *ranges, uint32_t start, uint32_t end)
{
	struct range *r = ranges_get(ranges);
	uint32_t first, last;

	if (start >= end)
		return true;
	first = start ? find(ranges, start - 1) : 0;
	for (last = first; last < ranges->count && r[last].start <= end; last++)
		;
	if (first == last)
		return insert(ranges, first, (struct range){ start, end });
	if (r[first].start < start)
		start = r[first].start;
	if (r[last - 1].end > end)
		end = r[last - 1].end;
	r[first] = (struct range){ start, end };
	erase(ranges, first + 1, last);
	return true;
}

bool ranges_subtract(struct ranges *ranges, uint32_t start, uint32_t end)
{
	struct range *r = ranges_get(ranges);
	uint32_t first = find(ranges, start), last;

	if (start >= end || first == ranges->count)
		return true;
	if (r[first].start < start && r[first].end > end) {
		struct range tail = { end, r[first].end };

		if (!insert(ranges, first + 1, tail))
			return false;
		ranges_get(ranges)[first].end = start;
		return true;
	}
	if (r[first].start < start)
		r[first++].end = start;
	for (last = first; last < ranges->count && r[last].end <= end; last++)
		;
	if (last < ranges->count && r[last].start < end)
		r[last].start = end;
	erase(ranges, first, last);
	return true;
}

bool ranges_contain(struct ranges *ranges, uint32_t start, uint32_t end)
{
	uint32_t at = find(ranges, start);
	const struct range *r = ranges_get(ranges);

	return at < ranges->count && r[at].start <= start && r[at].end >= end;
}

uint32_t ranges_bytes(const struct ranges *ranges)
{
	const struct range *r = ranges->capacity ? ranges->more : ranges->few;
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < ranges->count; i++)
		bytes += r[i].end - r[i].start;
	return bytes;
}
