/* SPDX-License-Identifier: BSD-2-Clause */
/* Endpoints in a libevent loop: their fds tell of messages, timers and other threads, and of nothing else. */
#include <event2/event.h>
#include <poll.h>

#include "rpc_fixture.h"

static const struct tern_endpoint_options plain;

struct loop {
	struct event_base *base;
	struct event *events[2];
	unsigned int runs; /* times that an endpoint was polled */
};

struct handler {
	struct loop *loop;
	struct tern_endpoint *endpoint;
};

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct handler *handler = argument;

	(void)fd, (void)what;
	handler->loop->runs++;
	CHECK(tern_endpoint_poll(handler->endpoint, 0) >= 0);
}

static struct handler handlers[2];

static void loop_init(struct loop *loop, struct pair *pair)
{
	struct tern_endpoint *endpoints[] = { pair->server_endpoint, pair->client_endpoint };

	*loop = (struct loop){ .base = event_base_new() };
	CHECK(loop->base);
	for (unsigned int i = 0; i < 2; i++) {
		int fd = tern_endpoint_fd(endpoints[i]);

		CHECK(fd >= 0 && fd == tern_endpoint_fd(endpoints[i]));
		handlers[i] = (struct handler){ loop, endpoints[i] };
		loop->events[i] = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, &handlers[i]);
		CHECK(loop->events[i] && event_add(loop->events[i], NULL) == 0);
	}
}

static void loop_release(struct loop *loop)
{
	event_free(loop->events[0]);
	event_free(loop->events[1]);
	event_base_free(loop->base);
}

/* Runs the loop for so long, or until the ending has come. */
static void loop_run(struct loop *loop, unsigned int ms, const struct ending *ending)
{
	uint64_t end = clock_ns() + ms * 1000000ull;

	while (clock_ns() < end && !(ending && ending->count)) {
		struct timeval step = { .tv_usec = 20000 };

		event_base_loopexit(loop->base, &step);
		CHECK(event_base_loop(loop->base, EVLOOP_ONCE) >= 0);
	}
}

static int start(struct tern_channel *channel, bool later, uint64_t timeout_us, struct ending *ending,
		 struct tern_call **call)
{
	struct tern_call_options options = { .sz = sizeof(options), .timeout_us = timeout_us };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

	return later ? tern__test__rpc__echo__later__start(channel, &options, &request, note_end, ending,
							   call)
		     : tern__test__rpc__echo__echo__start(channel, &options, &request, note_end, ending,
							  call);
}

static void test_calls(struct pair *pair, struct loop *loop)
{
	for (unsigned int i = 0; i < 500; i++) {
		struct ending ending = { 0 };

		CHECK_EQ(start(pair->channel, false, 0, &ending, NULL), 0);
		loop_run(loop, 5000, &ending);
		CHECK_EQ(ending.count, 1);
		CHECK_EQ(ending.result.status, TERN_OK);
	}
	/* Deadlines that are all reached later than the first do not touch the timer. */
	CHECK(counter(pair->client_endpoint, "rpc_timer_arms") <= 2);
}

static void test_deadline(struct pair *pair, struct loop *loop)
{
	uint64_t begin = clock_ns(), timeouts[] = { 30000, 5000, 60000 };
	struct ending endings[3] = { 0 };

	fake_set_faults((struct fake_faults){ .silent = true });
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(start(pair->channel, true, timeouts[i], &endings[i], NULL), 0);
	loop_run(loop, 5000, &endings[2]);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(endings[i].count == 1 && endings[i].result.status == TERN_DEADLINE_EXCEEDED);
		CHECK(endings[i].at_ns >= begin + timeouts[i] * 1000);
		CHECK(endings[i].at_ns < begin + timeouts[i] * 1000 + 1000000000);
	}
	fake_set_faults((struct fake_faults){ 0 });
}

