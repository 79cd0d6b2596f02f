/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-load's command line. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char help[] =
	"tern-load: load for a server of tern.bench.Echo, and that server\n"
	"\n"
	"  tern-load --serve homa://ADDR:PORT      serves until SIGINT or SIGTERM\n"
	"  tern-load homa://HOST:PORT [options]    makes load and measures\n"
	"\n"
	"load\n"
	"  --size N | A-B      payload of a request, bytes; A-B: drawn between the two, each power of two "
	"as\n"
	"                      often (default 64). With --raw the message itself. Largest 1000000: then the\n"
	"                      headers are taken off the payload, so that the message has 1000000\n"
	"  --reply-size N      the answer has N bytes (default: it is the request's payload)\n"
	"  --concurrency N     closed loop: N calls outstanding at any time (default 1)\n"
	"  --peers N           calls N addresses in turn, counted up from ADDR (IPv4; default 1)\n"
	"  --rate R            open loop: R calls a second; latency counts from the time a call was due.\n"
	"                      With --concurrency N at most N outstanding (default 65536)\n"
	"  --constant          open loop: evenly spaced calls (default: Poisson arrivals)\n"
	"  --duration S        seconds measured (default 5)\n"
	"  --requests N        measures N calls instead\n"
	"  --warmup S          seconds before that, not measured (default 0.5)\n"
	"  --timeout-us N      deadline of a call (default 10000000)\n"
	"  --check             verifies every byte of every answer, and asks the server what it executed\n"
	"  --raw               bare messages without the RPC header, on either side\n"
	"\n"
	"endpoint\n"
	"  --wait HOW          adaptive (default), spin, block;  --spin is --wait spin\n"
	"  --cpu N             runs on that CPU\n"
	"  --datapath NAME     auto (default), inplace, xsk\n"
	"  --parts LIST        of the datapath inplace only these, to measure what each is worth:\n"
	"                      receive,place,tap,pump\n"
	"  --xdp MODE          auto (default), native, generic\n"
	"  --set NAME=VALUE    a parameter of Homa, for instance unsched_bytes=20000\n"
	"\n"
	"output\n"
	"  --json              one JSON object on stdout\n"
	"  --counters          the endpoint's counters too, on stderr\n"
	"  --quiet             errors only, beside the result\n"
	"  --help, --version\n"
	"\n"
	"Exit code: 0 every call was answered (and passed the check), 1 not so, 2 usage.\n";

static bool refuse(const char *option, const char *value, const char *allowed)
{
	fprintf(stderr, "tern-load: %s %s: allowed is %s\n", option, value, allowed);
	return false;
}

/* A whole number from `min` to `max` that ends at `end` (a character, or NUL). */
static bool read_number(const char *text, char end, uint64_t min, uint64_t max, uint64_t *number)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &rest, 10);
	return !errno && *rest == end && *number >= min && *number <= max;
}

static bool whole(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *number)
{
	char allowed[80];

	if (read_number(value, '\0', min, max, number))
		return true;
	snprintf(allowed, sizeof(allowed), "a whole number from %llu to %llu", (unsigned long long)min,
		 (unsigned long long)max);
	return refuse(option, value, allowed);
}

static bool decimal(const char *option, const char *value, double min, double max, double *number)
{
	char allowed[80], *rest;

	*number = strtod(value, &rest);
	if (rest != value && !*rest && isfinite(*number) && *number >= min && *number <= max)
		return true;
	snprintf(allowed, sizeof(allowed), "a number from %g to %.0f", min, max);
	return refuse(option, value, allowed);
}

static bool choice(const char *option, const char *value, const char *const names[], int *chosen)
{
	char allowed[80];
	size_t used = 0;

	for (int i = 0; names[i]; i++) {
		if (!strcmp(value, names[i])) {
			*chosen = i;
			return true;
		}
		used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s", i ? ", " : "",
					 names[i]);
	}
	return refuse(option, value, allowed);
}

