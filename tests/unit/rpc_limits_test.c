/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits: each is reached, reported, and left again. And memory: with the n-th
 * allocation failing, for every n, whatever fails says so and nothing is left behind.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* ---- failing allocations: this program's malloc is the library's, too ---- */

static unsigned long allocations, fail_at;

static inline bool fails(void)
{
	return fail_at && __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED) == fail_at;
}

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define REAL(function) __interceptor_##function
#else
#define REAL(function)       __libc_##function
#define __libc_aligned_alloc __libc_memalign
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
/* ThreadSanitizer cannot do with another malloc: there, nothing fails. */
#define CAN_FAIL         false
#define FAKE_ALLOC(size) calloc(1, size)
#else
#define CAN_FAIL         true
#define FAKE_ALLOC(size) REAL(calloc)(1, size)

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *old, size_t size);
void *REAL(aligned_alloc)(size_t alignment, size_t size);

void *malloc(size_t size)
{
	return fails() ? NULL : REAL(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : REAL(calloc)(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : REAL(realloc)(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : REAL(aligned_alloc)(alignment, size);
}
#endif
#include "rpc_fixture.h"

#define HELD_MAX 5000

/* ---- limits ---- */

static const struct tern_endpoint_options plain;
static struct tern_call *held[HELD_MAX];
static unsigned int held_count;

static void hold_call(struct tern_call *call, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)request, (void)ctx;
	CHECK(held_count < HELD_MAX);
	held[held_count++] = call;
}

static const Tern__Test__Rpc__Echo__Server handlers = { .later = hold_call };

static void answer_held(void)
{
	Tern__Test__Rpc__Payload reply = TERN__TEST__RPC__PAYLOAD__INIT;

	while (held_count)
		CHECK_EQ(tern_call_reply(held[--held_count], &reply.base), 0);
}

static int start(struct tern_channel *channel, struct ending *ending)
{
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

	return tern__test__rpc__echo__later__start(channel, NULL, &request, note_end, ending, NULL);
}

static void test_max_calls(void)
{
	struct tern_endpoint_options options = { .max_calls = 100 };
	struct pair pair = make_pair(plain, options, &handlers, NULL);
	struct ending endings[101] = { 0 };

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 100; i++)
			CHECK_EQ(start(pair.channel, &endings[i]), 0);
		CHECK_EQ(start(pair.channel, &endings[100]), -ENOBUFS);
		settle(&pair);
		answer_held();
		settle(&pair);
		for (unsigned int i = 0; i < 100; i++)
			CHECK(endings[i].count == round + 1 && endings[i].result.status == TERN_OK);
		CHECK_EQ(endings[100].count, 0);
	}
	destroy_pair(&pair);
}

/* The server's side of the same: what it has no call for is refused, and the client told. */
static void test_max_calls_of_server(void)
{
	struct tern_endpoint_options options = { .max_calls = 70 };
	struct pair pair = make_pair(options, plain, &handlers, NULL);
	struct ending endings[100] = { 0 };

	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(start(pair.channel, &endings[i]), 0);
	settle(&pair);
	CHECK_EQ(held_count, 70);
	CHECK(endings[99].count == 1 && endings[99].result.status == TERN_RESOURCE_EXHAUSTED);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_refused"), 30);
	answer_held();
	settle(&pair);
	CHECK(endings[69].count == 1 && endings[69].result.status == TERN_OK);
	destroy_pair(&pair);
}

static void test_max_pending(void)
{
	struct tern_server_options options = { .sz = sizeof(options), .max_pending = 10 };
	struct pair pair = make_pair(plain, plain, &handlers, NULL);
	struct ending endings[12] = { 0 };

	tern_server_destroy(pair.server);
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, &options, &pair.server), 0);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, &handlers, NULL), 0);
	for (unsigned int i = 0; i < 12; i++)
		CHECK_EQ(start(pair.channel, &endings[i]), 0);
	settle(&pair);
	CHECK_EQ(held_count, 10);
	for (unsigned int i = 10; i < 12; i++) {
		CHECK_EQ(endings[i].result.status, TERN_RESOURCE_EXHAUSTED);
		CHECK(strstr(endings[i].result.message, "has 10 requests in hand"));
	}
	answer_held();
	settle(&pair);
	CHECK_EQ(endings[9].result.status, TERN_OK);
	destroy_pair(&pair);
}

struct elsewhere {
	struct tern_channel *channel;
	struct ending *ending;
};

static void *start_elsewhere(void *argument)
{
	struct elsewhere *elsewhere = argument;

	CHECK_EQ(start(elsewhere->channel, elsewhere->ending), 0);
	return NULL;
}

static void test_max_outstanding(void)
{
	struct tern_channel_options options = { .sz = sizeof(options), .max_outstanding = 5 };
	struct pair pair = make_pair(plain, plain, &handlers, NULL);
	struct ending endings[6] = { 0 };
	struct elsewhere elsewhere;
	struct tern_channel *channel;
	pthread_t thread;

	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, &options, &channel), 0);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(start(channel, &endings[i]), 0);
	CHECK_EQ(start(channel, &endings[5]), -ENOBUFS);
	settle(&pair);
	/* Another thread hears of it from the callback. */
	elsewhere = (struct elsewhere){ channel, &endings[5] };
	CHECK_EQ(pthread_create(&thread, NULL, start_elsewhere, &elsewhere), 0);
	pthread_join(thread, NULL);
	settle(&pair);
	CHECK(endings[5].count == 1 && endings[5].result.status == TERN_RESOURCE_EXHAUSTED);
	answer_held();
	settle(&pair);
	CHECK_EQ(endings[4].result.status, TERN_OK);
	CHECK_EQ(start(channel, &endings[5]), 0);
	settle(&pair);
	answer_held();
	destroy_pair(&pair);
}

