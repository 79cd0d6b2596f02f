/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links and packets. A transmitter sends the highest priority first and within one in
 * order; faults strike on the wire, after it.
 */
#include "sim.h"

#include <string.h>

#include "sim_trace.h"

#define CACHE_LINE   64
#define SLAB_PACKETS 64

/* Fills a pool with packets that are cache lines; they go back with sim_packets_free, wherever they are then. */
static void more_packets(struct sim *sim, struct sim_packet **pool, uint32_t room)
{
	size_t size = (sizeof(struct sim_packet) + room + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct sim_slab *slab = aligned_alloc(CACHE_LINE, CACHE_LINE + SLAB_PACKETS * size);

	if (!slab) {
		fprintf(stderr, "out of memory: %u packets\n", SLAB_PACKETS);
		exit(2);
	}
	slab->next = sim->slabs;
	sim->slabs = slab;
	for (uint32_t i = 0; i < SLAB_PACKETS; i++) {
		struct sim_packet *packet = (struct sim_packet *)((char *)slab + CACHE_LINE + i * size);

		packet->next = *pool;
		*pool = packet;
	}
}

void sim_packets_free(struct sim *sim)
{
	while (sim->slabs) {
		struct sim_slab *next = sim->slabs->next;

		free(sim->slabs);
		sim->slabs = next;
	}
}

struct sim_packet *sim_packet_new(struct sim *sim, uint32_t captured)
{
	bool large = captured > SIM_SMALL_PACKET;
	struct sim_packet **pool = large ? &sim->free_large : &sim->free_small;
	struct sim_packet *packet;

	if (!*pool)
		more_packets(sim, pool, large ? SIM_MTU : SIM_SMALL_PACKET);
	packet = *pool;
	*pool = packet->next;
	packet->large = large;
	packet->captured = captured;
	packet->ecn_capable = packet->ecn_marked = false;
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

void sim_link_init(struct sim_link *link, struct sim *sim, uint32_t rate_mbps, uint32_t delay_ns)
{
	*link = (struct sim_link){
	    .sim = sim,
	    .rate_mbps = rate_mbps,
	    .byte_ps = 8000000 / rate_mbps,
	    .delay_ns = delay_ns,
	    .limit_bytes = UINT64_MAX,
	    .ecn_bytes = UINT64_MAX,
	};
}

static bool faulty(const struct sim_faults *faults)
{
	return faults->loss | faults->duplicate | faults->reorder | faults->corrupt | faults->garble;
}

static uint32_t frame_bytes(const struct sim_packet *packet)
{
	return sim_frame_bytes(sim_packet_ip_bytes(packet));
}

static void arrive(void *object, uint64_t argument)
{
	struct sim_link *link = object;
	struct sim_packet *packet = (struct sim_packet *)(uintptr_t)argument;

	if (link->to)
		sim_host_receive(link->to, packet);
	else
		sim_switch_forward(link->to_switch, packet);
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

static void garble(struct sim_random *random, struct sim_packet *packet)
{
	for (uint32_t bits = sim_random_between(random, 1, 3); bits; bits--) {
		uint32_t bit = sim_random_below(random, packet->captured * 8);

		packet->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The end of a faulty link's transmitter: not every packet leaves it, or once. */
static void strike(struct sim_link *link, struct sim_packet *packet, uint64_t arrival_ns)
{
	struct sim *sim = link->sim;

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
		if (sim_random_chance(&sim->random, link->faults.garble)) {
			link->garbled++;
			garble(&sim->random, packet);
		}
		propagate(link, packet, arrival_ns);
	}
}

/* Starts sending now; the transmitter is free. */
static void transmit(struct sim_link *link, struct sim_packet *packet)
{
	struct sim *sim = link->sim;

	link->free_ns = sim->now_ns + (uint64_t)frame_bytes(packet) * link->byte_ps / 1000;
	link->sent++;
	if (faulty(&link->faults))
		strike(link, packet, link->free_ns + link->delay_ns);
	else
		sim_at(sim, link->free_ns + link->delay_ns, arrive, link, (uintptr_t)packet);
}

/* The highest priority first; there is one. */
static struct sim_packet *dequeue(struct sim_link *link)
{
	int priority = 31 - __builtin_clz(link->occupied);
	struct sim_queue *queue = &link->queue[priority];
	struct sim_packet *packet = queue->first;
	uint32_t bytes = frame_bytes(packet);

	queue->first = packet->next;
	if (!queue->first)
		link->occupied &= (uint8_t)~(1u << priority);
	packet->next = NULL;
	link->queued_bytes -= bytes;
	if (link->from)
		link->from->queued_bytes -= bytes;
	return packet;
}

static void transmitter_free(void *object, uint64_t argument);

/* Has the next packet sent when the transmitter is free. The argument is the packet that it will be, likely,
 * so that it is in the cache by then. */
static void wait(struct sim_link *link)
{
	const struct sim_packet *next = link->queue[31 - __builtin_clz(link->occupied)].first;

	link->waiting = true;
	sim_at(link->sim, link->free_ns, transmitter_free, link, (uintptr_t)next);
}

static void transmitter_free(void *object, uint64_t argument)
{
	struct sim_link *link = object;

	(void)argument;
	link->waiting = false;
	if (link->free_ns <= link->sim->now_ns) /* or it was stopped meanwhile */
		transmit(link, dequeue(link));
	if (link->occupied)
		wait(link);
}

/* Whether the buffers, the port's and the switch's, have room; then the bytes are theirs. */
static bool reserve(struct sim_link *link, uint32_t bytes)
{
	struct sim_switch *from = link->from;

	if (link->queued_bytes + bytes > link->limit_bytes)
		return false;
	if (from) {
		if (from->queued_bytes + bytes > from->limit_bytes)
			return false;
		from->queued_bytes += bytes;
		if (from->queued_bytes > from->max_queued_bytes)
			from->max_queued_bytes = from->queued_bytes;
	}
	link->queued_bytes += bytes;
	if (link->queued_bytes > link->max_queued_bytes)
		link->max_queued_bytes = link->queued_bytes;
	return true;
}

static void enqueue(struct sim_link *link, struct sim_packet *packet)
{
	struct sim_queue *queue = &link->queue[packet->priority];

	if (packet->ecn_capable && link->queued_bytes > link->ecn_bytes) {
		packet->ecn_marked = true;
		link->marked++;
	}
	if (queue->first)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
	link->occupied |= (uint8_t)(1u << packet->priority);
	if (!link->waiting)
		wait(link);
}

void sim_link_send(struct sim_link *link, struct sim_packet *packet)
{
	if (!link->waiting && link->free_ns <= link->sim->now_ns) {
		transmit(link, packet);
	} else if (reserve(link, frame_bytes(packet))) {
		enqueue(link, packet);
	} else {
		link->dropped_full++;
		sim_packet_free(link->sim, packet);
	}
}
