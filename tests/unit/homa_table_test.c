/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Row P1: what a host does with every packet type, in every state of an RPC, for an id
 * that it knows, one that it never heard of and one that it has finished with. A script
 * is one cell of the tables below: the packets that come out, a letter each, in order
 * (repeats folded), then after a slash what became of the RPC.
 *
 *	D new DATA, d DATA sent again, G GRANT, R RESEND, U RPC_UNKNOWN, B BUSY, C CUTOFFS,
 *	N NEED_ACK, A ACK
 *	. as before, > the next state, x gone, ! ended with an event, + another RPC was made
 */
#include <errno.h>
#include <string.h>

#include "homa_state.h"
#include "test.h"

#define NOW 1000000000ull
#define CLIENT_PORT_OF_PEER 0x9000
#define SERVER_PORT 4000

static char sent[256];
static struct homa_packet_out last_sent;
static const struct net_ip us = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 } };
static const struct net_ip peer = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 } };
static const struct net_ip stranger = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 3 } };

static void transmit(void *ctx, void *path, const struct homa_packet_out *packet)
{
	static const char letters[] = "DGRUBCFNA";
	char letter = letters[packet->header.common.type - HOMA_TYPE_FIRST];
	size_t n = strlen(sent);

	(void)ctx;
	(void)path;
	if (letter == 'D' && packet->header.data.retransmit)
		letter = 'd';
	last_sent = *packet;
	if (n + 1 < sizeof(sent) && (n == 0 || sent[n - 1] != letter))
		sent[n] = letter;
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local, struct homa_path *path)
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

static long buffers; /* outstanding */

static void *buffer_get(void *ctx, uint32_t length)
{
	(void)ctx;
	buffers++;
	return calloc(1, length);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	(void)ctx;
	(void)length;
	buffers--;
	free(data);
}

static int unreachables;

static void port_unreachable(void *ctx, const struct homa_packet_in *packet)
{
	(void)ctx;
	(void)packet;
	unreachables++;
}

static uint64_t random_bits(void *ctx)
{
	static uint64_t state;

	(void)ctx;
	return state += 0x9e3779b97f4a7c15;
}

static const struct homa_ops ops = {
	.transmit = transmit,
	.path_open = path_open,
	.path_close = path_close,
	.buffer_get = buffer_get,
	.buffer_put = buffer_put,
	.port_unreachable = port_unreachable,
	.random = random_bits,
};

/* ---- packets from the peer ---- */

struct packet {
	union {
		struct homa_common_header common;
		struct homa_data_header data;
		struct homa_grant_header grant;
		struct homa_resend_header resend;
		struct homa_cutoffs_header cutoffs;
		struct homa_ack_header ack;
		uint8_t bytes[2048];
	};
	uint32_t length;
};

/* A packet of the RPC that the peer calls `sender_id`; bodies chosen so that they matter. */
static struct packet make(enum homa_packet_type type, uint64_t sender_id, uint16_t sport, uint16_t dport)
{
	struct packet p = { .length = homa_header_bytes((uint8_t)type) };

	p.common.sport = wire16(sport);
	p.common.dport = wire16(dport);
	p.common.type = (uint8_t)type;
	p.common.sender_id = wire64(sender_id);
	switch (type) {
	case HOMA_DATA:
		p.data.message_length = wire32(3000);
		p.data.incoming = wire32(3000);
		p.data.cutoff_version = wire16(HOMA_CUTOFF_VERSION);
		p.length += 1424;
		break;
	case HOMA_GRANT:
		p.grant.offset = wire32(60000);
		break;
	case HOMA_RESEND:
		p.resend.length = wire32(HOMA_RESEND_ALL);
		p.length = sizeof(p.resend);
		break;
	case HOMA_CUTOFFS:
		p.cutoffs.cutoffs[7] = wire32(99);
		p.cutoffs.version = wire16(7);
		break;
	default:
		break;
	}
	return p;
}

