/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Server calls whose handlers answer later, by the transport's handle: so that a call is
 * found when its client gives it up. Chained hashing; the links are in the calls.
 */
#ifndef TERN_HELD_H
#define TERN_HELD_H

#include <stdint.h>

struct tern_call;
struct transport_slot;

struct held_table {
	struct tern_call **buckets;
	uint32_t bucket_count; /* a power of two, or 0 before the first use */
	uint32_t count;
};

void held_release(struct held_table *held);
/* -ENOMEM: the table is empty and has no memory. A full one that cannot grow gets slower. */
int held_insert(struct held_table *held, struct tern_call *call);
/* Does nothing for a call that is not in the table. */
void held_remove(struct held_table *held, struct tern_call *call);
struct tern_call *held_find(const struct held_table *held, const struct transport_slot *slot,
			    uint64_t handle);

#endif
