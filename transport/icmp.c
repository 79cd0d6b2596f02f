/* SPDX-License-Identifier: BSD-2-Clause */
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "homa_core.h"
#include "icmp.h"
#include "net_headers.h"

#define ICMP_HEADER_BYTES 8
#define QUOTED_V4_BYTES   512 /* of the packet: with all headers below 576 (RFC 1812, 4.3.2.3) */
#define QUOTED_V6_BYTES   1024 /* the same below 1280 (RFC 4443, 2.4) */
#define QUOTED_HOPS       64   /* hop limit of the quoted header, which the link has taken off */

/* ---- parsing ---- */

static uint32_t read32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static struct net_ip read_v4(const uint8_t *data)
{
	__be32 v4;

	memcpy(&v4, data, sizeof(v4));
	return net_ip_from_v4(v4);
}

/* Bytes of the IPv4 header with its options at `data`, 0 if it is none or cut off. */
static size_t header_v4(const uint8_t *data, size_t length)
{
	size_t bytes;

	if (length < sizeof(struct net_ipv4) || data[0] >> 4 != 4)
		return 0;
	bytes = (data[0] & 15u) * 4;
	return bytes >= sizeof(struct net_ipv4) && bytes <= length ? bytes : 0;
}

static bool kind_v4(uint8_t type, uint8_t code, enum icmp_what *what)
{
	if (type != ICMP_DEST_UNREACH)
		return false;
	if (code == ICMP_PORT_UNREACH)
		*what = ICMP_WHAT_PORT;
	else if (code == ICMP_PROT_UNREACH)
		*what = ICMP_WHAT_PROTOCOL;
	else if (code == ICMP_FRAG_NEEDED)
		*what = ICMP_WHAT_TOO_BIG;
	else
		*what = ICMP_WHAT_HOST;
	return true;
}

bool icmp_parse_v4(const uint8_t *data, size_t length, struct icmp_error *error)
{
	size_t outer = header_v4(data, length), inner;
	const uint8_t *icmp = data + outer, *quoted;
	struct net_ipv4 header;

	if (!outer || length - outer < ICMP_HEADER_BYTES || !kind_v4(icmp[0], icmp[1], &error->what))
		return false;
	quoted = icmp + ICMP_HEADER_BYTES;
	length -= outer + ICMP_HEADER_BYTES;
	inner = header_v4(quoted, length);
	if (!inner)
		return false;
	memcpy(&header, quoted, sizeof(header));
	/* A fragment that is not the first quotes no Homa header; we send none at all. */
	if (header.protocol != HOMA_IPPROTO || (header.fragment & wire16(NET_IPV4_OFFSET_MASK)))
		return false;
	error->local = read_v4(quoted + offsetof(struct net_ipv4, source));
	error->remote = read_v4(quoted + offsetof(struct net_ipv4, destination));
	error->mtu = (uint32_t)icmp[6] << 8 | icmp[7];
	error->quoted = quoted + inner;
	error->quoted_length = (uint32_t)(length - inner);
	return true;
}

static bool kind_v6(uint8_t type, uint8_t code, enum icmp_what *what)
{
	if (type == ICMP6_DST_UNREACH)
		*what = code == ICMP6_DST_UNREACH_NOPORT ? ICMP_WHAT_PORT : ICMP_WHAT_HOST;
	else if (type == ICMP6_PARAM_PROB && code == ICMP6_PARAMPROB_NEXTHEADER)
		*what = ICMP_WHAT_PROTOCOL;
	else if (type == ICMP6_PACKET_TOO_BIG)
		*what = ICMP_WHAT_TOO_BIG;
	else
		return false;
	return true;
}

bool icmp_parse_v6(const uint8_t *data, size_t length, struct icmp_error *error)
{
	const uint8_t *quoted = data + ICMP_HEADER_BYTES;
	struct net_ipv6 header;

	if (length < ICMP_HEADER_BYTES + sizeof(header) || !kind_v6(data[0], data[1], &error->what))
		return false;
	memcpy(&header, quoted, sizeof(header));
	/* We send no extension headers. */
	if (quoted[0] >> 4 != 6 || header.next_header != HOMA_IPPROTO)
		return false;
	memcpy(error->local.b, header.source, 16);
	memcpy(error->remote.b, header.destination, 16);
	error->mtu = read32(data + 4);
	error->quoted = quoted + sizeof(header);
	error->quoted_length = (uint32_t)(length - ICMP_HEADER_BYTES - sizeof(header));
	return true;
}

