/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-load --serve: answers tern.bench.Echo, or with --raw echoes bare messages. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.tern.h"
#include "load.h"
#include "load_pattern.h"

#define SIGNAL_CHECK_US 200000 /* how long a signal that comes just before the wait goes unseen */

struct service {
	uint64_t calls;
	uint64_t failed;
	struct ledger *ledger;
};

static void fail(struct service *service, struct tern_call *call, enum tern_status status, const char *why)
{
	service->failed++;
	tern_call_fail(call, status, "%s", why);
}

/* False when the call has been failed because its execution could not be noted. */
static bool note(struct service *service, struct tern_call *call, uint64_t client, uint64_t sequence)
{
	service->calls++;
	if (!client || !ledger_note(service->ledger, client, sequence))
		return true;
	fail(service, call, TERN_RESOURCE_EXHAUSTED, "no memory for the ledger");
	return false;
}

static void reply_bytes(struct service *service, struct tern_call *call, const uint8_t *data, size_t length)
{
	Tern__Bench__Payload reply = TERN__BENCH__PAYLOAD__INIT;

	reply.data.data = (uint8_t *)data;
	reply.data.len = length;
	if (tern__bench__echo__echo__reply(call, &reply))
		fail(service, call, TERN_RESOURCE_EXHAUSTED, "no buffer for the answer");
}

static void echo(struct tern_call *call, const Tern__Bench__Payload *request, void *ctx)
{
	struct service *service = ctx;

	if (note(service, call, request->client, request->sequence))
		reply_bytes(service, call, request->data.data, request->data.len);
}

static void sized(struct tern_call *call, const Tern__Bench__SizedRequest *request, void *ctx)
{
	const Tern__Bench__Payload *payload = request->payload;
	struct service *service = ctx;
	const uint8_t *pattern;

	if (!payload || payload->data.len > PATTERN_LENGTH_MAX ||
	    request->reply_length > PATTERN_LENGTH_MAX) {
		fail(service, call, TERN_INVALID_ARGUMENT, "no payload, or more than 1000000 bytes");
		return;
	}
	if (!note(service, call, payload->client, payload->sequence))
		return;
	pattern = pattern_of(payload->client, payload->sequence);
	if (request->check && memcmp(payload->data.data, pattern, payload->data.len))
		fail(service, call, TERN_DATA_LOSS, "the request's payload is not the pattern");
	else
		reply_bytes(service, call, pattern, request->reply_length);
}

static void ledger(struct tern_call *call, const Tern__Bench__LedgerRequest *request, void *ctx)
{
	Tern__Bench__LedgerReply reply = TERN__BENCH__LEDGER_REPLY__INIT;
	struct service *service = ctx;
	struct ledger_counts counts;

	if (!ledger_read(service->ledger, request->client, &counts)) {
		tern_call_fail(call, TERN_NOT_FOUND, "client %016" PRIx64 " is not in the ledger",
			       request->client);
		return;
	}
	reply.executed = counts.executed;
	reply.twice = counts.twice;
	reply.unknown = counts.unknown;
	if (tern__bench__echo__ledger__reply(call, &reply))
		fail(service, call, TERN_RESOURCE_EXHAUSTED, "no buffer for the answer");
}

static void echo_raw(struct tern_call *call, const void *data, size_t length, void *ctx)
{
	struct service *service = ctx;

	service->calls++;
	if (tern_call_reply_raw(call, data, length))
		fail(service, call, TERN_RESOURCE_EXHAUSTED, "no buffer for the answer");
}

static const Tern__Bench__Echo__Server handlers = { .echo = echo, .sized = sized, .ledger = ledger };

static int open_server(const struct load_options *options, struct tern_endpoint *endpoint,
		       struct service *service, struct tern_server **server)
{
	int err = tern_server_create(endpoint, options->address, NULL, server);

	if (err) {
		fprintf(stderr, "tern-load: cannot serve %s: %s\n", options->address, strerror(-err));
		return err;
	}
	if (options->raw)
		err = tern_server_set_raw(*server, echo_raw, service);
	else
		err = tern__bench__echo__register(*server, &handlers, service);
	if (err)
		fprintf(stderr, "tern-load: cannot register: %s\n", strerror(-err));
	return err;
}

static int serve_until_stopped(const struct load_options *options, struct tern_endpoint *endpoint,
			       const struct service *service)
{
	char described[512];
	int n = 0;

	load_describe(endpoint, described, sizeof(described));
	fprintf(stderr, "serving %s on %s: %s\n", options->raw ? "raw messages" : "tern.bench.Echo",
		options->address, described);
	while (!load_stopped && (n >= 0 || n == -EINTR))
		n = tern_endpoint_poll(endpoint, SIGNAL_CHECK_US);
	if (n < 0 && n != -EINTR)
		fprintf(stderr, "tern-load: the endpoint failed: %s\n", strerror(-n));
	if (options->counters)
		load_print_counters(endpoint);
	fprintf(stderr, "served %" PRIu64 " calls, %" PRIu64 " of them failed\n", service->calls,
		service->failed);
	return n < 0 && n != -EINTR ? n : 0;
}

int load_serve(const struct load_options *options)
{
	struct service service = { .ledger = ledger_create() };
	struct tern_endpoint *endpoint = NULL;
	struct tern_server *server;
	int err = 0;

	if (!service.ledger || !pattern_init()) {
		fprintf(stderr, "tern-load: out of memory\n");
		err = -ENOMEM;
	}
	if (!err)
		err = load_endpoint_create(options, &endpoint);
	if (!err)
		err = open_server(options, endpoint, &service, &server);
	if (!err)
		err = serve_until_stopped(options, endpoint, &service);
	if (endpoint)
		tern_endpoint_destroy(endpoint);
	ledger_destroy(service.ledger);
	return err ? 1 : 0;
}
