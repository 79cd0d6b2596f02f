/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP errors about our packets: what is believed, and that no length is. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "icmp.h"
#include "net_headers.h"
#include "test.h"

#define RANDOM_INPUTS 2000000

static size_t put_ipv4(uint8_t *data, uint8_t protocol, const char *source, const char *destination)
{
	struct net_ipv4 header = { .version_words = 0x45, .ttl = 64, .protocol = protocol };

	header.source = inet_addr(source);
	header.destination = inet_addr(destination);
	memcpy(data, &header, sizeof(header));
	return sizeof(header);
}

/* An ICMP message from a router, about a packet from us (10.0.0.1) to 10.0.0.2. */
static size_t build_v4(uint8_t *data, uint8_t type, uint8_t code, uint8_t protocol)
{
	size_t length = put_ipv4(data, 1, "10.9.9.9", "10.0.0.1");

	memset(data + length, 0, 8);
	data[length] = type;
	data[length + 1] = code;
	data[length + 6] = 1400 >> 8;
	data[length + 7] = 1400 & 255;
	length += 8;
	length += put_ipv4(data + length, protocol, "10.0.0.1", "10.0.0.2");
	memset(data + length, 7, 28);
	return length + 28;
}

static size_t build_v6(uint8_t *data, uint8_t type, uint8_t code, uint8_t protocol)
{
	struct net_ipv6 header = { .version_class_flow = htonl(6u << 28), .next_header = protocol };

	header.source[15] = 1;
	header.destination[15] = 2;
	memset(data, 0, 8);
	data[0] = type;
	data[1] = code;
	data[6] = 1400 >> 8;
	data[7] = 1400 & 255;
	memcpy(data + 8, &header, sizeof(header));
	memset(data + 48, 7, 28);
	return 48 + 28;
}

static void kinds_v4(void)
{
	static const struct {
		uint8_t type, code;
		bool believed;
		enum icmp_what what;
	} cases[] = {
		{ 3, 3, true, ICMP_WHAT_PORT },   { 3, 2, true, ICMP_WHAT_PROTOCOL },
		{ 3, 1, true, ICMP_WHAT_HOST },   { 3, 0, true, ICMP_WHAT_HOST },
		{ 3, 13, true, ICMP_WHAT_HOST },  { 3, 4, true, ICMP_WHAT_TOO_BIG },
		{ 11, 0, false, ICMP_WHAT_HOST }, { 0, 0, false, ICMP_WHAT_HOST },
		{ 5, 1, false, ICMP_WHAT_HOST },
	};
	struct net_ip remote = net_ip_from_v4(inet_addr("10.0.0.2")),
		      local = net_ip_from_v4(inet_addr("10.0.0.1"));
	struct icmp_error error;
	uint8_t data[256];
	size_t i, length;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		length = build_v4(data, cases[i].type, cases[i].code, HOMA_IPPROTO);
		CHECK_EQ(icmp_parse_v4(data, length, &error), cases[i].believed);
		if (!cases[i].believed)
			continue;
		CHECK_EQ(error.what, cases[i].what);
		CHECK(net_ip_equal(&error.remote, &remote) && net_ip_equal(&error.local, &local));
		CHECK_EQ(error.quoted_length, 28);
		CHECK_EQ(error.quoted[0], 7);
		CHECK(error.what != ICMP_WHAT_TOO_BIG || error.mtu == 1400);
	}
	CHECK(!icmp_parse_v4(data, build_v4(data, 3, 3, 17), &error));
	CHECK(!icmp_parse_v4(data, build_v4(data, 3, 3, 6), &error));
	length = build_v4(data, 3, 3, HOMA_IPPROTO);
	data[20 + 8 + 6] = 0x00;
	data[20 + 8 + 7] = 0x10; /* quotes a later fragment */
	CHECK(!icmp_parse_v4(data, length, &error));
}

static void kinds_v6(void)
{
	struct icmp_error error;
	uint8_t data[256];

	CHECK(icmp_parse_v6(data, build_v6(data, 1, 4, HOMA_IPPROTO), &error));
	CHECK_EQ(error.what, ICMP_WHAT_PORT);
	CHECK_EQ(error.remote.b[15], 2);
	CHECK_EQ(error.quoted_length, 28);
	CHECK(icmp_parse_v6(data, build_v6(data, 1, 3, HOMA_IPPROTO), &error));
	CHECK_EQ(error.what, ICMP_WHAT_HOST);
	CHECK(icmp_parse_v6(data, build_v6(data, 4, 1, HOMA_IPPROTO), &error));
	CHECK_EQ(error.what, ICMP_WHAT_PROTOCOL);
	CHECK(icmp_parse_v6(data, build_v6(data, 2, 0, HOMA_IPPROTO), &error));
	CHECK_EQ(error.what, ICMP_WHAT_TOO_BIG);
	CHECK_EQ(error.mtu, 1400);
	CHECK(!icmp_parse_v6(data, build_v6(data, 4, 0, HOMA_IPPROTO), &error));
	CHECK(!icmp_parse_v6(data, build_v6(data, 128, 0, HOMA_IPPROTO), &error));
	CHECK(!icmp_parse_v6(data, build_v6(data, 1, 4, 58), &error));
}

/* In exactly as much memory as there are bytes, so that a sanitizer sees one too many. */
static void parse_exact(const uint8_t *data, size_t length)
{
	uint8_t *exact = malloc(length ? length : 1);
	struct icmp_error error;

	CHECK(exact);
	memcpy(exact, data, length);
	if (icmp_parse_v4(exact, length, &error))
		CHECK(error.quoted + error.quoted_length == exact + length);
	if (icmp_parse_v6(exact, length, &error))
		CHECK(error.quoted + error.quoted_length == exact + length);
	free(exact);
}

static void lengths(void)
{
	uint8_t data[256];
	uint32_t state = 1, i;
	size_t length, j;

	for (length = 0; length <= build_v4(data, 3, 3, HOMA_IPPROTO); length++)
		parse_exact(data, length);
	for (length = 0; length <= build_v6(data, 1, 4, HOMA_IPPROTO); length++)
		parse_exact(data, length);
	for (i = 0; i < RANDOM_INPUTS; i++) {
		length = i & 1 ? build_v4(data, 3, 3, HOMA_IPPROTO) : build_v6(data, 1, 4, HOMA_IPPROTO);
		for (j = 0; j < 3; j++) {
			state = state * 1664525 + 1013904223;
			data[(state >> 8) % length] = (uint8_t)(state >> 24);
		}
		parse_exact(data, (state >> 4) % (length + 1));
	}
}

static void rate(void)
{
	struct rate_limit limit = { .interval_ns = 100, .burst = 3 };

	CHECK(rate_limit_take(&limit, 1000) && rate_limit_take(&limit, 1000) &&
	      rate_limit_take(&limit, 1000));
	CHECK(!rate_limit_take(&limit, 1000) && !rate_limit_take(&limit, 1099));
	CHECK(rate_limit_take(&limit, 1100) && !rate_limit_take(&limit, 1100));
	CHECK(rate_limit_take(&limit, 5000) && rate_limit_take(&limit, 5000) &&
	      rate_limit_take(&limit, 5000));
	CHECK(!rate_limit_take(&limit, 5000));
}

int main(void)
{
	kinds_v4();
	kinds_v6();
	lengths();
	rate();
	printf("errors of both families, all truncations, %d damaged messages\n", RANDOM_INPUTS);
	return 0;
}
