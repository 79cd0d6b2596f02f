/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peers that say nothing: a response that waits long for a grant, and senders that were
 * granted bytes and never send them.
 */
#include <errno.h>
#include <string.h>

#include "homa_state.h"
#include "test.h"

#define MS                  1000000ull
#define US                  1000ull
#define NOW                 (1000 * MS)
#define SERVER_PORT         4000
#define CLIENT_PORT_OF_PEER 0x9000
#define RESPONSE            500000
#define PEERS               64
#define LONG_MESSAGE        900000

static uint32_t sent[HOMA_TYPE_LAST - HOMA_TYPE_FIRST + 1];
static const struct net_ip us = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 } };

static struct net_ip address(uint8_t n)
{
	return (struct net_ip){ .b = { [10] = 0xff, [11] = 0xff, 10, 0, 1, n } };
}

static void transmit(void *ctx, void *path, const struct homa_packet_out *packet)
{
	(void)ctx;
	(void)path;
	sent[packet->header.common.type - HOMA_TYPE_FIRST]++;
}

static uint32_t take_sent(enum homa_packet_type type)
{
	uint32_t count = sent[type - HOMA_TYPE_FIRST];

	sent[type - HOMA_TYPE_FIRST] = 0;
	return count;
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *path)
{
	(void)ctx;
	(void)remote;
	(void)local;
	*path = (struct homa_path){ .local = us, .mtu = 1500 };
	return 0;
}

static void path_close(void *ctx, void *path)
{
	(void)ctx;
	(void)path;
}

static uint64_t random_bits(void *ctx)
{
	static uint64_t state;

	(void)ctx;
	return state += 0x9e3779b97f4a7c15;
}

/* Messages have a length and no bytes. */
static const struct homa_ops ops = {
	.transmit = transmit,
	.path_open = path_open,
	.path_close = path_close,
	.random = random_bits,
};

static struct homa *create(struct homa_params *params)
{
	struct homa *homa;

	homa_params_init(params);
	params->link_mbps = 10000;
	params->max_nic_est_backlog_usecs = 1000000;
	CHECK(homa_create(params, &ops, NULL, NOW, &homa) == 0);
	CHECK_EQ(homa_port_open(homa, SERVER_PORT), SERVER_PORT);
	memset(sent, 0, sizeof(sent));
	return homa;
}

static void input(struct homa *homa, uint64_t now_ns, uint8_t from, const void *packet, uint32_t length)
{
	struct homa_packet_in in = { .source = address(from),
				     .destination = us,
				     .data = packet,
				     .length = length,
				     .where = HOMA_PAYLOAD_ELIDED };

	homa_input(homa, now_ns, &in);
	homa_input_done(homa, now_ns);
}

/* The first packet of a request of `length` bytes, of which `incoming` come without a grant, and `bytes` now.
 */
static void data(struct homa *homa, uint64_t now_ns, uint8_t from, uint64_t id, uint32_t length,
		 uint32_t incoming, uint32_t bytes)
{
	struct homa_data_header h = {
		.common = { .sport = wire16(CLIENT_PORT_OF_PEER),
			    .dport = wire16(SERVER_PORT),
			    .type = HOMA_DATA,
			    .sender_id = wire64(id) },
		.message_length = wire32(length),
		.incoming = wire32(incoming),
		.cutoff_version = wire16(HOMA_CUTOFF_VERSION),
	};

	input(homa, now_ns, from, &h, (uint32_t)sizeof(h) + bytes);
}

static void control(struct homa *homa, uint64_t now_ns, enum homa_packet_type type, uint64_t id)
{
	struct homa_ack_header h = {
		.common = { .sport = wire16(CLIENT_PORT_OF_PEER),
			    .dport = wire16(SERVER_PORT),
			    .type = (uint8_t)type,
			    .sender_id = wire64(id) },
	};

	input(homa, now_ns, 1, &h, homa_header_bytes((uint8_t)type));
}

/* ---- a response that waits for a grant ---- */

static struct homa *serve(struct homa_params *params)
{
	struct homa *homa = create(params);
	struct homa_event event;

	data(homa, NOW, 1, 600, 100, 100, 100);
	CHECK(homa_next_event(homa, &event) && event.type == HOMA_EVENT_REQUEST);
	CHECK_EQ(homa_respond(homa, NOW, event.handle, NULL, RESPONSE), 0);
	homa_poll(homa, NOW + 90 * MS);
	CHECK_EQ(take_sent(HOMA_NEED_ACK), 0);
	CHECK_EQ(homa->counters.server_rpcs, 1);
	return homa;
}

