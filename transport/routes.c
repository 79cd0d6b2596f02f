/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "routes.h"

bool ip_is_loopback(const struct net_ip *ip)
{
	static const struct net_ip loopback = { .b = { [15] = 1 } };

	return net_ip_is_v4(ip) ? ip->b[12] == 127 : net_ip_equal(ip, &loopback);
}

bool ip_is_multicast(const struct net_ip *ip)
{
	return net_ip_is_v4(ip) ? ip->b[12] >= 224 : ip->b[0] == 0xff;
}

/* ---- routes ---- */

struct route_answer {
	struct route *route;
	bool found;
	bool usable;
};

static bool take_next_hop(const struct rtattr **table, struct net_ip *next_hop)
{
	const struct rtvia *via;

	if (table[RTA_GATEWAY])
		return netlink_ip(table[RTA_GATEWAY], next_hop);
	if (!table[RTA_VIA])
		return true;
	if (RTA_PAYLOAD(table[RTA_VIA]) != sizeof(*via) + 16)
		return false;
	via = RTA_DATA(table[RTA_VIA]);
	if (via->rtvia_family != AF_INET6)
		return false;
	memcpy(next_hop->b, via->rtvia_addr, 16);
	return true;
}

static void take_route(void *ctx, const struct nlmsghdr *message)
{
	struct route_answer *answer = ctx;
	struct route *route = answer->route;
	const struct rtattr *table[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	const struct rtmsg *fixed = netlink_fixed(message, sizeof(*fixed));
	uint32_t ifindex = 0;

	if (!fixed || message->nlmsg_type != RTM_NEWROUTE || answer->found)
		return;
	answer->found = true;
	netlink_parse(message, sizeof(*fixed), table, RTA_MAX);
	if (!netlink_u32(table[RTA_OIF], &ifindex) || !take_next_hop(table, &route->next_hop))
		return;
	route->ifindex = (int)ifindex;
	route->local = fixed->rtm_type == RTN_LOCAL;
	netlink_ip(table[RTA_PREFSRC], &route->source);
	if (table[RTA_METRICS]) {
		netlink_parse_nested(table[RTA_METRICS], metrics, RTAX_MAX);
		netlink_u32(metrics[RTAX_MTU], &route->mtu);
	}
	answer->usable = route->local || (fixed->rtm_type == RTN_UNICAST && !table[RTA_ENCAP_TYPE]);
}

/* The kernel's answers to a look-up, as route_find promises them. */
static int route_error(int error)
{
	switch (error) {
	case -EACCES: /* a "prohibit" route */
	case -EINVAL: /* a "blackhole" route */
		return -EHOSTUNREACH;
	case -ENODEV:
	case -ENETDOWN:
		return -ENETUNREACH;
	default:
		return error;
	}
}

int route_find(struct netlink *netlink, const struct net_ip *remote, const struct net_ip *source, int ifindex,
	       struct route *route)
{
	bool v4 = net_ip_is_v4(remote);
	struct rtmsg fixed = { .rtm_family = v4 ? AF_INET : AF_INET6, .rtm_dst_len = v4 ? 32 : 128 };
	struct net_ip plain_remote = net_ip_scoped(remote, 0), plain_source = net_ip_scoped(source, 0);
	struct route_answer answer = { .route = route };
	struct netlink_request request;
	uint32_t oif = (uint32_t)ifindex;
	int error;

	if (net_ip_is_link_local(remote))
		oif = net_ip_scope(remote);
	if (net_ip_is_any(remote) || ip_is_multicast(remote) || (net_ip_is_link_local(remote) && !oif))
		return -EINVAL;
	if (!net_ip_is_any(source) && net_ip_is_v4(source) != v4)
		return -EADDRNOTAVAIL;
	*route = (struct route){ .next_hop = plain_remote };
	if (!net_ip_is_any(source))
		fixed.rtm_src_len = fixed.rtm_dst_len;
	netlink_begin(&request, RTM_GETROUTE, 0, &fixed, sizeof(fixed));
	netlink_attribute_ip(&request, RTA_DST, &plain_remote);
	if (!net_ip_is_any(source))
		netlink_attribute_ip(&request, RTA_SRC, &plain_source);
	if (oif)
		netlink_attribute(&request, RTA_OIF, &oif, sizeof(oif));
	error = netlink_run(netlink, &request, take_route, &answer);
	if (error)
		return route_error(error);
	if (!answer.usable)
		return -EHOSTUNREACH;
	route->source =
		net_ip_is_any(source) ? net_ip_scoped(&route->source, (uint32_t)route->ifindex) : *source;
	return 0;
}

/* ---- interfaces ---- */

bool interface_parse(const struct nlmsghdr *message, struct interface *interface)
{
	const struct ifinfomsg *fixed = netlink_fixed(message, sizeof(*fixed));
	const struct rtattr *table[IFLA_MAX + 1];
	size_t length;

	/* A device that leaves a bridge is "deleted" too, as a port of it: another family. */
	if (!fixed || fixed->ifi_family != AF_UNSPEC)
		return false;
	netlink_parse(message, sizeof(*fixed), table, IFLA_MAX);
	*interface = (struct interface){
		.ifindex = fixed->ifi_index,
		.up = fixed->ifi_flags & IFF_UP,
		.loopback = fixed->ifi_flags & IFF_LOOPBACK,
		.ethernet = fixed->ifi_type == ARPHRD_ETHER,
		.no_arp = fixed->ifi_flags & IFF_NOARP,
		.point_to_point = fixed->ifi_flags & IFF_POINTOPOINT,
	};
	if (!table[IFLA_IFNAME] || !netlink_u32(table[IFLA_MTU], &interface->mtu))
		return false;
	length = strnlen(RTA_DATA(table[IFLA_IFNAME]), RTA_PAYLOAD(table[IFLA_IFNAME]));
	if (length >= sizeof(interface->name))
		return false;
	memcpy(interface->name, RTA_DATA(table[IFLA_IFNAME]), length);
	if (table[IFLA_ADDRESS] && RTA_PAYLOAD(table[IFLA_ADDRESS]) == sizeof(interface->mac))
		memcpy(interface->mac, RTA_DATA(table[IFLA_ADDRESS]), sizeof(interface->mac));
	return true;
}

struct interface_answer {
	struct interface *interface;
	bool found;
};

static void take_interface(void *ctx, const struct nlmsghdr *message)
{
	struct interface_answer *answer = ctx;

	if (message->nlmsg_type == RTM_NEWLINK)
		answer->found = interface_parse(message, answer->interface);
}

int interface_find(struct netlink *netlink, int ifindex, struct interface *interface)
{
	struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	struct interface_answer answer = { .interface = interface };
	struct netlink_request request;
	int error;

	netlink_begin(&request, RTM_GETLINK, 0, &fixed, sizeof(fixed));
	error = netlink_run(netlink, &request, take_interface, &answer);
	if (error)
		return error;
	return answer.found ? 0 : -ENODEV;
}

/* ---- addresses ---- */

static int compare(const void *left, const void *right)
{
	return memcmp(((const struct address *)left)->ip.b, ((const struct address *)right)->ip.b, 16);
}

struct addresses_answer {
	struct addresses list;
	bool no_memory;
};

static void take_address(void *ctx, const struct nlmsghdr *message)
{
	struct addresses_answer *answer = ctx;
	struct addresses *list = &answer->list;
	const struct ifaddrmsg *fixed = netlink_fixed(message, sizeof(*fixed));
	const struct rtattr *table[IFA_MAX + 1];
	struct net_ip ip;

	if (!fixed || message->nlmsg_type != RTM_NEWADDR || list->count == ADDRESSES_MAX)
		return;
	netlink_parse(message, sizeof(*fixed), table, IFA_MAX);
	/* On a point-to-point link IFA_ADDRESS is the peer's, IFA_LOCAL ours. */
	if (!netlink_ip(table[IFA_LOCAL], &ip) && !netlink_ip(table[IFA_ADDRESS], &ip))
		return;
	if (list->count == list->capacity) {
		unsigned capacity = list->capacity ? list->capacity * 2 : 16;
		struct address *grown = realloc(list->sorted, capacity * sizeof(*grown));

		if (!grown) {
			answer->no_memory = true;
			return;
		}
		list->sorted = grown;
		list->capacity = capacity;
	}
	list->sorted[list->count++] = (struct address){
		.ip = net_ip_scoped(&ip, fixed->ifa_index),
		.ifindex = (int)fixed->ifa_index,
	};
}

int addresses_load(struct netlink *netlink, struct addresses *addresses)
{
	struct ifaddrmsg fixed = { .ifa_family = AF_UNSPEC };
	struct addresses_answer answer = { 0 };
	struct netlink_request request;
	int error;

	netlink_begin(&request, RTM_GETADDR, NLM_F_DUMP, &fixed, sizeof(fixed));
	error = netlink_run(netlink, &request, take_address, &answer);
	if (!error && answer.no_memory)
		error = -ENOMEM;
	if (error) {
		addresses_free(&answer.list);
		return error;
	}
	if (answer.list.count)
		qsort(answer.list.sorted, answer.list.count, sizeof(*answer.list.sorted), compare);
	addresses_free(addresses);
	*addresses = answer.list;
	return 0;
}

void addresses_free(struct addresses *addresses)
{
	free(addresses->sorted);
	*addresses = (struct addresses){ 0 };
}

const struct address *addresses_find(const struct addresses *addresses, const struct net_ip *ip)
{
	struct address key = { .ip = *ip };

	if (!addresses->count)
		return NULL;
	return bsearch(&key, addresses->sorted, addresses->count, sizeof(key), compare);
}

bool addresses_local(const struct addresses *addresses, const struct net_ip *ip)
{
	return (net_ip_is_v4(ip) && ip->b[12] == 127) || addresses_find(addresses, ip);
}
