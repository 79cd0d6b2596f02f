/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control packets: GRANT, RESEND, RPC_UNKNOWN, BUSY and CUTOFFS are handled here, ACK and
 * NEED_ACK in homa_ack.c. A packet counts only if it comes from the RPC's own peer, address
 * and port.
 */
#include <errno.h>
#include <string.h>

#include "homa_state.h"

#define LINK_OVERHEAD 38 /* bytes of link time a packet: Ethernet's preamble, header, check sequence, gap */

/* ---- out ---- */

void homa_transmit(struct homa *homa, struct homa_peer *peer, struct homa_packet_out *packet)
{
	const struct homa_params *p = &homa->params;
	uint64_t bytes = packet->header_length + packet->payload_length + net_ip_header_bytes(&peer->remote) +
			 LINK_OVERHEAD;

	packet->priority = p->priority_map[packet->priority % HOMA_PRIORITIES];
	homa->counters.packets_out[packet->header.common.type - HOMA_TYPE_FIRST]++;
	if (homa->link_idle_ns < homa->now_ns)
		homa->link_idle_ns = homa->now_ns;
	homa->link_idle_ns += bytes * 800000 / ((uint64_t)p->link_mbps * p->max_link_usage);
	homa_incarnation_stamp(homa, &packet->header.common);
	homa->ops.transmit(homa->ctx, peer->path.handle, packet);
}

static void fill(struct homa_common_header *h, enum homa_packet_type type)
{
	h->sequence = 0;
	h->type = (uint8_t)type;
	h->doff = type == HOMA_DATA ? HOMA_DOFF_DATA : HOMA_DOFF_CONTROL;
	h->flags = HOMA_HIJACK_FLAGS;
	h->checksum = 0;
	h->urgent = wire16(HOMA_HIJACK_URGENT);
}

void homa_header_init(const struct homa_rpc *rpc, struct homa_common_header *header, enum homa_packet_type type)
{
	header->sport = wire16(rpc->local_port);
	header->dport = wire16(rpc->remote_port);
	header->sender_id = wire64(rpc->id);
	fill(header, type);
}

void homa_control_send(struct homa *homa, const struct homa_rpc *rpc, enum homa_packet_type type,
		       struct homa_packet_out *packet)
{
	homa_header_init(rpc, &packet->header.common, type);
	packet->priority = (uint8_t)(homa->params.num_priorities - 1);
	homa_transmit(homa, rpc->peer, packet);
}

static void send_bare(struct homa *homa, const struct homa_rpc *rpc, enum homa_packet_type type)
{
	struct homa_packet_out packet = { .header_length = sizeof(struct homa_common_header) };

	homa_control_send(homa, rpc, type, &packet);
}

void homa_unknown_send(struct homa *homa, const struct homa_rpc *rpc)
{
	send_bare(homa, rpc, HOMA_RPC_UNKNOWN);
}

void homa_need_ack_send(struct homa *homa, const struct homa_rpc *rpc)
{
	send_bare(homa, rpc, HOMA_NEED_ACK);
}

void homa_control_answer(struct homa *homa, struct homa_peer *peer, const struct homa_common_header *in,
			 struct homa_packet_out *packet, enum homa_packet_type type)
{
	struct homa_common_header *h = &packet->header.common;

	h->sport = in->dport;
	h->dport = in->sport;
	h->sender_id = in->sender_id ^ wire64(1);
	fill(h, type);
	packet->priority = (uint8_t)(homa->params.num_priorities - 1);
	homa_transmit(homa, peer, packet);
}

void homa_cutoffs_send(struct homa *homa, const struct homa_rpc *rpc)
{
	struct homa_packet_out packet = { .header_length = sizeof(struct homa_cutoffs_header) };

	for (int i = 0; i < HOMA_PRIORITIES; i++)
		packet.header.cutoffs.cutoffs[i] = wire32(homa->params.unsched_cutoffs[i]);
	packet.header.cutoffs.version = wire16(HOMA_CUTOFF_VERSION);
	homa_control_send(homa, rpc, HOMA_CUTOFFS, &packet);
}

/* ---- in ---- */

static void grant_input(struct homa *homa, struct homa_rpc *rpc, const struct homa_grant_header *h)
{
	if (rpc->state != HOMA_RPC_OUTGOING)
		return;
	rpc->heard_ns = homa->now_ns;
	homa_send_granted(homa, rpc, wire32(h->offset), h->priority % HOMA_PRIORITIES);
}

