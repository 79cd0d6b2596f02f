/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames around packets, and the pcap format. */
#include "captures.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define PCAP_MAGIC        0xa1b2c3d4u
#define PCAP_ETHERNET     1
#define START_S           1795370000 /* near the captures of hosts, with which these are merged */
#define FRAME_INTERVAL_US 10

struct frame {
	uint8_t bytes[CAPTURES_MAX_PACKET + 200];
	size_t length;
};

static const char *directory;
static FILE *file;
static uint32_t now_us;
static int capture; /* its number is in its addresses, so that no two captures have an RPC in common */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

void captures_begin(const char *name)
{
	directory = name;
}

void captures_open(const char *name)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, snap_length, link_type;
	} header = {PCAP_MAGIC, 2, 4, 0, 0, 65535, PCAP_ETHERNET};
	char path[512];

	captures_end();
	snprintf(path, sizeof(path), "%s/%s.pcap", directory, name);
	file = fopen(path, "wb");
	if (!file || fwrite(&header, sizeof(header), 1, file) != 1)
		fail(path);
	now_us = 0;
	capture++;
}

void captures_end(void)
{
	if (file && fclose(file))
		fail("capture");
	file = NULL;
}

static void write_frame(const struct frame *frame, size_t captured)
{
	const uint32_t record[] = {START_S, now_us, captured, frame->length};

	if (fwrite(record, sizeof(record), 1, file) != 1 ||
	    fwrite(frame->bytes, 1, captured, file) != captured)
		fail("capture");
	now_us += FRAME_INTERVAL_US;
}

static void append(struct frame *frame, const void *bytes, size_t length)
{
	if (frame->length + length > sizeof(frame->bytes)) {
		fputs("frame too long\n", stderr);
		exit(1);
	}
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static void append_ethernet(struct frame *frame, const struct framing *framing)
{
	const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	const uint16_t tag[] = {htons(ETH_P_8021Q), htons(0xe005)};
	const uint16_t type = htons(framing->ipv6 ? ETH_P_IPV6 : ETH_P_IP);

	append(frame, addresses, sizeof(addresses));
	for (int i = 0; i < framing->vlan_tags; i++)
		append(frame, tag, sizeof(tag));
	append(frame, &type, sizeof(type));
}

static void append_ipv4(struct frame *frame, bool from_server, uint8_t protocol, size_t bytes)
{
	struct iphdr ip = {
	    .version = 4,
	    .ihl = 5,
	    .ttl = 64,
	    .protocol = protocol,
	    .tos = 7 << 5,
	    .tot_len = htons(sizeof(ip) + bytes),
	    .saddr = htonl(0x0a000001 + (capture << 8) + from_server),
	    .daddr = htonl(0x0a000002 + (capture << 8) - from_server),
	};

	append(frame, &ip, sizeof(ip));
}

static void append_ipv6(struct frame *frame, bool from_server, uint8_t protocol, size_t bytes)
{
	struct ip6_hdr ip = {.ip6_ctlun.ip6_un1 = {htonl(6u << 28), htons(bytes), protocol, 64}};

	ip.ip6_src.s6_addr[0] = ip.ip6_dst.s6_addr[0] = 0xfd;
	ip.ip6_src.s6_addr[13] = ip.ip6_dst.s6_addr[13] = capture;
	ip.ip6_src.s6_addr[15] = 1 + from_server;
	ip.ip6_dst.s6_addr[15] = 2 - from_server;
	append(frame, &ip, sizeof(ip));
}

/* IP's header for `bytes` of Homa, and what comes between the two. */
static void append_ip(struct frame *frame, const struct framing *framing, bool from_server, size_t bytes)
{
	const uint8_t protocol = framing->hijacked ? IPPROTO_TCP : HOMA_IPPROTO;
	const uint8_t options[8] = {protocol, 0, 1, 4}; /* padding only */

	if (!framing->ipv6) {
		append_ipv4(frame, from_server, protocol, bytes);
	} else if (!framing->hop_by_hop) {
		append_ipv6(frame, from_server, protocol, bytes);
	} else {
		append_ipv6(frame, from_server, IPPROTO_HOPOPTS, sizeof(options) + bytes);
		append(frame, options, sizeof(options));
	}
}

void captures_put_cut(const struct framing *framing, const void *packet, size_t bytes, size_t captured)
{
	const struct homa_common_header *header = packet;
	struct frame frame = {.length = 0};

	append_ethernet(&frame, framing);
	append_ip(&frame, framing, ntohs(header->sport) < HOMA_MIN_CLIENT_PORT, bytes);
	append(&frame, packet, bytes);
	write_frame(&frame, frame.length - bytes + captured);
}

void captures_put(const struct framing *framing, const void *packet, size_t bytes)
{
	captures_put_cut(framing, packet, bytes, bytes);
}

void captures_put_icmp(const struct framing *framing, const void *packet, size_t bytes, size_t quoted)
{
	const uint8_t unreachable[8] = {framing->ipv6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
					framing->ipv6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH};
	struct frame frame = {.length = 0}, quote = {.length = 0};

	append_ip(&quote, framing, false, bytes);
	append(&quote, packet, quoted);
	append_ethernet(&frame, framing);
	if (framing->ipv6)
		append_ipv6(&frame, true, IPPROTO_ICMPV6, sizeof(unreachable) + quote.length);
	else
		append_ipv4(&frame, true, IPPROTO_ICMP, sizeof(unreachable) + quote.length);
	append(&frame, unreachable, sizeof(unreachable));
	append(&frame, quote.bytes, quote.length);
	write_frame(&frame, frame.length);
}
