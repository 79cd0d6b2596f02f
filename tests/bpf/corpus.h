/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames that every receiving program is tried with: made of each kind that the parser
 * tells apart, captured, and at random. What the parser ought to say of the known kinds
 * is stated here, independently of it.
 */
#ifndef TERN_TEST_CORPUS_H
#define TERN_TEST_CORPUS_H

#include <glob.h>

#include "differential.h"

#define CAPTURES "tests/captures/*.pcap"

/* Every type by both IP versions, plain and hijacked: valid, longer, cut, padded. */
static void valid_frames(struct bench *bench)
{
	static const uint32_t payloads[] = { 1, 64, 1404 };
	struct frame frame;

	for (uint32_t kind = 0; kind < 4; kind++)
		for (uint32_t type = HOMA_TYPE_FIRST; type <= HOMA_TYPE_LAST; type++)
			for (uint32_t i = 0; i < (type == HOMA_DATA ? 3 : 1); i++) {
				frame_make(&frame, kind & 1, kind & 2, (uint8_t)type, payloads[i]);
				expect(bench, &frame, DATAPATH_STEER);
				compare_truncations(bench, &frame);
				frame.length += 18; /* Ethernet padding */
				expect(bench, &frame, DATAPATH_STEER);
				frame.bytes[0] ^= 1;
				expect(bench, &frame, DATAPATH_DROP_NOT_FOR_US);
			}
}

static void foreign_frames(struct bench *bench)
{
	static const uint16_t ethertypes[] = { 0x0806, 0x88cc, 0x88b5, 0x0000, 0x05dc, 0xffff };
	struct frame frame;

	for (uint32_t protocol = 0; protocol < 256; protocol++)
		for (int v4 = 0; v4 < 2; v4++) {
			if (protocol == HOMA_IPPROTO)
				continue;
			frame_packet(&frame, v4, (uint8_t)protocol, 60);
			expect(bench, &frame, DATAPATH_PASS);
			if (v4) {
				frame_add_ipv4_options(&frame, 3);
				expect(bench, &frame, DATAPATH_PASS);
				frame_ipv4(&frame)->checksum ^= 1;
				expect(bench, &frame, DATAPATH_PASS);
			}
			compare_truncations(bench, &frame);
		}
	for (uint32_t i = 0; i < sizeof(ethertypes) / sizeof(ethertypes[0]); i++) {
		frame_make(&frame, true, false, HOMA_DATA, 10);
		((struct net_ethernet *)frame.bytes)->type = wire16(ethertypes[i]);
		expect(bench, &frame, DATAPATH_PASS);
	}
}

static void vlan_frames(struct bench *bench)
{
	static const uint16_t tags[] = { 0, 5, 0xe000 };
	struct frame frame;

	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t kind = 0; kind < 4; kind++) {
			frame_make(&frame, kind & 1, kind & 2, HOMA_DATA, 30);
			frame_add_vlan(&frame, NET_ETHERTYPE_VLAN, tags[i]);
			expect(bench, &frame, DATAPATH_DROP_VLAN);
			compare_truncations(bench, &frame);
			frame_add_vlan(&frame, NET_ETHERTYPE_QINQ, tags[i]);
			expect(bench, &frame, DATAPATH_DROP_VLAN);
			compare_truncations(bench, &frame);
			frame_add_vlan(&frame, NET_ETHERTYPE_VLAN, tags[i]);
			compare_truncations(bench, &frame);
			frame_packet(&frame, kind & 1, kind & 2 ? 1 : 17, 40);
			frame_add_vlan(&frame, NET_ETHERTYPE_VLAN, tags[i]);
			expect(bench, &frame, DATAPATH_PASS);
			frame_add_vlan(&frame, NET_ETHERTYPE_QINQ, tags[i]);
			expect(bench, &frame, DATAPATH_PASS);
		}
}

