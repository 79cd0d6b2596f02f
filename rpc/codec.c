/* SPDX-License-Identifier: BSD-2-Clause */
/* Protobuf bodies from the network, bounded: see codec.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec.h"

/* protobuf-c's unpack (1.4): 16 fields of a message on the stack, then slabs of 32, 64, ... */
#define SCANNED_BYTES     32
#define SCANNED_FIRST     16
#define BITMAP_STACK_BITS 128 /* a bitmap of required fields: on the stack up to here */
#define SEEN_STACK_FIELDS 256
#define FIELD_NUMBER_MAX  ((1u << 29) - 1)
#define VARINT_BYTES_MAX  10
#define TAG_BYTES_MAX     5
#define LENGTH_BYTES_MAX  5
#define WIRE_GROUP_BEGIN  3
#define WIRE_GROUP_END    4

struct scan {
	uint64_t needed;
	uint64_t budget;
	struct codec_fault *fault;
};

/* One field on the wire. */
struct item {
	const uint8_t *at;    /* the value; with its length in front if it has one */
	const uint8_t *value; /* behind the length */
	const uint8_t *end;
	uint32_t number;
	unsigned int wire_type;
};

static int malformed(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, uint32_t field,
		     const char *what)
{
	scan->fault->status = TERN_INVALID_ARGUMENT;
	snprintf(scan->fault->text, sizeof(scan->fault->text), "bad protobuf: %.60s, field %u: %s",
		 descriptor->name, field, what);
	return -EBADMSG;
}

static int over_budget(struct scan *scan)
{
	scan->fault->status = TERN_RESOURCE_EXHAUSTED;
	snprintf(
		scan->fault->text, sizeof(scan->fault->text),
		"the message takes more than the %llu bytes of memory that it may unpack to (max_decoded_bytes)",
		(unsigned long long)scan->budget);
	return -EBADMSG;
}

static int out_of_memory(struct codec_fault *fault)
{
	fault->status = TERN_RESOURCE_EXHAUSTED;
	snprintf(fault->text, sizeof(fault->text), "no memory to unpack the message");
	return -EBADMSG;
}

static bool is_packable(ProtobufCType type)
{
	return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES &&
	       type != PROTOBUF_C_TYPE_MESSAGE;
}

static unsigned int wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	default:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

/* Bytes of an element of a repeated field's array. */
static size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* Bytes of the varint at `at`, at most `limit`; 0 if it does not end by then. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, size_t limit, uint64_t *value)
{
	size_t i;

	*value = 0;
	for (i = 0; i < limit && at + i < end; i++) {
		*value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
		if (!(at[i] & 0x80))
			return i + 1;
	}
	return 0;
}

/* Reads the item at `at`. NULL, or what is wrong with it. */
static const char *read_item(const uint8_t *at, const uint8_t *end, struct item *item)
{
	uint64_t value;
	size_t used = read_varint(at, end, TAG_BYTES_MAX, &value);

	item->number = 0;
	if (used == 0 || value >> 3 == 0 || value >> 3 > FIELD_NUMBER_MAX)
		return "not a valid tag";
	item->number = (uint32_t)(value >> 3);
	item->wire_type = value & 7;
	item->at = item->value = at += used;
	switch (item->wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		used = read_varint(at, end, VARINT_BYTES_MAX, &value);
		if (used == 0)
			return "a varint that does not end";
		break;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		used = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		used = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		used = read_varint(at, end, LENGTH_BYTES_MAX, &value);
		if (used == 0)
			return "a length that does not end";
		item->value += used;
		if (value > (uint64_t)(end - item->value))
			return "longer than what is left of the message";
		used += value;
		break;
	case WIRE_GROUP_BEGIN:
	case WIRE_GROUP_END:
		return "groups are not supported";
	default:
		return "unknown wire type";
	}
	if (used > (size_t)(end - at))
		return "cut short";
	item->end = at + used;
	return NULL;
}

