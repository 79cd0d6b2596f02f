/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slowdown: the time from when a message is given to its sender's core to when its last
 * byte is handed to the receiver's application, over the least that the same message takes
 * between two such hosts in a network that has nothing else to do. Counted by the
 * message's decile of length, in classes half a percent wide.
 */
#ifndef TERN_SIM_SLOWDOWN_H
#define TERN_SIM_SLOWDOWN_H

#include "sim_workload.h"

#define SIM_SLOWDOWN_CLASSES 4096 /* of 0.5 % each: up to 7e8 */

struct sim_slowdown {
	uint64_t count[SIM_DECILES];
	uint32_t classes[SIM_DECILES][SIM_SLOWDOWN_CLASSES];
};

/*
 * The least time from the first bit out to the last byte in, store and forward, with the
 * fixed delays: the packets follow each other without a gap, unscheduled or not.
 */
uint64_t sim_ideal_ns(const struct sim_topology *topology, uint32_t from, uint32_t to, uint32_t length,
		      uint32_t unscheduled);

void sim_slowdown_add(struct sim_slowdown *slowdown, uint32_t decile, double value);
/* 0 when nothing was counted; `fraction` 0.99 is the 99th percentile. */
double sim_slowdown_quantile(const struct sim_slowdown *slowdown, uint32_t decile, double fraction);

/*
 * What no transport can do better, nearly: a central scheduler that always knows every
 * message. Each host has one link out and one in; the network between them is never full;
 * the messages with the fewest bytes left get their sender's and receiver's links, whole
 * and at once, as long as both are free (greedy shortest remaining time first); fluid, so
 * packets do not exist but in the bytes of their headers. Fixed delays and the store and
 * forward of the last packet are added. The answers are messages too.
 * `measured_ns`: only messages that begin from there on count.
 */
void sim_oracle_run(const struct sim_topology *topology, struct sim_arrivals *arrivals, uint32_t unscheduled,
		    uint64_t measured_ns, uint64_t end_ns, struct sim_slowdown *slowdown);

#endif
