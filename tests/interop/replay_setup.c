/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before a capture is played: the host's parameters, its ports, and what it knew of its
 * peers already.
 */
#include "replay.h"

#include <string.h>

#define BOGUS_ID 0x7e51deadbeef0001ull /* an RPC that does not exist, as its server knows it */

/* The host's configuration, as far as its packets agree on it. */
void play_learn_params(struct play *play)
{
	const struct capture *capture = play->capture;
	uint32_t unscheduled = 0;
	bool agreed = true;

	homa_params_init(&play->params);
	play->params.max_nic_est_backlog_usecs = 1000000; /* the capture's hosts set the pace */
	play->params.hole_recovery_us = 0;                /* and know nothing of this, */
	play->params.fifo_grant_increment = 50000;        /* and grant these in large pieces */
	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];
		const struct homa_data_header *h = frame_data(frame);
		const struct homa_cutoffs_header *cutoffs = (const void *)h;

		if (!net_ip_equal(&frame->source, &play->host->ip))
			continue;
		/* Version 1 are the defaults; whoever changes them makes it another. */
		if (frame_type(frame) == HOMA_CUTOFFS && cutoffs->version != wire16(1))
			for (int p = 1; p < HOMA_PRIORITIES; p++)
				play->params.unsched_cutoffs[p] = wire32(cutoffs->cutoffs[p]);
		if (frame_type(frame) != HOMA_DATA || h->retransmit ||
		    wire32(h->incoming) >= wire32(h->message_length))
			continue;
		agreed &= !unscheduled || unscheduled == wire32(h->incoming);
		unscheduled = wire32(h->incoming);
	}
	if (unscheduled && agreed)
		play->params.unsched_bytes = unscheduled;
}

/* True if the host has ever sent from the port: then there was a socket. */
static bool port_spoke(const struct play *play, uint16_t port)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame->kind == FRAME_HOMA && net_ip_equal(&frame->source, &play->host->ip) &&
		    wire16(frame_header(frame)->sport) == port)
			return true;
	}
	return false;
}

static void open_ports(struct play *play)
{
	for (int i = 0; i < play->capture->rpc_count; i++) {
		const struct rpc *rpc = &play->capture->rpcs[i];
		int port = 0;

		if (net_ip_equal(&rpc->client, &play->host->ip) && !play->our_port[rpc->client_port]) {
			port = homa_port_open(play->homa, 0);
			play->our_port[rpc->client_port] = (uint16_t)(port > 0 ? port : 0);
		} else if (net_ip_equal(&rpc->server, &play->host->ip) && !play->our_port[rpc->server_port] &&
			   rpc->server_port < HOMA_MIN_CLIENT_PORT && port_spoke(play, rpc->server_port)) {
			port = homa_port_open(play->homa, rpc->server_port);
			play->our_port[rpc->server_port] = (uint16_t)(port > 0 ? port : 0);
		}
	}
}

/* Feeds a packet that is not in the capture. */
static void feed_made_up(struct play *play, const struct net_ip *remote, void *header, uint32_t length,
			 uint8_t type)
{
	struct homa_common_header *h = header;
	struct homa_packet_in in = {
	    .source = *remote, .destination = play->host->ip, .data = header, .length = length};
	int port = homa_port_open(play->homa, 0);

	h->sport = wire16(1);
	h->dport = wire16((uint16_t)port);
	h->type = type;
	h->sender_id = wire64(BOGUS_ID);
	homa_input(play->homa, play->now_ns, &in);
	homa_port_close(play->homa, (uint16_t)port);
}

/* The cutoffs that `remote` announces anywhere in the capture under `version`, or the defaults. */
static void find_cutoffs(const struct play *play, const struct net_ip *remote, __be16 version,
			 struct homa_cutoffs_header *cutoffs)
{
	struct homa_params defaults;

	homa_params_init(&defaults);
	for (int i = 0; i < HOMA_PRIORITIES; i++)
		cutoffs->cutoffs[i] = wire32(defaults.unsched_cutoffs[i]);
	cutoffs->version = version;
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];
		const struct homa_cutoffs_header *h = (const void *)frame->data;

		if (frame_type(frame) == HOMA_CUTOFFS && net_ip_equal(&frame->source, remote) &&
		    h->version == version)
			memcpy(cutoffs->cutoffs, h->cutoffs, sizeof(cutoffs->cutoffs));
	}
}

/* True if frame `index` is the first that tells what the host knows of its receiver's cutoffs. */
static bool first_to_peer(const struct play *play, int index)
{
	const struct frame *data = &play->capture->frames[index];

	for (int i = 0; i < index; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame_type(frame) == HOMA_DATA && net_ip_equal(&frame->source, &data->source) &&
		    net_ip_equal(&frame->destination, &data->destination))
			return false;
		if (frame_type(frame) == HOMA_CUTOFFS && !frame->lost &&
		    net_ip_equal(&frame->source, &data->destination) &&
		    net_ip_equal(&frame->destination, &data->source))
			return false;
	}
	return true;
}

void play_prepare(struct play *play)
{
	open_ports(play);
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];
		struct homa_common_header need_ack = {0};
		struct homa_cutoffs_header cutoffs = {0};

		if (frame_type(frame) != HOMA_DATA || !frame_data(frame)->cutoff_version ||
		    !net_ip_equal(&frame->source, &play->host->ip) || !first_to_peer(play, i))
			continue;
		/* The NEED_ACK makes the peer known, so that its CUTOFFS are taken. */
		feed_made_up(play, &frame->destination, &need_ack, sizeof(need_ack), HOMA_NEED_ACK);
		find_cutoffs(play, &frame->destination, frame_data(frame)->cutoff_version, &cutoffs);
		feed_made_up(play, &frame->destination, &cutoffs, sizeof(cutoffs), HOMA_CUTOFFS);
	}
}
