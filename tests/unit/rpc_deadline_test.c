/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines on both sides: when calls end, what the server is told, what it makes of it. */
#include <endian.h>

#include "channel.h"
#include "rpc_fixture.h"
#include "rpc_wire.h"

#define CALLS    2000
#define SHORT_US 100000   /* long enough to be delivered on a busy machine */
#define LATE_NS  20000000 /* after the deadline, on a machine that is busy with other things */

static const struct tern_endpoint_options plain;

/* Calls that the server's handler never answers while it matters. */
static struct tern_call *held[CALLS];
static unsigned int held_count;

static void hold_call(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)request, (void)ctx;
	held[held_count++] = call;
}

static void answer_held(void)
{
	while (held_count)
		CHECK_EQ(tern_call_fail(held[--held_count], TERN_ABORTED, NULL), 0);
}

static struct tern_call *start_call(struct tern_channel *channel, uint64_t timeout_us, struct ending *ending)
{
	struct tern_call_options options = { .sz = sizeof(options), .timeout_us = timeout_us };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct tern_call *call;

	CHECK_EQ(tern__test__rpc__echo__later__start(channel, &options, &request, note_end, ending, &call),
		 0);
	return call;
}

/* Calls with deadlines of 1 to 200 ms to a server that does not answer. */
static void test_client(enum tern_wait wait, bool silent)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .later = hold_call };
	struct tern_endpoint_options options = { .wait = wait };
	struct pair pair = make_pair(plain, options, &handlers, NULL);
	static struct ending endings[CALLS];
	static uint64_t deadlines[CALLS];
	unsigned int late = 0, ended = 0;

	memset(endings, 0, sizeof(endings));
	fake_set_faults((struct fake_faults){ .silent = silent });
	for (unsigned int i = 0; i < CALLS; i++) {
		uint64_t timeout_us = 1000 + (uint64_t)i * 7919 % 199000;

		struct tern_call *call = start_call(pair.channel, timeout_us, &endings[i]);

		CHECK(call->deadline_ns <= clock_ns() + timeout_us * 1000);
		deadlines[i] = call->deadline_ns;
	}
	while (ended < CALLS) {
		uint64_t begin = clock_ns();

		CHECK(tern_endpoint_poll(pair.client_endpoint, 1000000) >= 0);
		CHECK(tern_endpoint_poll(pair.server_endpoint, 0) >= 0);
		/* However busy the machine is: what was due when a poll began has ended with it. */
		for (unsigned int i = 0; i < CALLS; i++)
			CHECK(endings[i].count || deadlines[i] + 2 * DEADLINE_TICK_NS > begin);
		ended = (unsigned int)counter(pair.client_endpoint, "rpc_calls_timed_out");
	}
	for (unsigned int i = 0; i < CALLS; i++) {
		CHECK_EQ(endings[i].count, 1);
		CHECK_EQ(endings[i].result.status, TERN_DEADLINE_EXCEEDED);
		CHECK(endings[i].at_ns >= deadlines[i]);
		late += endings[i].at_ns > deadlines[i] + LATE_NS;
	}
	CHECK(late < CALLS / 2);
	CHECK(silent == (held_count == 0));
	answer_held();
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	settle(&pair);
	CHECK_EQ(counter(pair.client_endpoint, "fake_live_rpcs"), 0);
	destroy_pair(&pair);
}

/* Starts a call with its own and its method's timeout, and returns the deadline that it got, less now. */
static uint64_t deadline_of(struct tern_channel *channel, uint64_t own_us, uint64_t method_us)
{
	struct tern_call_options options = { .sz = sizeof(options), .timeout_us = own_us };
	struct tern_method method = tern__test__rpc__echo__service.methods[1];
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending ending = { 0 };
	struct tern_call *call;
	uint64_t now = clock_ns(), deadline;

	method.timeout_us = method_us;
	CHECK_EQ(tern_call_start(channel, &method, &options, &request.base, (tern_done *)(void *)note_end,
				 &ending, &call),
		 0);
	deadline = call->deadline_ns;
	CHECK(deadline == DEADLINE_NEVER || deadline >= now);
	tern_call_cancel(call);
	while (!ending.count)
		CHECK(tern_endpoint_poll(channel->endpoint, 0) >= 0);
	CHECK_EQ(ending.result.status, TERN_CANCELLED);
	return deadline == DEADLINE_NEVER ? DEADLINE_NEVER : deadline - now;
}

static bool about(uint64_t ns, uint64_t us)
{
	return ns >= us * 1000 && ns < us * 1000 + 900000000;
}

/* Which deadline holds: the call's, the method's, the channel's, the default; and none at all. */
static void test_which(void)
{
	struct tern_channel_options options = { .sz = sizeof(options), .timeout_us = 2000000 };
	struct tern_call *kept;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	struct tern_channel *channel;

	fake_set_faults((struct fake_faults){ .silent = true });
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, &options, &channel), 0);
	CHECK(about(deadline_of(pair.channel, 0, 0), 10000000));
	CHECK(about(deadline_of(channel, 0, 0), 2000000));
	CHECK(about(deadline_of(channel, 0, 3000000), 3000000));
	CHECK(about(deadline_of(channel, 4000000, 3000000), 4000000));
	CHECK_EQ(deadline_of(channel, UINT64_MAX, 3000000), DEADLINE_NEVER);
	CHECK_EQ(deadline_of(channel, UINT64_MAX - 1, 3000000), DEADLINE_NEVER);
	CHECK(about(deadline_of(channel, UINT64_MAX / 2000, 0), UINT64_MAX / 2000));
	CHECK_EQ(deadline_of(channel, 0, UINT64_MAX), DEADLINE_NEVER);
	destroy_pair(&pair);
}

