/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants: the receiver decides who sends. At most max_overcommit messages are active,
 * fewest bytes left first; each may have a window of bytes under way, all together
 * max_incoming. A peer gets a second active message only when every other peer with
 * something to send has one. The oldest message gets a small share whatever its length
 * (the reference's FIFO grants), so that it does not starve.
 *
 * Messages that wait are in their peer's heap by bytes left; peers with waiting messages
 * are in a heap by (active messages, bytes left of their shortest).
 */
#include "homa_state.h"

#define QUANTUM_DIVISOR 8 /* a grant is worth a packet once it adds an eighth of the window */
#define FIFO_SEARCH 16    /* messages looked at for one that answers its FIFO grants */

static uint32_t minimum(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct homa_rpc *first_waiting(const struct homa_peer *peer)
{
	return heap_item(heap_first(&peer->grantable), struct homa_rpc, in.grant_node);
}

static void requeue_peer(struct homa *homa, struct homa_peer *peer)
{
	struct homa_rpc *first = first_waiting(peer);
	uint64_t key;

	if (!first) {
		if (heap_contains(&peer->grant_node))
			heap_remove(&homa->grantable_peers, &peer->grant_node);
		return;
	}
	key = (uint64_t)peer->active_grants << 32 | first->in.remaining;
	if (heap_contains(&peer->grant_node))
		heap_update(&homa->grantable_peers, &peer->grant_node, key, first->sequence);
	else
		heap_insert(&homa->grantable_peers, &peer->grant_node, key, first->sequence);
}

static void wait_in_line(struct homa *homa, struct homa_rpc *rpc)
{
	rpc->in.waiting = true;
	heap_insert(&rpc->peer->grantable, &rpc->in.grant_node, rpc->in.remaining, rpc->sequence);
	requeue_peer(homa, rpc->peer);
}

static void leave_line(struct homa *homa, struct homa_rpc *rpc)
{
	rpc->in.waiting = false;
	heap_remove(&rpc->peer->grantable, &rpc->in.grant_node);
	requeue_peer(homa, rpc->peer);
}

static bool shorter(const struct homa_rpc *a, const struct homa_rpc *b)
{
	return a->in.remaining != b->in.remaining ? a->in.remaining < b->in.remaining : a->sequence < b->sequence;
}

/* Moves the active message at `i` forward to its place; messages only ever get shorter. */
static void sort_forward(struct homa *homa, uint32_t i)
{
	struct homa_rpc *rpc = homa->active[i];

	for (; i > 0 && shorter(rpc, homa->active[i - 1]); i--)
		homa->active[i] = homa->active[i - 1];
	homa->active[i] = rpc;
}

static void activate(struct homa *homa, struct homa_rpc *rpc)
{
	leave_line(homa, rpc);
	rpc->in.active = true;
	rpc->peer->active_grants++;
	homa->active[homa->active_count] = rpc;
	sort_forward(homa, homa->active_count++);
	requeue_peer(homa, rpc->peer);
}

static uint32_t active_index(const struct homa *homa, const struct homa_rpc *rpc)
{
	uint32_t i = 0;

	while (homa->active[i] != rpc)
		i++;
	return i;
}

static void deactivate(struct homa *homa, struct homa_rpc *rpc)
{
	homa->active_count--;
	for (uint32_t i = active_index(homa, rpc); i < homa->active_count; i++)
		homa->active[i] = homa->active[i + 1];
	rpc->in.active = false;
	rpc->peer->active_grants--;
	requeue_peer(homa, rpc->peer);
}

/* Bytes granted, or announced, and neither received nor given up. */
static uint32_t under_way(const struct homa_message_in *in)
{
	uint32_t settled = homa_message_received(in) + ranges_bytes(&in->lost) + in->forgiven;

	return in->granted > settled ? in->granted - settled : 0;
}

/* Keeps total_granted in step; a sender's unproven word of what it sends counts up to half of the limit. */
static void set_outstanding(struct homa *homa, struct homa_message_in *in)
{
	uint32_t outstanding = under_way(in);

	outstanding = minimum(outstanding, homa->params.max_incoming / 2);
	homa->total_granted += outstanding;
	homa->total_granted -= in->outstanding;
	in->outstanding = outstanding;
}

/* There is nothing to grant and nothing to ask for: it competes no longer, though its bytes still count as
 * under way. */
static void stop_competing(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->in.active)
		deactivate(homa, rpc);
	else if (rpc->in.waiting)
		leave_line(homa, rpc);
	homa->grants_due = true;
}

static void leave_fifo(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->in_fifo)
		TAILQ_REMOVE(&homa->grantable_by_age, rpc, fifo);
	rpc->in_fifo = false;
}

