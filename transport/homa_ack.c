/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acknowledgements: the client tells the server that it has a response, so that the
 * server can forget the RPC. They ride on later DATA, up to five go in an ACK packet, and
 * what is lost is asked for with NEED_ACK. What the server has forgotten it still knows
 * to be finished, for as long as the dedupe window reaches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "homa_state.h"

/* ---- finished requests ---- */

int homa_dedupe_init(struct homa *homa)
{
	struct homa_dedupe *d = &homa->finished;

	d->size = 1;
	while (d->size < homa->params.dedupe_window)
		d->size *= 2;
	d->ring = calloc(d->size, sizeof(*d->ring));
	d->table = calloc(2 * (size_t)d->size, sizeof(*d->table));
	return d->ring && d->table ? 0 : -ENOMEM;
}

void homa_dedupe_free(struct homa *homa)
{
	free(homa->finished.ring);
	free(homa->finished.table);
}

static uint64_t fingerprint(const struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	/* The peer may be forgotten and made again meanwhile: its hash stays. */
	uint64_t print = homa_rpc_hash(homa, peer, id | 1);

	return print ? print : 1;
}

static uint32_t mask(const struct homa_dedupe *d)
{
	return 2 * d->size - 1;
}

/* Takes one out of the table, and closes the gap: what was put further on because of it moves up. */
static void forget(struct homa_dedupe *d, uint64_t print)
{
	uint32_t gap = print & mask(d);

	while (d->table[gap] != print)
		gap = (gap + 1) & mask(d);
	for (uint32_t i = (gap + 1) & mask(d); d->table[i]; i = (i + 1) & mask(d)) {
		uint32_t moved_by = (i - (uint32_t)d->table[i]) & mask(d);

		if (moved_by < ((i - gap) & mask(d)))
			continue;
		d->table[gap] = d->table[i];
		gap = i;
	}
	d->table[gap] = 0;
}

void homa_dedupe_add(struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	struct homa_dedupe *d = &homa->finished;
	uint64_t *oldest = &d->ring[d->count & (d->size - 1)];
	uint64_t print = fingerprint(homa, peer, id);
	uint32_t at = print & mask(d);

	if (d->count >= d->size)
		forget(d, *oldest);
	*oldest = print;
	while (d->table[at])
		at = (at + 1) & mask(d);
	d->table[at] = print;
	d->count++;
	/* What is forgotten next was put there long ago. */
	__builtin_prefetch(&d->table[d->ring[d->count & (d->size - 1)] & mask(d)], 1);
}

bool homa_dedupe_has(const struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	const struct homa_dedupe *d = &homa->finished;
	uint64_t print = fingerprint(homa, peer, id);

	for (uint32_t i = print & mask(d); d->table[i]; i = (i + 1) & mask(d))
		if (d->table[i] == print)
			return true;
	return false;
}

/* ---- the client's part ---- */

/* An ACK packet with the acks that are noted for the peer. */
static struct homa_packet_out take_all(struct homa_peer *peer)
{
	struct homa_packet_out packet = { .header_length = sizeof(struct homa_ack_header) };
	struct homa_ack_header *ack = &packet.header.ack;

	ack->count = wire16(peer->ack_count);
	for (uint32_t i = 0; i < peer->ack_count; i++) {
		ack->acks[i].client_id = wire64(peer->acks[i].id);
		ack->acks[i].server_port = wire16(peer->acks[i].server_port);
	}
	peer->ack_count = 0;
	return packet;
}

void homa_ack_queue(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_peer *peer = rpc->peer;

	if (peer->ack_count == HOMA_ACKS_PER_PACKET) {
		struct homa_packet_out packet = take_all(peer);

		homa_control_send(homa, rpc, HOMA_ACK, &packet);
		return;
	}
	peer->acks[peer->ack_count].id = rpc->id;
	peer->acks[peer->ack_count].server_port = rpc->remote_port;
	peer->acks[peer->ack_count].client_port = rpc->local_port;
	peer->ack_count++;
}

void homa_ack_flush(struct homa *homa, struct homa_peer *peer)
{
	/* Made out as the answer to a packet of the server's, of the RPC noted first. */
	struct homa_common_header header = {
		.sport = wire16(peer->acks[0].server_port),
		.dport = wire16(peer->acks[0].client_port),
		.sender_id = wire64(peer->acks[0].id ^ 1),
	};
	struct homa_packet_out packet;

	if (!peer->ack_count)
		return;
	packet = take_all(peer);
	homa_control_answer(homa, peer, &header, &packet, HOMA_ACK);
}

struct homa_ack_entry homa_ack_take(struct homa_peer *peer)
{
	struct homa_ack_entry entry = { 0 };

	if (peer->ack_count) {
		peer->ack_count--;
		entry.client_id = wire64(peer->acks[peer->ack_count].id);
		entry.server_port = wire16(peer->acks[peer->ack_count].server_port);
	}
	return entry;
}

void homa_need_ack_input(struct homa *homa, struct homa_peer *peer, const struct homa_packet_in *packet,
			 struct homa_rpc *rpc)
{
	struct homa_packet_out busy = { .header_length = sizeof(struct homa_common_header) }, answer;

	if (rpc && rpc->state != HOMA_RPC_DONE) {
		homa_recv_request_missing(homa, rpc);
		/* All that was granted is here: the server has to wait for more. */
		if (rpc->in.length && homa_message_received(&rpc->in) >= rpc->in.granted)
			homa_control_send(homa, rpc, HOMA_BUSY, &busy);
		return;
	}
	answer = take_all(peer);
	homa_control_answer(homa, peer, (const void *)packet->data, &answer, HOMA_ACK);
}

/* ---- the server's part ---- */

static void finish(struct homa *homa, struct homa_rpc *rpc)
{
	/* Only a response that was sent can have been received, and only a client that was asked may
	 * want no more of one: anything else is a forgery. */
	if (rpc->state != HOMA_RPC_OUTGOING || (rpc->out.sent < rpc->out.length && !rpc->need_acks))
		return;
	homa_dedupe_add(homa, rpc->peer, rpc->id);
	homa_rpc_free(homa, rpc);
}

void homa_ack_entry_input(struct homa *homa, struct homa_peer *peer, const struct homa_ack_entry *entry)
{
	struct homa_rpc *rpc;

	if (!entry->client_id)
		return;
	rpc = homa_server_rpc_find(homa, peer, wire64(entry->client_id) | 1);
	if (rpc && rpc->local_port == wire16(entry->server_port))
		finish(homa, rpc);
}

void homa_ack_input(struct homa *homa, struct homa_peer *peer, const struct homa_packet_in *packet)
{
	const struct homa_ack_header *ack = (const void *)packet->data;
	uint32_t count = wire16(ack->count);
	struct homa_rpc *rpc = homa_server_rpc_find(homa, peer, wire64(ack->common.sender_id) | 1);

	if (rpc && rpc->local_port == wire16(ack->common.dport) && rpc->remote_port == wire16(ack->common.sport))
		finish(homa, rpc);
	if (count > HOMA_ACKS_PER_PACKET)
		count = HOMA_ACKS_PER_PACKET;
	for (uint32_t i = 0; i < count; i++)
		homa_ack_entry_input(homa, peer, &ack->acks[i]);
}
