/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests, answers, and the account of both. */
#include "sim_ledger.h"

#include <string.h>

#include "homa_core.h"

#define FIRST_PACKET (SIM_MTU - 20 - (uint32_t)sizeof(struct homa_data_header))

/* The first bytes of a request that is long enough for them. */
struct request_head {
	uint64_t key; /* client << 32 | sequence */
	uint64_t seed;
	uint32_t length;
	uint32_t reply_length;
	uint64_t checksum;
};

static uint64_t head_checksum(const struct request_head *head)
{
	return sim_mix(sim_mix(head->key ^ head->seed) ^ head->length ^ (uint64_t)head->reply_length << 32);
}

/* Bytes `from`..`to` of the stream that `seed` stands for; 8 at a time. */
static void fill(uint8_t *data, uint64_t seed, uint32_t from, uint32_t to)
{
	for (uint32_t at = from; at < to; at += 8) {
		uint64_t word = sim_mix(seed + at);

		memcpy(data + at, &word, to - at < 8 ? to - at : 8);
	}
}

static bool filled(const uint8_t *data, uint64_t seed, uint32_t from, uint32_t to)
{
	for (uint32_t at = from; at < to; at += 8) {
		uint64_t word = sim_mix(seed + at);

		if (memcmp(data + at, &word, to - at < 8 ? to - at : 8) != 0)
			return false;
	}
	return true;
}

/* How far a message can be checked: elided bytes do not arrive. */
static uint32_t checkable(const struct sim *sim, uint32_t length)
{
	return sim->elide && length > FIRST_PACKET ? FIRST_PACKET : length;
}

static uint64_t reply_seed(const uint8_t *request, uint32_t length)
{
	struct request_head head;

	if (length < sizeof(head))
		return sim_mix((uint64_t)length << 8 | request[0]);
	memcpy(&head, request, sizeof(head));
	return sim_mix(head.checksum);
}

static uint32_t reply_length_of(const uint8_t *request, uint32_t length)
{
	struct request_head head;

	if (length < sizeof(head))
		return 1 + (request[0] * 7u + length) % 200;
	memcpy(&head, request, sizeof(head));
	return head.reply_length;
}

void sim_ledger_init(struct sim_ledger *ledger, uint32_t clients, uint32_t per_client)
{
	uint64_t entries = 64, total = (uint64_t)clients * per_client;

	while (entries < total * 3)
		entries *= 2;
	*ledger = (struct sim_ledger){ .clients = clients, .per_client = per_client };
	ledger->rpcs = sim_realloc(NULL, total * sizeof(*ledger->rpcs));
	memset(ledger->rpcs, 0, total * sizeof(*ledger->rpcs));
	ledger->executions = sim_realloc(NULL, entries * sizeof(*ledger->executions));
	memset(ledger->executions, 0, entries * sizeof(*ledger->executions));
	ledger->execution_mask = entries - 1;
}

void sim_ledger_free(struct sim_ledger *ledger)
{
	free(ledger->rpcs);
	free(ledger->executions);
}

/* The entry of (client, rpc_id), or the free one where it belongs. */
static struct sim_execution *execution(const struct sim_ledger *ledger, uint32_t client, uint64_t rpc_id)
{
	uint64_t at = sim_mix(rpc_id ^ (uint64_t)client << 48);

	for (;; at++) {
		struct sim_execution *entry = &ledger->executions[at & ledger->execution_mask];

		if (!entry->count || (entry->client == client && entry->rpc_id == rpc_id))
			return entry;
	}
}

void sim_ledger_request(struct sim_ledger *ledger, struct sim *sim, uint32_t client, uint32_t sequence,
			uint8_t *data, uint32_t length, uint32_t reply_length)
{
	struct sim_rpc *rpc = sim_ledger_rpc(ledger, client, sequence);
	uint64_t seed = sim_random_next(&sim->random);
	struct request_head head = { (uint64_t)client << 32 | sequence, seed, length, reply_length, 0 };
	uint32_t from = 0;

	if (length >= sizeof(head)) {
		head.checksum = head_checksum(&head);
		memcpy(data, &head, sizeof(head));
		from = sizeof(head);
	}
	fill(data, seed, from, checkable(sim, length));
	ledger->pending++;
	*rpc = (struct sim_rpc){ .status = SIM_RPC_PENDING,
				 .issued_ns = sim->now_ns,
				 .request_length = length,
				 .reply_length = reply_length_of(data, length),
				 .reply_seed = reply_seed(data, length) };
}

