/* SPDX-License-Identifier: BSD-2-Clause */
/* Row S7. */
#include <string.h>

#include "homa_core.h"
#include "sim_rows.h"
#include "sim_slowdown.h"

#define SENDERS      100
#define LENGTH       100000
#define BUFFER       1000000
#define MOST_PERCENT 130
#define MOST_ASKED   5
#define BLOCK        1000 /* bytes by which it is counted how often they are asked for */
#define LIMIT_NS     1000000000ull

struct incast {
	struct sim sim;
	uint64_t start_ns, last_ns;
	uint32_t received, answered, failed;
	uint8_t asked[SENDERS][LENGTH / BLOCK];
	uint32_t most_asked, resends;
};

static void on_event(struct sim_host *host, const struct homa_event *event)
{
	struct incast *incast = host->application;

	if (event->type == HOMA_EVENT_REQUEST) {
		incast->received++;
		incast->last_ns = incast->sim.now_ns;
		homa_respond(host->homa, incast->sim.now_ns, event->handle, NULL, 1);
	} else if (event->type == HOMA_EVENT_RESPONSE) {
		incast->answered++;
	} else {
		incast->failed++;
	}
}

static void on_sent(struct sim_host *host, const struct sim_packet *packet)
{
	struct incast *incast = host->application;
	const struct homa_resend_header *h = (const void *)packet->data;
	uint64_t end;

	if (h->common.type != HOMA_RESEND)
		return;
	incast->resends++;
	if (host->index != SENDERS)
		return;
	end = (uint64_t)wire32(h->offset) + wire32(h->length);
	for (uint64_t at = wire32(h->offset); at < end && at < LENGTH; at += BLOCK) {
		uint8_t *asked = &incast->asked[packet->destination->index][at / BLOCK];

		if (++*asked > incast->most_asked)
			incast->most_asked = *asked;
	}
}

static void start(void *object, uint64_t argument)
{
	struct sim_host *host = object;
	struct incast *incast = host->application;
	struct net_endpoint remote = { incast->sim.hosts[SENDERS].ip, SIM_SERVER_PORT };
	uint64_t handle;

	(void)argument;
	if (homa_request(host->homa, incast->sim.now_ns, host->client_port, &remote, &host->ip, NULL, LENGTH,
			 0, &handle))
		sim_violation(&incast->sim, "host %u cannot send", host->index);
	sim_host_settle(host);
}

static bool report(struct incast *incast, const struct sim_topology *topology, uint32_t unscheduled)
{
	double ideal_us =
		(double)(sim_message_wire_bytes(LENGTH, unscheduled) * SENDERS * 8000 / topology->rate_mbps) /
		1000;
	double took_us = (double)(incast->last_ns - incast->start_ns) / 1000;
	struct homa_counters counters;
	bool good;

	homa_counters_get(incast->sim.hosts[SENDERS].homa, &counters);
	good = incast->received == SENDERS && incast->answered == SENDERS && !incast->failed &&
	       took_us * 100 <= ideal_us * MOST_PERCENT && incast->most_asked <= MOST_ASKED;
	printf("S7 incast: %u of %u x %u bytes in %.0f us, %.3f x the ideal %.0f us; %llu packets dropped, "
	       "%u RESENDs "
	       "(%llu early), no byte asked for more than %u times; %llu bytes queued at most: %s\n",
	       incast->received, SENDERS, LENGTH, took_us, took_us / ideal_us, ideal_us,
	       (unsigned long long)incast->sim.hosts[SENDERS].downlink.dropped_full, incast->resends,
	       (unsigned long long)counters.holes, incast->most_asked,
	       (unsigned long long)incast->sim.hosts[SENDERS].downlink.max_queued_bytes,
	       good ? "passed" : "FAILED");
	return good;
}

bool sim_row_incast(const struct homa_params *params)
{
	static const struct sim_application application = { .event = on_event, .sent = on_sent };
	struct sim_topology topology = {
		.hosts = SENDERS + 1,
		.rate_mbps = 10000,
		.switch_ns = 250,
		.host_ns = 1500,
		.buffer_bytes = BUFFER,
		.bodiless = true,
	};
	struct incast *incast = sim_realloc(NULL, sizeof(*incast));
	bool good;

	memset(incast, 0, sizeof(*incast));
	sim_init(&incast->sim, 7, &topology, params, &application);
	incast->sim.unhashed = true;
	incast->start_ns = incast->sim.now_ns;
	for (uint32_t i = 0; i <= SENDERS; i++)
		incast->sim.hosts[i].application = incast;
	for (uint32_t i = 0; i < SENDERS; i++)
		sim_at(&incast->sim, incast->start_ns, start, &incast->sim.hosts[i], 0);
	sim_run(&incast->sim, incast->start_ns + LIMIT_NS);
	good = report(incast, &topology, params->unsched_bytes);
	sim_free(&incast->sim);
	free(incast);
	return good;
}
