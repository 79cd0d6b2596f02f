/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger: who asked what, what was executed how often, what came of it. A request
 * of 32 bytes or more says who sent it, its number, seed and length, with a checksum;
 * shorter ones are known by their RPC id only. The answer is a function of the request.
 *
 * Ended well => executed exactly once, and the answer is the right one. Ended badly =>
 * executed at most once. Everything ends.
 */
#ifndef TERN_SIM_LEDGER_H
#define TERN_SIM_LEDGER_H

#include "sim.h"

enum sim_rpc_status {
	SIM_RPC_UNUSED,
	SIM_RPC_PENDING,
	SIM_RPC_OK,
	SIM_RPC_FAILED,
	SIM_RPC_ABANDONED /* its client has crashed */
};

struct sim_rpc {
	enum sim_rpc_status status;
	uint32_t request_length, reply_length;
	uint64_t reply_seed;
	uint64_t issued_ns;
	uint32_t server;   /* host index */
	uint32_t executed; /* as the request's own bytes tell */
};

struct sim_execution {
	uint64_t rpc_id;
	uint32_t client;
	uint32_t count; /* 0: a free entry */
};

struct sim_ledger {
	uint32_t per_client;
	uint32_t clients;
	struct sim_rpc *rpcs;             /* [client * per_client + sequence] */
	struct sim_execution *executions; /* hash table by client and RPC id */
	uint64_t execution_mask;
	uint64_t ok, failed, abandoned, executed, pending;
	bool lenient; /* contents may be corrupt, so that they prove nothing */
};

void sim_ledger_init(struct sim_ledger *ledger, uint32_t clients, uint32_t per_client);
void sim_ledger_free(struct sim_ledger *ledger);

static inline struct sim_rpc *sim_ledger_rpc(const struct sim_ledger *ledger, uint32_t client,
					     uint64_t sequence)
{
	return &ledger->rpcs[(uint64_t)client * ledger->per_client + sequence];
}
/* Writes the request `sequence` of `client`, `length` bytes, whose answer shall have
 * `reply_length` bytes (requests below 32 bytes choose it themselves). */
void sim_ledger_request(struct sim_ledger *ledger, struct sim *sim, uint32_t client, uint32_t sequence,
			uint8_t *data, uint32_t length, uint32_t reply_length);
/* The client has crashed: what it had asked for may have been executed or not. */
void sim_ledger_abandon(struct sim_ledger *ledger, uint32_t client);
/* A server has got a request: checks and marks it. Returns the length of its answer. */
uint32_t sim_ledger_execute(struct sim_ledger *ledger, struct sim *sim, const struct homa_event *event);
/* Writes the answer. */
void sim_ledger_reply(const struct homa_event *event, uint8_t *data, uint32_t length);
/* The client has heard the end of an RPC; its cookie is the sequence. */
void sim_ledger_finish(struct sim_ledger *ledger, struct sim *sim, uint32_t client,
		       const struct homa_event *event);
/* At the end: nothing pending, nothing executed twice. */
void sim_ledger_check(const struct sim_ledger *ledger, struct sim *sim);

#endif
