/* SPDX-License-Identifier: BSD-2-Clause */
/* Where in its .proto a definition stands, what is wrong with it, and what its comments say. */
#ifndef CODEGEN_SOURCE_H
#define CODEGEN_SOURCE_H

#include "google/protobuf/descriptor.pb-c.h"
#include "memory.h"

#define SOURCE_ERRORS_MAX 20 /* that are reported; the rest are counted */

/* Numbers of descriptor.proto's fields, of which paths are made. */
enum {
	PATH_FILE_MESSAGE = 4,
	PATH_FILE_ENUM = 5,
	PATH_FILE_SERVICE = 6,
	PATH_MESSAGE_NESTED = 3,
	PATH_MESSAGE_ENUM = 4,
	PATH_SERVICE_METHOD = 2,
	PATH_METHOD_CLIENT_STREAMING = 5,
	PATH_METHOD_SERVER_STREAMING = 6,
};

/* As SourceCodeInfo.Location.path: {6, 0, 2, 1} is the second method of the first service. */
struct path {
	const int32_t *steps;
	size_t count;
};

struct errors {
	struct text text; /* one line each */
	unsigned count;
};

/* "FILE:LINE:COLUMN" of the thing, or "FILE" when the file came without locations. */
char *source_place(const Google__Protobuf__FileDescriptorProto *file, struct path path);
/* Adds "PLACE: message". */
void source_error(struct errors *errors, const char *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* All its comments, detached, leading and trailing, as lines fit for a C comment; "" without any. */
char *source_comment(const Google__Protobuf__FileDescriptorProto *file, struct path path);
/* `string` with all made harmless that would end a comment or draw a warning in one. */
void source_comment_text(struct text *to, const char *string, size_t length);

#endif