static bool read_size(const char *value, struct load_options *options)
{
	const char *dash = strchr(value, '-');
	uint64_t min, max;

	if (!read_number(value, dash ? '-' : '\0', 1, LOAD_MESSAGE_MAX, &min))
		return refuse("--size", value, "1 to 1000000 bytes, or a range as 32-65536");
	max = min;
	if (dash && !read_number(dash + 1, '\0', min, LOAD_MESSAGE_MAX, &max))
		return refuse("--size", value, "1 to 1000000 bytes, or a range as 32-65536");
	options->size_min = (uint32_t)min;
	options->size_max = (uint32_t)max;
	return true;
}

/* `value`, names between commas, is cut at them. */
static bool read_parts(char *value, uint32_t *parts)
{
	static const char *const names[] = { "receive", "place", "tap", "pump", NULL };
	char *name;
	int bit = 0;

	for (*parts = 0; (name = strsep(&value, ",")); *parts |= 1u << bit)
		if (!choice("--parts", name, names, &bit))
			return false;
	return true;
}

/* `value` is cut at its '=' and kept. */
static bool read_parameter(char *value, struct load_options *options)
{
	char *equals = strchr(value, '=');
	uint64_t number;
	int i = 0;

	while (i < LOAD_PARAMETERS_MAX && options->parameters[i].name)
		i++;
	if (i == LOAD_PARAMETERS_MAX)
		return refuse("--set", value, "32 times");
	if (!equals || equals == value || !read_number(equals + 1, '\0', 0, UINT64_MAX, &number))
		return refuse("--set", value, "NAME=VALUE with a whole number, as unsched_bytes=20000");
	*equals = '\0';
	options->parameters[i] = (struct tern_parameter){ .name = value, .value = number };
	return true;
}

enum {
	OPT_SERVE = 256,
	OPT_SIZE,
	OPT_REPLY_SIZE,
	OPT_CONCURRENCY,
	OPT_PEERS,
	OPT_RATE,
	OPT_CONSTANT,
	OPT_DURATION,
	OPT_REQUESTS,
	OPT_WARMUP,
	OPT_TIMEOUT,
	OPT_CHECK,
	OPT_RAW,
	OPT_WAIT,
	OPT_SPIN,
	OPT_CPU,
	OPT_DATAPATH,
	OPT_PARTS,
	OPT_XDP,
	OPT_SET,
	OPT_JSON,
	OPT_COUNTERS,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "serve", no_argument, NULL, OPT_SERVE },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "reply-size", required_argument, NULL, OPT_REPLY_SIZE },
	{ "concurrency", required_argument, NULL, OPT_CONCURRENCY },
	{ "peers", required_argument, NULL, OPT_PEERS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "constant", no_argument, NULL, OPT_CONSTANT },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "timeout-us", required_argument, NULL, OPT_TIMEOUT },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "raw", no_argument, NULL, OPT_RAW },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "spin", no_argument, NULL, OPT_SPIN },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "datapath", required_argument, NULL, OPT_DATAPATH },
	{ "parts", required_argument, NULL, OPT_PARTS },
	{ "xdp", required_argument, NULL, OPT_XDP },
	{ "set", required_argument, NULL, OPT_SET },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "counters", no_argument, NULL, OPT_COUNTERS },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* The options that have a value; the others are set by flag(). */
