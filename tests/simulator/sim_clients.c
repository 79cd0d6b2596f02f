/* SPDX-License-Identifier: BSD-2-Clause */
/* The application: every host asks the others, a few requests at a time, and serves them. */
#include "sim_run_state.h"

#include <errno.h>
#include <string.h>

#include "homa_core.h"

#define HEAVY_LOSS 200000 /* from here on, all 20 RESENDs of an RPC and their answers may fail */

/* A request whose handler takes its time. */
struct service {
	struct sim_host *host;
	uint32_t life; /* of the host */
	uint64_t handle;
	void *data;
	uint32_t length;
};

uint64_t sim_ideal_bytes(uint32_t length, uint32_t unscheduled)
{
	uint32_t header = 20 + sizeof(struct homa_data_header), payload = SIM_MTU - header, packets = 0;

	for (uint32_t at = 0; at < length; packets++)
		at = homa_segment_end(at, unscheduled, payload, length);
	return length + (uint64_t)packets * header;
}

/* ---- clients ---- */

static void issue(struct sim_host *host)
{
	struct run *run = host->application;
	struct sim *sim = host->sim;
	uint32_t sequence = run->issued[host->index], length = sim_profile_length(&sim->random);
	uint32_t reply_length = sim_profile_length(&sim->random);
	uint32_t to = sim_random_below(&sim->random, sim->host_count - 1);
	struct net_endpoint remote = { .port = SIM_SERVER_PORT };
	struct net_ip any = { 0 };
	struct sim_rpc *rpc;
	uint64_t handle;
	void *data;
	int error;

	if (sequence == run->per_client || run->holding)
		return;
	run->issued[host->index]++;
	to += to >= host->index;
	remote.ip = sim->hosts[to].ip;
	data = sim_buffer_get(host, length);
	sim_ledger_request(&run->ledger, sim, host->index, sequence, data, length, reply_length);
	rpc = sim_ledger_rpc(&run->ledger, host->index, sequence);
	rpc->server = to;
	run->ideal_bytes += sim_ideal_bytes(length, host->params.unsched_bytes);
	run->ideal_bytes += sim_ideal_bytes(rpc->reply_length, host->params.unsched_bytes);
	sim_check_meet(&run->check, host, &sim->hosts[to]);
	error = homa_request(host->homa, sim_host_now(host), host->client_port, &remote, &any, data, length,
			     sequence, &handle);
	if (error)
		sim_violation(sim, "client %u cannot send a request of %u bytes: %s", host->index, length,
			      strerror(-error));
	if (++run->issued_in_all == run->calm_from)
		sim_liveness_begin(run);
}

static void start(void *object, uint64_t argument)
{
	struct sim_host *host = object;

	(void)argument;
	if (!host->homa)
		return;
	issue(host);
	sim_host_settle(host);
}

void sim_clients_start(struct run *run, struct sim_host *host)
{
	for (uint32_t n = 0; n < run->outstanding; n++)
		sim_at(&run->sim, run->sim.now_ns + sim_random_below(&run->sim.random, 20000), start, host,
		       0);
}

/* ---- servers ---- */

static void answer(struct service *service)
{
	struct sim_host *host = service->host;
	int error;

	if (host->life != service->life || !host->homa) {
		sim_buffer_put(host, service->data, service->length);
	} else {
		error = homa_respond(host->homa, sim_host_now(host), service->handle, service->data,
				     service->length);
		if (error && error != -ENOENT)
			sim_violation(host->sim, "server %u cannot answer with %u bytes: %s", host->index,
				      service->length, strerror(-error));
		sim_host_settle(host);
	}
	free(service);
}

static void service_done(void *object, uint64_t argument)
{
	struct service *service = object;
	struct sim_host *host = service->host;

	(void)argument;
	if (host->sim->now_ns < host->resume_ns && host->life == service->life)
		sim_at(host->sim, host->resume_ns, service_done, service, 0);
	else
		answer(service);
}

static void serve(struct sim_host *host, const struct homa_event *event)
{
	struct run *run = host->application;
	struct service *service = sim_realloc(NULL, sizeof(*service));
	uint32_t delay_ns = sim_random_below(&host->sim->random, run->service_ns + 1);

	service->host = host;
	service->life = host->life;
	service->handle = event->handle;
	service->length = sim_ledger_execute(&run->ledger, host->sim, event);
	service->data = sim_buffer_get(host, service->length);
	sim_ledger_reply(event, service->data, service->length);
	sim_at(host->sim, host->sim->now_ns + delay_ns, service_done, service, 0);
}

/* ---- what happens ---- */

/* Whether an RPC may have failed: something kept its two hosts apart. */
static bool excused(struct run *run, const struct sim_rpc *rpc, uint32_t client)
{
	if (run->profile->faults.garble ||
	    sim_storm_excuses(&run->storm, client, rpc->server, rpc->issued_ns))
		return true;
	return rpc->issued_ns < run->calm_ns && run->faults.loss >= HEAVY_LOSS && !run->unlucky++;
}

static void failed(struct run *run, struct sim_host *host, const struct homa_event *event)
{
	const struct sim_rpc *rpc = sim_ledger_rpc(&run->ledger, host->index, event->cookie);

	if (event->cookie < run->per_client && rpc->status == SIM_RPC_PENDING &&
	    !excused(run, rpc, host->index))
		sim_violation(&run->sim, "RPC %llu of client %u fails without a reason: %s",
			      (unsigned long long)event->rpc_id, host->index, strerror(-event->error));
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
	case HOMA_EVENT_FAILED:
		if (event->type == HOMA_EVENT_FAILED)
			failed(run, host, event);
		sim_check_ended(&run->check, host, event);
		sim_ledger_finish(&run->ledger, host->sim, host->index, event);
		if (event->type == HOMA_EVENT_RESPONSE)
			homa_message_free(host->homa, event->data, event->length);
		issue(host);
		break;
	case HOMA_EVENT_CANCELLED:
	case HOMA_EVENT_NONE:
		break;
	}
}

static void on_sent(struct sim_host *host, const struct sim_packet *packet)
{
	struct run *run = host->application;

	if (run && !run->profile->faults.garble)
		sim_check_sent(&run->check, host, packet);
}

static void on_received(struct sim_host *host, const struct sim_packet *packet)
{
	struct run *run = host->application;

	if (!run->profile->faults.garble)
		sim_check_received(&run->check, host, packet);
}
const struct sim_application sim_clients = { .event = on_event, .sent = on_sent, .received = on_received };
