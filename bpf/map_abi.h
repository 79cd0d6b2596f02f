/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The layout of what the BPF programs and the engine share in maps. Both sides compile
 * this file; nothing else describes a map's value.
 *
 *	map            type                key        value
 *	sockets        XSKMAP              rx queue   AF_XDP socket
 *	counters       PERCPU_ARRAY        0          struct datapath_counters
 *
 * The in-place tier has, besides (all ARRAYs are mmapable):
 *
 *	arena          ARRAY               chunk      ARENA_STRIDE bytes: messages
 *	receive_rings  ARRAY               rx queue   struct receive_ring
 *	placements     ARRAY               0          struct placement_table
 *	running        ARRAY               CPU        struct datapath_running
 *	wake           RINGBUF             -          a byte, for whoever sleeps
 *	send_ring      ARRAY               0          struct send_ring
 *	senders        ARRAY               0          struct send_rights
 *	egress_counters PERCPU_ARRAY       0          struct datapath_counters
 *	to_device_N    DEVMAP              0..N-1     the device, N times (N = 1, 2, 4, ... 64)
 *
 * A field has one writer, named beside it; what is not said to be atomic is published by
 * the counter that its writer moves on afterwards.
 *
 * Values only grow at their end, and each has room kept, so that a program and an
 * engine that differ in what they count still agree on where.
 */
#ifndef TERN_MAP_ABI_H
#define TERN_MAP_ABI_H

#include <linux/types.h>

/*
 * What becomes of a frame, with the name under which it is counted. Every frame counts
 * once. The order of the last five is that of enum homa_verdict.
 */
#define DATAPATH_COUNTERS(X)                                                                             \
	X(PASS, xdp_pass)                        /* not ours: left to the kernel */                      \
	X(STEER, xdp_steer)                      /* valid: given to the queue's AF_XDP socket */         \
	X(DROP_NO_SOCKET, xdp_drop_no_socket)    /* valid, but the queue has no socket */                \
	X(DROP_NOT_FOR_US, xdp_drop_not_for_us)  /* Ethernet destination is not the device's address */  \
	X(DROP_VLAN, xdp_drop_vlan)              /* behind a VLAN tag */                                 \
	X(DROP_IP_HEADER, xdp_drop_ip_header)    /* IP version or header length is wrong */              \
	X(DROP_IP_OPTIONS, xdp_drop_ip_options)  /* IPv4 options, IPv6 extension headers */              \
	X(DROP_FRAGMENT, xdp_drop_fragment)      /* any fragment of a packet */                          \
	X(DROP_IP_LENGTH, xdp_drop_ip_length)    /* IP length above what the frame holds, or too small */ \
	X(DROP_IP_CHECKSUM, xdp_drop_ip_checksum)                                                        \
	X(DROP_ADDRESS, xdp_drop_address)        /* source or destination is no unicast address */       \
	X(DROP_SHORT, xdp_drop_short)            /* shorter than the header of its type */               \
	X(DROP_BAD_TYPE, xdp_drop_bad_type)                                                              \
	X(DROP_BAD_PORT, xdp_drop_bad_port)                                                              \
	X(DROP_BAD_LENGTH, xdp_drop_bad_length)  /* message length */                                    \
	X(DROP_BAD_OFFSET, xdp_drop_bad_offset)  /* bytes outside the message */

/*
 * The same for what the in-place tier delivers; each of these frames counts as one of
 * them, or as STEER if it goes to the AF_XDP socket after all.
 */
#define DATAPATH_IN_PLACE_COUNTERS(X)                                                                    \
	X(DELIVER, xdp_deliver)            /* put into the receive ring, bytes in a buffer of their own */ \
	X(PLACE, xdp_place)                /* the same, bytes at their place in the message */           \
	X(DROP_DUPLICATE, xdp_drop_duplicate) /* bytes that were put in their place before */

enum datapath_counter {
#define X(id, name) DATAPATH_##id,
	DATAPATH_COUNTERS(X)
#undef X
	DATAPATH_COUNTERS_USED,
	DATAPATH_BEFORE_IN_PLACE = DATAPATH_COUNTERS_USED - 1,
#define X(id, name) DATAPATH_##id,
	DATAPATH_IN_PLACE_COUNTERS(X)
#undef X
	DATAPATH_ALL_COUNTERS_USED
};

#define DATAPATH_COUNTERS_MAX 64 /* a power of two */