/* The client is asked when it has been silent for long, and BUSY keeps it waiting for as long again. */
static void test_a_client_that_waits_is_waited_for(void)
{
	struct homa_params params;
	struct homa *homa = serve(&params);
	uint64_t now_ns = NOW;

	for (int i = 0; i < 20; i++) {
		now_ns += 101 * MS;
		homa_poll(homa, now_ns);
		CHECK_EQ(take_sent(HOMA_NEED_ACK), 1);
		control(homa, now_ns, HOMA_BUSY, 600);
		homa_poll(homa, now_ns + 50 * MS);
		CHECK_EQ(take_sent(HOMA_NEED_ACK), 0);
	}
	CHECK_EQ(homa->counters.server_rpcs, 1);
	homa_destroy(homa);
}

/* One that does not know the RPC any more says so; who was not asked has nothing to say. */
static void test_a_client_that_forgot_is_not(void)
{
	struct homa_params params;
	struct homa *homa = serve(&params);

	control(homa, NOW + 91 * MS, HOMA_ACK, 600);
	CHECK_EQ(homa->counters.server_rpcs, 1);
	homa_poll(homa, NOW + 101 * MS);
	CHECK_EQ(take_sent(HOMA_NEED_ACK), 1);
	control(homa, NOW + 102 * MS, HOMA_ACK, 600);
	CHECK_EQ(homa->counters.server_rpcs, 0);
	homa_destroy(homa);
}

/* When a response is given up that nobody answers for; `heard`: its client's host sends other things. */
static uint64_t given_up_ms(bool heard)
{
	struct homa_params params;
	struct homa *homa = serve(&params);
	uint64_t ms = 90;

	for (; homa->counters.server_rpcs && ms < 60000; ms++) {
		if (heard && ms % 50 == 0)
			control(homa, NOW + ms * MS, HOMA_NEED_ACK, 700);
		homa_poll(homa, NOW + ms * MS);
	}
	homa_destroy(homa);
	return ms;
}

/* ---- senders that are silent ---- */

static uint64_t granted_and_missing(const struct homa *homa)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < homa->servers.touched; i++) {
		const struct homa_message_in *in = &homa->servers.slots[i].in;

		if (in->length && in->granted > in->unscheduled)
			sum += in->granted - in->unscheduled;
	}
	return sum;
}

/* What is granted to hosts that each begin a long message and say nothing more. */
static uint64_t most_granted(uint32_t hole_recovery_us)
{
	struct homa_params params;
	struct homa *homa = create(&params);
	uint64_t most = 0;

	homa->params.hole_recovery_us = hole_recovery_us;
	for (uint8_t i = 0; i < PEERS; i++)
		data(homa, NOW, i, 600, LONG_MESSAGE, 1, 1);
	for (uint64_t at_us = 0; at_us < 99000; at_us += 50) {
		uint64_t granted;

		homa_poll(homa, NOW + at_us * US);
		granted = granted_and_missing(homa);
		if (granted > most)
			most = granted;
	}
	CHECK_EQ(homa->counters.server_rpcs, PEERS);
	homa_destroy(homa);
	return most;
}

static void test_silence_is_not_rewarded_without_end(void)
{
	struct homa_params params;
	uint64_t with, without, fifo;

	homa_params_init(&params);
	with = most_granted(100);
	without = most_granted(0);
	/* The oldest messages' share goes to one after the other, up to two increments beyond its window. */
	fifo = PEERS * 3ull * params.fifo_grant_increment;
	printf("granted to %d silent senders: %llu bytes, without hole recovery %llu\n", PEERS,
	       (unsigned long long)with, (unsigned long long)without);
	CHECK(without >= params.max_incoming / 2);
	CHECK(with <= without + params.max_incoming + fifo);
}

int main(void)
{
	uint64_t ms;

	test_a_client_that_waits_is_waited_for();
	test_a_client_that_forgot_is_not();
	ms = given_up_ms(false);
	CHECK(ms > 200 && ms < 600);
	ms = given_up_ms(true);
	CHECK(ms > 5000 && ms < 15000);
	test_silence_is_not_rewarded_without_end();
	return 0;
}
