/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim_check.h"

#include <string.h>

#include "homa_core.h"
#include "homa_state.h"

#define FORGET_NS                                                                                            \
	90000000ull          /* a receiver may forget what it has, and begin again, after 100 ms of silence */
#define SILENCE_NS  90000ull /* what a sender was granted may count as lost when it was silent for so long */
#define STALE_TICKS 30       /* milliseconds in which DATA with old cutoffs came, and no CUTOFFS were sent */
#define SEGMENT     (SIM_MTU - SIM_IP_HEADER - (uint32_t)sizeof(struct homa_data_header))

void sim_check_init(struct sim_check *check, struct sim *sim, uint64_t rpcs)
{
	uint64_t size = 64, pairs = (uint64_t)sim->host_count * sim->host_count;

	while (size < rpcs * 2)
		size *= 2;
	*check = (struct sim_check){ .sim = sim, .mask = size - 1 };
	check->flows = sim_realloc(NULL, size * sizeof(*check->flows));
	memset(check->flows, 0, size * sizeof(*check->flows));
	check->known = sim_realloc(NULL, pairs * sizeof(*check->known));
	memset(check->known, 0, pairs * sizeof(*check->known));
}

void sim_check_free(struct sim_check *check)
{
	free(check->flows);
	free(check->known);
}

/* The flow, or the free entry where it belongs. */
static struct sim_flow *find(const struct sim_check *check, uint32_t client, uint64_t id)
{
	uint64_t at = sim_mix((id & ~1ull) ^ (uint64_t)client << 48);

	for (;; at++) {
		struct sim_flow *flow = &check->flows[at & check->mask];

		if (!flow->used || (flow->client == client && flow->id == (id & ~1ull)))
			return flow;
	}
}

