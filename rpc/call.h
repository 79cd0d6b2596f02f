/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls, on either side, and the pool that they come from.
 *
 * A call belongs to the driving thread, but for what is marked "any thread". Other
 * threads ask it for something by setting a bit of `asked`; who sets the first bit also
 * puts the call into the endpoint's queue (queue.h). So one link a call is enough, and
 * neither asking nor answering allocates.
 *
 * Pool memory is never given back before the endpoint is destroyed, and outlives even
 * that while handlers hold calls of a server: they may answer when all is gone.
 */
#ifndef TERN_CALL_H
#define TERN_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "arena.h"
#include "deadline.h"
#include "names.h"
#include "tern.h"
#include "transport.h"

#define CALLS_MAX         (1u << 20)  /* of an endpoint: what options.max_calls may be */
#define CALL_CHUNK        64          /* calls that the pool allocates at a time */
#define CALL_INLINE_BYTES 288         /* of its arena, within the call */
#define CALL_SPARE_MAX    (64u << 10) /* bytes of arena chunk that an idle call keeps ... */
#define POOL_SPARE_MAX    (16u << 20) /* ... and all of them together */

struct tern_endpoint;
struct transport_slot;

enum call_state {
	CALL_FREE = 0, /* in the pool, or on its way from another thread */
	CALL_STARTING, /* client: not sent yet */
	CALL_SENT,     /* client: the transport has the request */
	CALL_HELD,     /* server: the handler has it, the client waits */
	CALL_DETACHED, /* server: the handler has it, the client does not wait any more */
	CALL_DONE,     /* over; goes back to the pool once it is in no queue */
};

/* What the driving thread is asked for. */
enum call_ask {
	ASK_START = 1 << 0,  /* client: send `out` */
	ASK_CANCEL = 1 << 1, /* client */
	ASK_FINISH = 1 << 2, /* client: report `error` */
	ASK_ANSWER = 1 << 3, /* server: send `out` */
};

struct call_client {
	struct tern_channel *channel;
	const struct tern_method *method; /* NULL: raw */
	union {
		tern_done *done;
		tern_raw_done *raw_done;
	};
	void *ctx;
	ProtobufCAllocator *allocator; /* of the reply, if `keep` */
	bool keep;                     /* the reply outlives the callback: a synchronous call */
	bool counted;                  /* in channel->outstanding */
	int error;                     /* ASK_FINISH: what the transport said */
};

struct call_server {
	struct tern_server *server;  /* NULL once the server is gone */
	struct tern_call *held_next; /* in the table of held calls */
	char *peer;                  /* NULL until asked for */
	struct net_endpoint remote;
	const struct tern_method *method; /* NULL: raw */
	void *message;                    /* raw: the request in the transport's memory */
	bool in_table;                    /* of held calls */
};

struct tern_call {
	/* any thread */
	struct tern_call *queue_next;
	atomic_uint asked;
	atomic_uint pool_next; /* index + 1 of the next free call */
	atomic_bool answered;  /* server: exactly one answer gets through */
	atomic_bool cancelled;

	enum call_state state;
	uint32_t index; /* in the pool */
	struct call_pool *pool;
	struct transport_slot *slot;
	uint64_t handle; /* the transport's */
	uint64_t deadline_ns;
	struct deadline timer;
	uint8_t *out; /* a packed message on its way to the driving thread, in the arena */
	uint32_t out_length;
	bool is_server;
	union {
		struct call_client client;
		struct call_server server;
	};
	size_t spare_bytes; /* that the arena keeps while the call is idle */
	struct tern_arena arena;
	_Alignas(ARENA_ALIGNMENT) uint8_t memory[CALL_INLINE_BYTES];
};

struct call_pool {
	_Atomic(struct tern_endpoint *) endpoint; /* NULL once it is destroyed */
	atomic_uint_fast64_t free;                /* stack: index + 1 below, a count against ABA above */
	pthread_mutex_t grow_lock;
	uint32_t capacity;
	atomic_uint made; /* calls that exist */
	struct tern_call **chunks;
	size_t spare_bytes;
	atomic_long orphans; /* calls of servers in handlers' hands after the endpoint's end */
};

/* -ENOMEM. */
int call_pool_create(struct tern_endpoint *endpoint, uint32_t capacity, struct call_pool **pool);
/* When the endpoint goes, with all calls ended but those in state CALL_DETACHED. */
void call_pool_orphan(struct call_pool *pool);
/* One orphan was answered: the last one frees the pool. Any thread. */
void call_pool_drop_orphan(struct call_pool *pool);
/* The i-th call that exists; NULL when there are fewer. */
struct tern_call *call_pool_at(struct call_pool *pool, uint32_t i);

/* A call with an empty arena, in state CALL_FREE; NULL at the limit or without memory. Any thread. */
struct tern_call *call_alloc(struct call_pool *pool, bool is_server);
/* Gives a call back that is still in state CALL_FREE. Any thread. */
void call_discard(struct tern_call *call);
/* The only way from one state to another. Only for the thread that holds the endpoint. */
void call_set_state(struct tern_call *call, enum call_state state);
/* Ends a call: back to the pool, now or when the queue gives it up. */
void call_release(struct tern_call *call);

#endif
