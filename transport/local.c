/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "homa_core.h"
#include "local_link.h"

struct local_socket *local_socket_find(struct local_link *local, const struct net_ip *ip, uint16_t port,
				       bool exact)
{
	struct local_socket *socket, *best = NULL;

	LIST_FOREACH (socket, &local->sockets, next) {
		if (socket->endpoint.port != port)
			continue;
		if (net_ip_equal(&socket->endpoint.ip, ip))
			return socket;
		if (!exact && net_ip_is_any(&socket->endpoint.ip) &&
		    (!net_ip_is_v4(&socket->endpoint.ip) || net_ip_is_v4(ip)))
			best = socket;
	}
	return best;
}

int local_link_bind(struct link *link, const struct net_endpoint *endpoint)
{
	struct local_link *local = local_of(link);
	struct local_socket *new = calloc(1, sizeof(*new));
	struct epoll_event event = { .events = EPOLLIN };
	int error, size = LOCAL_SEND_BYTES;
	struct local_name name;

	if (!new)
		return -ENOMEM;
	new->endpoint = *endpoint;
	new->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (new->fd < 0) {
		error = -errno;
		goto free_socket;
	}
	setsockopt(new->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	local_name_get(endpoint, 0, &name);
	event.data.ptr = new;
	if (bind(new->fd, (struct sockaddr *)&name.address, name.length) < 0 ||
	    epoll_ctl(local->epoll_fd, EPOLL_CTL_ADD, new->fd, &event) < 0) {
		error = -errno;
		goto close_fd;
	}
	LIST_INSERT_HEAD(&local->sockets, new, next);
	local->socket_count++;
	return 0;

close_fd:
	close(new->fd);
free_socket:
	free(new);
	return error;
}

static void close_socket(struct local_link *local, struct local_socket *socket)
{
	local_forget(local, socket);
	LIST_REMOVE(socket, next);
	local->socket_count--;
	close(socket->fd);
	free(socket);
}

void local_link_unbind(struct link *link, const struct net_endpoint *endpoint)
{
	struct local_socket *socket = local_socket_find(local_of(link), &endpoint->ip, endpoint->port, true);

	if (socket)
		close_socket(local_of(link), socket);
}

static bool same_name(const struct local_name *name, const struct sockaddr_un *address, socklen_t length)
{
	return length == name->length && memcmp(&name->address, address, length) == 0;
}

/* A process may speak only for an address and a port that it has claimed. */
static bool sender_may(struct local_link *local, const struct net_ip *source, uint16_t port,
		       const struct sockaddr_un *address, socklen_t length)
{
	const struct net_endpoint endpoint = { .ip = *source, .port = port };
	struct local_sender *known = &local->known[local_hash(source, port) & (LOCAL_KNOWN_SENDERS - 1)];
	struct local_name name;
	unsigned i;

	if (known->endpoint.port == port && net_ip_equal(&known->endpoint.ip, source) &&
	    same_name(&known->name, address, length))
		return true;
	for (i = 0; i < LOCAL_NAMES; i++) {
		if (!local_name_get(&endpoint, i, &name) || !same_name(&name, address, length))
			continue;
		*known = (struct local_sender){ .endpoint = endpoint, .name = name };
		return true;
	}
	return false;
}

static bool accept_datagram(struct local_link *local, unsigned index, struct link_packet *packet)
{
	const struct msghdr *message = &local->messages[index].msg_hdr;
	const uint8_t *bytes = local->datagrams[index];
	const struct local_header *header = (const struct local_header *)bytes;
	uint32_t length = local->messages[index].msg_len;
	struct homa_common_header common;

	if (length < sizeof(*header) + sizeof(common) || (message->msg_flags & MSG_TRUNC) ||
	    header->magic != LOCAL_MAGIC)
		return false;
	memcpy(&common, bytes + sizeof(*header), sizeof(common));
	if (!sender_may(local, &header->source, wire16(common.sport), &local->senders[index],
			message->msg_namelen))
		return false;
	*packet = (struct link_packet){
		.source = header->source,
		.destination = header->destination,
		.protocol = header->protocol,
		.traffic_class = header->traffic_class,
		.data = bytes + sizeof(*header),
		.length = length - (uint32_t)sizeof(*header),
	};
	return true;
}

/* Reads from one socket into the datagrams from *used on; those that are accepted become packets. */
static unsigned receive_from(struct local_link *local, const struct local_socket *socket,
			     struct link_packet *packets, unsigned max, unsigned *used)
{
	unsigned i, room = LOCAL_BURST - *used, accepted = 0;
	int count;

	if (room > max)
		room = max;
	if (!room)
		return 0;
	for (i = *used; i < *used + room; i++)
		local->messages[i].msg_hdr.msg_namelen = sizeof(local->senders[i]);
	count = recvmmsg(socket->fd, &local->messages[*used], room, MSG_DONTWAIT, NULL);
	for (i = *used; count > 0 && i < *used + (unsigned)count; i++) {
		if (accept_datagram(local, i, &packets[accepted]))
			accepted++;
		else
			local->invalid++;
	}
	if (count > 0)
		*used += (unsigned)count;
	return accepted;
}

static unsigned receive(struct link *link, struct link_packet *packets, unsigned max)
{
	struct local_link *local = local_of(link);
	struct epoll_event events[LOCAL_BURST];
	unsigned accepted = 0, used = 0;
	int i, count;

	if (local->socket_count == 1) {
		accepted = receive_from(local, LIST_FIRST(&local->sockets), packets, max, &used);
	} else if (local->socket_count) {
		/* epoll hands out ready sockets in turn, so that none starves. */
		count = epoll_wait(local->epoll_fd, events, LOCAL_BURST, 0);
		for (i = 0; i < count; i++)
			accepted += receive_from(local, events[i].data.ptr, packets + accepted,
						 max - accepted, &used);
	}
	local->received += accepted;
	return accepted;
}

/* ---- the rest of struct link_ops ---- */

static int get_fd(const struct link *link)
{
	return local_of(link)->epoll_fd;
}

static void describe(const struct link *link, char *buffer, size_t size)
{
	(void)link;
	snprintf(buffer, size, "unix datagrams of up to %d bytes", LOCAL_MTU);
}

static void counters(struct link *link, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	const struct local_link *local = local_of(link);

	each(ctx, "local_sent", local->sent);
	each(ctx, "local_received", local->received);
	each(ctx, "local_deferred", local->deferred);
	each(ctx, "local_dropped", local->dropped);
	each(ctx, "local_refused", local->refused);
	each(ctx, "local_invalid", local->invalid);
}

static void close_link(struct link *link)
{
	struct local_link *local = local_of(link);

	while (!LIST_EMPTY(&local->sockets))
		close_socket(local, LIST_FIRST(&local->sockets));
	close(local->epoll_fd);
	free(local);
}

static const struct link_ops local_link_ops = {
	.send = local_send,
	.flush = local_flush,
	.receive = receive,
	.fd = get_fd,
	.describe = describe,
	.counters = counters,
	.close = close_link,
};

int local_link_open(const struct local_link_options *options, struct link **link)
{
	struct local_link *local = calloc(1, sizeof(*local));
	int error;
	unsigned i;

	if (!local)
		return -ENOMEM;
	local->link = (struct link){ .ops = &local_link_ops, .mtu = LOCAL_MTU };
	local->options = *options;
	local->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (local->epoll_fd < 0) {
		error = -errno;
		free(local);
		return error;
	}
	for (i = 0; i < LOCAL_BURST; i++) {
		local->vectors[i] =
			(struct iovec){ .iov_base = local->datagrams[i], .iov_len = LOCAL_DATAGRAM_BYTES };
		local->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &local->senders[i],
			.msg_iov = &local->vectors[i],
			.msg_iovlen = 1,
		};
	}
	*link = &local->link;
	return 0;
}
