// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two tiers beside each other. Two hosts talk over a network that loses, delays, doubles
 * and garbles frames; each of them exists twice, once behind the programs of the xsk tier
 * and once behind those of the in-place tier (BPF_PROG_TEST_RUN), and gets the same frames at
 * the same times. Whatever the one sends, delivers, counts or waits for, the other must too.
 *
 * The only difference: segments that XDP knows as duplicates the cores of neither tier see.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../simulator/sim_random.h"
#include "datapath.h"
#include "frame.h"
#include "frames.h"
#include "homa.h"
#include "inplace_link.h"
#include "programs.h"
#include "receive.skel.h"

#define MTU          1500
#define SERVER_PORT  4000
#define BORN_NS      1000000000ull
#define BEGIN_NS     10000000000ull
#define OUTSTANDING  4
#define MAX_SENT     4096 /* packets that a host sends in one step */
#define MAX_FLIGHTS  16384
#define MEMORY       (16u << 20)
#define CAPTURES     "tests/captures/*.pcap"

enum tier { XSK, INPLACE, TIERS };

struct sent {
	struct homa_packet_out packet;
	uint8_t *payload;
};

/* A host of one tier. */
struct side {
	enum tier tier;
	unsigned host;
	struct homa *homa;
	struct receive_bpf *skeleton;
	int program_fd;
	struct datapath *datapath;     /* in place */
	struct inplace_link *link;
	struct sim_random random;
	struct sent sent[MAX_SENT];
	unsigned sent_count;
	long buffers;                  /* out of malloc */
	uint64_t placed;               /* bytes that XDP put in their place */
	uint64_t kept;                 /* messages that stayed in the buffer they came in */
};

struct flight {
	uint64_t due_ns;
	uint64_t order;
	unsigned to; /* host */
	struct frame frame;
};

static struct side sides[2][TIERS]; /* by host */
static struct net_ip addresses[2];
static uint64_t now_ns, next_order, steered, in_ring, filtered;
static struct flight *flights[MAX_FLIGHTS];
static unsigned flight_count;
static struct sim_random dice;

/* ---- what the cores need ---- */

static void transmit(void *ctx, void *path, const struct homa_packet_out *packet)
{
	struct side *side = ctx;
	struct sent *sent = &side->sent[side->sent_count++];

	(void)path;
	CHECK(side->sent_count <= MAX_SENT);
	memset(sent, 0, sizeof(*sent));
	sent->packet.priority = packet->priority;
	sent->packet.header_length = packet->header_length;
	sent->packet.payload_length = packet->payload_length;
	memcpy(&sent->packet.header, &packet->header, packet->header_length);
	if (!packet->payload_length)
		return;
	sent->payload = malloc(packet->payload_length);
	CHECK(sent->payload);
	memcpy(sent->payload, packet->payload, packet->payload_length);
}

static int path_open(void *ctx, const struct net_ip *remote, const struct net_ip *local, struct homa_path *path)
{
	struct side *side = ctx;

	(void)remote, (void)local;
	*path = (struct homa_path){.local = addresses[side->host], .mtu = MTU};
	return 0;
}

static void path_close(void *ctx, void *path)
{
	(void)ctx, (void)path;
}

static void *buffer_get(void *ctx, uint32_t length)
{
	struct side *side = ctx;
	void *data = side->datapath ? arena_get(side->datapath->arena, length, ARENA_RECEIVE) : NULL;

	if (data)
		return data;
	side->buffers++;
	return malloc(length);
}

static void buffer_put(void *ctx, void *data, uint32_t length)
{
	struct side *side = ctx;

	(void)length;
	if (side->datapath && arena_holds(side->datapath->arena, data)) {
		arena_put(side->datapath->arena, data);
		return;
	}
	side->buffers--;
	free(data);
}

static uint64_t random_bits(void *ctx)
{
	struct side *side = ctx;

	return sim_random_next(&side->random);
}

