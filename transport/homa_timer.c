/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What silence means, in ticks of a millisecond:
 *
 *	waiting for the peer, resend_ticks      RESEND, and again every resend_interval
 *	waiting for the peer, timeout_ticks     the RPC has failed; a half-received request is dropped
 *	response sent, request_ack_ticks        NEED_ACK every tick, need_ack_limit times
 *	response waits for grants, timeout_ticks  NEED_ACK in the same way, and for longer while the client's
 *	                                        host is heard: it may have others to grant first
 *
 * An RPC has one timer. It is not moved when the peer is heard: when it fires it looks at
 * how long ago that was. No time is counted while the next move is ours.
 *
 * A peer that is behind with its work must not be buried under questions about it: it is
 * asked ASKS_PER_TICK times a tick at most, RPCs beyond wait for their turn, and NEED_ACK
 * is repeated at growing intervals.
 */
#include <errno.h>

#include "homa_state.h"

#define ASKS_PER_TICK          16 /* RPCs of one peer that RESEND or NEED_ACK is sent for */
#define NEED_ACKS_PER_INTERVAL 8  /* before the interval doubles */
#define NEED_ACK_DOUBLINGS     4  /* at most, to 16 ticks */
#define NEED_ACKS_WHILE_HEARD  16 /* times need_ack_limit: 10 s by default */

/* The first tick that is not before `ns`. */
static uint64_t tick_from(uint64_t ns)
{
	return (ns + HOMA_TICK_NS - 1) / HOMA_TICK_NS;
}

void homa_timer_start(struct homa *homa, struct homa_rpc *rpc)
{
	const struct homa_params *p = &homa->params;
	uint32_t ticks = p->resend_ticks;

	if (!homa_rpc_is_client(rpc) && rpc->state == HOMA_RPC_OUTGOING)
		ticks = rpc->out.sent == rpc->out.length ? p->request_ack_ticks : p->timeout_ticks;
	rpc->need_acks = 0;
	timer_set(&homa->wheel, &rpc->timer, tick_from(homa->now_ns) + ticks);
}

static uint64_t silence(const struct homa *homa, const struct homa_rpc *rpc)
{
	return (homa->now_ns - rpc->heard_ns) / HOMA_TICK_NS;
}

static void again_in(struct homa *homa, struct homa_rpc *rpc, uint64_t ticks)
{
	timer_set(&homa->wheel, &rpc->timer, tick_from(homa->now_ns) + (ticks ? ticks : 1));
}

static bool may_ask(struct homa *homa, struct homa_peer *peer)
{
	uint64_t tick = homa->now_ns / HOMA_TICK_NS;

	if (peer->asked_tick != tick) {
		peer->asked_tick = tick;
		peer->asked = 0;
	}
	return peer->asked++ < ASKS_PER_TICK;
}

static bool peer_lives(const struct homa *homa, const struct homa_peer *peer)
{
	return homa->now_ns - peer->heard_ns < homa->params.timeout_ticks * HOMA_TICK_NS;
}

static void ask_for_ack(struct homa *homa, struct homa_rpc *rpc)
{
	uint32_t doublings = rpc->need_acks / NEED_ACKS_PER_INTERVAL;

	if (!may_ask(homa, rpc->peer)) {
		again_in(homa, rpc, 1);
		return;
	}
	rpc->need_acks++;
	homa_need_ack_send(homa, rpc);
	again_in(homa, rpc, 1u << (doublings < NEED_ACK_DOUBLINGS ? doublings : NEED_ACK_DOUBLINGS));
}

/* A server whose response is sent, or on its way. */
static void expire_response(struct homa *homa, struct homa_rpc *rpc)
{
	const struct homa_params *p = &homa->params;
	uint64_t limit = p->need_ack_limit;

	if (rpc->out.sent == rpc->out.length) {
		if (rpc->need_acks < limit) {
			ask_for_ack(homa, rpc);
			return;
		}
		homa->counters.gave_up_acks++;
	} else {
		if (rpc->out.sent < rpc->out.granted)
			rpc->heard_ns = homa->now_ns;
		if (silence(homa, rpc) < p->timeout_ticks) {
			rpc->need_acks = 0;
			again_in(homa, rpc, p->timeout_ticks - silence(homa, rpc));
			return;
		}
		if (peer_lives(homa, rpc->peer))
			limit *= NEED_ACKS_WHILE_HEARD;
		if (rpc->need_acks < limit) {
			ask_for_ack(homa, rpc);
			return;
		}
		homa->counters.timeouts++;
	}
	homa_rpc_fail(homa, rpc, -ETIMEDOUT);
}

/* Whether the next move is ours, so that the peer's silence says nothing. */
static bool our_turn(const struct homa_rpc *rpc)
{
	const struct homa_message_in *in = &rpc->in;

	if (rpc->state == HOMA_RPC_OUTGOING)
		return rpc->out.sent < rpc->out.granted || rpc->out.resend.count;
	/* A message that waits its turn to be granted, or to be asked for its holes, is silent because of us. */
	return in->length && (homa_message_received(in) >= in->granted || homa_grant_waits(in));
}

/* True while the peer is alive, but must not be asked about this RPC yet. */
static bool must_wait_to_ask(struct homa *homa, struct homa_rpc *rpc)
{
	return peer_lives(homa, rpc->peer) && !may_ask(homa, rpc->peer);
}

static void expire_waiting(struct homa *homa, struct homa_rpc *rpc)
{
	const struct homa_params *p = &homa->params;
	uint64_t silent, next;

	if (our_turn(rpc))
		rpc->heard_ns = homa->now_ns;
	silent = silence(homa, rpc);
	if (silent >= p->resend_ticks && must_wait_to_ask(homa, rpc)) {
		/* Asking would be our move: the tick until then is not the RPC's silence. */
		rpc->heard_ns += HOMA_TICK_NS;
		again_in(homa, rpc, 1);
		return;
	}
	if (silent >= p->timeout_ticks) {
		homa->counters.timeouts++;
		homa_rpc_fail(homa, rpc, rpc->starved ? -ENOBUFS : -ETIMEDOUT);
		return;
	}
	next = p->resend_ticks - silent;
	if (silent >= p->resend_ticks) {
		homa_recv_request_missing(homa, rpc);
		next = p->resend_interval;
	}
	if (next > p->timeout_ticks - silent)
		next = p->timeout_ticks - silent;
	again_in(homa, rpc, next);
}

void homa_timer_run(struct homa *homa)
{
	uint64_t tick = homa->now_ns / HOMA_TICK_NS;
	struct timer *timer;

	while ((timer = timer_wheel_expire(&homa->wheel, tick))) {
		struct homa_rpc *rpc = (struct homa_rpc *)((char *)timer - offsetof(struct homa_rpc, timer));

		if (rpc->state == HOMA_RPC_OUTGOING && !homa_rpc_is_client(rpc))
			expire_response(homa, rpc);
		else
			expire_waiting(homa, rpc);
	}
}
