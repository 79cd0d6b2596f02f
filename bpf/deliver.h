/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Delivery in place (map_abi.h): the bytes of DATA go where they stay, into a free buffer
 * or into the message that they belong to, and an entry in the queue's receive ring
 * tells the engine. Whatever cannot be delivered so is left to AF_XDP.
 *
 * All in shared memory may be changed by the engine at any time: what is read there
 * decides where in the maps is written, never that it is in the maps.
 */
#ifndef TERN_DELIVER_H
#define TERN_DELIVER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "map_abi.h"
#include "parse.h"

#define DELIVER_ID_AT       __builtin_offsetof(struct homa_common_header, sender_id)
#define DELIVER_MAX_PAYLOAD (ARENA_STRIDE - ARENA_CHUNK_BYTES) /* no frame holds more */

/* Set before load: bytes of a receive buffer, and what is switched on (DELIVER_*). */
const volatile __u32 buffer_bytes;
const volatile __u32 parts;
/* Whether this machine keeps stores in order, and loads too (x86): then no atomic is needed for that. */
const volatile __u8 total_store_order;

/* Where a map is not shared with other devices' programs, max_entries is set before load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, ARENA_STRIDE);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct receive_ring);
} receive_rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct placement_table);
} placements SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datapath_running);
} running SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} wake SEC(".maps");

/* The packet under way, and the entry that tells of it: free, but not yet published. */
struct delivery {
	struct xdp_md *ctx;
	const __u8 *packet; /* its Homa header */
	struct receive_ring *ring;
	struct received *entry;
	__u32 payload_offset; /* in the frame */
	__u32 payload;        /* bytes */
};

/* From any address, at once: field by field a packed header is read in bytes. */
static __always_inline __u64 load64(const void *at)
{
	return *(const volatile __u64 __attribute__((may_alias)) *)at;
}

static __always_inline __u32 load32(const void *at)
{
	return *(const volatile __u32 __attribute__((may_alias)) *)at;
}

/* What comes before is seen before, by all: unused, the result would cost the ordering. */
static __always_inline void add_ordered(__u64 *counter)
{
	__u64 before = __sync_fetch_and_add(counter, 1);

	asm volatile("" : : "r"(before));
}

/* The same, but that what comes after may be seen before. */
static __always_inline void add_released(__u64 *counter)
{
	if (total_store_order)
		*(volatile __u64 *)counter = *counter + 1;
	else
		add_ordered(counter);
}

/* For the same reason. `bytes` is a multiple of eight. */
static __always_inline void copy_words(void *to, const void *from, __u32 bytes)
{
	__u64 __attribute__((may_alias)) *word = to;

#pragma unroll
	for (__u32 i = 0; i < bytes / sizeof(*word); i++)
		word[i] = load64((const __u8 *)from + i * sizeof(*word));
}

/* Copies the payload to `place`. False if there is no such place, or the packet is too long. */
static __always_inline __u8 copy_payload(const struct delivery *delivery, __u32 place)
{
	__u32 chunk = place >> ARENA_CHUNK_SHIFT;
	__u64 at = place & (ARENA_CHUNK_BYTES - 1);
	__u64 last = delivery->payload - 1;
	__u8 *memory = bpf_map_lookup_elem(&arena, &chunk);

	/* Not to be simplified: the verifier wants a length of 1 at least in 64 bits. */
	asm volatile("" : "+r"(last));
	if (!memory || last >= DELIVER_MAX_PAYLOAD || at + last >= ARENA_CHUNK_BYTES)
		return 0;
	return !bpf_xdp_load_bytes(delivery->ctx, delivery->payload_offset, memory + at, last + 1);
}

static __always_inline __u8 is_of(const struct placement *record, const struct delivery *delivery)
{
	const __u8 *ours = delivery->entry->source;

	return load64(&record->id) == load64(delivery->packet + DELIVER_ID_AT) &&
	       load64(record->source) == load64(ours) && load64(record->source + 8) == load64(ours + 8) &&
	       load32(&record->sport) == load32(delivery->packet);
}

