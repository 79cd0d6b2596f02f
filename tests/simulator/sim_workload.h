/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message sizes, when they are sent, and to whom: a distribution given by quantiles, and
 * a pattern of traffic. The same seed gives the same messages, whoever asks: the network
 * of real cores, or the ideal that it is compared with.
 */
#ifndef TERN_SIM_WORKLOAD_H
#define TERN_SIM_WORKLOAD_H

#include "sim.h"

#define SIM_MAX_QUANTILES  128
#define SIM_DECILES        10
#define SIM_REPLY_BYTES    1 /* of the answer to each message */

struct sim_workload {
	uint32_t count;
	struct {
		double fraction; /* of messages, 0..1, that are at most this long */
		double bytes;
	} quantiles[SIM_MAX_QUANTILES];
};

/* `name` is a number of bytes, a file, or W1..W5 with a file in `directory`. 0, or -EINVAL or
 * open's error with *why set. */
int sim_workload_load(struct sim_workload *workload, const char *name, const char *directory, const char **why);
/* The length at a quantile, 1..HOMA_MAX_MESSAGE: longer ones are cut. */
uint32_t sim_workload_length(const struct sim_workload *workload, double fraction);
/* Mean bytes of link time that a message's DATA packets take. */
double sim_workload_wire_bytes(const struct sim_workload *workload, uint32_t unscheduled);
/* Mean message bytes. */
double sim_workload_mean(const struct sim_workload *workload);
/* The same of one message. */
uint64_t sim_message_wire_bytes(uint32_t length, uint32_t unscheduled);

/*
 * As the paper chooses them (SIGCOMM '18, 3.4): unscheduled bytes get the share of the
 * levels that they have of all bytes, at least one and all but one; the limits are such
 * that each of these levels carries as many bytes. Sets unsched_cutoffs and max_sched_prio.
 */
void sim_workload_priorities(const struct sim_workload *workload, struct homa_params *params);

struct sim_arrival {
	uint64_t time_ns;
	uint32_t from, to;
	uint32_t length;
	uint8_t decile; /* of all messages by length, 0 = the shortest */
};

enum sim_traffic {
	SIM_POISSON,    /* every host begins messages at random, to any other */
	SIM_INCAST,     /* rounds: all hosts but host 0 begin a message to it at once */
	SIM_ALL_TO_ALL, /* rounds: every host begins a message to every other at once */
};

struct sim_arrivals {
	const struct sim_workload *workload;
	enum sim_traffic traffic;
	uint32_t host_count;
	double mean_gap_ns; /* of messages on one link */
	struct {
		struct sim_random random;
		double next_ns;
		uint32_t turn; /* of a round: how many it has begun */
	} hosts[SIM_MAX_HOSTS];
};

/* "poisson", "incast", "all-to-all". False: there is none of that name. */
bool sim_traffic_find(const char *name, enum sim_traffic *traffic);
/*
 * `load`: the part of each host's link, both ways, that the messages and their answers
 * take, with all headers; grants, acknowledgements and cutoffs come on top. Of the link to
 * host 0 in an incast. Rounds are as far apart as that needs; the first begins after half of it.
 */
void sim_arrivals_init(struct sim_arrivals *arrivals, const struct sim_workload *workload,
		       enum sim_traffic traffic, uint64_t seed, const struct sim_topology *topology,
		       uint32_t unscheduled, double load);
/* The next of one host; at UINT64_MAX there is none. */
void sim_arrivals_next(struct sim_arrivals *arrivals, uint32_t host, struct sim_arrival *arrival);

#endif
