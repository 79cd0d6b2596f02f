/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator itself: what it measures and judges by must be right, and it must be able
 * to find fault.
 */
#include <string.h>

#include "sim_ledger.h"
#include "sim_run.h"
#include "sim_workload.h"
#include "test.h"

#define HOSTS 2
#define US    1000ull

static void ignore(struct sim_host *host, const struct homa_event *event)
{
	if (event->data)
		homa_message_free(host->homa, event->data, event->length);
}

static const struct sim_application application = {.event = ignore};
static const struct sim_topology wire = {
    .hosts = HOSTS, .rate_mbps = 1000, .delay_ns = 5 * US, .buffer_bytes = 1 << 20};

/* ---- events ---- */

static void note(void *object, uint64_t argument)
{
	uint64_t *sum = object;

	*sum = *sum * 10 + argument;
}

static void test_events_run_in_order_of_time_then_of_insertion(void)
{
	struct sim_events events;
	struct sim_event event;
	uint64_t sum = 0;

	sim_events_init(&events);
	sim_events_add(&events, 20, note, &sum, 3);
	sim_events_add(&events, 10, note, &sum, 1);
	sim_events_add(&events, 30, note, &sum, 5);
	sim_events_add(&events, 20, note, &sum, 4);
	sim_events_add(&events, 10, note, &sum, 2);
	while (sim_events_take(&events, UINT64_MAX, &event))
		event.action(event.object, event.argument);
	CHECK_EQ(sum, 12345);
	sim_events_free(&events);
}

static void test_events_sort_many(void)
{
	struct sim_events events;
	struct sim_event event;
	struct sim_random random;
	uint64_t last = 0, unused = 0;

	sim_random_seed(&random, 7);
	sim_events_init(&events);
	for (int i = 0; i < 10000; i++)
		sim_events_add(&events, sim_random_below(&random, 10 * SIM_WHEEL_NS), note, &unused, 0);
	for (int i = 0; i < 10000; i++) {
		CHECK(sim_events_take(&events, UINT64_MAX, &event));
		CHECK(event.time_ns >= last);
		last = event.time_ns;
	}
	CHECK(!sim_events_take(&events, UINT64_MAX, &event));
	sim_events_free(&events);
}

/* ---- links ---- */

static struct sim_packet *packet(struct sim *sim, uint8_t priority, uint32_t length)
{
	struct sim_packet *packet = sim_packet_new(sim, sizeof(struct homa_common_header));

	memset(packet->data, 0, packet->captured); /* type 0: the core drops it */
	packet->source = &sim->hosts[0];
	packet->destination = &sim->hosts[1];
	packet->priority = priority;
	packet->length = length;
	packet->elided = true;
	return packet;
}

static void test_link_takes_serialisation_and_propagation(void)
{
	struct sim sim;

	sim_init(&sim, 1, &wire, NULL, &application);
	sim_link_send(&sim.hosts[0].uplink, packet(&sim, 0, 1480));
	CHECK_EQ(sim.events.count, 1);
	/* 1500 bytes of IP and 38 of Ethernet at 1 Gbit/s, then 5 us of wire. */
	CHECK_EQ(sim_events_next(&sim.events) - sim.now_ns, 1538 * 8 + 5 * US);
	sim_run(&sim, UINT64_MAX);
	sim_free(&sim);
}

static void test_link_sends_high_priorities_first(void)
{
	struct sim sim;
	struct sim_link *link;

	sim_init(&sim, 1, &wire, NULL, &application);
	link = &sim.hosts[0].uplink;
	for (uint8_t priority = 0; priority < 3; priority++)
		sim_link_send(link, packet(&sim, priority, 1480));
	/* The first found the link idle; of the two that wait the later one goes first. */
	CHECK(link->queue[1].first && link->queue[2].first);
	sim_run(&sim, sim.now_ns + 1538 * 8);
	CHECK(link->queue[1].first && !link->queue[2].first);
	sim_run(&sim, UINT64_MAX);
	CHECK_EQ(link->sent, 3);
	CHECK_EQ(link->queued_bytes, 0);
	sim_free(&sim);
}

static void test_link_drops_what_does_not_fit(void)
{
	struct sim sim;
	struct sim_link *link;

	sim_init(&sim, 1, &wire, NULL, &application);
	link = &sim.hosts[0].uplink;
	link->limit_bytes = 2000;
	for (int i = 0; i < 4; i++)
		sim_link_send(link, packet(&sim, 0, 1480));
	CHECK_EQ(link->dropped_full, 2);
	sim_run(&sim, UINT64_MAX);
	CHECK_EQ(link->sent, 2);
	sim_free(&sim);
}