/* Elements of a packed field: -1 if its length is impossible. */
static int64_t count_packed(ProtobufCType type, const uint8_t *at, const uint8_t *end)
{
	size_t length = (size_t)(end - at);
	int64_t count = 0;

	switch (wire_type_of(type)) {
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return length % 4 ? -1 : (int64_t)(length / 4);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return length % 8 ? -1 : (int64_t)(length / 8);
	}
	if (type == PROTOBUF_C_TYPE_BOOL)
		return (int64_t)length;
	for (; at < end; at++)
		count += !(*at & 0x80);
	return count;
}

/*
 * Adds what one item takes, but for submessages' own. `first` is false when its field
 * has occurred before. NULL, or what is wrong with it.
 */
static const char *count_item(struct scan *scan, const ProtobufCFieldDescriptor *field,
			      const struct item *item, bool first)
{
	size_t length = (size_t)(item->end - item->value);
	bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

	if (repeated && first)
		scan->needed += ARENA_ALIGNMENT - 1;
	if (repeated && is_packable(field->type) && item->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
		int64_t count = count_packed(field->type, item->value, item->end);

		if (count < 0)
			return "a packed field's length is no multiple of its elements'";
		scan->needed += (uint64_t)count * element_size(field->type);
		return NULL;
	}
	if (item->wire_type != wire_type_of(field->type))
		return "the wire type is not that of the field";
	if (repeated)
		scan->needed += element_size(field->type);
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE && !first &&
		 !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return "a submessage that is not repeated occurs twice";
	if (field->type == PROTOBUF_C_TYPE_STRING)
		scan->needed += arena_rounded(length + 1);
	else if (field->type == PROTOBUF_C_TYPE_BYTES)
		scan->needed += arena_rounded(length);
	return NULL;
}

/* What unpack allocates for a message whatever is in its fields. */
static size_t overhead(const ProtobufCMessageDescriptor *descriptor, size_t items, size_t unknown)
{
	size_t size = arena_rounded(descriptor->sizeof_message), slab = SCANNED_FIRST, room = SCANNED_FIRST;

	if (descriptor->n_fields > BITMAP_STACK_BITS)
		size += arena_rounded((descriptor->n_fields + 7) / 8);
	while (items > room) {
		slab *= 2;
		room += slab;
		size += slab * SCANNED_BYTES;
	}
	return size + arena_rounded(unknown * sizeof(ProtobufCMessageUnknownField));
}

/* The field of that number; `guess`: where the last one was found, as they mostly come in order. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
						  uint32_t number, unsigned int *guess)
{
	const ProtobufCFieldDescriptor *field;
	unsigned int i;

	for (i = *guess; i < descriptor->n_fields && i <= *guess + 1; i++) {
		if (descriptor->fields[i].id == number) {
			*guess = i;
			return &descriptor->fields[i];
		}
	}
	field = protobuf_c_message_descriptor_get_field(descriptor, number);
	if (field)
		*guess = (unsigned int)(field - descriptor->fields);
	return field;
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
			const uint8_t *end, unsigned int depth);

/* `seen`: a bit for each field of the message. */
static int scan_items(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
		      const uint8_t *end, unsigned int depth, uint8_t *seen)
{
	size_t items = 0, unknown = 0;
	unsigned int index = 0;
	struct item item;

	for (; at < end; at = item.end, items++) {
		const ProtobufCFieldDescriptor *field;
		const char *wrong = read_item(at, end, &item);
		bool first;
		int rc;

		if (wrong)
			return malformed(scan, descriptor, item.number, wrong);
		field = find_field(descriptor, item.number, &index);
		if (!field) {
			unknown++;
			scan->needed += arena_rounded((size_t)(item.end - item.at));
			continue;
		}
		first = !(seen[index / 8] & 1u << index % 8);
		seen[index / 8] |= (uint8_t)(1u << index % 8);
		wrong = count_item(scan, field, &item, first);
		if (wrong)
			return malformed(scan, descriptor, item.number, wrong);
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (depth == CODEC_DEPTH_MAX)
			return malformed(scan, descriptor, item.number,
					 "nested too deep (100 levels at most)");
		rc = scan_message(scan, field->descriptor, item.value, item.end, depth + 1);
		if (rc < 0)
			return rc;
	}
	scan->needed += overhead(descriptor, items, unknown);
	return scan->needed > scan->budget ? over_budget(scan) : 0;
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
			const uint8_t *end, unsigned int depth)
{
	uint8_t few[SEEN_STACK_FIELDS / 8] = { 0 }, *seen = few;
	int rc;

	if (descriptor->n_fields > SEEN_STACK_FIELDS) {
		seen = calloc(descriptor->n_fields / 8 + 1, 1);
		if (!seen)
			return out_of_memory(scan->fault);
	}
	rc = scan_items(scan, descriptor, at, end, depth, seen);
	if (seen != few)
		free(seen);
	return rc;
}

