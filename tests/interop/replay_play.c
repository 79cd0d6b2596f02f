/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our core in the place of one host of a capture: it gets what that host got, when it got
 * it, its application does what the host's did, and what it sends is noted. Ids and
 * client ports are our core's own; they are translated on the way in.
 */
#include "replay.h"

#include <string.h>

#include "homa_state.h"

#define UPTIME_NS (2000 * MS)
#define BEFORE_NS (100 * MS) /* our core is as much older than the capture */
#define AFTER_NS  (3 * MS)   /* and lives on as long, to send what it has started */

/* ---- the application ---- */

static void check_delivery(struct play *play, int rpc, const struct homa_event *event)
{
	const struct message *m = message_in(play, rpc);
	bool same = event->length == m->length;

	for (uint32_t i = 0; same && i < m->length; i++)
		same = !m->have[i] || m->bytes[i] == ((const uint8_t *)event->data)[i];
	if (!same && !play->wrong_delivery) {
		play->wrong_delivery = true;
		snprintf(play->delivery, sizeof(play->delivery),
			 "RPC %llu: our core delivers other bytes than arrived",
			 (unsigned long long)play->capture->rpcs[rpc].id);
	}
}

static void take_event(struct play *play, const struct homa_event *event)
{
	int rpc = event->type == HOMA_EVENT_REQUEST || event->type == HOMA_EVENT_CANCELLED
		      ? rpc_find(play->capture, &event->remote.ip, &play->host->ip, event->rpc_id & ~1ull)
		      : (int)event->cookie;
	struct part *part = rpc >= 0 ? &play->parts[rpc] : NULL;

	if (event->type == HOMA_EVENT_REQUEST || event->type == HOMA_EVENT_RESPONSE) {
		if (part)
			check_delivery(play, rpc, event);
		homa_message_free(play->homa, event->data, event->length);
	}
	if (!part)
		return;
	if (event->type == HOMA_EVENT_REQUEST) {
		part->requested = true;
		part->handle = event->handle;
		if (part->due)
			play_respond(play, rpc);
	} else {
		part->ended = true;
		part->ended_ns = play->now_ns;
		part->error = event->error;
	}
}

static void take_events(struct play *play)
{
	struct homa_event event;

	while (homa_next_event(play->homa, &event))
		take_event(play, &event);
}

static void *copy_message(const struct message *m)
{
	return memcpy(replay_realloc(NULL, m->length), m->bytes, m->length);
}

void play_issue(struct play *play, int index)
{
	const struct rpc *rpc = &play->capture->rpcs[index];
	const struct message *request = &rpc->message[REQUEST];
	struct net_endpoint remote = {rpc->server, rpc->server_port};
	struct part *part = &play->parts[index];

	part->heard_ns = play->now_ns;
	play->issuing = index;
	play->cause = -1;
	part->issued = !homa_request(play->homa, play->now_ns, play->our_port[rpc->client_port], &remote,
				     &play->host->ip, copy_message(request), request->length, (uint64_t)index,
				     &part->handle);
	play->issuing = -1;
	take_events(play);
}

void play_respond(struct play *play, int index)
{
	const struct message *response = &play->capture->rpcs[index].message[RESPONSE];
	struct part *part = &play->parts[index];

	part->due = true;
	if (!part->requested || part->responded)
		return;
	part->responded = true;
	part->heard_ns = play->now_ns;
	play->cause = -1;
	homa_respond(play->homa, play->now_ns, part->handle, copy_message(response), response->length);
}

void play_close_port(struct play *play, uint16_t port)
{
	if (play->our_port[port])
		homa_port_close(play->homa, play->our_port[port]);
}

void play_abort(struct play *play, int index)
{
	struct part *part = &play->parts[index];

	play->cause = -1;
	if (part->issued && !part->ended)
		homa_abort(play->homa, play->now_ns, part->handle);
	part->ended = true;
}

/* ---- packets in ---- */