static void test_link_loses_its_share(void)
{
	struct sim_topology lossy = wire;
	struct sim sim;

	lossy.faults.loss = 250000;
	sim_init(&sim, 3, &lossy, NULL, &application);
	for (int i = 0; i < 4000; i++)
		sim_link_send(&sim.hosts[0].uplink, packet(&sim, 0, 100));
	sim_run(&sim, UINT64_MAX);
	CHECK(sim.hosts[0].uplink.lost > 850 && sim.hosts[0].uplink.lost < 1150);
	sim_free(&sim);
}

static void test_link_marks_above_its_threshold(void)
{
	struct sim sim;
	struct sim_link *link;

	sim_init(&sim, 1, &wire, NULL, &application);
	link = &sim.hosts[0].uplink;
	link->ecn_bytes = 2000;
	for (int i = 0; i < 5; i++) {
		struct sim_packet *sent = packet(&sim, 0, 1480);

		sent->ecn_capable = i < 4;
		sim_link_send(link, sent);
	}
	/* One is on the wire, one below the threshold, and the last one cannot be marked. */
	CHECK_EQ(link->marked, 2);
	sim_run(&sim, UINT64_MAX);
	sim_free(&sim);
}

static void test_ports_share_their_switchs_buffer(void)
{
	struct sim_topology star = wire;
	struct sim sim;

	star.hosts = 3;
	star.shared_buffer_bytes = 4000;
	sim_init(&sim, 1, &star, NULL, &application);
	for (uint32_t i = 0; i < 6; i++) {
		struct sim_packet *sent = packet(&sim, 0, 1480);

		sent->destination = &sim.hosts[1 + i / 3];
		sim_switch_forward(&sim.leaves[0], sent);
	}
	/* Each port sends one; two wait for the first, and then there is no room for the second. */
	CHECK_EQ(sim.hosts[1].downlink.dropped_full, 0);
	CHECK_EQ(sim.hosts[2].downlink.dropped_full, 2);
	sim_run(&sim, UINT64_MAX);
	sim_free(&sim);
}

/* ---- traffic ---- */

#define MESSAGE 10000

static void begin_traffic(struct sim_arrivals *arrivals, struct sim_workload *workload, const char *name)
{
	struct sim_topology star = wire;
	enum sim_traffic traffic;
	const char *why;
	char bytes[16];

	star.hosts = 4;
	snprintf(bytes, sizeof(bytes), "%d", MESSAGE);
	CHECK(!sim_workload_load(workload, bytes, "", &why));
	CHECK(sim_traffic_find(name, &traffic));
	sim_arrivals_init(arrivals, workload, traffic, 1, &star, MESSAGE, 0.5);
}

/* What a round of 3 messages and as many answers takes on a link that is half used. */
static uint64_t round_ns(void)
{
	uint64_t bytes = sim_message_wire_bytes(MESSAGE, MESSAGE) +
			 sim_message_wire_bytes(SIM_REPLY_BYTES, MESSAGE);

	return 3 * bytes * 8000 / wire.rate_mbps * 2;
}

static void test_an_incast_is_everybodys_at_once(void)
{
	struct sim_workload workload;
	struct sim_arrivals arrivals;
	struct sim_arrival first, arrival;

	begin_traffic(&arrivals, &workload, "incast");
	sim_arrivals_next(&arrivals, 0, &arrival);
	CHECK(arrival.time_ns == UINT64_MAX);
	sim_arrivals_next(&arrivals, 1, &first);
	CHECK(first.to == 0 && first.length == MESSAGE && first.time_ns == round_ns() / 2);
	for (uint32_t host = 2; host < 4; host++) {
		sim_arrivals_next(&arrivals, host, &arrival);
		CHECK(arrival.to == 0 && arrival.time_ns == first.time_ns);
	}
	sim_arrivals_next(&arrivals, 1, &arrival);
	CHECK(arrival.to == 0 && arrival.time_ns == first.time_ns + round_ns());
}

static void test_all_to_all_is_a_message_to_every_other(void)
{
	struct sim_workload workload;
	struct sim_arrivals arrivals;
	struct sim_arrival arrival;
	enum sim_traffic traffic;

	CHECK(!sim_traffic_find("some-to-many", &traffic));
	begin_traffic(&arrivals, &workload, "all-to-all");
	for (uint32_t i = 0; i < 8; i++) {
		sim_arrivals_next(&arrivals, 2, &arrival);
		CHECK_EQ(arrival.to, ((const uint32_t[]){ 3, 0, 1 })[i % 3]);
		CHECK_EQ(arrival.time_ns, round_ns() / 2 + i / 3 * round_ns());
	}
}

/* ---- the ledger ---- */

struct ledger_case {
	struct sim sim;
	struct sim_ledger ledger;
	uint8_t request[200], reply[200];
	struct homa_event event;
};

