/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links and packets. A transmitter sends the highest priority first and within one in
 * order; faults strike on the wire, after it.
 */
#include "sim.h"

#include <string.h>

#include "sim_trace.h"

#define SMALL_PACKET 128 /* bytes: every header, no payload to speak of */

struct sim_packet *sim_packet_new(struct sim *sim, uint32_t captured)
{
	bool large = captured > SMALL_PACKET;
	struct sim_packet **pool = large ? &sim->free_large : &sim->free_small;
	struct sim_packet *packet = *pool;

	if (packet)
		*pool = packet->next;
	else
		packet = sim_realloc(NULL, sizeof(*packet) + (large ? SIM_MTU : SMALL_PACKET));
	packet->large = large;
	packet->captured = captured;
	packet->next = NULL;
	return packet;
}

struct sim_packet *sim_packet_copy(struct sim *sim, const struct sim_packet *packet)
{
	struct sim_packet *copy = sim_packet_new(sim, packet->captured);

	memcpy(copy, packet, sizeof(*packet) + packet->captured);
	copy->next = NULL;
	return copy;
}

void sim_packet_free(struct sim *sim, struct sim_packet *packet)
{
	struct sim_packet **pool = packet->large ? &sim->free_large : &sim->free_small;

	packet->next = *pool;
	*pool = packet;
}

void sim_link_init(struct sim_link *link, struct sim *sim, struct sim_host *to,
		   const struct sim_topology *topology)
{
	*link = (struct sim_link){
	    .sim = sim,
	    .to = to,
	    .rate_mbps = topology->rate_mbps,
	    .delay_ns = topology->delay_ns,
	    .limit_bytes = topology->buffer_bytes,
	    .faults = topology->faults,
	};
}

static uint32_t frame_bytes(const struct sim_packet *packet)
{
	uint32_t bytes = sim_packet_ip_bytes(packet) + SIM_FRAME_OVERHEAD;

	return bytes < SIM_FRAME_MIN ? SIM_FRAME_MIN : bytes;
}

static void arrive(void *object, uint64_t argument)
{
	struct sim_link *link = object;
	struct sim_packet *packet = (struct sim_packet *)(uintptr_t)argument;

	if (link->to)
		sim_host_receive(link->to, packet);
	else
		sim_link_send(&packet->destination->downlink, packet);
}

static void propagate(struct sim_link *link, struct sim_packet *packet, uint64_t time_ns)
{
	const struct sim_faults *faults = &link->faults;

	if (sim_random_chance(&link->sim->random, faults->reorder)) {
		link->reordered++;
		time_ns += sim_random_below(&link->sim->random, faults->reorder_max_ns);
	}
	sim_at(link->sim, time_ns, arrive, link, (uintptr_t)packet);
}

/* Starts sending now; the transmitter is free. */
static void transmit(struct sim_link *link, struct sim_packet *packet)
{
	struct sim *sim = link->sim;
	uint64_t arrival_ns;

	link->free_ns = sim->now_ns + (uint64_t)frame_bytes(packet) * 8000 / link->rate_mbps;
	arrival_ns = link->free_ns + link->delay_ns;
	link->sent++;
	if (sim_random_chance(&sim->random, link->faults.duplicate)) {
		link->duplicated++;
		propagate(link, sim_packet_copy(sim, packet), arrival_ns);
	}
	if (sim_random_chance(&sim->random, link->faults.loss)) {
		link->lost++;
		sim_packet_free(sim, packet);
	} else if (sim_random_chance(&sim->random, link->faults.corrupt)) {
		link->corrupted++;
		sim_packet_free(sim, packet);
	} else {
		propagate(link, packet, arrival_ns);
	}
}

static struct sim_packet *dequeue(struct sim_link *link)
{
	for (int priority = HOMA_PRIORITIES - 1; priority >= 0; priority--) {
		struct sim_queue *queue = &link->queue[priority];
		struct sim_packet *packet = queue->first;

		if (packet) {
			queue->first = packet->next;
			packet->next = NULL;
			link->queued_bytes -= frame_bytes(packet);
			return packet;
		}
	}
	return NULL;
}

static void transmitter_free(void *object, uint64_t argument)
{
	struct sim_link *link = object;
	struct sim_packet *packet = dequeue(link);

	(void)argument;
	link->waiting = false;
	if (packet)
		transmit(link, packet);
	if (link->queued_bytes) {
		link->waiting = true;
		sim_at(link->sim, link->free_ns, transmitter_free, link, 0);
	}
}

void sim_link_send(struct sim_link *link, struct sim_packet *packet)
{
	struct sim_queue *queue = &link->queue[packet->priority];
	uint32_t bytes = frame_bytes(packet);

	if (!link->waiting && link->free_ns <= link->sim->now_ns) {
		transmit(link, packet);
		return;
	}
	if (link->queued_bytes + bytes > link->limit_bytes) {
		link->dropped_full++;
		sim_packet_free(link->sim, packet);
		return;
	}
	if (queue->first)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
	link->queued_bytes += bytes;
	if (link->queued_bytes > link->max_queued_bytes)
		link->max_queued_bytes = link->queued_bytes;
	if (!link->waiting) {
		link->waiting = true;
		sim_at(link->sim, link->free_ns, transmitter_free, link, 0);
	}
}

void sim_link_free(struct sim_link *link)
{
	struct sim_packet *packet;

	while ((packet = dequeue(link)))
		free(packet);
}
