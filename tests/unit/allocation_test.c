/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Row S11: two hosts exchange messages over a lossy wire while the n-th allocation of
 * either fails: a message buffer, a path, or what the core takes from malloc (linked with
 * --wrap). One call may fail for want of memory; nothing else may come of it.
 */
#include <errno.h>
#include <string.h>

#include "homa.h"
#include "homa_core.h"
#include "sim_random.h"
#include "test.h"

#define INJECTIONS  5000
#define CALLS       8
#define QUEUE       4096 /* packets under way */
#define MTU         1500
#define SERVER_PORT 4000
#define END_NS      5000000000ull
#define WIRE_NS     3000

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *memory);

struct packet {
	uint8_t data[MTU];
	uint32_t length;
	uint32_t to;
};

struct node {
	uint32_t index;
	struct homa *homa;
	struct net_ip ip;
	int port;
};

static struct node nodes[2];
static struct packet queue[QUEUE];
static uint32_t queue_first, queue_count;
static struct sim_random dice;
static uint64_t now_ns;
static uint64_t allocations, fail_at; /* counted while not 0 */
static int64_t live, buffers;         /* pieces of memory in use */
static uint32_t executed[CALLS], ended[CALLS], failures;

/* ---- memory ---- */

static bool denied(void)
{
	return fail_at && ++allocations == fail_at;
}

void *__wrap_malloc(size_t bytes)
{
	live++;
	if (!denied())
		return __real_malloc(bytes);
	live--;
	return NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	live++;
	if (!denied())
		return __real_calloc(count, bytes);
	live--;
	return NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
	if (denied())
		return NULL;
	live += !old;
	return __real_realloc(old, bytes);
}

void __wrap_free(void *memory)
{
	live -= memory != NULL;
	__real_free(memory);
}

/* A message of the application's, which does not fail. */
static uint8_t *message(uint32_t length, uint8_t mark)
{
	uint8_t *data = __real_malloc(length);

	CHECK(data);
	buffers++;
	memset(data, mark, length);
	return data;
}

static void *buffer_get(void *ctx, uint32_t length)
{
	(void)ctx;
	return denied() ? NULL : message(length, 0);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	(void)ctx;
	(void)length;
	buffers--;
	__real_free(data);
}

/* ---- the wire ---- */

static void transmit(void *ctx, void *path_handle, const struct homa_packet_out *out)
{
	struct packet *p = &queue[(queue_first + queue_count) % QUEUE];

	(void)ctx;
	if (sim_random_chance(&dice, 150000) || queue_count == QUEUE)
		return;
	p->to = ((struct node *)path_handle)->index;
	p->length = out->header_length + out->payload_length;
	memcpy(p->data, &out->header, out->header_length);
	if (out->payload_length)
		memcpy(p->data + out->header_length, out->payload, out->payload_length);
	queue_count++;
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *path)
{
	struct node *node = ctx;

	(void)remote;
	(void)local;
	if (denied())
		return -ENOMEM;
	live++;
	*path = (struct homa_path){ &nodes[1 - node->index], node->ip, MTU };
	return 0;
}

static void path_close(void *ctx, void *path_handle)
{
	(void)ctx;
	(void)path_handle;
	live--;
}

static uint64_t bits(void *ctx)
{
	(void)ctx;
	return sim_random_next(&dice);
}

static const struct homa_ops ops = {
	.transmit = transmit,
	.path_open = path_open,
	.path_close = path_close,
	.buffer_get = buffer_get,
	.buffer_put = buffer_put,
	.random = bits,
};

static void deliver(void)
{
	struct packet p = queue[queue_first];
	struct homa_packet_in in = {
		.source = nodes[1 - p.to].ip,
		.destination = nodes[p.to].ip,
		.data = p.data,
		.length = p.length,
	};

	queue_first = (queue_first + 1) % QUEUE;
	queue_count--;
	homa_input(nodes[p.to].homa, now_ns, &in);
	homa_input_done(nodes[p.to].homa, now_ns);
}

/* ---- the applications ---- */

static uint32_t length_of(uint32_t call)
{
	static const uint32_t lengths[CALLS] = { 100, 70000, 3000, 200000, 1, 30000, 1424, 90000 };

	return lengths[call];
}

static void serve(struct homa *homa, const struct homa_event *event)
{
	uint8_t call = *(uint8_t *)event->data;
	uint32_t length;
	int error;

	CHECK(call < CALLS && event->length == length_of(call));
	CHECK_EQ(++executed[call], 1);
	homa_message_free(homa, event->data, event->length);
	length = length_of(CALLS - 1u - call);
	error = homa_respond(homa, now_ns, event->handle, message(length, call), length);
	CHECK(!error || error == -ENOENT || error == -ENOBUFS);
}

