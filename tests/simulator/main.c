/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-sim: runs seeds of a profile and says what came of them. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "sim_load_main.h"
#include "sim_run.h"

struct options {
	const struct sim_profile *profile;
	uint64_t first, last;
	uint32_t rpcs;
	const char *trace;
};

static void usage(FILE *to)
{
	fprintf(
	    to,
	    "usage: tern-sim [--transport homa] --profile NAME --seeds A-B [--rpcs N] [--trace FILE.pcapng]\n"
	    "\n"
	    "Runs each seed from A to B in virtual time, prints one line about all of them, and exits 1 at\n"
	    "the first broken invariant, with the command that repeats it. Profiles:\n");
	for (unsigned int i = 0; sim_profile_at(i); i++)
		fprintf(to, "  %-8s %s (%u RPCs)\n", sim_profile_at(i)->name, sim_profile_at(i)->what,
			sim_profile_at(i)->rpcs);
	fprintf(to, "--trace writes all packets of all seeds, in raw IP with nanoseconds.\n\n");
	sim_load_usage(to);
}

static bool parse_seeds(const char *text, struct options *options)
{
	char *end;

	errno = 0;
	options->first = strtoull(text, &end, 10);
	options->last = options->first;
	if (end == text)
		return false;
	if (*end == '-') {
		text = end + 1;
		options->last = strtoull(text, &end, 10);
		if (end == text)
			return false;
	}
	return !*end && !errno && options->last >= options->first;
}

static bool parse_rpcs(const char *text, struct options *options)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	options->rpcs = (uint32_t)value;
	return end != text && !*end && value >= 1 && value <= 10000000;
}

/* False with a message for a command line that makes no sense. */
static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
	    {"transport", required_argument, NULL, 't'},
	    {"profile", required_argument, NULL, 'p'},
	    {"seeds", required_argument, NULL, 's'},
	    {"rpcs", required_argument, NULL, 'n'},
	    {"trace", required_argument, NULL, 'o'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	bool good = true, seeds = false;
	int option;

	while (good && (option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 't':
			good = !strcmp(optarg, "homa");
			break;
		case 'p':
			good = (options->profile = sim_profile_find(optarg)) != NULL;
			break;
		case 's':
			good = seeds = parse_seeds(optarg, options);
			break;
		case 'n':
			good = parse_rpcs(optarg, options);
			break;
		case 'o':
			options->trace = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return false;
		}
		if (!good)
			fprintf(stderr, "tern-sim: cannot use '%s' here; see --help\n", optarg);
	}
	if (good && (!options->profile || !seeds || optind != argc)) {
		usage(stderr);
		good = false;
	}
	return good;
}

static void add(struct sim_result *sum, const struct sim_result *one)
{
	sum->ok += one->ok;
	sum->failed += one->failed;
	sum->abandoned += one->abandoned;
	sum->outages += one->outages;
	sum->crashes += one->crashes;
	sum->packets += one->packets;
	sum->ip_bytes += one->ip_bytes;
	sum->ideal_bytes += one->ideal_bytes;
	sum->retransmitted += one->retransmitted;
	sum->resends += one->resends;
	sum->lost += one->lost;
	sum->duplicated += one->duplicated;
	sum->reordered += one->reordered;
	sum->trace_hash = sim_mix(sum->trace_hash ^ one->trace_hash);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void summarise(const struct options *options, const struct sim_result *sum, double seconds)
{
	printf("homa %s seeds %llu-%llu: %llu RPCs ok, %llu failed, %llu abandoned; %llu outages, %llu of them "
	       "crashes; %llu packets, %.4f x ideal bytes, "
	       "%llu retransmitted, %llu RESENDs, %llu lost, %llu duplicated, %llu reordered; "
	       "%.1f s, %.2f M packets/s; trace %016llx\n",
	       options->profile->name, (unsigned long long)options->first, (unsigned long long)options->last,
	       (unsigned long long)sum->ok, (unsigned long long)sum->failed, (unsigned long long)sum->abandoned,
	       (unsigned long long)sum->outages, (unsigned long long)sum->crashes,
	       (unsigned long long)sum->packets,
	       (double)sum->ip_bytes / (double)sum->ideal_bytes, (unsigned long long)sum->retransmitted,
	       (unsigned long long)sum->resends, (unsigned long long)sum->lost,
	       (unsigned long long)sum->duplicated, (unsigned long long)sum->reordered, seconds,
	       (double)sum->packets / seconds / 1e6, (unsigned long long)sum->trace_hash);
}

/* 0, or 1 at the first seed that breaks an invariant. */
static int run(const struct options *options, struct sim_trace *trace)
{
	struct sim_result sum = {0}, one;
	double started = seconds_now();

	for (uint64_t seed = options->first; seed <= options->last; seed++) {
		sim_run_seed(options->profile, seed, options->rpcs, trace, &one);
		if (one.violation[0]) {
			printf("seed %llu, at %.6f ms: %s\n"
			       "again: tern-sim --transport homa --profile %s --seeds %llu-%llu --rpcs %u "
			       "--trace "
			       "seed-%llu.pcapng\n",
			       (unsigned long long)seed, (double)one.virtual_ns / 1e6, one.violation,
			       options->profile->name, (unsigned long long)seed, (unsigned long long)seed,
			       options->rpcs ? options->rpcs : options->profile->rpcs,
			       (unsigned long long)seed);
			return 1;
		}
		add(&sum, &one);
	}
	summarise(options, &sum, seconds_now() - started);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct sim_trace *trace = NULL;
	int result;

	if (sim_load_wanted(argc, argv))
		return sim_load_main(argc, argv);
	if (!parse(argc, argv, &options))
		return 2;
	if (options.trace && !(trace = sim_trace_open(options.trace))) {
		fprintf(stderr, "tern-sim: %s: %s\n", options.trace, strerror(errno));
		return 2;
	}
	result = run(&options, trace);
	if (trace && sim_trace_close(trace)) {
		fprintf(stderr, "tern-sim: %s: cannot be written\n", options.trace);
		return 2;
	}
	return result;
}
