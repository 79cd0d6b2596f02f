/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Profiles, the workload (every host is client and server; each keeps some requests
 * outstanding), and the invariants.
 */
#include "sim_run.h"

#include <errno.h>
#include <string.h>

#include "homa_core.h"

#define DRAIN_NS      120000000000ull /* no run takes this long unless something never ends */
#define IDEAL_PERCENT 103
#define IDEAL_RPCS    1000

static const struct sim_profile profiles[] = {
    {
	.name = "clean",
	.what = "no faults; no RESEND, no retransmission, at most 1.03 x the ideal bytes",
	.rpcs = 1000,
	.max_hosts = 8,
	.fault_free = true,
	.max_service_ns = 5000,
    },
    {
	.name = "swarm",
	.what = "loss up to 30 %, duplication to 50 %, reordering to 20 % of packets, full switch buffers",
	.rpcs = 200,
	.max_hosts = 6,
	.faults = {.loss = 300000, .duplicate = 500000, .reorder = 200000, .reorder_max_ns = 200000},
	.max_service_ns = 12000000,
    },
};

/* One run's state; hosts' `application` points here. */
struct run {
	struct sim sim;
	struct sim_ledger ledger;
	const struct sim_profile *profile;
	uint32_t issued[SIM_MAX_HOSTS]; /* by client */
	uint32_t per_client;
	uint32_t service_ns; /* the longest */
	uint64_t ideal_bytes;
};

/* A request whose handler takes its time. */
struct service {
	struct sim_host *host;
	uint64_t handle;
	void *data;
	uint32_t length;
};

const struct sim_profile *sim_profile_at(unsigned int n)
{
	return n < sizeof(profiles) / sizeof(profiles[0]) ? &profiles[n] : NULL;
}

const struct sim_profile *sim_profile_find(const char *name)
{
	for (unsigned int i = 0; sim_profile_at(i); i++)
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	return NULL;
}

/* Mostly short, as RPCs are: 85 % up to 4 kB, 12 % up to 64 kB, 3 % up to the longest
 * possible; log-uniform in each, and without floating point. */
static uint32_t message_length(struct sim_random *random)
{
	uint32_t kind = sim_random_below(random, 100), bits, length;

	bits = sim_random_below(random, kind < 85 ? 12 : kind < 97 ? 16 : 20);
	length = (1u << bits) + sim_random_below(random, 1u << bits);
	return length > HOMA_MAX_MESSAGE ? HOMA_MAX_MESSAGE : length;
}

/*
 * The fewest bytes of IP packets that carry a message: its own and, for each DATA packet
 * that the MTU and the boundary at the unscheduled limit make necessary, IP and DATA
 * headers. Grants and acknowledgements are not in it: they are the 3 %.
 */
static uint64_t ideal_bytes(uint32_t length, uint32_t unscheduled)
{
	uint32_t header = 20 + sizeof(struct homa_data_header), payload = SIM_MTU - header, packets = 0;

	for (uint32_t at = 0; at < length; packets++)
		at = homa_segment_end(at, unscheduled, payload, length);
	return length + (uint64_t)packets * header;
}

static void issue(struct sim_host *host)
{
	struct run *run = host->application;
	struct sim *sim = host->sim;
	uint32_t sequence = run->issued[host->index], length = message_length(&sim->random);
	uint32_t reply_length = message_length(&sim->random);
	uint32_t to = sim_random_below(&sim->random, sim->host_count - 1);
	struct net_endpoint remote = {.port = SIM_SERVER_PORT};
	struct net_ip any = {0};
	uint64_t handle;
	void *data;
	int error;

	if (sequence == run->per_client)
		return;
	run->issued[host->index]++;
	remote.ip = sim->hosts[to >= host->index ? to + 1 : to].ip;
	data = sim_buffer_get(host, length);
	sim_ledger_request(&run->ledger, sim, host->index, sequence, data, length, reply_length);
	run->ideal_bytes += ideal_bytes(length, host->params.unsched_bytes);
	run->ideal_bytes +=
	    ideal_bytes(run->ledger.rpcs[(uint64_t)host->index * run->per_client + sequence].reply_length,
			host->params.unsched_bytes);
	error = homa_request(host->homa, sim->now_ns, host->client_port, &remote, &any, data, length,
			     sequence, &handle);
	if (error)
		sim_violation(sim, "client %u cannot send a request of %u bytes: %s", host->index, length,
			      strerror(-error));
}

static void start(void *object, uint64_t argument)
{
	(void)argument;
	issue(object);
	sim_host_settle(object);
}

static void answer(struct service *service)
{
	struct sim_host *host = service->host;
	int error =
	    homa_respond(host->homa, host->sim->now_ns, service->handle, service->data, service->length);

	if (error && error != -ENOENT)
		sim_violation(host->sim, "server %u cannot answer with %u bytes: %s", host->index,
			      service->length, strerror(-error));
	free(service);
}

static void service_done(void *object, uint64_t argument)
{
	struct service *service = object;
	struct sim_host *host = service->host;

	(void)argument;
	answer(service);
	sim_host_settle(host);
}

static void serve(struct sim_host *host, const struct homa_event *event)
{
	struct run *run = host->application;
	struct service *service = sim_realloc(NULL, sizeof(*service));
	uint32_t delay_ns = sim_random_below(&host->sim->random, run->service_ns + 1);

	service->host = host;
	service->handle = event->handle;
	service->length = sim_ledger_execute(&run->ledger, host->sim, event);
	service->data = sim_buffer_get(host, service->length);
	sim_ledger_reply(event, service->data, service->length);
	sim_at(host->sim, host->sim->now_ns + delay_ns, service_done, service, 0);
}