/* ---- the server's side ---- */

/* The handler keeps the call beyond its time: the client is told, the handler still has to answer. */
static void test_held_too_long(void)
{
	struct tern_call *kept = NULL;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending ending = { 0 };

	start_call(pair.channel, SHORT_US, &ending);
	CHECK(tern_endpoint_poll(pair.server_endpoint, 1000000) > 0);
	CHECK(kept && !tern_call_cancelled(kept));
	CHECK(tern_call_time_left(kept) <= SHORT_US);
	/* The server's clock runs out first: only it is polled. */
	usleep(SHORT_US);
	while (counter(pair.server_endpoint, "fake_live_rpcs") == 1 &&
	       !tern_endpoint_poll(pair.server_endpoint, 1000))
		;
	CHECK(tern_call_cancelled(kept));
	CHECK_EQ(tern_call_time_left(kept), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 1);
	settle(&pair);
	CHECK_EQ(ending.count, 1);
	CHECK_EQ(ending.result.status, TERN_DEADLINE_EXCEEDED);
	CHECK_EQ(tern_call_reply(kept, &reply.base), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies_unwanted"), 1);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies"), 0);
	destroy_pair(&pair);
}

static void dawdle(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	++*(unsigned int *)ctx;
	usleep(SHORT_US + 10000);
	CHECK_EQ(tern__test__rpc__echo__later__reply(call, request), 0);
}

/* Two requests, and a handler that takes longer than both have: the second is not run. */
static void test_expired_in_queue(void)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .later = dawdle };
	unsigned int ran = 0;
	struct pair pair = make_pair(plain, plain, &handlers, &ran);
	struct ending endings[2] = { 0 };

	start_call(pair.channel, SHORT_US, &endings[0]);
	start_call(pair.channel, SHORT_US, &endings[1]);
	CHECK_EQ(tern_endpoint_poll(pair.server_endpoint, 1000000), 2);
	CHECK_EQ(ran, 1);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_expired"), 1);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies_unwanted"), 1);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_replies"), 0);
	settle(&pair);
	for (unsigned int i = 0; i < 2; i++) {
		CHECK_EQ(endings[i].count, 1);
		CHECK_EQ(endings[i].result.status, TERN_DEADLINE_EXCEEDED);
	}
	destroy_pair(&pair);
}

/* ---- on the wire ---- */

struct wire_check {
	uint64_t low, high;
	unsigned int count;
};

static void check_timeout(struct tern_call *call, const void *data, size_t length, void *ctx)
{
	struct wire_check *check = ctx;
	struct rpc_header header;

	CHECK(length >= sizeof(header));
	memcpy(&header, data, sizeof(header));
	CHECK(be32toh(header.timeout_us) >= check->low && be32toh(header.timeout_us) <= check->high);
	check->count++;
	CHECK_EQ(tern_call_fail(call, TERN_ABORTED, NULL), 0);
}

static void *start_elsewhere(void *argument)
{
	struct pair *pair = argument;
	static struct ending ending;

	start_call(pair->channel, 1000000, &ending);
	return NULL;
}

static void test_wire(void)
{
	struct pair pair = { .client_endpoint = make_endpoint(plain) };
	struct wire_check check = { .count = 0 };
	struct ending ending = { 0 };
	pthread_t thread;

	pair.server_endpoint = pair.client_endpoint;
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &pair.server), 0);
	CHECK_EQ(tern_server_set_raw(pair.server, check_timeout, &check), 0);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &pair.channel), 0);
	check.low = check.high = 0;
	start_call(pair.channel, UINT64_MAX, &ending);
	settle(&pair);
	check.low = check.high = 1;
	start_call(pair.channel, 1, &ending);
	settle(&pair);
	check.low = check.high = UINT32_MAX;
	start_call(pair.channel, 1ull << 33, &ending);
	settle(&pair);
	check.low = check.high = 123456;
	start_call(pair.channel, 123456, &ending);
	settle(&pair);
	/* From another thread: what is left when it is sent. */
	CHECK_EQ(pthread_create(&thread, NULL, start_elsewhere, &pair), 0);
	pthread_join(thread, NULL);
	usleep(10000);
	check.low = 1;
	check.high = 990000;
	settle(&pair);
	CHECK(check.count >= 5);
	destroy_pair(&pair);
}

int main(void)
{
	test_client(TERN_WAIT_ADAPTIVE, true);
	test_client(TERN_WAIT_BLOCK, true);
	test_client(TERN_WAIT_SPIN, false);
	test_which();
	test_held_too_long();
	test_expired_in_queue();
	test_wire();
	return 0;
}
