/* SPDX-License-Identifier: BSD-2-Clause */
/* What the runtime's tests share: a server and a client endpoint over the fake transport. */
#ifndef TERN_RPC_FIXTURE_H
#define TERN_RPC_FIXTURE_H

#include "drive.h"
#include "endpoint.h"
#include "fake_transport.h"
#include "rpc_test.tern.h"
#include "tern.h"
#include "test.h"

#define PAIR_ADDRESS "fake://10.0.0.2:4000"

struct pair {
	struct tern_endpoint *server_endpoint;
	struct tern_endpoint *client_endpoint; /* may be the same */
	struct tern_server *server;
	struct tern_channel *channel;
};

/* How an asynchronous call ended. */
struct ending {
	unsigned int count;
	struct tern_result result;
	uint32_t number;
	uint64_t at_ns;
};

static inline void print_log(void *ctx, enum tern_log_level level, const char *line)
{
	(void)ctx;
	printf("log %d: %s\n", level, line);
}

static inline struct tern_endpoint *make_endpoint(struct tern_endpoint_options options)
{
	struct tern_endpoint *endpoint;
	enum drive_entry entry;

	options.sz = sizeof(options);
	if (!options.log)
		options.log = print_log;
	CHECK_EQ(tern_endpoint_create(&options, &endpoint), 0);
	entry = drive_lock(endpoint);
	CHECK_EQ(endpoint_add_transport(endpoint, &fake_ops), 0);
	drive_leave(endpoint, entry);
	return endpoint;
}

static inline void echo(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)ctx;
	CHECK_EQ(tern__test__rpc__echo__echo__reply(call, request), 0);
}

/* Answers nothing; the call is left in *ctx, a struct tern_call *. */
static inline void keep(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)request;
	*(struct tern_call **)ctx = call;
}

static const Tern__Test__Rpc__Echo__Server echo_handlers = { .echo = echo, .later = keep };

/* Endpoints with these options; `ctx` goes to the handlers. */
static inline struct pair make_pair(struct tern_endpoint_options server, struct tern_endpoint_options client,
				    const Tern__Test__Rpc__Echo__Server *handlers, void *ctx)
{
	struct pair pair;

	pair.server_endpoint = make_endpoint(server);
	pair.client_endpoint = make_endpoint(client);
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &pair.server), 0);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, handlers, ctx), 0);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &pair.channel), 0);
	return pair;
}

/* One endpoint that calls itself, so that the test's only thread drives both sides. */
static inline struct pair make_self(struct tern_endpoint_options options,
				    const Tern__Test__Rpc__Echo__Server *handlers, void *ctx)
{
	struct pair pair = { .server_endpoint = make_endpoint(options) };

	pair.client_endpoint = pair.server_endpoint;
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &pair.server), 0);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, handlers, ctx), 0);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &pair.channel), 0);
	return pair;
}

static inline void destroy_pair(struct pair *pair)
{
	tern_endpoint_destroy(pair->client_endpoint);
	if (pair->server_endpoint != pair->client_endpoint)
		tern_endpoint_destroy(pair->server_endpoint);
	fake_set_faults((struct fake_faults){ 0 });
	fake_check_clean();
}

/* Handles whatever is there to be handled, now. */
static inline void settle(struct pair *pair)
{
	int quiet = 0;

	while (quiet < 2) {
		int n = tern_endpoint_poll(pair->client_endpoint, 0);

		if (pair->server_endpoint != pair->client_endpoint)
			n += tern_endpoint_poll(pair->server_endpoint, 0);
		CHECK(n >= 0);
		quiet = n ? 0 : quiet + 1;
	}
}

/* A callback for asynchronous calls; ctx is a struct ending. */
static inline void note_end(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply,
			    void *ctx)
{
	struct ending *ending = ctx;

	CHECK((result->status == TERN_OK) == (reply != NULL));
	ending->count++;
	ending->result = *result;
	ending->number = reply ? reply->number : 0;
	ending->at_ns = clock_ns();
}

/* The value of an endpoint's counter. */
struct counter_query {
	const char *name;
	uint64_t value;
	bool found;
};

static inline void find_counter(void *ctx, const char *name, uint64_t value)
{
	struct counter_query *query = ctx;

	if (strcmp(name, query->name) == 0) {
		query->value = value;
		query->found = true;
	}
}

static inline uint64_t counter(struct tern_endpoint *endpoint, const char *name)
{
	struct counter_query query = { .name = name };

	tern_endpoint_counters(endpoint, find_counter, &query);
	CHECK(query.found);
	return query.value;
}

#endif
