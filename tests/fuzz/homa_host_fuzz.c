/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes a live host, with RPCs in every state, with sequences of packets; see `next`.
 * Its accounts must stay within their limits, its timers must not lie in the past, and in
 * the end every buffer must have come back.
 */
#include <string.h>

#include "homa.h"
#include "homa_core.h"
#include "test.h"

#define MAX_RPCS    16
#define MAX_PACKETS 32
#define MTU         1500
#define SERVER_PORT 4000
#define PEER_PORT   5000
#define CALLER_ID   0x1000ull /* of the first request that the peer has sent us */

struct live {
	struct homa *homa;
	uint64_t now_ns;
	uint64_t random;
	struct net_ip peer, self;
	uint16_t client_port;
	uint64_t sent_ids[4]; /* of the RPCs that we have asked */
	uint32_t sent_count;
	uint64_t handles[4]; /* of requests to be answered */
	uint32_t handle_count;
	uint64_t buffers, buffer_bytes;
	bool setting_up;
};

static uint64_t packets; /* of all inputs */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what the core is given ---- */

static void transmit(void *ctx, void *path_handle, const struct homa_packet_out *packet)
{
	struct live *live = ctx;
	const struct homa_common_header *h = &packet->header.common;
	uint32_t length = packet->header_length + packet->payload_length;
	uint8_t sum = 0;

	(void)path_handle;
	CHECK(packet->priority < HOMA_PRIORITIES);
	CHECK(length + 20 <= MTU);
	CHECK(homa_check_common(h, length) == HOMA_OK);
	if (h->type == HOMA_DATA)
		CHECK(homa_check_data(&packet->header.data, length) == HOMA_OK);
	for (uint32_t i = 0; i < packet->payload_length; i += 64) /* so that reading past its end shows */
		sum ^= packet->payload[i];
	if (packet->payload_length)
		sum ^= packet->payload[packet->payload_length - 1];
	live->random ^= sum;
	if (live->setting_up && h->type == HOMA_DATA && !(wire64(h->sender_id) & 1) && live->sent_count < 4 &&
	    !homa_data_offset(&packet->header.data))
		live->sent_ids[live->sent_count++] = wire64(h->sender_id);
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *path)
{
	struct live *live = ctx;

	(void)remote;
	(void)local;
	*path = (struct homa_path){live, live->self, MTU};
	return 0;
}

static void path_close(void *ctx, void *path_handle)
{
	CHECK(ctx == path_handle);
}

static void *buffer_get(void *ctx, uint32_t length)
{
	struct live *live = ctx;
	void *data = malloc(length);

	if (data) {
		live->buffers++;
		live->buffer_bytes += length;
	}
	return data;
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	struct live *live = ctx;

	CHECK(live->buffers && live->buffer_bytes >= length);
	live->buffers--;
	live->buffer_bytes -= length;
	free(data);
}

static uint64_t next_random(void *ctx)
{
	struct live *live = ctx;

	live->random = live->random * 6364136223846793005ull + 1442695040888963407ull;
	return live->random;
}

/* ---- a host with RPCs in every state ---- */

static void input(struct live *live, const void *data, uint32_t length)
{
	struct homa_packet_in in = {.source = live->peer, .destination = live->self, .data = data, .length = length};

	homa_input(live->homa, live->now_ns, &in);
}

static void take_events(struct live *live)
{
	struct homa_event event;

	while (homa_next_event(live->homa, &event)) {
		if (event.type == HOMA_EVENT_REQUEST && live->handle_count < 4)
			live->handles[live->handle_count++] = event.handle;
		if (event.data)
			homa_message_free(live->homa, event.data, event.length);
	}
}

static void ask(struct live *live, uint32_t length)
{
	struct net_endpoint remote = {live->peer, PEER_PORT};
	uint64_t handle;
	uint8_t *data = buffer_get(live, length);

	if (data) {
		memset(data, 'q', length);
		homa_request(live->homa, live->now_ns, live->client_port, &remote, &live->self, data, length,
			     1, &handle);
	}
}

/* The first packet of a request of `length` bytes, all of it if it fits. */
static void be_asked(struct live *live, uint64_t id, uint32_t length)
{
	uint8_t packet[MTU] = {0};
	struct homa_data_header *h = (void *)packet;
	uint32_t payload = length < 1000 ? length : 1000;

	h->common.sport = wire16(40000);
	h->common.dport = wire16(SERVER_PORT);
	h->common.type = HOMA_DATA;
	h->common.sender_id = wire64(id);
	h->message_length = wire32(length);
	h->incoming = wire32(length < 10000 ? length : 10000);
	h->cutoff_version = wire16(1);
	input(live, packet, (uint32_t)sizeof(*h) + payload);
	take_events(live);
}

