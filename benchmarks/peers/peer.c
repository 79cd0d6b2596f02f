/* SPDX-License-Identifier: BSD-2-Clause */
/* Options and result of the rivals: the same for all of them. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define NS_PER_S 1000000000.0

void peer_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(const char *systems)
{
	fprintf(stderr,
		"usage: %s --port N | --device NAME [--spin] [--size N] [--reply-size N] [--connections N] "
		"[--outstanding N]\n"
		"       [--host ADDRESS [--warmup S] [--duration S]]\n"
		"Serves, or with --host makes load, prints a line of JSON and ends. Sizes are of the payload "
		"and\n"
		"the same on both sides; the outstanding requests are those of all connections together.\n",
		systems);
	exit(2);
}

static uint32_t whole(const char *systems, const char *text, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < least || value > most) {
		fprintf(stderr, "%s is not a number from %u to %u\n", text, least, most);
		usage(systems);
	}
	return (uint32_t)value;
}

static double seconds(const char *systems, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || !(value >= 0 && value <= 3600)) {
		fprintf(stderr, "%s is not a number of seconds\n", text);
		usage(systems);
	}
	return value;
}

static void check(const struct peer_options *options, const char *systems)
{
	if (!options->port && !options->device) {
		fprintf(stderr, "name a --port or a --device\n");
		usage(systems);
	}
	if (options->outstanding % options->connections) {
		fprintf(stderr, "--outstanding %u is no multiple of --connections %u\n", options->outstanding,
			options->connections);
		usage(systems);
	}
}

void peer_options_parse(int argc, char **argv, const char *systems, struct peer_options *options)
{
	static const struct option names[] = {
		{ "host", required_argument, NULL, 'h' },
		{ "port", required_argument, NULL, 'p' },
		{ "device", required_argument, NULL, 'i' },
		{ "spin", no_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'b' },
		{ "reply-size", required_argument, NULL, 'r' },
		{ "connections", required_argument, NULL, 'c' },
		{ "outstanding", required_argument, NULL, 'o' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "duration", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int name;

	memset(options, 0, sizeof(*options));
	options->size = 64;
	options->connections = 1;
	options->warmup_s = 0.2;
	options->duration_s = 1;
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 'h')
			options->host = optarg;
		else if (name == 'p')
			options->port = (uint16_t)whole(systems, optarg, 1, UINT16_MAX);
		else if (name == 'i')
			options->device = optarg;
		else if (name == 's')
			options->spin = true;
		else if (name == 'b')
			options->size = whole(systems, optarg, 8, PEER_MESSAGE_MAX);
		else if (name == 'r')
			options->reply_size = whole(systems, optarg, 8, PEER_MESSAGE_MAX);
		else if (name == 'c')
			options->connections = whole(systems, optarg, 1, PEER_CONNECTIONS_MAX);
		else if (name == 'o')
			options->outstanding = whole(systems, optarg, 1, PEER_OUTSTANDING_MAX);
		else if (name == 'w')
			options->warmup_s = seconds(systems, optarg);
		else if (name == 'd')
			options->duration_s = seconds(systems, optarg);
		else
			usage(systems);
	}
	if (optind != argc - 1)
		usage(systems);
	options->system = argv[optind];
	if (!options->reply_size)
		options->reply_size = options->size;
	if (!options->outstanding)
		options->outstanding = options->connections;
	check(options, systems);
}

void peer_measure_start(struct peer_measure *measure, const struct peer_options *options)
{
	memset(measure, 0, sizeof(*measure));
	measure->begin_ns = peer_now_ns() + (uint64_t)(options->warmup_s * NS_PER_S);
	measure->end_ns = measure->begin_ns + (uint64_t)(options->duration_s * NS_PER_S);
}

bool peer_measure_print(const struct peer_measure *measure, const struct peer_options *options)
{
	double rpc_per_s = (double)measure->completed / options->duration_s;

	printf("{\"size\": %u, \"reply_size\": %u, \"connections\": %u, \"outstanding\": %u, \"ok\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", ",
	       options->size, options->reply_size, options->connections, options->outstanding,
	       measure->completed, measure->lost);
	printf("\"rpc_per_s\": %.1f, \"gbit_per_s\": %.6f, \"p50_us\": %.3f, \"p99_us\": %.3f}\n", rpc_per_s,
	       rpc_per_s * options->size * 8 / 1e9, (double)histogram_at(&measure->latency, 500) / 1e3,
	       (double)histogram_at(&measure->latency, 990) / 1e3);
	return measure->completed > 0;
}

void peer_say_serving(const struct peer_options *options)
{
	printf("serving %s\n", options->system);
	fflush(stdout);
}
