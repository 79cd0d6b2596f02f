/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_workload.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "homa_core.h"

#define PAYLOAD (SIM_MTU - SIM_IP_HEADER - (uint32_t)sizeof(struct homa_data_header))
#define STEPS   20000 /* of a numerical integral over a distribution */

/* ---- sizes ---- */

static int parse_file(struct sim_workload *workload, FILE *file, const char **why)
{
	double percent, bytes, last = -1;
	char line[256];

	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		*why = "a line is not \"percent bytes\", in ascending order";
		if (sscanf(line, "%lf %lf", &percent, &bytes) != 2 || percent < last || percent > 100 ||
		    bytes < 1 || workload->count == SIM_MAX_QUANTILES)
			return -EINVAL;
		workload->quantiles[workload->count].fraction = percent / 100;
		workload->quantiles[workload->count++].bytes = bytes;
		last = percent;
	}
	*why = "it has to begin with 0 percent and to end with 100";
	return workload->count >= 2 && !(workload->quantiles[0].fraction > 0) && last >= 100 ? 0 : -EINVAL;
}

int sim_workload_load(struct sim_workload *workload, const char *name, const char *directory,
		      const char **why)
{
	char *end, path[512];
	double bytes = strtod(name, &end);
	FILE *file;
	int error;

	memset(workload, 0, sizeof(*workload));
	if (!*end && bytes >= 1 && bytes <= HOMA_MAX_MESSAGE) {
		workload->quantiles[0].bytes = workload->quantiles[1].bytes = bytes;
		workload->quantiles[1].fraction = 1;
		workload->count = 2;
		return 0;
	}
	file = fopen(name, "r");
	if (!file) {
		snprintf(path, sizeof(path), "%s/%s.txt", directory, name);
		file = fopen(path, "r");
	}
	if (!file) {
		*why = strerror(errno);
		return -errno;
	}
	error = parse_file(workload, file, why);
	fclose(file);
	return error;
}

uint32_t sim_workload_length(const struct sim_workload *workload, double fraction)
{
	uint32_t low = 0, high = workload->count - 1;
	double part, bytes, from, to;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (workload->quantiles[middle].fraction <= fraction)
			low = middle;
		else
			high = middle;
	}
	from = workload->quantiles[low].fraction;
	to = workload->quantiles[high].fraction;
	part = to > from ? (fraction - from) / (to - from) : 0;
	bytes = workload->quantiles[low].bytes +
		part * (workload->quantiles[high].bytes - workload->quantiles[low].bytes);
	return bytes >= HOMA_MAX_MESSAGE ? HOMA_MAX_MESSAGE : bytes < 1 ? 1 : (uint32_t)bytes;
}

uint64_t sim_message_wire_bytes(uint32_t length, uint32_t unscheduled)
{
	uint64_t bytes = 0;

	for (uint32_t at = 0, end; at < length; at = end) {
		end = homa_segment_end(at, unscheduled, PAYLOAD, length);
		bytes += sim_frame_bytes(SIM_MTU - PAYLOAD + end - at);
	}
	return bytes;
}

double sim_workload_wire_bytes(const struct sim_workload *workload, uint32_t unscheduled)
{
	double sum = 0;

	for (uint32_t i = 0; i < STEPS; i++)
		sum += (double)sim_message_wire_bytes(sim_workload_length(workload, (i + 0.5) / STEPS),
						      unscheduled);
	return sum / STEPS;
}

double sim_workload_mean(const struct sim_workload *workload)
{
	double sum = 0;

	for (uint32_t i = 0; i < STEPS; i++)
		sum += sim_workload_length(workload, (i + 0.5) / STEPS);
	return sum / STEPS;
}

/* ---- priorities ---- */

/* Unscheduled bytes on the wire of the message at step `i`. */
static double unscheduled_bytes(const struct sim_workload *workload, uint32_t i, uint32_t unscheduled)
{
	uint32_t length = sim_workload_length(workload, (i + 0.5) / STEPS);

	return (double)sim_message_wire_bytes(length < unscheduled ? length : unscheduled, unscheduled);
}

