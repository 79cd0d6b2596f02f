/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-load: an honest load generator for Tern, and the server that it loads. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define EXIT_USAGE 2

volatile sig_atomic_t load_stopped;

static void stop(int signal)
{
	(void)signal;
	load_stopped = 1;
}

/* The first signal ends the run and prints what was measured; a second one kills. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void log_line(void *ctx, enum tern_log_level level, const char *line)
{
	const struct load_options *options = ctx;

	if (level <= (options->quiet ? TERN_LOG_ERROR : TERN_LOG_WARNING))
		fprintf(stderr, "tern-load: %s\n", line);
}

int load_endpoint_create(const struct load_options *options, struct tern_endpoint **endpoint)
{
	struct tern_endpoint_options endpoint_options =
		TERN_OPTIONS(struct tern_endpoint_options, .wait = options->wait,
			     .max_calls = options->concurrency > LOAD_OUTSTANDING_DEFAULT
						  ? options->concurrency
						  : 0,
			     .datapath = options->datapath,
			     .datapath_parts = options->datapath_parts, .xdp_mode = options->xdp_mode,
			     .parameters = options->parameters, .log = log_line, .log_ctx = (void *)options);
	int err = tern_endpoint_create(&endpoint_options, endpoint);

	if (err)
		fprintf(stderr, "tern-load: cannot make an endpoint: %s\n", strerror(-err));
	return err;
}

static void print_counter(void *ctx, const char *name, uint64_t value)
{
	(void)ctx;
	if (value)
		fprintf(stderr, "  %-32s %" PRIu64 "\n", name, value);
}

void load_print_counters(struct tern_endpoint *endpoint)
{
	tern_endpoint_counters(endpoint, print_counter, NULL);
}

void load_describe(struct tern_endpoint *endpoint, char *line, size_t size)
{
	char lines[512], *rest = lines, *one;
	size_t used = 0;

	tern_endpoint_describe(endpoint, lines, sizeof(lines));
	*line = '\0';
	while ((one = strsep(&rest, "\n")) && used < size)
		if (*one)
			used += (size_t)snprintf(line + used, size - used, "%s%s", used ? "; " : "", one);
}

static bool pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return true;
	fprintf(stderr, "tern-load: --cpu %d: %s\n", cpu, strerror(errno));
	return false;
}

static int run(const struct load_options *options)
{
	struct load_result *result = calloc(1, sizeof(*result));
	bool good = false;
	int err;

	if (!result) {
		fprintf(stderr, "tern-load: out of memory\n");
		return EXIT_FAILURE;
	}
	err = load_run(options, result);
	if (!err)
		good = load_report(options, result);
	else if (options->json)
		load_report(options, result);
	free(result);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct load_options options;

	switch (load_options_parse(argc, argv, &options)) {
	case LOAD_DONE:
		return EXIT_SUCCESS;
	case LOAD_USAGE:
		return EXIT_USAGE;
	case LOAD_GO:
		break;
	}
	if (!pin(options.cpu))
		return EXIT_USAGE;
	catch_signals();
	return options.serve ? load_serve(&options) : run(&options);
}
