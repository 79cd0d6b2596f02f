/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open loop: every host begins messages when the arrivals say so. A message is a request
 * whose answer is one byte. When the request is complete at its server, under the RPC's
 * id, and what it was, under the client's cookie, come together when the client has the
 * answer.
 */
#include "sim_load.h"

#include <string.h>
#include <time.h>

#include "homa_core.h"

#define RACKS            9
#define HOSTS_PER_RACK   16
#define SPINES           4
#define RTT_BYTES        (7 * 1424) /* about what 10 Gbit/s carry in the 7.8 us of a GRANT and its DATA */
#define DELIVERY_BUCKETS 65536
#define DRAIN_NS         200000000ull /* after the last arrival, at most */
#define DRAIN_STEP_NS    1000000ull

/* A message that is not answered yet. */
struct message {
	struct sim_arrival arrival;
	uint32_t vacant; /* next one, + 1 */
};

/* A request that its server has. */
struct delivery {
	uint64_t rpc_id;
	uint64_t time_ns;
	uint32_t client;
	uint32_t next; /* of the bucket, or vacant; + 1 */
};

struct run {
	struct sim sim;
	const struct sim_load *load;
	struct sim_load_result *result;
	struct sim_arrivals arrivals;
	uint64_t start_ns;
	struct message *messages;
	uint32_t message_count, vacant_message;
	struct delivery *deliveries;
	uint32_t delivery_count, vacant_delivery;
	uint32_t buckets[DELIVERY_BUCKETS];
};

/* ---- what is under way ---- */

static uint32_t new_message(struct run *run)
{
	uint32_t index = run->vacant_message;

	if (index) {
		run->vacant_message = run->messages[index - 1].vacant;
		return index - 1;
	}
	if (!(run->message_count & (run->message_count - 1)))
		run->messages = sim_realloc(run->messages, (run->message_count ? 2 * run->message_count : 1) *
								   sizeof(*run->messages));
	return run->message_count++;
}

static uint32_t *bucket_of(struct run *run, uint32_t client, uint64_t rpc_id)
{
	return &run->buckets[sim_mix(rpc_id / 2 ^ (uint64_t)client << 48) % DELIVERY_BUCKETS];
}

static void note_delivery(struct run *run, uint32_t client, uint64_t rpc_id, uint64_t time_ns)
{
	uint32_t index = run->vacant_delivery, *bucket = bucket_of(run, client, rpc_id);

	if (index) {
		run->vacant_delivery = run->deliveries[index - 1].next;
	} else {
		if (!(run->delivery_count & (run->delivery_count - 1)))
			run->deliveries = sim_realloc(run->deliveries,
						      (run->delivery_count ? 2 * run->delivery_count : 1) *
							      sizeof(*run->deliveries));
		index = ++run->delivery_count;
	}
	run->deliveries[index - 1] = (struct delivery){ rpc_id / 2, time_ns, client, *bucket };
	*bucket = index;
}

/* When a request was delivered; 0 if it never was. */
static uint64_t take_delivery(struct run *run, uint32_t client, uint64_t rpc_id)
{
	uint32_t *link = bucket_of(run, client, rpc_id);

	for (; *link; link = &run->deliveries[*link - 1].next) {
		struct delivery *delivery = &run->deliveries[*link - 1];
		uint32_t index = *link;

		if (delivery->client != client || delivery->rpc_id != rpc_id / 2)
			continue;
		*link = delivery->next;
		delivery->next = run->vacant_delivery;
		run->vacant_delivery = index;
		return delivery->time_ns;
	}
	return 0;
}

/* ---- clients and servers ---- */

static void arrive(void *object, uint64_t argument);

static void schedule(struct run *run, struct sim_host *host)
{
	uint32_t index = new_message(run);
	struct sim_arrival *arrival = &run->messages[index].arrival;

	sim_arrivals_next(&run->arrivals, host->index, arrival);
	if (arrival->time_ns < run->load->duration_ns)
		sim_at(&run->sim, run->start_ns + arrival->time_ns, arrive, host, index);
}

static void arrive(void *object, uint64_t argument)
{
	struct sim_host *host = object;
	struct run *run = host->application;
	const struct sim_arrival arrival = run->messages[argument].arrival;
	struct net_endpoint remote = { run->sim.hosts[arrival.to].ip, SIM_SERVER_PORT };
	uint64_t handle;

	run->result->messages++;
	run->result->unfinished++;
	run->result->message_bytes += arrival.length;
	if (homa_request(host->homa, run->sim.now_ns, host->client_port, &remote, &host->ip, NULL,
			 arrival.length, argument, &handle))
		sim_violation(&run->sim, "host %u cannot begin a message: more than max_client_rpcs",
			      host->index);
	schedule(run, host);
	sim_host_settle(host);
}

static void measure(struct run *run, const struct sim_arrival *arrival, uint64_t delivered_ns)
{
	const struct sim_load *load = run->load;
	uint64_t took_ns = delivered_ns - run->start_ns - arrival->time_ns;

	if (arrival->time_ns >= load->warm_up_ns)
		sim_slowdown_add(&run->result->slowdown, arrival->decile,
				 (double)took_ns / (double)sim_ideal_ns(&load->topology, arrival->from,
									arrival->to, arrival->length,
									load->params.unsched_bytes));
}

