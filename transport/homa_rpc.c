/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of RPCs. A client's RPC is found by its id alone, whose low bits are its
 * index; the bits above count how often the slot was used, from a random start. A
 * server's RPC is found by a keyed hash of peer and id. Free slots are reused last in,
 * first out, so that few are in the cache however large the table is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "homa_state.h"

#define HANDLE_SERVER 0x80000000u

/* Lines by which a table's start varies: tables of several hosts would meet in the same sets of the cache. */
#define COLOURS 1024

/* What take_slot zeroes; ranges need no more than their counts to be. */
#define HOT_FROM offsetof(struct homa_rpc, out.resend)
#define HOT_TO   offsetof(struct homa_rpc, in.settled.few[1])
static_assert(HOT_FROM % HOMA_CACHE_LINE == 0 && HOT_TO - HOT_FROM == 5 * HOMA_CACHE_LINE, "see struct homa_rpc");

static uint32_t power_of_two_from(uint32_t n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static int table_init(struct homa_table *table, uint32_t size, uint64_t colour)
{
	char *lines;

	table->size = power_of_two_from(size);
	/* Untouched slots cost no memory: calloc maps what is this large. */
	lines = homa_lines_new(table->size * sizeof(*table->slots) + COLOURS * HOMA_CACHE_LINE, &table->memory);
	if (!lines)
		return -ENOMEM;
	table->slots = (void *)(lines + colour % COLOURS * HOMA_CACHE_LINE);
	return 0;
}

int homa_rpcs_init(struct homa *homa)
{
	int error = table_init(&homa->clients, homa->params.max_client_rpcs, homa->key[0]);

	if (!error)
		error = table_init(&homa->servers, homa->params.max_server_rpcs, homa->key[1]);
	if (error)
		return error;
	homa->server_buckets = calloc(homa->servers.size, sizeof(*homa->server_buckets));
	return homa->server_buckets ? 0 : -ENOMEM;
}

static void table_free(struct homa *homa, struct homa_table *table)
{
	for (uint32_t i = 0; i < table->touched && table->used; i++)
		if (table->slots[i].state != HOMA_RPC_FREE)
			homa_rpc_free(homa, &table->slots[i]);
	free(table->memory);
}

void homa_rpcs_free(struct homa *homa)
{
	table_free(homa, &homa->clients);
	table_free(homa, &homa->servers);
	free(homa->server_buckets);
}

uint64_t homa_rpc_handle(const struct homa_rpc *rpc)
{
	return (uint64_t)rpc->generation << 32 | (homa_rpc_is_client(rpc) ? 0 : HANDLE_SERVER) | rpc->index;
}

struct homa_rpc *homa_rpc_by_handle(struct homa *homa, uint64_t handle)
{
	struct homa_table *table = handle & HANDLE_SERVER ? &homa->servers : &homa->clients;
	uint32_t index = (uint32_t)handle & ~HANDLE_SERVER;
	struct homa_rpc *rpc;

	if (index >= table->size)
		return NULL;
	rpc = &table->slots[index];
	return rpc->state != HOMA_RPC_FREE && rpc->generation == handle >> 32 ? rpc : NULL;
}

struct homa_rpc *homa_client_rpc_find(struct homa *homa, uint64_t id)
{
	struct homa_rpc *rpc = &homa->clients.slots[id / 2 & (homa->clients.size - 1)];

	return rpc->state != HOMA_RPC_FREE && rpc->id == id ? rpc : NULL;
}

static struct homa_rpc **bucket_of(const struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	return &homa->server_buckets[homa_rpc_hash(homa, peer, id) & (homa->servers.size - 1)];
}

struct homa_rpc *homa_server_rpc_find(struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	struct homa_rpc *rpc = *bucket_of(homa, peer, id);

	while (rpc && (rpc->id != id || rpc->peer != peer))
		rpc = rpc->chain;
	return rpc;
}

/* A free slot, zero but for what tells its uses apart and what few need; NULL when `limit` are taken. */
static struct homa_rpc *take_slot(struct homa *homa, struct homa_table *table, uint32_t limit, struct homa_peer *peer)
{
	struct homa_rpc *rpc = table->vacant;
	uint32_t generation;

	if (table->used >= limit)
		return NULL;
	if (rpc)
		table->vacant = rpc->chain;
	else
		rpc = &table->slots[table->touched++];
	table->used++;
	generation = rpc->generation;
	memset((char *)rpc + HOT_FROM, 0, HOT_TO - HOT_FROM);
	rpc->generation = generation;
	rpc->index = (uint32_t)(rpc - table->slots);
	rpc->peer = peer;
	rpc->birth_ns = rpc->heard_ns = homa->now_ns;
	rpc->sequence = homa->next_sequence++;
	homa_peer_hold(homa, peer);
	return rpc;
}

struct homa_rpc *homa_client_rpc_new(struct homa *homa, struct homa_peer *peer)
{
	struct homa_table *table = &homa->clients;
	struct homa_rpc *rpc = take_slot(homa, table, homa->params.max_client_rpcs, peer);

	if (!rpc)
		return NULL;
	rpc->id = (homa->first_use + rpc->generation) * 2 * table->size + 2 * (uint64_t)rpc->index;
	/* Id 0 says "no acknowledgement" on the wire: that use of slot 0 is skipped. */
	if (!rpc->id) {
		rpc->generation++;
		rpc->id = 2 * (uint64_t)table->size;
	}
	homa->counters.client_rpcs++;
	return rpc;
}

struct homa_rpc *homa_server_rpc_new(struct homa *homa, struct homa_peer *peer, uint64_t id)
{
	struct homa_rpc *rpc = take_slot(homa, &homa->servers, homa->params.max_server_rpcs, peer), **bucket;

	if (!rpc)
		return NULL;
	rpc->id = id;
	bucket = bucket_of(homa, peer, id);
	rpc->chain = *bucket;
	*bucket = rpc;
	homa->counters.server_rpcs++;
	return rpc;
}

void homa_rpc_set_state(struct homa *homa, struct homa_rpc *rpc, enum homa_rpc_state state)
{
	static const uint8_t may_follow[][HOMA_RPC_DONE + 1] = {
		[HOMA_RPC_FREE] = { [HOMA_RPC_OUTGOING] = 1, [HOMA_RPC_INCOMING] = 2 },
		[HOMA_RPC_OUTGOING] = { [HOMA_RPC_INCOMING] = 1, [HOMA_RPC_DONE] = 1, [HOMA_RPC_FREE] = 3 },
		[HOMA_RPC_INCOMING] = { [HOMA_RPC_IN_SERVICE] = 2, [HOMA_RPC_DONE] = 1, [HOMA_RPC_FREE] = 3 },
		[HOMA_RPC_IN_SERVICE] = { [HOMA_RPC_OUTGOING] = 2, [HOMA_RPC_DONE] = 2, [HOMA_RPC_FREE] = 2 },
		[HOMA_RPC_DONE] = { [HOMA_RPC_FREE] = 3 },
	}; /* 1: client, 2: server, 3: either */

	assert(may_follow[rpc->state][state] & (homa_rpc_is_client(rpc) ? 1 : 2));
	if (rpc->in_incomplete) {
		TAILQ_REMOVE(&homa->incomplete, rpc, age);
		rpc->in_incomplete = false;
	} else if (state == HOMA_RPC_INCOMING && !homa_rpc_is_client(rpc)) {
		TAILQ_INSERT_TAIL(&homa->incomplete, rpc, age);
		rpc->in_incomplete = true;
	}
	rpc->state = state;
}

void homa_rpc_quiesce(struct homa *homa, struct homa_rpc *rpc)
{
	timer_cancel(&homa->wheel, &rpc->timer);
	homa_send_free(homa, rpc);
	homa_recv_free(homa, rpc);
}

void homa_rpc_free(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_table *table = homa_rpc_is_client(rpc) ? &homa->clients : &homa->servers;

	homa_rpc_quiesce(homa, rpc);
	if (rpc->event != HOMA_EVENT_NONE)
		TAILQ_REMOVE(&homa->ready, rpc, ready);
	homa_rpc_set_state(homa, rpc, HOMA_RPC_FREE);
	homa_peer_release(homa, rpc->peer);
	if (table == &homa->servers) {
		struct homa_rpc **link = bucket_of(homa, rpc->peer, rpc->id);

		while (*link != rpc)
			link = &(*link)->chain;
		*link = rpc->chain;
		homa->counters.server_rpcs--;
	} else {
		homa->counters.client_rpcs--;
	}
	rpc->generation++;
	rpc->chain = table->vacant;
	table->vacant = rpc;
	table->used--;
}

void homa_rpc_fail(struct homa *homa, struct homa_rpc *rpc, int error)
{
	if (homa_rpc_is_client(rpc)) {
		if (rpc->state == HOMA_RPC_DONE)
			return;
		homa_rpc_quiesce(homa, rpc);
		homa_rpc_set_state(homa, rpc, HOMA_RPC_DONE);
		homa->counters.failures++;
		homa_event_post(homa, rpc, HOMA_EVENT_FAILED, error);
		return;
	}
	/* A request that was complete must not run again, nor at all if it has not begun. */
	if (rpc->state != HOMA_RPC_INCOMING)
		homa_dedupe_add(homa, rpc->peer, rpc->id);
	if (rpc->state == HOMA_RPC_IN_SERVICE && rpc->reported) {
		homa_rpc_quiesce(homa, rpc);
		homa_rpc_set_state(homa, rpc, HOMA_RPC_DONE);
		homa->counters.cancelled++;
		homa_event_post(homa, rpc, HOMA_EVENT_CANCELLED, error);
	} else if (rpc->state != HOMA_RPC_DONE) {
		homa_rpc_free(homa, rpc);
	}
}

bool homa_rpc_evict(struct homa *homa, const struct homa_rpc *keep)
{
	struct homa_rpc *rpc = TAILQ_FIRST(&homa->incomplete);

	if (rpc && rpc == keep)
		rpc = TAILQ_NEXT(rpc, age);
	if (!rpc)
		return false;
	homa->counters.evicted++;
	homa_rpc_free(homa, rpc);
	return true;
}