static uint32_t incoming_begin(void *ctx, const struct homa_incoming *incoming)
{
	struct side *side = ctx;
	const struct homa_common_header *header = &incoming->header->common;
	struct placement_message message = {
	    .source = incoming->source,
	    .id = header->sender_id,
	    .sport = header->sport,
	    .dport = header->dport,
	    .length = incoming->length,
	    .segment = incoming->segment,
	    .unscheduled = incoming->unscheduled,
	    .received_end = incoming->received_end,
	    .gaps = incoming->gaps,
	};

	if (!side->datapath || !arena_holds(side->datapath->arena, incoming->data))
		return HOMA_NO_PLACEMENT;
	message.place = arena_place(side->datapath->arena, incoming->data);
	return placement_begin(&side->datapath->placements, &message);
}

static void incoming_end(void *ctx, uint32_t placement)
{
	struct side *side = ctx;

	placement_end(&side->datapath->placements, placement);
}

static const struct homa_ops ops = {
    .transmit = transmit,
    .path_open = path_open,
    .path_close = path_close,
    .buffer_get = buffer_get,
    .buffer_put = buffer_put,
    .incoming_begin = incoming_begin,
    .incoming_end = incoming_end,
    .random = random_bits,
};

/* ---- a host's datapath ---- */

static void load(struct side *side)
{
	struct receive_bpf *skeleton = receive_bpf__open();
	struct bpf_map *const shared[] = {skeleton->maps.arena, skeleton->maps.placements, skeleton->maps.running};
	bool in_place = side->tier == INPLACE;

	memcpy((void *)skeleton->rodata->local_mac, frame_mac, 6);
	bpf_program__set_autoload(in_place ? skeleton->progs.tern_receive : skeleton->progs.tern_deliver, false);
	if (in_place) {
		skeleton->rodata->parts = DELIVER_TO_RING | DELIVER_IN_PLACE;
		skeleton->rodata->buffer_bytes = MTU;
#if defined(__x86_64__)
		skeleton->rodata->total_store_order = 1;
#endif
		CHECK_EQ(bpf_map__reuse_fd(shared[0], side->datapath->arena_fd), 0);
		CHECK_EQ(bpf_map__reuse_fd(shared[1], side->datapath->placements_fd), 0);
		CHECK_EQ(bpf_map__reuse_fd(shared[2], side->datapath->running_fd), 0);
	} else {
		for (int i = 0; i < 3; i++)
			CHECK_EQ(bpf_map__set_autocreate(shared[i], false), 0);
		CHECK_EQ(bpf_map__set_autocreate(skeleton->maps.receive_rings, false), 0);
		CHECK_EQ(bpf_map__set_autocreate(skeleton->maps.wake, false), 0);
	}
	CHECK_EQ(receive_bpf__load(skeleton), 0);
	program_serve_queue(skeleton->maps.sockets);
	side->skeleton = skeleton;
	side->program_fd = bpf_program__fd(in_place ? skeleton->progs.tern_deliver : skeleton->progs.tern_receive);
}

static void open_datapath(struct side *side)
{
	static const struct link_log silent;

	if (side->tier == INPLACE)
		CHECK_EQ(datapath_create(MEMORY, 42 + side->host, &silent, &side->datapath), 0);
	load(side);
	if (side->tier != INPLACE)
		return;
	side->link = calloc(1, sizeof(*side->link) + sizeof(side->link->queues[0]));
	CHECK(side->link);
	side->link->datapath = side->datapath;
	side->link->buffer_bytes = MTU;
	side->link->queue_count = 1;
	side->link->queues[0].target = 8;
	side->link->queues[0].ring = program_map(side->skeleton->maps.receive_rings, sizeof(struct receive_ring));
	inplace_refill(side->link, &side->link->queues[0]);
}

static uint32_t verdict(const struct side *side, const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes, .data_size_in = frame->length,
		    .repeat = 1);

	CHECK_EQ(bpf_prog_test_run_opts(side->program_fd, &options), 0);
	return options.retval;
}

