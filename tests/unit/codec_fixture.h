/* SPDX-License-Identifier: BSD-2-Clause */
/* What the codec's tests share: random wire bytes for a descriptor, and an allocator that counts. */
#ifndef TERN_CODEC_FIXTURE_H
#define TERN_CODEC_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "rpc_test.pb-c.h"
#include "test.h"

#define WIRE_MAX (2u << 20)

struct wire {
	uint8_t data[WIRE_MAX];
	size_t length;
};

static uint64_t seed = 88172645463325252ull;

static inline uint64_t random_u64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static inline uint32_t below(uint32_t limit)
{
	return (uint32_t)(random_u64() >> 16) % limit;
}

static inline void put_byte(struct wire *wire, uint8_t byte)
{
	CHECK(wire->length < WIRE_MAX);
	wire->data[wire->length++] = byte;
}

static inline void put_varint(struct wire *wire, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put_byte(wire, (uint8_t)(value | 0x80));
	put_byte(wire, (uint8_t)value);
}

static inline void put_tag(struct wire *wire, uint32_t number, unsigned int wire_type)
{
	put_varint(wire, (uint64_t)number << 3 | wire_type);
}

static inline void put_bytes(struct wire *wire, const void *data, size_t length)
{
	put_varint(wire, length);
	for (size_t i = 0; i < length; i++)
		put_byte(wire, ((const uint8_t *)data)[i]);
}

static inline void put_random(struct wire *wire, size_t length)
{
	while (length--)
		put_byte(wire, (uint8_t)(random_u64() >> 24));
}

static inline void put_message(struct wire *wire, const ProtobufCMessageDescriptor *descriptor,
			       unsigned int fields, unsigned int depth);

static inline void put_scalar(struct wire *wire, ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		put_random(wire, 4);
		break;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		put_random(wire, 8);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		put_byte(wire, (uint8_t)below(2));
		break;
	default:
		put_varint(wire, random_u64() >> below(64));
	}
}

static inline unsigned int scalar_wire_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 5;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 1;
	default:
		return 0;
	}
}

/* Leaves room for a length, which end_length fills in: padded to five bytes, which is valid. */
static inline size_t begin_length(struct wire *wire)
{
	for (unsigned int i = 0; i < 5; i++)
		put_byte(wire, 0);
	return wire->length;
}

static inline void end_length(struct wire *wire, size_t begin)
{
	size_t length = wire->length - begin;

	for (unsigned int i = 0; i < 5; i++, length >>= 7)
		wire->data[begin - 5 + i] = (uint8_t)((length & 0x7f) | (i < 4 ? 0x80 : 0));
}

static inline void put_field(struct wire *wire, const ProtobufCFieldDescriptor *field, unsigned int depth)
{
	size_t begin;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		put_tag(wire, field->id, 2);
		put_varint(wire, 3 * depth);
		put_random(wire, 3 * depth);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_tag(wire, field->id, 2);
		begin = begin_length(wire);
		put_message(wire, field->descriptor, below(6), depth - 1);
		end_length(wire, begin);
		return;
	default:
		if (field->label == PROTOBUF_C_LABEL_REPEATED && below(2)) {
			put_tag(wire, field->id, 2);
			begin = begin_length(wire);
			for (unsigned int n = below(20); n; n--)
				put_scalar(wire, field->type);
			end_length(wire, begin);
			return;
		}
		put_tag(wire, field->id, scalar_wire_type(field->type));
		put_scalar(wire, field->type);
	}
}

static inline bool may_repeat(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE ||
	       (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
}

/* A valid message of about so many fields, known and unknown, in any order. */
static inline void put_message(struct wire *wire, const ProtobufCMessageDescriptor *descriptor,
			       unsigned int fields, unsigned int depth)
{
	uint64_t had = 0;

	for (unsigned int i = 0; i < fields; i++) {
		unsigned int f = descriptor->n_fields ? below(descriptor->n_fields) : 0;

		if (descriptor->n_fields == 0 || below(10) == 0) {
			put_tag(wire, 5000 + below(100000), 2);
			put_varint(wire, 7);
			put_random(wire, 7);
			continue;
		}
		if (descriptor->fields[f].type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
			continue;
		if ((had & 1ull << f) && !may_repeat(&descriptor->fields[f]))
			continue;
		had |= 1ull << f;
		put_field(wire, &descriptor->fields[f], depth);
	}
}

/* ---- counting ---- */

struct counting {
	ProtobufCAllocator allocator;
	size_t taken;   /* bytes, as an arena would take them */
	size_t live;    /* allocations */
	size_t fail_at; /* the n-th allocation fails; 0: none */
	size_t calls;
};

static inline void *counting_alloc(void *data, size_t size)
{
	struct counting *counting = data;

	if (++counting->calls == counting->fail_at)
		return NULL;
	counting->taken += arena_rounded(size);
	counting->live++;
	return malloc(size);
}

static inline void counting_free(void *data, void *pointer)
{
	if (pointer)
		((struct counting *)data)->live--;
	free(pointer);
}

static inline void counting_init(struct counting *counting)
{
	*counting = (struct counting){ .allocator = { counting_alloc, counting_free, counting } };
}

#endif
