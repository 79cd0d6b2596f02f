/* SPDX-License-Identifier: BSD-2-Clause */
/* Cancellation at every moment, from every thread, and what destroying does to calls (row L7 in small). */
#include "rpc_fixture.h"

#define STORM   100000
#define BATCH   64
#define THREADS 3

static const struct tern_endpoint_options plain, threaded = { .thread = true };

static int start(struct tern_channel *channel, struct ending *ending, struct tern_call **call)
{
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

	return tern__test__rpc__echo__later__start(channel, NULL, &request, note_end, ending, call);
}

static void test_cancel_tells_the_server(void)
{
	struct tern_call *kept = NULL, *call;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending ending = { 0 };

	CHECK_EQ(start(pair.channel, &ending, &call), 0);
	CHECK(tern_endpoint_poll(pair.server_endpoint, 0) > 0);
	CHECK(kept && !tern_call_cancelled(kept));
	tern_call_cancel(call);
	tern_call_cancel(call);
	CHECK_EQ(ending.count, 0);
	settle(&pair);
	CHECK_EQ(ending.count, 1);
	CHECK_EQ(ending.result.status, TERN_CANCELLED);
	CHECK(tern_call_cancelled(kept));
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_cancelled"), 1);
	CHECK_EQ(tern_call_reply(kept, &reply.base), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* The call is over, and its callback not finished, when it is cancelled. */
static void cancel_itself(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	struct tern_call **call = ctx;

	CHECK(result->status == TERN_OK && reply);
	tern_call_cancel(*call);
	*call = NULL;
}

static void test_cancel_in_callback(void)
{
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct tern_call *call;

	for (unsigned int i = 0; i < 1000; i++) {
		CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, cancel_itself,
							    &call, &call),
			 0);
		settle(&pair);
		CHECK(!call);
	}
	CHECK(!call_pool_at(pair.client_endpoint->calls, CALL_CHUNK));
	destroy_pair(&pair);
}

/* ---- the storm ---- */

/* A call that is cancelled while it may be ending. The lock is what tern.h asks for. */
struct slot {
	pthread_mutex_t lock;
	bool ended;
	unsigned int ok, cancelled, other;
};

static void note_slot(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	struct slot *slot = ctx;

	(void)reply;
	pthread_mutex_lock(&slot->lock);
	CHECK(!slot->ended);
	slot->ended = true;
	slot->ok += result->status == TERN_OK;
	slot->cancelled += result->status == TERN_CANCELLED;
	slot->other += result->status != TERN_OK && result->status != TERN_CANCELLED;
	pthread_mutex_unlock(&slot->lock);
}

static void storm_call(struct tern_channel *channel, struct slot *slot, unsigned int spins)
{
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct tern_call *call;

	slot->ended = false;
	CHECK_EQ(tern__test__rpc__echo__echo__start(channel, NULL, &request, note_slot, slot, &call), 0);
	for (volatile unsigned int i = 0; i < spins; i++)
		;
	pthread_mutex_lock(&slot->lock);
	if (!slot->ended)
		tern_call_cancel(call);
	pthread_mutex_unlock(&slot->lock);
}

static void *storm(void *channel)
{
	struct slot slot = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = true };
	unsigned int random = 12345;

	for (unsigned int i = 0; i < STORM / THREADS; i++) {
		bool ended = false;

		random = random * 1103515245 + 12345;
		storm_call(channel, &slot, random >> 16 & 0x1fff);
		while (!ended) {
			pthread_mutex_lock(&slot.lock);
			ended = slot.ended;
			pthread_mutex_unlock(&slot.lock);
			if (!ended)
				sched_yield();
		}
	}
	CHECK_EQ(slot.other, 0);
	CHECK_EQ(slot.ok + slot.cancelled, STORM / THREADS);
	return (void *)(uintptr_t)slot.cancelled;
}

static void test_storm(void)
{
	struct pair pair = make_pair(threaded, threaded, &echo_handlers, NULL);
	uintptr_t cancelled = 0;
	pthread_t threads[THREADS];
	void *result;

	for (unsigned int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, storm, pair.channel), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		cancelled += (uintptr_t)result;
	}
	for (unsigned int i = 0; i < 1000 && counter(pair.server_endpoint, "fake_live_rpcs"); i++)
		usleep(1000);
	CHECK_EQ(counter(pair.server_endpoint, "fake_live_rpcs"), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	CHECK(cancelled > 0);
	printf("%d calls, %lu cancelled\n", STORM, (unsigned long)cancelled);
	destroy_pair(&pair);
}