static void input(struct side *side, struct link_packet *packet)
{
	static const uint8_t where[] = {
	    [LINK_FOLLOWS] = HOMA_PAYLOAD_FOLLOWS,
	    [LINK_BUFFER] = HOMA_PAYLOAD_BUFFER,
	    [LINK_PLACED] = HOMA_PAYLOAD_PLACED,
	};
	struct homa_packet_in in = {
	    .source = packet->source,
	    .destination = packet->destination,
	    .data = packet->data,
	    .length = packet->length,
	    .where = where[packet->where],
	    .payload = packet->payload,
	    .placement = packet->placement,
	};

	homa_input(side->homa, now_ns, &in);
	side->kept += packet->where == LINK_BUFFER && !in.payload;
	if (packet->where == LINK_PLACED && !in.payload)
		side->placed += packet->length - sizeof(struct homa_data_header);
	packet->payload = in.payload;
	homa_input_done(side->homa, now_ns);
}

static void input_frame(struct side *side, const struct frame *frame)
{
	struct link_packet packet;

	CHECK(frame_parse(frame->bytes, frame->length, frame_mac, &packet));
	input(side, &packet);
}

/* By the in-place tier; false for a segment that it knows as a duplicate. */
static bool input_in_place(struct side *side, const struct frame *frame)
{
	struct inplace_queue *queue = &side->link->queues[0];
	uint32_t action = verdict(side, frame);
	struct link_packet packet;

	if (action == XDP_REDIRECT) {
		steered++;
		input_frame(side, frame);
		return true;
	}
	CHECK_EQ(action, XDP_DROP);
	if (queue->ring->produced == queue->next)
		return false;
	in_ring++;
	CHECK(inplace_take(side->link, &queue->ring->entries[queue->next % RECEIVE_RING_ENTRIES], &packet));
	queue->next++;
	queue->used += packet.where == LINK_BUFFER;
	input(side, &packet);
	inplace_take_back(side->link, &packet);
	queue->ring->consumed = queue->next;
	/* Not always: what finds no buffer goes the other way. */
	if (sim_random_below(&dice, 8))
		inplace_refill(side->link, queue);
	return true;
}

static void arrive(unsigned host, const struct frame *frame)
{
	bool valid = verdict(&sides[host][XSK], frame) == XDP_REDIRECT;

	if (!valid) {
		uint64_t produced = sides[host][INPLACE].link->queues[0].ring->produced;

		CHECK(verdict(&sides[host][INPLACE], frame) != XDP_REDIRECT);
		CHECK_EQ(sides[host][INPLACE].link->queues[0].ring->produced, produced);
		return;
	}
	if (input_in_place(&sides[host][INPLACE], frame))
		input_frame(&sides[host][XSK], frame);
	else
		filtered++;
}

/* ---- the network ---- */

static void depart(unsigned to, const struct frame *frame, uint64_t delay_ns)
{
	struct flight *flight = malloc(sizeof(*flight));

	CHECK(flight && flight_count < MAX_FLIGHTS);
	flight->due_ns = now_ns + delay_ns;
	flight->order = next_order++;
	flight->to = to;
	flight->frame = *frame;
	flights[flight_count++] = flight;
}

static void frame_of(const struct side *side, const struct sent *sent, struct frame *frame)
{
	struct link_destination to = {.local = addresses[side->host], .remote = addresses[1 - side->host]};
	uint32_t length = sent->packet.header_length + sent->packet.payload_length, below;

	memcpy(to.local_mac, frame_mac, 6);
	memcpy(to.remote_mac, frame_mac, 6);
	below = frame_write_header(frame->bytes, &to, HOMA_IPPROTO, (uint8_t)(sent->packet.priority << 5), length);
	memcpy(frame->bytes + below, &sent->packet.header, sent->packet.header_length);
	if (sent->payload)
		memcpy(frame->bytes + below + sent->packet.header_length, sent->payload,
		       sent->packet.payload_length);
	frame->length = below + length;
}

struct faults {
	uint32_t loss, doubling, garbling; /* per million */
	uint32_t delay_ns;                 /* at most, besides a fixed one */
};

