/* SPDX-License-Identifier: BSD-2-Clause */
/* What fake transports share: messages, RPCs and events under one lock, and the faults to come. */
#ifndef TERN_FAKE_NETWORK_H
#define TERN_FAKE_NETWORK_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "test.h"
#include "transport.h"

/* A test in which malloc fails has an allocator of its own for this side. */
#ifndef FAKE_ALLOC
#define FAKE_ALLOC(size) calloc(1, size)
#endif

#define FAKE_RPCS        (1u << 18)
#define FAKE_LISTENERS   16
#define FAKE_MAX_MESSAGE 1000000u
#define FAKE_SMALL       512 /* messages up to here come from a list of free ones */

struct fake_faults {
	int request_error; /* what request returns, from the next one on */
	int failure;       /* reported for requests, which are not delivered */
	bool silent;       /* requests vanish */
	int respond_error;
	bool no_memory;    /* message_get returns NULL */
	uint64_t delay_ns; /* between sending and delivery */
	bool no_wake_up;   /* for measuring: fds are not written to, so endpoints have to spin */
	uint32_t max_message;
};

enum fake_event_kind { FAKE_REQUEST, FAKE_RESPONSE, FAKE_FAILED, FAKE_CANCELLED };

struct fake_event {
	struct fake_event *next;
	enum fake_event_kind kind;
	uint32_t rpc;
	uint64_t at_ns;
	int error;
	struct transport_message message;
};

struct fake_rpc {
	uint32_t generation;
	uint32_t next_free;
	uint32_t references; /* events under way, and one for each side that has it */
	struct transport *client;
	struct transport *server;
	void *listener_cookie;
	uint64_t cookie;
	struct net_endpoint remote;
	bool client_waits;
	bool server_has;
};

struct transport {
	const struct transport_callbacks *callbacks;
	void *ctx;
	int event_fd;
	bool readable;
	struct fake_event *first, **last;
	uint16_t port;
};

struct transport_listener {
	struct transport *transport;
	void *cookie;
	uint16_t port;
};

struct transport_peer {
	struct net_endpoint remote;
};

static struct {
	pthread_mutex_t lock;
	struct fake_faults faults;
	struct transport_listener *listeners[FAKE_LISTENERS];
	struct fake_rpc *rpcs;
	uint32_t rpcs_made;
	uint32_t first_free; /* index + 1 */
	struct fake_event *free_events;
	uint8_t *free_messages;
	atomic_long messages; /* that somebody has */
	uint32_t live_rpcs;
	uint16_t next_port;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER,
	   .faults = { .max_message = FAKE_MAX_MESSAGE },
	   .next_port = 40000 };

static inline uint64_t fake_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Sets the faults; any thread. */
static inline void fake_set_faults(struct fake_faults faults)
{
	if (faults.max_message == 0)
		faults.max_message = FAKE_MAX_MESSAGE;
	pthread_mutex_lock(&fake.lock);
	fake.faults = faults;
	pthread_mutex_unlock(&fake.lock);
}

/* ---- messages: a header of 16 bytes in front holds the capacity ---- */

static inline uint8_t *fake_message_alloc(uint32_t capacity)
{
	uint8_t *memory = NULL;

	if (capacity <= FAKE_SMALL && fake.free_messages) {
		memory = fake.free_messages;
		memcpy(&fake.free_messages, memory + 16, sizeof(void *));
	} else {
		memory = FAKE_ALLOC(16 + (capacity <= FAKE_SMALL ? FAKE_SMALL : capacity));
		CHECK(memory);
	}
	memcpy(memory, &capacity, sizeof(capacity));
	atomic_fetch_add(&fake.messages, 1);
	return memory + 16;
}

static inline void fake_message_release(void *data)
{
	uint8_t *memory = (uint8_t *)data - 16;
	uint32_t capacity;

	memcpy(&capacity, memory, sizeof(capacity));
	atomic_fetch_sub(&fake.messages, 1);
	if (capacity > FAKE_SMALL) {
		free(memory);
		return;
	}
	memcpy(memory + 16, &fake.free_messages, sizeof(void *));
	fake.free_messages = memory;
}

static inline void *fake_message_get(struct transport *transport, uint32_t capacity)
{
	uint8_t *data = NULL;

	(void)transport;
	pthread_mutex_lock(&fake.lock);
	if (!fake.faults.no_memory)
		data = fake_message_alloc(capacity);
	pthread_mutex_unlock(&fake.lock);
	return data;
}

static inline void fake_message_free(struct transport *transport, void *data)
{
	(void)transport;
	pthread_mutex_lock(&fake.lock);
	fake_message_release(data);
	pthread_mutex_unlock(&fake.lock);
}

/* ---- RPCs ---- */

static inline uint64_t fake_handle(uint32_t index, bool server)
{
	return (uint64_t)fake.rpcs[index].generation << 32 | index << 1 | server;
}

static inline struct fake_rpc *fake_rpc_of(uint64_t handle)
{
	struct fake_rpc *rpc = &fake.rpcs[(uint32_t)handle >> 1];

	return rpc->generation == handle >> 32 ? rpc : NULL;
}

static inline uint32_t fake_rpc_alloc(void)
{
	uint32_t index;

	if (!fake.rpcs) {
		fake.rpcs = FAKE_ALLOC(FAKE_RPCS * sizeof(*fake.rpcs));
		CHECK(fake.rpcs);
	}
	if (fake.first_free) {
		index = fake.first_free - 1;
		fake.first_free = fake.rpcs[index].next_free;
	} else {
		CHECK(fake.rpcs_made < FAKE_RPCS);
		index = fake.rpcs_made++;
	}
	fake.live_rpcs++;
	return index;
}

static inline void fake_rpc_unref(uint32_t index)
{
	struct fake_rpc *rpc = &fake.rpcs[index];

	CHECK(rpc->references > 0);
	if (--rpc->references)
		return;
	rpc->generation++;
	rpc->next_free = fake.first_free;
	fake.first_free = index + 1;
	fake.live_rpcs--;
}

/* ---- events ---- */

static inline void fake_post(struct transport *to, enum fake_event_kind kind, uint32_t rpc,
			     struct transport_message message, int error)
{
	static const uint64_t one = 1;
	struct fake_event *event = fake.free_events;

	if (event)
		fake.free_events = event->next;
	else
		CHECK((event = FAKE_ALLOC(sizeof(*event))));
	*event = (struct fake_event){ .kind = kind, .rpc = rpc, .message = message, .error = error };
	event->at_ns = fake.faults.delay_ns ? fake_now() + fake.faults.delay_ns : 0;
	fake.rpcs[rpc].references++;
	*to->last = event;
	to->last = &event->next;
	if (!to->readable && !fake.faults.no_wake_up) {
		to->readable = true;
		CHECK(write(to->event_fd, &one, sizeof(one)) == sizeof(one));
	}
}

static inline struct fake_event *fake_take(struct transport *transport)
{
	struct fake_event *event = transport->first;

	if (!event || (event->at_ns && event->at_ns > fake_now()))
		return NULL;
	transport->first = event->next;
	if (!transport->first)
		transport->last = &transport->first;
	return event;
}

#endif
