/* SPDX-License-Identifier: BSD-2-Clause */
/* The message that protoc sends, and the one that it expects back. */
#ifndef CODEGEN_REQUEST_H
#define CODEGEN_REQUEST_H

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "memory.h"

#define REQUEST_DEPTH_MAX 100 /* messages within messages; protoc's own files reach about 40 */

/* Decodes a request; NULL when `input` is none, or nests deeper than REQUEST_DEPTH_MAX. */
Google__Protobuf__Compiler__CodeGeneratorRequest *request_decode(const struct text *input);

/*
 * Encodes the request as protoc-gen-c is to see it: without services, of which it would
 * make stubs that nobody uses and that do not compile when a method is named like a
 * keyword; and without our parameter.
 */
void request_for_messages(Google__Protobuf__Compiler__CodeGeneratorRequest *request, struct text *output);

/* Adds a file to a response whose files all came by these functions. */
void response_add_file(Google__Protobuf__Compiler__CodeGeneratorResponse *response, char *name,
		       char *content);
/* Adds all files of the response `input`. NULL, or what is wrong with it or what it says is wrong. */
const char *response_add_all(Google__Protobuf__Compiler__CodeGeneratorResponse *response,
			     const struct text *input);
/* Encodes it as it goes to protoc. */
void response_encode(const Google__Protobuf__Compiler__CodeGeneratorResponse *response, struct text *output);

#endif