static void through_network(const struct side *side, const struct sent *sent, const struct faults *faults)
{
	struct frame frame;
	uint32_t header;

	if (sim_random_chance(&dice, faults->loss))
		return;
	frame_of(side, sent, &frame);
	header = frame.length - sent->packet.payload_length;
	if (sim_random_chance(&dice, faults->garbling))
		frame.bytes[14 + sim_random_below(&dice, header - 14)] ^= (uint8_t)(1u << sim_random_below(&dice, 8));
	depart(1 - side->host, &frame, 2000 + sim_random_below(&dice, faults->delay_ns + 1));
	if (sim_random_chance(&dice, faults->doubling))
		depart(1 - side->host, &frame, 2000 + sim_random_below(&dice, faults->delay_ns + 1));
}

/* Both tiers of a host must have sent the same. */
static void compare_sent(unsigned host, const struct faults *faults)
{
	struct side *one = &sides[host][XSK], *other = &sides[host][INPLACE];

	CHECK_EQ(one->sent_count, other->sent_count);
	for (unsigned i = 0; i < one->sent_count; i++) {
		struct sent *a = &one->sent[i], *b = &other->sent[i];

		CHECK(!memcmp(&a->packet, &b->packet, sizeof(a->packet)));
		CHECK(!a->payload || !memcmp(a->payload, b->payload, a->packet.payload_length));
		through_network(one, a, faults);
		free(a->payload);
		free(b->payload);
	}
	one->sent_count = other->sent_count = 0;
}

/* ---- the application ---- */

static uint32_t asked, ended, answered;
/*
 * Whether what comes may be anything. Where packets overlap that say different things the
 * first counts for one tier, and the last for the other.
 */
static bool any_content;

static uint32_t draw_size(void)
{
	uint32_t bits = sim_random_between(&dice, 0, 19);

	return sim_random_between(&dice, 1u << bits, (2u << bits) > HOMA_MAX_MESSAGE ? HOMA_MAX_MESSAGE : 2u << bits);
}

static void *make_message(struct side *side, uint32_t length, uint64_t seed)
{
	uint8_t *data = side->datapath ? arena_get(side->datapath->arena, length, ARENA_SEND) : NULL;

	if (!data) {
		side->buffers++;
		data = malloc(length);
	}
	CHECK(data);
	for (uint32_t i = 0; i < length; i++)
		data[i] = (uint8_t)((i * 31 ^ i >> 8) + seed);
	return data;
}

static void check_message(const struct homa_event *event, uint64_t seed)
{
	const uint8_t *data = event->data;

	for (uint32_t i = 0; i < event->length; i++)
		if (data[i] != (uint8_t)((i * 31 ^ i >> 8) + seed))
			CHECK_EQ(data[i], (uint8_t)((i * 31 ^ i >> 8) + seed));
}

static void ask(uint16_t port)
{
	struct net_endpoint server = {addresses[1], SERVER_PORT};
	uint32_t length = draw_size();
	uint64_t handles[TIERS];

	for (int tier = 0; tier < TIERS; tier++) {
		struct side *side = &sides[0][tier];

		CHECK_EQ(homa_request(side->homa, now_ns, port, &server, &addresses[0],
				      make_message(side, length, asked), length, asked, &handles[tier]),
			 0);
	}
	CHECK_EQ(handles[XSK], handles[INPLACE]);
	asked++;
}