static void answered(struct sim_host *host, const struct homa_event *event)
{
	struct run *run = host->application;
	struct message *message = &run->messages[event->cookie];
	uint64_t delivered_ns = take_delivery(run, host->index, event->rpc_id);

	run->result->unfinished--;
	if (event->type == HOMA_EVENT_RESPONSE)
		measure(run, &message->arrival, delivered_ns);
	else
		run->result->failed++;
	message->vacant = run->vacant_message;
	run->vacant_message = (uint32_t)event->cookie + 1;
}

static void on_event(struct sim_host *host, const struct homa_event *event)
{
	struct run *run = host->application;

	switch (event->type) {
	case HOMA_EVENT_REQUEST:
		note_delivery(run, wire32(event->remote.ip.w[3]) - wire32(run->sim.hosts[0].ip.w[3]),
			      event->rpc_id, run->sim.now_ns);
		homa_respond(host->homa, run->sim.now_ns, event->handle, NULL, SIM_REPLY_BYTES);
		break;
	case HOMA_EVENT_RESPONSE:
	case HOMA_EVENT_FAILED:
		answered(host, event);
		break;
	case HOMA_EVENT_CANCELLED:
	case HOMA_EVENT_NONE:
		break;
	}
}

/* ---- the run ---- */

bool sim_load_topology(struct sim_topology *topology, const char *name, uint32_t hosts)
{
	*topology = (struct sim_topology){
		.hosts = hosts ? hosts : 16,
		.rate_mbps = 10000,
		.switch_ns = 250,
		.host_ns = 1500,
		.buffer_bytes = UINT64_MAX,
		.bodiless = true,
	};
	if (!strcmp(name, "pair")) {
		topology->hosts = 2;
	} else if (!strcmp(name, "leaf-spine")) {
		topology->hosts = RACKS * HOSTS_PER_RACK;
		topology->racks = RACKS;
		topology->spines = SPINES;
		topology->core_mbps = 40000;
	} else if (strcmp(name, "star") != 0) {
		return false;
	}
	return topology->hosts >= 2 && topology->hosts <= SIM_MAX_HOSTS;
}

void sim_load_params(struct homa_params *params, const struct sim_topology *topology)
{
	homa_params_init(params);
	params->link_mbps = topology->rate_mbps;
	params->max_link_usage = 100;
	/* As in the papers, the next packet is chosen when the link is free. */
	params->max_nic_est_backlog_usecs = 0;
	params->unsched_bytes = RTT_BYTES;
	params->window = RTT_BYTES;
	params->max_client_rpcs = 16384;
	params->max_server_rpcs = 2048;
	params->max_peers = SIM_MAX_HOSTS;
	params->dedupe_window = 256;
}

static void collect(struct run *run)
{
	struct sim_load_result *result = run->result;
	struct sim *sim = &run->sim;

	result->events = sim->events_run;
	for (uint32_t i = 0; i < sim->host_count; i++) {
		struct sim_host *host = &sim->hosts[i];
		struct homa_counters counters;

		homa_counters_get(host->homa, &counters);
		result->retransmitted += counters.retransmitted;
		result->resends += counters.packets_out[HOMA_RESEND - HOMA_TYPE_FIRST];
		result->dropped += host->downlink.dropped_full;
		result->marked += host->downlink.marked;
		if (host->downlink.max_queued_bytes > result->max_port_bytes)
			result->max_port_bytes = host->downlink.max_queued_bytes;
	}
}

static double processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void sim_load_run(const struct sim_load *load, struct sim_load_result *result)
{
	static const struct sim_application application = { .event = on_event };
	struct run *run = sim_realloc(NULL, sizeof(*run));
	struct sim *sim = &run->sim;
	double started;

	memset(run, 0, sizeof(*run));
	memset(result, 0, sizeof(*result));
	run->load = load;
	run->result = result;
	sim_arrivals_init(&run->arrivals, load->workload, load->traffic, load->seed, &load->topology,
			  load->params.unsched_bytes, load->load);
	sim_init(sim, load->seed, &load->topology, &load->params, &application);
	sim->unhashed = true;
	run->start_ns = sim->now_ns;
	for (uint32_t i = 0; i < sim->host_count; i++) {
		sim->hosts[i].application = run;
		schedule(run, &sim->hosts[i]);
	}
	started = processor_seconds();
	sim_run(sim, run->start_ns + load->duration_ns);
	result->wire_bytes = sim->ip_bytes + sim->packets * SIM_FRAME_OVERHEAD;
	for (uint64_t drained_ns = 0; result->unfinished && drained_ns < DRAIN_NS;
	     drained_ns += DRAIN_STEP_NS)
		sim_run(sim, run->start_ns + load->duration_ns + drained_ns);
	result->seconds = processor_seconds() - started;
	result->packets = sim->packets;
	if (sim->violation[0])
		fprintf(stderr, "tern-sim: %s\n", sim->violation);
	collect(run);
	sim_free(sim);
	free(run->messages);
	free(run->deliveries);
	free(run);
}
