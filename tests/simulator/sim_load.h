/* SPDX-License-Identifier: BSD-2-Clause */
/* A network of real cores under a load, and what it made of it. */
#ifndef TERN_SIM_LOAD_H
#define TERN_SIM_LOAD_H

#include "sim_slowdown.h"

struct sim_load {
	struct sim_topology topology;
	struct homa_params params;
	const struct sim_workload *workload;
	enum sim_traffic traffic;
	double load;
	uint64_t seed;
	uint64_t duration_ns; /* messages are begun for this long; */
	uint64_t warm_up_ns;  /* those of the first part are not measured */
};

struct sim_load_result {
	struct sim_slowdown slowdown;
	uint64_t messages, unfinished, failed; /* all of them; those never answered; those that failed */
	uint64_t message_bytes;
	uint64_t packets, wire_bytes; /* sent by hosts; with all headers, up to the end of the duration */
	uint64_t events;
	uint64_t dropped, retransmitted, resends;
	uint64_t max_port_bytes;      /* the most that was queued at a port to a host, */
	uint64_t marked;              /* and packets marked there */
	double seconds;               /* of processor time, for the network alone */
};

/* The parameters that fit the topology: see docs/simulator.md. */
void sim_load_params(struct homa_params *params, const struct sim_topology *topology);
/* The topology of that name: "pair", "star" (one switch), "leaf-spine". False: there is none. */
bool sim_load_topology(struct sim_topology *topology, const char *name, uint32_t hosts);
void sim_load_run(const struct sim_load *load, struct sim_load_result *result);

#endif
