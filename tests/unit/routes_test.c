/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked of the kernel by netlink, and that no answer's lengths are believed. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "neighbour.h"
#include "routes.h"
#include "test.h"

#define RANDOM_INPUTS 300000

static const struct net_ip any;

static struct net_ip ip_of(const char *text)
{
	struct net_ip ip;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return net_ip_from_v4(v4.s_addr);
	CHECK_EQ(inet_pton(AF_INET6, text, ip.b), 1);
	return ip;
}

static int find(struct netlink *netlink, const char *text, struct route *route)
{
	struct net_ip ip = ip_of(text);

	return route_find(netlink, &ip, &any, 0, route);
}

/* Loopback is there in every network namespace, and the rest does not depend on this one's. */
static void kernel(struct netlink *netlink)
{
	struct addresses addresses = { 0 };
	struct interface interface;
	struct net_ip ip, source;
	struct route route;

	CHECK_EQ(find(netlink, "127.0.0.1", &route), 0);
	CHECK(route.local);
	ip = ip_of("127.0.0.1");
	CHECK(net_ip_equal(&route.source, &ip));
	CHECK_EQ(find(netlink, "224.0.0.1", &route), -EINVAL);
	CHECK_EQ(find(netlink, "255.255.255.255", &route), -EINVAL);
	CHECK_EQ(find(netlink, "0.0.0.0", &route), -EINVAL);
	CHECK_EQ(find(netlink, "::", &route), -EINVAL);
	CHECK_EQ(find(netlink, "ff02::1", &route), -EINVAL);
	CHECK_EQ(find(netlink, "fe80::1", &route), -EINVAL);
	source = ip_of("192.0.2.77");
	CHECK(route_find(netlink, &ip, &source, 0, &route) < 0);
	source = ip_of("::1");
	CHECK_EQ(route_find(netlink, &ip, &source, 0, &route), -EADDRNOTAVAIL);

	CHECK_EQ(interface_find(netlink, 1, &interface), 0);
	CHECK(!strcmp(interface.name, "lo") && interface.loopback && !interface.ethernet &&
	      interface.mtu > 1000);
	CHECK_EQ(interface_find(netlink, 0x7ffffff0, &interface), -ENODEV);

	CHECK_EQ(addresses_load(netlink, &addresses), 0);
	CHECK(addresses_local(&addresses, &ip));
	CHECK_EQ(addresses_find(&addresses, &ip)->ifindex, 1);
	ip = ip_of("127.55.0.1");
	CHECK(addresses_local(&addresses, &ip));
	ip = ip_of("192.0.2.77");
	CHECK(!addresses_local(&addresses, &ip));
	addresses_free(&addresses);
}

static void scopes(void)
{
	struct net_ip ip = ip_of("fe80::1"), scoped = net_ip_scoped(&ip, 7), other = ip_of("fd00::1");

	CHECK_EQ(net_ip_scope(&ip), 0);
	CHECK_EQ(net_ip_scope(&scoped), 7);
	CHECK(!net_ip_equal(&ip, &scoped));
	scoped = net_ip_scoped(&scoped, 0);
	CHECK(net_ip_equal(&ip, &scoped));
	scoped = net_ip_scoped(&other, 7);
	CHECK(net_ip_equal(&other, &scoped));
	CHECK_EQ(net_ip_scope(&other), 0);
}

static void changed(void *ctx, struct neighbour *neighbour)
{
	(void)neighbour;
	++*(unsigned *)ctx;
}

/* A message in exactly as much memory as it says it has. */
static void feed(struct neighbours *neighbours, const void *bytes, uint32_t length)
{
	struct nlmsghdr *exact = malloc(length);
	struct interface interface;

	CHECK(exact);
	memcpy(exact, bytes, length);
	exact->nlmsg_len = length;
	neighbours_event(neighbours, exact);
	interface_parse(exact, &interface);
	free(exact);
}

static void damaged_messages(struct netlink *netlink)
{
	struct ndmsg fixed = { .ndm_family = AF_INET, .ndm_ifindex = 3, .ndm_state = 2 /* NUD_REACHABLE */ };
	struct net_ip ip = ip_of("10.0.0.9");
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct netlink_request good, bad;
	struct neighbours neighbours;
	struct neighbour *neighbour;
	unsigned changes = 0;
	uint32_t state = 1, i, j;

	neighbours_init(&neighbours, netlink, changed, &changes);
	neighbour = neighbour_hold(&neighbours, 3, &ip);
	CHECK(neighbour && neighbour->state == NEIGHBOUR_UNKNOWN);
	netlink_begin(&good, RTM_NEWNEIGH, 0, &fixed, sizeof(fixed));
	netlink_attribute_ip(&good, NDA_DST, &ip);
	netlink_attribute(&good, NDA_LLADDR, mac, sizeof(mac));
	feed(&neighbours, &good, good.header.nlmsg_len);
	CHECK_EQ(neighbour->state, NEIGHBOUR_KNOWN);
	CHECK(!memcmp(neighbour->mac, mac, 6));
	CHECK_EQ(changes, 1);
	feed(&neighbours, &good, good.header.nlmsg_len);
	CHECK_EQ(changes, 1);
	good.header.nlmsg_type = RTM_DELNEIGH;
	feed(&neighbours, &good, good.header.nlmsg_len);
	CHECK_EQ(neighbour->state, NEIGHBOUR_UNKNOWN);
	CHECK_EQ(changes, 2);
	for (i = 0; i < RANDOM_INPUTS; i++) {
		bad = good;
		for (j = 0; j < 4; j++) {
			state = state * 1664525 + 1013904223;
			((uint8_t *)&bad)[(state >> 8) % good.header.nlmsg_len] = (uint8_t)(state >> 24);
		}
		bad.header.nlmsg_type = i & 1 ? RTM_NEWNEIGH : RTM_NEWLINK;
		feed(&neighbours, &bad, 16 + (state >> 4) % (good.header.nlmsg_len - 15));
	}
	neighbour_release(&neighbours, neighbour);
}

int main(void)
{
	struct netlink netlink;

	CHECK_EQ(netlink_open(&netlink), 0);
	kernel(&netlink);
	scopes();
	damaged_messages(&netlink);
	netlink_close(&netlink);
	printf("routes, interfaces and addresses of this host; %d damaged messages\n", RANDOM_INPUTS);
	return 0;
}
