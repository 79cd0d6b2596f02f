/* SPDX-License-Identifier: BSD-2-Clause */
/* Protobuf's encoding, field by field. */
#include "wire.h"

#define VARINT_BITS 64

uint64_t wire_varint(struct wire_reader *reader)
{
	uint64_t value = 0;

	for (int shift = 0; shift < VARINT_BITS && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	reader->bad = true;
	return 0;
}

static bool skip(struct wire_reader *reader, uint64_t length)
{
	if (length > (uint64_t)(reader->end - reader->at)) {
		reader->bad = true;
		return false;
	}
	reader->at += length;
	return true;
}

bool wire_next(struct wire_reader *reader, struct wire_field *field)
{
	uint64_t tag;

	if (reader->bad || reader->at == reader->end)
		return false;
	tag = wire_varint(reader);
	field->number = (uint32_t)(tag >> 3);
	field->type = tag & 7;
	field->value = 0;
	switch (field->type) {
	case WIRE_VARINT:
		field->value = wire_varint(reader);
		break;
	case WIRE_64BIT:
		skip(reader, 8);
		break;
	case WIRE_BYTES:
		field->value = wire_varint(reader);
		field->data = reader->at;
		skip(reader, field->value);
		break;
	case WIRE_32BIT:
		skip(reader, 4);
		break;
	default:
		reader->bad = true;
	}
	return !reader->bad;
}