/* Takes it out of what it does not belong in any more. */
static void stop_granting(struct homa *homa, struct homa_rpc *rpc)
{
	if (rpc->in.granted < rpc->in.length)
		return;
	leave_fifo(homa, rpc);
	if (!rpc->in.lost.count)
		stop_competing(homa, rpc);
}

static uint64_t fifo_interval_ns(const struct homa *homa)
{
	const struct homa_params *p = &homa->params;

	/* bits / (Mbit/s x per mille / 1000) = us x 1000 = ns x 1 */
	return p->fifo_grant_increment * 8000000ull / ((uint64_t)p->link_mbps * p->grant_fifo_fraction);
}

void homa_grant_begin(struct homa *homa, struct homa_rpc *rpc, uint32_t incoming)
{
	struct homa_message_in *in = &rpc->in;

	in->granted = in->unscheduled = minimum(incoming, in->length);
	if (in->granted == in->length)
		return;
	/* No unscheduled bytes go at less than this, or just above. */
	in->priority = (uint8_t)homa->params.max_sched_prio;
	in->granted_ns = 0;
	set_outstanding(homa, in);
	if (TAILQ_EMPTY(&homa->grantable_by_age) && homa->params.grant_fifo_fraction)
		homa->fifo_grant_ns = homa->now_ns + fifo_interval_ns(homa);
	TAILQ_INSERT_TAIL(&homa->grantable_by_age, rpc, fifo);
	rpc->in_fifo = true;
	wait_in_line(homa, rpc);
	homa->grants_due = true;
}

void homa_grant_progress(struct homa *homa, struct homa_rpc *rpc)
{
	struct homa_message_in *in = &rpc->in;

	if (!in->outstanding && !rpc->in_fifo && !in->active && !in->waiting)
		return;
	set_outstanding(homa, in);
	if (in->active) {
		sort_forward(homa, active_index(homa, rpc));
	} else if (in->waiting) {
		heap_update(&rpc->peer->grantable, &in->grant_node, in->remaining, rpc->sequence);
		requeue_peer(homa, rpc->peer);
	}
	homa->grants_due = true;
}

void homa_grant_end(struct homa *homa, struct homa_rpc *rpc)
{
	homa_holes_end(homa, rpc);
	homa->total_granted -= rpc->in.outstanding;
	rpc->in.outstanding = 0;
	leave_fifo(homa, rpc);
	stop_competing(homa, rpc);
}

void homa_grant_lost(struct homa *homa, struct homa_rpc *rpc)
{
	set_outstanding(homa, &rpc->in);
	if (!rpc->in.active && !rpc->in.waiting)
		wait_in_line(homa, rpc);
	homa->grants_due = true;
}

static void send_grant(struct homa *homa, struct homa_rpc *rpc, uint32_t offset, uint8_t priority)
{
	struct homa_packet_out packet = { .header_length = sizeof(struct homa_grant_header) };

	homa_holes_granted(homa, &rpc->in, priority);
	rpc->in.granted = offset;
	set_outstanding(homa, &rpc->in);
	packet.header.grant.offset = wire32(offset);
	packet.header.grant.priority = priority;
	homa_control_send(homa, rpc, HOMA_GRANT, &packet);
}

/* The active message that would have to go first: of the peer with most of them, the longest. */
static struct homa_rpc *victim(const struct homa *homa)
{
	struct homa_rpc *worst = homa->active[0];

	for (uint32_t i = 1; i < homa->active_count; i++) {
		struct homa_rpc *rpc = homa->active[i];

		if (rpc->peer->active_grants >= worst->peer->active_grants)
			worst = rpc; /* they stand in order of length */
	}
	return worst;
}

static bool displaces(const struct homa_rpc *candidate, const struct homa_rpc *worst)
{
	uint32_t have = candidate->peer->active_grants, has = worst->peer->active_grants;

	if (candidate->peer == worst->peer || have + 1 == has)
		return shorter(candidate, worst);
	return have + 1 < has;
}

