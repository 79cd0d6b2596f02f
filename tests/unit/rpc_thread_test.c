/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many threads: calls from all of them, replies from a pool of workers, endpoints that
 * sleep whenever they can, so that a wake-up that is lost ends in a time-out. To be run
 * under ThreadSanitizer, too.
 */
#include "rpc_fixture.h"

#define CALLERS    4
#define WORKERS    2
#define CALLS      3000 /* of each caller */
#define WORK_MAX   1024
#define TIMEOUT_US 20000000

static const struct tern_endpoint_options blocking = { .thread = true, .wait = TERN_WAIT_BLOCK },
					  adaptive = { .thread = true };

/* ---- workers that answer ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct tern_call *calls[WORK_MAX];
	const Tern__Test__Rpc__Payload *requests[WORK_MAX];
	unsigned int count;
	bool stop;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };

static void give_to_pool(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&pool.lock);
	CHECK(pool.count < WORK_MAX);
	pool.calls[pool.count] = call;
	pool.requests[pool.count++] = request;
	pthread_cond_signal(&pool.work);
	pthread_mutex_unlock(&pool.lock);
}

static void answer(struct tern_call *call, const Tern__Test__Rpc__Payload *request)
{
	ProtobufCAllocator *allocator = tern_call_allocator(call);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;

	CHECK(!tern_call_cancelled(call) && tern_call_peer(call)[0]);
	reply.number = request->number + 1;
	reply.data.len = request->data.len;
	reply.data.data = allocator->alloc(allocator->allocator_data, reply.data.len + 1);
	if (reply.data.len)
		memcpy(reply.data.data, request->data.data, reply.data.len);
	if (request->number % 16)
		CHECK_EQ(tern__test__rpc__echo__echo__reply(call, &reply), 0);
	else
		CHECK_EQ(tern_call_fail(call, TERN_ABORTED, "number %u", request->number), 0);
}

static void *work(void *unused)
{
	(void)unused;
	for (;;) {
		const Tern__Test__Rpc__Payload *request;
		struct tern_call *call;

		pthread_mutex_lock(&pool.lock);
		while (!pool.count && !pool.stop)
			pthread_cond_wait(&pool.work, &pool.lock);
		if (!pool.count) {
			pthread_mutex_unlock(&pool.lock);
			return NULL;
		}
		call = pool.calls[--pool.count];
		request = pool.requests[pool.count];
		pthread_mutex_unlock(&pool.lock);
		answer(call, request);
	}
}

static void start_workers(pthread_t threads[WORKERS])
{
	pool.stop = false;
	for (unsigned int i = 0; i < WORKERS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, work, NULL), 0);
}

static void stop_workers(pthread_t threads[WORKERS])
{
	pthread_mutex_lock(&pool.lock);
	pool.stop = true;
	pthread_cond_broadcast(&pool.work);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- callers ---- */

static void *call_sync(void *channel)
{
	static const struct tern_call_options options = { .sz = sizeof(options), .timeout_us = TIMEOUT_US };
	uint8_t data[700] = { 9 };

	for (uint32_t i = 0; i < CALLS; i++) {
		Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT, *reply = NULL;
		struct tern_result result;
		enum tern_status status;

		request.number = i;
		request.data = (ProtobufCBinaryData){ i % sizeof(data), data };
		status = tern__test__rpc__echo__echo__call(channel, &options, &request, &reply, &result);
		if (i % 16 == 0) {
			CHECK_EQ(status, TERN_ABORTED);
			CHECK(strncmp(result.message, "number ", 7) == 0);
			continue;
		}
		CHECK_EQ(status, TERN_OK);
		CHECK_EQ(reply->number, i + 1);
		CHECK_EQ(reply->data.len, i % sizeof(data));
		tern__test__rpc__payload__free_unpacked(reply, NULL);
	}
	return NULL;
}

struct async_caller {
	struct tern_channel *channel;
	atomic_uint ended;
	atomic_uint wrong;
};

static void count_end(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	struct async_caller *caller = ctx;

	(void)reply;
	if (result->status != TERN_OK && result->status != TERN_ABORTED)
		atomic_fetch_add(&caller->wrong, 1);
	atomic_fetch_add(&caller->ended, 1);
}

static void *call_async(void *channel)
{
	static const struct tern_call_options options = { .sz = sizeof(options), .timeout_us = TIMEOUT_US };
	struct async_caller caller = { .channel = channel };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

	for (uint32_t i = 0; i < CALLS; i++) {
		while (i - atomic_load(&caller.ended) >= 100)
			sched_yield();
		request.number = i;
		CHECK_EQ(tern__test__rpc__echo__echo__start(channel, &options, &request, count_end, &caller,
							    NULL),
			 0);
	}
	while (atomic_load(&caller.ended) < CALLS)
		sched_yield();
	CHECK_EQ(atomic_load(&caller.wrong), 0);
	return NULL;
}