void sim_ledger_abandon(struct sim_ledger *ledger, uint32_t client)
{
	for (uint32_t i = 0; i < ledger->per_client; i++) {
		struct sim_rpc *rpc = sim_ledger_rpc(ledger, client, i);

		if (rpc->status == SIM_RPC_PENDING) {
			rpc->status = SIM_RPC_ABANDONED;
			ledger->abandoned++;
			ledger->pending--;
		}
	}
}

static void execute_by_head(struct sim_ledger *ledger, struct sim *sim, const struct homa_event *event,
			    uint32_t client)
{
	struct request_head head;
	uint32_t sequence;

	memcpy(&head, event->data, sizeof(head));
	sequence = (uint32_t)head.key;
	if (head.checksum != head_checksum(&head) || head.length != event->length ||
	    head.key >> 32 != client || sequence >= ledger->per_client ||
	    !filled(event->data, head.seed, sizeof(head), checkable(sim, event->length))) {
		sim_violation(sim, "request %llu of client %u is corrupt", (unsigned long long)event->rpc_id,
			      client);
		return;
	}
	if (++sim_ledger_rpc(ledger, client, sequence)->executed > 1)
		sim_violation(sim, "request %u of client %u is executed twice", sequence, client);
}

uint32_t sim_ledger_execute(struct sim_ledger *ledger, struct sim *sim, const struct homa_event *event)
{
	uint32_t client = wire32(event->remote.ip.w[3]) - wire32(sim->hosts[0].ip.w[3]);
	struct sim_execution *entry = execution(ledger, client, event->rpc_id & ~1ull);

	if (ledger->lenient)
		return 1 + event->length % 10000;
	ledger->executed++;
	if (ledger->executed * 2 > ledger->execution_mask) {
		sim_violation(sim, "more requests are executed than were ever sent");
		return 1;
	}
	*entry = (struct sim_execution){ event->rpc_id & ~1ull, client, entry->count + 1 };
	if (entry->count > 1)
		sim_violation(sim, "RPC %llu of client %u is executed twice",
			      (unsigned long long)entry->rpc_id, client);
	if (event->length >= sizeof(struct request_head))
		execute_by_head(ledger, sim, event, client);
	if (sim->violation[0])
		return 1;
	return reply_length_of(event->data, event->length);
}

void sim_ledger_reply(const struct homa_event *event, uint8_t *data, uint32_t length)
{
	fill(data, reply_seed(event->data, event->length), 0, length);
}

static void check_reply(const struct sim_rpc *rpc, struct sim *sim, uint32_t client,
			const struct homa_event *event, const struct sim_execution *entry)
{
	bool by_head = rpc->request_length >= sizeof(struct request_head);

	if (event->length != rpc->reply_length ||
	    !filled(event->data, rpc->reply_seed, 0, checkable(sim, event->length)))
		sim_violation(sim, "client %u got a wrong answer to RPC %llu", client,
			      (unsigned long long)event->rpc_id);
	else if (entry->count != 1 || (by_head && rpc->executed != 1))
		sim_violation(sim, "RPC %llu of client %u ended well, but was executed %u times",
			      (unsigned long long)event->rpc_id, client, entry->count);
}

void sim_ledger_finish(struct sim_ledger *ledger, struct sim *sim, uint32_t client,
		       const struct homa_event *event)
{
	struct sim_rpc *rpc = sim_ledger_rpc(ledger, client, event->cookie);

	if (event->cookie >= ledger->per_client || rpc->status != SIM_RPC_PENDING) {
		sim_violation(sim, "client %u hears the end of an RPC that is not pending: cookie %llu",
			      client, (unsigned long long)event->cookie);
		return;
	}
	ledger->pending--;
	if (event->type == HOMA_EVENT_RESPONSE) {
		if (!ledger->lenient)
			check_reply(rpc, sim, client, event, execution(ledger, client, event->rpc_id));
		rpc->status = SIM_RPC_OK;
		ledger->ok++;
	} else {
		rpc->status = SIM_RPC_FAILED;
		ledger->failed++;
	}
}

void sim_ledger_check(const struct sim_ledger *ledger, struct sim *sim)
{
	for (uint64_t i = 0; i < (uint64_t)ledger->clients * ledger->per_client; i++) {
		const struct sim_rpc *rpc = &ledger->rpcs[i];

		if (rpc->status == SIM_RPC_PENDING)
			sim_violation(sim, "request %llu of client %llu is still pending",
				      (unsigned long long)(i % ledger->per_client),
				      (unsigned long long)(i / ledger->per_client));
		if (rpc->executed > 1)
			sim_violation(sim, "request %llu was executed %u times", (unsigned long long)i,
				      rpc->executed);
	}
}
