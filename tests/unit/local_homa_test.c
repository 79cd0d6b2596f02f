/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine within one host, without any privilege: two transports exchange messages of
 * all sizes over the local link, a port that nobody serves fails at once, and so on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "homa_transport.h"
#include "local_link.h"
#include "tern.h"
#include "test.h"
#include "wire.h"

#define SERVER_PORT  4100
#define MAX_WAIT_NS  5000000000ull
#define OUTSTANDING  64
#define GARBAGE      20000

struct side {
	struct transport *transport;
	unsigned requests, responses, failures, cancelled, errors_logged;
	int last_error;
	bool silent;    /* requests are kept, not answered */
	uint64_t held;  /* the last one kept */
	uint32_t next_seed;
	char last_line[1200];
};

static const struct transport_ops *ops;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void fill(uint8_t *data, uint32_t length, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < length; i++)
		data[i] = (uint8_t)((i * 2654435761u >> 13) + seed);
}

static bool filled(const uint8_t *data, uint32_t length, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (uint8_t)((i * 2654435761u >> 13) + seed))
			return false;
	return true;
}

static void on_request(void *ctx, void *listener_cookie, uint64_t handle, const struct net_endpoint *remote,
		       struct transport_message message)
{
	struct side *side = ctx;
	struct transport_message reply;

	(void)remote;
	CHECK(listener_cookie);
	side->requests++;
	side->held = handle;
	if (!side->silent) {
		reply.length = message.length;
		reply.data = ops->message_get(side->transport, reply.length);
		CHECK(reply.data);
		memcpy(reply.data, message.data, message.length);
		CHECK_EQ(ops->respond(side->transport, handle, reply), 0);
	}
	ops->message_free(side->transport, message.data);
}

static void on_response(void *ctx, uint64_t cookie, struct transport_message message)
{
	struct side *side = ctx;

	side->responses++;
	CHECK_EQ(message.length, (uint32_t)(cookie >> 32));
	CHECK(filled(message.data, message.length, (uint32_t)cookie));
	ops->message_free(side->transport, message.data);
}

static void on_failed(void *ctx, uint64_t cookie, int error)
{
	struct side *side = ctx;

	(void)cookie;
	side->failures++;
	side->last_error = error;
}

static void on_cancelled(void *ctx, uint64_t handle)
{
	struct side *side = ctx;

	(void)handle;
	side->cancelled++;
}

static void on_log(void *ctx, int level, const char *line)
{
	struct side *side = ctx;

	if (level == TERN_LOG_ERROR)
		side->errors_logged++;
	snprintf(side->last_line, sizeof(side->last_line), "%s", line);
}

static void open_side(struct side *side)
{
	static const struct transport_callbacks callbacks = {
		.request = on_request, .response = on_response, .failed = on_failed,
		.cancelled = on_cancelled, .log = on_log,
	};

	memset(side, 0, sizeof(*side));
	CHECK_EQ(ops->open(NULL, &callbacks, side, &side->transport), 0);
}

static struct net_endpoint endpoint(const char *text, uint16_t port)
{
	struct net_endpoint made = { .port = port };
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		made.ip = net_ip_from_v4(v4.s_addr);
	else
		CHECK_EQ(inet_pton(AF_INET6, text, made.ip.b), 1);
	return made;
}

static int send_request(struct side *side, struct transport_peer *peer, uint32_t length, uint64_t *handle)
{
	uint32_t seed = side->next_seed++;
	struct transport_message message = { .length = length,
					     .data = ops->message_get(side->transport, length) };

	CHECK(message.data);
	fill(message.data, length, seed);
	return ops->request(side->transport, peer, message, (uint64_t)length << 32 | seed, handle);
}

/* Drives both until the client has `ended` calls behind it. */
static void drive(struct side *client, struct side *server, unsigned ended)
{
	uint64_t until = clock_ns() + MAX_WAIT_NS;

	while (client->responses + client->failures < ended) {
		CHECK(ops->poll(client->transport) >= 0);
		if (server)
			CHECK(ops->poll(server->transport) >= 0);
		CHECK(clock_ns() < until);
	}
}

static void sizes(struct side *client, struct side *server, struct transport_peer *peer)
{
	static const uint32_t lengths[] = { 1,     64,    1400,  1424,   1425,   16000,  16384,
					    40000, 40001, 65536, 500000, 999999, 1000000 };
	unsigned i, before = client->responses;
	uint64_t handle, start;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		start = clock_ns();
		CHECK_EQ(send_request(client, peer, lengths[i], &handle), 0);
		drive(client, server, before + i + 1);
		printf("%7u B both ways: %6.1f us\n", lengths[i], (double)(clock_ns() - start) / 1e3);
	}
	CHECK_EQ(client->failures, 0);
	CHECK_EQ(client->responses, before + i);
}

