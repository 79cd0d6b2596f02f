/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading protobuf's encoding field by field, for what no descriptor of ours describes. */
#ifndef CODEGEN_WIRE_H
#define CODEGEN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

struct wire_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad; /* it ended early, or held what is no field */
};

struct wire_field {
	uint32_t number;
	uint32_t type;
	uint64_t value;      /* of a WIRE_VARINT; length of WIRE_BYTES */
	const uint8_t *data; /* WIRE_BYTES */
};

/* Up to ten bytes; 0 and `bad` at a malformed one. */
uint64_t wire_varint(struct wire_reader *reader);
/* The next field; false at the end and at a malformed one (`bad`). Groups are malformed. */
bool wire_next(struct wire_reader *reader, struct wire_field *field);

#endif
