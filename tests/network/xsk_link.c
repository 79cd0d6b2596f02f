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
 * MODE: auto, native or generic. NETNS: a name, or - for where the program was started.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "homa_core.h"
#include "test.h"
#include "xsk.h"

#define BATCH         64
#define ROUNDS        2000
#define SWALLOW_S     8
#define DEVICE_GONE_S 3
#define MAX_PACKET    1480 /* bytes after an IPv4 header at MTU 1500 */

static const uint32_t sizes[] = {0, 1, 2, 3, 64, 333, 1000, 1480 - sizeof(struct homa_data_header)};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void log_line(void *ctx, int level, const char *line)
{
	(void)ctx;
	if (level <= TERN_LOG_INFO)
		printf("%s\n", line);
}

static void enter(const char *netns)
{
	char path[128];
	int fd;

	if (!strcmp(netns, "-"))
		return;
	snprintf(path, sizeof(path), "/var/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(!setns(fd, CLONE_NEWNET));
	close(fd);
}

static enum tern_xdp_mode mode_of(const char *name)
{
	return !strcmp(name, "native")    ? TERN_XDP_NATIVE
	       : !strcmp(name, "generic") ? TERN_XDP_GENERIC
					  : TERN_XDP_AUTO;
}

static int open_link(const char *mode, const char *netns, const char *device, struct link **link)
{
	struct xsk_link_options options = {.mode = mode_of(mode), .log = log_line};
	char text[128];
	int error;

	enter(netns);
	options.ifindex = (int)if_nametoindex(device);
	error = xsk_link_open(&options, link);
	if (!error) {
		(*link)->ops->describe(*link, text, sizeof(text));
		printf("%s: %s\n", device, text);
	}
	fflush(stdout);
	return error;
}

static void mac_of(const char *device, uint8_t mac[6])
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	CHECK(!ioctl(fd, SIOCGIFHWADDR, &request));
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static struct net_ip address(const char *text)
{
	struct net_ip ip;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return net_ip_from_v4(v4.s_addr);
	CHECK(inet_pton(AF_INET6, text, &ip) == 1);
	return ip;
}

/* One end of the exchange; `to` is how the other is reached, by IPv4 and IPv6. */
struct end {
	const char *netns;
	const char *device;
	struct link *link;
	struct link_destination to[2];
};

/* The DATA packet number `n`, which says by its offset and bytes what number it has. */
static void make_header(struct homa_data_header *header, uint8_t *payload, uint32_t n, bool hijack)
{
	uint32_t length = sizes[n % SIZES] ? sizes[n % SIZES] : 1;

	memset(header, 0, sizeof(*header));
	header->common.sport = wire16(0x8000);
	header->common.dport = wire16(4000);
	header->common.sequence = wire32(n);
	header->common.type = HOMA_DATA;
	header->common.doff = HOMA_DOFF_DATA;
	header->common.flags = hijack ? HOMA_HIJACK_FLAGS : 0;
	header->common.urgent = hijack ? wire16(HOMA_HIJACK_URGENT) : 0;
	header->common.sender_id = wire64(2 * (uint64_t)n);
	header->message_length = wire32(HOMA_MAX_MESSAGE);
	header->segment_offset = wire32(n);
	for (uint32_t i = 0; i < length; i++)
		payload[i] = (uint8_t)(n * 7 + i);
}

/* IPv6 has 20 bytes less room. */
static uint32_t payload_length(uint32_t n, bool v6)
{
	uint32_t length = sizes[n % SIZES] ? sizes[n % SIZES] : 1;

	return v6 && length > MAX_PACKET - 20 - sizeof(struct homa_data_header)
		   ? (uint32_t)(MAX_PACKET - 20 - sizeof(struct homa_data_header))
		   : length;
}

static void send_numbered(struct end *from, uint32_t n)
{
	static uint8_t payload[MAX_PACKET];
	struct homa_data_header header;
	bool v6 = n & 1, hijack = n & 2;

	make_header(&header, payload, n, hijack);
	CHECK_EQ(from->link->ops->send(from->link, &from->to[v6], hijack ? 6 : HOMA_IPPROTO,
				       (uint8_t)(n & 0xff), &header, sizeof(header), payload,
				       payload_length(n, v6)),
		 0);
}

/* TCP's checksum over pseudo header and segment, as a receiver verifies it. */
static bool tcp_checksum_ok(const struct link_packet *packet)
{
	uint32_t sum = 6 + packet->length;
	bool v4 = net_ip_is_v4(&packet->source);

	for (int i = v4 ? 12 : 0; i < 16; i += 2)
		sum += (uint32_t)(packet->source.b[i] << 8 | packet->source.b[i + 1]) +
		       (uint32_t)(packet->destination.b[i] << 8 | packet->destination.b[i + 1]);
	for (uint32_t i = 0; i < packet->length; i++)
		sum += i & 1 ? packet->data[i] : (uint32_t)packet->data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static void check_numbered(const struct end *receiver, const struct link_packet *packet, uint32_t n)
{
	const struct homa_data_header *header = (const void *)packet->data;
	bool v6 = n & 1, hijack = n & 2;

	CHECK_EQ(packet->protocol, hijack ? 6 : HOMA_IPPROTO);
	CHECK_EQ(packet->traffic_class, n & 0xff);
	CHECK(net_ip_equal(&packet->source, &receiver->to[v6].remote));
	CHECK(net_ip_equal(&packet->destination, &receiver->to[v6].local));
	CHECK_EQ(packet->length, sizeof(*header) + payload_length(n, v6));
	CHECK_EQ(wire32(header->common.sequence), n);
	CHECK(!hijack || tcp_checksum_ok(packet));
	for (uint32_t i = sizeof(*header); i < packet->length; i++)
		CHECK_EQ(packet->data[i], (uint8_t)(n * 7 + i - sizeof(*header)));
}

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
		unsigned n = to->link->ops->receive(to->link, packets, BATCH);

		for (unsigned i = 0; i < n; i++)
			check_numbered(to, &packets[i], first + got + i);
		got += n;
		if (n)
			empty = 0;
		else
			CHECK(++empty < 1000000);
	}
	CHECK_EQ(to->link->ops->receive(to->link, packets, BATCH), 0);
}

