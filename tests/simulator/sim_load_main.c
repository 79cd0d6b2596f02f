/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of loads: options in, tables out. */
#include "sim_load_main.h"

#include <getopt.h>
#include <string.h>

#include "engine.h"
#include "sim_load.h"
#include "sim_rows.h"

#define MAX_PARAMETERS 64
#define WHY_SIZE       256
#define ROW_MBPS       10000
#define ROW_RPCS       1024

struct options {
	const char *row, *topology, *workload, *directory;
	uint32_t hosts;
	double load, duration_ms, oracle_ms;
	enum sim_traffic traffic;
	uint64_t seed, buffer_bytes, shared_bytes, ecn_bytes;
	bool own_cutoffs; /* --set names them */
	bool by_flow;
	struct tern_parameter parameters[MAX_PARAMETERS + 1];
	uint32_t parameter_count;
};

enum { ROW = 1000, SET, DIRECTORY, ORACLE, BUFFER, SHARED, ECN, TRAFFIC, BY_FLOW };

bool sim_load_wanted(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--topology", 10) || !strncmp(argv[i], "--row", 5))
			return true;
	return false;
}

void sim_load_usage(FILE *to)
{
	fprintf(to,
		"usage: tern-sim --topology pair|star|leaf-spine --workload W1..W5|FILE|BYTES [--load 0.8]\n"
		"                [--traffic poisson|incast|all-to-all] [--hosts N] [--duration-ms 20] "
		"[--seed 1]\n"
		"                [--buffer BYTES] [--shared-buffer BYTES] [--ecn BYTES] [--spray-by-flow]\n"
		"                [--oracle-ms 0] [--set PARAMETER=VALUE] [--workloads DIRECTORY]\n"
		"       tern-sim --row S7|S9 [--set PARAMETER=VALUE]\n"
		"\n"
		"Messages of a size or a distribution; prints the slowdown of each decile of lengths, of an "
		"ideal\n"
		"scheduler too for --oracle-ms, and what the simulation cost. Links of 10 Gbit/s, 40 in the "
		"core.\n"
		"  star             one switch, 16 hosts or as many as --hosts says, up to %d\n"
		"  leaf-spine       144 hosts in 9 racks, 4 spines\n"
		"  poisson          every host begins messages at random times, to any other\n"
		"  incast           rounds: all hosts begin a message to host 0 at once\n"
		"  all-to-all       rounds: every host begins a message to every other at once\n"
		"  --load           part of the links that messages take; of host 0's in an incast\n"
		"  --buffer         of each port of a switch; --shared-buffer: of all its ports together\n"
		"  --ecn            queued bytes from which on a port marks packets; Homa takes no notice\n"
		"  --spray-by-flow  one spine for each pair of hosts, instead of any for each packet\n"
		"  --set            a parameter of the core (docs/homa.md), such as hole_recovery_us=0\n"
		"Rows of the test ladder: S7 is an incast, S9 starvation.\n",
		SIM_MAX_HOSTS);
}

/* ---- options ---- */

static bool parse_parameter(struct options *options, char *text)
{
	char *value = strchr(text, '='), *end;

	if (!value || options->parameter_count == MAX_PARAMETERS)
		return false;
	*value++ = 0;
	options->own_cutoffs |= !strncmp(text, "unsched_cutoffs", 15);
	options->parameters[options->parameter_count].name = text;
	options->parameters[options->parameter_count++].value = strtoull(value, &end, 10);
	return *value && !*end;
}

static bool parse_number(const char *text, double least, double most, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return *text && !*end && *value >= least && *value <= most;
}

