// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tests/network/inplace_link.sh runs, besides xsk_link:
 *
 *	inplace_link check NETNS DEV NETNS DEV              what only the in-place tier does
 *	inplace_link measure NETNS DEV NETNS DEV MODE...    round trips and rates (MODE: see xsk_link)
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "inplace_link.h"
#include "link_end.h"

#define BATCH       64
#define SEGMENT     1000
#define MESSAGE     9500 /* bytes: its last segment is half a one */
#define SEGMENTS    10
#define FLOOD       1200 /* more than there are buffers, fewer than with the frames of the socket */
#define NEWS_US     150000
#define ROUND_TRIPS 20000
#define WINDOW      48 /* less than a NAPI budget: what is beyond one is left to ksoftirqd */
#define SLICES      500
#define SLICE_NS    1000000ull
#define ANSWER_NS   100000000ull

static struct link_packet packets[BATCH];

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static struct inplace_link *inside(const struct end *end)
{
	return (struct inplace_link *)end->link;
}

/* ---- messages put together by XDP ---- */

static uint8_t byte_of(uint32_t offset)
{
	return (uint8_t)(offset * 13 + offset / 251);
}

static void send_segment(struct end *from, uint32_t segment)
{
	uint8_t payload[SEGMENT];
	uint32_t offset = segment * SEGMENT, length = segment == SEGMENTS - 1 ? MESSAGE - offset : SEGMENT;
	struct homa_data_header header = {
		.common = { .sport = wire16(END_PORT),
			    .dport = wire16(4000),
			    .type = HOMA_DATA,
			    .sender_id = wire64(4242) },
		.message_length = wire32(MESSAGE),
		.segment_offset = wire32(offset),
	};

	for (uint32_t i = 0; i < length; i++)
		payload[i] = byte_of(offset + i);
	CHECK_EQ(from->link->ops->send(from->link, &from->to[0], HOMA_IPPROTO, 0, &header, sizeof(header),
				       payload, length),
		 0);
	from->link->ops->flush(from->link);
}

static uint32_t begin(struct end *to, const uint8_t *message)
{
	struct ranges gaps;
	struct placement_message placed = {
		.source = to->to[0].remote,
		.id = wire64(4242),
		.sport = wire16(END_PORT),
		.dport = wire16(4000),
		.place = arena_place(to->datapath->arena, message),
		.length = MESSAGE,
		.segment = SEGMENT,
		.gaps = &gaps,
	};

	memset(&gaps, 0, sizeof(gaps));
	return placement_begin(&to->datapath->placements, &placed);
}

static void check_placing(struct end *from, struct end *to)
{
	uint8_t *message = arena_get(to->datapath->arena, MESSAGE, ARENA_RECEIVE);
	uint32_t handle = begin(to, message), i;

	CHECK(handle != PLACEMENT_NONE);
	/* Each twice: the second is a duplicate, and never seen. */
	for (i = 0; i < 2 * SEGMENTS; i++)
		send_segment(from, i * 7 % SEGMENTS);
	CHECK_EQ(receive(to, packets, BATCH), SEGMENTS);
	for (i = 0; i < SEGMENTS; i++) {
		CHECK_EQ(packets[i].where, LINK_PLACED);
		CHECK_EQ(packets[i].placement, handle);
		CHECK(packets[i].payload == message + homa_data_offset((const void *)packets[i].data));
		packets[i].payload = i ? NULL : packets[i].payload;
	}
	release(to, packets, SEGMENTS);
	for (i = 0; i < MESSAGE; i++)
		CHECK_EQ(message[i], byte_of(i));
	/* The first was not counted: it may come again, and only it. */
	for (i = 0; i < SEGMENTS; i++)
		send_segment(from, i);
	CHECK_EQ(receive(to, packets, BATCH), 1);
	packets[0].payload = NULL;
	release(to, packets, 1);
	CHECK_EQ(inside(to)->unclaimed, 1);

	/* Ended, its packets are like any others. */
	placement_end(&to->datapath->placements, handle);
	send_segment(from, 3);
	CHECK_EQ(receive(to, packets, BATCH), 1);
	CHECK_EQ(packets[0].where, LINK_BUFFER);
	arena_put(to->datapath->arena, packets[0].payload);
	packets[0].payload = NULL; /* it was taken */
	release(to, packets, 1);
	arena_put(to->datapath->arena, message);
}

