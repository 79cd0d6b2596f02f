/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames for the tests of the datapath: built, altered, and read from captures. */
#ifndef TERN_TEST_FRAMES_H
#define TERN_TEST_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "homa_core.h"
#include "net_headers.h"
#include "test.h"
#include "wire.h"

#define FRAME_MAX  3400 /* BPF_PROG_TEST_RUN takes a page less headroom and tailroom */
#define FRAME_ROOM 3456 /* the longest that a clone of a frame can be made */

static const uint8_t frame_mac[6] = {2, 0, 0, 0, 0, 0x0b};

struct frame {
	uint32_t length;
	uint8_t bytes[FRAME_ROOM] __attribute__((aligned(8)));
};

static inline bool frame_is_v4(const struct frame *frame)
{
	return frame->bytes[12] == 0x08 && frame->bytes[13] == 0x00;
}

static inline struct net_ipv4 *frame_ipv4(struct frame *frame)
{
	return (struct net_ipv4 *)(frame->bytes + sizeof(struct net_ethernet));
}

static inline struct net_ipv6 *frame_ipv6(struct frame *frame)
{
	return (struct net_ipv6 *)(frame->bytes + sizeof(struct net_ethernet));
}

/* Makes the checksum of an IPv4 header right, of whatever length it claims. */
static inline void frame_fix_checksum(struct frame *frame)
{
	uint8_t *ip = frame->bytes + sizeof(struct net_ethernet);
	uint32_t bytes = (ip[0] & 15u) * 4, sum = 0;

	if (frame->length < sizeof(struct net_ethernet) + bytes || bytes < 20)
		return;
	ip[10] = ip[11] = 0;
	for (uint32_t i = 0; i < bytes; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

/* Writes a packet of `type` that is valid: `payload` bytes follow a DATA header. */
static inline void frame_homa(uint8_t *at, uint8_t type, uint32_t payload, bool hijack)
{
	struct homa_data_header *header = (struct homa_data_header *)at;

	header->common.sport = wire16(0x8001);
	header->common.dport = wire16(4000);
	header->common.type = type;
	header->common.doff = HOMA_DOFF_DATA;
	header->common.sender_id = wire64(1234);
	if (hijack) {
		header->common.flags = HOMA_HIJACK_FLAGS;
		header->common.urgent = wire16(HOMA_HIJACK_URGENT);
	}
	if (type == HOMA_DATA) {
		header->message_length = wire32(payload + 500);
		header->incoming = wire32(payload + 500);
		header->common.sequence = wire32(500);
		header->segment_offset = wire32(HOMA_OFFSET_IN_SEQUENCE);
		memset(header + 1, 0x5a, payload);
	}
}

/* A valid frame with `bytes` after the IP header, which are zero. Returns where they are. */
static inline uint8_t *frame_packet(struct frame *frame, bool v4, uint8_t protocol, uint32_t bytes)
{
	struct net_ethernet *ethernet = (struct net_ethernet *)frame->bytes;
	uint32_t header = v4 ? 20 : 40;

	memset(frame, 0, sizeof(*frame));
	memcpy(ethernet->destination, frame_mac, 6);
	memcpy(ethernet->source, "\2\0\0\0\0\12", 6);
	ethernet->type = wire16(v4 ? NET_ETHERTYPE_IPV4 : NET_ETHERTYPE_IPV6);
	frame->length = (uint32_t)sizeof(*ethernet) + header + bytes;
	if (v4) {
		struct net_ipv4 *ip = frame_ipv4(frame);

		ip->version_words = 0x45;
		ip->length = wire16((uint16_t)(header + bytes));
		ip->ttl = 64;
		ip->protocol = protocol;
		ip->source = wire32(0x0a4d0001);
		ip->destination = wire32(0x0a4d0002);
		frame_fix_checksum(frame);
	} else {
		struct net_ipv6 *ip = frame_ipv6(frame);

		ip->version_class_flow = wire32(6u << 28);
		ip->length = wire16((uint16_t)bytes);
		ip->next_header = protocol;
		ip->hop_limit = 64;
		memcpy(ip->source, "\375\146\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
		memcpy(ip->destination, "\375\146\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	}
	return frame->bytes + sizeof(*ethernet) + header;
}

/* A valid frame with a Homa packet. */
static inline void frame_make(struct frame *frame, bool v4, bool hijack, uint8_t type, uint32_t payload)
{
	uint32_t bytes = homa_header_bytes(type) + (type == HOMA_DATA ? payload : 0);

	frame_homa(frame_packet(frame, v4, hijack ? NET_PROTOCOL_TCP : HOMA_IPPROTO, bytes), type, payload,
		   hijack);
}

/* Moves what is at `offset` and behind by `bytes`, and writes `insert` there. */
static inline void frame_insert(struct frame *frame, uint32_t offset, const void *insert, uint32_t bytes)
{
	if (frame->length + bytes > FRAME_MAX)
		return;
	memmove(frame->bytes + offset + bytes, frame->bytes + offset, frame->length - offset);
	memcpy(frame->bytes + offset, insert, bytes);
	frame->length += bytes;
}

static inline void frame_add_vlan(struct frame *frame, uint16_t ethertype, uint16_t tag)
{
	struct net_vlan vlan = {.tag = wire16(tag)};
	struct net_ethernet *ethernet = (struct net_ethernet *)frame->bytes;

	vlan.type = ethernet->type;
	ethernet->type = wire16(ethertype);
	frame_insert(frame, sizeof(*ethernet), &vlan, sizeof(vlan));
}

/* `words` of no-operation options. */
static inline void frame_add_ipv4_options(struct frame *frame, uint32_t words)
{
	uint8_t options[40];
	struct net_ipv4 *ip = frame_ipv4(frame);

	memset(options, 1, sizeof(options));
	frame_insert(frame, sizeof(struct net_ethernet) + sizeof(*ip), options, words * 4);
	ip->version_words = (uint8_t)(0x45 + words);
	ip->length = wire16((uint16_t)(wire16(ip->length) + words * 4));
	frame_fix_checksum(frame);
}

/*
 * Puts an IPv6 extension header of `kind` first, with `units` as its length field; for a
 * fragment `field` is offset and flags.
 */
static inline void frame_add_extension(struct frame *frame, uint8_t kind, uint8_t units, uint16_t field)
{
	uint8_t bytes[2048] = {0};
	struct net_ipv6_extension *extension = (struct net_ipv6_extension *)bytes;
	struct net_ipv6 *ip = frame_ipv6(frame);
	uint32_t length = kind == NET_IPV6_FRAGMENT ? 8
			  : kind == NET_IPV6_AUTH   ? (units + 2u) * 4
						    : (units + 1u) * 8;

	extension->next_header = ip->next_header;
	extension->units = units;
	extension->fragment = wire16(field);
	ip->next_header = kind;
	frame_insert(frame, sizeof(struct net_ethernet) + sizeof(*ip), bytes, length);
	ip->length = wire16((uint16_t)(wire16(ip->length) + length));
}

/*
 * Calls `each` with every Ethernet frame of a capture (classic pcap, this machine's byte
 * order), its destination made our address. Returns how many there were.
 */
static inline uint32_t frames_of_capture(const char *path, void (*each)(void *ctx, const struct frame *frame),
					 void *ctx)
{
	uint32_t header[6], record[4], count = 0;
	struct frame frame;
	FILE *file = fopen(path, "rb");

	CHECK(file);
	CHECK_EQ(fread(header, sizeof(header), 1, file), 1);
	CHECK(header[0] == 0xa1b2c3d4 || header[0] == 0xa1b23c4d);
	CHECK_EQ(header[5], 1);
	while (fread(record, sizeof(record), 1, file) == 1) {
		CHECK(record[2] <= 65536);
		memset(&frame, 0, sizeof(frame));
		frame.length = record[2] < FRAME_MAX ? record[2] : FRAME_MAX;
		CHECK_EQ(fread(frame.bytes, 1, frame.length, file), frame.length);
		CHECK(!fseek(file, (long)(record[2] - frame.length), SEEK_CUR));
		memcpy(frame.bytes, frame_mac, 6);
		each(ctx, &frame);
		count++;
	}
	fclose(file);
	return count;
}

#endif
