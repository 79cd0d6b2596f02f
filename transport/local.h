/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link to processes of the same host, this one included: Unix datagram sockets in
 * the abstract namespace, which belongs to the network namespace and needs no privilege
 * and no file. Every address and port that is served or called from has a socket, named
 *
 *	tern-homa/ADDRESS/PORT		e.g. tern-homa/127.0.0.1/4000, tern-homa/::/4000
 *
 * where 0.0.0.0 stands for every IPv4 address and :: for every one. So binding the name
 * is also the claim of the port on this host, which ends with the process. A datagram
 * is one packet: struct local_header, then what follows the IP header on a network. The
 * sender's name is checked against the packet: a process speaks only for what it claimed.
 */
#ifndef TERN_LOCAL_H
#define TERN_LOCAL_H

#include "link.h"

#define LOCAL_MTU            16384 /* bytes of IP packet: large, so that a message is few system calls */
#define LOCAL_BURST          16    /* datagrams received at a time; the kernel's queues hold 11 by default */
#define LOCAL_SEND_BYTES     (4 << 20) /* of unread datagrams a socket, as far as net.core.wmem_max allows */
#define LOCAL_PENDING        2048  /* packets that wait because their receiver's queue is full */
#define LOCAL_TARGETS        4096  /* receivers whose name is remembered */
#define LOCAL_TARGET_BUCKETS 256   /* a power of two */
#define LOCAL_RETRY_NS       20000ull /* between two attempts at a full queue */

struct local_link_options {
	/*
	 * Nobody has `remote` and the port that `header` (from the common header on) names.
	 * May be called from inside send and flush.
	 */
	void (*refused)(void *ctx, const struct net_ip *remote, const void *header, uint32_t length);
	void *ctx;
};

/* 0 and *link, or -ENOMEM, -EMFILE ... */
int local_link_open(const struct local_link_options *options, struct link **link);
/*
 * Claims an address (or an any-address) and a port, and receives what is sent there. 0;
 * -EADDRINUSE when another process, or this one, has it; -ENOMEM, -EMFILE ...
 */
int local_link_bind(struct link *link, const struct net_endpoint *endpoint);
void local_link_unbind(struct link *link, const struct net_endpoint *endpoint);
/* Packets wait for a receiver: flush is to be called again after LOCAL_RETRY_NS. */
bool local_link_pending(const struct link *link);

#endif