static void bad_ipv4_frames(struct bench *bench)
{
	static const uint16_t fragments[] = { 0x2000, 0x0001, 0x1fff, 0x2010 };
	static const uint32_t sources[] = { 0, 0x7f000001, 0xe0000001, 0xffffffff, 0xf0000000 };
	struct frame valid, frame;

	frame_make(&valid, true, false, HOMA_DATA, 100);
	for (uint32_t words = 1; words <= 10; words++) {
		frame = valid;
		frame_add_ipv4_options(&frame, words);
		expect(bench, &frame, DATAPATH_DROP_IP_OPTIONS);
		compare_truncations(bench, &frame);
	}
	for (uint32_t i = 0; i < 4; i++) {
		frame = valid;
		frame_ipv4(&frame)->fragment = wire16(fragments[i]);
		frame_fix_checksum(&frame);
		expect(bench, &frame, DATAPATH_DROP_FRAGMENT);
		frame_ipv4(&frame)->protocol = 17;
		expect(bench, &frame, DATAPATH_PASS);
	}
	for (uint32_t i = 0; i < 5; i++) {
		frame = valid;
		frame_ipv4(&frame)->source = wire32(sources[i]);
		frame_fix_checksum(&frame);
		expect(bench, &frame, DATAPATH_DROP_ADDRESS);
		frame = valid;
		frame_ipv4(&frame)->destination = wire32(sources[i]);
		frame_fix_checksum(&frame);
		expect(bench, &frame, DATAPATH_DROP_ADDRESS);
	}
	for (uint32_t first = 0; first < 256; first++) {
		frame = valid;
		frame_ipv4(&frame)->version_words = (uint8_t)first;
		frame_fix_checksum(&frame);
		if (first >> 4 != 4 || (first & 15) < 5)
			expect(bench, &frame, DATAPATH_DROP_IP_HEADER);
		compare(bench, &frame);
	}
	for (uint32_t length = 0; length < 65536; length += length < 300 ? 1 : 997) {
		frame = valid;
		frame_ipv4(&frame)->length = wire16((uint16_t)length);
		frame_fix_checksum(&frame);
		if (length < 20 || length > valid.length - 14)
			expect(bench, &frame, DATAPATH_DROP_IP_LENGTH);
		compare(bench, &frame);
	}
	for (uint32_t bit = 0; bit < 16; bit++) {
		frame = valid;
		frame_ipv4(&frame)->checksum ^= (uint16_t)(1u << bit);
		expect(bench, &frame, DATAPATH_DROP_IP_CHECKSUM);
	}
}

static void bad_ipv6_frames(struct bench *bench)
{
	static const uint8_t kinds[] = { NET_IPV6_HOP_BY_HOP, NET_IPV6_ROUTING, NET_IPV6_AUTH,
					 NET_IPV6_DESTINATION };
	struct frame valid, frame;

	frame_make(&valid, false, false, HOMA_DATA, 100);
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t units = 0; units < 200; units += 1 + units / 4) {
			frame = valid;
			frame_add_extension(&frame, kinds[i], (uint8_t)units, 0);
			expect(bench, &frame, DATAPATH_DROP_IP_OPTIONS);
			compare_truncations(bench, &frame);
			frame_packet(&frame, false, 17, 60);
			frame_add_extension(&frame, kinds[i], (uint8_t)units, 0);
			expect(bench, &frame, DATAPATH_PASS);
		}
	for (uint32_t depth = 1; depth < 12; depth++) {
		frame = valid;
		for (uint32_t i = 0; i < depth; i++)
			frame_add_extension(&frame, kinds[(i + depth) % 4], 1, 0);
		expect(bench, &frame, DATAPATH_DROP_IP_OPTIONS);
	}
	for (uint32_t offset = 0; offset < 65536; offset += 1237) {
		frame = valid;
		frame_add_extension(&frame, NET_IPV6_FRAGMENT, 0, (uint16_t)offset);
		expect(bench, &frame, DATAPATH_DROP_FRAGMENT);
		frame_add_extension(&frame, NET_IPV6_DESTINATION, 0, 0);
		expect(bench, &frame, DATAPATH_DROP_FRAGMENT);
		compare_truncations(bench, &frame);
		frame_make(&frame, false, true, HOMA_DATA, 100);
		frame_add_extension(&frame, NET_IPV6_FRAGMENT, 0, (uint16_t)offset);
		expect(bench, &frame, offset & 0xfff8 ? DATAPATH_PASS : DATAPATH_DROP_FRAGMENT);
	}
	frame = valid;
	frame_ipv6(&frame)->source[0] = 0xff;
	expect(bench, &frame, DATAPATH_DROP_ADDRESS);
	frame = valid;
	memcpy(frame_ipv6(&frame)->source, "\0\0\0\0\0\0\0\0\0\0\377\377\12\115\0\1", 16);
	expect(bench, &frame, DATAPATH_DROP_ADDRESS);
	memset(frame_ipv6(&frame)->source, 0, 16);
	expect(bench, &frame, DATAPATH_DROP_ADDRESS);
	frame = valid;
	frame_ipv6(&frame)->version_class_flow ^= wire32(1u << 28);
	expect(bench, &frame, DATAPATH_DROP_IP_HEADER);
	frame = valid;
	frame.length--;
	expect(bench, &frame, DATAPATH_DROP_IP_LENGTH);
}