static void on_event(struct sim_host *host, const struct homa_event *event)
{
	struct run *run = host->application;

	switch (event->type) {
	case HOMA_EVENT_REQUEST:
		serve(host, event);
		homa_message_free(host->homa, event->data, event->length);
		break;
	case HOMA_EVENT_RESPONSE:
		sim_ledger_finish(&run->ledger, host->sim, host->index, event);
		homa_message_free(host->homa, event->data, event->length);
		issue(host);
		break;
	case HOMA_EVENT_FAILED:
		sim_ledger_finish(&run->ledger, host->sim, host->index, event);
		issue(host);
		break;
	case HOMA_EVENT_CANCELLED:
	case HOMA_EVENT_NONE:
		break;
	}
}

/* Uniform below `limit`, but in half of the seeds below a fiftieth of it: rare faults
 * find other bugs than frequent ones. */
static uint32_t draw_fault(struct sim_random *random, uint32_t limit)
{
	return limit ? sim_random_below(random, sim_random_below(random, 2) ? limit + 1 : limit / 50 + 1) : 0;
}

static void draw_topology(const struct sim_profile *profile, struct sim_random *random,
			  struct sim_topology *topology)
{
	static const uint32_t rates_mbps[] = {10000, 25000, 40000, 100000};

	*topology = (struct sim_topology){
	    .hosts = sim_random_between(random, 2, profile->max_hosts),
	    .rate_mbps = rates_mbps[sim_random_below(random, 4)],
	    .delay_ns = sim_random_between(random, 100, 5000),
	    .buffer_bytes = 64 << 20,
	};
	if (profile->fault_free)
		return;
	topology->buffer_bytes = sim_random_between(random, 60000, 1000000);
	topology->faults = (struct sim_faults){
	    .loss = draw_fault(random, profile->faults.loss),
	    .duplicate = draw_fault(random, profile->faults.duplicate),
	    .reorder = draw_fault(random, profile->faults.reorder),
	    .reorder_max_ns = sim_random_between(random, 1000, profile->faults.reorder_max_ns),
	};
}

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
}

static void collect(struct run *run, struct sim_result *result)
{
	struct sim *sim = &run->sim;

	*result = (struct sim_result){
	    .ok = run->ledger.ok,
	    .failed = run->ledger.failed,
	    .packets = sim->packets,
	    .events = sim->events_run,
	    .ip_bytes = sim->ip_bytes,
	    .ideal_bytes = run->ideal_bytes,
	    .virtual_ns = sim->now_ns,
	    .trace_hash = sim->trace_hash,
	};
	for (uint32_t i = 0; i < sim->host_count; i++) {
		struct sim_host *host = &sim->hosts[i];
		struct homa_counters counters;

		homa_counters_get(host->homa, &counters);
		result->retransmitted += counters.retransmitted;
		result->resends += counters.packets_out[HOMA_RESEND - HOMA_TYPE_FIRST];
		result->lost += host->uplink.lost;
		result->duplicated += host->uplink.duplicated;
		result->reordered += host->uplink.reordered;
		result->dropped_full += host->downlink.dropped_full;
		if (!sim->violation[0])
			check_host(sim, host, &counters);
	}
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
	/*
	 * Nobody crashes, so hardly anything may be given up. At 30 % loss a request is: with
	 * all 19 RESENDs, or their answers, or what these ask for lost, in 3 of 10,000 cases.
	 */
	if (result->failed > result->ok / 100)
		sim_violation(sim, "%llu RPCs failed", (unsigned long long)result->failed);
	if (!run->profile->fault_free)
		return;
	if (result->retransmitted || result->resends || result->dropped_full)
		sim_violation(
		    sim,
		    "without faults there were %llu RESENDs and %llu retransmissions, %llu packets dropped",
		    (unsigned long long)result->resends, (unsigned long long)result->retransmitted,
		    (unsigned long long)result->dropped_full);
	/* Short runs have not the RPCs to outweigh each pair's first CUTOFFS and last ACK. */
	if (run->ledger.ok >= IDEAL_RPCS && result->ip_bytes * 100 > result->ideal_bytes * IDEAL_PERCENT)
		sim_violation(sim, "%llu bytes were sent where %llu would do",
			      (unsigned long long)result->ip_bytes, (unsigned long long)result->ideal_bytes);
}

void sim_run_seed(const struct sim_profile *profile, uint64_t seed, uint32_t rpcs, struct sim_trace *trace,
		  struct sim_result *result)
{
	static const struct sim_application application = {.event = on_event};
	struct sim_topology topology;
	struct run run = {.profile = profile};
	struct sim *sim = &run.sim;
	struct sim_random draw;
	uint32_t outstanding;

	sim_random_seed(&draw, sim_mix(seed));
	draw_topology(profile, &draw, &topology);
	run.per_client = ((rpcs ? rpcs : profile->rpcs) + topology.hosts - 1) / topology.hosts;
	run.service_ns = sim_random_below(&draw, profile->max_service_ns + 1);
	outstanding = sim_random_between(&draw, 1, 8);
	sim_init(sim, seed, &topology, NULL, &application);
	sim->trace = trace;
	sim->elide = sim_random_below(&draw, 4) != 0;
	sim_ledger_init(&run.ledger, topology.hosts, run.per_client);
	for (uint32_t i = 0; i < sim->host_count; i++) {
		sim->hosts[i].application = &run;
		for (uint32_t n = 0; n < outstanding; n++)
			sim_at(sim, sim->now_ns + sim_random_below(&draw, 20000), start, &sim->hosts[i], 0);
	}
	sim_run(sim, sim->now_ns + DRAIN_NS);
	collect(&run, result);
	check(&run, result);
	memcpy(result->violation, sim->violation, sizeof(result->violation));
	sim_free(sim);
	sim_ledger_free(&run.ledger);
}
