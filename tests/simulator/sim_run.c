/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run: every host is client and server, and keeps some requests outstanding. While most
 * of them are made, things go wrong (the safety phase). Then the faults end, nothing new
 * is asked, and what is pending has to end soon (the liveness phase). The rest of the
 * requests have no excuse.
 */
#include "sim_run.h"

#include <string.h>

#include "homa_state.h"
#include "sim_run_state.h"

#define DRAIN_NS      120000000000ull /* no run takes this long unless something never ends */
#define STORM_NS      (2000 * SIM_MS) /* the faults end by then, however few requests were made */
#define YOUNG_NS      (100 * SIM_MS)
#define IDEAL_PERCENT 103
#define IDEAL_RPCS    1000

/* Makes the next ids, ports and generations the last ones before they wrap around. */
static void wind_up(struct sim_host *host)
{
	struct sim_random *random = &host->sim->random;
	struct homa *homa = host->homa;

	homa->first_use = UINT64_MAX / (2 * homa->clients.size) - sim_random_below(random, 20);
	for (uint32_t i = 0; i < homa->clients.size; i++)
		homa->clients.slots[i].generation = sim_random_below(random, 2) ? UINT32_MAX - (i & 7) : 0;
	for (uint32_t i = 0; i < homa->servers.size; i++)
		homa->servers.slots[i].generation = UINT32_MAX - (i & 7);
	homa->next_port = 0xffff;
	host->client_port = (uint16_t)homa_port_open(homa, 0);
}

static void on_start(struct sim_host *host)
{
	struct run *run = host->application;

	if (run->profile->wrap)
		wind_up(host);
	sim_clients_start(run, host);
}

/* ---- the end ---- */

static void check_host(struct sim *sim, const struct sim_host *host, const struct homa_counters *c)
{
	if (c->client_rpcs || c->server_rpcs)
		sim_violation(sim, "host %u has %llu client and %llu server RPCs left", host->index,
			      (unsigned long long)c->client_rpcs, (unsigned long long)c->server_rpcs);
	else if (c->incoming_bytes || c->outgoing_bytes || c->total_granted)
		sim_violation(sim,
			      "host %u accounts for %llu bytes in, %llu out, %llu granted, with no RPC left",
			      host->index, (unsigned long long)c->incoming_bytes,
			      (unsigned long long)c->outgoing_bytes, (unsigned long long)c->total_granted);
	else if (host->buffers)
		sim_violation(sim, "host %u leaks %llu buffers of %llu bytes", host->index,
			      (unsigned long long)host->buffers, (unsigned long long)host->buffer_bytes);
	else if (homa_next_timeout(host->homa, sim_host_now(host)) != UINT64_MAX)
		sim_violation(sim, "host %u has a timer set, with no RPC left", host->index);
}

static void collect(struct run *run, struct sim_result *result)
{
	struct sim *sim = &run->sim;

	*result = (struct sim_result){
		.ok = run->ledger.ok,
		.failed = run->ledger.failed,
		.abandoned = run->ledger.abandoned,
		.packets = sim->packets,
		.events = sim->events_run,
		.ip_bytes = sim->ip_bytes,
		.ideal_bytes = run->ideal_bytes,
		.outages = run->storm.count,
		.crashes = run->storm.crashes,
		.virtual_ns = sim->now_ns,
		.trace_hash = sim->trace_hash,
	};
	for (uint32_t i = 0; i < sim->host_count; i++) {
		struct sim_host *host = &sim->hosts[i];
		struct homa_counters counters = { 0 };

		result->lost += host->uplink.lost;
		result->duplicated += host->uplink.duplicated;
		result->reordered += host->uplink.reordered;
		result->dropped_full += host->downlink.dropped_full;
		if (!host->homa)
			continue;
		homa_counters_get(host->homa, &counters);
		result->retransmitted += counters.retransmitted;
		result->resends += counters.packets_out[HOMA_RESEND - HOMA_TYPE_FIRST];
		if (sim->violation[0])
			continue;
		check_host(sim, host, &counters);
		if (!run->profile->faults.garble)
			sim_check_counters(sim, host, &counters, run->storm.crashes, run->storm.count);
	}
}

static void check_fault_free(struct run *run, const struct sim_result *result)
{
	struct sim *sim = &run->sim;

	if (result->retransmitted || result->resends || result->dropped_full)
		sim_violation(sim,
			      "without faults there were %llu RESENDs and %llu retransmissions, %llu packets "
			      "dropped",
			      (unsigned long long)result->resends, (unsigned long long)result->retransmitted,
			      (unsigned long long)result->dropped_full);
	/* Short runs have not the RPCs to outweigh each pair's first CUTOFFS and last ACK. */
	if (run->ledger.ok >= IDEAL_RPCS && result->ip_bytes * 100 > result->ideal_bytes * IDEAL_PERCENT)
		sim_violation(sim, "%llu bytes were sent where %llu would do",
			      (unsigned long long)result->ip_bytes, (unsigned long long)result->ideal_bytes);
}

