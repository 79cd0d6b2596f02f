/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes wrong beyond single packets: partitions, clogs, pauses, crashes, skewed
 * clocks. It goes on until it is told to stop, and knows who has an excuse.
 */
#ifndef TERN_SIM_FAULTS_H
#define TERN_SIM_FAULTS_H

#include "sim_run.h"

#define SIM_OUTAGES_MAX 64
#define SIM_EVERYBODY   UINT32_MAX

struct sim_outage {
	uint64_t from_ns, to_ns;
	uint32_t host; /* or SIM_EVERYBODY */
};

struct sim_storm {
	struct sim *sim;
	struct sim_random random;
	struct sim_outages left; /* that may still come */
	struct sim_outage outages[SIM_OUTAGES_MAX];
	uint32_t count, crashes;
	bool over;
	/* The host is about to go down, and is there again. */
	void (*crashed)(struct sim_host *host);
	void (*started)(struct sim_host *host);
};

/* Skews the clocks; `draw` decides about all that follows. */
void sim_storm_init(struct sim_storm *storm, const struct sim_profile *profile, struct sim *sim,
		    struct sim_random *draw);
void sim_storm_begin(struct sim_storm *storm);
/* No more outages begin. Returns when the last one will have ended. */
uint64_t sim_storm_end(struct sim_storm *storm);
/* Takes the packet faults off the links. */
void sim_storm_calm(struct sim_storm *storm);
/* Whether an outage kept two hosts apart between `from_ns` and now. */
bool sim_storm_excuses(const struct sim_storm *storm, uint32_t a, uint32_t b, uint64_t from_ns);

#endif
