/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run: a network, faults and a workload drawn from a seed by a profile, and the
 * invariants that must hold during it and at its end.
 */
#ifndef TERN_SIM_RUN_H
#define TERN_SIM_RUN_H

#include "sim_ledger.h"
#include "sim_trace.h"

/* How many of each there may be in a run. */
struct sim_outages {
	uint32_t partitions; /* the hosts fall into two groups that do not hear each other */
	uint32_t clogs;      /* a host's uplink stops, and sends all that it holds later */
	uint32_t pauses;     /* a host stands still: its packets wait, its clock runs on */
	uint32_t crashes;    /* of hosts, that is of servers and clients, and restarts */
	uint32_t longest_us; /* crashes last as long as they want */
};

/* What a seed may draw: upper ends, as in the structures named. */
struct sim_profile {
	const char *name;
	const char *what; /* one line for --help */
	uint32_t rpcs;    /* of all clients, unless the caller wants another number */
	uint32_t max_hosts;
	struct sim_faults faults; /* reorder_max_ns counts for nothing here: */
	uint32_t reorder_packets; /* full packets that may overtake a reordered one */
	struct sim_outages outages;
	uint32_t max_drift_ppm;
	uint32_t max_service_ns;
	uint32_t slow_service_ns; /* the same for one seed in eight */
	bool fault_free;          /* no RESEND, no retransmission, and few bytes beyond the ideal */
	bool vary;                /* half of the seeds draw Homa's parameters too */
	bool wrap;                /* ids, ticks, ports and generations are about to wrap around */
};

struct sim_result {
	uint64_t ok, failed, abandoned;
	uint64_t packets, events, ip_bytes, ideal_bytes;
	uint64_t retransmitted, resends, lost, duplicated, reordered, dropped_full;
	uint64_t outages, crashes;
	uint64_t virtual_ns;
	uint64_t trace_hash;
	char violation[256]; /* empty = all invariants held */
};

/* ---- sim_profiles.c ---- */
/* NULL if there is no profile of that name. */
const struct sim_profile *sim_profile_find(const char *name);
/* The n-th profile, NULL behind the last. */
const struct sim_profile *sim_profile_at(unsigned int n);
void sim_profile_topology(const struct sim_profile *profile, struct sim_random *random,
			  struct sim_topology *topology);
/* Parameters of one host: changes `params` where the profile lets a seed choose. */
void sim_profile_params(struct sim_random *random, struct homa_params *params);
/* Mostly short, as RPCs are: 85 % up to 4 kB, 12 % up to 64 kB, 3 % up to the longest. */
uint32_t sim_profile_length(struct sim_random *random);

/* ---- sim_run.c ---- */
/* Runs one seed. `rpcs` 0: the profile's number. `trace` may be NULL. */
void sim_run_seed(const struct sim_profile *profile, uint64_t seed, uint32_t rpcs, struct sim_trace *trace,
		  struct sim_result *result);

#endif