static void note_fed(struct play *play, const struct frame *frame)
{
	struct part *part = &play->parts[frame->rpc];
	const struct message *m = message_in(play, frame->rpc);
	uint8_t type = frame_type(frame);

	part->resends_fed += type == HOMA_RESEND;
	part->need_acks_fed += type == HOMA_NEED_ACK;
	part->unknowns_fed += type == HOMA_RPC_UNKNOWN;
	if (type == HOMA_DATA || type == HOMA_GRANT || type == HOMA_BUSY)
		part->heard_ns = play->now_ns;
	if (type != HOMA_DATA)
		return;
	if (!part->fed) {
		part->fed = replay_realloc(NULL, m->length);
		memset(part->fed, 0, m->length);
	}
	for (uint32_t i = frame_offset(frame); i < frame_end(frame) && i < m->length; i++) {
		part->fed_bytes += !part->fed[i];
		part->fed[i] = 1;
	}
	if (frame_end(frame) > part->fed_end)
		part->fed_end = frame_end(frame);
}

static void note_ack(struct play *play, const struct frame *frame, uint64_t id, int index)
{
	int rpc = id ? rpc_find(play->capture, &frame->source, &frame->destination, id & ~1ull) : -1;

	if (rpc >= 0 && play->parts[rpc].acked < 0)
		play->parts[rpc].acked = index;
}

static void note_acks(struct play *play, const struct frame *frame, int index)
{
	const struct homa_ack_header *ack = (const void *)frame->data;

	if (frame_type(frame) == HOMA_DATA)
		note_ack(play, frame, wire64(frame_data(frame)->ack.client_id), index);
	if (frame_type(frame) != HOMA_ACK)
		return;
	note_ack(play, frame, wire64(ack->common.sender_id), index);
	for (uint32_t i = 0; i < HOMA_ACKS_PER_PACKET && i < wire16(ack->count); i++)
		note_ack(play, frame, wire64(ack->acks[i].client_id), index);
}

/* Puts our id and port into a packet, or the quotation of one, of an RPC of our client. */
static void translate(const struct play *play, const struct frame *frame, struct homa_common_header *h)
{
	uint64_t id = play->parts[frame->rpc].our_id;

	if (frame->kind == FRAME_ICMP) {
		h->sport = wire16(play->our_port[wire16(h->sport)]);
		h->sender_id = wire64(id);
	} else {
		h->dport = wire16(play->our_port[wire16(h->dport)]);
		if (id)
			h->sender_id = wire64(id | 1);
	}
}

/* False for packets that our core could make nothing of: their RPC began before the capture. */
static bool can_be_fed(const struct play *play, const struct frame *frame)
{
	if (frame->rpc < 0)
		return frame->kind != FRAME_ICMP;
	if (plays_client(play, frame->rpc))
		return play->parts[frame->rpc].issued || frame_type(frame) == HOMA_NEED_ACK;
	return !play->capture->rpcs[frame->rpc].cut;
}

static void feed(struct play *play, int index)
{
	const struct frame *frame = &play->capture->frames[index];
	struct homa_packet_in in = {
	    .source = frame->source, .destination = frame->destination, .length = frame->length};
	uint8_t *data;

	if (!can_be_fed(play, frame))
		return;
	data = memcpy(replay_realloc(NULL, frame->length), frame->data, frame->length);
	in.data = data;
	play->cause = index;
	if (frame->rpc >= 0 && plays_client(play, frame->rpc))
		translate(play, frame, (void *)(data + (frame->kind == FRAME_ICMP ? frame->quoted : 0)));
	if (frame->kind == FRAME_ICMP) {
		homa_icmp_input(play->homa, play->now_ns, &frame->quoted_to, frame->icmp,
				data + frame->quoted, frame->length - frame->quoted);
	} else {
		if (frame->rpc >= 0)
			note_fed(play, frame);
		note_acks(play, frame, index);
		homa_input(play->homa, play->now_ns, &in);
		homa_input_done(play->homa, play->now_ns);
	}
	take_events(play);
	free(data);
}

/* ---- the course of time ---- */

static void run_until(struct play *play, uint64_t time_ns)
{
	play->cause = -1;
	for (;;) {
		uint64_t next_ns = homa_next_timeout(play->homa, play->now_ns);

		if (next_ns > time_ns)
			break;
		play->now_ns = next_ns > play->now_ns ? next_ns : play->now_ns + 1;
		homa_poll(play->homa, play->now_ns);
		take_events(play);
	}
	if (play->now_ns < time_ns)
		play->now_ns = time_ns;
}

/* True if a packet of the message that the host receives begins or ends there. */
static bool packet_boundary(const struct play *play, const struct frame *resend, uint64_t at)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame_type(frame) == HOMA_DATA && frame->rpc == resend->rpc &&
		    frame->from_client != resend->from_client &&
		    (frame_offset(frame) == at || frame_end(frame) == at))
			return true;
	}
	return false;
}

