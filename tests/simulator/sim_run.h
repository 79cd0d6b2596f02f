/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run: a network, faults and a workload drawn from a seed by a profile, and the
 * invariants that must hold at its end.
 */
#ifndef TERN_SIM_RUN_H
#define TERN_SIM_RUN_H

#include "sim_ledger.h"
#include "sim_trace.h"

struct sim_profile {
	const char *name;
	const char *what; /* one line for --help */
	uint32_t rpcs;    /* of all clients, unless the caller wants another number */
	uint32_t max_hosts;
	bool fault_free; /* then no RESEND, no retransmission, and few bytes beyond the ideal */
	/* upper ends of what a seed may draw, as in struct sim_faults */
	struct sim_faults faults;
	uint32_t max_service_ns;
};

struct sim_result {
	uint64_t ok, failed;
	uint64_t packets, events, ip_bytes, ideal_bytes;
	uint64_t retransmitted, resends, lost, duplicated, reordered, dropped_full;
	uint64_t virtual_ns;
	uint64_t trace_hash;
	char violation[256]; /* empty = all invariants held */
};

/* NULL if there is no profile of that name. */
const struct sim_profile *sim_profile_find(const char *name);
/* The n-th profile, NULL behind the last. */
const struct sim_profile *sim_profile_at(unsigned int n);

/* Runs one seed. `rpcs` 0: the profile's number. `trace` may be NULL. */
void sim_run_seed(const struct sim_profile *profile, uint64_t seed, uint32_t rpcs, struct sim_trace *trace,
		  struct sim_result *result);

#endif