struct datapath_counters {
	__u64 value[DATAPATH_COUNTERS_MAX];
};

_Static_assert(sizeof(struct datapath_counters) == 512, "datapath_counters");
_Static_assert(DATAPATH_ALL_COUNTERS_USED <= DATAPATH_COUNTERS_MAX, "counters fit");

/* ---- the arena: memory of messages, which both the programs and the engine read and write ---- */

/*
 * Chunks, each followed by so much that a frame's worth, begun anywhere in a chunk,
 * stays inside the map's value: that is what the verifier asks for. No buffer crosses
 * a chunk's end.
 *
 * A place is a byte of the arena: chunk << ARENA_CHUNK_SHIFT | offset within the chunk.
 */
#define ARENA_CHUNK_SHIFT 20
#define ARENA_CHUNK_BYTES (1u << ARENA_CHUNK_SHIFT)
#define ARENA_STRIDE      (ARENA_CHUNK_BYTES + 4096)
#define ARENA_MAX_CHUNKS  4095
#define ARENA_NOWHERE     0xffffffffu

/* ---- receiving ---- */

/* What of it is switched on, as the first two of enum tern_datapath_part. */
#define DELIVER_TO_RING  1
#define DELIVER_IN_PLACE 2 /* messages are put together; takes DELIVER_TO_RING */

#define RECEIVE_RING_ENTRIES 1024 /* a power of two */
#define RECEIVE_HEADER_BYTES 80   /* the longest of Homa's headers, and all of a control packet */

enum received_flag {
	RECEIVED_IN_BUFFER = 1, /* DATA: its bytes are at `place`, the start of a buffer that is the engine's now */
	RECEIVED_PLACED = 2,    /* DATA: its bytes are at `place`, in the message of `placement` */
	RECEIVED_V4 = 4,        /* the addresses are IPv4-mapped */
};

/* One packet: two cache lines. */
struct received {
	__u32 place;
	__u16 length;         /* of the packet, from the Homa header on */
	__u8 flags;           /* enum received_flag */
	__u8 traffic_class;
	__u8 source[16];
	__u8 destination[16];
	__u8 header[RECEIVE_HEADER_BYTES]; /* the packet's first bytes, `length` of them at most */
	__u32 placement;      /* RECEIVED_PLACED: the record's handle, as it was when the bytes were placed */
	__u8 protocol;
	__u8 pad[3];
};

/*
 * Of one receive queue, which one CPU serves at a time: there is one producer. Counters
 * run freely; an entry is at its counter modulo the ring's size.
 */
struct receive_ring {
	/* Each group is a cache line: what one side moves on, the other's spinning must not slow down. */
	__u64 produced;     /* program: entries; the engine looks at it all the time */
	__u64 pad0[7];
	__u64 buffers_used; /* program: of `buffers` */
	__u64 consumed_seen; /* program: `consumed` and */
	__u64 buffers_seen;  /* `buffers_given`, as they were when they were last needed */
	__u64 pad1[5];
	__u64 consumed;     /* engine: entries */
	__u64 buffers_given; /* engine: of `buffers`, never more than RECEIVE_RING_ENTRIES unused */
	__u64 pad2[6];
	__u32 sleeping;     /* engine: it wants to be woken; program: 0 when it has done so; atomic */
	__u32 pad3[15];
	__u32 buffers[RECEIVE_RING_ENTRIES]; /* engine: places of free buffers */
	struct received entries[RECEIVE_RING_ENTRIES];
};

/*
 * Messages of several packets that the programs put together. The engine makes and ends
 * records; the programs claim segments by setting their bits, with an atomic OR. A bit
 * that is set already means a duplicate. A set bit says that the bytes are about to be,
 * or have been, put in their place; the entry in a receive ring says that they are there.
 */
#define PLACEMENT_WAYS     4
#define PLACEMENT_BUCKETS  1024 /* a power of two */
#define PLACEMENT_SEGMENTS 1024 /* messages of more are put together by the engine */
#define PLACEMENT_INDEX_BITS 12 /* of a handle */

