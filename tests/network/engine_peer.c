/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests/network/engine.sh runs: the engine alone, without the RPC runtime.
 *
 *	engine_peer serve ADDRESS PORT             echoes, until it is ended; says "serving"
 *	engine_peer call ADDRESS PORT COUNT BYTES  COUNT calls, one after the other
 *	engine_peer keep ADDRESS PORT SECONDS BYTES  a call every 5 ms; says how many failed and
 *	                                           how long at most none succeeded
 *
 * Before these, --datapath=auto, inplace or xsk. A link-local ADDRESS has its device behind
 * a %. Exits 0, or with the errno of the (last) failure. All log lines go to stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "tern.h"
#include "test.h"
#include "transport.h"

#define CALL_INTERVAL_NS 5000000ull
#define MAX_SLEEP_MS     50

static const struct transport_ops *ops;
static struct transport *transport;
static volatile sig_atomic_t stopped;
static unsigned answered, failed;
static int last_error;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void on_request(void *ctx, void *cookie, uint64_t handle, const struct net_endpoint *remote,
		       struct transport_message message)
{
	struct transport_message reply = { .length = message.length };

	(void)ctx;
	(void)cookie;
	(void)remote;
	reply.data = ops->message_get(transport, message.length);
	CHECK(reply.data);
	memcpy(reply.data, message.data, message.length);
	ops->message_free(transport, message.data);
	ops->respond(transport, handle, reply);
}

static void on_response(void *ctx, uint64_t cookie, struct transport_message message)
{
	const uint8_t *bytes = message.data;
	uint32_t i;

	(void)ctx;
	for (i = 0; i < message.length; i++)
		CHECK_EQ(bytes[i], (uint8_t)(i + cookie));
	ops->message_free(transport, message.data);
	answered++;
}

static void on_failed(void *ctx, uint64_t cookie, int error)
{
	(void)ctx;
	(void)cookie;
	failed++;
	last_error = error;
}

static void on_cancelled(void *ctx, uint64_t handle)
{
	(void)ctx;
	(void)handle;
}

static void on_log(void *ctx, int level, const char *line)
{
	(void)ctx;
	fprintf(stderr, "log %d: %s\n", level, line);
}

static void parse(const char *text, const char *port, struct net_endpoint *endpoint)
{
	char address[128];
	struct in_addr v4;
	char *device;

	endpoint->port = (uint16_t)atoi(port);
	snprintf(address, sizeof(address), "%s", text);
	device = strchr(address, '%');
	if (device)
		*device++ = 0;
	if (inet_pton(AF_INET, address, &v4) == 1) {
		endpoint->ip = net_ip_from_v4(v4.s_addr);
		return;
	}
	CHECK_EQ(inet_pton(AF_INET6, address, endpoint->ip.b), 1);
	if (device)
		endpoint->ip = net_ip_scoped(&endpoint->ip, if_nametoindex(device));
}

/* Polls once; sleeps as the transport allows when there was nothing to do. */
static void turn(uint64_t until_ns)
{
	struct pollfd fd = { .fd = ops->fd(transport), .events = POLLIN };
	uint64_t now_ns = clock_ns(), sleep_ns;
	struct timespec timeout;
	int handled = ops->poll(transport);

	CHECK(handled >= 0);
	if (handled)
		return;
	sleep_ns = ops->timeout(transport);
	if (sleep_ns > until_ns - now_ns)
		sleep_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	timeout = (struct timespec){ .tv_sec = (time_t)(sleep_ns / 1000000000),
				     .tv_nsec = (long)(sleep_ns % 1000000000) };
	if (sleep_ns)
		ppoll(&fd, 1, &timeout, NULL);
}

static int serve(const struct net_endpoint *local)
{
	struct transport_listener *listener;
	char text[1024];
	int error = ops->listen(transport, local, &listener, &listener);

	if (error) {
		printf("listen: %s\n", strerror(-error));
		return -error;
	}
	ops->describe(transport, text, sizeof(text));
	printf("%s\nserving\n", text);
	fflush(stdout);
	while (!stopped)
		turn(clock_ns() + MAX_SLEEP_MS * 1000000ull);
	return 0;
}