int codec_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
	       uint64_t budget, size_t *needed, struct codec_fault *fault)
{
	struct scan scan = { .budget = budget, .fault = fault };
	int rc = scan_message(&scan, descriptor, data, data + length, 0);

	*needed = (size_t)scan.needed;
	return rc;
}

/* Hands out no more than the scan allowed, and remembers whether memory was short. */
struct bounded {
	ProtobufCAllocator allocator;
	ProtobufCAllocator *inner;
	size_t left;
	bool failed;
};

static void *bounded_alloc(void *data, size_t size)
{
	struct bounded *bounded = data;
	size_t rounded = arena_rounded(size);
	void *memory = NULL;

	if (rounded <= bounded->left) {
		memory = bounded->inner ? bounded->inner->alloc(bounded->inner->allocator_data, size)
					: malloc(size);
		bounded->left -= rounded;
	}
	if (!memory)
		bounded->failed = true;
	return memory;
}

static void bounded_free(void *data, void *pointer)
{
	struct bounded *bounded = data;

	if (!pointer)
		return;
	if (bounded->inner)
		bounded->inner->free(bounded->inner->allocator_data, pointer);
	else
		free(pointer);
}

static int unpack(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator,
		  const uint8_t *data, size_t length, size_t needed, ProtobufCMessage **message,
		  struct codec_fault *fault)
{
	struct bounded bounded = {
		.allocator = { .alloc = bounded_alloc, .free = bounded_free, .allocator_data = &bounded },
		.inner = allocator,
		.left = needed,
	};

	*message = protobuf_c_message_unpack(descriptor, &bounded.allocator, length, data);
	if (*message)
		return 0;
	if (bounded.failed)
		return out_of_memory(fault);
	fault->status = TERN_INVALID_ARGUMENT;
	snprintf(fault->text, sizeof(fault->text),
		 "bad protobuf: %.60s: a required field is missing or a packed value is malformed",
		 descriptor->name);
	return -EBADMSG;
}

int codec_unpack(const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator,
		 const uint8_t *data, size_t length, uint64_t budget, ProtobufCMessage **message,
		 struct codec_fault *fault)
{
	size_t needed;
	int rc = codec_scan(descriptor, data, length, budget, &needed, fault);

	return rc < 0 ? rc : unpack(descriptor, allocator, data, length, needed, message, fault);
}

int codec_unpack_arena(const ProtobufCMessageDescriptor *descriptor, struct tern_arena *arena,
		       const uint8_t *data, size_t length, uint64_t budget, ProtobufCMessage **message,
		       struct codec_fault *fault)
{
	size_t needed;
	int rc = codec_scan(descriptor, data, length, budget, &needed, fault);

	if (rc < 0)
		return rc;
	if (arena_reserve(arena, needed) < 0)
		return out_of_memory(fault);
	return unpack(descriptor, &arena->allocator, data, length, needed, message, fault);
}
