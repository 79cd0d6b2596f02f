/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP for Homa, both ways, through the kernel's stack (raw sockets): errors that others
 * send about our packets, and "port unreachable" about theirs.
 */
#ifndef TERN_ICMP_H
#define TERN_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "homa.h"
#include "net_ip.h"
#include "rate_limit.h"

#define ICMP_RATE         100  /* errors sent a second, in the long run */
#define ICMP_BURST        50   /* and at once */
#define ICMP_READS        32   /* messages taken from a socket at a time */
#define ICMP_BUFFER_BYTES 2048 /* of one message; what is longer is of no interest */

struct icmp {
	/* -1 without the privilege (CAP_NET_RAW): then nothing is received or sent. */
	int fd_v4, fd_v6;
	/*
	 * Raw sockets of Homa's protocol that receive nothing. While they are open, the kernel
	 * does not answer a Homa packet that reaches it (by a device that is not ours, or
	 * while the XDP program is being attached) with "protocol unreachable", upon which a
	 * Linux Homa peer would abort every RPC with this host.
	 */
	int silencer_v4, silencer_v6;
	struct rate_limit limit;
	uint64_t received, ignored, sent, limited; /* counters */
};

enum icmp_what { ICMP_WHAT_PORT, ICMP_WHAT_PROTOCOL, ICMP_WHAT_HOST, ICMP_WHAT_TOO_BIG };

/* An ICMP error about one of our packets. */
struct icmp_error {
	enum icmp_what what;
	struct net_ip local; /* from the quoted packet; link-local ones without scope */
	struct net_ip remote;
	uint32_t mtu;        /* TOO_BIG: bytes of IP packet, 0: not told */
	const uint8_t *quoted; /* the quoted packet from the Homa header on */
	uint32_t quoted_length;
};

/*
 * Reads an ICMP message: for IPv4 from the outer IP header on, for IPv6 from the ICMPv6
 * header on (as raw sockets give them). False unless it is an error that quotes a Homa packet.
 */
bool icmp_parse_v4(const uint8_t *data, size_t length, struct icmp_error *error);
bool icmp_parse_v6(const uint8_t *data, size_t length, struct icmp_error *error);

/* Opens the sockets; what cannot be opened is left out. */
void icmp_open(struct icmp *icmp);
void icmp_close(struct icmp *icmp);

/* Gives the errors that have arrived to `each`; `ifindex`: by which device, 0: unknown. How many messages. */
int icmp_receive(struct icmp *icmp, void (*each)(void *ctx, const struct icmp_error *error, int ifindex),
		 void *ctx);

/* Answers a packet with "port unreachable", unless the limit is reached or its source cannot be answered. */
void icmp_send_port_unreachable(struct icmp *icmp, uint64_t now_ns, const struct homa_packet_in *packet);

#endif
