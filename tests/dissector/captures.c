/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the captures that no host will make for us: every packet type in every framing,
 * RPC headers, packets that are short, cut off or wrong. `captures DIRECTORY`
 *
 * The packets are made from the structs of wire.h and rpc_wire.h, so a dissector that
 * disagrees with them shows.
 */
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "captures.h"
#include "rpc_wire.h"
#include "wire.h"

#define CLIENT_ID 0x100000000ull /* even: as the client knows the RPC */
#define SERVER_ID (CLIENT_ID | 1)

static const struct framing plain = {0};
static const struct framing over_ipv6 = {.ipv6 = true};

/* ---- packets ---- */

static struct homa_common_header common(uint8_t type, uint64_t sender_id)
{
	bool from_server = sender_id & 1;

	return (struct homa_common_header){
	    .sport = htobe16(from_server ? 4000 : 40000),
	    .dport = htobe16(from_server ? 40000 : 4000),
	    .type = type,
	    .doff = type == HOMA_DATA ? HOMA_DOFF_DATA : HOMA_DOFF_CONTROL,
	    .flags = HOMA_HIJACK_FLAGS,
	    .urgent = htobe16(HOMA_HIJACK_URGENT),
	    .sender_id = htobe64(sender_id),
	};
}

static struct homa_data_header data(uint64_t sender_id, uint32_t offset, uint32_t message_length)
{
	struct homa_data_header header = {
	    .common = common(HOMA_DATA, sender_id),
	    .message_length = htobe32(message_length),
	    .incoming = htobe32(message_length),
	    .segment_offset = htobe32(offset),
	};

	header.common.sequence = htobe32(offset);
	return header;
}

static void put_data(const struct framing *framing, const struct homa_data_header *header,
		     const void *payload, size_t length)
{
	uint8_t packet[CAPTURES_MAX_PACKET];

	memcpy(packet, header, sizeof(*header));
	memcpy(packet + sizeof(*header), payload, length);
	captures_put(framing, packet, sizeof(*header) + length);
}

static void put_bytes(const struct framing *framing, uint64_t sender_id, uint32_t offset, size_t length,
		      uint32_t message_length)
{
	static const uint8_t payload[1400];
	struct homa_data_header header = data(sender_id, offset, message_length);

	put_data(framing, &header, payload, length);
}

/* A well-formed packet of `type`, DATA with one byte of payload; returns its length. */
static size_t sample(uint8_t type, uint8_t *packet)
{
	union {
		struct homa_data_header data;
		struct homa_grant_header grant;
		struct homa_resend_header resend;
		struct homa_cutoffs_header cutoffs;
		struct homa_ack_header ack;
		struct homa_common_header common;
	} header = {0};
	size_t bytes = sizeof(header.common);

	switch (type) {
	case HOMA_DATA:
		header.data = data(CLIENT_ID, 0, 1);
		header.data.ack = (struct homa_ack_entry){htobe64(CLIENT_ID - 2), htobe16(4001)};
		header.data.cutoff_version = htobe16(7);
		bytes = sizeof(header.data) + 1;
		break;
	case HOMA_GRANT:
		header.grant.offset = htobe32(123456);
		header.grant.priority = 3;
		bytes = sizeof(header.grant);
		break;
	case HOMA_RESEND:
		header.resend.offset = htobe32(1424);
		header.resend.length = htobe32(2848);
		header.resend.priority = 7;
		bytes = sizeof(header.resend);
		break;
	case HOMA_CUTOFFS:
		for (int i = 0; i < HOMA_PRIORITIES; i++)
			header.cutoffs.cutoffs[i] = htobe32(1000 * (8 - i));
		header.cutoffs.version = htobe16(7);
		bytes = sizeof(header.cutoffs);
		break;
	case HOMA_ACK:
		header.ack.count = htobe16(2);
		header.ack.acks[0] = (struct homa_ack_entry){htobe64(CLIENT_ID - 2), htobe16(4001)};
		header.ack.acks[1] = (struct homa_ack_entry){htobe64(CLIENT_ID - 4), htobe16(4002)};
		bytes = sizeof(header.ack);
		break;
	}
	if (type != HOMA_DATA)
		header.common = common(type, type == HOMA_ACK ? CLIENT_ID : SERVER_ID);
	memset(packet, 0, HOMA_MAX_HEADER);
	memcpy(packet, &header, sizeof(header));
	return bytes;
}

static void put_every_type(const struct framing *framing)
{
	uint8_t packet[CAPTURES_MAX_PACKET];

	for (int type = HOMA_TYPE_FIRST; type <= HOMA_TYPE_LAST; type++)
		captures_put(framing, packet, sample(type, packet));
}

/* ---- captures: framing ---- */

