/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The endpoint from within. All of it belongs to the thread that holds it (drive.h),
 * except what other threads write to, which stands first and on lines of its own.
 */
#ifndef TERN_ENDPOINT_H
#define TERN_ENDPOINT_H

#include <pthread.h>
#include <stdatomic.h>

#include "arena.h"
#include "call.h"
#include "deadline.h"
#include "held.h"
#include "names.h"
#include "queue.h"
#include "tern.h"
#include "transport.h"

#define TRANSPORTS_MAX    4  /* schemes that one endpoint uses */
#define PARAMETERS_MAX    64 /* options.parameters */
#define MAX_CALLS_DEFAULT 65536
#define MEMORY_DEFAULT    (256ull << 20)
#define SPIN_US_DEFAULT   50
#define SPIN_US_MAX       1000000
#define LOG_LINE_MAX      512
#define REPLY_MEMORY      2048 /* bytes that a reply may unpack to before memory is allocated */

struct transport_slot {
	struct tern_endpoint *endpoint;
	const struct transport_ops *ops;
	struct transport *transport;
	int poll_error; /* that was last logged */
};

/* They are reported under these names, with rpc_ in front. */
struct endpoint_counters {
	uint64_t calls_started;
	uint64_t calls_ok;
	uint64_t calls_failed;
	uint64_t calls_timed_out;
	uint64_t calls_cancelled;
	uint64_t requests;
	uint64_t requests_refused;
	uint64_t requests_malformed;
	uint64_t requests_expired;
	uint64_t requests_cancelled;
	uint64_t requests_held;
	uint64_t replies;
	uint64_t replies_unwanted;
	uint64_t sleeps;
	uint64_t timer_arms;
};

struct tern_endpoint {
	/* any thread */
	_Alignas(64) _Atomic(uintptr_t) holder; /* pthread_self of who runs the endpoint now; 0: nobody */
	_Atomic(uintptr_t) driver;              /* of who polls it; 0: nobody yet */
	atomic_uint wanted;                     /* threads that wait to hold it */
	atomic_bool asleep;                     /* the driver sees the queue only after a write to event_fd */
	atomic_bool stopping;
	atomic_bool closing;
	struct call_queue queue;

	_Alignas(64) struct tern_endpoint_options options;
	int epoll_fd;
	int event_fd;
	int timer_fd;       /* -1 before tern_endpoint_fd is called */
	bool event_to_read; /* event_fd was, or is about to be, written to */
	uint64_t timer_ns;  /* when timer_fd fires; DEADLINE_NEVER */
	uint64_t round_ns;  /* when this round of the driver began: when what arrives in it has arrived */
	uint64_t now_ns;    /* the last time that was read; no handler has run since */
	uint64_t last_event_ns;
	uint32_t incarnation; /* of this endpoint as a server: random, not 0 */
	unsigned int slot_count;
	struct transport_slot slots[TRANSPORTS_MAX];
	struct call_pool *calls;
	struct tern_arena replies; /* messages that callbacks are given */
	_Alignas(ARENA_ALIGNMENT) uint8_t reply_memory[REPLY_MEMORY];
	struct tern_call *dispatched; /* the call whose handler runs now */
	struct held_table held;
	struct tern_channel *channels;
	struct tern_server *servers;
	pthread_t thread; /* options.thread */
	struct endpoint_counters counters;
	struct deadline_wheel deadlines;
};

void endpoint_log(const struct tern_endpoint *endpoint, enum tern_log_level level, const char *format, ...)
	TERN_PRINTF(3, 4);

/* Opens `ops` for the endpoint's addresses with its scheme. Errors of ops->open, -EMFILE. */
int endpoint_add_transport(struct tern_endpoint *endpoint, const struct transport_ops *ops);

/*
 * Parses an address and finds its transport, opening it on first use; errors, which are
 * logged, as tern_channel_create. The endpoint is held by the caller.
 */
int endpoint_transport_for(struct tern_endpoint *endpoint, const struct address *address,
			   struct transport_slot **slot);

/* CLOCK_MONOTONIC */
uint64_t clock_ns(void);

#endif
