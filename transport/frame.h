/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: what precedes the payload of one that is sent, and a received one taken apart. */
#ifndef TERN_FRAME_H
#define TERN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"

#define FRAME_MAX_HEADER 54 /* Ethernet and IPv6 */

/*
 * Writes the Ethernet and IP header of a packet with `length` bytes after them to
 * `frame`, which is even. Returns their length: 34 (IPv4: don't fragment, id 0, TTL 64)
 * or 54 (IPv6: no flow label, hop limit 64).
 */
uint32_t frame_write_header(uint8_t *frame, const struct link_destination *to, uint8_t protocol,
			    uint8_t traffic_class, uint32_t length);

/*
 * Fills in the TCP checksum (RFC 9293, 3.1) of the segment of `length` bytes at
 * `segment`, at least a TCP header: for Homa packets that go as TCP.
 */
void frame_write_tcp_checksum(uint8_t *segment, uint32_t length, const struct link_destination *to);

/*
 * Takes apart a frame of `length` bytes at `frame` (even) that was received by the
 * device with address `mac`. False if it is not one that the XDP program would steer.
 */
bool frame_parse(const uint8_t *frame, uint32_t length, const uint8_t mac[6], struct link_packet *packet);

#endif
