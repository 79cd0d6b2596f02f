/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core below a datapath that puts bytes in their place: what it keeps, what it counts,
 * and that it ends placing before anybody else gets the memory.
 */
#include <string.h>

#include "homa_state.h"
#include "test.h"

#define BORN_NS      1000000000ull
#define NOW          5000000000ull
#define SERVER_PORT  4000
#define CLIENT_PORT  0x9000
#define SEGMENT      1424u
#define PLACEMENT    77u
#define REQUEST_ID   2000ull

static const struct net_ip us = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 } };
static const struct net_ip peer = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 } };

static long buffers;   /* in the core's hands or the application's */
static int begun, ended;
static bool refuse;    /* the datapath has no record left */
static struct homa_incoming incoming; /* the last one begun; its pointers are only compared */
static uint32_t gaps_then;            /* how many gaps it had */

static void transmit(void *ctx, void *path, const struct homa_packet_out *packet)
{
	(void)ctx, (void)path, (void)packet;
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local, struct homa_path *path)
{
	(void)ctx, (void)remote, (void)local;
	*path = (struct homa_path){ .local = us, .mtu = 1500 };
	return 0;
}

static void path_close(void *ctx, void *path)
{
	(void)ctx, (void)path;
}

static void *buffer_get(void *ctx, uint32_t length)
{
	(void)ctx;
	buffers++;
	return calloc(1, length);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	(void)ctx, (void)length;
	CHECK_EQ(begun, ended);
	buffers--;
	free(data);
}

static uint64_t random_bits(void *ctx)
{
	(void)ctx;
	return 0x123456789abcdef0;
}

static uint32_t incoming_begin(void *ctx, const struct homa_incoming *message)
{
	(void)ctx;
	incoming = *message;
	gaps_then = message->gaps->count;
	if (refuse)
		return HOMA_NO_PLACEMENT;
	begun++;
	return PLACEMENT;
}

static void incoming_end(void *ctx, uint32_t placement)
{
	(void)ctx;
	CHECK_EQ(placement, PLACEMENT);
	ended++;
}

static const struct homa_ops ops = {
	.transmit = transmit,
	.path_open = path_open,
	.path_close = path_close,
	.buffer_get = buffer_get,
	.buffer_put = buffer_put,
	.incoming_begin = incoming_begin,
	.incoming_end = incoming_end,
	.random = random_bits,
};

