/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serves demo.kv.KV until SIGINT or SIGTERM: kv_server homa://10.0.0.2:4001
 * One thread drives the endpoint and runs the handlers, so the table needs no lock.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kv.tern.h"
#include "kv_table.h"

static struct kv_table table; /* the handlers' ctx */
static volatile sig_atomic_t stopped;

static void answered(struct tern_call *call, int err)
{
	if (err)
		tern_call_fail(call, TERN_RESOURCE_EXHAUSTED, "no buffer for the reply");
}

static void get(struct tern_call *call, const Demo__Kv__GetRequest *request, void *ctx)
{
	const struct kv_entry *entry = *kv_find(ctx, request->key);
	Demo__Kv__GetReply reply = DEMO__KV__GET_REPLY__INIT;

	if (!entry) {
		tern_call_fail(call, TERN_NOT_FOUND, "there is no key \"%s\"", request->key);
		return;
	}
	reply.value.data = (uint8_t *)entry->bytes + entry->key_length;
	reply.value.len = entry->value_length;
	answered(call, demo__kv__kv__get__reply(call, &reply));
}

static void put(struct tern_call *call, const Demo__Kv__PutRequest *request, void *ctx)
{
	Demo__Kv__PutReply reply = DEMO__KV__PUT_REPLY__INIT;

	if (kv_put(ctx, request->key, request->value.data, request->value.len))
		answered(call, demo__kv__kv__put__reply(call, &reply));
	else
		tern_call_fail(call, TERN_RESOURCE_EXHAUSTED, "the store is full");
}

static void delete_key(struct tern_call *call, const Demo__Kv__DeleteRequest *request, void *ctx)
{
	Demo__Kv__DeleteReply reply = DEMO__KV__DELETE_REPLY__INIT;

	if (kv_delete(ctx, request->key))
		answered(call, demo__kv__kv__delete__reply(call, &reply));
	else
		tern_call_fail(call, TERN_NOT_FOUND, "there is no key \"%s\"", request->key);
}

static const Demo__Kv__KV__Server handlers = { .get = get, .put = put, .delete_ = delete_key };

static void on_signal(int signal)
{
	stopped = signal;
}

static void log_line(void *ctx, enum tern_log_level level, const char *line)
{
	(void)ctx;
	if (level <= TERN_LOG_WARNING)
		fprintf(stderr, "kv_server: %s\n", line);
}

int main(int argc, char **argv)
{
	struct tern_endpoint_options options = TERN_OPTIONS(struct tern_endpoint_options, .log = log_line);
	struct tern_endpoint *endpoint;
	struct tern_server *server;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: kv_server homa://ADDRESS:PORT\n");
		return 2;
	}
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	err = tern_endpoint_create(&options, &endpoint);
	if (!err) {
		err = tern_server_create(endpoint, argv[1], NULL, &server);
		if (!err)
			err = demo__kv__kv__register(server, &handlers, &table);
		if (!err)
			fprintf(stderr, "serving demo.kv.KV on %s\n", argv[1]);
		/* A signal that comes just before the wait is seen 0.1 s later. */
		while (!stopped && (err >= 0 || err == -EINTR))
			err = tern_endpoint_poll(endpoint, 100000);
		tern_endpoint_destroy(endpoint);
	}
	if (err < 0 && err != -EINTR)
		fprintf(stderr, "kv_server: %s: %s\n", argv[1], strerror(-err));
	return err < 0 && err != -EINTR;
}