/* ---- destroying ---- */

static void test_destroy_channel(void)
{
	struct tern_call *kept = NULL, *first;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	struct tern_channel *other;
	struct ending endings[3] = { 0 };

	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &other), 0);
	CHECK_EQ(start(pair.channel, &endings[0], NULL), 0);
	settle(&pair);
	first = kept;
	CHECK_EQ(start(pair.channel, &endings[1], NULL), 0);
	CHECK_EQ(start(other, &endings[2], NULL), 0);
	tern_channel_destroy(pair.channel);
	for (unsigned int i = 0; i < 2; i++)
		CHECK(endings[i].count == 1 && endings[i].result.status == TERN_CANCELLED);
	CHECK_EQ(endings[2].count, 0);
	settle(&pair);
	CHECK(first != kept && tern_call_cancelled(first));
	CHECK_EQ(tern_call_reply(first, &reply.base), 0);
	CHECK_EQ(tern_call_reply(kept, &reply.base), 0);
	settle(&pair);
	CHECK(endings[2].count == 1 && endings[2].result.status == TERN_OK);
	destroy_pair(&pair);
}

static void test_destroy_server(void)
{
	struct tern_call *kept = NULL;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending endings[2] = { 0 };

	CHECK_EQ(start(pair.channel, &endings[0], NULL), 0);
	settle(&pair);
	CHECK(kept);
	tern_server_destroy(pair.server);
	settle(&pair);
	CHECK(endings[0].count == 1 && endings[0].result.status == TERN_UNAVAILABLE);
	CHECK(strstr(endings[0].result.message, "being closed"));
	CHECK(tern_call_cancelled(kept));
	CHECK_EQ(start(pair.channel, &endings[1], NULL), 0);
	settle(&pair);
	CHECK(endings[1].count == 1 && endings[1].result.status == TERN_UNAVAILABLE);
	CHECK(strstr(endings[1].result.message, "nobody serves"));
	CHECK_EQ(tern_call_reply(kept, &reply.base), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* Handlers may answer when all is gone. */
static void test_destroy_endpoint(void)
{
	struct tern_call *kept[2] = { NULL, NULL };
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept[0]);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending endings[2] = { 0 };

	CHECK_EQ(start(pair.channel, &endings[0], NULL), 0);
	settle(&pair);
	kept[1] = kept[0];
	CHECK_EQ(start(pair.channel, &endings[1], NULL), 0);
	settle(&pair);
	CHECK(kept[0] && kept[1] && kept[0] != kept[1]);
	destroy_pair(&pair);
	CHECK(endings[0].count == 1 && endings[0].result.status == TERN_CANCELLED);
	CHECK(endings[1].count == 1 && endings[1].result.status == TERN_CANCELLED);
	CHECK(tern_call_cancelled(kept[0]));
	CHECK_EQ(tern_call_reply(kept[0], &reply.base), 0);
	CHECK_EQ(tern_call_fail(kept[1], TERN_ABORTED, "too late"), 0);
}

/* Calls of another thread that are still in the queue when the endpoint goes. */
static void *start_and_leave(void *argument)
{
	struct pair *pair = argument;
	static struct ending endings[3];
	struct tern_call *call;

	CHECK_EQ(start(pair->channel, &endings[0], NULL), 0);
	CHECK_EQ(start(pair->channel, &endings[1], &call), 0);
	tern_call_cancel(call);
	CHECK_EQ(start(pair->channel, &endings[2], NULL), 0);
	return endings;
}

static void test_destroy_with_queue(void)
{
	struct tern_call *kept;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	const struct ending *endings;
	pthread_t thread;
	void *result;

	settle(&pair);
	CHECK_EQ(pthread_create(&thread, NULL, start_and_leave, &pair), 0);
	pthread_join(thread, &result);
	destroy_pair(&pair);
	endings = result;
	for (unsigned int i = 0; i < 3; i++)
		CHECK(endings[i].count == 1 && endings[i].result.status == TERN_CANCELLED);
}

int main(void)
{
	test_cancel_tells_the_server();
	test_cancel_in_callback();
	test_destroy_channel();
	test_destroy_server();
	test_destroy_endpoint();
	test_destroy_with_queue();
	test_storm();
	return 0;
}