static void answer(struct live *live, uint32_t length)
{
	uint8_t *data;

	if (!live->handle_count)
		return;
	data = buffer_get(live, length);
	if (data) {
		memset(data, 'a', length);
		homa_respond(live->homa, live->now_ns, live->handles[--live->handle_count], data, length);
	}
}

static void set_up(struct live *live)
{
	static const struct homa_ops ops = {
	    .transmit = transmit,
	    .path_open = path_open,
	    .path_close = path_close,
	    .buffer_get = buffer_get,
	    .buffer_put = buffer_put,
	    .random = next_random,
	};
	struct homa_params params;
	int port;

	homa_params_init(&params);
	params.max_client_rpcs = params.max_server_rpcs = MAX_RPCS;
	params.max_peers = 4;
	params.dedupe_window = 16;
	params.max_incoming_memory = HOMA_MAX_MESSAGE;
	*live = (struct live){.now_ns = 1000000000, .random = 1, .setting_up = true};
	live->peer = net_ip_from_v4(wire32(0x0a000002));
	live->self = net_ip_from_v4(wire32(0x0a000001));
	CHECK(!homa_create(&params, &ops, live, live->now_ns, &live->homa));
	CHECK_EQ(homa_port_open(live->homa, SERVER_PORT), SERVER_PORT);
	port = homa_port_open(live->homa, 0);
	CHECK(port >= HOMA_MIN_CLIENT_PORT);
	live->client_port = (uint16_t)port;
	ask(live, 100);
	ask(live, 60000);
	be_asked(live, CALLER_ID, 100); /* answered */
	answer(live, 60000);
	be_asked(live, CALLER_ID + 2, 100);    /* waits for its answer */
	be_asked(live, CALLER_ID + 4, 100000); /* incomplete */
	live->setting_up = false;
}

/* ---- the input ---- */

/*
 * A packet of the input: a byte of what to do before and to it, a byte of how long it is,
 * and its bytes from the common header on; a payload of zeros is added to DATA.
 *
 *	bits 0-2  the RPC it belongs to: ids and ports are put in; 7 = as the bytes say
 *	bits 3-4  time that passes: none, 0.1 ms, 1 ms, 40 ms
 *	bit 5     a request is answered before, bit 6: a new one is asked
 *	bit 7     DATA has 1,000 bytes of payload, not 100
 */
static bool next(struct live *live, const uint8_t **data, size_t *size)
{
	static const uint64_t pauses_ns[] = {0, 100000, 1000000, 40000000};
	uint8_t packet[MTU] = {0};
	struct homa_common_header *h = (void *)packet;
	uint8_t what;
	uint32_t length;

	if (*size < 2)
		return false;
	what = (*data)[0];
	length = (*data)[1] % (HOMA_MAX_HEADER + 1);
	*data += 2;
	*size -= 2;
	if (length > *size)
		length = (uint32_t)*size;
	memcpy(packet, *data, length);
	*data += length;
	*size -= length;
	live->now_ns += pauses_ns[what >> 3 & 3];
	if (what & 0x20)
		answer(live, 3000);
	if (what & 0x40)
		ask(live, 2000);
	if ((what & 7) < 3) {
		h->sender_id = wire64(CALLER_ID + 2ull * (what & 7));
		h->sport = wire16(40000);
		h->dport = wire16(SERVER_PORT);
	} else if ((what & 7) < 5) {
		h->sender_id = wire64(live->sent_ids[(what & 7) - 3] | 1);
		h->sport = wire16(PEER_PORT);
		h->dport = wire16(live->client_port);
	}
	if (length >= sizeof(struct homa_data_header) && h->type == HOMA_DATA)
		length = (uint32_t)sizeof(struct homa_data_header) + (what & 0x80 ? 1000 : 100);
	input(live, packet, length);
	packets++;
	return true;
}

/* How much was tried, for whoever has to know: an input may be of one packet or of MAX_PACKETS. */
static void __attribute__((destructor)) tell(void)
{
	fprintf(stderr, "%llu packets\n", (unsigned long long)packets);
}

static void check(const struct live *live)
{
	struct homa_counters c;

	homa_counters_get(live->homa, &c);
	CHECK(c.client_rpcs <= MAX_RPCS && c.server_rpcs <= MAX_RPCS && c.peers <= 4);
	CHECK(c.incoming_bytes <= HOMA_MAX_MESSAGE + MTU);
	CHECK(live->buffers <= 4 * MAX_RPCS);
	CHECK(homa_next_timeout(live->homa, live->now_ns) >= live->now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct live live;

	set_up(&live);
	for (int i = 0; i < MAX_PACKETS && next(&live, &data, &size); i++) {
		homa_input_done(live.homa, live.now_ns);
		homa_poll(live.homa, live.now_ns);
		take_events(&live);
		check(&live);
	}
	homa_destroy(live.homa);
	CHECK_EQ(live.buffers, 0);
	CHECK_EQ(live.buffer_bytes, 0);
	return 0;
}
