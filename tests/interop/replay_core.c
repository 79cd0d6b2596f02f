/* SPDX-License-Identifier: BSD-2-Clause */
/* What our core asks of whoever embeds it; what it sends is noted. */
#include "replay.h"

#include <errno.h>
#include <string.h>

static int rpc_of_output(struct play *play, const struct net_ip *to, uint64_t id)
{
	if (id & 1)
		return rpc_find(play->capture, to, &play->host->ip, id & ~1ull);
	if (play->issuing >= 0 && !play->parts[play->issuing].our_id)
		play->parts[play->issuing].our_id = id;
	for (int i = play->capture->rpc_count - 1; i >= 0; i--)
		if (play->parts[i].our_id == id)
			return i;
	return rpc_find(play->capture, &play->host->ip, to, id);
}

static struct output *output_new(struct play *play, int rpc, const struct net_ip *to)
{
	struct output *output;

	if (play->output_count == play->output_capacity) {
		play->output_capacity = play->output_capacity ? play->output_capacity * 2 : 256;
		play->outputs =
		    replay_realloc(play->outputs, (size_t)play->output_capacity * sizeof(struct output));
	}
	output = &play->outputs[play->output_count++];
	*output = (struct output){
	    .time_ns = play->now_ns, .rpc = rpc, .to = *to, .cause = play->cause, .frame = -1};
	if (rpc >= 0)
		output->silence_ns = play->now_ns - play->parts[rpc].heard_ns;
	return output;
}

bool play_missing(const struct play *play, int rpc, uint32_t start, uint64_t end)
{
	const struct message *m = message_in(play, rpc);
	const struct part *part = &play->parts[rpc];

	if (!part->fed || part->fed_bytes == 0)
		return true;
	for (uint64_t i = start; i < end && i < m->length; i++)
		if (!part->fed[i])
			return true;
	return false;
}

static void note_data(struct play *play, struct output *output, const uint8_t *payload)
{
	const struct message *m = message_out(play, output->rpc);
	const struct homa_data_header *h = &output->packet.header.data;
	uint32_t offset = homa_data_offset(h), end = offset + output->packet.payload_length;

	output->same_payload = true;
	for (uint32_t i = offset; i < end && i < m->length; i++)
		if (m->have[i] && m->bytes[i] != payload[i - offset])
			output->same_payload = false;
	if (end == wire32(h->message_length) && !h->retransmit)
		play->parts[output->rpc].sent_ns = play->now_ns;
}

static void transmit(void *ctx, void *path_handle, const struct homa_packet_out *packet)
{
	struct play *play = ctx;
	const struct homa_resend_header *resend = &packet->header.resend;
	int rpc = rpc_of_output(play, path_handle, wire64(packet->header.common.sender_id));
	struct output *output = output_new(play, rpc, path_handle);

	output->packet = *packet;
	if (rpc < 0)
		return;
	if (packet->header.common.type == HOMA_DATA)
		note_data(play, output, packet->payload);
	if (packet->header.common.type == HOMA_RESEND)
		output->wanted = play_missing(play, rpc, wire32(resend->offset), resend_end(resend));
	output->packet.payload = NULL;
}

static void port_unreachable(void *ctx, const struct homa_packet_in *packet)
{
	struct play *play = ctx;
	int rpc = play->cause >= 0 ? play->capture->frames[play->cause].rpc : -1;

	output_new(play, rpc, &packet->source)->unreachable = true;
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *path)
{
	struct play *play = ctx;
	uint32_t segment = segment_bytes(play->capture, &play->host->ip, remote);
	struct net_ip *handle = malloc(sizeof(*handle));

	(void)local;
	if (!handle)
		return -ENOMEM;
	*handle = *remote;
	path->handle = handle;
	path->local = play->host->ip;
	path->mtu = segment
			? segment + net_ip_header_bytes(remote) + (uint32_t)sizeof(struct homa_data_header)
			: 1500;
	return 0;
}

static void path_close(void *ctx, void *path_handle)
{
	(void)ctx;
	free(path_handle);
}

static void *buffer_get(void *ctx, uint32_t length)
{
	(void)ctx;
	return malloc(length);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	(void)ctx;
	(void)length;
	free(data);
}

static uint64_t next_random(void *ctx)
{
	struct play *play = ctx;

	/* An odd multiplier: distinct values; ids of ours are far from those of any capture. */
	play->random = play->random * 6364136223846793005ull + 1442695040888963407ull;
	return play->random;
}

const struct homa_ops replay_ops = {
    .transmit = transmit,
    .path_open = path_open,
    .path_close = path_close,
    .buffer_get = buffer_get,
    .buffer_put = buffer_put,
    .port_unreachable = port_unreachable,
    .random = next_random,
};
