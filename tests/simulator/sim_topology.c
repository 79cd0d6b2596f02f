/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is wired to whom.
 *
 *	pair         two hosts and a cable
 *	one switch   every host has a port
 *	leaf-spine   racks of hosts, each with a leaf, and every leaf wired to every spine
 *
 * A switch's own delay is part of the delay of the links that lead to it, a host's
 * software's of the link to that host: it costs time and no event.
 */
#include "sim.h"

#include "homa_core.h"

void sim_switch_forward(struct sim_switch *at, struct sim_packet *packet)
{
	uint32_t below = sim_index(at->sim, packet->destination) - at->first_host, spine;

	if (below < at->host_count) {
		sim_link_send(at->down[below / at->hosts_per_down], packet);
		return;
	}
	if (at->spray_by_flow)
		spine = (uint32_t)(sim_mix((uint64_t)sim_index(at->sim, packet->source) << 32 |
					   sim_index(at->sim, packet->destination)) %
				   at->up_count);
	else
		spine = sim_random_below(&at->sim->random, at->up_count);
	sim_link_send(&at->up[spine], packet);
}

static void make_switch(struct sim *sim, struct sim_switch *new, const struct sim_topology *topology,
			uint32_t first_host, uint32_t host_count, uint32_t hosts_per_down)
{
	*new = (struct sim_switch){
		.sim = sim,
		.first_host = first_host,
		.host_count = host_count,
		.hosts_per_down = hosts_per_down,
		.spray_by_flow = topology->spray_by_flow,
		.limit_bytes = topology->shared_buffer_bytes ? topology->shared_buffer_bytes : UINT64_MAX,
		.down = sim_realloc(NULL, host_count / hosts_per_down * sizeof(struct sim_link *)),
	};
}

/* The link out of a port of `from`. */
static void make_port(struct sim_link *link, struct sim_switch *from, const struct sim_topology *topology,
		      uint32_t rate_mbps, uint32_t far_end_ns)
{
	sim_link_init(link, from->sim, rate_mbps, topology->delay_ns + far_end_ns);
	link->from = from;
	link->limit_bytes = topology->buffer_bytes;
	if (topology->ecn_bytes)
		link->ecn_bytes = topology->ecn_bytes;
}

static void wire_pair(struct sim *sim, const struct sim_topology *topology)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct sim_link *link = &sim->hosts[i].uplink;

		sim_link_init(link, sim, topology->rate_mbps, topology->delay_ns + topology->host_ns);
		link->faults = topology->faults;
		link->to = &sim->hosts[1 - i];
	}
}

/* A leaf with its hosts below it. */
static void wire_leaf(struct sim *sim, struct sim_switch *leaf, const struct sim_topology *topology)
{
	for (uint32_t i = 0; i < leaf->host_count; i++) {
		struct sim_host *host = &sim->hosts[leaf->first_host + i];

		sim_link_init(&host->uplink, sim, topology->rate_mbps,
			      topology->delay_ns + topology->switch_ns);
		host->uplink.faults = topology->faults;
		host->uplink.to_switch = leaf;
		make_port(&host->downlink, leaf, topology, topology->rate_mbps, topology->host_ns);
		host->downlink.to = host;
		leaf->down[i] = &host->downlink;
	}
}

static void wire_core(struct sim *sim, const struct sim_topology *topology)
{
	for (uint32_t l = 0; l < sim->leaf_count; l++) {
		struct sim_switch *leaf = &sim->leaves[l];

		leaf->up_count = sim->spine_count;
		leaf->up = sim_realloc(NULL, sim->spine_count * sizeof(*leaf->up));
		for (uint32_t s = 0; s < sim->spine_count; s++) {
			struct sim_switch *spine = &sim->spines[s];

			make_port(&leaf->up[s], leaf, topology, topology->core_mbps, topology->switch_ns);
			leaf->up[s].to_switch = spine;
			spine->down[l] = sim_realloc(NULL, sizeof(struct sim_link));
			make_port(spine->down[l], spine, topology, topology->core_mbps, topology->switch_ns);
			spine->down[l]->to_switch = leaf;
		}
	}
}

void sim_topology_build(struct sim *sim, const struct sim_topology *topology)
{
	uint32_t rack;

	if (sim->host_count == 2 && !topology->racks) {
		wire_pair(sim, topology);
		return;
	}
	sim->leaf_count = topology->racks ? topology->racks : 1;
	sim->spine_count = topology->spines;
	sim->leaves = sim_realloc(NULL, sim->leaf_count * sizeof(*sim->leaves));
	sim->spines = sim_realloc(NULL, (sim->spine_count + 1) * sizeof(*sim->spines));
	rack = sim->host_count / sim->leaf_count;
	for (uint32_t i = 0; i < sim->spine_count; i++)
		make_switch(sim, &sim->spines[i], topology, 0, sim->host_count, rack);
	for (uint32_t i = 0; i < sim->leaf_count; i++) {
		make_switch(sim, &sim->leaves[i], topology, i * rack, rack, 1);
		wire_leaf(sim, &sim->leaves[i], topology);
	}
	wire_core(sim, topology);
}

void sim_topology_free(struct sim *sim)
{
	for (uint32_t l = 0; l < sim->leaf_count; l++) {
		free(sim->leaves[l].up);
		free(sim->leaves[l].down);
	}
	for (uint32_t s = 0; s < sim->spine_count; s++) {
		for (uint32_t l = 0; l < sim->leaf_count; l++)
			free(sim->spines[s].down[l]);
		free(sim->spines[s].down);
	}
	free(sim->leaves);
	free(sim->spines);
}
