/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datacenter in one process: hosts that run the shipped Homa core, links with rate,
 * delay, eight strict-priority queues and faults, and one switch. Time is virtual, in
 * nanoseconds; everything random comes from one seed; the same seed gives the same
 * packets in the same order, whatever the compiler.
 *
 *	host --link--> host                          two hosts
 *	host --link--> switch --link--> host         more of them
 *	host --> leaf --> spine --> leaf --> host    racks of them (sim_topology.c)
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
#define SIM_IP_HEADER      20
#define SIM_FRAME_OVERHEAD 38 /* Ethernet: preamble, header, FCS, gap */
#define SIM_FRAME_MIN      84 /* the shortest frame, with the same */
#define SIM_SERVER_PORT    4000
#define SIM_UPTIME_NS      2000000000 /* of all hosts, when a run begins */
#define SIM_SMALL_PACKET   88 /* bytes: every header, no payload to speak of */
#define SIM_WAKE_UPS       4  /* events a host's timer may have scheduled at a time */

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
	bool large;       /* came from the pool of full-size packets */
	bool ecn_capable; /* a field of IP */
	bool ecn_marked;
	uint8_t data[];
};

/* Faults of one link: probabilities in parts per million, 0 = never. */
struct sim_faults {
	uint32_t loss, duplicate, reorder;
	uint32_t corrupt;        /* fails the frame check at the receiver, so is a loss with a name */
	uint32_t garble;         /* one to three bits flip and the frame check does not notice */
	uint32_t reorder_max_ns; /* a reordered packet is late by up to this */
};

struct sim_slab {
	struct sim_slab *next;
};

struct sim_queue {
	struct sim_packet *first, *last;
};

/* One direction of a cable with the transmitter in front of it. What every packet needs comes first. */
struct sim_link {
	struct sim *sim;
	struct sim_host *to;         /* NULL: to `to_switch` */
	struct sim_switch *to_switch;
	struct sim_switch *from;     /* whose buffer its queues are in; NULL: a host's */
	uint32_t byte_ps;            /* what a byte takes */
	uint32_t delay_ns;
	uint64_t free_ns;            /* when the transmitter has finished what it sends */
	uint64_t queued_bytes;
	uint8_t occupied;            /* a bit a queue that is not empty */
	bool waiting;                /* a dequeue event is scheduled */
	struct sim_faults faults;
	uint64_t sent, max_queued_bytes;
	uint64_t limit_bytes;        /* of all queues */
	uint64_t ecn_bytes;          /* queued bytes from which on packets are marked */
	struct sim_queue queue[HOMA_PRIORITIES];
	uint32_t rate_mbps;
	uint64_t dropped_full, lost, duplicated, reordered, corrupted, garbled, marked;
};

/* Forwards to the hosts below it, and what is for others to a spine: any, packet by packet. */
struct sim_switch {
	struct sim *sim;
	uint32_t first_host, host_count; /* below; a spine has all */
	uint32_t hosts_per_down;         /* 1 in a leaf, a rack in a spine */
	struct sim_link **down;          /* by (host - first_host) / hosts_per_down */
	struct sim_link *up;             /* one a spine */
	uint32_t up_count;
	bool spray_by_flow;              /* one spine for each pair of hosts, instead of any */
	uint64_t limit_bytes;            /* that all its queues share */
	uint64_t queued_bytes, max_queued_bytes;
};

/* What the hosts' applications do; see sim_run.c. Called outside the core. The other two look
 * on, and may be NULL: a packet that a host's core sends, and one that it is about to get. */
struct sim_application {
	void (*event)(struct sim_host *host, const struct homa_event *event);
	void (*sent)(struct sim_host *host, const struct sim_packet *packet);
	void (*received)(struct sim_host *host, const struct sim_packet *packet);
};

