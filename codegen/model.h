/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What code is generated from: the request's files, messages, services and methods with
 * their C names, checked. Everything lives until memory_release.
 */
#ifndef CODEGEN_MODEL_H
#define CODEGEN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "source.h"

/* A message or an enum: protoc-gen-c's part. */
struct type {
	const char *full_name; /* "demo.kv.GetRequest" */
	const char *c_name;    /* the same with (pb_c_file).c_package in place of the package */
	const char *c_type;    /* "Demo__Kv__GetRequest" */
	const char *c_lower;   /* "demo__kv__get_request" */
	const struct file *file;
	struct path path;
	const Google__Protobuf__DescriptorProto *message; /* NULL: an enum */
};

struct method {
	const char *name;     /* "Get" */
	const char *rpc_name; /* "/demo.kv.KV/Get" */
	const char *c_type;   /* "Demo__Kv__KV__Get" */
	const char *c_lower;  /* "demo__kv__kv__get" */
	const char *c_member; /* "get" */
	const char *comment;  /* lines */
	const struct type *input;
	const struct type *output;
	struct path path;
	uint64_t hash; /* of rpc_name */
	uint64_t timeout_us;
	uint32_t priority;
	uint32_t flags; /* enum tern_method_flags */
};

struct service {
	const char *full_name; /* "demo.kv.KV" */
	const char *c_type;    /* "Demo__Kv__KV" */
	const char *c_lower;   /* "demo__kv__kv" */
	const char *comment;
	struct path path;
	size_t method_count;
	struct method *methods;
};

struct file {
	const Google__Protobuf__FileDescriptorProto *proto;
	const char *stem;      /* "demo/kv" of "demo/kv.proto" */
	const char *c_package; /* what stands for the package in C names */
	bool generate;         /* named on protoc's command line */
	bool has_messages;     /* protoc-gen-c makes a .pb-c.h of it */
	size_t service_count;
	struct service *services;
};

struct model {
	size_t file_count;
	struct file *files;
	size_t type_count;
	struct type *types; /* sorted by full_name */
};

/* Builds all of it; what is wrong with the files goes to `errors`, and then the model is not to be used. */
void model_build(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, struct model *model,
		 struct errors *errors);

/* FNV-1a, 64 bits: as tern_method_hash of the library, on which the plugin does not depend. */
uint64_t model_hash(const char *rpc_name);

#endif