static void test_crowd(struct tern_endpoint_options options)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .echo = give_to_pool };
	struct pair pair = make_pair(options, options, &handlers, NULL);
	pthread_t callers[2 * CALLERS], workers[WORKERS];

	start_workers(workers);
	for (unsigned int i = 0; i < CALLERS; i++) {
		CHECK_EQ(pthread_create(&callers[2 * i], NULL, call_sync, pair.channel), 0);
		CHECK_EQ(pthread_create(&callers[2 * i + 1], NULL, call_async, pair.channel), 0);
	}
	for (unsigned int i = 0; i < 2 * CALLERS; i++)
		pthread_join(callers[i], NULL);
	stop_workers(workers);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies"), 2 * CALLERS * CALLS);
	destroy_pair(&pair);
}

/* ---- setting up and taking down while others call ---- */

static void *open_and_close(void *argument)
{
	struct pair *pair = argument;

	for (unsigned int i = 0; i < 200; i++) {
		Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT, *reply;
		struct tern_channel *channel;
		struct tern_server *server;
		struct ending ending = { 0 };
		char text[200];

		CHECK_EQ(tern_channel_create(pair->client_endpoint, "fake://10.0.0.2:4000", NULL, &channel),
			 0);
		CHECK_EQ(tern_server_create(pair->server_endpoint, "fake://10.0.0.2:4001", NULL, &server), 0);
		request.number = 1;
		CHECK_EQ(tern__test__rpc__echo__echo__call(channel, NULL, &request, &reply, NULL), TERN_OK);
		tern__test__rpc__payload__free_unpacked(reply, NULL);
		CHECK_EQ(tern__test__rpc__echo__echo__start(channel, NULL, &request, note_end, &ending, NULL),
			 0);
		tern_endpoint_describe(pair->server_endpoint, text, sizeof(text));
		tern_server_destroy(server);
		tern_channel_destroy(channel);
		CHECK_EQ(ending.count, 1);
		CHECK(ending.result.status == TERN_OK || ending.result.status == TERN_CANCELLED);
	}
	return NULL;
}

static void test_set_up_meanwhile(struct tern_endpoint_options options)
{
	struct pair pair = make_pair(options, options, &echo_handlers, NULL);
	pthread_t threads[3];

	CHECK_EQ(pthread_create(&threads[0], NULL, open_and_close, &pair), 0);
	for (unsigned int round = 0; round < 2; round++) {
		Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

		for (unsigned int i = 0; i < 500; i++) {
			Tern__Test__Rpc__Payload *reply;

			CHECK_EQ(
				tern__test__rpc__echo__echo__call(pair.channel, NULL, &request, &reply, NULL),
				TERN_OK);
			tern__test__rpc__payload__free_unpacked(reply, NULL);
		}
	}
	pthread_join(threads[0], NULL);
	destroy_pair(&pair);
}

/* One thread polls, with long sleeps in epoll, and another calls: wake-ups, one by one. */
static struct {
	struct tern_endpoint *endpoint;
	atomic_bool stop;
} polled;

static void *poll_endpoint(void *unused)
{
	(void)unused;
	while (!atomic_load(&polled.stop))
		CHECK(tern_endpoint_poll(polled.endpoint, 5000000) >= 0);
	return NULL;
}

static void test_wake_ups(void)
{
	struct tern_endpoint_options options = { .wait = TERN_WAIT_BLOCK };
	struct pair pair = make_self(options, &echo_handlers, NULL);
	struct tern_call_options call_options = { .sz = sizeof(call_options), .timeout_us = 2000000 };
	struct ending ending = { 0 };
	pthread_t thread;

	polled.endpoint = pair.server_endpoint;
	atomic_store(&polled.stop, false);
	CHECK_EQ(pthread_create(&thread, NULL, poll_endpoint, NULL), 0);
	while (!atomic_load(&polled.endpoint->driver))
		sched_yield();
	for (unsigned int i = 0; i < 3000; i++) {
		Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT, *reply;

		CHECK_EQ(tern__test__rpc__echo__echo__call(pair.channel, &call_options, &request, &reply,
							   NULL),
			 TERN_OK);
		tern__test__rpc__payload__free_unpacked(reply, NULL);
		for (volatile unsigned int spin = 0; spin < i % 1000; spin++)
			;
	}
	atomic_store(&polled.stop, true);
	/* Something to return for. */
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL,
						    &(Tern__Test__Rpc__Payload)TERN__TEST__RPC__PAYLOAD__INIT,
						    note_end, &ending, NULL),
		 0);
	pthread_join(thread, NULL);
	destroy_pair(&pair);
	CHECK_EQ(ending.count, 1);
}

int main(void)
{
	test_crowd(blocking);
	test_crowd(adaptive);
	test_set_up_meanwhile(blocking);
	test_set_up_meanwhile(adaptive);
	test_wake_ups();
	return 0;
}