/* Thousands of held calls, given up by their clients in another order. */
static void test_held_table(void)
{
	struct pair pair = make_pair(plain, plain, &handlers, NULL);
	static struct ending endings[HELD_MAX];
	static struct tern_call *calls[HELD_MAX];
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;

	memset(endings, 0, sizeof(endings));
	for (unsigned int i = 0; i < HELD_MAX; i++)
		CHECK_EQ(tern__test__rpc__echo__later__start(pair.channel, NULL, &request, note_end,
							     &endings[i], &calls[i]),
			 0);
	settle(&pair);
	CHECK_EQ(held_count, HELD_MAX);
	CHECK_EQ(pair.server_endpoint->held.count, HELD_MAX);
	CHECK(pair.server_endpoint->held.bucket_count >= HELD_MAX);
	for (unsigned int i = 0; i < HELD_MAX; i++)
		tern_call_cancel(calls[(uint64_t)i * 3571 % HELD_MAX]);
	settle(&pair);
	CHECK_EQ(pair.server_endpoint->held.count, 0);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_cancelled"), HELD_MAX);
	answer_held();
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* Large messages leave no more behind than the pool may keep. */
static void test_spare_memory(void)
{
	struct pair pair = make_pair(plain, plain, &handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	static struct ending endings[1000];

	request.data.len = 30000;
	request.data.data = calloc(1, request.data.len);
	for (unsigned int i = 0; i < 1000; i++)
		CHECK_EQ(tern__test__rpc__echo__later__start(pair.channel, NULL, &request, note_end,
							     &endings[i], NULL),
			 0);
	settle(&pair);
	answer_held();
	settle(&pair);
	CHECK(pair.server_endpoint->calls->spare_bytes > 0);
	CHECK(pair.server_endpoint->calls->spare_bytes <= POOL_SPARE_MAX);
	free(request.data.data);
	destroy_pair(&pair);
}

/* ---- failing allocations ---- */

/* A short life with everything in it. Returns false if something failed for want of memory. */
static bool live(void)
{
	struct tern_parameter parameters[] = { { "rtt_bytes", 10000 }, { NULL, 0 } };
	struct tern_endpoint_options options = { .sz = sizeof(options), .parameters = parameters };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	uint8_t data[9000] = { 0 };
	struct tern_endpoint *endpoint;
	struct tern_server *server;
	struct tern_channel *channel;
	struct ending endings[2] = { 0 };
	bool good = true;
	int rc;

	rc = tern_endpoint_create(&options, &endpoint);
	if (rc < 0) {
		CHECK_EQ(rc, -ENOMEM);
		return false;
	}
	good = endpoint_add_transport(endpoint, &fake_ops) == 0 &&
	       tern_server_create(endpoint, PAIR_ADDRESS, NULL, &server) == 0 &&
	       tern__test__rpc__echo__register(server, &handlers, NULL) == 0 &&
	       tern_channel_create(endpoint, PAIR_ADDRESS, NULL, &channel) == 0;
	request.data = (ProtobufCBinaryData){ sizeof(data), data };
	for (unsigned int i = 0; good && i < 2; i++) {
		rc = tern__test__rpc__echo__later__start(channel, NULL, &request, note_end, &endings[i],
							 NULL);
		CHECK(rc == 0 || rc == -ENOBUFS || rc == -ENOMEM);
		good = rc == 0;
	}
	while (good && tern_endpoint_poll(endpoint, 0) > 0)
		;
	answer_held();
	while (good && tern_endpoint_poll(endpoint, 0) > 0)
		;
	tern_endpoint_destroy(endpoint);
	for (unsigned int i = 0; good && i < 2; i++) {
		CHECK_EQ(endings[i].count, 1);
		CHECK(endings[i].result.status == TERN_OK ||
		      endings[i].result.status == TERN_RESOURCE_EXHAUSTED);
		good = endings[i].result.status == TERN_OK;
	}
	return good;
}

static void test_failing_allocations(void)
{
	unsigned int failed = 0;

	CHECK(live());
	for (unsigned long n = 1; CAN_FAIL; n++) {
		bool good;

		allocations = 0;
		fail_at = n;
		good = live();
		if (allocations < n)
			break;
		fail_at = 0;
		CHECK_EQ(atomic_load(&fake.messages), 0);
		CHECK_EQ(fake.live_rpcs, 0);
		failed += !good;
	}
	fail_at = 0;
	fake_check_clean();
	CHECK(failed >= 8 || !CAN_FAIL);
	printf("%u allocations failed, one at a time\n", failed);
}

int main(void)
{
	test_max_calls();
	test_max_calls_of_server();
	test_max_pending();
	test_max_outstanding();
	test_held_table();
	test_spare_memory();
	test_failing_allocations();
	return 0;
}
