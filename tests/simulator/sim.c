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

	*sim = (struct sim){.seed = seed,
			    .host_count = topology->hosts,
			    .application = application,
			    .ecn_capable = topology->ecn_bytes > 0,
			    .bodiless = topology->bodiless};
	sim->now_ns = 1000000000; /* not 0, so that code that takes 0 for "never" shows */
	sim_random_seed(&sim->random, seed);
	sim_events_init(&sim->events);
	sim->events.now_ns = sim->now_ns;
	sim->hosts = sim_realloc(NULL, sim->host_count * sizeof(*sim->hosts));
	if (!params) {
		simulator_params(&defaults, topology);
		params = &defaults;
	}
	for (uint32_t i = 0; i < sim->host_count; i++)
		sim_host_init(&sim->hosts[i], sim, i, params);
	/* They have been there for a while: hosts that are new see to restarts first. */
	sim->now_ns += SIM_UPTIME_NS;
	sim->events.now_ns = sim->now_ns;
	sim_topology_build(sim, topology);
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
	for (uint32_t i = 0; i < sim->host_count; i++)
		sim_host_free(&sim->hosts[i]);
	sim_topology_free(sim);
	free(sim->hosts);
	sim_events_free(&sim->events);
	sim_packets_free(sim);
	for (int i = 0; i < SIM_BUFFER_CLASSES; i++)
		free_buffers(sim->free_buffers[i]);
}

void sim_run(struct sim *sim, uint64_t end_ns)
{
	struct sim_event event;

	sim->end_ns = end_ns;
	while (!sim->violation[0] && sim_events_take(&sim->events, sim->end_ns, &event)) {
		sim->now_ns = event.time_ns;
		sim->events_run++;
		event.action(event.object, event.argument);
	}
}
