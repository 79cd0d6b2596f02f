/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls demo.Greeter once and prints the answer:
 *
 *	greeter_client homa://10.0.0.2:4000 world
 */
#include <stdio.h>
#include <string.h>

#include "greeter.tern.h"

static void log_line(void *ctx, enum tern_log_level level, const char *line)
{
	(void)ctx;
	if (level <= TERN_LOG_WARNING)
		fprintf(stderr, "greeter_client: %s\n", line);
}

/* Calls, waits at most a second, prints. Exit code. */
static int greet(struct tern_channel *channel, char *name)
{
	struct tern_call_options options = TERN_OPTIONS(struct tern_call_options, .timeout_us = 1000000);
	Demo__HelloRequest request = DEMO__HELLO_REQUEST__INIT;
	Demo__HelloReply *reply;
	struct tern_result result;

	request.name = name;
	if (demo__greeter__hello__call(channel, &options, &request, &reply, &result) != TERN_OK) {
		fprintf(stderr, "greeter_client: %s: %s\n", tern_status_name(result.status), result.message);
		return 1;
	}
	puts(reply->message);
	demo__hello_reply__free_unpacked(reply, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct tern_endpoint_options options = TERN_OPTIONS(struct tern_endpoint_options, .log = log_line);
	struct tern_endpoint *endpoint;
	struct tern_channel *channel;
	int code = 1, err;

	if (argc != 3) {
		fprintf(stderr, "usage: greeter_client homa://HOST:PORT NAME\n");
		return 2;
	}
	err = tern_endpoint_create(&options, &endpoint);
	if (!err) {
		err = tern_channel_create(endpoint, argv[1], NULL, &channel);
		if (!err)
			code = greet(channel, argv[2]);
		tern_endpoint_destroy(endpoint); /* with its channel */
	}
	if (err)
		fprintf(stderr, "greeter_client: %s: %s\n", argv[1], strerror(-err));
	return code;
}