/* More packets than buffers: the socket takes the rest, none is lost, and there are more buffers then. */
static void check_flood(struct end *from, struct end *to)
{
	struct inplace_link *link = inside(to);
	uint32_t got = 0, count;

	for (uint32_t i = 0; i < FLOOD; i++) {
		send_numbered(from, i);
		from->link->ops->flush(from->link);
	}
	while ((count = receive(to, packets, BATCH))) {
		release(to, packets, count);
		got += count;
	}
	CHECK_EQ(got, FLOOD);
	CHECK_EQ(link->dry, 1);
	CHECK(link->queues[0].target > RECEIVE_BUFFERS);
}

static void expect_one(struct end *from, struct end *to)
{
	send_numbered(from, 8);
	from->link->ops->flush(from->link);
	CHECK_EQ(receive(to, packets, BATCH), 1);
	check_numbered(to, &packets[0], 8);
	release(to, packets, 1);
}

/* A tap that is deleted loses what is on its way; from then on AF_XDP is used. */
static void check_tap_deleted(struct end *from, struct end *to)
{
	struct inplace_link *link = inside(from);
	char name[IF_NAMESIZE], command[64];

	CHECK(link->to_tap);
	enter(from->netns);
	CHECK(if_indextoname((unsigned)link->tap.ifindex, name));
	snprintf(command, sizeof(command), "ip link delete %s", name);
	CHECK(!system(command));
	for (uint32_t i = 0; i < 5; i++)
		send_numbered(from, i);
	from->link->ops->flush(from->link);
	CHECK_EQ(receive(to, packets, BATCH), 0);
	CHECK(!link->to_tap);
	expect_one(from, to);
}

/* The other end has no XDP program for a while: then its veth takes no redirected frames. */
static void check_other_end(struct end *from, struct end *to)
{
	struct inplace_link *link = inside(from);

	expect_one(from, to);
	CHECK(link->to_tap);
	close_end(to);
	CHECK(!tap_usable(&link->tap));
	usleep(NEWS_US);
	send_numbered(from, 0);
	CHECK(!link->to_tap);
	from->link->ops->flush(from->link);
	CHECK_EQ(open_link("inplace", to), 0);
	usleep(NEWS_US);
	expect_one(from, to);
	CHECK(link->to_tap);
}

static int check(struct end ends[2])
{
	open_ends("inplace", ends);
	check_placing(&ends[0], &ends[1]);
	check_placing(&ends[1], &ends[0]);
	check_other_end(&ends[0], &ends[1]);
	check_flood(&ends[0], &ends[1]);
	check_tap_deleted(&ends[0], &ends[1]);
	close_end(&ends[0]);
	close_end(&ends[1]);
	printf("placing, duplicates, floods, the tap deleted, the other end gone and back\n");
	return 0;
}

/* ---- measuring ---- */

static void send_back(struct end *end, const struct link_packet *packet)
{
	const struct homa_data_header *header = (const void *)packet->data;
	uint8_t copy[sizeof(*header)];

	memcpy(copy, header, sizeof(copy));
	end->link->ops->send(end->link, &end->to[0], HOMA_IPPROTO, 0, copy, sizeof(copy), payload_of(packet),
			     packet->length - (uint32_t)sizeof(copy));
}

