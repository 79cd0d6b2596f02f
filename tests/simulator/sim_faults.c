/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_faults.h"

#define US             1000ull
#define MS             1000000ull
#define LONGEST_GAP_NS (15 * MS)
#define AFTERMATH_NS   (100 * MS) /* a request may still be doubted if packets take that long */

static struct sim_outage *note(struct sim_storm *storm, uint32_t host, uint64_t lasts_ns)
{
	struct sim_outage *outage = &storm->outages[storm->count++];

	*outage = (struct sim_outage){ storm->sim->now_ns, storm->sim->now_ns + lasts_ns, host };
	return outage;
}

/* ---- partitions ---- */

static void join(void *object, uint64_t argument)
{
	struct sim_storm *storm = object;

	(void)argument;
	for (uint32_t i = 0; i < storm->sim->host_count; i++)
		storm->sim->islands[i] = 0;
}

static void part(struct sim_storm *storm, uint64_t lasts_ns)
{
	struct sim *sim = storm->sim;

	note(storm, SIM_EVERYBODY, lasts_ns);
	for (uint32_t i = 0; i < sim->host_count; i++)
		sim->islands[i] = (uint8_t)sim_random_below(&storm->random, 2);
	sim_at(sim, sim->now_ns + lasts_ns, join, storm, 0);
}

/* ---- clogs and pauses ---- */

static void stop_uplink(struct sim_storm *storm, struct sim_host *host, uint64_t lasts_ns)
{
	uint64_t until_ns = storm->sim->now_ns + lasts_ns;

	note(storm, host->index, lasts_ns);
	if (host->uplink.free_ns < until_ns)
		host->uplink.free_ns = until_ns;
}

static void halt(struct sim_storm *storm, struct sim_host *host, uint64_t lasts_ns)
{
	note(storm, host->index, lasts_ns);
	host->resume_ns = storm->sim->now_ns + lasts_ns;
}

/* ---- crashes ---- */

static void restart(void *object, uint64_t argument)
{
	struct sim_storm *storm = object;
	struct sim_host *host = &storm->sim->hosts[argument];

	sim_host_start(host);
	storm->started(host);
}

static uint64_t time_down_ns(struct sim_random *random)
{
	switch (sim_random_below(random, 4)) {
	case 0:
		return sim_random_between(random, 1100, 2000) * US;
	case 1:
		return sim_random_between(random, 100, 600) * MS;
	default:
		return sim_random_between(random, 1000, 30000) * US;
	}
}

static void crash(struct sim_storm *storm, struct sim_host *host)
{
	uint64_t lasts_ns = time_down_ns(&storm->random);

	note(storm, host->index, lasts_ns + AFTERMATH_NS);
	storm->crashes++;
	storm->crashed(host);
	sim_host_crash(host);
	sim_at(storm->sim, storm->sim->now_ns + lasts_ns, restart, storm, host->index);
}

/* ---- the order of events ---- */

static uint32_t outages_left(const struct sim_outages *left)
{
	return left->partitions + left->clogs + left->pauses + left->crashes;
}

static void strike(struct sim_storm *storm)
{
	struct sim_random *random = &storm->random;
	struct sim_outages *left = &storm->left;
	struct sim_host *host = &storm->sim->hosts[sim_random_below(random, storm->sim->host_count)];
	uint64_t lasts_ns = sim_random_between(random, 10, left->longest_us) * US;
	uint32_t kind = sim_random_below(random, outages_left(left));

	if (!host->homa || storm->sim->now_ns < host->resume_ns)
		return; /* that one has enough */
	if (kind < left->crashes) {
		left->crashes--;
		crash(storm, host);
	} else if ((kind -= left->crashes) < left->partitions) {
		left->partitions--;
		part(storm, lasts_ns);
	} else if (kind - left->partitions < left->clogs) {
		left->clogs--;
		stop_uplink(storm, host, lasts_ns);
	} else {
		left->pauses--;
		halt(storm, host, lasts_ns);
	}
}

static void next(void *object, uint64_t argument)
{
	struct sim_storm *storm = object;

	if (storm->over)
		return;
	if (argument)
		strike(storm);
	if (outages_left(&storm->left) && storm->count < SIM_OUTAGES_MAX)
		sim_at(storm->sim,
		       storm->sim->now_ns + sim_random_below(&storm->random, (uint32_t)LONGEST_GAP_NS), next,
		       storm, 1);
}

static uint32_t up_to(struct sim_random *random, uint32_t limit)
{
	return limit ? sim_random_below(random, limit + 1) : 0;
}

/* Every clock shows something else from the start, and runs at its own rate. */
static void skew(struct sim_storm *storm, uint32_t max_drift_ppm)
{
	for (uint32_t i = 0; max_drift_ppm && i < storm->sim->host_count; i++) {
		struct sim_host *host = &storm->sim->hosts[i];

		sim_host_crash(host);
		if (!host->clock_offset_ns)
			host->clock_offset_ns = sim_random_below(&storm->random, UINT32_MAX);
		host->clock_drift_ppm =
			(int64_t)sim_random_below(&storm->random, 2 * max_drift_ppm + 1) - max_drift_ppm;
		sim_host_start(host);
	}
}

void sim_storm_init(struct sim_storm *storm, const struct sim_profile *profile, struct sim *sim,
		    struct sim_random *draw)
{
	const struct sim_outages *most = &profile->outages;

	storm->sim = sim;
	sim_random_seed(&storm->random, sim_random_next(draw));
	skew(storm, profile->max_drift_ppm);
	/* Half of the seeds have no outage, so that nobody has an excuse; crashes never fail to come. */
	if (most->crashes || sim_random_below(&storm->random, 2))
		storm->left = (struct sim_outages){
			.partitions = up_to(&storm->random, most->partitions),
			.clogs = up_to(&storm->random, most->clogs),
			.pauses = up_to(&storm->random, most->pauses),
			.crashes = most->crashes ? sim_random_between(&storm->random, 1, most->crashes) : 0,
			.longest_us = most->longest_us,
		};
}

void sim_storm_begin(struct sim_storm *storm)
{
	next(storm, 0);
}

uint64_t sim_storm_end(struct sim_storm *storm)
{
	uint64_t end_ns = storm->sim->now_ns;

	storm->over = true;
	for (uint32_t i = 0; i < storm->count; i++)
		if (storm->outages[i].to_ns > end_ns)
			end_ns = storm->outages[i].to_ns;
	return end_ns;
}

void sim_storm_calm(struct sim_storm *storm)
{
	for (uint32_t i = 0; i < storm->sim->host_count; i++)
		storm->sim->hosts[i].uplink.faults = (struct sim_faults){ 0 };
}

bool sim_storm_excuses(const struct sim_storm *storm, uint32_t a, uint32_t b, uint64_t from_ns)
{
	for (uint32_t i = 0; i < storm->count; i++) {
		const struct sim_outage *outage = &storm->outages[i];

		if (outage->to_ns >= from_ns &&
		    (outage->host == SIM_EVERYBODY || outage->host == a || outage->host == b))
			return true;
	}
	return false;
}
