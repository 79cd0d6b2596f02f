/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses as the whole project keeps them: 16 bytes in network order, an IPv4
 * address in its IPv4-mapped form (RFC 4291, 2.5.5.2). One form, so that no code
 * below the parser asks which family it is, except where headers are built.
 *
 * Shared with BPF: includes nothing but <linux/types.h>.
 */
#ifndef TERN_NET_IP_H
#define TERN_NET_IP_H

#include <linux/types.h>

struct net_ip {
	union {
		__u8 b[16];
		__be32 w[4];
		__u64 q[2];
	};
};

/* One side of a conversation: an address and a port (host order). */
struct net_endpoint {
	struct net_ip ip;
	__u16 port;
};

static inline __u8 net_ip_is_v4(const struct net_ip *ip)
{
	return ip->q[0] == 0 && ip->b[8] == 0 && ip->b[9] == 0 && ip->b[10] == 0xff && ip->b[11] == 0xff;
}

/* The IPv4-mapped form of `v4`, which is in network order. */
static inline struct net_ip net_ip_from_v4(__be32 v4)
{
	struct net_ip ip = { .b = { [10] = 0xff, [11] = 0xff } };

	ip.w[3] = v4;
	return ip;
}

static inline __u8 net_ip_equal(const struct net_ip *a, const struct net_ip *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* True for 0.0.0.0 and ::, which stand for "any local address". */
static inline __u8 net_ip_is_any(const struct net_ip *ip)
{
	return ip->q[0] == 0 && (ip->q[1] == 0 || (net_ip_is_v4(ip) && ip->w[3] == 0));
}

/* IPv6, fe80::/10: means something only together with an interface. */
static inline __u8 net_ip_is_link_local(const struct net_ip *ip)
{
	return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/*
 * The interface's index of a link-local address is kept in bytes 4..7 (host order), which
 * are 0 on the wire: so one host's fe80::1%eth0 and another's fe80::1%eth1 differ wherever
 * addresses are compared. The engine puts it in and takes it out at its edge; 0 = none.
 */
static inline __u32 net_ip_scope(const struct net_ip *ip)
{
	return net_ip_is_link_local(ip) ? ip->w[1] : 0;
}

/* `ip` with that scope; an address that is not link-local is returned as it is. */
static inline struct net_ip net_ip_scoped(const struct net_ip *ip, __u32 scope)
{
	struct net_ip scoped = *ip;

	if (net_ip_is_link_local(ip))
		scoped.w[1] = scope;
	return scoped;
}

/* Bytes of IP header (no options) in front of a packet to this address: 20 or 40. */
static inline __u32 net_ip_header_bytes(const struct net_ip *ip)
{
	return net_ip_is_v4(ip) ? 20 : 40;
}

#endif