static void bad_homa_frames(struct bench *bench)
{
	struct homa_data_header *header;
	struct frame valid, frame;

	for (int v4 = 0; v4 < 2; v4++) {
		frame_make(&valid, v4, false, HOMA_DATA, 100);
		header = (struct homa_data_header *)(frame.bytes + (v4 ? 34 : 54));
		for (uint32_t type = 0; type < 256; type++) {
			frame = valid;
			header->common.type = (uint8_t)type;
			if (type < HOMA_TYPE_FIRST || type > HOMA_TYPE_LAST)
				expect(bench, &frame, DATAPATH_DROP_BAD_TYPE);
			compare_truncations(bench, &frame);
		}
		frame = valid;
		header->common.sport = 0;
		expect(bench, &frame, DATAPATH_DROP_BAD_PORT);
		header->common.type = HOMA_FREEZE;
		expect(bench, &frame, DATAPATH_STEER);
		frame = valid;
		header->message_length = 0;
		expect(bench, &frame, DATAPATH_DROP_BAD_LENGTH);
		header->message_length = wire32(HOMA_MAX_MESSAGE + 1);
		expect(bench, &frame, DATAPATH_DROP_BAD_LENGTH);
		frame = valid;
		header->segment_offset = wire32(501);
		expect(bench, &frame, DATAPATH_DROP_BAD_OFFSET);
		header->segment_offset = wire32(500);
		expect(bench, &frame, DATAPATH_STEER);
		for (uint32_t bytes = 0; bytes <= 56; bytes++) {
			frame_packet(&frame, v4, HOMA_IPPROTO, bytes);
			frame_homa(frame.bytes + (v4 ? 34 : 54), HOMA_DATA, 0, false);
			frame.length += 60; /* what the header needs is there, as padding */
			expect(bench, &frame, bytes < 56 ? DATAPATH_DROP_SHORT : DATAPATH_DROP_BAD_OFFSET);
		}
	}
}

/* Changes a few bytes, bits or the length; often makes the IPv4 checksum right again. */
static void mutate(struct bench *bench, struct frame *frame)
{
	uint32_t reach = frame->length < 140 ? frame->length : 140;

	for (uint32_t changes = random_below(bench, 5); changes-- > 0;) {
		uint32_t at = 12 + random_below(bench, reach - 12);

		switch (random_below(bench, 4)) {
		case 0:
			frame->bytes[at] = (uint8_t)random_below(bench, 256);
			break;
		case 1:
			frame->bytes[at] ^= (uint8_t)(1u << random_below(bench, 8));
			break;
		case 2:
			frame->bytes[at] = random_below(bench, 2) ? 0 : 0xff;
			break;
		default:
			frame->bytes[at] = random_below(bench, 2) ? HOMA_IPPROTO : NET_PROTOCOL_TCP;
		}
	}
	if (!random_below(bench, 4))
		frame->length = 14 + random_below(bench, frame->length - 13);
	if (random_below(bench, 8) && frame_is_v4(frame))
		frame_fix_checksum(frame);
}

/* Until `wanted` frames have been compared in all. */
static void random_frames(struct bench *bench, uint64_t wanted)
{
	static const uint8_t kinds[] = { NET_IPV6_HOP_BY_HOP, NET_IPV6_ROUTING, NET_IPV6_AUTH,
					 NET_IPV6_DESTINATION, NET_IPV6_FRAGMENT };
	struct frame frame;

	while (bench->frames < wanted) {
		bool v4 = random_below(bench, 2);

		frame_make(&frame, v4, !random_below(bench, 4),
			   (uint8_t)(HOMA_TYPE_FIRST +
				     random_below(bench, HOMA_TYPE_LAST - HOMA_TYPE_FIRST + 1)),
			   1 + random_below(bench, 300));
		if (v4 && !random_below(bench, 8))
			frame_add_ipv4_options(&frame, 1 + random_below(bench, 10));
		for (uint32_t i = v4 || random_below(bench, 4) ? 0 : 1 + random_below(bench, 9); i > 0; i--)
			frame_add_extension(
				&frame, kinds[random_below(bench, 5)], (uint8_t)random_below(bench, 4),
				random_below(bench, 4) ? 0 : (uint16_t)random_below(bench, 65536));
		if (!random_below(bench, 10))
			frame_add_vlan(&frame, NET_ETHERTYPE_VLAN, (uint16_t)random_below(bench, 65536));
		mutate(bench, &frame);
		compare(bench, &frame);
	}
}

static void captured_frame(void *ctx, const struct frame *frame)
{
	struct bench *bench = ctx;
	struct frame mutated = *frame;

	compare(bench, frame);
	compare_truncations(bench, frame);
	mutate(bench, &mutated);
	compare(bench, &mutated);
}

static void captured_frames(struct bench *bench)
{
	glob_t files;

	if (glob(CAPTURES, 0, NULL, &files))
		return;
	for (size_t i = 0; i < files.gl_pathc; i++)
		bench->captured += frames_of_capture(files.gl_pathv[i], captured_frame, bench);
	globfree(&files);
}

/* All of them; with random ones, `wanted` at least. */
static void compare_corpus(struct bench *bench, uint64_t wanted)
{
	valid_frames(bench);
	foreign_frames(bench);
	vlan_frames(bench);
	bad_ipv4_frames(bench);
	bad_ipv6_frames(bench);
	bad_homa_frames(bench);
	captured_frames(bench);
	random_frames(bench, wanted);
}

#endif
