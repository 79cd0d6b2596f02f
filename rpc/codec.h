/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protobuf bodies that come from the network. protobuf-c's unpack trusts its input: it
 * recurses as deep as the message nests and allocates as much as the message asks for
 * (48 bytes for each 2 bytes of empty submessages). So a message is first walked against
 * its descriptor, without allocating; only what stays within the limits is unpacked.
 *
 * Refused although protobuf allows it: a submessage that is not repeated but occurs
 * twice. No serializer writes that; protobuf-c would merge the two, copying all arrays
 * each time, so that memory grows with the square of the message, and it fails when
 * they contain a oneof that is not set (1.4.1).
 *
 * Not checked: whether strings are UTF-8. The descriptors do not tell proto3, which
 * demands it, from proto2, which does not.
 */
#ifndef TERN_CODEC_H
#define TERN_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "tern.h"

#define CODEC_DEPTH_MAX     100         /* submessages within one another */
#define CODEC_BUDGET_FACTOR 4           /* default budget: 4 times the message ... */
#define CODEC_BUDGET_BASE   (64u << 10) /* ... and 64 KiB */

/* What was found wrong. */
struct codec_fault {
	enum tern_status
		status; /* INVALID_ARGUMENT: malformed or too deep; RESOURCE_EXHAUSTED: over the budget */
	char text[160];
};

/* `option`: bytes, 0 for the default. */
static inline uint64_t codec_budget(uint64_t option, size_t length)
{
	return option ? option : (uint64_t)length * CODEC_BUDGET_FACTOR + CODEC_BUDGET_BASE;
}

/*
 * Walks a message. 0 and what unpacking it will allocate at most, each allocation
 * rounded up to ARENA_ALIGNMENT; -EBADMSG and a fault.
 */
int codec_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
	       uint64_t budget, size_t *needed, struct codec_fault *fault);

/*
 * Walks and unpacks a message, by `allocator` (NULL: malloc). 0, or -EBADMSG and a
 * fault. What is returned is freed with free_unpacked and the same allocator.
 */
int codec_unpack(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator,
		 const uint8_t *data, size_t length, uint64_t budget, ProtobufCMessage **message,
		 struct codec_fault *fault);

/* The same into an arena, which is grown at most once. */
int codec_unpack_arena(const ProtobufCMessageDescriptor *descriptor, struct tern_arena *arena,
		       const uint8_t *data, size_t length, uint64_t budget, ProtobufCMessage **message,
		       struct codec_fault *fault);

#endif
