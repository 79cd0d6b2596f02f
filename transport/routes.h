/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knows of the network: routes, interfaces and this host's addresses,
 * asked by netlink. Nothing here needs a privilege.
 */
#ifndef TERN_ROUTES_H
#define TERN_ROUTES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "netlink.h"

#define ADDRESSES_MAX 65536 /* of this host; further ones are not seen */

/* The answer to "which way to this address". */
struct route {
	bool local;  /* the address is this host's own */
	int ifindex;
	struct net_ip next_hop; /* the gateway (IPv6 for an IPv4 route "via inet6") or the destination */
	struct net_ip source;   /* what the kernel would use; the any-address when it does not say */
	uint32_t mtu;           /* bytes; 0: the route has none of its own */
};

/*
 * Looks `remote` up in the kernel's tables. `source` and `ifindex` narrow the look-up when they
 * are not the any-address and 0. 0; -ENETUNREACH, -EHOSTUNREACH (no route, one that
 * refuses or needs a tunnel's header, or the source is not ours), -EADDRNOTAVAIL (the source
 * is of the other family), -EINVAL (multicast, broadcast or any-address, link-local without
 * an interface), or a fault of netlink.
 */
int route_find(struct netlink *netlink, const struct net_ip *remote, const struct net_ip *source, int ifindex,
	       struct route *route);

struct interface {
	int ifindex;
	char name[IF_NAMESIZE];
	uint32_t mtu; /* bytes of IP packet */
	uint8_t mac[6];
	bool up;
	bool loopback;
	bool ethernet;
	bool no_arp;         /* frames go to the device's own address */
	bool point_to_point; /* frames go to the broadcast address */
};

/* Fills *interface from an RTM_NEWLINK or RTM_DELLINK message; false if it is malformed. */
bool interface_parse(const struct nlmsghdr *message, struct interface *interface);
/* 0, -ENODEV, or a fault of netlink. */
int interface_find(struct netlink *netlink, int ifindex, struct interface *interface);

/* An address of this host; link-local ones carry their scope. */
struct address {
	struct net_ip ip;
	int ifindex;
};

struct addresses {
	struct address *sorted;
	unsigned count;
	unsigned capacity;
};

/* Reads all addresses anew. 0, -ENOMEM or a fault of netlink (then what was known stays). */
int addresses_load(struct netlink *netlink, struct addresses *addresses);
void addresses_free(struct addresses *addresses);
/* The entry for `ip`, or NULL. */
const struct address *addresses_find(const struct addresses *addresses, const struct net_ip *ip);
/* True for every address that ends at this host, all of 127.0.0.0/8 included. */
bool addresses_local(const struct addresses *addresses, const struct net_ip *ip);

/* 127.0.0.0/8 and ::1. */
bool ip_is_loopback(const struct net_ip *ip);
/* IPv4 multicast, limited broadcast and 240/4; IPv6 multicast. */
bool ip_is_multicast(const struct net_ip *ip);

#endif
