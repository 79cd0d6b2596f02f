/* SPDX-License-Identifier: BSD-2-Clause */
/* Row S9. */
#include <string.h>

#include "homa_core.h"
#include "sim_rows.h"
#include "sim_slowdown.h"

#define SHORT         1000
#define LONG          1000000
#define OUTSTANDING   8            /* short ones at a time: a round trip's worth, so that the link is full */
#define SHARE_NS      10000000ull  /* for which the long one's share of the link is measured */
#define LIMIT_NS      100000000ull /* then it has starved */
#define LEAST_PERCENT 3
#define MOST_TIMES    2

struct starvation {
	struct sim sim;
	uint32_t long_sender;
	bool no_long;
	uint64_t start_ns;
	uint64_t short_count, long_bytes; /* that arrived in SHARE_NS */
	uint64_t long_ns;                 /* when the long one was complete */
	uint64_t started_ns[OUTSTANDING]; /* by cookie */
	struct sim_slowdown times;        /* of the short ones, in units of 1 ns; decile 0 */
};

static void begin(struct starvation *run, struct sim_host *host, uint32_t length, uint64_t cookie)
{
	struct net_endpoint remote = { run->sim.hosts[0].ip, SIM_SERVER_PORT };
	uint64_t handle;

	if (cookie < OUTSTANDING)
		run->started_ns[cookie] = run->sim.now_ns;
	if (homa_request(host->homa, run->sim.now_ns, host->client_port, &remote, &host->ip, NULL, length,
			 cookie, &handle))
		sim_violation(&run->sim, "host %u cannot send", host->index);
}

static void on_event(struct sim_host *host, const struct homa_event *event)
{
	struct starvation *run = host->application;

	if (event->type == HOMA_EVENT_REQUEST) {
		if (event->length == LONG)
			run->long_ns = run->sim.end_ns = run->sim.now_ns;
		homa_respond(host->homa, run->sim.now_ns, event->handle, NULL, 1);
	} else if (event->type == HOMA_EVENT_RESPONSE && event->cookie < OUTSTANDING) {
		run->short_count++;
		sim_slowdown_add(&run->times, 0, (double)(run->sim.now_ns - run->started_ns[event->cookie]));
		begin(run, host, SHORT, event->cookie);
	} else if (event->type != HOMA_EVENT_RESPONSE) {
		sim_violation(&run->sim, "host %u: an RPC failed", host->index);
	}
}

static void on_received(struct sim_host *host, const struct sim_packet *packet)
{
	struct starvation *run = host->application;
	const struct homa_data_header *h = (const void *)packet->data;

	if (h->common.type == HOMA_DATA && h->message_length == wire32(LONG) && !h->retransmit &&
	    run->sim.now_ns - run->start_ns < SHARE_NS)
		run->long_bytes += packet->length - (uint32_t)sizeof(*h);
}

static void start(void *object, uint64_t cookie)
{
	struct sim_host *host = object;

	begin(host->application, host, cookie < OUTSTANDING ? SHORT : LONG, cookie);
	sim_host_settle(host);
}

/* `outstanding` short messages at a time from host 1, a long one from `long_sender`, 0 = none. */
static void run_one(struct starvation *run, const struct homa_params *params, uint32_t outstanding,
		    uint32_t long_sender)
{
	static const struct sim_application application = { .event = on_event, .received = on_received };
	struct sim_topology topology = { .hosts = 3,
					 .rate_mbps = params->link_mbps,
					 .switch_ns = 250,
					 .host_ns = 1500,
					 .buffer_bytes = UINT64_MAX,
					 .bodiless = true };

	memset(run, 0, sizeof(*run));
	sim_init(&run->sim, 9, &topology, params, &application);
	run->sim.unhashed = true;
	run->start_ns = run->sim.now_ns;
	for (uint32_t i = 0; i < topology.hosts; i++)
		run->sim.hosts[i].application = run;
	for (uint32_t i = 0; i < outstanding; i++)
		sim_at(&run->sim, run->start_ns, start, &run->sim.hosts[1], i);
	if (long_sender)
		sim_at(&run->sim, run->start_ns, start, &run->sim.hosts[long_sender], OUTSTANDING);
	sim_run(&run->sim, run->start_ns + LIMIT_NS);
	if (run->sim.violation[0])
		printf("S9: %s\n", run->sim.violation);
	sim_free(&run->sim);
}

bool sim_row_starvation(const struct homa_params *params)
{
	struct starvation *run = sim_realloc(NULL, sizeof(*run));
	double alone_us, p99_us, percent, took_ns, share_ns;
	bool good = true;

	run_one(run, params, 1, 0);
	alone_us = sim_slowdown_quantile(&run->times, 0, 0.99) / 1000;
	for (uint32_t long_sender = 1; long_sender <= 2; long_sender++) {
		bool passed;

		run_one(run, params, OUTSTANDING, long_sender);
		p99_us = sim_slowdown_quantile(&run->times, 0, 0.99) / 1000;
		took_ns = (double)(run->long_ns ? run->long_ns - run->start_ns : LIMIT_NS);
		share_ns = took_ns < SHARE_NS ? took_ns : SHARE_NS;
		percent = (double)run->long_bytes * 800e3 / (params->link_mbps * share_ns);
		passed = !run->sim.violation[0] && run->long_ns && p99_us <= MOST_TIMES * alone_us &&
			 percent >= LEAST_PERCENT;
		printf("S9 starvation, %s: %u-byte round trips p50 %.1f, p99 %.1f us, %.1f us alone; they "
		       "have %.1f %% "
		       "of the link, the message of %u bytes %.1f %% of %u ms, and is complete after %.0f: "
		       "%s\n",
		       long_sender == 1 ? "one sender" : "two senders", SHORT,
		       sim_slowdown_quantile(&run->times, 0, 0.5) / 1000, p99_us, alone_us,
		       (double)run->short_count * SHORT * 800e3 / (params->link_mbps * took_ns), LONG,
		       percent, (unsigned int)(SHARE_NS / 1000000), took_ns / 1e6,
		       passed ? "passed" : "FAILED");
		good = good && passed;
	}
	free(run);
	return good;
}
