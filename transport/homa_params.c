/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "homa.h"

void homa_params_init(struct homa_params *params)
{
	*params = (struct homa_params){
		.unsched_bytes = 40000,
		.window = 0,
		.max_incoming = 400000,
		.max_overcommit = 8,
		.grant_fifo_fraction = 50,
		.fifo_grant_increment = 2848,
		.num_priorities = HOMA_PRIORITIES,
		.priority_map = { 0, 1, 2, 3, 4, 5, 6, 7 },
		.unsched_cutoffs = { INT32_MAX, 0, 0, 0, 1000000, 15000, 2800, 200 },
		.max_sched_prio = 3,
		.link_mbps = 25000,
		.max_nic_est_backlog_usecs = 5,
		.defer_min_bytes = 1000,
		.pacer_fifo_fraction = 50,
		.max_link_usage = 99,
		.resend_ticks = 5,
		.resend_interval = 5,
		.timeout_ticks = 100,
		.request_ack_ticks = 2,
		.hole_recovery_us = 100,
		.need_ack_limit = 40,
		.max_client_rpcs = 65536,
		.max_server_rpcs = 65536,
		.max_peers = 16384,
		.max_incoming_memory = 64u << 20,
		.dedupe_window = 65536,
		.max_outgoing_memory = 1u << 30,
	};
}

int homa_params_check(const struct homa_params *params, const char **why)
{
	const struct homa_params *p = params;
	const char *unused;

	why = why ? why : &unused;
#define REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			*why = "needs " #condition; \
			return -EINVAL; \
		} \
	} while (0)
	REQUIRE(p->unsched_bytes >= 1 && p->unsched_bytes <= HOMA_MAX_MESSAGE);
	REQUIRE(p->window <= HOMA_MAX_MESSAGE);
	REQUIRE(p->max_incoming >= 1);
	REQUIRE(p->max_overcommit >= 1 && p->max_overcommit <= 8);
	REQUIRE(p->grant_fifo_fraction <= 500);
	REQUIRE(p->fifo_grant_increment >= 1 && p->fifo_grant_increment <= HOMA_MAX_MESSAGE);
	REQUIRE(p->num_priorities >= 1 && p->num_priorities <= HOMA_PRIORITIES);
	for (int i = 0; i < HOMA_PRIORITIES; i++)
		REQUIRE(p->priority_map[i] < HOMA_PRIORITIES);
	REQUIRE(p->max_sched_prio < p->num_priorities);
	REQUIRE(p->link_mbps >= 1 && p->link_mbps <= 10000000);
	REQUIRE(p->max_nic_est_backlog_usecs <= 1000000);
	REQUIRE(p->pacer_fifo_fraction <= 1000);
	REQUIRE(p->max_link_usage >= 5 && p->max_link_usage <= 100);
	REQUIRE(p->resend_ticks >= 1 && p->resend_ticks <= 10000);
	REQUIRE(p->resend_interval >= 1 && p->resend_interval <= 10000);
	REQUIRE(p->timeout_ticks > p->resend_ticks && p->timeout_ticks <= 1000000);
	REQUIRE(p->request_ack_ticks >= 1 && p->request_ack_ticks <= 10000);
	REQUIRE(p->hole_recovery_us <= 1000000);
	REQUIRE(p->need_ack_limit >= 1 && p->need_ack_limit <= 1000000);
	REQUIRE(p->max_client_rpcs >= 1 && p->max_client_rpcs <= 1u << 22);
	REQUIRE(p->max_server_rpcs >= 1 && p->max_server_rpcs <= 1u << 22);
	REQUIRE(p->max_peers >= 1 && p->max_peers <= 1u << 22);
	REQUIRE(p->max_incoming_memory >= HOMA_MAX_MESSAGE);
	REQUIRE(p->dedupe_window >= 1 && p->dedupe_window <= 1u << 26);
	REQUIRE(p->max_outgoing_memory >= HOMA_MAX_MESSAGE);
#undef REQUIRE
	return 0;
}
