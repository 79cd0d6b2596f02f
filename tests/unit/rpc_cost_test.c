/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the runtime costs for each call: 64 B unary echoes between two endpoints over the
 * fake transport, less the same number of bare messages over it. Prints nanoseconds a
 * side; fails only where something is wrong by an order of magnitude, or memory is
 * allocated for each call.
 */
#include "rpc_fixture.h"

#define CALLS  200000
#define ROUNDS 5

static void count_call(const struct tern_result *result, const Tern__Test__Rpc__Payload *reply, void *ctx)
{
	CHECK_EQ(result->status, TERN_OK);
	CHECK_EQ(reply->data.len, 64);
	++*(unsigned int *)ctx;
}

static uint64_t time_calls(struct pair *pair)
{
	uint8_t bytes[64] = { 1 };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	unsigned int done = 0;
	uint64_t begin = fake_now();

	request.data = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	for (unsigned int i = 0; i < CALLS; i++) {
		CHECK_EQ(tern__test__rpc__echo__echo__start(pair->channel, NULL, &request, count_call, &done,
							    NULL),
			 0);
		while (done == i) {
			tern_endpoint_poll(pair->server_endpoint, 0);
			tern_endpoint_poll(pair->client_endpoint, 0);
		}
	}
	return (fake_now() - begin) / CALLS;
}

/* ---- the same without the runtime ---- */

static struct transport *bare_server, *bare_client;
static unsigned int bare_done;

static void bare_request(void *ctx, void *cookie, uint64_t handle, const struct net_endpoint *remote,
			 struct transport_message message)
{
	void *data = fake_message_get(bare_server, message.length);

	(void)ctx, (void)cookie, (void)remote;
	fake_message_free(bare_server, message.data);
	fake_respond(bare_server, handle, (struct transport_message){ data, message.length });
}

static void bare_response(void *ctx, uint64_t cookie, struct transport_message message)
{
	(void)ctx, (void)cookie;
	fake_message_free(bare_client, message.data);
	bare_done++;
}

static uint64_t time_bare(void)
{
	static const struct transport_callbacks callbacks = { .request = bare_request,
							      .response = bare_response };
	struct transport_listener *listener;
	struct net_endpoint at = { .port = 4001 };
	struct transport_peer *peer;
	uint64_t begin;

	bare_done = 0;
	fake_open(NULL, &callbacks, NULL, &bare_server);
	fake_open(NULL, &callbacks, NULL, &bare_client);
	CHECK_EQ(fake_listen(bare_server, &at, NULL, &listener), 0);
	CHECK_EQ(fake_connect(bare_client, &at, &peer), 0);
	begin = fake_now();
	for (unsigned int i = 0; i < CALLS; i++) {
		uint64_t handle;
		void *data = fake_message_get(bare_client, 90);

		CHECK_EQ(fake_request(bare_client, peer, (struct transport_message){ data, 90 }, 1, &handle),
			 0);
		while (bare_done == i) {
			fake_poll(bare_server);
			fake_timeout(bare_server);
			fake_poll(bare_client);
			fake_timeout(bare_client);
		}
	}
	begin = (fake_now() - begin) / CALLS;
	fake_disconnect(bare_client, peer);
	fake_unlisten(bare_server, listener);
	fake_close(bare_client);
	fake_close(bare_server);
	return begin;
}

int main(void)
{
	struct tern_endpoint_options options = { .wait = TERN_WAIT_SPIN };
	struct pair pair = make_pair(options, options, &echo_handlers, NULL);
	uint64_t best = UINT64_MAX, bare = UINT64_MAX;

	fake_set_faults((struct fake_faults){ .no_wake_up = true });
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t call_ns = time_calls(&pair), bare_ns = time_bare();

		best = call_ns < best ? call_ns : best;
		bare = bare_ns < bare ? bare_ns : bare;
	}
	CHECK_EQ(call_pool_at(pair.client_endpoint->calls, CALL_CHUNK), NULL);
	destroy_pair(&pair);
	printf("a call takes %llu ns, its bare messages %llu: the runtime %llu ns a side\n",
	       (unsigned long long)best, (unsigned long long)bare, (unsigned long long)(best - bare) / 2);
	CHECK(best < 50000);
	return 0;
}
