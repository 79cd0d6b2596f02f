/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and responses. */
#include "request.h"

#include <stdbool.h>
#include <string.h>

#include "wire.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File ResponseFile;

/* protobuf-c unpacks recursively and without a limit: what nests too deep is kept from it. */
static bool depth_is_bounded(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
			     int depth)
{
	struct wire_reader reader = {data, data + length, false};
	struct wire_field field;

	while (wire_next(&reader, &field)) {
		const ProtobufCFieldDescriptor *known =
			protobuf_c_message_descriptor_get_field(descriptor, field.number);

		if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE || field.type != WIRE_BYTES)
			continue;
		if (depth == REQUEST_DEPTH_MAX ||
		    !depth_is_bounded(known->descriptor, field.data, field.value, depth + 1))
			return false;
	}
	return !reader.bad;
}

static bool is_safe(const ProtobufCMessageDescriptor *descriptor, const struct text *input)
{
	return depth_is_bounded(descriptor, (const uint8_t *)input->data, input->length, 1);
}

Request *request_decode(const struct text *input)
{
	if (!is_safe(&google__protobuf__compiler__code_generator_request__descriptor, input))
		return NULL;
	return google__protobuf__compiler__code_generator_request__unpack(&memory_allocator, input->length,
									  (const uint8_t *)input->data);
}

static void encode(const ProtobufCMessage *message, struct text *output)
{
	output->data = memory_alloc(protobuf_c_message_get_packed_size(message) + 1);
	output->length = protobuf_c_message_pack(message, (uint8_t *)output->data);
}

void request_for_messages(Request *request, struct text *output)
{
	request->parameter = NULL;
	for (size_t i = 0; i < request->n_proto_file; i++)
		request->proto_file[i]->n_service = 0;
	encode(&request->base, output);
}

/* The array doubles when its length, a power of two, is reached. */
static void add(Response *response, ResponseFile *file)
{
	size_t count = response->n_file;

	if (!(count & (count - 1))) {
		ResponseFile **files = memory_array(count ? count * 2 : 1, sizeof(*files));

		if (count)
			memcpy(files, response->file, count * sizeof(*files));
		response->file = files;
	}
	response->file[response->n_file++] = file;
}

void response_add_file(Response *response, char *name, char *content)
{
	ResponseFile *file = memory_alloc(sizeof(*file));

	google__protobuf__compiler__code_generator_response__file__init(file);
	file->name = name;
	file->content = content;
	add(response, file);
}

const char *response_add_all(Response *response, const struct text *input)
{
	const ProtobufCMessageDescriptor *type =
		&google__protobuf__compiler__code_generator_response__descriptor;
	Response *answer = NULL;

	if (is_safe(type, input))
		answer = google__protobuf__compiler__code_generator_response__unpack(
			&memory_allocator, input->length, (const uint8_t *)input->data);
	if (!answer)
		return "its answer is no CodeGeneratorResponse";
	if (answer->error)
		return answer->error;
	for (size_t i = 0; i < answer->n_file; i++)
		add(response, answer->file[i]);
	return NULL;
}

void response_encode(const Response *response, struct text *output)
{
	encode(&response->base, output);
}