static uint8_t pattern(uint32_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

static void fill(uint8_t *at, uint32_t offset, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		at[i] = pattern(offset + i);
}

static void check_content(const uint8_t *data, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		CHECK_EQ(data[i], pattern(i));
}

static struct homa *start(void)
{
	struct homa *homa;

	begun = ended = 0;
	buffers = 0;
	refuse = false;
	CHECK_EQ(homa_create(NULL, &ops, NULL, BORN_NS, &homa), 0);
	CHECK_EQ(homa_port_open(homa, SERVER_PORT), SERVER_PORT);
	return homa;
}

static void stop(struct homa *homa)
{
	homa_destroy(homa);
	CHECK_EQ(buffers, 0);
	CHECK_EQ(begun, ended);
}

/* Gives the core DATA of a request; what it left of `payload`. */
static uint8_t *input(struct homa *homa, uint32_t message, uint32_t offset, uint32_t length,
		      enum homa_payload where, uint8_t *payload, uint32_t placement)
{
	struct homa_data_header header = {
		.common = {
			.sport = wire16(CLIENT_PORT),
			.dport = wire16(SERVER_PORT),
			.sequence = wire32(offset),
			.type = HOMA_DATA,
			.sender_id = wire64(REQUEST_ID),
		},
		.message_length = wire32(message),
		.incoming = wire32(message),
		.cutoff_version = wire16(HOMA_CUTOFF_VERSION),
		.segment_offset = wire32(offset),
	};
	struct homa_packet_in packet = {
		.source = peer,
		.destination = us,
		.data = (const uint8_t *)&header,
		.length = (uint32_t)sizeof(header) + length,
		.where = where,
		.payload = payload,
		.placement = placement,
	};

	homa_input(homa, NOW, &packet);
	homa_input_done(homa, NOW);
	return packet.payload;
}

static uint8_t *buffer_of(uint32_t offset, uint32_t length)
{
	uint8_t *buffer = malloc(length);

	fill(buffer, offset, length);
	return buffer;
}

/* A packet in a buffer of its own, which the core does not keep. */
static void input_copied(struct homa *homa, uint32_t message, uint32_t offset, uint32_t length)
{
	uint8_t *buffer = buffer_of(offset, length);

	CHECK(input(homa, message, offset, length, HOMA_PAYLOAD_BUFFER, buffer, 0) == buffer);
	free(buffer);
}

static bool event(struct homa *homa, struct homa_event *out)
{
	bool any = homa_next_event(homa, out);

	if (any)
		CHECK_EQ(begun, ended);
	return any;
}

static void whole_message_stays_where_it_is(void)
{
	struct homa *homa = start();
	uint8_t *buffer = buffer_of(0, 100);
	struct homa_event got;

	CHECK(!input(homa, 100, 0, 100, HOMA_PAYLOAD_BUFFER, buffer, 0));
	buffers++; /* the core's now */
	CHECK(event(homa, &got) && got.type == HOMA_EVENT_REQUEST);
	CHECK(got.data == buffer && got.length == 100);
	check_content(got.data, 100);
	/* Once more: it is not for keeping. */
	input_copied(homa, 100, 0, 100);
	CHECK(!event(homa, &got));
	CHECK_EQ(begun, 0);
	homa_message_free(homa, buffer, 100);
	stop(homa);
}

static void message_is_put_together_in_place(void)
{
	const uint32_t length = 3 * SEGMENT + 10;
	struct homa *homa = start();
	struct homa_event got;
	uint8_t *data;

	input_copied(homa, length, SEGMENT, SEGMENT);
	CHECK_EQ(begun, 1);
	CHECK_EQ(incoming.segment, SEGMENT);
	CHECK_EQ(incoming.length, length);
	CHECK_EQ(incoming.received_end, 2 * SEGMENT);
	CHECK_EQ(gaps_then, 1);
	CHECK(net_ip_equal(&incoming.source, &peer));
	data = incoming.data;

	/* What the datapath has placed is counted once, and not copied. */
	fill(data, 0, SEGMENT);
	CHECK(!input(homa, length, 0, SEGMENT, HOMA_PAYLOAD_PLACED, data, PLACEMENT));
	CHECK(input(homa, length, 0, SEGMENT, HOMA_PAYLOAD_PLACED, data, PLACEMENT) == data);
	fill(data + 3 * SEGMENT, 3 * SEGMENT, 10);
	CHECK(!input(homa, length, 3 * SEGMENT, 10, HOMA_PAYLOAD_PLACED, data + 3 * SEGMENT, PLACEMENT));
	CHECK(!event(homa, &got));
	/* Not of this message: of an earlier life of the record. */
	CHECK(input(homa, length, 2 * SEGMENT, SEGMENT, HOMA_PAYLOAD_PLACED, data + 2 * SEGMENT, PLACEMENT + 1));
	CHECK(!event(homa, &got));
	input_copied(homa, length, 2 * SEGMENT, SEGMENT);
	CHECK(event(homa, &got) && got.type == HOMA_EVENT_REQUEST);
	CHECK(got.data == data && got.length == length);
	CHECK_EQ(begun, 1);
	check_content(got.data, length);
	homa_message_free(homa, data, length);
	stop(homa);
}

static void only_a_full_segment_tells_how_long_segments_are(void)
{
	const uint32_t length = 2 * SEGMENT + 10;
	struct homa *homa = start();

	input_copied(homa, length, 2 * SEGMENT, 10);
	CHECK_EQ(begun, 0);
	input_copied(homa, length, 0, SEGMENT);
	CHECK_EQ(begun, 1);
	stop(homa);
}

static void placing_ends_with_the_message(void)
{
	struct homa *homa = start();
	struct homa_rpc *rpc;

	input_copied(homa, 3 * SEGMENT, 0, SEGMENT);
	CHECK_EQ(begun, 1);
	rpc = TAILQ_FIRST(&homa->incomplete);
	CHECK(rpc);
	homa_rpc_free(homa, rpc);
	CHECK_EQ(ended, 1);
	CHECK_EQ(buffers, 0);
	stop(homa);
}

static void a_refusal_is_taken_once(void)
{
	const uint32_t length = 3 * SEGMENT;
	struct homa *homa = start();
	struct homa_event got;

	refuse = true;
	input_copied(homa, length, 0, SEGMENT);
	refuse = false;
	input_copied(homa, length, SEGMENT, SEGMENT);
	input_copied(homa, length, 2 * SEGMENT, SEGMENT);
	CHECK_EQ(begun, 0);
	CHECK(event(homa, &got));
	check_content(got.data, length);
	homa_message_free(homa, got.data, length);
	stop(homa);
}

int main(void)
{
	whole_message_stays_where_it_is();
	message_is_put_together_in_place();
	only_a_full_segment_tells_how_long_segments_are();
	placing_ends_with_the_message();
	a_refusal_is_taken_once();
	return 0;
}