static void input_from(struct homa *homa, const struct net_ip *from, const struct packet *p)
{
	struct homa_packet_in in = { .source = *from, .destination = us, .data = p->bytes, .length = p->length };

	homa_input(homa, NOW, &in);
	homa_input_done(homa, NOW);
}

/* ---- states ---- */

enum state {
	C_PART,   /* client, request of 100,000 bytes: the unscheduled ones are sent */
	C_SENT,   /* client, request of 100 bytes sent */
	C_IN,     /* client, 1,424 of the response's 3,000 bytes are here */
	C_DONE,   /* client, response here and not taken yet */
	S_IN,     /* server, 1,424 of the request's 3,000 bytes are here */
	S_SERVICE, /* server, the application works on it */
	S_PART,   /* server, response of 100,000 bytes: the unscheduled ones are sent */
	S_SENT,   /* server, response of 100 bytes sent */
	STATES
};

static const char *state_names[] = { "client-part", "client-sent", "client-in", "client-done",
				     "server-in", "server-in-service", "server-part", "server-sent" };

static bool is_client(enum state state)
{
	return state <= C_DONE;
}

static struct packet data_packet(uint64_t sender_id, uint16_t sport, uint16_t dport, uint32_t offset, uint32_t bytes)
{
	struct packet p = make(HOMA_DATA, sender_id, sport, dport);

	p.data.segment_offset = wire32(offset);
	p.length = (uint32_t)sizeof(p.data) + bytes;
	return p;
}

static uint64_t request(struct homa *homa, uint16_t port, uint32_t length)
{
	struct net_endpoint to = { peer, SERVER_PORT };
	uint64_t handle;

	CHECK(homa_request(homa, NOW, port, &to, &us, buffer_get(NULL, length), length, 1, &handle) == 0);
	return handle;
}

static struct homa_rpc *serve(struct homa *homa, uint64_t client_id, uint32_t response)
{
	struct packet first = data_packet(client_id, CLIENT_PORT_OF_PEER, SERVER_PORT, 0, 1424);
	struct packet second = data_packet(client_id, CLIENT_PORT_OF_PEER, SERVER_PORT, 1424, 1424);
	struct packet third = data_packet(client_id, CLIENT_PORT_OF_PEER, SERVER_PORT, 2848, 152);
	struct homa_event event;

	input_from(homa, &peer, &first);
	input_from(homa, &peer, &second);
	input_from(homa, &peer, &third);
	CHECK(homa_next_event(homa, &event) && event.type == HOMA_EVENT_REQUEST && event.length == 3000);
	homa_message_free(homa, event.data, event.length);
	if (response)
		CHECK(homa_respond(homa, NOW, event.handle, buffer_get(NULL, response), response) == 0);
	return homa_rpc_by_handle(homa, event.handle);
}

/* Takes a client RPC from sent to done; the event stays. */
static void answer(struct homa *homa, const struct homa_rpc *rpc)
{
	for (uint32_t offset = 0; offset < 3000; offset += 1424) {
		struct packet p = data_packet(rpc->id | 1, SERVER_PORT, rpc->local_port, offset,
					      offset == 2848 ? 152 : 1424);

		input_from(homa, &peer, &p);
	}
}

/* The RPC in its state, and the peer's id of one that is finished. */
static struct homa_rpc *reach(struct homa *homa, enum state state, uint16_t port, uint64_t *finished)
{
	struct homa_event event;
	struct homa_rpc *rpc;