static void echo(const char *mode, struct end *end, int ready)
{
	unsigned count, i;

	run_on(1);
	CHECK_EQ(open_link(mode, end), 0);
	CHECK_EQ(write(ready, "r", 1), 1);
	for (;;) {
		count = receive(end, packets, BATCH);
		for (i = 0; i < count; i++)
			send_back(end, &packets[i]);
		release(end, packets, count);
		if (count)
			end->link->ops->flush(end->link);
	}
}

static void send_request(struct end *end)
{
	static uint8_t payload[64];
	struct homa_data_header header = { .common = { .sport = wire16(END_PORT),
						       .dport = wire16(END_PORT),
						       .type = HOMA_DATA,
						       .sender_id = wire64(2) },
					   .message_length = wire32(sizeof(payload)) };

	end->link->ops->send(end->link, &end->to[0], HOMA_IPPROTO, 0, &header, sizeof(header), payload,
			     sizeof(payload));
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

/* Answers; what is lost is not waited for any longer than that. */
static unsigned await(struct end *end)
{
	uint64_t end_ns = clock_ns() + ANSWER_NS;
	unsigned count;

	while (!(count = receive(end, packets, BATCH)) && clock_ns() < end_ns)
		;
	release(end, packets, count);
	return count;
}

static void round_trips(struct end *end)
{
	static uint32_t ns[ROUND_TRIPS];

	for (unsigned i = 0; i < ROUND_TRIPS; i++) {
		uint64_t start_ns = clock_ns();

		send_request(end);
		end->link->ops->flush(end->link);
		await(end);
		ns[i] = (uint32_t)(clock_ns() - start_ns);
	}
	qsort(ns, ROUND_TRIPS, sizeof(ns[0]), compare);
	printf("64 B round trip: least %.2f, p50 %.2f, p99 %.2f us", ns[0] / 1e3, ns[ROUND_TRIPS / 2] / 1e3,
	       ns[ROUND_TRIPS / 100 * 99] / 1e3);
}

/* In slices of a millisecond, of which the good ones tell what is possible beside other processes. */
static void rate(struct end *end)
{
	static uint32_t answers[SLICES];
	uint64_t start_ns = clock_ns(), slice;
	unsigned outstanding = 0, count;

	memset(answers, 0, sizeof(answers));
	while ((slice = (clock_ns() - start_ns) / SLICE_NS) < SLICES) {
		for (; outstanding < WINDOW; outstanding++)
			send_request(end);
		end->link->ops->flush(end->link);
		count = await(end);
		answers[slice] += count;
		outstanding = count ? outstanding - count : 0;
	}
	qsort(answers, SLICES, sizeof(answers[0]), compare);
	printf("; %u outstanding: p50 %.2f, p90 %.2f M/s\n", WINDOW, answers[SLICES / 2] / 1e3,
	       answers[SLICES / 10 * 9] / 1e3);
}

static void measure(const char *mode, struct end ends[2])
{
	int ready[2];
	char byte;
	pid_t child;

	CHECK(!pipe(ready));
	child = fork();
	CHECK(child >= 0);
	if (!child)
		echo(mode, &ends[1], ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	run_on(0);
	CHECK_EQ(open_link(mode, &ends[0]), 0);
	usleep(NEWS_US);
	send_request(&ends[0]);
	ends[0].link->ops->flush(ends[0].link);
	await(&ends[0]);
	printf("%-12s", mode);
	round_trips(&ends[0]);
	rate(&ends[0]);
	fflush(stdout);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close_end(&ends[0]);
	close(ready[0]);
	close(ready[1]);
}

int main(int argc, char **argv)
{
	struct end ends[2] = { 0 };

	CHECK(argc >= 6);
	for (int i = 0; i < 2; i++) {
		ends[i].netns = argv[2 + 2 * i];
		ends[i].device = argv[3 + 2 * i];
	}
	if (!strcmp(argv[1], "check"))
		return check(ends);
	CHECK(!strcmp(argv[1], "measure"));
	address_ends(ends);
	for (int i = 6; i < argc; i++)
		measure(argv[i], ends);
	return 0;
}