/* The number of the segment that these bytes are exactly, or PLACEMENT_SEGMENTS. */
static __always_inline __u32 segment_of(const struct placement *record, __u32 message_length, __u32 offset,
					__u32 bytes)
{
	__u32 segment = record->segment, unscheduled = record->unscheduled;
	__u32 base = 0, first = 0, limit = message_length, index;

	if (message_length != record->length || !segment)
		return PLACEMENT_SEGMENTS;
	if (offset < unscheduled) {
		if (unscheduled < limit)
			limit = unscheduled;
	} else if (unscheduled) {
		base = unscheduled;
		first = record->unscheduled_segments;
	}
	index = (offset - base) / segment;
	if (index * segment != offset - base)
		return PLACEMENT_SEGMENTS;
	if (bytes != (limit - offset < segment ? limit - offset : segment))
		return PLACEMENT_SEGMENTS;
	return first < PLACEMENT_SEGMENTS && index < PLACEMENT_SEGMENTS - first ? first + index
										: PLACEMENT_SEGMENTS;
}

/* While the CPU's counter is odd: DATAPATH_PLACE, _DROP_DUPLICATE, or _STEER if it cannot be done. */
static __always_inline enum datapath_counter place_in(struct placement *record, struct delivery *delivery)
{
	const struct homa_data_header *header = (const void *)delivery->packet;
	__u32 offset = homa_data_offset(header), number, place;
	__u64 bit;

	/* Found before, it may have been ended since; from now on it will not be unawares. */
	if (!is_of(record, delivery))
		return DATAPATH_STEER;
	number = segment_of(record, wire32(header->message_length), offset, delivery->payload);
	if (number >= PLACEMENT_SEGMENTS)
		return DATAPATH_STEER;
	bit = 1ull << number % 64;
	if (__sync_fetch_and_or(&record->claimed[number / 64], bit) & bit)
		return DATAPATH_DROP_DUPLICATE;
	place = record->place + offset;
	if (!copy_payload(delivery, place))
		return DATAPATH_STEER;
	delivery->entry->place = place;
	delivery->entry->placement = record->handle;
	delivery->entry->flags |= RECEIVED_PLACED;
	return DATAPATH_PLACE;
}

/* Puts the payload of a message of several packets into the message, if that is known here. */
static __always_inline enum datapath_counter deliver_in_place(struct delivery *delivery)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), bucket, way, index = 0;
	struct placement_table *table = bpf_map_lookup_elem(&placements, &zero);
	struct datapath_running *mine = bpf_map_lookup_elem(&running, &cpu);
	enum datapath_counter counter;

	if (!table || !mine)
		return DATAPATH_STEER;
	bucket = placement_bucket(table->key, delivery->entry->source,
				  load64(delivery->packet + DELIVER_ID_AT));
#pragma unroll
	for (way = 0; way < PLACEMENT_WAYS; way++) {
		index = bucket + way;
		if (is_of(&table->records[index], delivery))
			break;
	}
	if (way == PLACEMENT_WAYS)
		return DATAPATH_STEER;
	add_ordered(&mine->count);
	counter = place_in(&table->records[index], delivery);
	add_released(&mine->count);
	return counter;
}

/* The engine's counters are only looked at when what was seen of them last does not do. */
static __always_inline __u8 has_buffer(struct receive_ring *ring)
{
	if (ring->buffers_seen == ring->buffers_used)
		ring->buffers_seen = load64(&ring->buffers_given);
	return ring->buffers_seen != ring->buffers_used;
}

static __always_inline __u8 has_room(struct receive_ring *ring)
{
	if (ring->produced - ring->consumed_seen >= RECEIVE_RING_ENTRIES)
		ring->consumed_seen = load64(&ring->consumed);
	return ring->produced - ring->consumed_seen < RECEIVE_RING_ENTRIES;
}

static __always_inline enum datapath_counter deliver_to_buffer(struct delivery *delivery)
{
	struct receive_ring *ring = delivery->ring;
	__u64 used = ring->buffers_used;
	__u32 place;

	if (delivery->payload > buffer_bytes || !has_buffer(ring))
		return DATAPATH_STEER;
	/* It also sees to it that `buffers` is read after `buffers_given`. */
	add_released(&ring->buffers_used);
	place = ring->buffers[used % RECEIVE_RING_ENTRIES];
	if (!copy_payload(delivery, place)) {
		ring->buffers_used = used;
		return DATAPATH_STEER;
	}
	delivery->entry->place = place;
	delivery->entry->flags |= RECEIVED_IN_BUFFER;
	return DATAPATH_DELIVER;
}

