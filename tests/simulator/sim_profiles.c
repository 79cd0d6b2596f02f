/* SPDX-License-Identifier: BSD-2-Clause */
/* The profiles, and what is drawn from them. */
#include "sim_run.h"

#include <string.h>

static const uint32_t rates_mbps[] = { 10000, 25000, 40000, 100000 };

static const struct sim_profile profiles[] = {
	{
		.name = "clean",
		.what = "no faults; no RESEND, no retransmission, at most 1.03 x the ideal bytes",
		.rpcs = 1000,
		.max_hosts = 8,
		.fault_free = true,
		.max_service_ns = 5000,
	},
	{
		.name = "swarm",
		.what = "loss to 30 %, duplication to 50 %, reordering, partitions, clogs, pauses, skewed "
			"clocks",
		.rpcs = 200,
		.max_hosts = 6,
		.faults = { .loss = 300000, .duplicate = 500000, .reorder = 200000, .corrupt = 10000 },
		.reorder_packets = 64,
		.outages = { .partitions = 2, .clogs = 3, .pauses = 3, .longest_us = 40000 },
		.max_drift_ppm = 200,
		.max_service_ns = 12000000,
		.slow_service_ns = 300000000,
		.vary = true,
	},
	{
		.name = "crash",
		.what = "1 to 10 crashes and restarts of hosts, with loss, duplication, clogs and late "
			"packets",
		.rpcs = 200,
		.max_hosts = 5,
		.faults = { .loss = 50000, .duplicate = 500000, .reorder = 500000 },
		.reorder_packets = 60000, /* so late that they meet the next incarnation */
		.outages = { .clogs = 2, .pauses = 2, .crashes = 10, .longest_us = 40000 },
		.max_drift_ppm = 200,
		.max_service_ns = 12000000,
		.slow_service_ns = 50000000,
	},
	{
		.name = "wrap",
		.what = "as swarm, with ids, ticks, ports and generations about to wrap around",
		.rpcs = 200,
		.max_hosts = 4,
		.faults = { .loss = 300000, .duplicate = 500000, .reorder = 200000, .corrupt = 10000 },
		.reorder_packets = 64,
		.outages = { .partitions = 1, .clogs = 1, .pauses = 1, .longest_us = 40000 },
		.max_drift_ppm = 200,
		.max_service_ns = 12000000,
		.vary = true,
		.wrap = true,
	},
	{
		.name = "garble",
		.what = "bits of up to 1 % of the packets flip unnoticed: everything ends, nothing leaks",
		.rpcs = 200,
		.max_hosts = 4,
		.faults = { .loss = 50000, .duplicate = 100000, .reorder = 100000, .garble = 10000 },
		.reorder_packets = 64,
		.max_service_ns = 5000000,
	},
};

const struct sim_profile *sim_profile_at(unsigned int n)
{
	return n < sizeof(profiles) / sizeof(profiles[0]) ? &profiles[n] : NULL;
}

const struct sim_profile *sim_profile_find(const char *name)
{
	for (unsigned int i = 0; sim_profile_at(i); i++)
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	return NULL;
}

/* Log-uniform in each class, and without floating point. */
uint32_t sim_profile_length(struct sim_random *random)
{
	uint32_t kind = sim_random_below(random, 100), bits, length;

	bits = sim_random_below(random, kind < 85 ? 12 : kind < 97 ? 16 : 20);
	length = (1u << bits) + sim_random_below(random, 1u << bits);
	return length > HOMA_MAX_MESSAGE ? HOMA_MAX_MESSAGE : length;
}

/* Uniform up to `limit`, but in half of the seeds up to a fiftieth of it: rare faults
 * find other bugs than frequent ones. */
static uint32_t draw_fault(struct sim_random *random, uint32_t limit)
{
	return limit ? sim_random_below(random, sim_random_below(random, 2) ? limit + 1 : limit / 50 + 1) : 0;
}

/* Switches with one buffer for all ports, marks, and racks, where packets overtake each other on the way. */
static void draw_switches(struct sim_random *random, struct sim_topology *topology)
{
	if (!sim_random_below(random, 4))
		topology->shared_buffer_bytes = sim_random_between(random, 60000, 1000000);
	if (!sim_random_below(random, 4))
		topology->ecn_bytes = sim_random_between(random, 10000, 100000);
	if (topology->hosts < 4 || topology->hosts % 2 || !sim_random_below(random, 2))
		return;
	topology->racks = 2;
	topology->spines = sim_random_between(random, 1, 3);
	topology->core_mbps = rates_mbps[sim_random_below(random, 4)];
	topology->switch_ns = sim_random_between(random, 0, 1000);
	topology->spray_by_flow = sim_random_below(random, 2);
}

void sim_profile_topology(const struct sim_profile *profile, struct sim_random *random,
			  struct sim_topology *topology)
{
	uint32_t packet_ns;

	*topology = (struct sim_topology){
		.hosts = sim_random_between(random, 2, profile->max_hosts),
		.rate_mbps = rates_mbps[sim_random_below(random, 4)],
		.delay_ns = sim_random_between(random, 100, 5000),
		.buffer_bytes = 64 << 20,
	};
	if (profile->fault_free)
		return;
	packet_ns = (SIM_MTU + SIM_FRAME_OVERHEAD) * 8000 / topology->rate_mbps;
	topology->buffer_bytes = sim_random_between(random, 60000, 1000000);
	draw_switches(random, topology);
	topology->faults = (struct sim_faults){
		.loss = draw_fault(random, profile->faults.loss),
		.duplicate = draw_fault(random, profile->faults.duplicate),
		.reorder = draw_fault(random, profile->faults.reorder),
		.corrupt = draw_fault(random, profile->faults.corrupt),
		.garble = draw_fault(random, profile->faults.garble),
		.reorder_max_ns = sim_random_between(random, 1, profile->reorder_packets) * packet_ns,
	};
}

static void draw_cutoffs(struct sim_random *random, struct homa_params *params)
{
	uint32_t longest = HOMA_MAX_MESSAGE;

	for (uint32_t i = 1; i < params->num_priorities; i++) {
		longest = sim_random_below(random, longest + 1);
		params->unsched_cutoffs[i] = longest;
	}
}

void sim_profile_params(struct sim_random *random, struct homa_params *params)
{
	static const uint32_t unscheduled[] = { 1, 1423, 1424, 1425, 10000, 40000, 100000, HOMA_MAX_MESSAGE };
	static const uint32_t windows[] = { 0, 0, 0, 1424, 10000, 60000, HOMA_MAX_MESSAGE };
	static const uint32_t shares[] = { 0, 50, 50, 500 };

	params->unsched_bytes = unscheduled[sim_random_below(random, 8)];
	params->window = windows[sim_random_below(random, 7)];
	params->max_incoming = sim_random_between(random, 20000, 800000);
	params->max_overcommit = sim_random_between(random, 1, 8);
	params->grant_fifo_fraction = shares[sim_random_below(random, 4)];
	params->fifo_grant_increment = sim_random_between(random, 1000, 100000);
	params->num_priorities = sim_random_between(random, 1, HOMA_PRIORITIES);
	params->max_sched_prio = sim_random_below(random, params->num_priorities);
	params->defer_min_bytes = sim_random_below(random, 3000);
	params->pacer_fifo_fraction = shares[sim_random_below(random, 4)];
	draw_cutoffs(random, params);
}
