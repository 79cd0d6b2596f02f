/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * At-most-once across restarts. A server that has restarted does not know what it has
 * executed before, and RPC_UNKNOWN would make the client send the request again. So every
 * host says in all of its packets which incarnation of itself it is, and for how long:
 *
 *	A client binds an RPC to the incarnation of the server that it was begun under, and
 *	writes it into the request's packets. It may bind it to another one only if that one
 *	is older than the RPC, so that no former one was there to execute it, or if the RPC
 *	is younger than a restart takes. Otherwise the RPC ends: executed or not, nobody knows.
 *
 *	A server begins with a request only if it is bound to itself. One that is bound to
 *	nothing, a first contact, may be a copy that was on its way for long, made for a
 *	former incarnation: while the server is younger than packets can become, it answers
 *	RPC_UNKNOWN, whereupon the client binds the RPC as above and sends it again.
 *
 * Linux Homa says nothing, and is served and believed as it expects.
 */
#include <errno.h>

#include "homa_state.h"

#define FIRST_CONTACT_NS 1000000000ull /* no packet is on its way for longer */
#define RESTART_NS       1000000ull    /* from a server's end to its next incarnation it takes longer */
#define AGE_UNIT_NS      1000000ull
#define AGE_MAX          65535u
#define CLOCK_ERROR      64 /* clocks may differ in rate by a 64th */

void homa_incarnation_init(struct homa *homa)
{
	homa->incarnation = (uint32_t)(homa->ops.random(homa->ctx) % 0xffffff) + 1;
	homa->born_ns = homa->now_ns;
}

void homa_incarnation_stamp(const struct homa *homa, struct homa_common_header *header)
{
	uint64_t age = (homa->now_ns - homa->born_ns) / AGE_UNIT_NS;

	homa_put24(header->ack, homa->incarnation);
	header->window = wire16((uint16_t)(age < AGE_MAX ? age : AGE_MAX));
}

uint32_t homa_incarnation_of(const struct homa_peer *peer, uint16_t port)
{
	uint32_t i = port % HOMA_KNOWN_SERVERS;

	return peer->servers[i].port == port ? peer->servers[i].incarnation : 0;
}

bool homa_incarnation_heard(struct homa *homa, struct homa_rpc *rpc, const struct homa_common_header *header)
{
	uint32_t incarnation = homa_get24(header->ack), i = rpc->remote_port % HOMA_KNOWN_SERVERS;
	uint64_t server_ns = wire16(header->window) * AGE_UNIT_NS, rpc_ns = homa->now_ns - rpc->birth_ns;

	if (!incarnation || incarnation == rpc->server)
		return true;
	rpc->peer->servers[i].port = rpc->remote_port;
	rpc->peer->servers[i].incarnation = incarnation;
	if (server_ns > rpc_ns + rpc_ns / CLOCK_ERROR || rpc_ns < RESTART_NS) {
		rpc->server = incarnation;
		return true;
	}
	/* A response is proof of itself. */
	if (header->type == HOMA_DATA)
		return true;
	homa_rpc_fail(homa, rpc, -ECONNRESET);
	return false;
}

bool homa_incarnation_admits(const struct homa *homa, const struct homa_data_header *header)
{
	uint32_t bound = homa_get24(header->pad);

	if (!homa_get24(header->common.ack))
		return true;
	if (bound)
		return bound == homa->incarnation;
	return homa->now_ns - homa->born_ns >= FIRST_CONTACT_NS;
}