struct sim_host {
	struct sim *sim;
	uint32_t index;
	struct net_ip ip;
	struct homa *homa; /* NULL: the host is down */
	struct homa_params params;
	struct sim_link uplink;   /* to the peer, or to the switch */
	struct sim_link downlink; /* from the switch */
	uint64_t wake_ns[SIM_WAKE_UPS]; /* events scheduled for its timer, the latest first */
	uint32_t wake_count;
	uint16_t client_port;
	uint32_t life;            /* how often it has been started */
	uint64_t resume_ns;       /* until then it is paused: nothing is received, no timer runs */
	int64_t clock_offset_ns;  /* what its clock shows beyond the simulator's, */
	int64_t clock_drift_ppm;  /* and how much faster it runs */
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
	uint8_t islands[SIM_MAX_HOSTS]; /* by host: those of different islands do not hear each other */
	uint32_t leaf_count, spine_count;
	struct sim_switch *leaves, *spines;
	const struct sim_application *application;
	bool elide;              /* only a message's first packet carries its bytes */
	bool ecn_capable;        /* what hosts send may be marked */
	bool bodiless;           /* messages have a length and no bytes at all; before sim_init */
	bool unhashed;           /* no trace hash: for speed */
	uint64_t trace_hash;     /* over every packet and event, in order */
	struct sim_trace *trace; /* or NULL */
	struct sim_packet *free_small, *free_large;
	struct sim_slab *slabs; /* all packets' memory */
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
	/* 0 in all of these: no racks, no further delay, no further limit, no marks */
	uint32_t racks, spines;
	uint32_t core_mbps;           /* of the links between leaves and spines */
	uint32_t switch_ns;           /* of each switch, from a packet's last bit in to its first out */
	uint32_t host_ns;             /* of the receiving host's software */
	uint64_t shared_buffer_bytes; /* of each switch */
	uint64_t ecn_bytes;           /* queued at a port, from which on packets are marked */
	bool spray_by_flow;
	bool bodiless;                /* see struct sim */
};

void *sim_realloc(void *old, size_t bytes);

/* Builds the network and creates its hosts, with SIM_SERVER_PORT and a client port open.
 * `params` NULL: defaults with the link's rate and smaller tables. */
void sim_init(struct sim *sim, uint64_t seed, const struct sim_topology *topology,
	      const struct homa_params *params, const struct sim_application *application);
void sim_free(struct sim *sim);
/* Runs until nothing is left to do, `end_ns`, or the first violation. */
void sim_run(struct sim *sim, uint64_t end_ns);
/* Has `action` called at `time_ns`, or now if that is past. */
static inline void sim_at(struct sim *sim, uint64_t time_ns, sim_action *action, void *object, uint64_t argument)
{
	sim_events_add(&sim->events, time_ns, action, object, argument);
}
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
/* All that there ever were, whether they were freed or not. */
void sim_packets_free(struct sim *sim);
/* Without a look at the host, whose memory is seldom in the cache. */
static inline uint32_t sim_index(const struct sim *sim, const struct sim_host *host)
{
	return (uint32_t)(host - sim->hosts);
}
/* Bytes of the IP packet. */
static inline uint32_t sim_packet_ip_bytes(const struct sim_packet *packet)
{
	return packet->length + SIM_IP_HEADER;
}
/* Bytes of link time that an IP packet of `ip_bytes` takes. */
static inline uint32_t sim_frame_bytes(uint32_t ip_bytes)
{
	uint32_t bytes = ip_bytes + SIM_FRAME_OVERHEAD;

	return bytes < SIM_FRAME_MIN ? SIM_FRAME_MIN : bytes;
}
void sim_link_init(struct sim_link *link, struct sim *sim, uint32_t rate_mbps, uint32_t delay_ns);
/* Sends or queues; takes the packet. */
void sim_link_send(struct sim_link *link, struct sim_packet *packet);

/* ---- sim_topology.c ---- */
/* Wires the hosts. */
void sim_topology_build(struct sim *sim, const struct sim_topology *topology);
void sim_topology_free(struct sim *sim);
/* Sends a packet that has arrived at a switch on; takes it. */
void sim_switch_forward(struct sim_switch *at, struct sim_packet *packet);

/* ---- sim_host.c ---- */
void sim_host_init(struct sim_host *host, struct sim *sim, uint32_t index, const struct homa_params *params);
void sim_host_free(struct sim_host *host);
/* What its clock shows. */
static inline uint64_t sim_host_now(const struct sim_host *host)
{
	int64_t now_ns = (int64_t)host->sim->now_ns;

	return (uint64_t)(now_ns + host->clock_offset_ns + now_ns * host->clock_drift_ppm / 1000000);
}
/* The host stops between two instructions, with all that it knew. */
void sim_host_crash(struct sim_host *host);
/* It is there again, with host->params and what the clock fields say, and its ports open. */
void sim_host_start(struct sim_host *host);
/* A packet has arrived; takes it. */
void sim_host_receive(struct sim_host *host, struct sim_packet *packet);
/* Hands the core's events to the application and sets the timer: after every call into
 * the core that the application made on its own. */
void sim_host_settle(struct sim_host *host);
/* Memory for messages: what the core's buffer_get and the application use. */
void *sim_buffer_get(struct sim_host *host, uint32_t length);
void sim_buffer_put(struct sim_host *host, void *data, uint32_t length);

#endif
