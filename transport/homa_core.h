/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Homa's decisions that are pure arithmetic: compiled into the BPF programs, the engine
 * and the simulator from this one source. No clock, no memory, no I/O.
 */
#ifndef TERN_HOMA_CORE_H
#define TERN_HOMA_CORE_H

#include "wire.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define wire16(x) __builtin_bswap16(x)
#define wire32(x) __builtin_bswap32(x)
#define wire64(x) __builtin_bswap64(x)
#else
#define wire16(x) (x)
#define wire32(x) (x)
#define wire64(x) (x)
#endif

/* What is wrong with a packet that claims to be Homa's; each has a drop counter. */
enum homa_verdict {
	HOMA_OK = 0,
	HOMA_SHORT,        /* shorter than its type's header */
	HOMA_BAD_TYPE,     /* type outside HOMA_TYPE_FIRST..HOMA_TYPE_LAST */
	HOMA_BAD_PORT,     /* source or destination port 0 (FREEZE excepted) */
	HOMA_BAD_LENGTH,   /* DATA: message length 0 or above HOMA_MAX_MESSAGE */
	HOMA_BAD_OFFSET,   /* DATA: bytes outside the message, or no bytes at all */
	HOMA_VERDICTS
};

/*
 * Least bytes of a packet of `type`, from the common header on; 0 for a type that
 * does not exist. RESEND: 36, as builds of Linux Homa without priorities send it.
 */
static inline __u32 homa_header_bytes(__u8 type)
{
	switch (type) {
	case HOMA_DATA:
		return sizeof(struct homa_data_header);
	case HOMA_GRANT:
		return sizeof(struct homa_grant_header);
	case HOMA_RESEND:
		return HOMA_RESEND_MIN;
	case HOMA_CUTOFFS:
		return sizeof(struct homa_cutoffs_header);
	case HOMA_ACK:
		return sizeof(struct homa_ack_header);
	case HOMA_RPC_UNKNOWN:
	case HOMA_BUSY:
	case HOMA_FREEZE:
	case HOMA_NEED_ACK:
		return sizeof(struct homa_common_header);
	default:
		return 0;
	}
}

/* True for a TCP segment (IP protocol 6) that is a Homa packet in disguise. */
static inline __u8 homa_is_hijacked(const struct homa_common_header *h)
{
	return h->flags == HOMA_HIJACK_FLAGS && h->urgent == wire16(HOMA_HIJACK_URGENT);
}

/*
 * Offset in the message of a DATA packet's first byte. Linux Homa puts it in
 * `sequence` (then segment_offset is all ones), in segment_offset alone (software
 * segmentation), or in both (retransmissions, and everything that we send).
 */
static inline __u32 homa_data_offset(const struct homa_data_header *h)
{
	__u32 offset = wire32(h->segment_offset);

	return offset != HOMA_OFFSET_IN_SEQUENCE ? offset : wire32(h->common.sequence);
}

/* A number of 24 bits, as incarnations are. */
static inline __u32 homa_get24(const __u8 bytes[3])
{
	return (__u32)bytes[0] << 16 | (__u32)bytes[1] << 8 | bytes[2];
}

static inline void homa_put24(__u8 bytes[3], __u32 value)
{
	bytes[0] = (__u8)(value >> 16);
	bytes[1] = (__u8)(value >> 8);
	bytes[2] = (__u8)value;
}

/* Checks a packet before any table is looked at. `length`: bytes from `h` to the end of
 * the IP payload; at least `length` bytes are readable at `h`. */
static inline enum homa_verdict homa_check_common(const struct homa_common_header *h, __u32 length)
{
	__u32 least;

	if (length < sizeof(*h))
		return HOMA_SHORT;
	least = homa_header_bytes(h->type);
	if (!least)
		return HOMA_BAD_TYPE;
	if (length < least)
		return HOMA_SHORT;
	if ((!h->sport || !h->dport) && h->type != HOMA_FREEZE)
		return HOMA_BAD_PORT;
	return HOMA_OK;
}

/* The further checks of a DATA packet that has passed homa_check_common. */
static inline enum homa_verdict homa_check_data(const struct homa_data_header *h, __u32 length)
{
	__u32 message_length = wire32(h->message_length);
	__u32 offset = homa_data_offset(h);
	__u32 payload = length - (__u32)sizeof(*h);

	if (!message_length || message_length > HOMA_MAX_MESSAGE)
		return HOMA_BAD_LENGTH;
	if (!payload || offset >= message_length || payload > message_length - offset)
		return HOMA_BAD_OFFSET;
	return HOMA_OK;
}

/*
 * Segment boundaries of a message, fixed when it is first sent: Linux Homa discards a
 * packet that overlaps received data only in part, so that retransmissions must keep
 * them. Every `payload` bytes, with one extra boundary at `unscheduled`, from which
 * the count restarts.
 */
static inline __u32 homa_segment_start(__u32 offset, __u32 unscheduled, __u32 payload)
{
	__u32 base = offset >= unscheduled ? unscheduled : 0;

	return base + (offset - base) / payload * payload;
}

/* End (exclusive) of the segment that starts at `start`, a segment boundary. */
static inline __u32 homa_segment_end(__u32 start, __u32 unscheduled, __u32 payload, __u32 message_length)
{
	__u32 end = start + payload;

	if (start < unscheduled && end > unscheduled)
		end = unscheduled;
	return end < message_length ? end : message_length;
}

/*
 * Priority of a message's unscheduled bytes: the highest level below `priorities` whose
 * cutoff still admits the length. Level 0 admits everything.
 */
static inline __u8 homa_unscheduled_priority(const __u32 cutoffs[HOMA_PRIORITIES], __u8 priorities,
					     __u32 message_length)
{
	__u8 i;

	for (i = priorities - 1; i > 0; i--)
		if (cutoffs[i] >= message_length)
			return i;
	return 0;
}

/*
 * Priority of a grant: `rank` is the message's place (0 = fewest bytes left) among the
 * `active` ones. While they fit, the lowest levels are used, so that a newcomer with a
 * shorter message finds a higher one free (SIGCOMM '18, 3.4).
 */
static inline __u8 homa_grant_priority(__u32 rank, __u32 active, __u32 max_scheduled_priority)
{
	if (active <= max_scheduled_priority + 1)
		return (__u8)(active - 1 - rank);
	return (__u8)(rank < max_scheduled_priority ? max_scheduled_priority - rank : 0);
}

/*
 * Bytes that one message may have granted but not received, with `active` messages
 * competing: the parameter `window` if set, otherwise max_incoming shared dynamically.
 */
static inline __u32 homa_grant_window(__u32 window, __u32 max_incoming, __u32 active)
{
	return window ? window : max_incoming / (active + 1);
}

#endif
