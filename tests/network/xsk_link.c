// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tests/network/xsk.sh runs: opens the link of a device in a network namespace and
 *
 *	xsk_link MODE exchange NETNS DEV NETNS DEV   sends packets between two of them
 *	xsk_link MODE open NETNS DEV                 prints what was chosen, exits 0 or the errno
 *	xsk_link MODE hold NETNS DEV [SECONDS]       the same, and swallows packets until killed
 *	xsk_link MODE gone NETNS DEV                 waits for the device to be deleted
 *	xsk_link MODE down NETNS DEV                 sends while the device is down, and up again
 *	xsk_link - raw NETNS SOURCE DESTINATION      sends protocol 146 by a raw socket, good and bad
 *
 * MODE: auto, native or generic; inplace, or inplace:PARTS with a number for that tier.
 * NETNS: a name, or - for where the program was started.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "link_end.h"

#define BATCH         64
#define ROUNDS        2000
#define SWALLOW_S     8
#define DEVICE_GONE_S 3

/* Sends `count` packets in one burst and receives them all, in order. */
static void burst(struct end *from, struct end *to, uint32_t first, uint32_t count)
{
	struct link_packet packets[BATCH];
	uint32_t got = 0;
	int empty = 0;

	for (uint32_t i = 0; i < count; i++)
		send_numbered(from, first + i);
	from->link->ops->flush(from->link);
	while (got < count) {
		unsigned n = receive(to, packets, BATCH);

		for (unsigned i = 0; i < n; i++)
			check_numbered(to, &packets[i], first + got + i);
		release(to, packets, n);
		got += n;
		if (n)
			empty = 0;
		else
			CHECK(++empty < 1000000);
	}
	CHECK_EQ(receive(to, packets, BATCH), 0);
}

struct expected {
	uint64_t packets;
	unsigned parts;  /* 0: the xsk tier */
	uint64_t by_tap; /* seen so far */
};

static bool is_one_of(const char *name, const char *const names[])
{
	while (*names && strcmp(name, *names))
		names++;
	return *names;
}

/* What must be as many as the packets; what may be any number; all else must be 0. */
static void expect(void *ctx, const char *name, uint64_t value)
{
	static const char *const by_xsk[] = { "xdp_steer", "xsk_received", NULL };
	static const char *const in_place[] = { "xdp_deliver", "inplace_received", NULL };
	static const char *const from_xsk[] = { "xsk_sent", NULL };
	static const char *const from_tap[] = { "egress_sent", NULL };
	static const char *const any[] = { "xdp_pass",   "tap_doorbells", "tap_written",
					   "tap_pumped", "tap_pump_from", NULL };
	struct expected *expected = ctx;

	if (is_one_of(name, expected->parts & TERN_PART_RECEIVE ? in_place : by_xsk) ||
	    is_one_of(name, expected->parts & TERN_PART_TAP ? from_tap : from_xsk)) {
		CHECK_EQ(value, expected->packets);
	} else if (!is_one_of(name, any) && value) {
		fprintf(stderr, "counter %s is %llu\n", name, (unsigned long long)value);
		exit(1);
	}
	if (!strcmp(name, "tap_written") || !strcmp(name, "tap_pumped"))
		expected->by_tap += value;
	if (!strcmp(name, "tap_pumped"))
		CHECK_EQ(value > 0, (expected->parts & TERN_PART_PUMP) != 0);
}

static void check_fd(struct end *from, struct end *to)
{
	struct pollfd poller = { .fd = to->link->ops->fd(to->link), .events = POLLIN };
	struct link_packet packet;

	CHECK(!to->link->ops->watch || !to->link->ops->watch(to->link, true));
	CHECK_EQ(poll(&poller, 1, 0), 0);
	send_numbered(from, 4);
	from->link->ops->flush(from->link);
	CHECK_EQ(poll(&poller, 1, 1000), 1);
	CHECK_EQ(poller.revents, POLLIN);
	CHECK_EQ(receive(to, &packet, 1), 1);
	release(to, &packet, 1);
}

static void check_too_long(struct end *end)
{
	static uint8_t payload[2000];
	struct homa_data_header header = { 0 };
	uint32_t longest = end->link->mtu - 40 - (uint32_t)sizeof(header);

	CHECK_EQ(end->link->ops->send(end->link, &end->to[1], HOMA_IPPROTO, 0, &header, sizeof(header),
				      payload, longest + 1),
		 -EMSGSIZE);
	CHECK_EQ(end->link->ops->send(end->link, &end->to[1], HOMA_IPPROTO, 0, &header, sizeof(header),
				      payload, UINT32_MAX),
		 -EMSGSIZE);
}