/* ---- sockets ---- */

static int open_v4(void)
{
	struct icmp_filter filter = { .data = ~(1u << ICMP_DEST_UNREACH) };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	return fd;
}

static int open_v6(void)
{
	struct icmp6_filter filter;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	int on = 1;

	if (fd < 0)
		return -1;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &filter);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &filter);
	ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &filter);
	setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	return fd;
}

static int open_silencer(int family)
{
	struct sock_filter drop = { .code = BPF_RET | BPF_K, .k = 0 };
	struct sock_fprog program = { .len = 1, .filter = &drop };
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, HOMA_IPPROTO);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	return fd;
}

void icmp_open(struct icmp *icmp)
{
	icmp->fd_v4 = open_v4();
	icmp->fd_v6 = open_v6();
	icmp->silencer_v4 = open_silencer(AF_INET);
	icmp->silencer_v6 = open_silencer(AF_INET6);
	icmp->limit = (struct rate_limit){ .interval_ns = 1000000000ull / ICMP_RATE, .burst = ICMP_BURST };
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void icmp_close(struct icmp *icmp)
{
	close_one(&icmp->fd_v4);
	close_one(&icmp->fd_v6);
	close_one(&icmp->silencer_v4);
	close_one(&icmp->silencer_v6);
}

/* ---- receiving ---- */

/* The interface in IP_PKTINFO or IPV6_PKTINFO, 0 if there is none. */
static int arrival(struct msghdr *header)
{
	struct cmsghdr *control;
	struct in6_pktinfo v6;
	struct in_pktinfo v4;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(control), sizeof(v4));
			return v4.ipi_ifindex;
		}
		if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(control), sizeof(v6));
			return (int)v6.ipi6_ifindex;
		}
	}
	return 0;
}

static int drain(struct icmp *icmp, int fd, bool (*parse)(const uint8_t *, size_t, struct icmp_error *),
		 void (*each)(void *ctx, const struct icmp_error *error, int ifindex), void *ctx)
{
	uint8_t buffer[ICMP_BUFFER_BYTES];
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct icmp_error error;
	int count;

	for (count = 0; fd >= 0 && count < ICMP_READS; count++) {
		struct iovec vector = { .iov_base = buffer, .iov_len = sizeof(buffer) };
		struct msghdr header = { .msg_iov = &vector,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control) };
		ssize_t length = recvmsg(fd, &header, 0);

		if (length < 0)
			break;
		icmp->received++;
		if (parse(buffer, (size_t)length, &error))
			each(ctx, &error, arrival(&header));
		else
			icmp->ignored++;
	}
	return count;
}

int icmp_receive(struct icmp *icmp, void (*each)(void *ctx, const struct icmp_error *error, int ifindex),
		 void *ctx)
{
	return drain(icmp, icmp->fd_v4, icmp_parse_v4, each, ctx) +
	       drain(icmp, icmp->fd_v6, icmp_parse_v6, each, ctx);
}

/* ---- sending ---- */

