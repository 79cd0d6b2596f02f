/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files of Homa packets in their frames. Any failure ends the program. */
#ifndef TERN_TESTS_CAPTURES_H
#define TERN_TESTS_CAPTURES_H

#include <stdbool.h>
#include <stddef.h>

#define CAPTURES_MAX_PACKET 1600 /* bytes, from Homa's header on */

/* What is around a packet. Zero: Ethernet, IPv4, protocol 146. */
struct framing {
	bool ipv6;
	bool hijacked;   /* IP protocol 6 */
	bool hop_by_hop; /* IPv6: an options header before Homa's */
	int vlan_tags;
};

/* Files go into `directory`; captures_open begins the next, NAME.pcap, and ends the last. */
void captures_begin(const char *directory);
void captures_open(const char *name);
void captures_end(void);

/* A frame with `packet`, from the client if its source port is a client's. */
void captures_put(const struct framing *framing, const void *packet, size_t bytes);

/* The same, of which `captured` bytes of the packet were captured. */
void captures_put_cut(const struct framing *framing, const void *packet, size_t bytes, size_t captured);

/* An ICMP port unreachable of the server that quotes `quoted` bytes of the client's packet. */
void captures_put_icmp(const struct framing *framing, const void *packet, size_t bytes, size_t quoted);

#endif