static __always_inline enum datapath_counter deliver_data(struct delivery *delivery)
{
	const struct homa_data_header *header = (const void *)delivery->packet;
	enum datapath_counter counter = DATAPATH_STEER;

	delivery->payload = delivery->entry->length - (__u32)sizeof(*header);
	delivery->payload_offset += sizeof(*header);
	copy_words(delivery->entry->header, header, sizeof(*header));
	if (parts & DELIVER_IN_PLACE && wire32(header->message_length) > delivery->payload)
		counter = deliver_in_place(delivery);
	return counter == DATAPATH_STEER ? deliver_to_buffer(delivery) : counter;
}

/* All of it is header. */
static __always_inline enum datapath_counter deliver_control(struct delivery *delivery, __u64 length)
{
	length--;
	asm volatile("" : "+r"(length));
	if (length >= RECEIVE_HEADER_BYTES)
		return DATAPATH_STEER;
	if (bpf_xdp_load_bytes(delivery->ctx, delivery->payload_offset, delivery->entry->header, length + 1))
		return DATAPATH_STEER;
	return DATAPATH_DELIVER;
}

/* Begins the entry: all that is not Homa's. */
static __always_inline void describe(struct received *entry, const __u8 *data,
				     const struct parsed_frame *frame)
{
	const struct net_ipv4 *ipv4 = (const void *)(data + sizeof(struct net_ethernet));
	const struct net_ipv6 *ipv6 = (const void *)ipv4;
	__be32 __attribute__((may_alias)) *source = (void *)entry->source;
	__be32 __attribute__((may_alias)) *destination = (void *)entry->destination;

	entry->place = ARENA_NOWHERE;
	entry->length = (__u16)frame->length;
	entry->placement = 0;
	entry->protocol = frame->protocol;
	if (frame->is_v4) {
		entry->flags = RECEIVED_V4;
		entry->traffic_class = ipv4->tos;
		source[0] = source[1] = destination[0] = destination[1] = 0;
		source[2] = destination[2] = wire32(0xffff);
		source[3] = ipv4->source;
		destination[3] = ipv4->destination;
	} else {
		entry->flags = 0;
		entry->traffic_class = (__u8)(wire32(ipv6->version_class_flow) >> 20);
		copy_words(entry->source, ipv6->source, sizeof(entry->source) + sizeof(entry->destination));
	}
}

/* Moves the entry to the engine, and wakes it if it sleeps: it says so, and then looks once more. */
static __always_inline void publish(struct receive_ring *ring)
{
	__u8 byte = 0;

	add_ordered(&ring->produced);
	if (load32(&ring->sleeping) && __sync_lock_test_and_set(&ring->sleeping, 0))
		bpf_ringbuf_output(&wake, &byte, sizeof(byte), BPF_RB_FORCE_WAKEUP);
}

/* What became of a valid packet; DATAPATH_STEER: it is for the AF_XDP socket. */
static __always_inline enum datapath_counter deliver(struct xdp_md *ctx, const __u8 *data,
						     const struct parsed_frame *frame)
{
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	__u32 queue = ctx->rx_queue_index;
	struct receive_ring *ring = bpf_map_lookup_elem(&receive_rings, &queue);
	struct delivery delivery = { .ctx = ctx, .ring = ring, .payload_offset = frame->offset };
	const struct homa_common_header *header = (const void *)(data + frame->offset);
	enum datapath_counter counter;

	if (!(parts & DELIVER_TO_RING) || !ring)
		return DATAPATH_STEER;
	if (!has_room(ring))
		return DATAPATH_STEER;
	delivery.packet = (const void *)header;
	delivery.entry = &ring->entries[ring->produced % RECEIVE_RING_ENTRIES];
	describe(delivery.entry, data, frame);
	if (parse_within(delivery.packet, sizeof(struct homa_data_header), end) && header->type == HOMA_DATA)
		counter = deliver_data(&delivery);
	else
		counter = deliver_control(&delivery, frame->length);
	if (counter == DATAPATH_DELIVER || counter == DATAPATH_PLACE)
		publish(ring);
	return counter;
}

#endif