static uint32_t minimum(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static const struct homa_common_header *common(const struct sim_packet *packet)
{
	return (const void *)packet->data;
}

static bool from_client(const struct sim_packet *packet)
{
	return !(wire64(common(packet)->sender_id) & 1);
}

static struct sim_flow *flow_of(const struct sim_check *check, const struct sim_packet *packet)
{
	const struct sim_host *client = from_client(packet) ? packet->source : packet->destination;

	return find(check, client->index, wire64(common(packet)->sender_id));
}

/* What `host` knows of `other`; a host that was started anew knows nobody. */
static struct sim_acquaintance *known(struct sim_check *check, const struct sim_host *host,
				      const struct sim_host *other)
{
	struct sim_acquaintance *a = &check->known[host->index * check->sim->host_count + other->index];

	if (a->life != host->life) {
		*a = (struct sim_acquaintance){ 0 };
		a->cutoffs[HOMA_PRIORITIES - 2] = HOMA_MAX_MESSAGE;
	}
	return a;
}

void sim_check_meet(struct sim_check *check, const struct sim_host *host, const struct sim_host *other)
{
	known(check, host, other)->life = host->life;
}

/* ---- what is sent ---- */

static void check_priority(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet,
			   const struct sim_flow_side *side, uint32_t offset)
{
	uint8_t priority = side->priority;

	if (offset < side->unscheduled)
		priority = homa_unscheduled_priority(known(check, host, packet->destination)->cutoffs,
						     (uint8_t)host->params.num_priorities, side->length);
	if (packet->priority != priority)
		sim_violation(check->sim, "host %u sends DATA from %u of %u with priority %u, not %u",
			      host->index, offset, side->length, packet->priority, priority);
}

static void check_boundaries(struct sim_check *check, const struct sim_host *host,
			     const struct sim_flow_side *side, uint32_t offset, uint32_t payload)
{
	if (offset != homa_segment_start(offset, side->unscheduled, SEGMENT) ||
	    offset + payload != homa_segment_end(offset, side->unscheduled, SEGMENT, side->length))
		sim_violation(check->sim, "host %u cuts a segment of %u bytes at %u", host->index, payload,
			      offset);
}

/* An acknowledgement: of an RPC that has ended here, and to the server that it ran on. */
static void check_ack(struct sim_check *check, const struct sim_host *host, const struct sim_packet *packet,
		      const struct homa_ack_entry *entry)
{
	const struct sim_flow *flow = find(check, host->index, wire64(entry->client_id));

	if (!entry->client_id)
		return;
	if (!flow->used || !flow->ended || flow->server != packet->destination->index ||
	    wire16(entry->server_port) != SIM_SERVER_PORT)
		sim_violation(check->sim,
			      "host %u acknowledges RPC %llu to host %u, which did not finish there",
			      host->index, (unsigned long long)wire64(entry->client_id),
			      packet->destination->index);
}

static void check_data(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet,
		       struct sim_flow_side *side)
{
	const struct homa_data_header *h = (const void *)packet->data;
	uint32_t offset = homa_data_offset(h), payload = packet->length - (uint32_t)sizeof(*h);
	uint32_t incoming = wire32(h->incoming);

	if (!side->length) {
		side->length = wire32(h->message_length);
		side->unscheduled = minimum(side->length, host->params.unsched_bytes);
		side->limit = side->unscheduled;
	}
	check_ack(check, host, packet, &h->ack);
	check_boundaries(check, host, side, offset, payload);
	if (side->length != wire32(h->message_length))
		sim_violation(check->sim, "host %u says %u bytes of a message of %u", host->index,
			      wire32(h->message_length), side->length);
	else if (wire16(h->cutoff_version) != known(check, host, packet->destination)->version)
		sim_violation(check->sim, "host %u knows another version of the cutoffs", host->index);
	else if (offset >= side->limit)
		sim_violation(check->sim, "host %u sends DATA from %u, and %u is granted", host->index,
			      offset, side->limit);
	else if (offset > side->sent || (bool)h->retransmit != (offset < side->sent))
		sim_violation(check->sim, "host %u sends DATA from %u after %u, retransmit %u", host->index,
			      offset, side->sent, h->retransmit);
	else if (h->retransmit ? incoming < offset + payload : incoming != side->unscheduled)
		sim_violation(check->sim, "host %u announces %u bytes", host->index, incoming);
	if (h->retransmit)
		return;
	check_priority(check, host, packet, side, offset);
	side->sent = offset + payload;
}

static void check_grant(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet,
			struct sim_flow_side *side)
{
	const struct homa_grant_header *h = (const void *)packet->data;
	const struct homa_params *p = &host->params;
	uint32_t offset = wire32(h->offset), window = p->window ? p->window : p->max_incoming / 2;
	uint64_t most = (uint64_t)side->arrived + window + 3ull * p->fifo_grant_increment;

	if (offset > side->length ||
	    (offset <= side->granted && check->sim->now_ns - side->begun_ns < FORGET_NS))
		sim_violation(check->sim, "host %u grants %u after %u, of %u bytes", host->index, offset,
			      side->granted, side->length);
	else if (offset > most && offset > side->may_come + 3 * p->fifo_grant_increment &&
		 check->sim->now_ns - side->heard_ns < SILENCE_NS)
		sim_violation(check->sim, "host %u grants %u with %u bytes there", host->index, offset,
			      side->arrived);
	else if (h->priority >= p->num_priorities)
		sim_violation(check->sim, "host %u grants priority %u of %u", host->index, h->priority,
			      p->num_priorities);
	side->granted = offset;
	if (offset > side->may_come)
		side->may_come = offset;
}

static void check_resend(struct sim_check *check, const struct sim_host *host,
			 const struct sim_packet *packet, const struct sim_flow_side *side)
{
	const struct homa_resend_header *h = (const void *)packet->data;
	uint64_t offset = wire32(h->offset), length = wire32(h->length);

	if (length == HOMA_RESEND_ALL && !offset)
		return;
	if (!length || offset + length > side->may_come)
		sim_violation(check->sim, "host %u asks for %llu bytes at %llu, and %u may come", host->index,
			      (unsigned long long)length, (unsigned long long)offset, side->may_come);
	/* The timer's are urgent, recovery of holes goes with the grants. */
	if (h->priority != host->params.num_priorities - 1 && h->priority > host->params.max_sched_prio)
		sim_violation(check->sim, "host %u asks for priority %u", host->index, h->priority);
}

static void check_cutoffs(struct sim_check *check, const struct sim_host *host,
			  const struct sim_packet *packet)
{
	const struct homa_cutoffs_header *h = (const void *)packet->data;

	known(check, host, packet->destination)->stale_ticks = 0;
	for (int i = 0; i < HOMA_PRIORITIES; i++)
		if (wire32(h->cutoffs[i]) != host->params.unsched_cutoffs[i])
			sim_violation(check->sim, "host %u says cutoff %d is %u", host->index, i,
				      wire32(h->cutoffs[i]));
}

static void check_acks(struct sim_check *check, const struct sim_host *host, const struct sim_packet *packet)
{
	const struct homa_ack_header *h = (const void *)packet->data;

	if (wire16(h->count) > HOMA_ACKS_PER_PACKET)
		sim_violation(check->sim, "host %u sends %u acknowledgements at once", host->index,
			      wire16(h->count));
	for (uint32_t i = 0; i < HOMA_ACKS_PER_PACKET; i++)
		check_ack(check, host, packet, &h->acks[i]);
}

static void begin(struct sim_check *check, const struct sim_packet *packet, struct sim_flow *flow)
{
	if (++check->count * 2 > check->mask + 1) {
		sim_violation(check->sim, "more RPCs are on the wire than were ever asked for");
		check->count--;
		return;
	}
	*flow = (struct sim_flow){
		.id = wire64(common(packet)->sender_id),
		.client = packet->source->index,
		.server = packet->destination->index,
		.client_port = wire16(common(packet)->sport),
		.used = true,
	};
}

/* Whether the packet belongs to the RPC that its id says, between these hosts and ports. */
static bool belongs(const struct sim_packet *packet, const struct sim_flow *flow)
{
	const struct homa_common_header *h = common(packet);
	const struct sim_host *server = from_client(packet) ? packet->destination : packet->source;
	uint16_t client_port = wire16(from_client(packet) ? h->sport : h->dport);
	uint16_t server_port = wire16(from_client(packet) ? h->dport : h->sport);

	return flow->used && flow->server == server->index && client_port == flow->client_port &&
	       server_port == SIM_SERVER_PORT;
}

void sim_check_sent(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet)
{
	const struct homa_common_header *h = common(packet);
	struct sim_flow *flow = flow_of(check, packet);
	bool client = from_client(packet);

	if (!flow->used && client && h->type == HOMA_DATA)
		begin(check, packet, flow);
	sim_check_meet(check, host, packet->destination);
	if (homa_check_common(h, packet->length) != HOMA_OK ||
	    (h->type == HOMA_DATA && homa_check_data((const void *)h, packet->length) != HOMA_OK))
		sim_violation(check->sim, "host %u sends a packet of type 0x%02x that is not well formed",
			      host->index, h->type);
	else if (!belongs(packet, flow))
		sim_violation(check->sim,
			      "host %u sends host %u a packet of type 0x%02x about another's RPC %llu",
			      host->index, packet->destination->index, h->type,
			      (unsigned long long)wire64(h->sender_id));
	else if (h->type == HOMA_DATA)
		check_data(check, host, packet, &flow->side[!client]);
	else if (h->type == HOMA_GRANT)
		check_grant(check, host, packet, &flow->side[client]);
	else if (h->type == HOMA_RESEND)
		check_resend(check, host, packet, &flow->side[client]);
	else if (h->type == HOMA_CUTOFFS)
		check_cutoffs(check, host, packet);
	else if (h->type == HOMA_ACK)
		check_acks(check, host, packet);
}

/* ---- what is received ---- */

/* Who sends by old cutoffs has to be told the new ones. */
static void cutoffs_owed(struct sim_check *check, const struct sim_host *host,
			 const struct sim_packet *packet)
{
	struct sim_acquaintance *a = known(check, host, packet->source);
	uint64_t tick = check->sim->now_ns / 1000000;

	if (a->life != host->life || tick == a->stale_tick)
		return;
	a->stale_tick = tick;
	if (++a->stale_ticks > STALE_TICKS)
		sim_violation(check->sim, "host %u does not tell host %u its cutoffs", host->index,
			      packet->source->index);
}

static void data_received(struct sim_check *check, const struct sim_host *host,
			  const struct sim_packet *packet, struct sim_flow_side *side)
{
	const struct homa_data_header *h = (const void *)packet->data;
	uint32_t end = homa_data_offset(h) + packet->length - (uint32_t)sizeof(*h);

	if (h->cutoff_version != wire16(HOMA_CUTOFF_VERSION))
		cutoffs_owed(check, host, packet);

	if (side->receiver_life != host->life) {
		side->receiver_life = host->life;
		side->begun_ns = host->sim->now_ns;
		side->arrived = side->may_come = side->granted = 0;
	}
	side->heard_ns = check->sim->now_ns;
	if (end > side->arrived)
		side->arrived = end;
	if (wire32(h->incoming) > side->may_come)
		side->may_come = minimum(wire32(h->incoming), side->length);
}

static void cutoffs_received(struct sim_check *check, const struct sim_host *host,
			     const struct sim_packet *packet)
{
	const struct homa_cutoffs_header *h = (const void *)packet->data;
	struct sim_acquaintance *a = known(check, host, packet->source);

	if (a->life != host->life)
		return;
	a->version = wire16(h->version);
	for (int i = 1; i < HOMA_PRIORITIES; i++)
		a->cutoffs[i] = wire32(h->cutoffs[i]);
}

void sim_check_received(struct sim_check *check, struct sim_host *host, const struct sim_packet *packet)
{
	const struct homa_common_header *h = common(packet);
	struct sim_flow *flow = flow_of(check, packet);
	bool client = from_client(packet);
	struct sim_flow_side *mine = &flow->side[client]; /* the message that the host sends */

	/* A host that was started anew has another port. */
	if (!flow->used || (!client && wire16(h->dport) != host->client_port))
		return;
	if ((client && h->type == HOMA_DATA) || h->type == HOMA_RESEND || h->type == HOMA_NEED_ACK)
		sim_check_meet(check, host, packet->source);
	if (h->type == HOMA_DATA) {
		data_received(check, host, packet, &flow->side[!client]);
	} else if (h->type == HOMA_RPC_UNKNOWN && client) {
		flow->side[0].granted = 0; /* given up; a late copy of the request may begin it again */
	} else if (h->type == HOMA_CUTOFFS) {
		cutoffs_received(check, host, packet);
	} else if (h->type == HOMA_GRANT && mine->length) {
		const struct homa_grant_header *grant = (const void *)h;

		mine->priority = grant->priority;
		if (wire32(grant->offset) > mine->limit)
			mine->limit = minimum(wire32(grant->offset), mine->length);
	} else if (h->type == HOMA_RESEND && mine->length) {
		const struct homa_resend_header *resend = (const void *)h;
		uint64_t end = (uint64_t)wire32(resend->offset) + wire32(resend->length);

		/* A receiver that asks for more than it has granted has granted it, and the GRANT was lost.
		 */
		if (wire32(resend->length) != HOMA_RESEND_ALL && end > mine->limit) {
			mine->limit = end < mine->length ? (uint32_t)end : mine->length;
			mine->priority = resend->priority;
		}
	}
}

void sim_check_ended(struct sim_check *check, const struct sim_host *host, const struct homa_event *event)
{
	struct sim_flow *flow = find(check, host->index, event->rpc_id);

	flow->ended = flow->used;
}

void sim_check_counters(struct sim *sim, const struct sim_host *host, const struct homa_counters *c,
			bool crashes, bool outages)
{
	uint64_t dropped = 0;

	for (int i = 0; i < HOMA_VERDICTS; i++)
		dropped += c->dropped[i];
	if (dropped || c->overlaps || c->evicted || c->no_buffer || c->wrong_source)
		sim_violation(
			sim,
			"host %u counts %llu malformed packets, %llu overlaps, %llu evictions, %llu without "
			"a buffer, %llu from wrong sources",
			host->index, (unsigned long long)dropped, (unsigned long long)c->overlaps,
			(unsigned long long)c->evicted, (unsigned long long)c->no_buffer,
			(unsigned long long)c->wrong_source);
	if (c->no_port && !crashes)
		sim_violation(sim, "host %u counts %llu packets to closed ports", host->index,
			      (unsigned long long)c->no_port);
	if (c->gave_up_acks && !outages)
		sim_violation(sim, "host %u gives up to ask for %llu acknowledgements", host->index,
			      (unsigned long long)c->gave_up_acks);
}
