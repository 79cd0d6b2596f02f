/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_slowdown.h"

#include <math.h>

#include "homa_core.h"

#define CLASS_WIDTH 1.005
#define PAYLOAD     (SIM_MTU - SIM_IP_HEADER - (uint32_t)sizeof(struct homa_data_header))
#define MAX_HOPS    4

struct hop {
	uint32_t byte_ps;
	uint32_t delay_ns;
	uint64_t free_ns;
};

static uint32_t path(const struct sim_topology *topology, uint32_t from, uint32_t to, struct hop *hops)
{
	uint32_t rack = topology->racks ? topology->hosts / topology->racks : topology->hosts, count = 0;
	uint32_t edge_ps = 8000000 / topology->rate_mbps, core_ps;
	uint32_t switched = topology->delay_ns + topology->switch_ns;

	if (topology->hosts > 2 || topology->racks) {
		hops[count++] = (struct hop){ edge_ps, switched, 0 };
		if (from / rack != to / rack) {
			core_ps = 8000000 / topology->core_mbps;
			hops[count++] = (struct hop){ core_ps, switched, 0 };
			hops[count++] = (struct hop){ core_ps, switched, 0 };
		}
	}
	hops[count++] = (struct hop){ edge_ps, topology->delay_ns + topology->host_ns, 0 };
	return count;
}

uint64_t sim_ideal_ns(const struct sim_topology *topology, uint32_t from, uint32_t to, uint32_t length,
		      uint32_t unscheduled)
{
	struct hop hops[MAX_HOPS];
	uint32_t count = path(topology, from, to, hops);
	uint64_t arrival_ns = 0;

	for (uint32_t at = 0, end; at < length; at = end) {
		uint64_t bytes;

		end = homa_segment_end(at, unscheduled, PAYLOAD, length);
		bytes = sim_frame_bytes(SIM_MTU - PAYLOAD + end - at);
		arrival_ns = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (hops[i].free_ns < arrival_ns)
				hops[i].free_ns = arrival_ns;
			hops[i].free_ns += bytes * hops[i].byte_ps / 1000;
			arrival_ns = hops[i].free_ns + hops[i].delay_ns;
		}
	}
	return arrival_ns;
}

void sim_slowdown_add(struct sim_slowdown *slowdown, uint32_t decile, double value)
{
	double class = value > 1 ? log(value) / log(CLASS_WIDTH) : 0;

	slowdown->count[decile]++;
	slowdown->classes[decile]
			 [class < SIM_SLOWDOWN_CLASSES - 1 ? (uint32_t) class : SIM_SLOWDOWN_CLASSES - 1]++;
}

double sim_slowdown_quantile(const struct sim_slowdown *slowdown, uint32_t decile, double fraction)
{
	uint64_t sum = 0;
	double wanted = (double)slowdown->count[decile] * fraction;

	if (!slowdown->count[decile])
		return 0;
	for (uint32_t i = 0; i < SIM_SLOWDOWN_CLASSES; i++) {
		sum += slowdown->classes[decile][i];
		if ((double)sum >= wanted)
			return pow(CLASS_WIDTH, i + 0.5);
	}
	return 0;
}
