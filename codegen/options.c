/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads options from the unknown fields in which protobuf-c leaves extensions: for these
 * few numbers no generated code is needed.
 */
#include "options.h"

#include "memory.h"
#include "wire.h"

#define PB_C_FILE            1019
#define PB_C_NO_GENERATE     1
#define PB_C_PACKAGE         6
#define PB_C_FIELD           1019
#define PB_C_STRING_AS_BYTES 1
#define TERN_METHOD          50626
#define TERN_DEADLINE_US     1
#define TERN_PRIORITY        2
#define TERN_INLINE          3
#define TERN_IDEMPOTENT      4
#define TERN_BLOCKING        5

/* Calls `take` for every field of the message that extension `number` of `message` holds. */
static void each_field(const ProtobufCMessage *message, uint32_t number,
		       void (*take)(void *options, const struct wire_field *field), void *options)
{
	for (unsigned i = 0; i < message->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *unknown = &message->unknown_fields[i];
		struct wire_reader reader = {unknown->data, unknown->data + unknown->len, false};
		struct wire_field field;

		if (unknown->tag != number || unknown->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		wire_varint(&reader); /* protobuf-c keeps the length before the data */
		while (wire_next(&reader, &field))
			take(options, &field);
	}
}

static void take_file_option(void *to, const struct wire_field *field)
{
	struct file_options *options = to;

	if (field->number == PB_C_NO_GENERATE && field->type == WIRE_VARINT)
		options->no_generate = field->value;
	else if (field->number == PB_C_PACKAGE && field->type == WIRE_BYTES)
		options->c_package = memory_printf("%.*s", (int)field->value, (const char *)field->data);
}

void options_of_file(const Google__Protobuf__FileDescriptorProto *file, struct file_options *options)
{
	*options = (struct file_options){0};
	if (file->options)
		each_field(&file->options->base, PB_C_FILE, take_file_option, options);
}

static void take_field_option(void *is_bytes, const struct wire_field *field)
{
	if (field->number == PB_C_STRING_AS_BYTES && field->type == WIRE_VARINT)
		*(bool *)is_bytes = field->value;
}

bool options_field_is_bytes(const Google__Protobuf__FieldDescriptorProto *field)
{
	bool is_bytes = field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;

	if (field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING && field->options)
		each_field(&field->options->base, PB_C_FIELD, take_field_option, &is_bytes);
	return is_bytes;
}

static void take_method_option(void *to, const struct wire_field *field)
{
	struct method_options *options = to;

	if (field->type != WIRE_VARINT)
		return;
	switch (field->number) {
	case TERN_DEADLINE_US:
		options->deadline_us = field->value;
		break;
	case TERN_PRIORITY:
		options->priority = field->value;
		break;
	case TERN_INLINE:
		options->is_inline = field->value;
		break;
	case TERN_IDEMPOTENT:
		options->idempotent = field->value;
		break;
	case TERN_BLOCKING:
		options->blocking = field->value;
		break;
	}
}

void options_of_method(const Google__Protobuf__MethodDescriptorProto *method, struct method_options *options)
{
	*options = (struct method_options){0};
	if (method->options)
		each_field(&method->options->base, TERN_METHOD, take_method_option, options);
}
