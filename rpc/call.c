/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls and their pool: see call.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

#define INDEX_MASK 0xffffffffull
#define ABA_ONE    (1ull << 32)

static struct tern_call *at(const struct call_pool *pool, uint32_t index)
{
	return &pool->chunks[index / CALL_CHUNK][index % CALL_CHUNK];
}

static void push_free(struct call_pool *pool, struct tern_call *call)
{
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_relaxed), mine;

	do {
		atomic_store_explicit(&call->pool_next, (uint32_t)(head & INDEX_MASK), memory_order_relaxed);
		mine = (head & ~INDEX_MASK) | (call->index + 1);
	} while (!atomic_compare_exchange_weak_explicit(&pool->free, &head, mine, memory_order_release,
							memory_order_relaxed));
}

static struct tern_call *pop_free(struct call_pool *pool)
{
	uint64_t head = atomic_load_explicit(&pool->free, memory_order_acquire), next;
	struct tern_call *call;

	do {
		if ((head & INDEX_MASK) == 0)
			return NULL;
		call = at(pool, (uint32_t)(head & INDEX_MASK) - 1);
		next = (head & ~INDEX_MASK) + ABA_ONE;
		next |= atomic_load_explicit(&call->pool_next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&pool->free, &head, next, memory_order_acquire,
							memory_order_acquire));
	return call;
}

static void init_call(struct call_pool *pool, struct tern_call *call, uint32_t index)
{
	call->index = index;
	call->pool = pool;
	arena_init(&call->arena, call->memory, sizeof(call->memory));
}

/* Adds a chunk. False when the pool is as large as it may be, or memory is short. */
static bool grow(struct call_pool *pool)
{
	struct tern_call *chunk = NULL;
	uint32_t made, count = 0;

	pthread_mutex_lock(&pool->grow_lock);
	made = atomic_load_explicit(&pool->made, memory_order_relaxed);
	if (made < pool->capacity)
		chunk = aligned_alloc(64, CALL_CHUNK * sizeof(*chunk));
	if (chunk) {
		count = pool->capacity - made < CALL_CHUNK ? pool->capacity - made : CALL_CHUNK;
		memset(chunk, 0, CALL_CHUNK * sizeof(*chunk));
		pool->chunks[made / CALL_CHUNK] = chunk;
		for (uint32_t i = 0; i < count; i++) {
			init_call(pool, &chunk[i], made + i);
			push_free(pool, &chunk[i]);
		}
		atomic_store_explicit(&pool->made, made + count, memory_order_release);
	}
	pthread_mutex_unlock(&pool->grow_lock);
	return chunk != NULL;
}

struct tern_call *call_alloc(struct call_pool *pool, bool is_server)
{
	struct tern_call *call;

	do {
		call = pop_free(pool);
	} while (!call && grow(pool));
	if (!call)
		return NULL;
	atomic_store_explicit(&call->answered, false, memory_order_relaxed);
	atomic_store_explicit(&call->cancelled, false, memory_order_relaxed);
	call->is_server = is_server;
	return call;
}

void call_discard(struct tern_call *call)
{
	arena_release(&call->arena);
	tern_arena_reset(&call->arena);
	push_free(call->pool, call);
}

void call_set_state(struct tern_call *call, enum call_state state)
{
	static const uint8_t allowed[] = {
		[CALL_FREE] = 1 << CALL_STARTING | 1 << CALL_HELD,
		[CALL_STARTING] = 1 << CALL_SENT | 1 << CALL_DONE,
		[CALL_SENT] = 1 << CALL_DONE,
		[CALL_HELD] = 1 << CALL_DETACHED | 1 << CALL_DONE,
		[CALL_DETACHED] = 1 << CALL_DONE,
		[CALL_DONE] = 1 << CALL_FREE,
	};

	assert(allowed[call->state] & 1 << state);
	call->state = state;
}

/* A chunk that stays with the idle call saves the next one a malloc; how much may stay is bounded. */
static void keep_or_trim(struct tern_call *call)
{
	struct call_pool *pool = call->pool;
	size_t size;

	tern_arena_reset(&call->arena);
	pool->spare_bytes -= call->spare_bytes;
	size = call->arena.spare ? call->arena.spare->size : 0;
	if (size > CALL_SPARE_MAX || pool->spare_bytes + size > POOL_SPARE_MAX) {
		arena_trim(&call->arena);
		size = 0;
	}
	call->spare_bytes = size;
	pool->spare_bytes += size;
}

void call_release(struct tern_call *call)
{
	if (call->state != CALL_DONE)
		call_set_state(call, CALL_DONE);
	/* Asked for something meanwhile: whoever drains the queue comes by and releases it. */
	if (atomic_load_explicit(&call->asked, memory_order_acquire) != 0)
		return;
	if (call->arena.chunks || call->arena.spare)
		keep_or_trim(call);
	else
		call->arena.at = call->memory;
	call_set_state(call, CALL_FREE);
	push_free(call->pool, call);
}

struct tern_call *call_pool_at(struct call_pool *pool, uint32_t i)
{
	return i < atomic_load_explicit(&pool->made, memory_order_acquire) ? at(pool, i) : NULL;
}

int call_pool_create(struct tern_endpoint *endpoint, uint32_t capacity, struct call_pool **pool)
{
	struct call_pool *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->chunks = calloc((capacity + CALL_CHUNK - 1) / CALL_CHUNK, sizeof(*made->chunks));
	if (!made->chunks) {
		free(made);
		return -ENOMEM;
	}
	made->capacity = capacity;
	atomic_init(&made->endpoint, endpoint);
	pthread_mutex_init(&made->grow_lock, NULL);
	*pool = made;
	return 0;
}

static void destroy(struct call_pool *pool)
{
	struct tern_call *call;

	for (uint32_t i = 0; (call = call_pool_at(pool, i)); i++)
		arena_release(&call->arena);
	for (uint32_t i = 0; i < pool->made; i += CALL_CHUNK)
		free(pool->chunks[i / CALL_CHUNK]);
	pthread_mutex_destroy(&pool->grow_lock);
	free(pool->chunks);
	free(pool);
}

void call_pool_orphan(struct call_pool *pool)
{
	struct tern_call *call;
	long held = 0;

	for (uint32_t i = 0; (call = call_pool_at(pool, i)); i++)
		held += call->state == CALL_DETACHED;
	atomic_store(&pool->endpoint, NULL);
	/* Some may have been dropped since: then the count was negative, and its sum is right. */
	if (atomic_fetch_add(&pool->orphans, held) == -held)
		destroy(pool);
}

void call_pool_drop_orphan(struct call_pool *pool)
{
	if (atomic_fetch_sub(&pool->orphans, 1) == 1)
		destroy(pool);
}
