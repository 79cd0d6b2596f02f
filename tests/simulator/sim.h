/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datacenter in one process: hosts that run the shipped Homa core, links with rate,
 * delay, eight strict-priority queues and faults, and one switch. Time is virtual, in
 * nanoseconds; everything random comes from one seed; the same seed gives the same
 * packets in the same order, whatever the compiler.
 *
 *	host --link--> host                  two hosts
 *	host --link--> switch --link--> host more of them
 */
#ifndef TERN_SIM_H
#define TERN_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "homa.h"
#include "sim_events.h"
#include "sim_random.h"

#define SIM_MAX_HOSTS      256
#define SIM_MTU            1500
#define SIM_BUFFER_CLASSES 15 /* message buffers of 64 B << class, up to 1 MiB */
#define SIM_FRAME_OVERHEAD 38 /* Ethernet: preamble, header, FCS, gap */
#define SIM_FRAME_MIN      84 /* the shortest frame, with the same */
#define SIM_SERVER_PORT    4000

struct sim;
struct sim_host;

/* A packet on its way. `data`: the Homa header, and the payload unless it is elided. */
struct sim_packet {
	struct sim_packet *next;
	struct sim_host *source, *destination;
	uint32_t length;   /* bytes of IP payload, elided ones included */
	uint32_t captured; /* bytes in data */
	uint8_t priority;
	bool elided;
	bool large; /* came from the pool of full-size packets */
	uint8_t data[];
};

/* Faults of one link: probabilities in parts per million, 0 = never. */
struct sim_faults {
	uint32_t loss, duplicate, reorder;
	uint32_t corrupt;        /* fails the frame check at the receiver, so is a loss with a name */
	uint32_t reorder_max_ns; /* a reordered packet is late by up to this */
};

struct sim_queue {
	struct sim_packet *first, *last;
};

/* One direction of a cable with the transmitter in front of it. */
struct sim_link {
	struct sim *sim;
	struct sim_host *to; /* NULL: to the switch */
	uint32_t rate_mbps;
	uint32_t delay_ns;
	uint64_t limit_bytes; /* of all queues */
	struct sim_faults faults;
	struct sim_queue queue[HOMA_PRIORITIES];
	uint64_t queued_bytes;
	uint64_t free_ns; /* when the transmitter has finished what it sends */
	bool waiting;     /* a dequeue event is scheduled */
	uint64_t sent, dropped_full, lost, duplicated, reordered, corrupted, max_queued_bytes;
};

/* What the hosts' applications do; see sim_run.c. Called outside the core. */
struct sim_application {
	void (*event)(struct sim_host *host, const struct homa_event *event);
};

struct sim_host {
	struct sim *sim;
	uint32_t index;
	struct net_ip ip;
	struct homa *homa;
	struct homa_params params;
	struct sim_link uplink;   /* to the peer, or to the switch */
	struct sim_link downlink; /* from the switch */
	uint64_t wake_ns;         /* when its timer is set for; UINT64_MAX = not */
	uint16_t client_port;
	uint64_t buffers, buffer_bytes; /* handed out and not returned */
	void *application;
};

struct sim {
	uint64_t now_ns;
	uint64_t end_ns; /* nothing that is due later happens */
	uint64_t seed;
	struct sim_random random;
	struct sim_events events;
	uint32_t host_count;
	struct sim_host *hosts;
	const struct sim_application *application;
	bool elide;              /* only a message's first packet carries its bytes */
	uint64_t trace_hash;     /* over every packet and event, in order */
	struct sim_trace *trace; /* or NULL */
	struct sim_packet *free_small, *free_large;
	void *free_buffers[SIM_BUFFER_CLASSES];
	uint64_t packets, ip_bytes; /* sent by hosts */
	uint64_t events_run;
	char violation[256]; /* the first one; empty = none */
};

struct sim_topology {
	uint32_t hosts; /* 2 are wired directly, more through a switch */
	uint32_t rate_mbps;
	uint32_t delay_ns;        /* of each link */
	uint64_t buffer_bytes;    /* of each port of the switch */
	struct sim_faults faults; /* of each host's uplink */
};

void *sim_realloc(void *old, size_t bytes);

/* Builds the network and creates its hosts, with SIM_SERVER_PORT and a client port open.
 * `params` NULL: defaults with the link's rate and smaller tables. */
void sim_init(struct sim *sim, uint64_t seed, const struct sim_topology *topology,
	      const struct homa_params *params, const struct sim_application *application);
void sim_free(struct sim *sim);
/* Runs until nothing is left to do, `end_ns`, or the first violation. */
void sim_run(struct sim *sim, uint64_t end_ns);
void sim_at(struct sim *sim, uint64_t time_ns, sim_action *action, void *object, uint64_t argument);
/* Notes a broken invariant; the run stops. */
void sim_violation(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void sim_hash(struct sim *sim, uint64_t value)
{
	sim->trace_hash = sim_mix(sim->trace_hash ^ value);
}

/* ---- sim_link.c ---- */
struct sim_packet *sim_packet_new(struct sim *sim, uint32_t captured);
struct sim_packet *sim_packet_copy(struct sim *sim, const struct sim_packet *packet);
void sim_packet_free(struct sim *sim, struct sim_packet *packet);
/* Bytes of the IP packet. */
static inline uint32_t sim_packet_ip_bytes(const struct sim_packet *packet)
{
	return packet->length + net_ip_header_bytes(&packet->destination->ip);
}
void sim_link_init(struct sim_link *link, struct sim *sim, struct sim_host *to,
		   const struct sim_topology *topology);
/* Sends or queues; takes the packet. */
void sim_link_send(struct sim_link *link, struct sim_packet *packet);
void sim_link_free(struct sim_link *link);

/* ---- sim_host.c ---- */
void sim_host_init(struct sim_host *host, struct sim *sim, uint32_t index, const struct homa_params *params);
void sim_host_free(struct sim_host *host);
/* A packet has arrived; takes it. */
void sim_host_receive(struct sim_host *host, struct sim_packet *packet);
/* Hands the core's events to the application and sets the timer: after every call into
 * the core that the application made on its own. */
void sim_host_settle(struct sim_host *host);
/* Memory for messages: what the core's buffer_get and the application use. */
void *sim_buffer_get(struct sim_host *host, uint32_t length);
void sim_buffer_put(struct sim_host *host, void *data, uint32_t length);

#endif