	if (is_client(state)) {
		rpc = homa_rpc_by_handle(homa, request(homa, port, 100));
		*finished = rpc->id | 1;
		answer(homa, rpc);
		CHECK(homa_next_event(homa, &event) && event.type == HOMA_EVENT_RESPONSE);
		homa_message_free(homa, event.data, event.length);
		rpc = homa_rpc_by_handle(homa, request(homa, port, state == C_PART ? 100000 : 100));
		if (state == C_IN) {
			struct packet p = data_packet(rpc->id | 1, SERVER_PORT, port, 0, 1424);

			input_from(homa, &peer, &p);
		} else if (state == C_DONE) {
			answer(homa, rpc);
		}
	} else {
		struct packet ack = make(HOMA_ACK, 500, CLIENT_PORT_OF_PEER, SERVER_PORT);

		serve(homa, 500, 100);
		input_from(homa, &peer, &ack);
		CHECK_EQ(homa->counters.server_rpcs, 0);
		*finished = 500;
		if (state == S_IN) {
			struct packet p = data_packet(600, CLIENT_PORT_OF_PEER, SERVER_PORT, 0, 1424);

			input_from(homa, &peer, &p);
			rpc = TAILQ_FIRST(&homa->incomplete);
		} else {
			rpc = serve(homa, 600, state == S_SERVICE ? 0 : state == S_PART ? 100000 : 100);
		}
	}
	CHECK(rpc);
	memset(sent, 0, sizeof(sent));
	return rpc;
}

/* ---- the tables ---- */

/* Rows: states as above. Columns: DATA GRANT RESEND RPC_UNKNOWN BUSY CUTOFFS FREEZE NEED_ACK ACK. */
static const char *known[STATES][9] = {
	[C_PART] = { "/>", "D/.", "d/.", "d/.", "/.", "/.", "/.", "R/.", "/." },
	[C_SENT] = { "/>", "/.", "d/.", "d/.", "/.", "/.", "/.", "R/.", "/." },
	[C_IN] = { "/.", "/.", "d/.", "/.", "/.", "/.", "/.", "R/.", "/." },
	[C_DONE] = { "/.", "/.", "/.", "/.", "/.", "/.", "/.", "A/.", "/." },
	[S_IN] = { "/.", "/.", "B/.", "/x", "/.", "/.", "/.", "/.", "/." },
	[S_SERVICE] = { "/.", "/.", "B/.", "/!", "/.", "/.", "/.", "/.", "/." },
	[S_PART] = { "/.", "D/.", "d/.", "/x", "/.", "/.", "/.", "/.", "/." },
	[S_SENT] = { "/.", "/.", "d/.", "/x", "/.", "/.", "/.", "/.", "/x" },
};
static const char *unknown_client[9] = { "/.", "/.", "U/.", "/.", "/.", "/.", "/.", "A/.", "/." };
static const char *unknown_server[9] = { "/+", "/.", "U/.", "/.", "/.", "/.", "/.", "/.", "/." };
static const char *finished_client[9] = { "/.", "/.", "U/.", "/.", "/.", "/.", "/.", "A/.", "/." };
static const char *finished_server[9] = { "/.", "/.", "U/.", "/.", "/.", "/.", "/.", "/.", "/." };

static char fate(struct homa *homa, const struct homa_rpc *rpc, uint64_t handle, uint8_t before, uint64_t rpcs)
{
	if (homa->counters.client_rpcs + homa->counters.server_rpcs > rpcs)
		return '+';
	if (!homa_rpc_by_handle(homa, handle))
		return 'x';
	if (rpc->state == HOMA_RPC_DONE && before != HOMA_RPC_DONE)
		return '!';
	return rpc->state == before ? '.' : '>';
}

/* Runs one script; `from` other than the peer makes the packet a stranger's. */
static void script(enum state state, int type, int which, const char *expected, const struct net_ip *from)
{
	static const char *which_names[] = { "known", "unknown", "finished" };
	struct homa_params params;
	struct homa *homa;
	struct homa_rpc *rpc;
	uint64_t finished, ids[3], handle, rpcs;
	uint16_t port;
	uint8_t before;
	struct packet p;
	char got[300];

	homa_params_init(&params);
	params.link_mbps = 10000000; /* so fast that the pacer never holds anything back */
	CHECK(homa_create(&params, &ops, NULL, NOW, &homa) == 0);
	CHECK_EQ(homa_port_open(homa, SERVER_PORT), SERVER_PORT);
	port = (uint16_t)homa_port_open(homa, 0);
	CHECK(port >= HOMA_MIN_CLIENT_PORT);
	rpc = reach(homa, state, port, &finished);
	ids[0] = rpc->id ^ 1;
	ids[1] = ids[0] + 1000;
	ids[2] = finished;
	if (is_client(state))
		p = make((enum homa_packet_type)type, ids[which], SERVER_PORT, port);
	else
		p = make((enum homa_packet_type)type, ids[which], CLIENT_PORT_OF_PEER, SERVER_PORT);
	before = rpc->state;
	handle = homa_rpc_handle(rpc);
	rpcs = homa->counters.client_rpcs + homa->counters.server_rpcs;
	input_from(homa, from, &p);
	snprintf(got, sizeof(got), "%s/%c", sent, fate(homa, rpc, handle, before, rpcs));
	if (strcmp(got, expected)) {
		fprintf(stderr, "%s, packet type 0x%02x, %s id: expected %s, got %s\n", state_names[state], type,
			which_names[which], expected, got);
		exit(1);
	}
	homa_destroy(homa);
	CHECK_EQ(buffers, 0);
}

