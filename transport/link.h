/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the engine and what moves frames: a network device under XDP and
 * AF_XDP (xsk.c), or the path to other processes of this host (local.c). A link moves
 * whole IP packets' worth of data between a network and the protocol; it neither
 * retransmits nor orders.
 *
 * A link is used by one thread at a time.
 */
#ifndef TERN_LINK_H
#define TERN_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_ip.h"

struct link;

/* Where a packet goes, resolved: everything a link needs to build what precedes the payload. */
struct link_destination {
	struct net_ip local;
	struct net_ip remote;
	uint8_t local_mac[6];
	uint8_t remote_mac[6];
};

/* A received packet: what follows the IP header. Valid until the next receive. */
struct link_packet {
	struct net_ip source;
	struct net_ip destination;
	uint8_t protocol;     /* IP protocol, after IPv6 extension headers */
	uint8_t traffic_class; /* TOS or traffic class, ECN in the low two bits */
	const uint8_t *data;
	uint32_t length;      /* bytes */
	uint8_t where;        /* enum link_payload */
	/*
	 * Where the bytes after the header are, unless they follow it. Of LINK_BUFFER the
	 * receiver keeps the memory by setting this to NULL; of LINK_PLACED it says so
	 * that it has counted the bytes as received. What it leaves is the link's again.
	 */
	uint8_t *payload;
	uint32_t placement;   /* LINK_PLACED: the record's handle (placements.h) */
};

enum link_payload {
	LINK_FOLLOWS, /* the header */
	LINK_BUFFER,  /* at the start of a buffer of their own, out of the arena */
	LINK_PLACED,  /* in their place in the message, where XDP has put them */
};

struct link_ops {
	/*
	 * Queues one packet: IP header (protocol, traffic class) and what is below it are
	 * built by the link; `header` and `payload` follow. 0, or -ENOBUFS when the link's
	 * queue is full even after a flush (the packet is dropped and counted), or
	 * -EMSGSIZE when it is longer than the link's MTU.
	 */
	int (*send)(struct link *link, const struct link_destination *to, uint8_t protocol,
		    uint8_t traffic_class, const void *header, uint32_t header_length, const void *payload,
		    uint32_t payload_length);
	/* Sends what is queued. To be called once per round of the engine's loop. */
	void (*flush)(struct link *link);
	/* Receives up to `max` packets. Their memory is recycled by the next call. */
	unsigned (*receive)(struct link *link, struct link_packet *packets, unsigned max);
	/*
	 * Takes back what the receiver left (link_packet.payload) of the last receive's packets,
	 * all `count` of them: to be called when they have been dealt with, before the next
	 * receive. NULL: there is nothing to take back.
	 */
	void (*release)(struct link *link, const struct link_packet *packets, unsigned count);
	/* Readable (POLLIN) when receive has something and the link is watched; -1 never. */
	int (*fd)(const struct link *link);
	/*
	 * Whether fd is to become readable: that may cost each packet's sender something. True
	 * if there is something to receive already. NULL: it always does.
	 */
	bool (*watch)(struct link *link, bool on);
	/* "native xdp, copy mode, queue 0 of 1, kernel 6.18" */
	void (*describe)(const struct link *link, char *buffer, size_t size);
	void (*counters)(struct link *link, void (*each)(void *ctx, const char *name, uint64_t value),
			 void *ctx);
	void (*close)(struct link *link);
};

/* Every link starts with this. */
struct link {
	const struct link_ops *ops;
	uint32_t mtu;     /* bytes of IP packet */
	uint32_t max_mtu; /* what it can become: beyond, the link has to be opened anew. 0 for the local link */
	int ifindex;      /* 0 for the local link */
	int failed;       /* 0, or -ENODEV once the device is gone: the link is then only good for close */
};

#endif
