/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that go well, in every way of making and answering them, and who may do what from where. */
#include "rpc_fixture.h"

static const struct tern_endpoint_options unthreaded, threaded = { .thread = true },
						      blocking = { .thread = true, .wait = TERN_WAIT_BLOCK };

static void check_sync(struct tern_channel *channel, uint32_t number, size_t length,
		       const struct tern_call_options *options)
{
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT, *reply = NULL;
	struct tern_result result;
	uint8_t *data = malloc(length + 1);

	CHECK(data);
	memset(data, (int)(number & 0xff), length);
	request.number = number;
	request.data = (ProtobufCBinaryData){ length, data };
	request.text = "text";
	CHECK_EQ(tern__test__rpc__echo__echo__call(channel, options, &request, &reply, &result), TERN_OK);
	CHECK_EQ(result.status, TERN_OK);
	CHECK_EQ(result.message[0], 0);
	CHECK_EQ(reply->number, number);
	CHECK_EQ(reply->data.len, length);
	CHECK(memcmp(reply->data.data, data, length) == 0 && strcmp(reply->text, "text") == 0);
	tern__test__rpc__payload__free_unpacked(reply, options ? options->allocator : NULL);
	free(data);
}

/* Every combination of who runs the endpoints. The client's thread drives its own, if nobody else does. */
static void test_sync(struct tern_endpoint_options server, struct tern_endpoint_options client)
{
	struct pair pair = make_pair(server, client, &echo_handlers, NULL);

	for (uint32_t i = 0; i < 300; i++)
		check_sync(pair.channel, i, i % 7 ? 1 + i : 100000 + i, NULL);
	check_sync(pair.channel, 1, FAKE_MAX_MESSAGE - 100, NULL);
	destroy_pair(&pair);
}

static void test_sync_to_itself(void)
{
	struct pair pair = make_self(unthreaded, &echo_handlers, NULL);

	for (uint32_t i = 0; i < 100; i++)
		check_sync(pair.channel, i, i + 1, NULL);
	destroy_pair(&pair);
}

static void test_allocator(void)
{
	struct pair pair = make_pair(threaded, threaded, &echo_handlers, NULL);
	struct tern_call_options options = { .sz = sizeof(options) };
	struct tern_arena *arena;

	CHECK_EQ(tern_arena_create(0, &arena), 0);
	options.allocator = tern_arena_allocator(arena);
	for (uint32_t i = 0; i < 100; i++) {
		check_sync(pair.channel, i, 200 * i + 1, &options);
		tern_arena_reset(arena);
	}
	tern_arena_destroy(arena);
	destroy_pair(&pair);
}

/* ---- asynchronous calls ---- */

static void test_async(void)
{
	struct pair pair = make_pair(unthreaded, unthreaded, &echo_handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	static struct ending endings[1000];

	memset(endings, 0, sizeof(endings));
	for (uint32_t i = 0; i < 1000; i++) {
		request.number = i;
		CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, note_end,
							    &endings[i], NULL),
			 0);
		CHECK_EQ(endings[i].count, 0);
	}
	settle(&pair);
	for (uint32_t i = 0; i < 1000; i++) {
		CHECK_EQ(endings[i].count, 1);
		CHECK_EQ(endings[i].result.status, TERN_OK);
		CHECK_EQ(endings[i].number, i);
	}
	CHECK_EQ(counter(pair.client_endpoint, "rpc_calls_ok"), 1000);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies"), 1000);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* A callback that calls again, with the reply still in its hands. */
struct chain {
	struct tern_channel *channel;
	uint32_t left;
};

static void call_again(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	struct chain *chain = ctx;

	CHECK_EQ(result->status, TERN_OK);
	if (--chain->left)
		CHECK_EQ(tern__test__rpc__echo__echo__start(chain->channel, NULL, reply, call_again, chain,
							    NULL),
			 0);
	CHECK(strcmp(reply->text, "again") == 0);
}