static void test_transports_timer(struct pair *pair, struct loop *loop)
{
	struct ending ending = { 0 };
	uint64_t begin = clock_ns();

	fake_set_faults((struct fake_faults){ .delay_ns = 3000000 });
	CHECK_EQ(start(pair->channel, false, 0, &ending, NULL), 0);
	loop_run(loop, 5000, &ending);
	CHECK(ending.count == 1 && ending.result.status == TERN_OK);
	CHECK(ending.at_ns - begin >= 6000000);
	fake_set_faults((struct fake_faults){ 0 });
}

struct elsewhere {
	struct tern_channel *channel;
	struct ending *ending;
};

static void *start_elsewhere(void *argument)
{
	struct elsewhere *elsewhere = argument;

	usleep(2000);
	CHECK_EQ(start(elsewhere->channel, false, 0, elsewhere->ending, NULL), 0);
	return NULL;
}

static void test_other_thread(struct pair *pair, struct loop *loop)
{
	for (unsigned int i = 0; i < 50; i++) {
		struct ending ending = { 0 };
		struct elsewhere elsewhere = { pair->channel, &ending };
		pthread_t thread;

		CHECK_EQ(pthread_create(&thread, NULL, start_elsewhere, &elsewhere), 0);
		loop_run(loop, 5000, &ending);
		pthread_join(thread, NULL);
		CHECK(ending.count == 1 && ending.result.status == TERN_OK);
	}
}

static void test_cancel_wakes(struct pair *pair, struct loop *loop)
{
	struct ending ending = { 0 };
	struct tern_call *call;

	fake_set_faults((struct fake_faults){ .silent = true });
	CHECK_EQ(start(pair->channel, true, 0, &ending, &call), 0);
	loop_run(loop, 50, NULL);
	tern_call_cancel(call);
	CHECK_EQ(ending.count, 0);
	loop_run(loop, 5000, &ending);
	CHECK(ending.count == 1 && ending.result.status == TERN_CANCELLED);
	fake_set_faults((struct fake_faults){ 0 });
}

static void cancel_other(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	CHECK(result->status == TERN_OK && reply);
	tern_call_cancel(ctx);
}

/* What a callback asks for is done although nothing else comes to wake the loop. */
static void test_cancel_from_callback(struct pair *pair, struct loop *loop)
{
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending ending = { 0 };
	struct tern_call *call;

	fake_set_faults((struct fake_faults){ .silent = true });
	CHECK_EQ(start(pair->channel, true, UINT64_MAX, &ending, &call), 0);
	fake_set_faults((struct fake_faults){ 0 });
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair->channel, NULL, &request, cancel_other, call, NULL),
		 0);
	loop_run(loop, 5000, &ending);
	CHECK(ending.count == 1 && ending.result.status == TERN_CANCELLED);
}

static bool is_readable(struct tern_endpoint *endpoint)
{
	struct pollfd fd = { .fd = tern_endpoint_fd(endpoint), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* With nothing to do, and after all that, the fds are quiet. */
static void test_idle(struct pair *pair, struct loop *loop)
{
	unsigned int runs;

	loop_run(loop, 100, NULL);
	runs = loop->runs;
	loop_run(loop, 200, NULL);
	CHECK(loop->runs - runs <= 2);
	CHECK(!is_readable(pair->client_endpoint) && !is_readable(pair->server_endpoint));
}

int main(void)
{
	struct tern_call *kept = NULL;
	struct pair pair = make_pair(plain, plain, &echo_handlers, &kept);
	struct loop loop;

	loop_init(&loop, &pair);
	test_calls(&pair, &loop);
	test_deadline(&pair, &loop);
	test_idle(&pair, &loop);
	test_transports_timer(&pair, &loop);
	test_other_thread(&pair, &loop);
	test_cancel_wakes(&pair, &loop);
	test_cancel_from_callback(&pair, &loop);
	test_idle(&pair, &loop);
	loop_release(&loop);
	CHECK(!kept);
	destroy_pair(&pair);
	return 0;
}
