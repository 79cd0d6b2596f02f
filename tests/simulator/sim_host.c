/* SPDX-License-Identifier: BSD-2-Clause */
/* A host: the Homa core, plugged into the simulated network, clock and memory. */
#include "sim.h"

#include <errno.h>
#include <string.h>

#include "homa_core.h"
#include "sim_trace.h"

#define FIRST_ADDRESS 0x0a000001u /* 10.0.0.1 */

static struct net_ip address(uint32_t index)
{
	return net_ip_from_v4(wire32(FIRST_ADDRESS + index));
}

/* ---- memory ---- */

/* In front of every message buffer, so that a wrong buffer_put is noticed. */
struct buffer_head {
	struct sim_host *owner;
	uint32_t length;
	uint32_t class;
};

static uint32_t buffer_class(uint32_t length)
{
	uint32_t class = 0;

	while ((64u << class) < length)
		class ++;
	return class;
}

void *sim_buffer_get(struct sim_host *host, uint32_t length)
{
	struct sim *sim = host->sim;
	uint32_t class = buffer_class(length);
	struct buffer_head *head = sim->free_buffers[class];

	if (head)
		sim->free_buffers[class] = *(void **)head;
	else
		head = sim_realloc(NULL, sizeof(*head) + (64u << class));
	*head = (struct buffer_head){host, length, class};
	host->buffers++;
	host->buffer_bytes += length;
	return head + 1;
}

void sim_buffer_put(struct sim_host *host, void *data, uint32_t length)
{
	struct buffer_head *head = (struct buffer_head *)data - 1;
	struct sim *sim = host->sim;

	if (head->owner != host || head->length != length) {
		sim_violation(sim, "host %u returns a buffer of %u bytes that was one of %u", host->index,
			      length, head->length);
		return;
	}
	host->buffers--;
	host->buffer_bytes -= length;
	head->owner = NULL;
	*(void **)head = sim->free_buffers[head->class];
	sim->free_buffers[head->class] = head;
}

static void *buffer_get(void *ctx, uint32_t length)
{
	return sim_buffer_get(ctx, length);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	sim_buffer_put(ctx, data, length);
}

/* ---- the network ---- */

static void transmit(void *ctx, void *path_handle, const struct homa_packet_out *out)
{
	struct sim_host *host = ctx;
	struct sim *sim = host->sim;
	bool first = out->payload_length && !homa_data_offset(&out->header.data);
	bool elided = out->payload_length && (sim->bodiless || (sim->elide && !first));
	uint32_t captured = out->header_length + (elided ? 0 : out->payload_length);
	struct sim_packet *packet = sim_packet_new(sim, captured);

	packet->source = host;
	packet->destination = path_handle;
	packet->length = out->header_length + out->payload_length;
	packet->priority = out->priority;
	packet->elided = elided;
	packet->ecn_capable = sim->ecn_capable;
	memcpy(packet->data, &out->header, out->header_length);
	if (captured > out->header_length)
		memcpy(packet->data + out->header_length, out->payload, out->payload_length);
	if (packet->priority >= HOMA_PRIORITIES || sim_packet_ip_bytes(packet) > SIM_MTU) {
		sim_violation(sim, "host %u sends a packet of priority %u, %u bytes", host->index,
			      packet->priority, packet->length);
		sim_packet_free(sim, packet);
		return;
	}
	sim->packets++;
	sim->ip_bytes += sim_packet_ip_bytes(packet);
	if (!sim->unhashed)
		sim_trace_packet(sim, packet);
	if (sim->application->sent)
		sim->application->sent(host, packet);
	sim_link_send(&host->uplink, packet);
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *path)
{
	struct sim_host *host = ctx;
	uint32_t index = wire32(remote->w[3]) - FIRST_ADDRESS;

	if (!net_ip_is_v4(remote) || index >= host->sim->host_count)
		return -EHOSTUNREACH;
	if (!net_ip_is_any(local) && !net_ip_equal(local, &host->ip))
		return -EADDRNOTAVAIL;
	*path = (struct homa_path){&host->sim->hosts[index], host->ip, SIM_MTU};
	return 0;
}

static void path_close(void *ctx, void *path_handle)
{
	(void)ctx;
	(void)path_handle;
}

static uint64_t next_random(void *ctx)
{
	struct sim_host *host = ctx;

	return sim_random_next(&host->sim->random);
}

static void wake(void *object, uint64_t time_ns);

/* Sees to it that some event wakes the host at `due_ns` or before: an early one looks
 * again, so that a timer which moves on with every packet needs no event each time. */