void sim_workload_priorities(const struct sim_workload *workload, struct homa_params *params)
{
	double all = sim_workload_wire_bytes(workload, params->unsched_bytes) * STEPS, unscheduled = 0,
	       sum = 0;
	uint32_t levels, level = HOMA_PRIORITIES - 1;

	for (uint32_t i = 0; i < STEPS; i++)
		unscheduled += unscheduled_bytes(workload, i, params->unsched_bytes);
	levels = (uint32_t)(HOMA_PRIORITIES * unscheduled / all + 0.5);
	if (levels < 1)
		levels = 1;
	if (levels > HOMA_PRIORITIES - 1)
		levels = HOMA_PRIORITIES - 1;
	memset(params->unsched_cutoffs, 0, sizeof(params->unsched_cutoffs));
	/* Messages in order of length, shortest first, fill the levels from the top. */
	for (uint32_t i = 0; i < STEPS && level > HOMA_PRIORITIES - levels; i++) {
		sum += unscheduled_bytes(workload, i, params->unsched_bytes);
		if (sum >= unscheduled * (HOMA_PRIORITIES - level) / levels)
			params->unsched_cutoffs[level--] = sim_workload_length(workload, (i + 0.5) / STEPS);
	}
	params->unsched_cutoffs[HOMA_PRIORITIES - levels] = HOMA_MAX_MESSAGE;
	params->max_sched_prio = HOMA_PRIORITIES - levels - 1;
}

/* ---- arrivals ---- */

/* Uniform in [0, 1). */
static double uniform(struct sim_random *random)
{
	return (double)(sim_random_next(random) >> 11) * 0x1p-53;
}

bool sim_traffic_find(const char *name, enum sim_traffic *traffic)
{
	static const char *const names[] = { "poisson", "incast", "all-to-all" };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]))
			continue;
		*traffic = (enum sim_traffic)i;
		return true;
	}
	return false;
}

static double gap(struct sim_arrivals *arrivals, uint32_t host)
{
	return -log(1 - uniform(&arrivals->hosts[host].random)) * arrivals->mean_gap_ns;
}

/* As many messages as there are other hosts come to a link in a round. */
static double round_ns(const struct sim_arrivals *arrivals)
{
	return arrivals->mean_gap_ns * (arrivals->host_count - 1);
}

void sim_arrivals_init(struct sim_arrivals *arrivals, const struct sim_workload *workload,
		       enum sim_traffic traffic, uint64_t seed, const struct sim_topology *topology,
		       uint32_t unscheduled, double load)
{
	double bytes = sim_workload_wire_bytes(workload, unscheduled) +
		       (double)sim_message_wire_bytes(SIM_REPLY_BYTES, unscheduled);

	arrivals->workload = workload;
	arrivals->traffic = traffic;
	arrivals->host_count = topology->hosts;
	arrivals->mean_gap_ns = bytes * 8000 / topology->rate_mbps / load;
	for (uint32_t i = 0; i < topology->hosts; i++) {
		sim_random_seed(&arrivals->hosts[i].random, sim_mix(seed) + i);
		arrivals->hosts[i].next_ns =
			traffic == SIM_POISSON ? gap(arrivals, i) : round_ns(arrivals) / 2;
		arrivals->hosts[i].turn = 0;
	}
}

/* Whom a host's next message is for; moves on to the one after it. */
static uint32_t next_receiver(struct sim_arrivals *arrivals, uint32_t host)
{
	uint32_t others = arrivals->host_count - 1, to;

	switch (arrivals->traffic) {
	case SIM_INCAST:
		arrivals->hosts[host].next_ns += round_ns(arrivals);
		return 0;
	case SIM_ALL_TO_ALL:
		/* Each begins with its neighbour, so that they do not all send to one host first. */
		to = (host + 1 + arrivals->hosts[host].turn) % arrivals->host_count;
		if (++arrivals->hosts[host].turn == others) {
			arrivals->hosts[host].turn = 0;
			arrivals->hosts[host].next_ns += round_ns(arrivals);
		}
		return to;
	case SIM_POISSON:
		break;
	}
	to = sim_random_below(&arrivals->hosts[host].random, others);
	arrivals->hosts[host].next_ns += gap(arrivals, host);
	return to >= host ? to + 1 : to;
}

void sim_arrivals_next(struct sim_arrivals *arrivals, uint32_t host, struct sim_arrival *arrival)
{
	double quantile = uniform(&arrivals->hosts[host].random);

	*arrival = (struct sim_arrival){
		.time_ns = (uint64_t)arrivals->hosts[host].next_ns,
		.from = host,
		.length = sim_workload_length(arrivals->workload, quantile),
		.decile = (uint8_t)(quantile * SIM_DECILES),
	};
	if (arrivals->traffic == SIM_INCAST && !host)
		arrival->time_ns = UINT64_MAX;
	arrival->to = next_receiver(arrivals, host);
}