static void framings(void)
{
	const struct framing tagged = {.vlan_tags = 1}, twice_tagged = {.vlan_tags = 2, .ipv6 = true};
	const struct framing extended = {.ipv6 = true, .hop_by_hop = true};
	const struct framing hijacked = {.hijacked = true}, hijacked_ipv6 = {.hijacked = true, .ipv6 = true};

	captures_open("every-type-ipv4");
	put_every_type(&plain);
	captures_open("every-type-ipv6");
	put_every_type(&over_ipv6);
	captures_open("every-type-vlan");
	put_every_type(&tagged);
	put_every_type(&twice_tagged);
	captures_open("every-type-ipv6-options");
	put_every_type(&extended);
	captures_open("every-type-hijacked");
	put_every_type(&hijacked);
	put_every_type(&hijacked_ipv6);
}

/* TCP stays TCP: each segment lacks one of the marks, or is too short to have them. */
static void tcp_beside_homa(void)
{
	const struct framing tcp = {.hijacked = true};
	struct homa_common_header header = common(0, 0);
	uint8_t flags[] = {0x02, 0x12, 0x10, 0x18, 0x04, 0x11};

	captures_open("tcp-beside-homa");
	header.type = 0;
	for (size_t i = 0; i < sizeof(flags); i++) {
		header.flags = flags[i];
		captures_put(&tcp, &header, i == 3 ? sizeof(header) : 20);
	}
	header.flags = HOMA_HIJACK_FLAGS;
	header.urgent = htobe16(HOMA_HIJACK_URGENT + 1);
	captures_put(&tcp, &header, 20);
	put_every_type(&tcp);
	header.urgent = htobe16(HOMA_HIJACK_URGENT);
	captures_put_cut(&tcp, &header, sizeof(header), 12);
}

/* ICMP errors that quote 8 bytes, the common header, or all of a packet. */
static void icmp_quotes(void)
{
	const struct framing hijacked = {.hijacked = true};
	const size_t quoted[] = {8, sizeof(struct homa_common_header), 57};
	uint8_t packet[CAPTURES_MAX_PACKET];

	captures_open("icmp-quotes");
	for (size_t i = 0; i < 3; i++) {
		sample(HOMA_DATA, packet);
		captures_put_icmp(&plain, packet, 57, quoted[i]);
		captures_put_icmp(&over_ipv6, packet, 57, quoted[i]);
		captures_put_icmp(&hijacked, packet, 57, quoted[i]);
	}
}

/* ---- captures: RPC headers ---- */

static uint64_t method_hash(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
	return hash;
}

static struct rpc_header rpc(uint8_t kind, uint8_t status, const char *method)
{
	return (struct rpc_header){
	    .version = RPC_VERSION,
	    .kind = kind,
	    .status = status,
	    .method = htobe64(method_hash(method)),
	    .timeout_us = htobe32(kind == RPC_REQUEST ? 500 : 0),
	    .incarnation = htobe32(0x1234abcd),
	};
}

/* The message is the header, then `body`; this packet has the first `length` bytes of it. */
static void put_rpc(uint64_t sender_id, const struct rpc_header *header, const char *body, size_t length)
{
	struct homa_data_header homa = data(sender_id, 0, sizeof(*header) + strlen(body));
	uint8_t message[256];

	memcpy(message, header, sizeof(*header));
	memcpy(message + sizeof(*header), body, strlen(body));
	put_data(&plain, &homa, message, length);
}

static void put_whole_rpc(uint64_t sender_id, const struct rpc_header *header, const char *body)
{
	put_rpc(sender_id, header, body, sizeof(*header) + strlen(body));
}

static void rpcs(void)
{
	struct rpc_header request = rpc(RPC_REQUEST, 0, "/demo.Greeter/Hello"), response;

	captures_open("rpc-ok"); /* bodies: protobuf of one field */
	response = rpc(RPC_RESPONSE, 0, "/demo.Greeter/Hello");
	put_whole_rpc(CLIENT_ID, &request, "\n\5world");
	put_whole_rpc(SERVER_ID, &response, "\n\15Hello, world!");
	request = rpc(RPC_REQUEST, 0, "/demo.Greeter/Unnamed");
	request.timeout_us = 0xffffffff;
	request.flags = 0x80;
	put_whole_rpc(CLIENT_ID + 2, &request, "");
	response = rpc(RPC_RESPONSE, 0, "/demo.Greeter/Unnamed");
	put_whole_rpc(SERVER_ID + 2, &response, "\20\52");

	captures_open("rpc-status");
	for (int status = 0; status <= 16; status++) {
		response = rpc(RPC_RESPONSE, status, "/demo.Greeter/Hello");
		put_whole_rpc(SERVER_ID + 2 * status, &response, status % 2 ? "what went wrong" : "");
	}

	captures_open("rpc-metadata");
	request = rpc(RPC_REQUEST, 0, "/demo.Greeter/Hello");
	request.metadata_length = htobe16(5);
	put_whole_rpc(CLIENT_ID, &request, "meta!\n\5world");
	put_rpc(CLIENT_ID + 2, &request, "meta!\n\5world", sizeof(request));
	put_rpc(CLIENT_ID + 4, &request, "meta!\n\5world", sizeof(request) + 3);
	put_rpc(CLIENT_ID + 6, &request, "meta!\n\5world", sizeof(request) + 8);
}