static void test_chain(void)
{
	struct pair pair = make_pair(unthreaded, unthreaded, &echo_handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct chain chain = { pair.channel, 500 };

	request.text = "again";
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, call_again, &chain, NULL),
		 0);
	settle(&pair);
	CHECK_EQ(chain.left, 0);
	/* One call at a time takes no second chunk of the pool, so they were all given back. */
	CHECK(!call_pool_at(pair.client_endpoint->calls, CALL_CHUNK));
	destroy_pair(&pair);
}

/* ---- handlers ---- */

/* Looks at the call, builds the reply in its arena. */
static void inspect(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	ProtobufCAllocator *allocator = tern_call_allocator(call);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	uint64_t left = tern_call_time_left(call);

	CHECK(left > 9000000 && left <= 10000000);
	CHECK(!tern_call_cancelled(call));
	CHECK(strncmp(tern_call_peer(call), "10.0.0.9:4", 10) == 0);
	CHECK(tern_call_peer(call) == tern_call_peer(call));
	reply.number = request->number;
	reply.data.len = 50000;
	reply.data.data = allocator->alloc(allocator->allocator_data, reply.data.len);
	CHECK(reply.data.data);
	memset(reply.data.data, 7, reply.data.len);
	CHECK_EQ(tern_call_reply(call, &request->base), 0);
	CHECK_EQ(tern_call_reply(call, &reply.base), -EALREADY);
	CHECK_EQ(tern_call_fail(call, TERN_ABORTED, NULL), -EALREADY);
	++*(unsigned int *)ctx;
}

static void test_handler(void)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .echo = inspect };
	unsigned int count = 0;
	struct pair pair = make_self(unthreaded, &handlers, &count);

	for (uint32_t i = 0; i < 10; i++)
		check_sync(pair.channel, i, 10, NULL);
	CHECK_EQ(count, 10);
	destroy_pair(&pair);
}

/* A reply that is too large, or of another type, leaves the call to be answered. */
static void answer_wrongly_first(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	Tern__Test__Rpc__Leaf leaf = TERN__TEST__RPC__LEAF__INIT;

	(void)ctx;
	reply.data.len = FAKE_MAX_MESSAGE;
	reply.data.data = calloc(1, reply.data.len);
	CHECK_EQ(tern_call_reply(call, &reply.base), -EMSGSIZE);
	free(reply.data.data);
	CHECK_EQ(tern_call_reply(call, &leaf.base), -EINVAL);
	CHECK_EQ(tern_call_reply_raw(call, "x", 1), -EINVAL);
	CHECK_EQ(tern_call_fail(call, TERN_OK, NULL), -EINVAL);
	CHECK_EQ(tern_call_fail(call, (enum tern_status)17, NULL), -EINVAL);
	fake_set_faults((struct fake_faults){ .respond_error = -ENOBUFS });
	CHECK_EQ(tern_call_reply(call, &request->base), -ENOBUFS);
	fake_set_faults((struct fake_faults){ .no_memory = true });
	CHECK_EQ(tern_call_reply(call, &request->base), -ENOBUFS);
	fake_set_faults((struct fake_faults){ 0 });
	CHECK_EQ(tern_call_reply(call, &request->base), 0);
}

static void test_reply_errors(void)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .echo = answer_wrongly_first };
	struct pair pair = make_self(unthreaded, &handlers, NULL);

	check_sync(pair.channel, 5, 10, NULL);
	destroy_pair(&pair);
}

/* ---- who may do what from where ---- */

static void nested(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	struct pair *pair = ctx;
	Tern__Test__Rpc__Payload *reply;
	struct tern_channel *channel;
	struct tern_result result;

	CHECK_EQ(tern_endpoint_poll(pair->server_endpoint, 0), -EDEADLK);
	CHECK_EQ(tern__test__rpc__echo__echo__call(pair->channel, NULL, request, &reply, &result),
		 TERN_FAILED_PRECONDITION);
	CHECK(strstr(result.message, "inside a callback"));
	/* Setting up is allowed; taking down is refused, in the log. */
	CHECK_EQ(tern_channel_create(pair->server_endpoint, PAIR_ADDRESS, NULL, &channel), 0);
	tern_channel_destroy(channel);
	tern_server_destroy(pair->server);
	tern_endpoint_destroy(pair->server_endpoint);
	CHECK_EQ(tern__test__rpc__echo__echo__reply(call, request), 0);
}