static void take_events(struct homa *homa)
{
	struct homa_event event;

	while (homa_next_event(homa, &event)) {
		if (event.type == HOMA_EVENT_REQUEST) {
			serve(homa, &event);
		} else if (event.type == HOMA_EVENT_RESPONSE) {
			CHECK_EQ(++ended[event.cookie], 1);
			CHECK_EQ(event.length, length_of(CALLS - 1u - (uint32_t)event.cookie));
			for (uint32_t i = 0; i < event.length; i++)
				CHECK(((uint8_t *)event.data)[i] == event.cookie);
			CHECK_EQ(executed[event.cookie], 1);
			homa_message_free(homa, event.data, event.length);
		} else if (event.type == HOMA_EVENT_FAILED) {
			CHECK_EQ(++ended[event.cookie], 1);
			CHECK_EQ(event.error, -ENOBUFS);
			failures++;
		}
	}
}

static void ask(uint32_t call)
{
	struct net_endpoint remote = { nodes[1].ip, SERVER_PORT };
	uint64_t handle;
	int error = homa_request(nodes[0].homa, now_ns, (uint16_t)nodes[0].port, &remote, &nodes[0].ip,
				 message(length_of(call), (uint8_t)call), length_of(call), call, &handle);

	if (!error)
		return;
	CHECK(error == -ENOBUFS || error == -ENOMEM);
	ended[call]++;
	failures++;
}

/* ---- a run ---- */

static int start(struct node *node, uint32_t index)
{
	struct homa_params params;
	int error;

	homa_params_init(&params);
	params.max_client_rpcs = params.max_server_rpcs = 16;
	params.max_peers = 4;
	params.dedupe_window = 64;
	*node = (struct node){ .index = index, .ip = net_ip_from_v4(wire32(0x0a000001 + index)) };
	error = homa_create(&params, &ops, node, now_ns, &node->homa);
	if (error)
		return error;
	CHECK_EQ(homa_port_open(node->homa, SERVER_PORT), SERVER_PORT);
	node->port = homa_port_open(node->homa, 0);
	CHECK(node->port > 0);
	return 0;
}

/* Whatever comes first: a packet, or a timer. False when nothing is left to do. */
static bool step(void)
{
	uint64_t due_ns = UINT64_MAX;

	if (queue_count) {
		now_ns += WIRE_NS;
		deliver();
	}
	for (int i = 0; i < 2; i++) {
		uint64_t next_ns = homa_next_timeout(nodes[i].homa, now_ns);

		due_ns = next_ns < due_ns ? next_ns : due_ns;
	}
	if (!queue_count && due_ns == UINT64_MAX)
		return false;
	if (!queue_count)
		now_ns = due_ns > now_ns ? due_ns : now_ns + 1;
	for (int i = 0; i < 2; i++) {
		homa_poll(nodes[i].homa, now_ns);
		take_events(nodes[i].homa);
	}
	return true;
}

/* Runs all calls with the n-th allocation failing; how many there were. */
static uint64_t run(uint64_t seed, uint64_t n)
{
	sim_random_seed(&dice, seed);
	now_ns = 1000000000;
	queue_count = 0;
	memset(executed, 0, sizeof(executed));
	memset(ended, 0, sizeof(ended));
	CHECK_EQ(start(&nodes[0], 0), 0);
	CHECK_EQ(start(&nodes[1], 1), 0);
	now_ns += 2000000000;
	allocations = 0;
	fail_at = n;
	for (uint32_t call = 0; call < CALLS; call++)
		ask(call);
	take_events(nodes[0].homa);
	while (step())
		CHECK(now_ns < 3000000000 + END_NS);
	fail_at = 0;
	for (uint32_t call = 0; call < CALLS; call++)
		CHECK_EQ(ended[call], 1);
	for (int i = 0; i < 2; i++) {
		struct homa_counters counters;

		homa_counters_get(nodes[i].homa, &counters);
		CHECK_EQ(counters.client_rpcs + counters.server_rpcs, 0);
		CHECK_EQ(counters.incoming_bytes + counters.outgoing_bytes + counters.total_granted, 0);
		homa_destroy(nodes[i].homa);
	}
	CHECK_EQ(live, 0);
	CHECK_EQ(buffers, 0);
	return allocations;
}

/* A host that cannot be created leaves nothing behind. */
static uint32_t test_creation(void)
{
	uint32_t n = 0;
	int error;

	sim_random_seed(&dice, 0);
	do {
		allocations = 0;
		fail_at = ++n;
		error = start(&nodes[0], 0);
		fail_at = 0;
		CHECK(!error || error == -ENOMEM);
		if (!error)
			homa_destroy(nodes[0].homa);
		CHECK_EQ(live, 0);
	} while (error);
	CHECK(n > 5);
	return n - 1;
}

int main(void)
{
	uint32_t injected = test_creation(), runs = 0;

	for (uint64_t seed = 1; injected < INJECTIONS; seed++) {
		uint64_t count = run(seed, UINT64_MAX);

		CHECK(count > 10);
		CHECK_EQ(failures, 0);
		for (uint64_t n = 1; n <= count && injected < INJECTIONS; n++, injected++, runs++) {
			run(seed, n);
			CHECK(failures <= 1);
			failures = 0;
		}
	}
	printf("%u allocations denied, one at a time, in %u runs of %d calls\n", injected, runs, CALLS);
	return 0;
}