static void many(struct side *client, struct side *server, struct transport_peer *peer, uint32_t length)
{
	unsigned i, before = client->responses;
	uint64_t handle, start = clock_ns();

	for (i = 0; i < OUTSTANDING; i++)
		CHECK_EQ(send_request(client, peer, length, &handle), 0);
	drive(client, server, before + OUTSTANDING);
	CHECK_EQ(client->failures, 0);
	printf("%u at a time of %u B: %.1f ms\n", OUTSTANDING, length, (double)(clock_ns() - start) / 1e6);
}

static void limits(struct side *client, struct transport_peer *peer)
{
	struct transport_message message = { .data = ops->message_get(client->transport, 1000001),
					     .length = 1000001 };
	uint64_t handle;

	CHECK(message.data);
	CHECK_EQ(ops->request(client->transport, peer, message, 0, &handle), -EMSGSIZE);
	message.data = ops->message_get(client->transport, 1);
	message.length = 0;
	CHECK_EQ(ops->request(client->transport, peer, message, 0, &handle), -EMSGSIZE);
	CHECK(!ops->message_get(client->transport, 1u << 30));
}

/* Nobody serves the port: known at once, not by time-out. */
static void dead_port(struct side *client, const char *address)
{
	struct net_endpoint remote = endpoint(address, 4199);
	struct transport_peer *peer;
	unsigned before = client->failures;
	uint64_t handle, start;

	CHECK_EQ(ops->connect(client->transport, &remote, &peer), 0);
	start = clock_ns();
	CHECK_EQ(send_request(client, peer, 100, &handle), 0);
	drive(client, NULL, client->responses + before + 1);
	CHECK_EQ(client->last_error, -ECONNREFUSED);
	CHECK(clock_ns() - start < 50000000);
	ops->disconnect(client->transport, peer);
}

/* The client's abort reaches a server that has not answered; a late answer finds nothing. */
static void cancelled(struct side *client, struct side *server, struct transport_peer *peer)
{
	uint64_t handle, until = clock_ns() + MAX_WAIT_NS;
	struct transport_message reply;
	unsigned before = server->requests;

	server->silent = true;
	CHECK_EQ(send_request(client, peer, 100, &handle), 0);
	while (server->requests == before && clock_ns() < until)
		ops->poll(server->transport);
	ops->abort(client->transport, handle);
	while (!server->cancelled && clock_ns() < until)
		ops->poll(server->transport);
	CHECK_EQ(server->cancelled, 1);
	reply.data = ops->message_get(server->transport, 1);
	reply.length = 1;
	CHECK_EQ(ops->respond(server->transport, server->held, reply), -ENOENT);
	server->silent = false;
}

/* The server goes away between request and response: its name does too, which says so. */
static void server_dies(struct side *client, const char *address)
{
	struct net_endpoint local = endpoint(address, 4101);
	struct transport_listener *listener;
	struct transport_peer *peer;
	struct side server;
	unsigned before = client->failures;
	uint64_t handle, until = clock_ns() + MAX_WAIT_NS;

	open_side(&server);
	server.silent = true;
	CHECK_EQ(ops->listen(server.transport, &local, &server, &listener), 0);
	CHECK_EQ(ops->connect(client->transport, &local, &peer), 0);
	CHECK_EQ(send_request(client, peer, 100, &handle), 0);
	/* A server that has just begun refuses the first packet, and the client sends it again. */
	while (!server.requests && clock_ns() < until) {
		ops->poll(server.transport);
		ops->poll(client->transport);
	}
	ops->close(server.transport);
	drive(client, NULL, client->responses + before + 1);
	CHECK_EQ(client->last_error, -ECONNREFUSED);
	ops->disconnect(client->transport, peer);
}

static void count_invalid(void *ctx, const char *name, uint64_t value)
{
	uint64_t *invalid = ctx;

	if (!strcmp(name, "local_invalid"))
		*invalid = value;
}

/*
 * What other processes may throw at a server's socket: noise, and packets in the name of
 * an address or a port that they have not claimed. None of it becomes a request.
 */
static void garbage(struct side *server)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct local_header forged = { .magic = LOCAL_MAGIC, .protocol = HOMA_IPPROTO };
	struct homa_data_header data = { .message_length = htonl(1), .incoming = htonl(1) };
	uint8_t bytes[sizeof(forged) + sizeof(data) + 1] = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	unsigned i, j, requests = server->requests;
	uint64_t invalid = 0;
	socklen_t length;

	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			     (size_t)sprintf(to.sun_path + 1, "tern-homa/127.0.0.1/%d", SERVER_PORT));
	forged.source = forged.destination = endpoint("127.0.0.1", 0).ip;
	data.common = (struct homa_common_header){
		.sport = htons(0x9000), .dport = htons(SERVER_PORT), .type = HOMA_DATA, .sender_id = 2
	};
	memcpy(bytes, &forged, sizeof(forged));
	memcpy(bytes + sizeof(forged), &data, sizeof(data));
	for (i = 0; i < GARBAGE; i++) {
		/* As it is, cut off at every length, and with bytes changed. */
		if (i > sizeof(bytes))
			for (j = 0; j < 3; j++)
				bytes[rand() % (int)sizeof(bytes)] = (uint8_t)rand();
		while (sendto(fd, bytes, i && i < sizeof(bytes) ? i : sizeof(bytes), 0,
			      (struct sockaddr *)&to, length) < 0) {
			CHECK_EQ(errno, EAGAIN);
			ops->poll(server->transport);
		}
	}
	ops->poll(server->transport);
	close(fd);
	CHECK_EQ(server->requests, requests);
	ops->counters(server->transport, count_invalid, &invalid);
	CHECK_EQ(invalid, GARBAGE);
}