static int exchange(const char *mode, char **arguments)
{
	static const uint32_t bursts[] = { 1, 2, 31, 64, 200 };
	struct end ends[2] = { { .netns = arguments[0], .device = arguments[1] },
			       { .netns = arguments[2], .device = arguments[3] } };
	struct expected expected;
	uint64_t sent = 0;

	open_ends(mode, ends);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t count = bursts[round % 5];

		burst(&ends[0], &ends[1], round * 200, count);
		burst(&ends[1], &ends[0], round * 200, count);
		sent += count;
	}
	check_too_long(&ends[0]);
	check_fd(&ends[0], &ends[1]);
	check_fd(&ends[1], &ends[0]);
	sent++;
	for (int i = 0; i < 2; i++) {
		expected = (struct expected){ .packets = sent, .parts = parts_of(mode) };
		ends[i].link->ops->counters(ends[i].link, expect, &expected);
		CHECK_EQ(expected.by_tap, expected.parts & TERN_PART_TAP ? sent : 0);
		close_end(&ends[i]);
	}
	printf("%llu packets each way\n", (unsigned long long)sent);
	return 0;
}

static int hold(struct end *end, int seconds)
{
	struct link_packet packets[BATCH];
	time_t until = time(NULL) + seconds;
	unsigned count;

	printf("serving\n");
	fflush(stdout);
	while (time(NULL) < until) {
		struct pollfd poller = { .fd = end->link->ops->fd(end->link), .events = POLLIN };

		if (!end->link->ops->watch || !end->link->ops->watch(end->link, true))
			poll(&poller, 1, 100);
		while ((count = receive(end, packets, BATCH)))
			release(end, packets, count);
	}
	close_end(end);
	return 0;
}

/* A link whose device is deleted says so, to a caller that only receives and to one that sends. */
static int gone(struct end *end)
{
	struct link_packet packets[BATCH];
	time_t until = time(NULL) + DEVICE_GONE_S;

	while (!end->link->failed && time(NULL) < until)
		release(end, packets, receive(end, packets, BATCH));
	CHECK_EQ(end->link->failed, -ENODEV);
	CHECK_EQ(receive(end, packets, BATCH), 0);
	end->link->ops->flush(end->link);
	close_end(end);
	printf("noticed\n");
	return 0;
}

static void set_up(const char *device, bool up)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	CHECK(!ioctl(fd, SIOCGIFFLAGS, &request));
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	CHECK(!ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

/* A device that is down fills the ring up; -ENOBUFS then, and all is well when it is up. */
static int down(struct link *link, const char *device)
{
	struct homa_common_header header = { .type = HOMA_BUSY };
	struct link_destination to = { .local = address("10.45.0.1"), .remote = address("10.45.0.2") };
	struct link_packet packet;
	uint32_t queued = 0;
	int error = 0;

	set_up(device, false);
	while (!error && queued < 10 * XSK_DEFAULT_FRAMES) {
		error = link->ops->send(link, &to, HOMA_IPPROTO, 0, &header, sizeof(header), NULL, 0);
		queued += !error;
	}
	CHECK_EQ(error, -ENOBUFS);
	CHECK_EQ(queued, XSK_DEFAULT_FRAMES);
	link->ops->flush(link);
	CHECK_EQ(link->ops->receive(link, &packet, 1), 0);
	CHECK_EQ(link->failed, 0);

	set_up(device, true);
	for (int i = 0; i < 100; i++) {
		link->ops->flush(link);
		usleep(1000);
	}
	for (uint32_t i = 0; i < XSK_DEFAULT_FRAMES; i++)
		CHECK_EQ(link->ops->send(link, &to, HOMA_IPPROTO, 0, &header, sizeof(header), NULL, 0), 0);
	link->ops->flush(link);
	link->ops->close(link);
	return 0;
}

static int raw(char **arguments)
{
	struct homa_common_header header = { .sport = wire16(0x8000),
					     .dport = wire16(4000),
					     .type = HOMA_BUSY };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct sockaddr_in from = { .sin_family = AF_INET };
	uint8_t options[] = { 1, 1, 1, 0 };
	int fd;

	enter(arguments[0]);
	CHECK(inet_pton(AF_INET, arguments[1], &from.sin_addr) == 1);
	CHECK(inet_pton(AF_INET, arguments[2], &to.sin_addr) == 1);
	fd = socket(AF_INET, SOCK_RAW, HOMA_IPPROTO);
	CHECK(fd >= 0);
	CHECK(!bind(fd, (struct sockaddr *)&from, sizeof(from)));
	/* Good; of a type that is none; short; with IP options. */
	CHECK(sendto(fd, &header, sizeof(header), 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	header.type = 0x77;
	CHECK(sendto(fd, &header, sizeof(header), 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	CHECK(sendto(fd, &header, 5, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	CHECK(!setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, sizeof(options)));
	CHECK(sendto(fd, &header, sizeof(header), 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct end end = { 0 };
	int error;

	CHECK(argc >= 5);
	if (!strcmp(argv[2], "exchange") && argc == 7)
		return exchange(argv[1], argv + 3);
	if (!strcmp(argv[2], "raw") && argc == 6)
		return raw(argv + 3);
	end.netns = argv[3];
	end.device = argv[4];
	error = open_link(argv[1], &end);
	if (error)
		return -error;
	if (!strcmp(argv[2], "hold"))
		return hold(&end, argc > 5 ? atoi(argv[5]) : SWALLOW_S);
	if (!strcmp(argv[2], "gone"))
		return gone(&end);
	if (!strcmp(argv[2], "down"))
		return down(end.link, argv[4]);
	close_end(&end);
	return 0;
}
