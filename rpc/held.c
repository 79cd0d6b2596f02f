/* SPDX-License-Identifier: BSD-2-Clause */
/* Server calls whose handlers answer later: see held.h. */
#include <errno.h>
#include <stdlib.h>

#include "call.h"
#include "held.h"

#define BUCKETS_MIN 256
#define GOLDEN      0x9e3779b97f4a7c15ull /* 2^64 / golden ratio: Fibonacci hashing */

static struct tern_call **bucket_of(const struct held_table *held, uint64_t handle)
{
	return &held->buckets[(handle * GOLDEN >> 32) & (held->bucket_count - 1)];
}

static void link_in(struct held_table *held, struct tern_call *call)
{
	struct tern_call **bucket = bucket_of(held, call->handle);

	call->server.held_next = *bucket;
	*bucket = call;
}

static int grow(struct held_table *held)
{
	struct held_table old = *held;

	held->bucket_count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_MIN;
	held->buckets = calloc(held->bucket_count, sizeof(struct tern_call *));
	if (!held->buckets) {
		*held = old;
		return old.buckets ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; i < old.bucket_count; i++) {
		struct tern_call *call = old.buckets[i];

		while (call) {
			struct tern_call *next = call->server.held_next;

			link_in(held, call);
			call = next;
		}
	}
	free(old.buckets);
	return 0;
}

void held_release(struct held_table *held)
{
	free(held->buckets);
}

int held_insert(struct held_table *held, struct tern_call *call)
{
	if (held->count == held->bucket_count && grow(held) < 0)
		return -ENOMEM;
	link_in(held, call);
	call->server.in_table = true;
	held->count++;
	return 0;
}

void held_remove(struct held_table *held, struct tern_call *call)
{
	struct tern_call **link;

	if (!call->server.in_table)
		return;
	for (link = bucket_of(held, call->handle); *link != call;)
		link = &(*link)->server.held_next;
	*link = call->server.held_next;
	call->server.in_table = false;
	held->count--;
}

struct tern_call *held_find(const struct held_table *held, const struct transport_slot *slot, uint64_t handle)
{
	struct tern_call *call;

	if (!held->buckets)
		return NULL;
	for (call = *bucket_of(held, handle); call; call = call->server.held_next)
		if (call->handle == handle && call->slot == slot)
			break;
	return call;
}