static void call(struct transport_peer *peer, uint32_t bytes, uint64_t cookie)
{
	struct transport_message message = { .data = ops->message_get(transport, bytes), .length = bytes };
	unsigned before = answered + failed;
	uint64_t handle;
	uint32_t i;
	int error;

	CHECK(message.data);
	for (i = 0; i < bytes; i++)
		((uint8_t *)message.data)[i] = (uint8_t)(i + cookie);
	error = ops->request(transport, peer, message, cookie, &handle);
	if (error) {
		failed++;
		last_error = error;
	}
	while (answered + failed == before && !stopped)
		turn(clock_ns() + MAX_SLEEP_MS * 1000000ull);
}

static int report(uint64_t longest_ns)
{
	printf("%u answered, %u failed%s%s, longest wait %.1f ms\n", answered, failed, failed ? ": " : "",
	       failed ? strerror(-last_error) : "", (double)longest_ns / 1e6);
	return -last_error;
}

static int call_many(struct transport_peer *peer, unsigned count, uint32_t bytes)
{
	uint64_t start_ns, longest_ns = 0;
	unsigned i;

	for (i = 0; i < count && !stopped; i++) {
		start_ns = clock_ns();
		call(peer, bytes, i);
		if (clock_ns() - start_ns > longest_ns)
			longest_ns = clock_ns() - start_ns;
	}
	return report(longest_ns);
}

static int keep_calling(struct transport_peer *peer, unsigned seconds, uint32_t bytes)
{
	uint64_t end_ns = clock_ns() + seconds * 1000000000ull, good_ns = clock_ns(), next_ns, longest_ns = 0;
	unsigned before;

	while (clock_ns() < end_ns && !stopped) {
		next_ns = clock_ns() + CALL_INTERVAL_NS;
		before = answered;
		call(peer, bytes, answered);
		if (clock_ns() - good_ns > longest_ns)
			longest_ns = clock_ns() - good_ns;
		if (answered > before)
			good_ns = clock_ns();
		while (clock_ns() < next_ns)
			turn(next_ns);
	}
	return report(longest_ns);
}

/* Takes an option in front of the others off the arguments. */
static enum tern_datapath read_datapath(int *argc, char ***argv)
{
	static const char *const names[] = { "--datapath=auto", "--datapath=inplace", "--datapath=xsk" };

	for (int i = 0; i < 3; i++)
		if (*argc > 1 && !strcmp((*argv)[1], names[i])) {
			--*argc;
			++*argv;
			return (enum tern_datapath)i;
		}
	return TERN_DATAPATH_AUTO;
}

int main(int argc, char **argv)
{
	static const struct transport_callbacks callbacks = {
		.request = on_request, .response = on_response, .failed = on_failed,
		.cancelled = on_cancelled, .log = on_log,
	};
	struct tern_endpoint_options options = { .sz = sizeof(options),
						 .datapath = read_datapath(&argc, &argv) };
	struct transport_peer *peer;
	struct net_endpoint endpoint = { 0 };
	int result;

	CHECK(argc >= 4);
	signal(SIGTERM, stop);
	ops = transport_find("homa");
	parse(argv[2], argv[3], &endpoint);
	CHECK_EQ(ops->open(&options, &callbacks, NULL, &transport), 0);
	if (!strcmp(argv[1], "serve")) {
		result = serve(&endpoint);
	} else {
		CHECK(argc >= 6);
		result = ops->connect(transport, &endpoint, &peer);
		if (result) {
			printf("connect: %s\n", strerror(-result));
			result = -result;
		} else if (!strcmp(argv[1], "call")) {
			result = call_many(peer, (unsigned)atoi(argv[4]), (uint32_t)atoi(argv[5]));
		} else {
			result = keep_calling(peer, (unsigned)atoi(argv[4]), (uint32_t)atoi(argv[5]));
		}
	}
	ops->close(transport);
	return result;
}
