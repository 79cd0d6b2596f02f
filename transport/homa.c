/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "homa_state.h"

uint64_t homa_hash(const struct homa *homa, uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ homa->key[0]) * (b ^ homa->key[1] ^ 0x9e3779b97f4a7c15);
	uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64) ^ a;

	product = (unsigned __int128)(mixed ^ homa->key[1]) * (0xd6e8feb86659fd93 ^ b);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

void *homa_lines_new(size_t bytes, void **memory)
{
	*memory = calloc(1, bytes + HOMA_CACHE_LINE - 1);
	if (!*memory)
		return NULL;
	return (char *)*memory + (-(uintptr_t)*memory & (HOMA_CACHE_LINE - 1));
}

/* ---- life ---- */

int homa_create(const struct homa_params *params, const struct homa_ops *ops, void *ctx, uint64_t now_ns,
		struct homa **homa_out)
{
	struct homa *homa = calloc(1, sizeof(*homa));
	int error = -ENOMEM;

	if (!homa)
		return -ENOMEM;
	homa_params_init(&homa->params);
	if (params)
		homa->params = *params;
	homa->ops = *ops;
	homa->ctx = ctx;
	homa->now_ns = now_ns;
	TAILQ_INIT(&homa->peers);
	TAILQ_INIT(&homa->ready);
	TAILQ_INIT(&homa->incomplete);
	TAILQ_INIT(&homa->grantable_by_age);
	TAILQ_INIT(&homa->suspects);
	TAILQ_INIT(&homa->unproven);
	timer_wheel_init(&homa->wheel, now_ns / HOMA_TICK_NS);
	homa->key[0] = ops->random(ctx);
	homa->key[1] = ops->random(ctx);
	/* Not from 2 on, as the reference does: ids must not be guessed, nor repeat after a restart. */
	homa->first_use = ops->random(ctx);
	homa_incarnation_init(homa);
	homa->next_port = (uint16_t)(ops->random(ctx) | HOMA_MIN_CLIENT_PORT);
	homa->ports = calloc(1, 65536 / 8);
	if (homa->ports)
		error = homa_params_check(&homa->params, NULL);
	if (!error)
		error = homa_peers_init(homa);
	if (!error)
		error = homa_rpcs_init(homa);
	if (!error)
		error = homa_dedupe_init(homa);
	if (error) {
		homa_destroy(homa);
		return error;
	}
	*homa_out = homa;
	return 0;
}

void homa_shutdown(struct homa *homa, uint64_t now_ns)
{
	struct homa_peer *peer;

	homa->now_ns = now_ns;
	TAILQ_FOREACH (peer, &homa->peers, lru)
		homa_ack_flush(homa, peer);
}

void homa_destroy(struct homa *homa)
{
	if (!homa)
		return;
	homa_rpcs_free(homa);
	homa_peers_free(homa);
	homa_dedupe_free(homa);
	free(homa->ports);
	free(homa);
}

/* ---- ports ---- */

bool homa_port_is_open(const struct homa *homa, uint16_t port)
{
	return homa->ports[port / 8] >> port % 8 & 1;
}

static int pick_client_port(struct homa *homa)
{
	for (uint32_t tries = 0; tries < 65536 - HOMA_MIN_CLIENT_PORT; tries++) {
		uint16_t port = homa->next_port;

		homa->next_port = (uint16_t)((port + 1) | HOMA_MIN_CLIENT_PORT);
		if (!homa_port_is_open(homa, port))
			return port;
	}
	return -EADDRINUSE;
}

int homa_port_open(struct homa *homa, uint16_t port)
{
	int chosen = port;

	if (port >= HOMA_MIN_CLIENT_PORT)
		return -EINVAL;
	if (!port)
		chosen = pick_client_port(homa);
	else if (homa_port_is_open(homa, port))
		return -EADDRINUSE;
	if (chosen > 0)
		homa->ports[chosen / 8] |= (uint8_t)(1u << chosen % 8);
	return chosen;
}

static void end_rpcs_of_port(struct homa *homa, struct homa_table *table, uint16_t port)
{
	for (uint32_t i = 0; i < table->touched; i++) {
		struct homa_rpc *rpc = &table->slots[i];

		if (rpc->state != HOMA_RPC_FREE && rpc->local_port == port)
			homa_rpc_free(homa, rpc);
	}
}

