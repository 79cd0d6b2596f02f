/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "homa_core.h"
#include "local_link.h"

static void make_name(const struct net_ip *ip, uint16_t port, struct local_name *name)
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = net_ip_is_v4(ip);
	int length;

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (const void *)&ip->w[3] : ip->b, text, sizeof(text));
	name->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(name->address.sun_path + 1, sizeof(name->address.sun_path) - 1, "tern-homa/%s/%u",
			  text, port);
	name->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

bool local_name_get(const struct net_endpoint *endpoint, unsigned index, struct local_name *name)
{
	static const struct net_ip any = { .q = { 0, 0 } };
	struct net_ip any_v4 = net_ip_from_v4(0);
	const struct net_ip *ip = &endpoint->ip;

	if (index >= LOCAL_NAMES)
		return false;
	if (index == 1) {
		if (!net_ip_is_v4(ip))
			return local_name_get(endpoint, 2, name);
		ip = &any_v4;
	} else if (index == 2) {
		ip = &any;
	}
	make_name(ip, endpoint->port, name);
	return true;
}

/* Forgets the receivers for which nothing waits. */
static void forget_targets(struct local_link *local)
{
	struct local_target **link, *target;
	unsigned i;

	for (i = 0; i < LOCAL_TARGET_BUCKETS; i++) {
		link = &local->targets[i];
		while ((target = *link)) {
			if (!STAILQ_EMPTY(&target->pending)) {
				link = &target->chain;
				continue;
			}
			*link = target->chain;
			free(target);
			local->target_count--;
		}
	}
}

static void drop_pending(struct local_link *local, struct local_target *target,
			 const struct local_socket *from)
{
	struct local_packet *packet, *following;

	for (packet = STAILQ_FIRST(&target->pending); packet; packet = following) {
		following = STAILQ_NEXT(packet, next);
		if (packet->from != from)
			continue;
		STAILQ_REMOVE(&target->pending, packet, local_packet, next);
		local->pending_count--;
		free(packet);
	}
	if (STAILQ_EMPTY(&target->pending))
		LIST_REMOVE(target, waiting);
}

void local_forget(struct local_link *local, const struct local_socket *socket)
{
	struct local_target *target, *following;

	for (target = LIST_FIRST(&local->waiting); target; target = following) {
		following = LIST_NEXT(target, waiting);
		drop_pending(local, target, socket);
	}
	forget_targets(local);
}

static struct local_target *find_target(struct local_link *local, const struct net_ip *ip, uint16_t port)
{
	struct local_target **bucket = &local->targets[local_hash(ip, port) & (LOCAL_TARGET_BUCKETS - 1)];
	struct local_target *target;

	for (target = *bucket; target; target = target->chain)
		if (target->endpoint.port == port && net_ip_equal(&target->endpoint.ip, ip))
			return target;
	if (local->target_count >= LOCAL_TARGETS)
		forget_targets(local);
	target = local->target_count < LOCAL_TARGETS ? calloc(1, sizeof(*target)) : NULL;
	if (!target)
		return NULL;
	target->endpoint = (struct net_endpoint){ .ip = *ip, .port = port };
	STAILQ_INIT(&target->pending);
	local_name_get(&target->endpoint, 0, &target->name);
	target->chain = *bucket;
	*bucket = target;
	local->target_count++;
	return target;
}

