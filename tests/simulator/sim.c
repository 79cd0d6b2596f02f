/* SPDX-License-Identifier: BSD-2-Clause */
/* The network's construction and the event loop. */
#include "sim.h"

#include <stdarg.h>

void *sim_realloc(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes);

	if (!memory) {
		fprintf(stderr, "out of memory: %zu bytes\n", bytes);
		exit(2);
	}
	return memory;
}

void sim_violation(struct sim *sim, const char *format, ...)
{
	va_list arguments;

	if (sim->violation[0])
		return;
	va_start(arguments, format);
	vsnprintf(sim->violation, sizeof(sim->violation), format, arguments);
	va_end(arguments);
}

void sim_at(struct sim *sim, uint64_t time_ns, sim_action *action, void *object, uint64_t argument)
{
	sim_events_add(&sim->events, time_ns < sim->now_ns ? sim->now_ns : time_ns, action, object, argument);
}

static void wire(struct sim *sim, const struct sim_topology *topology)
{
	bool pair = sim->host_count == 2;

	for (uint32_t i = 0; i < sim->host_count; i++) {
		struct sim_host *host = &sim->hosts[i];
		struct sim_topology clean = *topology;

		sim_link_init(&host->uplink, sim, pair ? &sim->hosts[1 - i] : NULL, topology);
		host->uplink.limit_bytes =
		    UINT64_MAX; /* a host's own memory holds what its NIC cannot send yet */
		clean.faults = (struct sim_faults){0};
		sim_link_init(&host->downlink, sim, host, &clean);
	}
}

/* The defaults, with tables of a size that hundreds of hosts can be given in no time. */
static void simulator_params(struct homa_params *params, const struct sim_topology *topology)
{
	homa_params_init(params);
	params->link_mbps = topology->rate_mbps;
	params->max_client_rpcs = 1024;
	params->max_server_rpcs = 4096;
	params->max_peers = SIM_MAX_HOSTS;
	params->dedupe_window = 16384;
}

void sim_init(struct sim *sim, uint64_t seed, const struct sim_topology *topology,
	      const struct homa_params *params, const struct sim_application *application)
{
	struct homa_params defaults;

	*sim = (struct sim){.seed = seed, .host_count = topology->hosts, .application = application};
	sim->now_ns = 1000000000; /* not 0, so that code that takes 0 for "never" shows */
	sim_random_seed(&sim->random, seed);
	sim_events_init(&sim->events);
	sim->hosts = sim_realloc(NULL, sim->host_count * sizeof(*sim->hosts));
	if (!params) {
		simulator_params(&defaults, topology);
		params = &defaults;
	}
	for (uint32_t i = 0; i < sim->host_count; i++)
		sim_host_init(&sim->hosts[i], sim, i, params);
	wire(sim, topology);
}

static void free_packets(struct sim_packet *packet)
{
	while (packet) {
		struct sim_packet *next = packet->next;

		free(packet);
		packet = next;
	}
}

static void free_buffers(void *buffer)
{
	while (buffer) {
		void *next = *(void **)buffer;

		free(buffer);
		buffer = next;
	}
}

void sim_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->host_count; i++) {
		sim_host_free(&sim->hosts[i]);
		sim_link_free(&sim->hosts[i].uplink);
		sim_link_free(&sim->hosts[i].downlink);
	}
	free(sim->hosts);
	sim_events_free(&sim->events);
	free_packets(sim->free_small);
	free_packets(sim->free_large);
	for (int i = 0; i < SIM_BUFFER_CLASSES; i++)
		free_buffers(sim->free_buffers[i]);
}

void sim_run(struct sim *sim, uint64_t end_ns)
{
	struct sim_event event;

	sim->end_ns = end_ns;
	while (!sim->violation[0] && sim->events.count && sim->events.heap[0].time_ns <= sim->end_ns) {
		sim_events_take(&sim->events, &event);
		sim->now_ns = event.time_ns;
		sim->events_run++;
		event.action(event.object, event.argument);
	}
}