/* Takes an event of both tiers; false when there is none. Requests are answered. */
static bool compare_event(unsigned host)
{
	struct homa_event events[TIERS];
	bool any = homa_next_event(sides[host][XSK].homa, &events[XSK]);
	uint32_t length = 0;

	CHECK_EQ(any, homa_next_event(sides[host][INPLACE].homa, &events[INPLACE]));
	if (!any)
		return false;
	CHECK_EQ(events[XSK].type, events[INPLACE].type);
	CHECK_EQ(events[XSK].handle, events[INPLACE].handle);
	CHECK_EQ(events[XSK].cookie, events[INPLACE].cookie);
	CHECK_EQ(events[XSK].error, events[INPLACE].error);
	CHECK_EQ(events[XSK].length, events[INPLACE].length);
	ended += events[XSK].type == HOMA_EVENT_RESPONSE || events[XSK].type == HOMA_EVENT_FAILED;
	answered += events[XSK].type == HOMA_EVENT_RESPONSE;
	if (events[XSK].type != HOMA_EVENT_REQUEST && events[XSK].type != HOMA_EVENT_RESPONSE)
		return true;
	if (host == 1)
		length = draw_size();
	CHECK(any_content || !memcmp(events[XSK].data, events[INPLACE].data, events[XSK].length));
	for (int tier = 0; tier < TIERS; tier++) {
		struct side *side = &sides[host][tier];
		uint8_t seed = ((uint8_t *)events[tier].data)[0];

		if (!any_content)
			check_message(&events[tier], seed);
		homa_message_free(side->homa, events[tier].data, events[tier].length);
		if (host == 1)
			CHECK_EQ(homa_respond(side->homa, now_ns, events[tier].handle,
					      make_message(side, length, seed), length),
				 0);
	}
	return true;
}

/* ---- time ---- */

static int earliest_flight(void)
{
	int first = -1;

	for (unsigned i = 0; i < flight_count; i++)
		if (first < 0 || flights[i]->due_ns < flights[first]->due_ns ||
		    (flights[i]->due_ns == flights[first]->due_ns && flights[i]->order < flights[first]->order))
			first = (int)i;
	return first;
}

static uint64_t next_timeout(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned host = 0; host < 2; host++) {
		uint64_t one = homa_next_timeout(sides[host][XSK].homa, now_ns);

		CHECK_EQ(one, homa_next_timeout(sides[host][INPLACE].homa, now_ns));
		next = one < next ? one : next;
	}
	return next;
}

static void settle(const struct faults *faults)
{
	for (unsigned host = 0; host < 2; host++) {
		for (int tier = 0; tier < TIERS; tier++)
			homa_poll(sides[host][tier].homa, now_ns);
		while (compare_event(host))
			;
		compare_sent(host, faults);
	}
}

static void step(const struct faults *faults)
{
	int first = earliest_flight();
	uint64_t timeout_ns = next_timeout();
	struct flight *flight;

	CHECK(first >= 0 || timeout_ns != UINT64_MAX);
	if (first < 0 || flights[first]->due_ns > timeout_ns) {
		now_ns = timeout_ns > now_ns ? timeout_ns : now_ns + 1;
	} else {
		flight = flights[first];
		flights[first] = flights[--flight_count];
		now_ns = flight->due_ns > now_ns ? flight->due_ns : now_ns;
		arrive(flight->to, &flight->frame);
		free(flight);
	}
	settle(faults);
}

static void compare_counters(unsigned host)
{
	struct homa_counters one, other;

	homa_counters_get(sides[host][XSK].homa, &one);
	homa_counters_get(sides[host][INPLACE].homa, &other);
	CHECK(!memcmp(&one, &other, sizeof(one)));
}

/* ---- runs ---- */

/* Returns the port of the client. */
static uint16_t start(uint64_t seed, bool v4)
{
	int ports[2][TIERS];

	sim_random_seed(&dice, seed);
	for (unsigned host = 0; host < 2; host++) {
		addresses[host] = (struct net_ip){.b = {0xfd, 0x66, [15] = (uint8_t)(host + 1)}};
		if (v4)
			addresses[host] = net_ip_from_v4(wire32(0x0a4d0001 + host));
	}
	now_ns = BEGIN_NS;
	asked = ended = answered = 0;
	for (unsigned host = 0; host < 2; host++) {
		for (int tier = 0; tier < TIERS; tier++) {
			struct side *side = &sides[host][tier];

			sim_random_seed(&side->random, seed + host);
			CHECK_EQ(homa_create(NULL, &ops, side, BORN_NS, &side->homa), 0);
			ports[host][tier] = homa_port_open(side->homa, host ? SERVER_PORT : 0);
			CHECK(ports[host][tier] > 0);
		}
		CHECK_EQ(ports[host][XSK], ports[host][INPLACE]);
	}
	return (uint16_t)ports[0][XSK];
}