/* One datagram to the receiver, under whichever name it is served. 0, -EAGAIN, -ECONNREFUSED ... */
static int send_datagram(struct local_socket *from, struct local_target *target, struct iovec *vectors,
			 size_t count)
{
	struct msghdr message = { .msg_iov = vectors, .msg_iovlen = count };
	unsigned tried;

	for (tried = 0; tried <= LOCAL_NAMES; tried++) {
		message.msg_name = &target->name.address;
		message.msg_namelen = target->name.length;
		if (sendmsg(from->fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != ECONNREFUSED)
			return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : -errno;
		/* The name found last may be out of date: the round begins anew. */
		if (tried == 0)
			target->name_index = 0;
		else
			target->name_index++;
		if (!local_name_get(&target->endpoint, target->name_index, &target->name))
			break;
	}
	target->name_index = 0;
	local_name_get(&target->endpoint, 0, &target->name);
	return -ECONNREFUSED;
}

/* A result of send_datagram other than 0 and -EAGAIN: the packet is lost. */
static void lose(struct local_link *local, int error, const struct net_ip *remote, const void *header,
		 uint32_t length)
{
	if (error != -ECONNREFUSED) {
		local->dropped++;
		return;
	}
	local->refused++;
	local->options.refused(local->options.ctx, remote, header, length);
}

static void retry(struct local_link *local, struct local_target *target)
{
	struct local_packet *packet;

	while ((packet = STAILQ_FIRST(&target->pending))) {
		struct iovec vector = { .iov_base = packet->bytes, .iov_len = packet->length };
		int error = send_datagram(packet->from, target, &vector, 1);

		if (error == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&target->pending, next);
		local->pending_count--;
		if (error)
			lose(local, error, &target->endpoint.ip, packet->bytes + sizeof(struct local_header),
			     packet->length - (uint32_t)sizeof(struct local_header));
		else
			local->sent++;
		free(packet);
	}
	LIST_REMOVE(target, waiting);
}

void local_flush(struct link *link)
{
	struct local_link *local = local_of(link);
	struct local_target *target, *following;

	for (target = LIST_FIRST(&local->waiting); target; target = following) {
		following = LIST_NEXT(target, waiting);
		retry(local, target);
	}
}

static int defer(struct local_link *local, struct local_socket *from, struct local_target *target,
		 const struct iovec *vectors, unsigned count)
{
	struct local_packet *packet = NULL;
	size_t length = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		length += vectors[i].iov_len;
	if (local->pending_count < LOCAL_PENDING)
		packet = malloc(sizeof(*packet) + length);
	if (!packet) {
		local->dropped++;
		return -ENOBUFS;
	}
	packet->from = from;
	packet->length = 0;
	for (i = 0; i < count; i++) {
		if (vectors[i].iov_len)
			memcpy(packet->bytes + packet->length, vectors[i].iov_base, vectors[i].iov_len);
		packet->length += (uint32_t)vectors[i].iov_len;
	}
	if (STAILQ_EMPTY(&target->pending))
		LIST_INSERT_HEAD(&local->waiting, target, waiting);
	STAILQ_INSERT_TAIL(&target->pending, packet, next);
	local->pending_count++;
	local->deferred++;
	return 0;
}

int local_send(struct link *link, const struct link_destination *to, uint8_t protocol, uint8_t traffic_class,
	       const void *header, uint32_t header_length, const void *payload, uint32_t payload_length)
{
	struct local_link *local = local_of(link);
	struct local_header ours = {
		.magic = LOCAL_MAGIC,
		.protocol = protocol,
		.traffic_class = traffic_class,
		.source = to->local,
		.destination = to->remote,
	};
	struct iovec vectors[3] = {
		{ .iov_base = &ours, .iov_len = sizeof(ours) },
		{ .iov_base = (void *)header, .iov_len = header_length },
		{ .iov_base = (void *)payload, .iov_len = payload_length },
	};
	const struct homa_common_header *common = header;
	struct local_socket *from;
	struct local_target *target;
	int error;

	if (header_length < sizeof(*common) || header_length + payload_length > LOCAL_MTU)
		return -ENOBUFS;
	from = local_socket_find(local, &to->local, wire16(common->sport), false);
	target = from ? find_target(local, &to->remote, wire16(common->dport)) : NULL;
	if (!target) {
		local->dropped++;
		return -ENOBUFS;
	}
	if (!STAILQ_EMPTY(&target->pending))
		return defer(local, from, target, vectors, 3);
	error = send_datagram(from, target, vectors, 3);
	if (error == -EAGAIN)
		return defer(local, from, target, vectors, 3);
	if (error)
		lose(local, error, &to->remote, header, header_length);
	else
		local->sent++;
	return 0;
}

bool local_link_pending(const struct link *link)
{
	return local_of(link)->pending_count;
}