static void expect(void *ctx, const char *name, uint64_t value)
{
	uint64_t packets = *(uint64_t *)ctx;

	if (!strcmp(name, "xdp_steer") || !strcmp(name, "xsk_received") || !strcmp(name, "xsk_sent"))
		CHECK_EQ(value, packets);
	else if (strcmp(name, "xdp_pass"))
		if (value) {
			fprintf(stderr, "counter %s is %llu\n", name, (unsigned long long)value);
			exit(1);
		}
}

static void check_fd(struct end *from, struct end *to)
{
	struct pollfd poller = {.fd = to->link->ops->fd(to->link), .events = POLLIN};
	struct link_packet packet;

	CHECK_EQ(poll(&poller, 1, 0), 0);
	send_numbered(from, 4);
	from->link->ops->flush(from->link);
	CHECK_EQ(poll(&poller, 1, 1000), 1);
	CHECK_EQ(poller.revents, POLLIN);
	CHECK_EQ(to->link->ops->receive(to->link, &packet, 1), 1);
}

static void check_too_long(struct end *end)
{
	static uint8_t payload[2000];
	struct homa_data_header header = {0};
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
	static const uint32_t bursts[] = {1, 2, 31, 64, 200};
	static const char *const texts[2][2] = {{"10.45.0.1", "fd45::1"}, {"10.45.0.2", "fd45::2"}};
	struct end ends[2] = {{.netns = arguments[0], .device = arguments[1]},
			      {.netns = arguments[2], .device = arguments[3]}};
	uint8_t macs[2][6];
	uint64_t sent = 0;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(open_link(mode, ends[i].netns, ends[i].device, &ends[i].link), 0);
		mac_of(ends[i].device, macs[i]);
	}
	for (int i = 0; i < 2; i++)
		for (int v6 = 0; v6 < 2; v6++) {
			ends[i].to[v6].local = address(texts[i][v6]);
			ends[i].to[v6].remote = address(texts[!i][v6]);
			memcpy(ends[i].to[v6].local_mac, macs[i], 6);
			memcpy(ends[i].to[v6].remote_mac, macs[!i], 6);
		}
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
		ends[i].link->ops->counters(ends[i].link, expect, &sent);
		ends[i].link->ops->close(ends[i].link);
	}
	printf("%llu packets each way\n", (unsigned long long)sent);
	return 0;
}

static int hold(struct link *link, int seconds)
{
	struct link_packet packets[BATCH];
	time_t end = time(NULL) + seconds;

	printf("serving\n");
	fflush(stdout);
	while (time(NULL) < end) {
		struct pollfd poller = {.fd = link->ops->fd(link), .events = POLLIN};

		poll(&poller, 1, 100);
		while (link->ops->receive(link, packets, BATCH))
			;
	}
	link->ops->close(link);
	return 0;
}

/* A link whose device is deleted says so, to a caller that only receives and to one that sends. */
static int gone(struct link *link)
{
	struct link_packet packets[BATCH];
	time_t end = time(NULL) + DEVICE_GONE_S;

	while (!link->failed && time(NULL) < end)
		link->ops->receive(link, packets, BATCH);
	CHECK_EQ(link->failed, -ENODEV);
	CHECK_EQ(link->ops->receive(link, packets, BATCH), 0);
	link->ops->flush(link);
	link->ops->close(link);
	printf("noticed\n");
	return 0;
}

static void set_up(const char *device, bool up)
{
	struct ifreq request = {0};
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
	struct homa_common_header header = {.type = HOMA_BUSY};
	struct link_destination to = {.local = address("10.45.0.1"), .remote = address("10.45.0.2")};
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
	struct homa_common_header header = {
	    .sport = wire16(0x8000), .dport = wire16(4000), .type = HOMA_BUSY};
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct sockaddr_in from = {.sin_family = AF_INET};
	uint8_t options[] = {1, 1, 1, 0};
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
	struct link *link;
	int error;

	CHECK(argc >= 5);
	if (!strcmp(argv[2], "exchange") && argc == 7)
		return exchange(argv[1], argv + 3);
	if (!strcmp(argv[2], "raw") && argc == 6)
		return raw(argv + 3);
	error = open_link(argv[1], argv[3], argv[4], &link);
	if (error)
		return -error;
	if (!strcmp(argv[2], "hold"))
		return hold(link, argc > 5 ? atoi(argv[5]) : SWALLOW_S);
	if (!strcmp(argv[2], "gone"))
		return gone(link);
	if (!strcmp(argv[2], "down"))
		return down(link, argv[4]);
	link->ops->close(link);
	return 0;
}