/* Fills the active places, and lets better messages take those of worse ones. */
static void choose_active(struct homa *homa)
{
	for (;;) {
		struct homa_peer *peer =
			heap_item(heap_first(&homa->grantable_peers), struct homa_peer, grant_node);
		struct homa_rpc *candidate = peer ? first_waiting(peer) : NULL, *worst;

		if (!candidate)
			return;
		if (homa->active_count < homa->params.max_overcommit) {
			activate(homa, candidate);
			continue;
		}
		worst = victim(homa);
		if (!displaces(candidate, worst))
			return;
		deactivate(homa, worst);
		wait_in_line(homa, worst);
		activate(homa, candidate);
	}
}

/* What the window of a message and the common limit leave. */
static uint32_t room(const struct homa *homa, const struct homa_message_in *in, uint32_t window)
{
	uint64_t limit = homa->params.max_incoming;
	uint64_t headroom = limit > homa->total_granted ? limit - homa->total_granted : 0;
	uint32_t mine = under_way(in), own = window > mine ? window - mine : 0;

	return own < headroom ? own : (uint32_t)headroom;
}

/* Asks for what is lost; the last hole whole, even if it goes beyond the window. */
static void ask_for_lost(struct homa *homa, struct homa_rpc *rpc, uint32_t window, uint8_t priority)
{
	struct homa_message_in *in = &rpc->in;

	/* A message that needs no grants is short, and gets what the timer would give it. */
	if (in->length <= homa->params.unsched_bytes)
		priority = (uint8_t)(homa->params.num_priorities - 1);
	while (in->lost.count && room(homa, in, window)) {
		struct range hole = ranges_get(&in->lost)[0];

		ranges_subtract(&in->lost, hole.start, hole.end);
		set_outstanding(homa, in);
		homa->counters.holes++;
		homa_recv_ask(homa, rpc, hole.start, hole.end - hole.start, priority);
	}
}

/* Grants the active message of rank `i` what its window and the common limit allow. */
static void grant(struct homa *homa, uint32_t i)
{
	const struct homa_params *p = &homa->params;
	struct homa_rpc *rpc = homa->active[i];
	struct homa_message_in *in = &rpc->in;
	uint32_t window = homa_grant_window(p->window, p->max_incoming, homa->active_count);
	uint8_t priority = homa_grant_priority(i, homa->active_count, p->max_sched_prio);
	uint32_t more;

	if (in->lost.count)
		ask_for_lost(homa, rpc, window, priority);
	more = minimum(room(homa, in, window), in->length - in->granted);
	/* Small additions wait, unless the sender has run dry or this is the last one. */
	if (!more || (more < window / QUANTUM_DIVISOR && in->outstanding && in->granted + more < in->length))
		return;
	send_grant(homa, rpc, in->granted + more, priority);
}

void homa_grant_run(struct homa *homa)
{
	/* Every round but the last takes a fully granted message out, so this ends. */
	while (homa->grants_due) {
		homa->grants_due = false;
		choose_active(homa);
		for (uint32_t i = 0; i < homa->active_count; i++)
			grant(homa, i);
		for (uint32_t i = homa->active_count; i-- > 0;)
			stop_granting(homa, homa->active[i]);
	}
}

void homa_grant_fifo(struct homa *homa)
{
	const struct homa_params *p = &homa->params;
	struct homa_rpc *rpc;
	uint32_t window, searched = 0;

	if (!p->grant_fifo_fraction || TAILQ_EMPTY(&homa->grantable_by_age) || homa->now_ns < homa->fifo_grant_ns)
		return;
	homa->fifo_grant_ns = homa->now_ns + fifo_interval_ns(homa);
	window = homa_grant_window(p->window, p->max_incoming, homa->active_count);
	TAILQ_FOREACH (rpc, &homa->grantable_by_age, fifo) {
		if (rpc->in.outstanding < window + 2 * p->fifo_grant_increment)
			break;
		if (++searched == FIFO_SEARCH)
			return;
	}
	if (!rpc)
		return;
	homa->counters.fifo_grants++;
	send_grant(homa, rpc, minimum(rpc->in.granted + p->fifo_grant_increment, rpc->in.length),
		   (uint8_t)(p->num_priorities > 2 ? p->num_priorities - 2 : 0));
	stop_granting(homa, rpc);
}

uint64_t homa_grant_next(const struct homa *homa)
{
	if (!homa->params.grant_fifo_fraction || TAILQ_EMPTY(&homa->grantable_by_age))
		return UINT64_MAX;
	return homa->fifo_grant_ns;
}
