/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of a run share: sim_run.c draws it, starts it and judges its end,
 * sim_clients.c is the hosts' application, sim_liveness.c ends the faults and demands.
 */
#ifndef TERN_SIM_RUN_STATE_H
#define TERN_SIM_RUN_STATE_H

#include "sim_check.h"
#include "sim_faults.h"

#define SIM_MS 1000000ull

/* One run's state; hosts' `application` points here. */
struct run {
	struct sim sim;
	struct sim_ledger ledger;
	struct sim_check check;
	struct sim_storm storm;
	const struct sim_profile *profile;
	struct sim_faults faults;
	uint32_t issued[SIM_MAX_HOSTS]; /* by client */
	uint32_t issued_in_all, calm_from;
	uint32_t per_client, outstanding;
	uint32_t service_ns; /* the longest */
	uint32_t unlucky;    /* RPCs that failed under heavy loss alone */
	bool holding;        /* the liveness phase: nothing is asked */
	uint64_t calm_ns;    /* since when there are no faults; UINT64_MAX = not yet */
	uint64_t ideal_bytes;
};

/* ---- sim_clients.c ---- */
extern const struct sim_application sim_clients;
/* Has a host begin with its requests. */
void sim_clients_start(struct run *run, struct sim_host *host);
/*
 * The fewest bytes of IP packets that carry a message: its own and, for each DATA packet
 * that the MTU and the boundary at the unscheduled limit make necessary, IP and DATA
 * headers. Grants and acknowledgements are not in it: they are the 3 %.
 */
uint64_t sim_ideal_bytes(uint32_t length, uint32_t unscheduled);

/* ---- sim_liveness.c ---- */
/* Enough has gone wrong: ends the faults, sees to it that all that is pending ends, goes on. */
void sim_liveness_begin(struct run *run);
/* The host is about to go down: who waits for it has to hear of that in time. */
void sim_liveness_crashed(struct sim_host *host);

#endif
