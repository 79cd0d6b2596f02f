/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serves demo.Greeter until SIGINT or SIGTERM:
 *
 *	greeter_server homa://10.0.0.2:4000
 *
 * The endpoint runs on a thread of its own; main has nothing to do but wait.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "greeter.tern.h"

static void hello(struct tern_call *call, const Demo__HelloRequest *request, void *ctx)
{
	Demo__HelloReply reply = DEMO__HELLO_REPLY__INIT;
	char text[256];

	(void)ctx;
	if (!request->name[0]) {
		tern_call_fail(call, TERN_INVALID_ARGUMENT, "name is empty");
		return;
	}
	snprintf(text, sizeof(text), "Hello, %s!", request->name);
	reply.message = text;
	if (demo__greeter__hello__reply(call, &reply))
		tern_call_fail(call, TERN_RESOURCE_EXHAUSTED, "no buffer for the reply");
}

static const Demo__Greeter__Server handlers = { .hello = hello };

static void log_line(void *ctx, enum tern_log_level level, const char *line)
{
	(void)ctx;
	if (level <= TERN_LOG_WARNING)
		fprintf(stderr, "greeter_server: %s\n", line);
}

static int serve(struct tern_endpoint *endpoint, const char *address)
{
	struct tern_server *server;
	char chosen[512];
	int err;

	err = tern_server_create(endpoint, address, NULL, &server);
	if (!err)
		err = demo__greeter__register(server, &handlers, NULL);
	if (err)
		return err;
	tern_endpoint_describe(endpoint, chosen, sizeof(chosen));
	fprintf(stderr, "serving demo.Greeter on %s: %s\n", address, chosen);
	return 0;
}

int main(int argc, char **argv)
{
	struct tern_endpoint_options options =
		TERN_OPTIONS(struct tern_endpoint_options, .thread = true, .log = log_line);
	struct tern_endpoint *endpoint;
	sigset_t signals;
	int err, signal;

	if (argc != 2) {
		fprintf(stderr, "usage: greeter_server homa://ADDRESS:PORT\n");
		return 2;
	}
	/* Blocked before the endpoint's thread starts, so that sigwait is who gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	err = tern_endpoint_create(&options, &endpoint);
	if (!err) {
		err = serve(endpoint, argv[1]);
		if (!err)
			sigwait(&signals, &signal);
		tern_endpoint_destroy(endpoint);
	}
	if (err)
		fprintf(stderr, "greeter_server: %s: %s\n", argv[1], strerror(-err));
	return err ? 1 : 0;
}
