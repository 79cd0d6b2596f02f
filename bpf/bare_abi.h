/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the bare limit's programs (bare.bpf.c) and its benchmark share: no protocol, only
 * the two tricks that the in-place tier rests on, at their cheapest.
 */
#ifndef BARE_ABI_H
#define BARE_ABI_H

#include <linux/types.h>

#include "net_headers.h"

/* Types of frames for local experiments (IEEE 802). */
#define BARE_TYPE          0x88b5
#define BARE_DOORBELL_TYPE 0x88b6

#define BARE_SLOTS      256u  /* of a ring; a veth takes no more frames at once */
#define BARE_SLOT_MAX   2048u /* bytes */
#define BARE_AREA_BYTES (1u << 20)
#define BARE_MAX_FRAME  3456u /* what a clone of a doorbell can hold */
#define BARE_PUMP_MAX   63u   /* frames a doorbell */

enum bare_kind {
	BARE_ECHO = 1, /* the whole frame is put into the receiver's ring */
	BARE_PART,     /* of a message: its bytes are put into the receiver's area */
	BARE_LAST,     /* the same, and the header into the ring */
};

struct bare_frame {
	struct net_ethernet ethernet;
	__u8 kind;
	__u8 pad;
	__u32 place; /* in the area. In the sender's order, like all that follows */
	__u32 parts; /* of the message */
	__u64 id;
} __attribute__((packed, aligned(2)));

struct bare_slot {
	__u32 length; /* of `bytes` */
	__u32 place;  /* sending: in the area, `more` bytes that follow */
	__u32 more;
	__u32 pad;
	__u8 bytes[];
};

/* Slots are slot_bytes apart, no more than the frames need, so that few cache lines are used. */
struct bare_ring {
	__u64 produced;
	__u64 parts;    /* receiving: BARE_PART and BARE_LAST frames so far */
	__u64 pad0[6];
	__u64 consumed;
	__u32 surplus;  /* sending: clones that are too many */
	__u32 pad1;
	__u64 pad2[6];
	__u8 slots[(BARE_SLOTS + 2) * BARE_SLOT_MAX];
};

/* What follows the last byte is there so that a frame's worth fits behind any place. */
struct bare_area {
	__u8 bytes[BARE_AREA_BYTES + 4096];
};

_Static_assert(sizeof(struct bare_frame) == 32, "bare_frame");
_Static_assert(sizeof(struct bare_slot) == 16, "bare_slot");

#endif