void homa_port_close(struct homa *homa, uint16_t port)
{
	homa->ports[port / 8] &= (uint8_t)~(1u << port % 8);
	end_rpcs_of_port(homa, port >= HOMA_MIN_CLIENT_PORT ? &homa->clients : &homa->servers, port);
}

/* ---- messages ---- */

static int check_length(const struct homa *homa, uint32_t length)
{
	if (!length || length > HOMA_MAX_MESSAGE)
		return -EMSGSIZE;
	if (homa->counters.outgoing_bytes + length > homa->params.max_outgoing_memory)
		return -ENOBUFS;
	return 0;
}

static void put_back(struct homa *homa, void *data, uint32_t length)
{
	if (homa->ops.buffer_put)
		homa->ops.buffer_put(homa->ctx, data, length);
}

int homa_request(struct homa *homa, uint64_t now_ns, uint16_t source_port, const struct net_endpoint *remote,
		 const struct net_ip *local, void *data, uint32_t length, uint64_t cookie, uint64_t *handle)
{
	int error = check_length(homa, length);
	struct homa_peer *peer;
	struct homa_rpc *rpc = NULL;

	homa->now_ns = now_ns;
	if (!error && (!homa_port_is_open(homa, source_port) || source_port < HOMA_MIN_CLIENT_PORT))
		error = -EBADF;
	if (!error) {
		peer = homa_peer_get(homa, &remote->ip, local, &error);
		rpc = peer ? homa_client_rpc_new(homa, peer) : NULL;
		if (peer && !rpc)
			error = -ENOBUFS;
	}
	if (!rpc) {
		put_back(homa, data, length);
		return error;
	}
	rpc->cookie = cookie;
	rpc->local_port = source_port;
	rpc->remote_port = remote->port;
	rpc->server = homa_incarnation_of(peer, remote->port);
	homa_rpc_set_state(homa, rpc, HOMA_RPC_OUTGOING);
	homa_send_init(homa, rpc, data, length);
	homa_timer_start(homa, rpc);
	*handle = homa_rpc_handle(rpc);
	homa_send_start(homa, rpc);
	return 0;
}

int homa_respond(struct homa *homa, uint64_t now_ns, uint64_t handle, void *data, uint32_t length)
{
	struct homa_rpc *rpc = homa_rpc_by_handle(homa, handle);
	int error = check_length(homa, length);

	homa->now_ns = now_ns;
	if (!rpc || rpc->state == HOMA_RPC_DONE)
		error = -ENOENT;
	else if (homa_rpc_is_client(rpc) || rpc->state != HOMA_RPC_IN_SERVICE || !rpc->reported)
		error = -EINVAL;
	if (error) {
		put_back(homa, data, length);
		return error;
	}
	rpc->heard_ns = now_ns;
	homa_rpc_set_state(homa, rpc, HOMA_RPC_OUTGOING);
	homa_send_init(homa, rpc, data, length);
	homa_timer_start(homa, rpc);
	homa_send_start(homa, rpc);
	return 0;
}

void homa_abort(struct homa *homa, uint64_t now_ns, uint64_t handle)
{
	struct homa_rpc *rpc = homa_rpc_by_handle(homa, handle);

	homa->now_ns = now_ns;
	if (!rpc)
		return;
	if (!homa_rpc_is_client(rpc))
		homa_dedupe_add(homa, rpc->peer, rpc->id);
	else if (rpc->state != HOMA_RPC_DONE && rpc->out.sent)
		homa_unknown_send(homa, rpc);
	homa_rpc_free(homa, rpc);
}

/* ---- events ---- */

void homa_event_post(struct homa *homa, struct homa_rpc *rpc, enum homa_event_type type, int error)
{
	assert(rpc->event == HOMA_EVENT_NONE);
	rpc->event = (uint8_t)type;
	rpc->error = error;
	TAILQ_INSERT_TAIL(&homa->ready, rpc, ready);
}