/* Of buffers: a packet at least. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
	double number = 0;
	bool good = parse_number(text, 2000, 1e12, &number);

	*bytes = (uint64_t)number;
	return good;
}

static bool parse_option(struct options *options, int option)
{
	double number = 0;
	bool good = true;

	switch (option) {
	case ROW:
		options->row = optarg;
		good = !strcmp(optarg, "S7") || !strcmp(optarg, "S9");
		break;
	case 't':
		options->topology = optarg;
		break;
	case 'w':
		options->workload = optarg;
		break;
	case DIRECTORY:
		options->directory = optarg;
		break;
	case 'h':
		good = parse_number(optarg, 2, SIM_MAX_HOSTS, &number);
		options->hosts = (uint32_t)number;
		break;
	case 'l':
		good = parse_number(optarg, 0.0001, 1, &options->load);
		break;
	case 'd':
		good = parse_number(optarg, 0.001, 100000, &options->duration_ms);
		break;
	case ORACLE:
		good = parse_number(optarg, 0, 100000, &options->oracle_ms);
		break;
	case 's':
		good = parse_number(optarg, 0, 1e15, &number);
		options->seed = (uint64_t)number;
		break;
	case BUFFER:
		good = parse_bytes(optarg, &options->buffer_bytes);
		break;
	case SHARED:
		good = parse_bytes(optarg, &options->shared_bytes);
		break;
	case ECN:
		good = parse_bytes(optarg, &options->ecn_bytes);
		break;
	case TRAFFIC:
		good = sim_traffic_find(optarg, &options->traffic);
		break;
	case BY_FLOW:
		options->by_flow = true;
		break;
	case SET:
		good = parse_parameter(options, optarg);
		break;
	case 'p':
		good = !strcmp(optarg, "homa");
		break;
	default:
		return false;
	}
	if (!good)
		fprintf(stderr, "tern-sim: cannot use '%s' here; see --help\n", optarg);
	return good;
}

static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "topology", required_argument, NULL, 't' },
		{ "workload", required_argument, NULL, 'w' },
		{ "workloads", required_argument, NULL, DIRECTORY },
		{ "hosts", required_argument, NULL, 'h' },
		{ "load", required_argument, NULL, 'l' },
		{ "duration-ms", required_argument, NULL, 'd' },
		{ "oracle-ms", required_argument, NULL, ORACLE },
		{ "seed", required_argument, NULL, 's' },
		{ "buffer", required_argument, NULL, BUFFER },
		{ "shared-buffer", required_argument, NULL, SHARED },
		{ "ecn", required_argument, NULL, ECN },
		{ "traffic", required_argument, NULL, TRAFFIC },
		{ "spray-by-flow", no_argument, NULL, BY_FLOW },
		{ "set", required_argument, NULL, SET },
		{ "transport", required_argument, NULL, 'p' },
		{ "row", required_argument, NULL, ROW },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!parse_option(options, option))
			return false;
	if ((options->workload || options->row) && optind == argc)
		return true;
	sim_load_usage(stderr);
	return false;
}

static bool set_parameters(const struct options *options, struct homa_params *params)
{
	char why[WHY_SIZE];

	if (!parameters_change(options->parameters, params, why, sizeof(why)))
		return true;
	fprintf(stderr, "tern-sim: %s\n", why);
	return false;
}

/* The scenarios are about the core as it ships, so its defaults hold. */
static int run_row(const struct options *options)
{
	struct homa_params params;

	homa_params_init(&params);
	params.link_mbps = ROW_MBPS;
	params.max_peers = SIM_MAX_HOSTS;
	params.max_client_rpcs = params.max_server_rpcs = params.dedupe_window = ROW_RPCS;
	if (!set_parameters(options, &params))
		return 2;
	return (!strcmp(options->row, "S7") ? sim_row_incast : sim_row_starvation)(&params) ? 0 : 1;
}

/* ---- tables ---- */

static void print_head(const struct sim_load *load, const struct sim_load_result *r)
{
	const struct homa_params *p = &load->params;
	double host_bits =
		(double)load->topology.rate_mbps * load->topology.hosts * (double)load->duration_ns / 1000;

	printf("%u hosts, %.0f %% load: %llu messages of %.0f bytes on average, %.1f %% of the links used\n",
	       load->topology.hosts, load->load * 100, (unsigned long long)r->messages,
	       (double)r->message_bytes / (double)r->messages, (double)r->wire_bytes * 800 / host_bits);
	printf("priorities: scheduled 0-%u, unscheduled", p->max_sched_prio);
	for (uint32_t i = HOMA_PRIORITIES - 1; i > p->max_sched_prio; i--)
		printf(" %u: up to %u", i, p->unsched_cutoffs[i]);
	printf("; %u unscheduled bytes, window %u\n", p->unsched_bytes, p->window);
	printf("%llu unfinished, %llu failed, %llu dropped, %llu RESENDs, %llu retransmitted, at most %llu "
	       "bytes "
	       "queued at a port\n",
	       (unsigned long long)r->unfinished, (unsigned long long)r->failed,
	       (unsigned long long)r->dropped, (unsigned long long)r->resends,
	       (unsigned long long)r->retransmitted, (unsigned long long)r->max_port_bytes);
	if (load->topology.ecn_bytes)
		printf("%llu packets marked\n", (unsigned long long)r->marked);
}