static void check(struct run *run, struct sim_result *result)
{
	struct sim *sim = &run->sim;

	if (sim->violation[0])
		return;
	if (sim->events.count)
		sim_violation(sim, "something is still going on after %llu s",
			      (unsigned long long)(DRAIN_NS / 1000000000));
	sim_ledger_check(&run->ledger, sim);
	if (run->profile->fault_free)
		check_fault_free(run, result);
}

/* ---- the beginning ---- */

/* Some parameters are a host's own, so that what it assumes of others must be what they said. */
static void draw_params(struct run *run, struct sim_random *draw)
{
	bool vary = run->profile->vary && sim_random_below(draw, 2);

	/* The ledger counts on a first packet of full size. */
	run->sim.elide = !vary && sim_random_below(draw, 4) && !run->profile->faults.garble;
	for (uint32_t i = 0; i < run->sim.host_count; i++) {
		struct sim_host *host = &run->sim.hosts[i];

		if (!vary && !run->profile->wrap)
			continue;
		sim_host_crash(host);
		if (vary)
			sim_profile_params(draw, &host->params);
		/* Ticks of a millisecond, about to pass 2^32; each host a little later. */
		if (run->profile->wrap)
			host->clock_offset_ns = (int64_t)((1ull << 32) * SIM_MS - run->sim.now_ns) -
						sim_random_below(draw, (uint32_t)(50 * SIM_MS));
		sim_host_start(host);
	}
}

static void draw(struct run *run, uint32_t rpcs, struct sim_random *draw, struct sim_topology *topology)
{
	const struct sim_profile *profile = run->profile;
	uint32_t longest_ns = profile->max_service_ns;

	sim_profile_topology(profile, draw, topology);
	run->faults = topology->faults;
	rpcs = rpcs ? rpcs : profile->rpcs;
	run->per_client = (rpcs + topology->hosts - 1) / topology->hosts;
	if (profile->slow_service_ns && !sim_random_below(draw, 8))
		longest_ns = profile->slow_service_ns;
	run->service_ns = sim_random_below(draw, longest_ns + 1);
	run->outstanding = sim_random_between(draw, 1, 8);
	run->calm_from = sim_random_between(draw, rpcs / 2, run->per_client * topology->hosts);
	run->calm_ns = UINT64_MAX;
}

static void end_storm(void *object, uint64_t argument)
{
	(void)argument;
	sim_liveness_begin(object);
}

static void open_gates(void *object, uint64_t argument)
{
	struct run *run = object;

	(void)argument;
	for (uint32_t i = 0; i < run->sim.host_count; i++)
		on_start(&run->sim.hosts[i]);
	if (run->profile->fault_free)
		return;
	sim_storm_begin(&run->storm);
	sim_at(&run->sim, run->sim.now_ns + STORM_NS, end_storm, run, 0);
}

static void begin(struct run *run, struct sim_random *random)
{
	struct sim *sim = &run->sim;
	bool young = !run->profile->fault_free && sim_random_below(random, 2);

	sim_ledger_init(&run->ledger, sim->host_count, run->per_client);
	run->ledger.lenient = run->profile->faults.garble;
	draw_params(run, random);
	run->storm.crashed = sim_liveness_crashed;
	run->storm.started = on_start;
	sim_storm_init(&run->storm, run->profile, sim, random);
	sim_check_init(&run->check, sim, (uint64_t)run->per_client * sim->host_count);
	for (uint32_t i = 0; i < sim->host_count; i++)
		sim->hosts[i].application = run;
	/* Hosts whose parameters or clocks were drawn are new; some are still so when it begins. */
	sim_at(sim, sim->now_ns + (young ? YOUNG_NS : SIM_UPTIME_NS), open_gates, run, 0);
}

void sim_run_seed(const struct sim_profile *profile, uint64_t seed, uint32_t rpcs, struct sim_trace *trace,
		  struct sim_result *result)
{
	struct sim_topology topology;
	struct run run = { .profile = profile };
	struct sim *sim = &run.sim;
	struct sim_random random;

	sim_random_seed(&random, sim_mix(seed));
	draw(&run, rpcs, &random, &topology);
	sim_init(sim, seed, &topology, NULL, &sim_clients);
	sim->trace = trace;
	begin(&run, &random);
	sim_run(sim, sim->now_ns + DRAIN_NS);
	collect(&run, result);
	check(&run, result);
	memcpy(result->violation, sim->violation, sizeof(result->violation));
	sim_free(sim);
	sim_check_free(&run.check);
	sim_ledger_free(&run.ledger);
}
