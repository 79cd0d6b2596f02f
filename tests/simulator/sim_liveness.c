/* SPDX-License-Identifier: BSD-2-Clause */
/* The liveness phase, and what has to end by when. */
#include "sim_run_state.h"

#define LIVENESS_NS  (200 * SIM_MS)
#define DEAD_PEER_NS (300 * SIM_MS)

/* What is to have ended by some time: the RPCs of a client, or all toward a server. */
struct due {
	struct run *run;
	uint64_t issued_by_ns;
	uint32_t server; /* or SIM_EVERYBODY */
	const char *why;
};

static uint64_t message_time_ns(const struct run *run, const struct sim_rpc *rpc)
{
	return sim_ideal_bytes(rpc->request_length, 40000) * 8000 / run->sim.hosts[0].uplink.rate_mbps +
	       sim_ideal_bytes(rpc->reply_length, 40000) * 8000 / run->sim.hosts[0].uplink.rate_mbps;
}

static bool is_due(const struct due *due, const struct sim_rpc *rpc)
{
	return rpc->status == SIM_RPC_PENDING && rpc->issued_ns <= due->issued_by_ns &&
	       (due->server == SIM_EVERYBODY || due->server == rpc->server);
}

static void collect_due(void *object, uint64_t argument)
{
	struct due *due = object;
	struct run *run = due->run;

	(void)argument;
	for (uint32_t client = 0; client < run->sim.host_count; client++)
		for (uint32_t i = 0; i < run->issued[client]; i++)
			if (is_due(due, sim_ledger_rpc(&run->ledger, client, i)))
				sim_violation(&run->sim, "request %u of client %u has not ended %s", i,
					      client, due->why);
	free(due);
}

/* What is pending now, toward `server` or at all, shall end within `grace_ns` and twice the
 * time that the messages take. Returns when. */
static uint64_t demand_end(struct run *run, uint32_t server, uint64_t grace_ns, const char *why)
{
	struct due *due = sim_realloc(NULL, sizeof(*due));
	uint64_t by_ns = run->sim.now_ns + grace_ns;

	*due = (struct due){ run, run->sim.now_ns, server, why };
	for (uint32_t client = 0; client < run->sim.host_count; client++) {
		for (uint32_t i = 0; i < run->issued[client]; i++) {
			const struct sim_rpc *rpc = sim_ledger_rpc(&run->ledger, client, i);

			if (is_due(due, rpc))
				by_ns += 2 * message_time_ns(run, rpc);
		}
	}
	sim_at(&run->sim, by_ns, collect_due, due, 0);
	return by_ns;
}

static void release(void *object, uint64_t argument)
{
	struct run *run = object;

	(void)argument;
	run->holding = false;
	for (uint32_t i = 0; i < run->sim.host_count; i++)
		sim_clients_start(run, &run->sim.hosts[i]);
}

static void calm(void *object, uint64_t argument)
{
	struct run *run = object;

	(void)argument;
	sim_storm_calm(&run->storm);
	run->calm_ns = run->sim.now_ns;
	sim_at(&run->sim,
	       demand_end(run, SIM_EVERYBODY, LIVENESS_NS + run->service_ns, "in time after the faults' end"),
	       release, run, 0);
}

void sim_liveness_begin(struct run *run)
{
	if (run->storm.over)
		return;
	run->holding = true;
	sim_at(&run->sim, sim_storm_end(&run->storm) + 1, calm, run, 0);
}

void sim_liveness_crashed(struct sim_host *host)
{
	struct run *run = host->application;

	sim_ledger_abandon(&run->ledger, host->index);
	demand_end(run, host->index, DEAD_PEER_NS + run->service_ns, "300 ms after its server crashed");
}
