/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host's application did, inferred from what the host sent: a request was issued
 * when its first packet went out, a response given likewise. If only retransmissions were
 * seen, the message was sent before the silence that made the peer ask, and lost before
 * the capture point.
 */
#include "replay.h"

#define SILENCE_NS (5 * MS + MS / 2) /* from a request to the first RESEND for its response */

struct script {
	struct step *steps;
	int count;
};

static void add(struct script *script, uint64_t time_ns, int frame, void (*run)(struct play *, int),
		int argument)
{
	if (!(script->count & (script->count - 1)))
		script->steps = replay_realloc(
		    script->steps, (size_t)(script->count ? script->count * 2 : 1) * sizeof(struct step));
	script->steps[script->count++] = (struct step){time_ns, frame, run, argument};
}

static void add_request(const struct play *play, struct script *script, int index)
{
	const struct rpc *rpc = &play->capture->rpcs[index];
	const struct message *request = &rpc->message[REQUEST];
	const struct frame *frames = play->capture->frames;

	if (!request->length)
		return;
	if (frame_data(&frames[request->first])->retransmit || rpc->first_frame < request->first)
		add(script, frames[rpc->first_frame].time_ns - SILENCE_NS, rpc->first_frame, play_issue,
		    index);
	else
		add(script, frames[request->first].time_ns, request->first, play_issue, index);
}

/*
 * The frame before which a response was given: its first, or, if that is a retransmission,
 * the RESEND that brought it; BUSY says that there was no response yet.
 */
static int response_frame(const struct play *play, int index)
{
	const struct capture *capture = play->capture;
	int first = capture->rpcs[index].message[RESPONSE].first, at = first;

	if (!frame_data(&capture->frames[first])->retransmit)
		return first;
	for (int i = first - 1; i >= 0; i--) {
		const struct frame *frame = &capture->frames[i];

		if (frame->rpc != index)
			continue;
		if (frame_type(frame) == HOMA_BUSY && !frame->from_client)
			break;
		if (frame_type(frame) == HOMA_RESEND && frame->from_client && !frame->lost)
			at = i;
	}
	return at;
}

static void add_response(const struct play *play, struct script *script, int index)
{
	int at;

	if (!play->capture->rpcs[index].message[RESPONSE].length)
		return;
	at = response_frame(play, index);
	add(script, play->capture->frames[at].time_ns, at, play_respond, index);
}

static bool of_port(const struct frame *frame, const struct net_ip *host, uint16_t port, bool from)
{
	const struct homa_common_header *h = frame->kind == FRAME_HOMA ? frame_header(frame) : NULL;

	if (!h)
		return false;
	return from ? net_ip_equal(&frame->source, host) && wire16(h->sport) == port
		    : net_ip_equal(&frame->destination, host) && wire16(h->dport) == port;
}

static void close_port(struct play *play, int port)
{
	play_close_port(play, (uint16_t)port);
}

/*
 * A port that the host used and then answered for with ICMP had been closed: after the
 * last packet that it sent from there and the last that it took, and before the first that
 * got no answer.
 */
static void add_close(const struct play *play, struct script *script, int icmp)
{
	const struct capture *capture = play->capture;
	uint16_t port = wire16(frame_header(&capture->frames[icmp])->dport);
	int last = -1, at = icmp;

	for (int i = 0; i < icmp; i++) {
		const struct frame *frame = &capture->frames[i];
		uint8_t type = frame_type(frame);

		if (of_port(frame, &play->host->ip, port, true) ||
		    (of_port(frame, &play->host->ip, port, false) &&
		     (type == HOMA_DATA || type == HOMA_BUSY)))
			last = i;
	}
	for (int i = last + 1; i < icmp && at == icmp; i++)
		if (of_port(&capture->frames[i], &play->host->ip, port, false))
			at = i;
	if (at == icmp)
		at = last < 0 ? icmp : last;
	add(script, capture->frames[at].time_ns, at, close_port, port);
}

static void add_frames(const struct play *play, struct script *script)
{
	const struct capture *capture = play->capture;

	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		if (!net_ip_equal(&frame->source, &play->host->ip) || frame->rpc < 0)
			continue;
		if (frame->kind == FRAME_ICMP && frame->icmp == HOMA_ICMP_PORT)
			add_close(play, script, i);
		else if (frame_type(frame) == HOMA_RPC_UNKNOWN && frame->from_client)
			add(script, frame->time_ns, i, play_abort, frame->rpc);
	}
}

static int compare(const void *a, const void *b)
{
	const struct step *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return (left->frame > right->frame) - (left->frame < right->frame);
}

struct step *script_make(struct play *play, int *count)
{
	struct script script = {NULL, 0};

	for (int i = 0; i < play->capture->rpc_count; i++) {
		if (play->capture->rpcs[i].cut)
			continue;
		if (plays_client(play, i))
			add_request(play, &script, i);
		else if (net_ip_equal(&play->capture->rpcs[i].server, &play->host->ip))
			add_response(play, &script, i);
	}
	add_frames(play, &script);
	if (script.count)
		qsort(script.steps, (size_t)script.count, sizeof(struct step), compare);
	*count = script.count;
	return script.steps;
}