static void print_deciles(const struct sim_load *load, const struct sim_slowdown *ours,
			  const struct sim_slowdown *oracle)
{
	printf("decile  up_to_bytes  samples     p50     p99%s\n", oracle ? "  ideal_p50  ideal_p99" : "");
	for (uint32_t i = 0; i < SIM_DECILES; i++) {
		printf("%6u  %11u  %7llu  %6.2f  %6.2f", i + 1,
		       sim_workload_length(load->workload, (i + 1.0) / SIM_DECILES),
		       (unsigned long long)ours->count[i], sim_slowdown_quantile(ours, i, 0.5),
		       sim_slowdown_quantile(ours, i, 0.99));
		if (oracle)
			printf("  %9.2f  %9.2f", sim_slowdown_quantile(oracle, i, 0.5),
			       sim_slowdown_quantile(oracle, i, 0.99));
		printf("\n");
	}
}

static void run_oracle(const struct sim_load *load, double duration_ms, struct sim_slowdown *slowdown)
{
	struct sim_arrivals *arrivals = sim_realloc(NULL, sizeof(*arrivals));
	uint64_t duration_ns = (uint64_t)(duration_ms * 1e6);

	memset(slowdown, 0, sizeof(*slowdown));
	sim_arrivals_init(arrivals, load->workload, load->traffic, load->seed, &load->topology,
			  load->params.unsched_bytes, load->load);
	sim_oracle_run(&load->topology, arrivals, load->params.unsched_bytes, duration_ns / 10, duration_ns,
		       slowdown);
	free(arrivals);
}

int sim_load_main(int argc, char **argv)
{
	struct options options = {
		.directory = "tests/simulator/workloads", .load = 0.8, .duration_ms = 20, .seed = 1
	};
	struct sim_load load = { 0 };
	struct sim_workload workload;
	struct sim_load_result *result;
	struct sim_slowdown *oracle;
	const char *why;
	bool good;

	if (!parse(argc, argv, &options))
		return 2;
	if (options.row)
		return run_row(&options);
	if (sim_workload_load(&workload, options.workload, options.directory, &why)) {
		fprintf(stderr, "tern-sim: workload %s: %s\n", options.workload, why);
		return 2;
	}
	load.workload = &workload;
	if (!options.topology || !sim_load_topology(&load.topology, options.topology, options.hosts)) {
		fprintf(stderr, "tern-sim: there is no topology %s with %u hosts\n", options.topology,
			options.hosts);
		return 2;
	}
	if (options.buffer_bytes)
		load.topology.buffer_bytes = options.buffer_bytes;
	load.topology.shared_buffer_bytes = options.shared_bytes;
	load.topology.ecn_bytes = options.ecn_bytes;
	load.topology.spray_by_flow = options.by_flow;
	sim_load_params(&load.params, &load.topology);
	if (!options.own_cutoffs)
		sim_workload_priorities(&workload, &load.params);
	if (!set_parameters(&options, &load.params))
		return 2;
	load.traffic = options.traffic;
	load.load = options.load;
	load.seed = options.seed;
	load.duration_ns = (uint64_t)(options.duration_ms * 1e6);
	load.warm_up_ns = load.duration_ns / 10;
	result = sim_realloc(NULL, sizeof(*result));
	oracle = sim_realloc(NULL, sizeof(*oracle));
	sim_load_run(&load, result);
	if (options.oracle_ms > 0)
		run_oracle(&load, options.oracle_ms, oracle);
	print_head(&load, result);
	print_deciles(&load, &result->slowdown, options.oracle_ms > 0 ? oracle : NULL);
	printf("%llu packets, each counted once, where a host sends it; %llu events; %.1f s of processor time: "
	       "%.2f million simulated packets a second\n",
	       (unsigned long long)result->packets, (unsigned long long)result->events, result->seconds,
	       (double)result->packets / result->seconds / 1e6);
	good = !result->unfinished && !result->failed;
	free(result);
	free(oracle);
	return good ? 0 : 1;
}