/* A message that is not Tern's, for one reason each. */
static void rpc_lookalikes(void)
{
	const struct rpc_header good = rpc(RPC_REQUEST, 0, "/demo.Greeter/Hello");
	struct rpc_header header = good;

	captures_open("rpc-lookalikes");
	header.version = 2;
	put_whole_rpc(CLIENT_ID, &header, "body");
	header = good;
	header.kind = 3;
	put_whole_rpc(CLIENT_ID + 2, &header, "body");
	header = good;
	header.status = 1;
	put_whole_rpc(CLIENT_ID + 4, &header, "body");
	header = good;
	header.reserved = 1;
	put_whole_rpc(CLIENT_ID + 6, &header, "body");
	header = good;
	header.metadata_length = htobe16(5);
	put_whole_rpc(CLIENT_ID + 8, &header, "body");
	put_whole_rpc(SERVER_ID + 10, &good, "a request from the server");
	put_rpc(CLIENT_ID + 12, &good, "", sizeof(good) - 1);
	header = rpc(RPC_RESPONSE, 17, "/demo.Greeter/Hello");
	put_whole_rpc(SERVER_ID + 14, &header, "body");
	/* but this one is */
	put_whole_rpc(CLIENT_ID + 16, &good, "\n\5world");
}

/* ---- captures: what is wrong with packets ---- */

static void short_packets(void)
{
	uint8_t packet[CAPTURES_MAX_PACKET];

	captures_open("short");
	for (int type = HOMA_TYPE_FIRST; type <= HOMA_TYPE_LAST; type++) {
		size_t bytes = sample(type, packet);

		for (size_t length = type == HOMA_DATA ? 0 : 28; length < bytes; length++)
			captures_put(&plain, packet, length);
	}
	captures_open("cut");
	for (int type = HOMA_TYPE_FIRST; type <= HOMA_TYPE_LAST; type++) {
		size_t bytes = sample(type, packet);

		for (size_t captured = type == HOMA_DATA ? 0 : 28; captured < bytes; captured++)
			captures_put_cut(&over_ipv6, packet, bytes, captured);
	}
}

static void bad_packets(void)
{
	struct homa_common_header header;
	const int types[] = {0, HOMA_TYPE_FIRST - 1, HOMA_TYPE_LAST + 1, 0xff};

	captures_open("bad-type-and-port");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		header = common(types[i], CLIENT_ID);
		captures_put(&plain, &header, sizeof(header));
	}
	header = common(HOMA_BUSY, SERVER_ID);
	header.sport = 0;
	captures_put(&plain, &header, sizeof(header));
	header.dport = 0;
	captures_put(&plain, &header, sizeof(header));
	header.type = HOMA_FREEZE;
	captures_put(&plain, &header, sizeof(header));

	captures_open("bad-range");
	put_bytes(&plain, CLIENT_ID, 0, 1, 0);
	put_bytes(&plain, CLIENT_ID, 0, 1, HOMA_MAX_MESSAGE);
	put_bytes(&plain, CLIENT_ID, 0, 1, HOMA_MAX_MESSAGE + 1);
	put_bytes(&plain, CLIENT_ID, 0, 1, 0xffffffff);
	put_bytes(&plain, CLIENT_ID, 0, 0, 100);
	put_bytes(&plain, CLIENT_ID, 0, 101, 100);
	put_bytes(&plain, CLIENT_ID, 100, 1, 100);
	put_bytes(&plain, CLIENT_ID, 0xfffffffe, 3, 100);
}

/* ---- captures: meanings ---- */

static void offsets(void)
{
	const uint32_t in_sequence[] = {0, 1400, 2800};
	struct homa_data_header header;

	captures_open("offset-conventions");
	for (int i = 0; i < 3; i++) { /* an unsegmented sender's: the offset is in sequence */
		header = data(CLIENT_ID, in_sequence[i], 3000);
		header.segment_offset = htobe32(HOMA_OFFSET_IN_SEQUENCE);
		put_data(&plain, &header, (uint8_t[200]){0}, 200);
	}
	for (int i = 0; i < 3; i++) { /* segmentation offload's: sequence is the first segment's */
		header = data(CLIENT_ID + 2, in_sequence[i], 3000);
		header.common.sequence = 0;
		put_data(&plain, &header, (uint8_t[200]){0}, 200);
	}
}

