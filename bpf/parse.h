/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one parser of received frames: compiled into the XDP programs, into the engine,
 * and into the tests as the reference that the programs are compared with.
 *
 * Ours is IP protocol 146, and TCP that is Homa in disguise (homa_is_hijacked). What is
 * ours is either a plain, whole, valid packet or dropped for a stated reason: if the
 * kernel sees protocol 146 it answers "protocol unreachable", upon which a Linux Homa
 * peer aborts every RPC it has with us. Everything else passes, malformed or not.
 */
#ifndef TERN_PARSE_H
#define TERN_PARSE_H

#include "homa_core.h"
#include "map_abi.h"
#include "net_headers.h"
#include "wire.h"

#define PARSE_MAX_VLAN_TAGS  2
#define PARSE_MAX_EXTENSIONS 8 /* IPv6; a sane packet has each kind at most once */

#define PARSE_INLINE static inline __attribute__((always_inline))

/* Where the packet is in a frame that parse_frame wants steered. */
struct parsed_frame {
	__u32 offset; /* of the Homa header, from the start of the frame; the IP header ends there */
	__u32 length; /* bytes from there to the end of the IP packet: Ethernet padding excluded */
	__u8 protocol;
	__u8 is_v4;
};

/* The comparison that the verifier understands, and that forms no pointer behind the frame. */
PARSE_INLINE __u8 parse_within(const __u8 *at, __u32 bytes, const __u8 *end)
{
	return (unsigned long)at + bytes <= (unsigned long)end;
}

/*
 * A length field. The compiler knows that it has 16 bits; the verifier of older kernels
 * has lost that after the byte swap, and gets a mask that the compiler cannot drop.
 */
PARSE_INLINE __u32 parse_length(__be16 field)
{
	__u64 length = wire16(field);

	asm volatile("" : "+r"(length));
	return length & 0xffff;
}

PARSE_INLINE __u8 parse_tcp_is_homa(const __u8 *at, const __u8 *end)
{
	/* A TCP header is enough to look at: homa_is_hijacked reads nothing behind it. */
	return parse_within(at, 20, end) && homa_is_hijacked((const void *)at);
}

PARSE_INLINE __u8 parse_mac_equal(const __u8 *a, const volatile __u8 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) |
		 (a[5] ^ b[5]));
}

