/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the RPCs, messages and hosts of a capture. */
#include "replay.h"

#include <string.h>

int rpc_find(const struct capture *capture, const struct net_ip *client, const struct net_ip *server,
	     uint64_t id)
{
	for (int i = capture->rpc_count - 1; i >= 0; i--) {
		const struct rpc *rpc = &capture->rpcs[i];

		if (rpc->id == id && net_ip_equal(&rpc->client, client) && net_ip_equal(&rpc->server, server))
			return i;
	}
	return -1;
}

static int add_rpc(struct capture *capture, const struct net_ip *client, const struct net_ip *server,
		   uint64_t id, int frame)
{
	struct rpc *rpc;
	int capacity = capture->rpc_count;

	if (!(capacity & (capacity - 1))) /* grows whenever the number is a power of two */
		capture->rpcs =
		    replay_realloc(capture->rpcs, (size_t)(capacity ? capacity * 2 : 1) * sizeof(struct rpc));
	rpc = &capture->rpcs[capture->rpc_count];
	*rpc = (struct rpc){
	    .client = *client, .server = *server, .id = id, .first_frame = frame, .answered = -1};
	return capture->rpc_count++;
}

static void assign_rpc(struct capture *capture, int index)
{
	struct frame *frame = &capture->frames[index];
	const struct homa_common_header *h = frame_header(frame);
	/* An ICMP error quotes a packet that its destination sent. */
	const struct net_ip *from = frame->kind == FRAME_ICMP ? &frame->destination : &frame->source;
	const struct net_ip *to = frame->kind == FRAME_ICMP ? &frame->quoted_to : &frame->destination;
	uint64_t id = wire64(h->sender_id) & ~1ull;

	if (h->type == HOMA_FREEZE)
		return;
	frame->from_client = !(wire64(h->sender_id) & 1);
	if (!frame->from_client) {
		const struct net_ip *swap = from;

		from = to;
		to = swap;
	}
	frame->rpc = rpc_find(capture, from, to, id);
	if (frame->rpc < 0) {
		struct rpc *rpc;

		frame->rpc = add_rpc(capture, from, to, id, index);
		rpc = &capture->rpcs[frame->rpc];
		rpc->client_port = wire16(frame->from_client ? h->sport : h->dport);
		rpc->server_port = wire16(frame->from_client ? h->dport : h->sport);
	}
}

static void add_data(struct capture *capture, int index)
{
	const struct frame *frame = &capture->frames[index];
	const struct homa_data_header *h = frame_data(frame);
	struct message *m = &capture->rpcs[frame->rpc].message[frame->from_client ? REQUEST : RESPONSE];

	if (!m->length) {
		m->length = wire32(h->message_length);
		m->bytes = replay_realloc(NULL, m->length);
		m->have = replay_realloc(NULL, m->length);
		memset(m->bytes, 0, m->length);
		memset(m->have, 0, m->length);
		m->first = index;
		m->unscheduled = m->length;
	}
	m->last = index;
	if (!h->retransmit && wire32(h->incoming) < m->unscheduled)
		m->unscheduled = wire32(h->incoming);
	for (uint32_t i = frame_offset(frame); i < frame_end(frame) && i < m->length; i++) {
		if (!m->have[i]) {
			m->bytes[i] = frame->data[sizeof(*h) + i - frame_offset(frame)];
			m->have[i] = 1;
			m->had++;
		}
	}
}

/* Marks as acknowledged what an ACK, or an ack carried by DATA, names. */
static void add_acks(struct capture *capture, int index)
{
	const struct frame *frame = &capture->frames[index];
	const struct homa_ack_header *ack = (const void *)frame->data;
	const struct homa_ack_entry *entry = &frame_data(frame)->ack;
	uint32_t count = 1;

	if (frame_type(frame) == HOMA_ACK) {
		if (capture->rpcs[frame->rpc].answered < 0)
			capture->rpcs[frame->rpc].answered = index;
		entry = ack->acks;
		count = wire16(ack->count) < HOMA_ACKS_PER_PACKET ? wire16(ack->count) : HOMA_ACKS_PER_PACKET;
	} else if (frame_type(frame) != HOMA_DATA) {
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		int rpc = rpc_find(capture, &frame->source, &frame->destination, wire64(entry[i].client_id));

		if (rpc >= 0 && entry[i].client_id && capture->rpcs[rpc].answered < 0)
			capture->rpcs[rpc].answered = index;
	}
}

