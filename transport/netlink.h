/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The little of NETLINK_ROUTE that the engine needs: requests with an answer, and a
 * socket that hears of changes. Every length in what arrives is checked.
 */
#ifndef TERN_NETLINK_H
#define TERN_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_ip.h"

#define NETLINK_BUFFER_BYTES  32768 /* the most that the kernel puts into one datagram of a dump */
#define NETLINK_REQUEST_BYTES 256
#define NETLINK_TIMEOUT_MS    1000 /* the kernel answers at once; this only bounds a fault */
#define NETLINK_READS         64   /* datagrams taken from a monitor at a time */

struct netlink {
	int fd;
	uint32_t sequence;
	uint8_t buffer[NETLINK_BUFFER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
};

/* A request being built. */
struct netlink_request {
	struct nlmsghdr header;
	uint8_t body[NETLINK_REQUEST_BYTES];
};

/* One message; `message->nlmsg_len` bytes are there. */
typedef void netlink_each(void *ctx, const struct nlmsghdr *message);

/* 0, or the errno of socket. Needs no privilege. */
int netlink_open(struct netlink *netlink);
void netlink_close(struct netlink *netlink);

/* Starts a request of `type` with its fixed part, e.g. a struct rtmsg. */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *fixed,
		   size_t size);
void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data, size_t size);
/* The attribute's value is the address in its own family's length, 4 or 16 bytes. */
void netlink_attribute_ip(struct netlink_request *request, uint16_t type, const struct net_ip *ip);

/*
 * Sends a request and gives every message of the answer to `each` (may be NULL). 0, the
 * error that the kernel answered with, -ETIMEDOUT, or the errno of send or receive.
 */
int netlink_run(struct netlink *netlink, struct netlink_request *request, netlink_each *each, void *ctx);

/* Fills table[0..max] by type with the attributes behind `fixed` bytes; NULL where there is none. */
void netlink_parse(const struct nlmsghdr *message, size_t fixed, const struct rtattr **table, unsigned max);
/* The same for attributes within an attribute. */
void netlink_parse_nested(const struct rtattr *attribute, const struct rtattr **table, unsigned max);
/* The fixed part, or NULL if the message is too short for it. */
const void *netlink_fixed(const struct nlmsghdr *message, size_t size);
/* False when the attribute is missing or of another length. */
bool netlink_u32(const struct rtattr *attribute, uint32_t *value);
bool netlink_ip(const struct rtattr *attribute, struct net_ip *ip);

/* A non-blocking socket subscribed to neighbours, links, addresses and routes: the fd or a negative errno. */
int netlink_monitor_open(void);
/*
 * Gives what has arrived to `each`. How many datagrams were read; -ENOBUFS when some were
 * lost, so that everything known has to be asked for anew.
 */
int netlink_monitor_read(int fd, uint8_t *buffer, size_t size, netlink_each *each, void *ctx);

#endif