/* A RESEND asks for everything, for a hole between packets, or for what follows the last. */
static void note_resend(const struct play *play, const struct frame *frame, struct moment *moment)
{
	const struct part *part = &play->parts[frame->rpc];
	uint32_t start = wire32(frame_resend(frame)->offset);
	uint64_t end = resend_end(frame_resend(frame));

	moment->wanted = play_missing(play, frame->rpc, start, end);
	if (end == UINT64_MAX || !part->fed_bytes)
		moment->sensible = end == UINT64_MAX && start == 0;
	else
		moment->sensible = packet_boundary(play, frame, start) &&
				   (end > part->fed_end || packet_boundary(play, frame, end));
}

static void note_moment(struct play *play, int index)
{
	const struct frame *frame = &play->capture->frames[index];
	struct moment *moment = &play->moments[index];

	if (frame->rpc < 0)
		return;
	moment->silence_ns = play->now_ns - play->parts[frame->rpc].heard_ns;
	if (frame_type(frame) == HOMA_RESEND)
		note_resend(play, frame, moment);
}

/* CUTOFFS that arrived between frame `before` and the one in front of it. */
static void feed_held(struct play *play, int before)
{
	const struct capture *capture = play->capture;

	for (int i = 0; i < before; i++)
		if (capture->frames[i].hold_back == before &&
		    net_ip_equal(&capture->frames[i].destination, &play->host->ip))
			feed(play, i);
}

static void run(struct play *play)
{
	const struct capture *capture = play->capture;
	int step_count, next = 0;
	struct step *steps = script_make(play, &step_count);

	for (int i = 0; i < capture->frame_count; i++) {
		const struct frame *frame = &capture->frames[i];

		feed_held(play, i);
		for (; next < step_count && steps[next].time_ns <= frame->time_ns && steps[next].frame <= i;
		     next++) {
			run_until(play, steps[next].time_ns);
			steps[next].run(play, steps[next].argument);
		}
		run_until(play, frame->time_ns);
		if (frame->kind != FRAME_OTHER && net_ip_equal(&frame->destination, &play->host->ip) &&
		    !frame->lost && frame->hold_back < 0)
			feed(play, i);
		if (net_ip_equal(&frame->source, &play->host->ip))
			note_moment(play, i);
	}
	run_until(play, play->now_ns + AFTER_NS);
	free(steps);
}

/* ---- the whole ---- */

/* Takes the place of a Tern host: what its peers say to its incarnation is for ours. */
static void take_incarnation(struct play *play)
{
	for (int i = 0; i < play->capture->frame_count; i++) {
		const struct frame *frame = &play->capture->frames[i];

		if (frame->kind == FRAME_HOMA && net_ip_equal(&frame->source, &play->host->ip) &&
		    homa_get24(frame_header(frame)->ack)) {
			play->homa->incarnation = homa_get24(frame_header(frame)->ack);
			return;
		}
	}
}

void play_run(struct play *play, const struct capture *capture, const struct host *host)
{
	*play = (struct play){.capture = capture, .host = host, .cause = -1, .issuing = -1, .random = 1};
	play->parts = replay_realloc(NULL, (size_t)capture->rpc_count * sizeof(struct part));
	memset(play->parts, 0, (size_t)capture->rpc_count * sizeof(struct part));
	for (int i = 0; i < capture->rpc_count; i++)
		play->parts[i].acked = -1;
	play->moments = replay_realloc(NULL, (size_t)capture->frame_count * sizeof(struct moment));
	memset(play->moments, 0, (size_t)capture->frame_count * sizeof(struct moment));
	play_learn_params(play);
	play->now_ns = capture->frames[0].time_ns - BEFORE_NS;
	/* A host that has just started distrusts what it is sent; this one has been there for a while. */
	if (homa_create(&play->params, &replay_ops, play, play->now_ns - UPTIME_NS, &play->homa)) {
		fprintf(stderr, "homa-replay: %s: our core refuses the host's parameters\n", capture->path);
		exit(2);
	}
	take_incarnation(play);
	play_prepare(play);
	play->output_count = 0; /* what preparing made it send */
	run(play);
}

void play_free(struct play *play)
{
	homa_destroy(play->homa);
	for (int i = 0; i < play->capture->rpc_count; i++)
		free(play->parts[i].fed);
	free(play->parts);
	free(play->moments);
	free(play->outputs);
}
