/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the local link: local.c has the sockets and receives, local_send.c sends. */
#ifndef TERN_LOCAL_LINK_H
#define TERN_LOCAL_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "local.h"

#define LOCAL_MAGIC          0x74726e31 /* "trn1" */
#define LOCAL_DATAGRAM_BYTES (sizeof(struct local_header) + LOCAL_MTU)
#define LOCAL_NAMES          3  /* under which an address may be served: its own, all of the family, all */
#define LOCAL_KNOWN_SENDERS  64 /* a power of two */

/* In front of every packet: what an IP header would say. In host order. */
struct local_header {
	uint32_t magic;
	uint8_t protocol;
	uint8_t traffic_class;
	uint16_t reserved;
	struct net_ip source;
	struct net_ip destination;
};

struct local_name {
	struct sockaddr_un address;
	socklen_t length;
};

struct local_socket {
	LIST_ENTRY(local_socket) next;
	struct net_endpoint endpoint;
	int fd;
};

struct local_packet {
	STAILQ_ENTRY(local_packet) next;
	struct local_socket *from;
	uint32_t length;
	uint8_t bytes[];
};

/* A receiver, and under which name it was found last. */
struct local_target {
	struct local_target *chain;
	LIST_ENTRY(local_target) waiting; /* while it has pending packets */
	struct net_endpoint endpoint;
	unsigned name_index;
	struct local_name name;
	STAILQ_HEAD(, local_packet) pending;
};

/* A sender whose name was found to go with its address and port. */
struct local_sender {
	struct net_endpoint endpoint;
	struct local_name name;
};

struct local_link {
	struct link link;
	struct local_link_options options;
	int epoll_fd; /* over all sockets */
	unsigned socket_count;
	LIST_HEAD(, local_socket) sockets;
	LIST_HEAD(, local_target) waiting;
	unsigned target_count;
	unsigned pending_count;
	struct local_target *targets[LOCAL_TARGET_BUCKETS];
	struct local_sender known[LOCAL_KNOWN_SENDERS];

	uint64_t sent, received, deferred, dropped, refused, invalid; /* counters */
	struct mmsghdr messages[LOCAL_BURST];
	struct iovec vectors[LOCAL_BURST];
	struct sockaddr_un senders[LOCAL_BURST];
	uint8_t datagrams[LOCAL_BURST][LOCAL_DATAGRAM_BYTES] __attribute__((aligned(8)));
};

static inline struct local_link *local_of(const struct link *link)
{
	return (struct local_link *)link;
}

static inline uint32_t local_hash(const struct net_ip *ip, uint16_t port)
{
	return (uint32_t)(((ip->q[0] ^ ip->q[1] ^ port) * 0x9e3779b97f4a7c15ull) >> 32);
}

/* The socket that has claimed the port, for the address itself or (unless `exact`) for all; NULL: none. */
struct local_socket *local_socket_find(struct local_link *local, const struct net_ip *ip, uint16_t port,
				       bool exact);

/* The `index`-th name under which `endpoint` may be served; false when there is no further one. */
bool local_name_get(const struct net_endpoint *endpoint, unsigned index, struct local_name *name);

/* Two of struct link_ops (link.h). */
int local_send(struct link *link, const struct link_destination *to, uint8_t protocol, uint8_t traffic_class,
	       const void *header, uint32_t header_length, const void *payload, uint32_t payload_length);
void local_flush(struct link *link);
/* Drops what waits to be sent from `socket`, and forgets receivers that nothing waits for. */
void local_forget(struct local_link *local, const struct local_socket *socket);

#endif
