/* SPDX-License-Identifier: BSD-2-Clause */
/* Greedy shortest remaining time first over all hosts: see sim_slowdown.h. */
#include <string.h>

#include "sim_slowdown.h"

#define DECILE_REPLY 255

/* Times are of the receiver's or the sender's link: they are equally fast. */
struct flow {
	struct sim_arrival arrival;
	double left_ns;
	uint64_t size_ns;
};

struct oracle {
	const struct sim_topology *topology;
	struct sim_arrivals *arrivals;
	uint32_t unscheduled;
	uint64_t measured_ns, end_ns;
	struct sim_slowdown *slowdown;
	struct sim_events events;
	double now_ns;
	/* Fewest left first, but for the running ones' progress since they were sorted. */
	struct flow **flows;
	bool *running;
	uint32_t count, capacity;
};

static void arrive(void *object, uint64_t argument);

static void begin(struct oracle *oracle, const struct sim_arrival *arrival)
{
	struct flow *flow = sim_realloc(NULL, sizeof(*flow));

	*flow = (struct flow){ .arrival = *arrival };
	flow->size_ns = sim_message_wire_bytes(arrival->length, oracle->unscheduled) * 8000 /
			oracle->topology->rate_mbps;
	flow->left_ns = (double)flow->size_ns;
	if (oracle->count == oracle->capacity) {
		oracle->capacity = oracle->capacity ? 2 * oracle->capacity : 1024;
		oracle->flows = sim_realloc(oracle->flows, oracle->capacity * sizeof(*oracle->flows));
		oracle->running = sim_realloc(oracle->running, oracle->capacity * sizeof(*oracle->running));
	}
	oracle->running[oracle->count] = false;
	oracle->flows[oracle->count++] = flow;
}

static void begin_reply(void *object, uint64_t argument)
{
	struct sim_arrival reply = {
		.from = (uint32_t)(argument >> 32),
		.to = (uint32_t)argument,
		.length = SIM_REPLY_BYTES,
		.decile = DECILE_REPLY,
	};

	begin(object, &reply);
}

static void schedule(struct oracle *oracle, uint32_t host)
{
	struct sim_arrival *arrival = sim_realloc(NULL, sizeof(*arrival));

	sim_arrivals_next(oracle->arrivals, host, arrival);
	if (arrival->time_ns >= oracle->end_ns)
		free(arrival);
	else
		sim_events_add(&oracle->events, arrival->time_ns, arrive, oracle, (uintptr_t)arrival);
}

static void arrive(void *object, uint64_t argument)
{
	struct sim_arrival *arrival = (struct sim_arrival *)(uintptr_t)argument;

	begin(object, arrival);
	schedule(object, arrival->from);
	free(arrival);
}

static void finish(struct oracle *oracle, const struct flow *flow)
{
	const struct sim_arrival *a = &flow->arrival;
	uint64_t ideal_ns, done_ns;

	if (a->decile == DECILE_REPLY)
		return;
	ideal_ns = sim_ideal_ns(oracle->topology, a->from, a->to, a->length, oracle->unscheduled);
	done_ns = (uint64_t)oracle->now_ns + ideal_ns - flow->size_ns;
	sim_events_add(&oracle->events, done_ns, begin_reply, oracle, (uint64_t)a->to << 32 | a->from);
	if (a->time_ns >= oracle->measured_ns)
		sim_slowdown_add(oracle->slowdown, a->decile,
				 (double)(done_ns - a->time_ns) / (double)ideal_ns);
}

/* Lets the running flows run until `time_ns`; those that are done leave. */
static void progress(struct oracle *oracle, double time_ns)
{
	double elapsed_ns = time_ns - oracle->now_ns;
	uint32_t kept = 0;

	oracle->now_ns = time_ns;
	for (uint32_t i = 0; i < oracle->count; i++) {
		struct flow *flow = oracle->flows[i];

		if (oracle->running[i])
			flow->left_ns -= elapsed_ns;
		if (flow->left_ns < 0.5) {
			finish(oracle, flow);
			free(flow);
		} else {
			oracle->flows[kept++] = flow;
		}
	}
	oracle->count = kept;
}

/* Insertion sort: they are nearly in order. */
static void sort(struct oracle *oracle)
{
	for (uint32_t i = 1; i < oracle->count; i++) {
		struct flow *flow = oracle->flows[i];
		uint32_t at = i;

		for (; at && oracle->flows[at - 1]->left_ns > flow->left_ns; at--)
			oracle->flows[at] = oracle->flows[at - 1];
		oracle->flows[at] = flow;
	}
}

/* Gives the links out; when the first of those that run will be done. */
static double match(struct oracle *oracle)
{
	bool out[SIM_MAX_HOSTS] = { false }, in[SIM_MAX_HOSTS] = { false };
	double first_ns = -1;

	for (uint32_t i = 0; i < oracle->count; i++) {
		const struct sim_arrival *a = &oracle->flows[i]->arrival;

		oracle->running[i] = !out[a->from] && !in[a->to];
		if (!oracle->running[i])
			continue;
		out[a->from] = in[a->to] = true;
		if (first_ns < 0)
			first_ns = oracle->now_ns + oracle->flows[i]->left_ns;
	}
	return first_ns;
}

void sim_oracle_run(const struct sim_topology *topology, struct sim_arrivals *arrivals, uint32_t unscheduled,
		    uint64_t measured_ns, uint64_t end_ns, struct sim_slowdown *slowdown)
{
	struct oracle *oracle = sim_realloc(NULL, sizeof(*oracle));
	struct sim_event event;

	*oracle = (struct oracle){ .topology = topology,
				   .arrivals = arrivals,
				   .unscheduled = unscheduled,
				   .measured_ns = measured_ns,
				   .end_ns = end_ns,
				   .slowdown = slowdown };
	sim_events_init(&oracle->events);
	for (uint32_t i = 0; i < arrivals->host_count; i++)
		schedule(oracle, i);
	while (oracle->count || oracle->events.count) {
		double done_ns = match(oracle), next_ns = (double)sim_events_next(&oracle->events);

		if (done_ns >= 0 && done_ns <= next_ns) {
			progress(oracle, done_ns);
		} else {
			progress(oracle, next_ns);
			if (sim_events_take(&oracle->events, UINT64_MAX, &event))
				event.action(event.object, event.argument);
		}
		sort(oracle);
	}
	sim_events_free(&oracle->events);
	free(oracle->flows);
	free(oracle->running);
	free(oracle);
}