static bool valued(int option, char *value, struct load_options *options)
{
	static const char *const waits[] = { "adaptive", "spin", "block", NULL };
	static const char *const datapaths[] = { "auto", "inplace", "xsk", NULL };
	static const char *const modes[] = { "auto", "native", "generic", NULL };
	uint64_t number = 0;
	int chosen = 0;
	bool good;

	switch (option) {
	case OPT_SIZE:
		return read_size(value, options);
	case OPT_REPLY_SIZE:
		good = whole("--reply-size", value, 0, LOAD_MESSAGE_MAX - LOAD_HEADERS_MAX, &number);
		options->sized = true;
		options->reply_size = (uint32_t)number;
		return good;
	case OPT_CONCURRENCY:
		good = whole("--concurrency", value, 1, LOAD_OUTSTANDING_MAX, &number);
		options->concurrency = (uint32_t)number;
		return good;
	case OPT_PEERS:
		good = whole("--peers", value, 1, LOAD_PEERS_MAX, &number);
		options->peers = (uint32_t)number;
		return good;
	case OPT_RATE:
		return decimal("--rate", value, 0.001, 1e8, &options->rate);
	case OPT_DURATION:
		return decimal("--duration", value, 0.001, 1e6, &options->duration_s);
	case OPT_REQUESTS:
		return whole("--requests", value, 1, UINT32_MAX, &options->requests);
	case OPT_WARMUP:
		return decimal("--warmup", value, 0, 1e6, &options->warmup_s);
	case OPT_TIMEOUT:
		return whole("--timeout-us", value, 1, 3600000000u, &options->timeout_us);
	case OPT_CPU:
		good = whole("--cpu", value, 0, 1023, &number);
		options->cpu = (int)number;
		return good;
	case OPT_WAIT:
		good = choice("--wait", value, waits, &chosen);
		options->wait = (enum tern_wait)chosen;
		return good;
	case OPT_DATAPATH:
		good = choice("--datapath", value, datapaths, &chosen);
		options->datapath = (enum tern_datapath)chosen;
		return good;
	case OPT_PARTS:
		return read_parts(value, &options->datapath_parts);
	case OPT_XDP:
		good = choice("--xdp", value, modes, &chosen);
		options->xdp_mode = (enum tern_xdp_mode)chosen;
		return good;
	default: /* OPT_SET */
		return read_parameter(value, options);
	}
}

static bool flag(int option, struct load_options *options)
{
	switch (option) {
	case OPT_SERVE:
		options->serve = true;
		return true;
	case OPT_CONSTANT:
		options->constant = true;
		return true;
	case OPT_CHECK:
		options->check = true;
		return true;
	case OPT_RAW:
		options->raw = true;
		return true;
	case OPT_SPIN:
		options->wait = TERN_WAIT_SPIN;
		return true;
	case OPT_JSON:
		options->json = true;
		return true;
	case OPT_COUNTERS:
		options->counters = true;
		return true;
	case OPT_QUIET:
		options->quiet = true;
		return true;
	default:
		return false;
	}
}

/* What no option alone can tell, and the defaults that depend on others. */
static bool complete(struct load_options *options)
{
	uint32_t room = LOAD_MESSAGE_MAX - LOAD_HEADERS_MAX;

	if (options->raw && options->sized) {
		fprintf(stderr, "tern-load: --reply-size needs the RPC header: not with --raw\n");
		return false;
	}
	if (options->constant && !options->rate) {
		fprintf(stderr, "tern-load: --constant spaces the calls of an open loop: name a --rate\n");
		return false;
	}
	if (!options->raw && options->size_max > room)
		options->size_max = room;
	if (options->size_min > options->size_max)
		options->size_min = options->size_max;
	if (!options->concurrency)
		options->concurrency = options->rate ? LOAD_OUTSTANDING_DEFAULT : 1;
	return true;
}

enum load_parsed load_options_parse(int argc, char **argv, struct load_options *options)
{
	int option;

	*options = (struct load_options){ .size_min = 64,
					  .size_max = 64,
					  .peers = 1,
					  .duration_s = 5,
					  .warmup_s = 0.5,
					  .timeout_us = 10000000,
					  .cpu = -1 };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(help, stdout);
			return LOAD_DONE;
		}
		if (option == OPT_VERSION) {
			puts("tern-load " TERN_VERSION);
			return LOAD_DONE;
		}
		if (option == '?' ||
		    !(flag(option, options) || (optarg && valued(option, optarg, options)))) {
			fprintf(stderr, "tern-load: try --help\n");
			return LOAD_USAGE;
		}
	}
	if (argc - optind != 1) {
		fprintf(stderr, "tern-load: %s; try --help\n",
			argc == optind ? "name an address, as homa://10.0.0.2:4000"
				       : "name one address only");
		return LOAD_USAGE;
	}
	options->address = argv[optind];
	return complete(options) ? LOAD_GO : LOAD_USAGE;
}