static void claims(struct side *server, struct side *other)
{
	struct net_endpoint taken = endpoint("127.0.0.1", SERVER_PORT), high = endpoint("127.0.0.1", 0x8000);
	struct net_endpoint foreign = endpoint("192.0.2.1", SERVER_PORT), zero = endpoint("127.0.0.1", 0);
	struct transport_listener *listener;

	CHECK_EQ(ops->listen(other->transport, &taken, other, &listener), -EADDRINUSE);
	CHECK(strstr(other->last_line, "already served"));
	CHECK_EQ(ops->listen(server->transport, &taken, server, &listener), -EADDRINUSE);
	CHECK_EQ(ops->listen(other->transport, &high, other, &listener), -EINVAL);
	CHECK_EQ(ops->listen(other->transport, &zero, other, &listener), -EINVAL);
	CHECK_EQ(ops->listen(other->transport, &foreign, other, &listener), -EADDRNOTAVAIL);
}

static void options(void)
{
	static const struct transport_callbacks callbacks = { .log = on_log };
	struct tern_parameter unknown[] = { { "unsched_bites", 1 }, { 0 } };
	struct tern_parameter high[] = { { "priority_map.3", 300 }, { 0 } };
	struct tern_parameter bad[] = { { "num_priorities", 9 }, { 0 } };
	struct tern_parameter good[] = { { "unsched_bytes", 10000 }, { "unsched_cutoffs.7", 500 }, { 0 } };
	struct tern_endpoint_options options = { .sz = sizeof(options), .parameters = unknown };
	struct transport *transport;
	struct side side = { 0 };

	CHECK_EQ(ops->open(&options, &callbacks, &side, &transport), -EINVAL);
	options.parameters = high;
	CHECK_EQ(ops->open(&options, &callbacks, &side, &transport), -EINVAL);
	options.parameters = bad;
	CHECK_EQ(ops->open(&options, &callbacks, &side, &transport), -EINVAL);
	options.parameters = good;
	options.memory = 1000;
	CHECK_EQ(ops->open(&options, &callbacks, &side, &transport), -EINVAL);
	options.memory = 8 << 20;
	CHECK_EQ(ops->open(&options, &callbacks, &side, &transport), 0);
	ops->close(transport);
}

static void count_in_use(void *ctx, const char *name, uint64_t value)
{
	uint64_t *in_use = ctx;

	if (!strcmp(name, "buffers_in_use"))
		*in_use = value;
}

/* After the acks have gone round, no message is left in memory. */
static void no_leak(struct side *client, struct side *server)
{
	uint64_t until = clock_ns() + 100000000, in_use = 1;

	while (clock_ns() < until) {
		ops->poll(client->transport);
		ops->poll(server->transport);
	}
	ops->counters(client->transport, count_in_use, &in_use);
	CHECK_EQ(in_use, 0);
	ops->counters(server->transport, count_in_use, &in_use);
	CHECK_EQ(in_use, 0);
}

static void family(const char *address)
{
	struct net_endpoint local = endpoint(address, SERVER_PORT);
	struct transport_listener *listener;
	struct transport_peer *peer, *self;
	struct side client, server;

	open_side(&server);
	open_side(&client);
	CHECK_EQ(ops->listen(server.transport, &local, &server, &listener), 0);
	CHECK_EQ(ops->connect(client.transport, &local, &peer), 0);
	CHECK_EQ(ops->connect(server.transport, &local, &self), 0);
	sizes(&client, &server, peer);
	sizes(&client, &server, peer);
	many(&client, &server, peer, 64);
	many(&client, &server, peer, 100000);
	many(&client, &server, peer, 1000000);
	limits(&client, peer);
	/* A process that calls itself. */
	many(&server, &client, self, 1000);
	dead_port(&client, address);
	cancelled(&client, &server, peer);
	server_dies(&client, address);
	if (net_ip_is_v4(&local.ip)) {
		claims(&server, &client);
		garbage(&server);
	}
	no_leak(&client, &server);
	ops->disconnect(client.transport, peer);
	ops->unlisten(server.transport, listener);
	ops->close(client.transport);
	ops->close(server.transport);
}

int main(void)
{
	ops = transport_find("homa");
	CHECK(ops && !transport_find("carrier-pigeon"));
	options();
	family("127.0.0.1");
	family("::1");
	printf("messages of 1 to 1000000 bytes, dead ports and dead servers over IPv4 and IPv6\n");
	return 0;
}
