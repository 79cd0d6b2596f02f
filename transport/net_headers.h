/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet, VLAN, IPv4 and IPv6 headers as they lie in a frame: multi-byte fields in
 * network order, on two-byte boundaries (a frame begins on one). The kernel's own
 * structs promise four-byte alignment, which a header behind 14 bytes does not have.
 *
 * Shared with BPF: includes nothing but <linux/types.h>.
 */
#ifndef TERN_NET_HEADERS_H
#define TERN_NET_HEADERS_H

#include <linux/types.h>

#define NET_ETHERTYPE_IPV4 0x0800
#define NET_ETHERTYPE_IPV6 0x86dd
#define NET_ETHERTYPE_VLAN 0x8100 /* 802.1Q */
#define NET_ETHERTYPE_QINQ 0x88a8 /* 802.1ad */

#define NET_PROTOCOL_TCP 6

/* IPv6 extension headers that the kernel looks behind. */
#define NET_IPV6_HOP_BY_HOP  0
#define NET_IPV6_ROUTING     43
#define NET_IPV6_FRAGMENT    44
#define NET_IPV6_AUTH        51
#define NET_IPV6_DESTINATION 60

#define NET_IPV4_DONT_FRAGMENT 0x4000
#define NET_IPV4_FRAGMENT_MASK 0x3fff /* more fragments, or an offset */
#define NET_IPV4_OFFSET_MASK   0x1fff
#define NET_IPV6_OFFSET_MASK   0xfff8

#define NET_HEADER __attribute__((packed, aligned(2)))

struct net_ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} NET_HEADER;

struct net_vlan {
	__be16 tag;
	__be16 type; /* of what follows */
} NET_HEADER;

struct net_ipv4 {
	__u8 version_words; /* version, header length in words */
	__u8 tos;
	__be16 length; /* bytes, with this header */
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
} NET_HEADER;

struct net_ipv6 {
	__be32 version_class_flow;
	__be16 length; /* bytes after this header */
	__u8 next_header;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
} NET_HEADER;

/* What all extension headers begin with, and the field that only a fragment has. */
struct net_ipv6_extension {
	__u8 next_header;
	__u8 units; /* length; its unit depends on the header */
	__be16 fragment;
	__u8 rest[4];
} NET_HEADER;

_Static_assert(sizeof(struct net_ethernet) == 14, "Ethernet");
_Static_assert(sizeof(struct net_vlan) == 4, "VLAN");
_Static_assert(sizeof(struct net_ipv4) == 20, "IPv4");
_Static_assert(sizeof(struct net_ipv6) == 40, "IPv6");
_Static_assert(sizeof(struct net_ipv6_extension) == 8, "IPv6 extension");

#endif