static void stop(void)
{
	while (flight_count)
		free(flights[--flight_count]);
	for (unsigned host = 0; host < 2; host++) {
		compare_counters(host);
		for (int tier = 0; tier < TIERS; tier++) {
			struct side *side = &sides[host][tier];

			homa_destroy(side->homa);
			CHECK_EQ(side->buffers, 0);
			while (side->sent_count)
				free(side->sent[--side->sent_count].payload);
		}
		CHECK_EQ(sides[host][INPLACE].datapath->placements.used, 0);
	}
}

static void run_traffic(uint64_t seed, bool v4, uint32_t requests, const struct faults *faults)
{
	uint16_t port = start(seed, v4);

	any_content = faults->garbling;
	while (ended < requests) {
		while (asked < requests && asked - ended < OUTSTANDING)
			ask(port);
		settle(faults);
		step(faults);
	}
	if (!faults->loss && !faults->garbling)
		CHECK_EQ(answered, requests);
	stop();
}

/* Whatever else may come: the frames of the parser's tests, to the server. */
static void stray(void *ctx, const struct frame *frame)
{
	static const struct faults lost = {.loss = 1000000};
	struct frame copy = *frame;

	(void)ctx;
	arrive(1, frame);
	settle(&lost);
	if (copy.length > 60) {
		copy.bytes[34 + sim_random_below(&dice, copy.length - 34)] ^= (uint8_t)(1u << sim_random_below(&dice, 8));
		arrive(1, &copy);
		settle(&lost);
	}
	now_ns += 1000;
}

static uint64_t run_captures(void)
{
	uint64_t count = 0;
	glob_t files;

	start(7, true);
	any_content = true;
	if (!glob(CAPTURES, 0, NULL, &files)) {
		for (size_t i = 0; i < files.gl_pathc; i++)
			count += frames_of_capture(files.gl_pathv[i], stray, NULL);
		globfree(&files);
	}
	for (int i = 0; i < 20000; i++) {
		struct frame frame;

		frame_make(&frame, i & 1, !(i & 14), (uint8_t)(HOMA_TYPE_FIRST + sim_random_below(&dice, 9)),
			   1 + sim_random_below(&dice, 1400));
		stray(NULL, &frame);
		count++;
	}
	stop();
	return count;
}

int main(int argc, char **argv)
{
	static const struct faults kinds[] = {
	    {.delay_ns = 0},
	    {.delay_ns = 40000},
	    {.loss = 20000, .delay_ns = 20000},
	    {.loss = 50000, .doubling = 50000, .delay_ns = 60000},
	    {.loss = 50000, .doubling = 50000, .garbling = 10000, .delay_ns = 60000},
	};
	uint64_t strays, calls = 0, placed, kept;
	uint32_t seeds = argc > 1 ? (uint32_t)atoi(argv[1]) : 6;

	if (geteuid())
		SKIP("needs root");
	for (unsigned host = 0; host < 2; host++)
		for (int tier = 0; tier < TIERS; tier++) {
			sides[host][tier].tier = (enum tier)tier;
			sides[host][tier].host = host;
			open_datapath(&sides[host][tier]);
		}
	for (uint32_t seed = 0; seed < seeds; seed++)
		for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
			run_traffic(seed * 5 + kind, seed & 1, 40, &kinds[kind]);
			calls += 40;
		}
	strays = run_captures();
	placed = sides[0][INPLACE].placed + sides[1][INPLACE].placed;
	kept = sides[0][INPLACE].kept + sides[1][INPLACE].kept;
	CHECK(placed && kept && steered && filtered);
	printf("%llu calls and %llu stray frames: both tiers agree; %llu packets by ring, %llu by AF_XDP, %llu "
	       "duplicates filtered; %llu MB placed, %llu messages never moved\n",
	       (unsigned long long)calls, (unsigned long long)strays, (unsigned long long)in_ring,
	       (unsigned long long)steered, (unsigned long long)filtered, (unsigned long long)placed >> 20,
	       (unsigned long long)kept);
	return 0;
}