/* True if the one's complement sum of a header without options comes out right. */
PARSE_INLINE __u8 parse_ipv4_checksum_ok(const struct net_ipv4 *ip)
{
	const __u16 __attribute__((may_alias)) *word = (const void *)ip;
	__u32 sum = (__u32)word[0] + word[1] + word[2] + word[3] + word[4] + word[5] + word[6] + word[7] +
		    word[8] + word[9];

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* No multicast, broadcast, loopback or "this network" (RFC 1122, 3.2.1.3). */
PARSE_INLINE __u8 parse_ipv4_is_unicast(__be32 address)
{
	__u8 first = wire32(address) >> 24;

	return first && first != 127 && first < 224;
}

/*
 * No multicast (ff00::/8) and none of ::/80: unspecified, loopback, and above all the
 * IPv4-mapped form, by which an IPv6 packet would pass for one from an IPv4 host.
 */
PARSE_INLINE __u8 parse_ipv6_is_unicast(const __u8 *address)
{
	__u8 prefix = 0;
	int i;

	for (i = 0; i < 10; i++)
		prefix |= address[i];
	return prefix && address[0] != 0xff;
}

PARSE_INLINE enum datapath_counter parse_ipv4(const __u8 *at, const __u8 *end, struct parsed_frame *frame)
{
	const struct net_ipv4 *ip = (const void *)at;
	__u32 header_bytes, length;

	if (!parse_within(at, sizeof(*ip), end)) {
		if (parse_within(at, 10, end) && ip->protocol == HOMA_IPPROTO)
			return DATAPATH_DROP_IP_LENGTH;
		return DATAPATH_PASS;
	}
	header_bytes = (ip->version_words & 15) * 4;
	if (ip->protocol == NET_PROTOCOL_TCP) {
		if (ip->fragment & wire16(NET_IPV4_OFFSET_MASK))
			return DATAPATH_PASS;
		if (header_bytes < sizeof(*ip) || !parse_tcp_is_homa(at + header_bytes, end))
			return DATAPATH_PASS;
	} else if (ip->protocol != HOMA_IPPROTO) {
		return DATAPATH_PASS;
	}

	if (ip->version_words >> 4 != 4 || header_bytes < sizeof(*ip))
		return DATAPATH_DROP_IP_HEADER;
	if (header_bytes != sizeof(*ip))
		return DATAPATH_DROP_IP_OPTIONS;
	if (ip->fragment & wire16(NET_IPV4_FRAGMENT_MASK))
		return DATAPATH_DROP_FRAGMENT;
	length = parse_length(ip->length);
	if (length < sizeof(*ip) || !parse_within(at, length, end))
		return DATAPATH_DROP_IP_LENGTH;
	if (!parse_ipv4_checksum_ok(ip))
		return DATAPATH_DROP_IP_CHECKSUM;
	if (!parse_ipv4_is_unicast(ip->source) || !parse_ipv4_is_unicast(ip->destination))
		return DATAPATH_DROP_ADDRESS;
	frame->protocol = ip->protocol;
	frame->length = length - sizeof(*ip);
	frame->is_v4 = 1;
	return DATAPATH_STEER;
}

/* What a walk along the IPv6 extension headers finds at its end. */
struct parsed_chain {
	__u32 offset; /* of the last header, from the start of the IPv6 header */
	__u8 protocol;
	__u8 fragmented; /* a fragment header was among them */
	__u8 hidden;     /* the rest is in another fragment, or was cut off */
};

PARSE_INLINE __u8 parse_is_extension(__u8 protocol)
{
	return protocol == NET_IPV6_HOP_BY_HOP || protocol == NET_IPV6_ROUTING ||
	       protocol == NET_IPV6_FRAGMENT || protocol == NET_IPV6_AUTH || protocol == NET_IPV6_DESTINATION;
}

PARSE_INLINE void parse_extensions(const __u8 *at, const __u8 *end, struct parsed_chain *chain)
{
	const struct net_ipv6_extension *extension;
	__u32 bytes;
	int i;

	for (i = 0; i < PARSE_MAX_EXTENSIONS && parse_is_extension(chain->protocol); i++) {
		extension = (const void *)(at + chain->offset);
		if (!parse_within(at + chain->offset, sizeof(*extension), end)) {
			chain->hidden = 1;
			return;
		}
		bytes = ((__u32)extension->units + 1) * 8;
		if (chain->protocol == NET_IPV6_AUTH)
			bytes = ((__u32)extension->units + 2) * 4;
		if (chain->protocol == NET_IPV6_FRAGMENT) {
			bytes = sizeof(*extension);
			chain->fragmented = 1;
			chain->hidden = (extension->fragment & wire16(NET_IPV6_OFFSET_MASK)) != 0;
		}
		chain->protocol = extension->next_header;
		chain->offset += bytes;
		if (chain->hidden)
			return;
	}
}

PARSE_INLINE enum datapath_counter parse_ipv6(const __u8 *at, const __u8 *end, struct parsed_frame *frame)
{
	const struct net_ipv6 *ip = (const void *)at;
	struct parsed_chain chain = {.offset = sizeof(*ip)};
	__u32 length;

	if (!parse_within(at, sizeof(*ip), end)) {
		if (parse_within(at, 7, end) && ip->next_header == HOMA_IPPROTO)
			return DATAPATH_DROP_IP_LENGTH;
		return DATAPATH_PASS;
	}
	chain.protocol = ip->next_header;
	parse_extensions(at, end, &chain);
	if (chain.protocol == NET_PROTOCOL_TCP) {
		if (chain.hidden || !parse_tcp_is_homa(at + chain.offset, end))
			return DATAPATH_PASS;
	} else if (parse_is_extension(chain.protocol)) {
		/*
		 * A chain too long to follow may hide protocol 146. One that was cut off does
		 * not get far in the kernel: it drops a first fragment without the whole chain.
		 */
		return chain.hidden ? DATAPATH_PASS : DATAPATH_DROP_IP_OPTIONS;
	} else if (chain.protocol != HOMA_IPPROTO) {
		return DATAPATH_PASS;
	}

	if ((wire32(ip->version_class_flow) >> 28) != 6)
		return DATAPATH_DROP_IP_HEADER;
	if (chain.fragmented)
		return DATAPATH_DROP_FRAGMENT;
	if (chain.offset != sizeof(*ip))
		return DATAPATH_DROP_IP_OPTIONS;
	length = parse_length(ip->length);
	if (!parse_within(at, sizeof(*ip) + length, end))
		return DATAPATH_DROP_IP_LENGTH;
	if (!parse_ipv6_is_unicast(ip->source) || !parse_ipv6_is_unicast(ip->destination))
		return DATAPATH_DROP_ADDRESS;
	frame->protocol = chain.protocol;
	frame->length = length;
	frame->is_v4 = 0;
	return DATAPATH_STEER;
}

/* The checks of the Homa header at `at`, of a packet whose IP header was found good. */
PARSE_INLINE enum datapath_counter parse_homa(const __u8 *at, const __u8 *end, __u32 length)
{
	const struct homa_common_header *common = (const void *)at;
	enum homa_verdict verdict;

	/* The length was checked against the frame; the verifier wants it as a constant too. */
	if (!parse_within(at, sizeof(*common), end))
		return DATAPATH_DROP_SHORT;
	verdict = homa_check_common(common, length);
	if (verdict == HOMA_OK && common->type == HOMA_DATA) {
		if (!parse_within(at, sizeof(struct homa_data_header), end))
			return DATAPATH_DROP_SHORT;
		verdict = homa_check_data((const void *)at, length);
	}
	if (verdict == HOMA_OK)
		return DATAPATH_STEER;
	return (enum datapath_counter)(DATAPATH_DROP_SHORT - HOMA_SHORT + verdict);
}

_Static_assert(DATAPATH_DROP_BAD_OFFSET - DATAPATH_DROP_SHORT == HOMA_BAD_OFFSET - HOMA_SHORT &&
		   DATAPATH_DROP_BAD_OFFSET - DATAPATH_DROP_BAD_TYPE == HOMA_BAD_OFFSET - HOMA_BAD_TYPE &&
		   DATAPATH_COUNTERS_USED - DATAPATH_DROP_SHORT == HOMA_VERDICTS - HOMA_SHORT,
	       "the last counters are homa_verdict's");

/*
 * Classifies the frame from `data` (even) to `end`, received by the device with Ethernet
 * address `mac`: DATAPATH_PASS, DATAPATH_STEER with *frame filled, or the reason to drop.
 */
PARSE_INLINE enum datapath_counter parse_frame(const __u8 *data, const __u8 *end, const volatile __u8 *mac,
					       struct parsed_frame *frame)
{
	const struct net_ethernet *ethernet = (const void *)data;
	const struct net_vlan *tag;
	const __u8 *at = data + sizeof(*ethernet);
	enum datapath_counter counter;
	__be16 type;
	int i;

	if (!parse_within(data, sizeof(*ethernet), end))
		return DATAPATH_PASS;
	type = ethernet->type;
	for (i = 0; i < PARSE_MAX_VLAN_TAGS; i++) {
		if (type != wire16(NET_ETHERTYPE_VLAN) && type != wire16(NET_ETHERTYPE_QINQ))
			break;
		tag = (const void *)at;
		if (!parse_within(at, sizeof(*tag), end))
			return DATAPATH_PASS;
		type = tag->type;
		at += sizeof(*tag);
	}
	if (type == wire16(NET_ETHERTYPE_IPV4))
		counter = parse_ipv4(at, end, frame);
	else if (type == wire16(NET_ETHERTYPE_IPV6))
		counter = parse_ipv6(at, end, frame);
	else
		return DATAPATH_PASS;
	if (counter == DATAPATH_PASS)
		return counter;

	if (i)
		return DATAPATH_DROP_VLAN;
	if (!parse_mac_equal(ethernet->destination, mac))
		return DATAPATH_DROP_NOT_FOR_US;
	if (counter != DATAPATH_STEER)
		return counter;
	frame->offset =
	    sizeof(*ethernet) + (frame->is_v4 ? sizeof(struct net_ipv4) : sizeof(struct net_ipv6));
	return parse_homa(data + frame->offset, end, frame->length);
}

#endif
