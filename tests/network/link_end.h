/* SPDX-License-Identifier: BSD-2-Clause */
/* Two links of devices in network namespaces, and numbered packets between them. */
#ifndef TERN_LINK_END_H
#define TERN_LINK_END_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "homa_core.h"
#include "inplace.h"
#include "test.h"
#include "xsk.h"

#define MAX_PACKET 1480 /* bytes after an IPv4 header at MTU 1500 */
#define END_MEMORY (16 << 20)
#define END_PORT   0x8000

static const uint32_t sizes[] = { 0, 1, 2, 3, 64, 333, 1000, 1480 - sizeof(struct homa_data_header) };
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

/* One end of an exchange; `to` is how the other is reached, by IPv4 and IPv6. */
struct end {
	const char *netns;
	const char *device;
	struct link *link;
	struct datapath *datapath; /* of the in-place tier, or NULL */
	struct link_destination to[2];
};

static enum tern_xdp_mode mode_of(const char *name)
{
	return !strcmp(name, "native")    ? TERN_XDP_NATIVE
	       : !strcmp(name, "generic") ? TERN_XDP_GENERIC
					  : TERN_XDP_AUTO;
}

/* "inplace" or "inplace:PARTS" (enum tern_datapath_part): the parts; 0 for the xsk tier. */
static unsigned parts_of(const char *mode)
{
	if (strncmp(mode, "inplace", 7))
		return 0;
	return mode[7] == ':' ? (unsigned)atoi(mode + 8) : INPLACE_ALL;
}

static int open_link(const char *mode, struct end *end)
{
	struct xsk_link_options options = { .mode = mode_of(mode), .log = log_line };
	struct link_log log = { .write = log_line, .device = "test" };
	unsigned parts = parts_of(mode);
	char text[128];
	int error;

	enter(end->netns);
	options.ifindex = (int)if_nametoindex(end->device);
	if (parts) {
		CHECK_EQ(datapath_create(END_MEMORY, 12345, &log, &end->datapath), 0);
		datapath_own_port(end->datapath, END_PORT, true);
		error = inplace_link_open(&options, end->datapath, parts, &end->link);
	} else {
		error = xsk_link_open(&options, &end->link);
	}
	if (!error) {
		end->link->ops->describe(end->link, text, sizeof(text));
		printf("%s: %s\n", end->device, text);
	}
	fflush(stdout);
	return error;
}

static void close_end(struct end *end)
{
	struct arena_usage usage;

	end->link->ops->close(end->link);
	if (!end->datapath)
		return;
	arena_usage_get(end->datapath->arena, &usage);
	CHECK_EQ(usage.buffers, 0);
	CHECK_EQ(end->datapath->placements.used, 0);
	datapath_destroy(end->datapath);
	end->datapath = NULL;
}

static unsigned receive(struct end *end, struct link_packet *packets, unsigned max)
{
	return end->link->ops->receive(end->link, packets, max);
}

/* The receiver is done with them, and has kept none. */
static void release(struct end *end, const struct link_packet *packets, unsigned count)
{
	if (end->link->ops->release)
		end->link->ops->release(end->link, packets, count);
}

static void mac_of(const char *device, uint8_t mac[6])
{
	struct ifreq request = { 0 };
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

/* The DATA packet number `n`, which says by its offset and bytes what number it has. */
static void make_header(struct homa_data_header *header, uint8_t *payload, uint32_t n, bool hijack)
{
	uint32_t length = sizes[n % SIZES] ? sizes[n % SIZES] : 1;

	memset(header, 0, sizeof(*header));
	header->common.sport = wire16(END_PORT);
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

static const uint8_t *payload_of(const struct link_packet *packet)
{
	return packet->where == LINK_FOLLOWS ? packet->data + sizeof(struct homa_data_header)
					     : packet->payload;
}

/* TCP's checksum over pseudo header and segment, as a receiver verifies it. */
static bool tcp_checksum_ok(const struct link_packet *packet)
{
	uint32_t sum = 6 + packet->length;
	bool v4 = net_ip_is_v4(&packet->source);

	for (int i = v4 ? 12 : 0; i < 16; i += 2)
		sum += (uint32_t)(packet->source.b[i] << 8 | packet->source.b[i + 1]) +
		       (uint32_t)(packet->destination.b[i] << 8 | packet->destination.b[i + 1]);
	for (uint32_t i = 0; i < packet->length; i++) {
		uint8_t byte = i < sizeof(struct homa_data_header)
				       ? packet->data[i]
				       : payload_of(packet)[i - sizeof(struct homa_data_header)];

		sum += i & 1 ? byte : (uint32_t)byte << 8;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static void check_numbered(const struct end *receiver, const struct link_packet *packet, uint32_t n)
{
	const struct homa_data_header *header = (const void *)packet->data;
	const uint8_t *payload = payload_of(packet);
	bool v6 = n & 1, hijack = n & 2;

	CHECK_EQ(packet->protocol, hijack ? 6 : HOMA_IPPROTO);
	CHECK_EQ(packet->traffic_class, n & 0xff);
	CHECK(net_ip_equal(&packet->source, &receiver->to[v6].remote));
	CHECK(net_ip_equal(&packet->destination, &receiver->to[v6].local));
	CHECK_EQ(packet->length, sizeof(*header) + payload_length(n, v6));
	CHECK_EQ(wire32(header->common.sequence), n);
	CHECK(!hijack || tcp_checksum_ok(packet));
	for (uint32_t i = 0; i < packet->length - sizeof(*header); i++)
		CHECK_EQ(payload[i], (uint8_t)(n * 7 + i));
}

/* Their addresses are those of 10.45.0.0/24 and fd45::/64, which no device has. */
static void address_ends(struct end ends[2])
{
	static const char *const texts[2][2] = { { "10.45.0.1", "fd45::1" }, { "10.45.0.2", "fd45::2" } };
	uint8_t macs[2][6];

	for (int i = 0; i < 2; i++) {
		enter(ends[i].netns);
		mac_of(ends[i].device, macs[i]);
	}
	for (int i = 0; i < 2; i++)
		for (int v6 = 0; v6 < 2; v6++) {
			ends[i].to[v6].local = address(texts[i][v6]);
			ends[i].to[v6].remote = address(texts[!i][v6]);
			memcpy(ends[i].to[v6].local_mac, macs[i], 6);
			memcpy(ends[i].to[v6].remote_mac, macs[!i], 6);
		}
}

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned)cpu, &cpus);
	CHECK(!sched_setaffinity(0, sizeof(cpus), &cpus));
}

static void open_ends(const char *mode, struct end ends[2])
{
	address_ends(ends);
	/* What leaves by a tap comes to the queue of the CPU that sent it: without order between two. */
	run_on(sched_getcpu());
	for (int i = 0; i < 2; i++)
		CHECK_EQ(open_link(mode, &ends[i]), 0);
}

#endif