/* The host, made if it is new. */
static struct host *host_of(struct capture *capture, const struct net_ip *ip)
{
	for (int i = 0; i < capture->host_count; i++)
		if (net_ip_equal(&capture->hosts[i].ip, ip))
			return &capture->hosts[i];
	capture->hosts =
	    replay_realloc(capture->hosts, (size_t)(capture->host_count + 1) * sizeof(struct host));
	capture->hosts[capture->host_count] = (struct host){.ip = *ip, .is_linux = true};
	return &capture->hosts[capture->host_count++];
}

/*
 * Linux Homa leaves the checksum to be finished by the device, so that the field holds at
 * least a sum of the addresses; programs that send Homa packets of their own making leave
 * it 0. A host none of whose packets has one is not Linux Homa.
 */
static void index_hosts(struct capture *capture)
{
	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];
		struct host *host;

		if (frame->kind == FRAME_ICMP && frame->icmp == HOMA_ICMP_PORT)
			host_of(capture, &frame->source)->icmp_frames++;
		if (frame->kind != FRAME_HOMA)
			continue;
		host = host_of(capture, &frame->source);
		if (!host->homa_frames++)
			host->is_linux = false;
		host->is_linux |= frame_header(frame)->checksum != 0;
		host->good_checksums += frame->checksum_good;
	}
}

/* True for packets that only a server sends that knows the RPC. */
static bool shows_state(uint8_t type)
{
	return type == HOMA_DATA || type == HOMA_GRANT || type == HOMA_BUSY || type == HOMA_NEED_ACK ||
	       type == HOMA_RESEND || type == HOMA_CUTOFFS;
}

/* Linux Homa's ids count up: an RPC with a higher id than one that was seen to begin earlier
 * cannot have begun before that. */
static bool could_be_older(const struct capture *capture, const struct rpc *rpc)
{
	for (const struct rpc *other = capture->rpcs; other < rpc; other++)
		if (net_ip_equal(&other->client, &rpc->client) && other->id < rpc->id &&
		    other->message[REQUEST].length && other->message[REQUEST].have[0])
			return false;
	return true;
}

/* An RPC whose server knows it, although no first packet of it was seen, began earlier. */
static void find_cut(struct capture *capture)
{
	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];
		struct rpc *rpc = frame->rpc >= 0 ? &capture->rpcs[frame->rpc] : NULL;
		const struct message *request = rpc ? &rpc->message[REQUEST] : NULL;

		if (!rpc || frame->kind != FRAME_HOMA)
			continue;
		if (request->length && request->have[0])
			continue;
		if (request->length || (!frame->from_client && shows_state(frame_type(frame))))
			rpc->cut = true;
	}
	for (int i = 0; i < capture->rpc_count; i++) {
		struct rpc *rpc = &capture->rpcs[i];

		rpc->orphan = rpc->cut && !could_be_older(capture, rpc);
	}
}

void capture_index(struct capture *capture)
{
	for (int i = 0; i < capture->frame_count; i++) {
		struct frame *frame = &capture->frames[i];

		if (frame->kind == FRAME_OTHER || frame->kind == FRAME_BAD)
			continue;
		assign_rpc(capture, i);
		if (frame_type(frame) == HOMA_DATA)
			add_data(capture, i);
		if (frame->kind == FRAME_HOMA && frame->rpc >= 0)
			add_acks(capture, i);
	}
	index_hosts(capture);
	find_cut(capture);
}

uint32_t segment_bytes(const struct capture *capture, const struct net_ip *from, const struct net_ip *to)
{
	uint32_t most = 0;

	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (frame_type(frame) == HOMA_DATA && net_ip_equal(&frame->source, from) &&
		    net_ip_equal(&frame->destination, to) && frame_payload(frame) > most &&
		    frame_end(frame) < wire32(frame_data(frame)->message_length))
			most = frame_payload(frame);
	}
	return most;
}
