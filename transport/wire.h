/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Homa's packets as the Linux Homa module (main line of 2026) sends and accepts
 * them. Every multi-byte field is big-endian. Shared by the BPF programs, the engine,
 * the simulator and the tools: includes nothing but <linux/types.h>.
 *
 * A packet is an IP header with protocol HOMA_IPPROTO, then homa_common_header, then
 * what its type adds. The first 20 bytes have the shape of a TCP header, so that NICs
 * treat the packet well; with "TCP hijacking" the IP protocol even says TCP, and flags
 * and urgent tell Homa from TCP (homa_is_hijacked).
 */
#ifndef TERN_WIRE_H
#define TERN_WIRE_H

#include <linux/types.h>

#ifdef __cplusplus
#define TERN_WIRE_ASSERT static_assert
#else
#define TERN_WIRE_ASSERT _Static_assert
#endif

#define HOMA_IPPROTO 146            /* IANA, for IPv4 and as IPv6 next header */
#define HOMA_MAX_MESSAGE 1000000u   /* bytes; a message has 1..HOMA_MAX_MESSAGE */
#define HOMA_MIN_CLIENT_PORT 0x8000 /* 1..0x7fff are servers' ports */
#define HOMA_PRIORITIES 8           /* levels; 7 is the highest */
#define HOMA_ACKS_PER_PACKET 5      /* ids in one ACK packet, besides its own */
#define HOMA_HIJACK_FLAGS 0x06      /* SYN|RST: no real TCP segment has both */
#define HOMA_HIJACK_URGENT 0xb97d
#define HOMA_DOFF_DATA 0xe0         /* 14 words */
#define HOMA_DOFF_CONTROL 0x50      /* 5 words */
#define HOMA_OFFSET_IN_SEQUENCE 0xffffffffu /* segment offset that says "see sequence" */
#define HOMA_RESEND_ALL 0xffffffffu /* RESEND length: everything sent so far */

enum homa_packet_type {
	HOMA_DATA = 0x10,
	HOMA_GRANT = 0x11,
	HOMA_RESEND = 0x12,
	HOMA_RPC_UNKNOWN = 0x13,
	HOMA_BUSY = 0x14,
	HOMA_CUTOFFS = 0x15,
	HOMA_FREEZE = 0x16,
	HOMA_NEED_ACK = 0x17,
	HOMA_ACK = 0x18,
};
#define HOMA_TYPE_FIRST HOMA_DATA
#define HOMA_TYPE_LAST HOMA_ACK

struct homa_common_header {
	__be16 sport;
	__be16 dport;
	__be32 sequence; /* DATA: message offset of the first byte */
	__u8 ack[3];     /* ours: incarnation of the sender; 0 from Linux Homa, which ignores it */
	__u8 type;       /* enum homa_packet_type */
	__u8 doff;       /* senders fill it, receivers ignore it */
	__u8 flags;
	__be16 window;   /* ours: age of that incarnation, ms, at most 65535; 0 and ignored as above */
	__be16 checksum; /* never verified */
	__be16 urgent;
	__be64 sender_id; /* RPC id as the sender knows it: even from the client, odd from the server */
} __attribute__((packed));

struct homa_ack_entry {
	__be64 client_id; /* even id of a finished RPC, 0 = none */
	__be16 server_port;
} __attribute__((packed));

struct homa_data_header {
	struct homa_common_header common;
	__be32 message_length;
	__be32 incoming; /* bytes that come without a further grant, from the start of the message */
	struct homa_ack_entry ack;
	__be16 cutoff_version; /* of the last CUTOFFS from this destination, 0 = none */
	__u8 retransmit;
	__u8 pad[3]; /* ours, in requests: incarnation that the server had when it was begun, 0 = unknown */
	__be32 segment_offset; /* or HOMA_OFFSET_IN_SEQUENCE */
} __attribute__((packed));

struct homa_grant_header {
	struct homa_common_header common;
	__be32 offset; /* bytes below this may be sent */
	__u8 priority;
} __attribute__((packed));

struct homa_resend_header {
	struct homa_common_header common;
	__be32 offset;
	__be32 length; /* bytes, or HOMA_RESEND_ALL */
	__u8 priority; /* absent from builds without priorities: accept HOMA_RESEND_MIN bytes */
} __attribute__((packed));
#define HOMA_RESEND_MIN 36

struct homa_cutoffs_header {
	struct homa_common_header common;
	__be32 cutoffs[HOMA_PRIORITIES]; /* [i]: longest message whose unscheduled bytes use level i */
	__be16 version;
} __attribute__((packed));

struct homa_ack_header {
	struct homa_common_header common; /* its own RPC is acknowledged too */
	__be16 count;
	struct homa_ack_entry acks[HOMA_ACKS_PER_PACKET]; /* always all of them on the wire */
} __attribute__((packed));

#define HOMA_MAX_HEADER sizeof(struct homa_ack_header)

TERN_WIRE_ASSERT(sizeof(struct homa_common_header) == 28, "common header");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_common_header, type) == 11, "type");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_common_header, urgent) == 18, "urgent");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_common_header, sender_id) == 20, "sender_id");
TERN_WIRE_ASSERT(sizeof(struct homa_data_header) == 56, "DATA");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_data_header, ack) == 36, "ack");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_data_header, cutoff_version) == 46, "cutoff_version");
TERN_WIRE_ASSERT(__builtin_offsetof(struct homa_data_header, segment_offset) == 52, "segment_offset");
TERN_WIRE_ASSERT(sizeof(struct homa_grant_header) == 33, "GRANT");
TERN_WIRE_ASSERT(sizeof(struct homa_resend_header) == 37, "RESEND");
TERN_WIRE_ASSERT(sizeof(struct homa_cutoffs_header) == 62, "CUTOFFS");
TERN_WIRE_ASSERT(sizeof(struct homa_ack_header) == 80, "ACK");

#endif