static void set_timer(struct sim_host *host, uint64_t due_ns)
{
	if (host->wake_count && host->wake_ns[host->wake_count - 1] <= due_ns)
		return;
	if (host->wake_count == SIM_WAKE_UPS)
		memmove(host->wake_ns, host->wake_ns + 1, --host->wake_count * sizeof(*host->wake_ns));
	host->wake_ns[host->wake_count++] = due_ns;
	sim_at(host->sim, due_ns, wake, host, due_ns);
}

static void wake(void *object, uint64_t time_ns)
{
	struct sim_host *host = object;

	/* One that set_timer forgot, or of a former life, costs a look. */
	if (host->wake_count && host->wake_ns[host->wake_count - 1] == time_ns)
		host->wake_count--;
	if (!host->homa)
		return;
	if (host->sim->now_ns < host->resume_ns) {
		set_timer(host, host->resume_ns);
		return;
	}
	if (homa_next_timeout(host->homa, sim_host_now(host)) <= sim_host_now(host))
		homa_poll(host->homa, sim_host_now(host));
	sim_host_settle(host);
}

void sim_host_settle(struct sim_host *host)
{
	struct sim *sim = host->sim;
	struct homa_event event;
	uint64_t now_ns, due_ns;
	int64_t delay_ns;

	while (host->homa && homa_next_event(host->homa, &event)) {
		if (!sim->unhashed)
			sim_trace_event(sim, host, &event);
		sim->application->event(host, &event);
	}
	if (!host->homa)
		return;
	now_ns = sim_host_now(host);
	due_ns = homa_next_timeout(host->homa, now_ns);
	if (due_ns == UINT64_MAX)
		return;
	delay_ns = due_ns > now_ns ? (int64_t)(due_ns - now_ns) : 1;
	/* By its own clock; one too early only looks again. */
	if (host->clock_drift_ppm)
		delay_ns -= delay_ns * host->clock_drift_ppm / 1000000;
	set_timer(host, sim->now_ns + (delay_ns > 0 ? (uint64_t)delay_ns : 1));
}

static void receive_late(void *object, uint64_t argument)
{
	sim_host_receive(object, (struct sim_packet *)(uintptr_t)argument);
}

void sim_host_receive(struct sim_host *host, struct sim_packet *packet)
{
	struct sim *sim = host->sim;
	uint32_t from = sim_index(sim, packet->source);
	struct homa_packet_in in = {
	    .source = address(from),
	    .destination = host->ip,
	    .data = packet->data,
	    .length = packet->length,
	    .where = packet->elided ? HOMA_PAYLOAD_ELIDED : HOMA_PAYLOAD_FOLLOWS,
	};

	if (sim->now_ns < host->resume_ns) {
		sim_at(sim, host->resume_ns, receive_late, host, (uintptr_t)packet);
		return;
	}
	if (!host->homa || sim->islands[from] != sim->islands[host->index]) {
		sim_packet_free(sim, packet);
		return;
	}
	if (sim->application->received)
		sim->application->received(host, packet);
	homa_input(host->homa, sim_host_now(host), &in);
	homa_input_done(host->homa, sim_host_now(host));
	sim_packet_free(sim, packet);
	sim_host_settle(host);
}

/* ---- life ---- */

void sim_host_start(struct sim_host *host)
{
	static const struct homa_ops ops = {
	    .transmit = transmit,
	    .path_open = path_open,
	    .path_close = path_close,
	    .buffer_get = buffer_get,
	    .buffer_put = buffer_put,
	    .random = next_random,
	};
	static const struct homa_ops bodiless_ops = {
	    .transmit = transmit,
	    .path_open = path_open,
	    .path_close = path_close,
	    .random = next_random,
	};
	int port = -1;

	host->life++;
	host->wake_count = 0;
	if (!homa_create(&host->params, host->sim->bodiless ? &bodiless_ops : &ops, host, sim_host_now(host), &host->homa) &&
	    homa_port_open(host->homa, SIM_SERVER_PORT) == SIM_SERVER_PORT)
		port = homa_port_open(host->homa, 0);
	if (port < HOMA_MIN_CLIENT_PORT) {
		fprintf(stderr, "host %u cannot be created\n", host->index);
		exit(2);
	}
	host->client_port = (uint16_t)port;
}

void sim_host_crash(struct sim_host *host)
{
	homa_destroy(host->homa);
	host->homa = NULL;
}

void sim_host_init(struct sim_host *host, struct sim *sim, uint32_t index, const struct homa_params *params)
{
	*host = (struct sim_host){
	    .sim = sim,
	    .index = index,
	    .ip = address(index),
	    .params = *params,
	};
	sim_host_start(host);
}

void sim_host_free(struct sim_host *host)
{
	homa_destroy(host->homa);
}
