/* SPDX-License-Identifier: BSD-2-Clause */
/* A token bucket kept as one time stamp: when the bucket will be full again. */
#ifndef TERN_RATE_LIMIT_H
#define TERN_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
	uint64_t interval_ns; /* between two, in the long run */
	uint32_t burst;       /* at once, after a pause: at least 1 */
	uint64_t full_ns;
};

/* Takes one token; false when there is none. */
static inline bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns)
{
	uint64_t full_ns = limit->full_ns > now_ns ? limit->full_ns : now_ns;

	if (full_ns - now_ns > (limit->burst - 1) * limit->interval_ns)
		return false;
	limit->full_ns = full_ns + limit->interval_ns;
	return true;
}

#endif