static void test_nested(void)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .echo = nested };
	struct pair pair = make_self(unthreaded, &handlers, &pair);

	check_sync(pair.channel, 5, 10, NULL);
	destroy_pair(&pair);
}

static void *poll_elsewhere(void *endpoint)
{
	return (void *)(intptr_t)tern_endpoint_poll(endpoint, 0);
}

static intptr_t poll_on_thread(struct tern_endpoint *endpoint)
{
	pthread_t thread;
	void *result;

	CHECK_EQ(pthread_create(&thread, NULL, poll_elsewhere, endpoint), 0);
	pthread_join(thread, &result);
	return (intptr_t)result;
}

static void test_driving(void)
{
	struct pair pair = make_pair(threaded, unthreaded, &echo_handlers, NULL);
	uint64_t begin;

	CHECK_EQ(tern_endpoint_poll(pair.server_endpoint, 0), -EPERM);
	CHECK_EQ(tern_endpoint_fd(pair.server_endpoint), -EPERM);
	CHECK_EQ(tern_endpoint_poll(pair.client_endpoint, 0), 0);
	CHECK_EQ(poll_on_thread(pair.client_endpoint), -EPERM);
	begin = clock_ns();
	CHECK_EQ(tern_endpoint_poll(pair.client_endpoint, 3000), 0);
	CHECK(clock_ns() - begin >= 3000000 && clock_ns() - begin < 1000000000);
	destroy_pair(&pair);
}

/* ---- raw messages ---- */

static void echo_raw(struct tern_call *call, const void *data, size_t length, void *ctx)
{
	CHECK_EQ(tern_call_time_left(call), UINT64_MAX);
	if (*(const char *)data == 'k') {
		*(struct tern_call **)ctx = call;
	} else if (*(const char *)data == 'f') {
		CHECK_EQ(tern_call_fail(call, TERN_ABORTED, "there is no way to say this"), 0);
	} else {
		CHECK_EQ(tern_call_reply_raw(call, "", 0), -EINVAL);
		CHECK_EQ(tern_call_reply_raw(call, data, length), 0);
	}
}

struct raw_ending {
	unsigned int count;
	enum tern_status status;
	char data[32];
	size_t length;
};

static void note_raw(const struct tern_result *result, const void *data, size_t length, void *ctx)
{
	struct raw_ending *ending = ctx;

	ending->count++;
	ending->status = result->status;
	ending->length = length;
	CHECK(length < sizeof(ending->data) && (result->status == TERN_OK) == (data != NULL));
	if (data)
		memcpy(ending->data, data, length);
}

static void test_raw(void)
{
	struct pair pair = { .client_endpoint = make_endpoint(unthreaded) };
	struct raw_ending endings[3] = { 0 };
	struct tern_call *kept = NULL;

	pair.server_endpoint = pair.client_endpoint;
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &pair.server), 0);
	CHECK_EQ(tern_server_set_raw(pair.server, echo_raw, &kept), 0);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, &echo_handlers, NULL), -EBUSY);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &pair.channel), 0);
	CHECK_EQ(tern_channel_send_raw(pair.channel, NULL, "", 0, note_raw, NULL, NULL), -EINVAL);
	CHECK_EQ(tern_channel_send_raw(pair.channel, NULL, "echo", 4, note_raw, &endings[0], NULL), 0);
	CHECK_EQ(tern_channel_send_raw(pair.channel, NULL, "keep", 4, note_raw, &endings[1], NULL), 0);
	CHECK_EQ(tern_channel_send_raw(pair.channel, NULL, "fail", 4, note_raw, &endings[2], NULL), 0);
	settle(&pair);
	CHECK(endings[0].count == 1 && endings[0].length == 4 && memcmp(endings[0].data, "echo", 4) == 0);
	CHECK(endings[1].count == 0 && kept);
	CHECK(endings[2].count == 1 && endings[2].status == TERN_UNAVAILABLE);
	CHECK_EQ(tern_call_reply_raw(kept, "late", 4), 0);
	settle(&pair);
	CHECK(endings[1].count == 1 && memcmp(endings[1].data, "late", 4) == 0);
	destroy_pair(&pair);
}