/* Known ids, but from elsewhere: nothing comes of them, but for a RESEND's or NEED_ACK's polite answer. */
static void from_stranger(enum state state, int type)
{
	const char *expected = "/.";

	if (!is_client(state) && type == HOMA_DATA)
		expected = "/+"; /* another host's own request with the same id */
	else if (!is_client(state) && type == HOMA_RESEND)
		expected = "U/.";
	script(state, type, 0, expected, &stranger);
}

static void test_ports(void)
{
	struct homa *homa;
	struct packet p;

	CHECK(homa_create(NULL, &ops, NULL, NOW, &homa) == 0);
	CHECK_EQ(homa_port_open(homa, 0x8000), -EINVAL);
	CHECK_EQ(homa_port_open(homa, 4000), 4000);
	CHECK_EQ(homa_port_open(homa, 4000), -EADDRINUSE);
	for (int type = HOMA_TYPE_FIRST; type <= HOMA_TYPE_LAST; type++) {
		unreachables = 0;
		p = make((enum homa_packet_type)type, 600, CLIENT_PORT_OF_PEER, 4001);
		input_from(homa, &peer, &p);
		CHECK_EQ(unreachables, type != HOMA_FREEZE);
	}
	/* Requests to a client's port find nobody who serves there. */
	unreachables = 0;
	p = make(HOMA_DATA, 600, CLIENT_PORT_OF_PEER, (uint16_t)homa_port_open(homa, 0));
	input_from(homa, &peer, &p);
	CHECK_EQ(unreachables, 1);
	CHECK_EQ(homa->counters.server_rpcs, 0);
	homa_destroy(homa);
}

/* CUTOFFS go to whoever has not seen ours, once a millisecond at most. */
static void test_cutoffs(void)
{
	struct homa *homa;
	struct packet p;

	CHECK(homa_create(NULL, &ops, NULL, NOW, &homa) == 0);
	CHECK_EQ(homa_port_open(homa, SERVER_PORT), SERVER_PORT);
	memset(sent, 0, sizeof(sent));
	for (uint64_t id = 2; id <= 20; id += 2) {
		p = make(HOMA_DATA, id, CLIENT_PORT_OF_PEER, SERVER_PORT);
		p.data.cutoff_version = 0;
		input_from(homa, &peer, &p);
	}
	CHECK(strcmp(sent, "C") == 0);
	CHECK_EQ(homa->counters.packets_out[HOMA_CUTOFFS - HOMA_TYPE_FIRST], 1);
	CHECK_EQ(wire32(last_sent.header.cutoffs.cutoffs[7]), 200);
	homa_destroy(homa);
}

/* ---- incarnations ---- */