bool homa_next_event(struct homa *homa, struct homa_event *event)
{
	struct homa_rpc *rpc = TAILQ_FIRST(&homa->ready);

	if (!rpc)
		return false;
	TAILQ_REMOVE(&homa->ready, rpc, ready);
	*event = (struct homa_event){
		.type = rpc->event,
		.error = rpc->error,
		.handle = homa_rpc_handle(rpc),
		.cookie = rpc->cookie,
		.rpc_id = rpc->id,
		.remote = { rpc->peer->remote, rpc->remote_port },
		.local = rpc->peer->path.local,
		.local_port = rpc->local_port,
	};
	rpc->event = HOMA_EVENT_NONE;
	if (event->type == HOMA_EVENT_REQUEST || event->type == HOMA_EVENT_RESPONSE) {
		event->data = rpc->in.data;
		event->length = rpc->in.length;
		rpc->in.data = NULL;
		rpc->in.length = 0;
	}
	if (event->type == HOMA_EVENT_REQUEST)
		rpc->reported = true;
	else
		homa_rpc_free(homa, rpc);
	return true;
}

void homa_message_free(struct homa *homa, void *data, uint32_t length)
{
	put_back(homa, data, length);
}

/* ---- driving it ---- */

void homa_input(struct homa *homa, uint64_t now_ns, struct homa_packet_in *packet)
{
	const struct homa_common_header *h = (const void *)packet->data;
	enum homa_verdict verdict = homa_check_common(h, packet->length);
	uint16_t port;

	homa->now_ns = now_ns;
	if (verdict != HOMA_OK) {
		homa->counters.dropped[verdict]++;
		return;
	}
	homa->counters.packets_in[h->type - HOMA_TYPE_FIRST]++;
	if (h->type == HOMA_FREEZE)
		return;
	port = wire16(h->dport);
	/* What a client sends is for a server, whose ports are the low ones. */
	if (!homa_port_is_open(homa, port) || (!(wire64(h->sender_id) & 1) && port >= HOMA_MIN_CLIENT_PORT)) {
		homa->counters.no_port++;
		if (homa->ops.port_unreachable)
			homa->ops.port_unreachable(homa->ctx, packet);
		return;
	}
	if (h->type == HOMA_DATA)
		homa_recv_data(homa, packet);
	else
		homa_control_input(homa, packet);
}

void homa_input_done(struct homa *homa, uint64_t now_ns)
{
	homa->now_ns = now_ns;
	homa_grant_run(homa);
}

void homa_icmp_input(struct homa *homa, uint64_t now_ns, const struct net_ip *remote, enum homa_icmp what,
		     const uint8_t *quoted, uint32_t quoted_length)
{
	static const int errors[] = {
		[HOMA_ICMP_PORT] = -ECONNREFUSED,
		[HOMA_ICMP_PROTOCOL] = -EPROTONOSUPPORT,
		[HOMA_ICMP_HOST] = -EHOSTUNREACH,
	};
	const struct homa_common_header *h = (const void *)quoted;
	struct homa_rpc *rpc;
	uint64_t id;

	homa->now_ns = now_ns;
	if (quoted_length < sizeof(*h))
		return;
	id = wire64(h->sender_id);
	if (!(id & 1)) {
		rpc = homa_client_rpc_find(homa, id);
	} else {
		struct homa_peer *peer;

		rpc = NULL;
		TAILQ_FOREACH (peer, &homa->peers, lru)
			if (net_ip_equal(&peer->remote, remote) && (rpc = homa_server_rpc_find(homa, peer, id)))
				break;
	}
	if (!rpc || !net_ip_equal(&rpc->peer->remote, remote) || rpc->local_port != wire16(h->sport) ||
	    rpc->remote_port != wire16(h->dport))
		return;
	homa_rpc_fail(homa, rpc, errors[what]);
}

void homa_poll(struct homa *homa, uint64_t now_ns)
{
	homa->now_ns = now_ns;
	homa_timer_run(homa);
	homa_holes_run(homa);
	homa_grant_fifo(homa);
	homa_grant_run(homa);
	homa_send_run(homa);
}

uint64_t homa_next_timeout(const struct homa *homa, uint64_t now_ns)
{
	uint64_t tick = timer_wheel_next(&homa->wheel);
	uint64_t next = tick == UINT64_MAX ? UINT64_MAX : tick * HOMA_TICK_NS;
	uint64_t send = homa_send_next(homa), fifo = homa_grant_next(homa), holes = homa_holes_next(homa);

	next = send < next ? send : next;
	next = fifo < next ? fifo : next;
	next = holes < next ? holes : next;
	return next > now_ns ? next : now_ns;
}

void homa_counters_get(const struct homa *homa, struct homa_counters *counters)
{
	*counters = homa->counters;
	counters->total_granted = homa->total_granted;
}