static void resends_and_acks(void)
{
	struct homa_resend_header resend = {.common = common(HOMA_RESEND, SERVER_ID), .priority = 5};
	const uint32_t lengths[] = {0, 1, HOMA_RESEND_ALL, HOMA_RESEND_ALL - 1};
	const uint16_t counts[] = {0, 1, 5, 6, 0xffff};
	struct homa_ack_header ack = {.common = common(HOMA_ACK, CLIENT_ID)};

	captures_open("resend");
	for (int i = 0; i < 4; i++) {
		resend.length = htobe32(lengths[i]);
		resend.offset = htobe32(1000 * i);
		captures_put(&plain, &resend, sizeof(resend));
		captures_put(&plain, &resend, HOMA_RESEND_MIN);
	}
	captures_open("ack");
	for (int i = 0; i < HOMA_ACKS_PER_PACKET; i++)
		ack.acks[i] = (struct homa_ack_entry){htobe64(CLIENT_ID + 2 * i), htobe16(4000 + i)};
	for (int i = 0; i < 5; i++) {
		ack.count = htobe16(counts[i]);
		captures_put(&plain, &ack, sizeof(ack));
	}
}

static void links(void)
{
	struct homa_data_header again = data(CLIENT_ID, 1000, 3000);

	captures_open("links");
	put_bytes(&plain, CLIENT_ID, 0, 1000, 3000);
	put_bytes(&plain, CLIENT_ID, 2000, 1000, 3000);
	put_bytes(&plain, CLIENT_ID + 2, 0, 10, 10); /* the same id on other addresses is another RPC */
	put_bytes(&over_ipv6, CLIENT_ID, 0, 10, 10);
	again.retransmit = 1;
	put_data(&plain, &again, (uint8_t[1000]){0}, 1000);
	put_data(&plain, &again, (uint8_t[1000]){0}, 1000);
	put_bytes(&plain, CLIENT_ID, 0, 1000, 3000);
	put_bytes(&plain, SERVER_ID, 1400, 600, 2000); /* the response, its end first */
	put_bytes(&over_ipv6, SERVER_ID, 0, 20, 20);
	put_bytes(&plain, SERVER_ID, 0, 1400, 2000);
	put_bytes(&plain, SERVER_ID, 1400, 600, 2000);
	put_bytes(&plain, SERVER_ID + 2, 0, 10, 20); /* never complete */
	put_bytes(&plain, SERVER_ID + 4, 0, 10, 10); /* its request was not captured */
}

static void set_incarnation(uint8_t *to, uint32_t incarnation)
{
	to[0] = (uint8_t)(incarnation >> 16);
	to[1] = (uint8_t)(incarnation >> 8);
	to[2] = (uint8_t)incarnation;
}

/* A first contact, that a young server refuses, and the request that the client binds to it then. */
static void incarnations(void)
{
	struct homa_data_header request = data(CLIENT_ID, 0, 1);
	struct homa_common_header unknown = common(HOMA_RPC_UNKNOWN, SERVER_ID);

	captures_open("incarnations");
	set_incarnation(request.common.ack, 0x123456);
	request.common.window = htobe16(0xffff);
	put_data(&plain, &request, "", 1);
	set_incarnation(unknown.ack, 0xabcdef);
	unknown.window = htobe16(258);
	captures_put(&plain, &unknown, sizeof(unknown));
	set_incarnation(request.pad, 0xabcdef);
	request.retransmit = 1;
	put_data(&plain, &request, "", 1);
}

/* Control bytes that no type defines, and an id with all its bits. */
static void odd_fields(void)
{
	struct homa_common_header header = common(HOMA_NEED_ACK, UINT64_MAX);

	captures_open("odd-fields");
	header.sequence = htobe32(0xdeadbeef);
	memset(header.ack, 0xa5, sizeof(header.ack));
	header.doff = 0xff;
	header.flags = 0;
	header.window = htobe16(0x1234);
	header.checksum = htobe16(0x5678);
	header.urgent = 0;
	captures_put(&plain, &header, sizeof(header));
	header.sender_id = htobe64(UINT64_MAX - 1);
	captures_put(&plain, &header, sizeof(header));
	header.sender_id = 0;
	captures_put(&over_ipv6, &header, sizeof(header));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: captures DIRECTORY\n", stderr);
		return 2;
	}
	captures_begin(argv[1]);
	framings();
	tcp_beside_homa();
	icmp_quotes();
	rpcs();
	rpc_lookalikes();
	short_packets();
	bad_packets();
	offsets();
	resends_and_acks();
	links();
	incarnations();
	odd_fields();
	captures_end();
	return 0;
}
