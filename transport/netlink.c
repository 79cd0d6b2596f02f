/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "netlink.h"

int netlink_open(struct netlink *netlink)
{
	struct timeval patience = { .tv_sec = NETLINK_TIMEOUT_MS / 1000,
				    .tv_usec = NETLINK_TIMEOUT_MS % 1000 * 1000 };

	netlink->sequence = 0;
	netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netlink->fd < 0)
		return -errno;
	setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->fd >= 0)
		close(netlink->fd);
	netlink->fd = -1;
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *fixed,
		   size_t size)
{
	assert(size <= sizeof(request->body));
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | flags;
	request->header.nlmsg_len = NLMSG_LENGTH(size);
	memcpy(request->body, fixed, size);
}

void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data, size_t size)
{
	size_t offset = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr attribute = { .rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(size) };

	assert(offset + RTA_SPACE(size) <= sizeof(*request));
	memcpy((uint8_t *)request + offset, &attribute, sizeof(attribute));
	memcpy((uint8_t *)request + offset + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len = (uint32_t)(offset + RTA_LENGTH(size));
}

void netlink_attribute_ip(struct netlink_request *request, uint16_t type, const struct net_ip *ip)
{
	if (net_ip_is_v4(ip))
		netlink_attribute(request, type, &ip->w[3], 4);
	else
		netlink_attribute(request, type, ip->b, 16);
}

/* Calls `each` for the messages of one datagram, up to the first whose length cannot be. */
static void walk(const uint8_t *data, size_t length, netlink_each *each, void *ctx)
{
	while (length >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)data;
		size_t step;

		if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > length)
			return;
		each(ctx, message);
		step = NLMSG_ALIGN(message->nlmsg_len);
		if (step >= length)
			return;
		data += step;
		length -= step;
	}
}

/* One datagram of the kernel's: its length, 0 for one of somebody else's, or a negative errno. */
static ssize_t receive(int fd, uint8_t *buffer, size_t size)
{
	struct sockaddr_nl from = { 0 };
	struct iovec vector = { .iov_base = buffer, .iov_len = size };
	struct msghdr header = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vector, .msg_iovlen = 1
	};
	ssize_t length = recvmsg(fd, &header, 0);

	if (length < 0)
		return -errno;
	if (header.msg_namelen < sizeof(from) || from.nl_pid != 0 || (header.msg_flags & MSG_TRUNC))
		return 0;
	return length;
}

struct answer {
	uint32_t sequence;
	netlink_each *each;
	void *ctx;
	bool ended;
	int error;
};

static void take_answer(void *ctx, const struct nlmsghdr *message)
{
	struct answer *answer = ctx;

	if (message->nlmsg_seq != answer->sequence || answer->ended)
		return;
	if (message->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = netlink_fixed(message, sizeof(*error));

		answer->ended = true;
		answer->error = !error ? -EBADMSG : error->error < 0 ? error->error : 0;
	} else if (message->nlmsg_type == NLMSG_DONE) {
		answer->ended = true;
	} else if (answer->each) {
		answer->each(answer->ctx, message);
	}
}

int netlink_run(struct netlink *netlink, struct netlink_request *request, netlink_each *each, void *ctx)
{
	struct answer answer = { .sequence = ++netlink->sequence, .each = each, .ctx = ctx };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t length;

	request->header.nlmsg_seq = answer.sequence;
	if ((request->header.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		request->header.nlmsg_flags |= NLM_F_ACK;
	if (sendto(netlink->fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	while (!answer.ended) {
		length = receive(netlink->fd, netlink->buffer, sizeof(netlink->buffer));
		if (length == -EINTR)
			continue;
		if (length < 0)
			return length == -EAGAIN ? -ETIMEDOUT : (int)length;
		walk(netlink->buffer, (size_t)length, take_answer, &answer);
	}
	return answer.error;
}

static void parse(const uint8_t *data, size_t length, const struct rtattr **table, unsigned max)
{
	memset(table, 0, (max + 1) * sizeof(*table));
	while (length >= sizeof(struct rtattr)) {
		const struct rtattr *attribute = (const struct rtattr *)data;
		unsigned type = attribute->rta_type & NLA_TYPE_MASK;
		size_t step;

		if (attribute->rta_len < sizeof(*attribute) || attribute->rta_len > length)
			return;
		if (type <= max)
			table[type] = attribute;
		step = RTA_ALIGN(attribute->rta_len);
		if (step >= length)
			return;
		data += step;
		length -= step;
	}
}

void netlink_parse(const struct nlmsghdr *message, size_t fixed, const struct rtattr **table, unsigned max)
{
	size_t start = NLMSG_SPACE(fixed);

	if (message->nlmsg_len < start)
		start = message->nlmsg_len;
	parse((const uint8_t *)message + start, message->nlmsg_len - start, table, max);
}

void netlink_parse_nested(const struct rtattr *attribute, const struct rtattr **table, unsigned max)
{
	parse(RTA_DATA(attribute), RTA_PAYLOAD(attribute), table, max);
}

const void *netlink_fixed(const struct nlmsghdr *message, size_t size)
{
	return message->nlmsg_len >= NLMSG_LENGTH(size) ? NLMSG_DATA(message) : NULL;
}

bool netlink_u32(const struct rtattr *attribute, uint32_t *value)
{
	if (!attribute || RTA_PAYLOAD(attribute) != sizeof(*value))
		return false;
	memcpy(value, RTA_DATA(attribute), sizeof(*value));
	return true;
}

bool netlink_ip(const struct rtattr *attribute, struct net_ip *ip)
{
	__be32 v4;

	if (!attribute)
		return false;
	switch (RTA_PAYLOAD(attribute)) {
	case 4:
		memcpy(&v4, RTA_DATA(attribute), 4);
		*ip = net_ip_from_v4(v4);
		return true;
	case 16:
		memcpy(ip->b, RTA_DATA(attribute), 16);
		return true;
	default:
		return false;
	}
}

int netlink_monitor_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int error;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int netlink_monitor_read(int fd, uint8_t *buffer, size_t size, netlink_each *each, void *ctx)
{
	bool lost = false;
	ssize_t length;
	int count;

	for (count = 0; count < NETLINK_READS; count++) {
		length = receive(fd, buffer, size);
		if (length == -ENOBUFS)
			lost = true;
		else if (length < 0)
			break;
		else
			walk(buffer, (size_t)length, each, ctx);
	}
	return lost ? -ENOBUFS : count;
}
