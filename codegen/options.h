/* SPDX-License-Identifier: BSD-2-Clause */
/* Options that a .proto states and that are no part of protobuf: protobuf-c's and ours. */
#ifndef CODEGEN_OPTIONS_H
#define CODEGEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "google/protobuf/descriptor.pb-c.h"

#define OPTIONS_PRIORITY_MAX 7

/* From (pb_c_file): protobuf-c/protobuf-c.proto. */
struct file_options {
	bool no_generate;      /* protoc-gen-c makes no files of it */
	const char *c_package; /* in place of the package; NULL: not set */
};

/* From (tern.method): idl/tern/options.proto. */
struct method_options {
	uint64_t deadline_us;
	uint64_t priority;
	bool is_inline;
	bool idempotent;
	bool blocking;
};

void options_of_file(const Google__Protobuf__FileDescriptorProto *file, struct file_options *options);
/* True when protoc-gen-c makes a ProtobufCBinaryData of it: bytes, or a string with string_as_bytes. */
bool options_field_is_bytes(const Google__Protobuf__FieldDescriptorProto *field);
void options_of_method(const Google__Protobuf__MethodDescriptorProto *method, struct method_options *options);

#endif
