// SPDX-License-Identifier: BSD-2-Clause
/* Frames, written and read. */
#include "frame.h"

#include <string.h>

#include "parse.h"

#define HOP_LIMIT 64

/* One's complement sums in any word size and order agree (RFC 1071, 2). */
static uint64_t sum_bytes(const uint8_t *at, uint32_t length, uint64_t sum)
{
	uint32_t word;
	uint16_t half = 0;

	for (; length >= 4; at += 4, length -= 4) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	if (length >= 2) {
		memcpy(&half, at, sizeof(half));
		sum += half;
		at += 2;
		length -= 2;
	}
	half = 0;
	memcpy(&half, at, length);
	return sum + half;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t write_ipv4(uint8_t *at, const struct link_destination *to, uint8_t protocol, uint8_t tos,
			   uint32_t length)
{
	struct net_ipv4 ip = {
	    .version_words = 0x45,
	    .tos = tos,
	    .length = wire16((uint16_t)(sizeof(ip) + length)),
	    .fragment = wire16(NET_IPV4_DONT_FRAGMENT),
	    .ttl = HOP_LIMIT,
	    .protocol = protocol,
	    .source = to->local.w[3],
	    .destination = to->remote.w[3],
	};

	ip.checksum = (uint16_t)~fold(sum_bytes((const uint8_t *)&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static uint32_t write_ipv6(uint8_t *at, const struct link_destination *to, uint8_t protocol,
			   uint8_t traffic_class, uint32_t length)
{
	struct net_ipv6 ip = {
	    .version_class_flow = wire32(6u << 28 | (uint32_t)traffic_class << 20),
	    .length = wire16((uint16_t)length),
	    .next_header = protocol,
	    .hop_limit = HOP_LIMIT,
	};

	memcpy(ip.source, to->local.b, sizeof(ip.source));
	memcpy(ip.destination, to->remote.b, sizeof(ip.destination));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

uint32_t frame_write_header(uint8_t *frame, const struct link_destination *to, uint8_t protocol,
			    uint8_t traffic_class, uint32_t length)
{
	struct net_ethernet *ethernet = (struct net_ethernet *)frame;
	bool is_v4 = net_ip_is_v4(&to->remote);

	memcpy(ethernet->destination, to->remote_mac, sizeof(ethernet->destination));
	memcpy(ethernet->source, to->local_mac, sizeof(ethernet->source));
	ethernet->type = wire16(is_v4 ? NET_ETHERTYPE_IPV4 : NET_ETHERTYPE_IPV6);
	return sizeof(*ethernet) + (is_v4 ? write_ipv4 : write_ipv6)(frame + sizeof(*ethernet), to, protocol,
								     traffic_class, length);
}

void frame_write_tcp_checksum(uint8_t *segment, uint32_t length, const struct link_destination *to)
{
	struct homa_common_header *header = (struct homa_common_header *)segment;
	bool is_v4 = net_ip_is_v4(&to->remote);
	uint32_t skip = is_v4 ? 12 : 0; /* of the 16 bytes of an address */
	uint64_t sum = (uint64_t)wire16((uint16_t)NET_PROTOCOL_TCP) + wire16((uint16_t)length);

	sum = sum_bytes(to->local.b + skip, 16 - skip, sum);
	sum = sum_bytes(to->remote.b + skip, 16 - skip, sum);
	header->checksum = 0;
	header->checksum = (uint16_t)~fold(sum_bytes(segment, length, sum));
}

static uint8_t traffic_class_of(const struct net_ipv6 *ip)
{
	return (uint8_t)(wire32(ip->version_class_flow) >> 20);
}

bool frame_parse(const uint8_t *frame, uint32_t length, const uint8_t mac[6], struct link_packet *packet)
{
	struct parsed_frame parsed;
	const void *ip = frame + sizeof(struct net_ethernet);

	if (parse_frame(frame, frame + length, mac, &parsed) != DATAPATH_STEER)
		return false;
	if (parsed.is_v4) {
		const struct net_ipv4 *ipv4 = ip;

		packet->source = net_ip_from_v4(ipv4->source);
		packet->destination = net_ip_from_v4(ipv4->destination);
		packet->traffic_class = ipv4->tos;
	} else {
		const struct net_ipv6 *ipv6 = ip;

		memcpy(packet->source.b, ipv6->source, sizeof(packet->source.b));
		memcpy(packet->destination.b, ipv6->destination, sizeof(packet->destination.b));
		packet->traffic_class = traffic_class_of(ipv6);
	}
	packet->protocol = parsed.protocol;
	packet->data = frame + parsed.offset;
	packet->length = parsed.length;
	packet->where = LINK_FOLLOWS;
	packet->payload = NULL;
	return true;
}