/* One request of 200 bytes, arrived at the server. */
static void begin(struct ledger_case *c, uint32_t length)
{
	sim_init(&c->sim, 5, &wire, NULL, &application);
	sim_ledger_init(&c->ledger, HOSTS, 4);
	sim_ledger_request(&c->ledger, &c->sim, 0, 2, c->request, length, 150);
	c->event = (struct homa_event){
	    .type = HOMA_EVENT_REQUEST, .rpc_id = 77, .data = c->request, .length = length};
	c->event.remote.ip = c->sim.hosts[0].ip;
}

static void finish(struct ledger_case *c, uint32_t reply_length)
{
	c->event.type = HOMA_EVENT_RESPONSE;
	c->event.rpc_id = 76;
	c->event.cookie = 2;
	c->event.data = c->reply;
	c->event.length = reply_length;
	sim_ledger_finish(&c->ledger, &c->sim, 0, &c->event);
	sim_ledger_check(&c->ledger, &c->sim);
}

static void end(struct ledger_case *c)
{
	sim_ledger_free(&c->ledger);
	sim_free(&c->sim);
}

static void test_ledger_accepts_a_right_answer(void)
{
	for (uint32_t length = 1; length <= 200; length++) {
		struct ledger_case c;
		uint32_t reply_length;

		begin(&c, length);
		reply_length = sim_ledger_execute(&c.ledger, &c.sim, &c.event);
		CHECK(reply_length >= 1 && reply_length <= sizeof(c.reply));
		sim_ledger_reply(&c.event, c.reply, reply_length);
		finish(&c, reply_length);
		CHECK(!c.sim.violation[0]);
		CHECK_EQ(c.ledger.ok, 1);
		end(&c);
	}
}

static void test_ledger_finds_a_wrong_answer(void)
{
	struct ledger_case c;

	begin(&c, 200);
	sim_ledger_reply(&c.event, c.reply, sim_ledger_execute(&c.ledger, &c.sim, &c.event));
	c.reply[149] ^= 1;
	finish(&c, 150);
	CHECK(strstr(c.sim.violation, "wrong answer"));
	end(&c);
}

static void test_ledger_finds_a_corrupt_request(void)
{
	struct ledger_case c;

	begin(&c, 200);
	c.request[199] ^= 1;
	sim_ledger_execute(&c.ledger, &c.sim, &c.event);
	CHECK(strstr(c.sim.violation, "corrupt"));
	end(&c);
}

static void test_ledger_finds_a_second_execution(void)
{
	struct ledger_case c;

	begin(&c, 200);
	sim_ledger_execute(&c.ledger, &c.sim, &c.event);
	CHECK(!c.sim.violation[0]);
	c.event.rpc_id = 99; /* under another id: its bytes tell */
	sim_ledger_execute(&c.ledger, &c.sim, &c.event);
	CHECK(strstr(c.sim.violation, "twice"));
	end(&c);
}

static void test_ledger_finds_an_answer_without_execution(void)
{
	struct ledger_case c;

	begin(&c, 200);
	sim_ledger_reply(&c.event, c.reply, 150);
	finish(&c, 150);
	CHECK(strstr(c.sim.violation, "executed 0 times"));
	end(&c);
}

static void test_ledger_finds_what_never_ends(void)
{
	struct ledger_case c;

	begin(&c, 200);
	sim_ledger_check(&c.ledger, &c.sim);
	CHECK(strstr(c.sim.violation, "pending"));
	end(&c);
}

/* ---- runs ---- */

static void test_the_seed_decides_everything(void)
{
	const struct sim_profile *profile = sim_profile_find("swarm");
	struct sim_result first, again, other;

	sim_run_seed(profile, 11, 50, NULL, &first);
	sim_run_seed(profile, 11, 50, NULL, &again);
	sim_run_seed(profile, 12, 50, NULL, &other);
	CHECK(!first.violation[0] && !other.violation[0]);
	CHECK(first.trace_hash == again.trace_hash);
	CHECK(first.trace_hash != other.trace_hash);
	CHECK(first.ok + first.failed >= 50);
}

int main(void)
{
	test_events_run_in_order_of_time_then_of_insertion();
	test_events_sort_many();
	test_link_takes_serialisation_and_propagation();
	test_link_sends_high_priorities_first();
	test_link_drops_what_does_not_fit();
	test_link_loses_its_share();
	test_link_marks_above_its_threshold();
	test_ports_share_their_switchs_buffer();
	test_an_incast_is_everybodys_at_once();
	test_all_to_all_is_a_message_to_every_other();
	test_ledger_accepts_a_right_answer();
	test_ledger_finds_a_wrong_answer();
	test_ledger_finds_a_corrupt_request();
	test_ledger_finds_a_second_execution();
	test_ledger_finds_an_answer_without_execution();
	test_ledger_finds_what_never_ends();
	test_the_seed_decides_everything();
	printf("events, links, traffic, ledger and runs behave\n");
	return 0;
}