struct placement {
	__u64 id;           /* sender_id as on the wire; 0: vacant. Written last, and cleared first */
	__u8 source[16];
	__be16 sport;
	__be16 dport;
	__u32 place;        /* of the message's first byte */
	__u32 length;       /* of the message */
	__u32 segment;      /* bytes: packets begin at multiples of it, counted anew from unscheduled on, */
	__u32 unscheduled;  /* and end where the next begins; 0 or at least `length`: no such boundary */
	__u32 unscheduled_segments; /* segments before that boundary */
	__u32 handle;       /* index in the table, and above PLACEMENT_INDEX_BITS how often it was used */
	__u32 pad[3];
	__u64 claimed[PLACEMENT_SEGMENTS / 64]; /* atomic */
};

struct placement_table {
	__u64 key; /* of placement_bucket's hash */
	__u64 pad[7];
	struct placement records[PLACEMENT_BUCKETS * PLACEMENT_WAYS];
};

_Static_assert(PLACEMENT_BUCKETS * PLACEMENT_WAYS == 1 << PLACEMENT_INDEX_BITS, "every index fits");

/* The first of the records in which a message's can be. */
static inline __u32 placement_bucket(__u64 key, const __u8 source[16], __u64 id)
{
	const __u64 __attribute__((may_alias)) *words = (const void *)source;
	__u64 hash = (id ^ key) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ (hash >> 32) ^ words[1]) * 0xff51afd7ed558ccdull;
	hash = (hash ^ (hash >> 32) ^ words[0]) * 0xc4ceb9fe1a85ec53ull;
	return (hash >> 40) % PLACEMENT_BUCKETS * PLACEMENT_WAYS;
}

/*
 * Odd while the program on that CPU may write into a message: what is being ended is not
 * touched any more once each counter has been seen even, or to move.
 */
struct datapath_running {
	__u64 count; /* program, of that CPU */
	__u64 pad[7];
};

/* ---- sending ---- */

#define SEND_RING_ENTRIES 256 /* a power of two; a veth takes no more frames at once */
#define SEND_HEADER_BYTES 184 /* and the payload, if that is short: a call of 64 bytes fits */
#define SEND_MAX_FRAME    3456 /* bytes: what a clone, or a tap without an skb, can hold */
#define SEND_PUMP_MAX     63   /* frames a doorbell */

struct send_entry {
	__u32 place;          /* of the payload */
	__u16 payload_length; /* may be 0 */
	__u16 header_length;
	__u8 header[SEND_HEADER_BYTES]; /* Ethernet, IP, Homa */
};

/* Only touched while a doorbell rings, on its writer's CPU, with the bottom halves off. */
struct send_ring {
	__u64 produced;  /* engine */
	__u64 pad0[7];
	__u64 consumed;  /* program */
	__u32 surplus;   /* program: clones of the doorbell under way that are too many */
	__u32 expected;  /* program: entries that its other clones are to become */
	__u32 refused;   /* program: some of them were not sent */
	__u32 pad1;
	__u64 pad2[5];
	struct send_entry entries[SEND_RING_ENTRIES];
};

/* The type of the frame that is a doorbell: one for local experiments (IEEE 802). */
#define SEND_DOORBELL_TYPE  0x88b6
#define SEND_DOORBELL_BYTES 64 /* fewer do, down to an Ethernet header; each copy costs for more */

/* The ports from which may be sent. */
struct send_rights {
	__u64 ports[1024]; /* engine: bit port % 64 of word port / 64 */
};

#define EGRESS_COUNTERS(X)                                                                               \
	X(SENT, egress_sent)                                                                             \
	X(DROP_MALFORMED, egress_drop_malformed) /* no whole Homa packet */                              \
	X(DROP_NOT_OWNER, egress_drop_not_owner) /* address or port that the sender does not own */      \
	X(DROP_FAILED, egress_drop_failed)       /* no room in the frame, or nothing to fill it with */

enum egress_counter {
#define X(id, name) EGRESS_##id,
	EGRESS_COUNTERS(X)
#undef X
	EGRESS_COUNTERS_USED
};

_Static_assert(sizeof(struct received) == 128, "received");
_Static_assert(sizeof(struct placement) == 192, "placement");
_Static_assert(sizeof(struct send_entry) == 192, "send_entry");
_Static_assert(__builtin_offsetof(struct receive_ring, consumed) == 128 &&
		   __builtin_offsetof(struct receive_ring, buffers) == 256,
	       "receive_ring");
_Static_assert(__builtin_offsetof(struct send_ring, consumed) == 64 &&
		   __builtin_offsetof(struct send_ring, entries) == 128,
	       "send_ring");

#endif