static uint16_t checksum(const uint8_t *data, size_t length)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (length & 1)
		sum += (uint32_t)data[length - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void write16(uint8_t *data, uint16_t value)
{
	data[0] = (uint8_t)(value >> 8);
	data[1] = (uint8_t)value;
}

/* Builds the error about `packet` with the IP header that it must have had. Returns its length. */
static size_t build_v4(uint8_t *message, const struct homa_packet_in *packet)
{
	uint32_t quoted = packet->length < QUOTED_V4_BYTES ? packet->length : QUOTED_V4_BYTES;
	size_t length = ICMP_HEADER_BYTES + sizeof(struct net_ipv4) + quoted;
	struct net_ipv4 header = {
		.version_words = 0x45,
		.length = wire16((uint16_t)(sizeof(header) + packet->length)),
		.fragment = wire16(NET_IPV4_DONT_FRAGMENT),
		.ttl = QUOTED_HOPS,
		.protocol = HOMA_IPPROTO,
		.source = packet->source.w[3],
		.destination = packet->destination.w[3],
	};

	memset(message, 0, ICMP_HEADER_BYTES);
	message[0] = ICMP_DEST_UNREACH;
	message[1] = ICMP_PORT_UNREACH;
	memcpy(message + ICMP_HEADER_BYTES, &header, sizeof(header));
	write16(message + ICMP_HEADER_BYTES + offsetof(struct net_ipv4, checksum),
		checksum(message + ICMP_HEADER_BYTES, sizeof(header)));
	memcpy(message + ICMP_HEADER_BYTES + sizeof(header), packet->data, quoted);
	write16(message + 2, checksum(message, length));
	return length;
}

/* The kernel fills in the ICMPv6 checksum. */
static size_t build_v6(uint8_t *message, const struct homa_packet_in *packet)
{
	uint32_t quoted = packet->length < QUOTED_V6_BYTES ? packet->length : QUOTED_V6_BYTES;
	struct net_ip source = net_ip_scoped(&packet->source, 0);
	struct net_ip destination = net_ip_scoped(&packet->destination, 0);
	struct net_ipv6 header = {
		.version_class_flow = wire32(6u << 28),
		.length = wire16((uint16_t)packet->length),
		.next_header = HOMA_IPPROTO,
		.hop_limit = QUOTED_HOPS,
	};

	memcpy(header.source, source.b, 16);
	memcpy(header.destination, destination.b, 16);
	memset(message, 0, ICMP_HEADER_BYTES);
	message[0] = ICMP6_DST_UNREACH;
	message[1] = ICMP6_DST_UNREACH_NOPORT;
	memcpy(message + ICMP_HEADER_BYTES, &header, sizeof(header));
	memcpy(message + ICMP_HEADER_BYTES + sizeof(header), packet->data, quoted);
	return ICMP_HEADER_BYTES + sizeof(header) + quoted;
}

/* Sends with the packet's destination as source, so that the peer knows what it is about. */
static bool send_v4(int fd, const uint8_t *message, size_t length, const struct homa_packet_in *packet)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { packet->source.w[3] } };
	struct in_pktinfo info = { .ipi_spec_dst = { packet->destination.w[3] } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))] = { 0 };
	struct iovec vector = { .iov_base = (void *)message, .iov_len = length };
	struct msghdr header = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *first = CMSG_FIRSTHDR(&header);

	first->cmsg_level = IPPROTO_IP;
	first->cmsg_type = IP_PKTINFO;
	first->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(first), &info, sizeof(info));
	return sendmsg(fd, &header, 0) >= 0;
}

static bool send_v6(int fd, const uint8_t *message, size_t length, const struct homa_packet_in *packet)
{
	struct net_ip source = net_ip_scoped(&packet->source, 0);
	struct net_ip destination = net_ip_scoped(&packet->destination, 0);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = net_ip_scope(&packet->source) };
	struct in6_pktinfo info = { .ipi6_ifindex = net_ip_scope(&packet->source) };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))] = { 0 };
	struct iovec vector = { .iov_base = (void *)message, .iov_len = length };
	struct msghdr header = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *first = CMSG_FIRSTHDR(&header);

	memcpy(&to.sin6_addr, source.b, 16);
	memcpy(&info.ipi6_addr, destination.b, 16);
	first->cmsg_level = IPPROTO_IPV6;
	first->cmsg_type = IPV6_PKTINFO;
	first->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(first), &info, sizeof(info));
	return sendmsg(fd, &header, 0) >= 0;
}

static bool can_be_answered(const struct net_ip *source)
{
	if (net_ip_is_any(source))
		return false;
	if (net_ip_is_v4(source))
		return source->b[12] != 0 && source->b[12] != 127 && source->b[12] < 224;
	return source->b[0] != 0xff;
}

void icmp_send_port_unreachable(struct icmp *icmp, uint64_t now_ns, const struct homa_packet_in *packet)
{
	uint8_t message[ICMP_HEADER_BYTES + sizeof(struct net_ipv6) + QUOTED_V6_BYTES];
	bool v4 = net_ip_is_v4(&packet->source);
	int fd = v4 ? icmp->fd_v4 : icmp->fd_v6;

	if (fd < 0 || !can_be_answered(&packet->source))
		return;
	if (!rate_limit_take(&icmp->limit, now_ns)) {
		icmp->limited++;
		return;
	}
	if (v4 ? send_v4(fd, message, build_v4(message, packet), packet) :
		 send_v6(fd, message, build_v6(message, packet), packet))
		icmp->sent++;
}
