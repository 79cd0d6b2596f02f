/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at every packet: whether a host may send it, after all that it has heard. It
 * follows each message by packets alone and knows nothing of the cores' state, so that a
 * core which deceives itself is found out.
 */
#ifndef TERN_SIM_CHECK_H
#define TERN_SIM_CHECK_H

#include "sim.h"

/* One message, as seen from outside. */
struct sim_flow_side {
	uint32_t length; /* 0: no DATA of it was sent yet */
	uint32_t unscheduled;
	uint32_t limit;    /* the sender may send what begins below */
	uint32_t sent;     /* it has sent all below */
	uint32_t arrived;  /* highest byte at the receiver + 1 */
	uint32_t may_come; /* what the receiver may ask for */
	uint32_t granted;  /* offset of its last GRANT */
	uint32_t receiver_life;
	uint64_t begun_ns; /* when its first byte arrived in that life */
	uint64_t heard_ns; /* and its latest */
	uint8_t priority;  /* of granted bytes, as the sender was told last */
};

struct sim_flow {
	uint64_t id; /* the client's */
	uint32_t client, server;
	uint16_t client_port;
	bool used;
	bool ended;                   /* the client's application has heard of its end */
	struct sim_flow_side side[2]; /* request, response */
};

/* What one host knows of another. */
struct sim_acquaintance {
	uint32_t life; /* of the host that knows; anything else: strangers */
	uint16_t version;
	uint64_t stale_tick;  /* the last in which it was told that it has to say its cutoffs, */
	uint32_t stale_ticks; /* and how many there were */
	uint32_t cutoffs[HOMA_PRIORITIES];
};

struct sim_check {
	struct sim *sim;
	struct sim_flow *flows; /* hash table by client and id */
	uint64_t mask, count;
	struct sim_acquaintance *known; /* [host * hosts + other] */
};

void sim_check_init(struct sim_check *check, struct sim *sim, uint64_t rpcs);
void sim_check_free(struct sim_check *check);
/* The host asks another one something; with the first packet it would be too late. */
void sim_check_meet(struct sim_check *check, const struct sim_host *host, const struct sim_host *other);
void sim_check_sent(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet);
void sim_check_received(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet);
/* The client's application has heard the end of an RPC. */
void sim_check_ended(struct sim_check *check, const struct sim_host *host, const struct homa_event *event);
/* What a host has counted must not have happened. `crashes`: hosts have come and gone;
 * `outages`: some could not hear each other for a while. */
void sim_check_counters(struct sim *sim, const struct sim_host *host, const struct homa_counters *counters,
			bool crashes, bool outages);

#endif