static void resend_input(struct homa *homa, struct homa_rpc *rpc, const struct homa_packet_in *packet)
{
	const struct homa_resend_header *h = (const void *)packet->data;
	uint8_t priority = (uint8_t)(homa->params.num_priorities - 1);
	uint32_t start = wire32(h->offset), length = wire32(h->length), sent, end;

	if (rpc->state == HOMA_RPC_DONE)
		return;
	if (!homa_rpc_is_client(rpc) && rpc->state != HOMA_RPC_OUTGOING) {
		send_bare(homa, rpc, HOMA_BUSY);
		return;
	}
	if (packet->length >= sizeof(*h))
		priority = h->priority % HOMA_PRIORITIES;
	sent = rpc->out.sent;
	end = start > UINT32_MAX - length ? UINT32_MAX : start + length;
	if (length == HOMA_RESEND_ALL)
		end = sent;
	/* Who asks for more than there is must not be kept waiting for it. */
	if (start >= sent && sent < rpc->out.length)
		send_bare(homa, rpc, HOMA_BUSY);
	homa_send_again(homa, rpc, start, end, priority);
	/* The peer waits for bytes that we think it has not granted: the GRANT was lost. */
	if (end > rpc->out.granted)
		homa_send_granted(homa, rpc, end, priority);
}

static void unknown_input(struct homa *homa, struct homa_rpc *rpc)
{
	uint8_t priority;

	if (!homa_rpc_is_client(rpc)) {
		homa_rpc_fail(homa, rpc, -ECANCELED);
		return;
	}
	if (rpc->state != HOMA_RPC_OUTGOING)
		return;
	priority = homa_unscheduled_priority(rpc->peer->cutoffs, (uint8_t)homa->params.num_priorities,
					     rpc->out.length);
	homa_send_again(homa, rpc, 0, rpc->out.sent, priority);
}

static void cutoffs_input(struct homa_peer *peer, const struct homa_cutoffs_header *h)
{
	for (int i = 1; i < HOMA_PRIORITIES; i++)
		peer->cutoffs[i] = wire32(h->cutoffs[i]);
	peer->cutoff_version = wire16(h->version);
}

/* Packets whose RPC we do not know, or do not know any more. */
static void input_without_rpc(struct homa *homa, struct homa_peer *peer, const struct homa_packet_in *packet)
{
	const struct homa_common_header *h = (const void *)packet->data;
	struct homa_packet_out unknown = { .header_length = sizeof(struct homa_common_header) };

	switch (h->type) {
	case HOMA_RESEND:
		homa_control_answer(homa, peer, h, &unknown, HOMA_RPC_UNKNOWN);
		break;
	case HOMA_NEED_ACK:
		if (wire64(h->sender_id) & 1)
			homa_need_ack_input(homa, peer, packet, NULL);
		break;
	case HOMA_ACK:
		homa_ack_input(homa, peer, packet);
		break;
	case HOMA_CUTOFFS:
		cutoffs_input(peer, (const void *)packet->data);
		break;
	default:
		homa->counters.no_rpc++;
	}
}

static void input_for_rpc(struct homa *homa, struct homa_rpc *rpc, const struct homa_packet_in *packet)
{
	const struct homa_common_header *h = (const void *)packet->data;

	switch (h->type) {
	case HOMA_GRANT:
		grant_input(homa, rpc, (const void *)packet->data);
		break;
	case HOMA_RESEND:
		resend_input(homa, rpc, packet);
		break;
	case HOMA_RPC_UNKNOWN:
		unknown_input(homa, rpc);
		break;
	case HOMA_BUSY:
		rpc->heard_ns = homa->now_ns;
		break;
	case HOMA_CUTOFFS:
		cutoffs_input(rpc->peer, (const void *)packet->data);
		break;
	case HOMA_NEED_ACK:
		if (homa_rpc_is_client(rpc))
			homa_need_ack_input(homa, rpc->peer, packet, rpc);
		break;
	case HOMA_ACK:
		homa_ack_input(homa, rpc->peer, packet);
		break;
	}
}

/* The peer that sent a packet; made for strangers only where they are owed an answer. */
static struct homa_peer *sender(struct homa *homa, const struct homa_packet_in *packet)
{
	const struct homa_common_header *h = (const void *)packet->data;
	int error;

	if (h->type == HOMA_RESEND || h->type == HOMA_NEED_ACK)
		return homa_peer_get(homa, &packet->source, &packet->destination, &error);
	return homa_peer_find(homa, &packet->source, &packet->destination);
}

void homa_control_input(struct homa *homa, const struct homa_packet_in *packet)
{
	const struct homa_common_header *h = (const void *)packet->data;
	uint64_t id = wire64(h->sender_id) ^ 1;
	struct homa_peer *peer = sender(homa, packet);
	struct homa_rpc *rpc;

	if (!peer) {
		homa->counters.no_rpc++;
		return;
	}
	rpc = id & 1 ? homa_server_rpc_find(homa, peer, id) : homa_client_rpc_find(homa, id);
	/* Acknowledgements are a host's, not a port's: their own checks follow. */
	if (rpc && h->type != HOMA_ACK && !homa_rpc_matches(rpc, peer, h)) {
		homa->counters.wrong_source++;
		return;
	}
	homa_peer_hold(homa, peer);
	peer->heard_ns = homa->now_ns;
	if (rpc && homa_rpc_is_client(rpc) && !homa_incarnation_heard(homa, rpc, h))
		rpc = NULL;
	if (rpc)
		input_for_rpc(homa, rpc, packet);
	else
		input_without_rpc(homa, peer, packet);
	homa_peer_release(homa, peer);
}