/* ---- setting up ---- */

static void test_set_up_errors(void)
{
	struct pair pair = make_self(unthreaded, &echo_handlers, NULL);
	struct tern_endpoint_options bad_options[] = { { .wait = 3 },
						       { .cpu_plus_1 = 1 },
						       { .cpu_plus_1 = -1, .thread = true },
						       { .max_calls = CALLS_MAX + 1 },
						       { .spin_us = SPIN_US_MAX + 1 },
						       { .datapath = 3 },
						       { .datapath_parts = 16 },
						       { .xdp_mode = 3 } };
	struct tern_service broken = tern__test__rpc__echo__service;
	struct tern_method method = tern__test__rpc__echo__service.methods[0];
	struct tern_server *server;
	struct tern_channel *channel;
	struct tern_endpoint *endpoint;

	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &server), -EADDRINUSE);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, "nosuch://10.0.0.1:1", NULL, &channel),
		 -EPROTONOSUPPORT);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, "fake://10.0.0.1", NULL, &channel), -EINVAL);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, &echo_handlers, NULL), -EEXIST);
	method.hash++;
	broken.methods = &method;
	broken.method_count = 1;
	CHECK_EQ(tern_server_register(pair.server, &broken, NULL, NULL), -EINVAL);
	CHECK_EQ(tern_server_set_raw(pair.server, echo_raw, NULL), -EBUSY);
	for (size_t i = 0; i < sizeof(bad_options) / sizeof(bad_options[0]); i++) {
		bad_options[i].sz = sizeof(bad_options[i]);
		CHECK_EQ(tern_endpoint_create(&bad_options[i], &endpoint), -EINVAL);
	}
	bad_options[0] = (struct tern_endpoint_options){ .sz = 3 };
	CHECK_EQ(tern_endpoint_create(&bad_options[0], &endpoint), -EINVAL);
	CHECK_EQ(tern_endpoint_create(NULL, &endpoint), 0);
	tern_endpoint_destroy(endpoint);
	tern_endpoint_destroy(NULL);
	tern_channel_destroy(NULL);
	tern_server_destroy(NULL);
	destroy_pair(&pair);
}

/* A program made for a newer tern.h: what it sets that this library does not know is not ignored. */
static void test_newer_options(void)
{
	struct {
		struct tern_endpoint_options known;
		uint64_t unknown;
	} newer = { .known.sz = sizeof(newer) };
	struct tern_endpoint *endpoint;

	CHECK_EQ(tern_endpoint_create(&newer.known, &endpoint), 0);
	tern_endpoint_destroy(endpoint);
	newer.unknown = 1;
	CHECK_EQ(tern_endpoint_create(&newer.known, &endpoint), -EINVAL);
	newer.known.sz = offsetof(struct tern_endpoint_options, spin_us);
	CHECK_EQ(tern_endpoint_create(&newer.known, &endpoint), 0);
	tern_endpoint_destroy(endpoint);
}

static void test_describe(void)
{
	struct pair pair = make_self(unthreaded, &echo_handlers, NULL);
	struct tern_endpoint *bare;
	char text[100];

	tern_endpoint_describe(pair.server_endpoint, text, sizeof(text));
	CHECK(strncmp(text, "fake in this process", 20) == 0);
	tern_endpoint_describe(pair.server_endpoint, text, 5);
	CHECK(strcmp(text, "fake") == 0);
	CHECK_EQ(tern_endpoint_create(NULL, &bare), 0);
	tern_endpoint_describe(bare, text, sizeof(text));
	CHECK(strstr(text, "no transport"));
	tern_endpoint_destroy(bare);
	destroy_pair(&pair);
}

int main(void)
{
	test_sync(threaded, unthreaded);
	test_sync(threaded, threaded);
	test_sync(blocking, blocking);
	test_sync_to_itself();
	test_allocator();
	test_async();
	test_chain();
	test_handler();
	test_reply_errors();
	test_nested();
	test_driving();
	test_raw();
	test_set_up_errors();
	test_newer_options();
	test_describe();
	return 0;
}