/* What a host of `age_ms` does with the first packet of a request; `ours`: from a Tern client. */
static const char *first_contact(uint64_t age_ms, bool ours, bool bound, uint32_t off_by)
{
	struct packet p = make(HOMA_DATA, 600, CLIENT_PORT_OF_PEER, SERVER_PORT);
	struct homa *homa;
	uint64_t rpcs;

	CHECK(homa_create(NULL, &ops, NULL, NOW - age_ms * HOMA_TICK_NS, &homa) == 0);
	CHECK_EQ(homa_port_open(homa, SERVER_PORT), SERVER_PORT);
	memset(sent, 0, sizeof(sent));
	if (ours)
		homa_put24(p.data.common.ack, 77);
	if (bound)
		homa_put24(p.data.pad, homa->incarnation ^ off_by);
	input_from(homa, &peer, &p);
	rpcs = homa->counters.server_rpcs;
	CHECK_EQ(homa->counters.incarnations_refused, !rpcs);
	homa_destroy(homa);
	return rpcs ? "+" : sent;
}

/* What becomes of a request, bound to incarnation 5 if `bound`, when the server says RPC_UNKNOWN
 * as incarnation 9, `server_ms` old, after 10 ms. */
static const char *restarted(bool bound, uint32_t incarnation, uint16_t server_ms)
{
	struct homa *homa;
	struct homa_rpc *rpc;
	struct packet p;
	uint8_t state;
	int error;

	CHECK(homa_create(NULL, &ops, NULL, NOW, &homa) == 0);
	rpc = homa_rpc_by_handle(homa, request(homa, (uint16_t)homa_port_open(homa, 0), 100));
	rpc->birth_ns = NOW - 10 * HOMA_TICK_NS;
	rpc->server = bound ? 5 : 0;
	p = make(HOMA_RPC_UNKNOWN, rpc->id | 1, SERVER_PORT, rpc->local_port);
	homa_put24(p.common.ack, incarnation);
	p.common.window = wire16(server_ms);
	memset(sent, 0, sizeof(sent));
	input_from(homa, &peer, &p);
	state = rpc->state;
	error = rpc->error;
	CHECK(state == HOMA_RPC_DONE || !incarnation || rpc->server == incarnation);
	homa_destroy(homa);
	if (state == HOMA_RPC_DONE)
		CHECK_EQ(error, -ECONNRESET);
	return state == HOMA_RPC_DONE ? "!" : sent;
}

static void test_incarnations(void)
{
	/* A request begun under a former incarnation of the server is refused, whatever its age. */
	CHECK(!strcmp(first_contact(5000, true, true, 0), "+"));
	CHECK(!strcmp(first_contact(5000, true, true, 1), "U"));
	CHECK(!strcmp(first_contact(0, true, true, 0), "+"));
	/* One begun under an unknown one must wait until no packet can be older than the server. */
	CHECK(!strcmp(first_contact(5000, true, false, 0), "+"));
	CHECK(!strcmp(first_contact(999, true, false, 0), "U"));
	/* Linux Homa does not say, and is served at once. */
	CHECK(!strcmp(first_contact(0, false, false, 0), "+"));

	/* The server is the one that the request was begun under, or Linux: it is sent again. */
	CHECK(!strcmp(restarted(true, 5, 1), "d"));
	CHECK(!strcmp(restarted(true, 0, 0), "d"));
	CHECK(!strcmp(restarted(false, 0, 0), "d"));
	/* Another one, that was there before the request: no former one can have executed it. */
	CHECK(!strcmp(restarted(true, 9, 11), "d"));
	CHECK(!strcmp(restarted(false, 9, 11), "d"));
	/* One that began later. */
	CHECK(!strcmp(restarted(true, 9, 10), "!"));
	CHECK(!strcmp(restarted(false, 9, 0), "!"));
}

int main(void)
{
	int scripts = 0;

	for (int state = 0; state < STATES; state++) {
		for (int i = 0; i < 9; i++) {
			int type = HOMA_TYPE_FIRST + i;
			bool client = is_client((enum state)state);

			script((enum state)state, type, 0, known[state][i], &peer);
			script((enum state)state, type, 1, (client ? unknown_client : unknown_server)[i], &peer);
			script((enum state)state, type, 2, (client ? finished_client : finished_server)[i], &peer);
			from_stranger((enum state)state, type);
			scripts += 4;
		}
	}
	test_ports();
	test_cutoffs();
	test_incarnations();
	printf("%d scripts\n", scripts);
	return 0;
}
