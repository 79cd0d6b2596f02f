/* SPDX-License-Identifier: BSD-2-Clause */
/* STEM.tern.c: the tables, and functions between the typed and the untyped side of tern.h. */
#include <inttypes.h>
#include <string.h>

#include "emit.h"
#include "tern.h"

/* A handler is called, and `done` converted back, as what the user declared it: never through another type.
 */
static void put_thunks(struct text *out, const struct service *service, const struct method *method)
{
	text_printf(out,
		    "static bool %s__dispatch(struct tern_call *call, const ProtobufCMessage *request,\n"
		    "\t\tconst void *handlers, void *ctx)\n"
		    "{\n"
		    "\tconst %s__Server *server = (const %s__Server *)handlers;\n\n"
		    "\tif (!server->%s)\n"
		    "\t\treturn false;\n"
		    "\tserver->%s(call, (const %s *)request, ctx);\n"
		    "\treturn true;\n"
		    "}\n\n",
		    method->c_lower, service->c_type, service->c_type, method->c_member, method->c_member,
		    method->input->c_type);
	text_printf(out,
		    "static void %s__complete(tern_done *done, const struct tern_result *result,\n"
		    "\t\tconst ProtobufCMessage *reply, void *ctx)\n"
		    "{\n"
		    "\t((%s__Done *)done)(result, (const %s *)reply, ctx);\n"
		    "}\n\n",
		    method->c_lower, method->c_type, method->output->c_type);
}

static void put_flags(struct text *out, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{TERN_METHOD_IDEMPOTENT, "TERN_METHOD_IDEMPOTENT"},
		{TERN_METHOD_INLINE, "TERN_METHOD_INLINE"},
		{TERN_METHOD_BLOCKING, "TERN_METHOD_BLOCKING"},
		{TERN_METHOD_DEPRECATED, "TERN_METHOD_DEPRECATED"},
	};
	const char *between = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(flags & names[i].flag))
			continue;
		text_printf(out, "%s%s", between, names[i].name);
		between = " | ";
	}
	text_puts(out, flags ? "" : "0");
}

static void put_method_entry(struct text *out, const struct method *method)
{
	text_printf(out,
		    "\t{\n"
		    "\t\t.name = \"%s\",\n"
		    "\t\t.hash = UINT64_C(0x%016" PRIx64 "),\n"
		    "\t\t.input = &%s__descriptor,\n"
		    "\t\t.output = &%s__descriptor,\n"
		    "\t\t.flags = ",
		    method->rpc_name, method->hash, method->input->c_lower, method->output->c_lower);
	put_flags(out, method->flags);
	text_printf(out,
		    ",\n"
		    "\t\t.priority = %" PRIu32 ",\n"
		    "\t\t.timeout_us = UINT64_C(%" PRIu64 "),\n"
		    "\t\t.dispatch = %s__dispatch,\n"
		    "\t\t.complete = %s__complete,\n"
		    "\t},\n",
		    method->priority, method->timeout_us, method->c_lower, method->c_lower);
}

static void put_tables(struct text *out, const struct service *service)
{
	if (service->method_count) {
		text_printf(out, "static const struct tern_method %s__methods[%zu] = {\n", service->c_lower,
			    service->method_count);
		for (size_t i = 0; i < service->method_count; i++)
			put_method_entry(out, &service->methods[i]);
		text_puts(out, "};\n\n");
	}
	text_printf(out,
		    "const struct tern_service %s__service = {\n"
		    "\t.name = \"%s\",\n"
		    "\t.method_count = %zu,\n"
		    "\t.methods = %s%s,\n"
		    "};\n\n",
		    service->c_lower, service->full_name, service->method_count,
		    service->method_count ? service->c_lower : "NULL",
		    service->method_count ? "__methods" : "");
}

static void put_functions(struct text *out, const struct service *service, const struct method *method,
			  size_t index)
{
	const char *lower = method->c_lower, *input = method->input->c_type, *output = method->output->c_type;

	text_printf(out,
		    "enum tern_status %s__call(\n"
		    "\t\tstruct tern_channel *channel, const struct tern_call_options *options,\n"
		    "\t\tconst %s *request, %s **reply, struct tern_result *result)\n"
		    "{\n"
		    "\tProtobufCMessage *message = NULL;\n"
		    "\tenum tern_status status = tern_call_wait(channel, &%s__methods[%zu], options,\n"
		    "\t\t\t(const ProtobufCMessage *)request, &message, result);\n\n"
		    "\t*reply = (%s *)message;\n"
		    "\treturn status;\n"
		    "}\n\n",
		    lower, input, output, service->c_lower, index, output);
	text_printf(out,
		    "int %s__start(\n"
		    "\t\tstruct tern_channel *channel, const struct tern_call_options *options,\n"
		    "\t\tconst %s *request, %s__Done *done, void *ctx, struct tern_call **call)\n"
		    "{\n"
		    "\treturn tern_call_start(channel, &%s__methods[%zu], options,\n"
		    "\t\t\t(const ProtobufCMessage *)request, (tern_done *)done, ctx, call);\n"
		    "}\n\n",
		    lower, input, method->c_type, service->c_lower, index);
	text_printf(out,
		    "int %s__reply(struct tern_call *call, const %s *reply)\n"
		    "{\n"
		    "\treturn tern_call_reply(call, (const ProtobufCMessage *)reply);\n"
		    "}\n\n",
		    lower, output);
}

void emit_source(const struct file *file, struct text *out)
{
	const char *base = strrchr(file->stem, '/');

	text_puts(out, "/* Made by protoc-gen-tern from ");
	source_comment_text(out, file->proto->name, strlen(file->proto->name));
	text_printf(out, ": do not edit. */\n#include \"%s.tern.h\"\n", base ? base + 1 : file->stem);
	for (size_t s = 0; s < file->service_count; s++) {
		const struct service *service = &file->services[s];

		text_printf(out, "\n/* %s */\n\n", service->full_name);
		for (size_t i = 0; i < service->method_count; i++)
			put_thunks(out, service, &service->methods[i]);
		put_tables(out, service);
		text_printf(out,
			    "int %s__register(struct tern_server *server, const %s__Server *handlers, void "
			    "*ctx)\n"
			    "{\n"
			    "\treturn tern_server_register(server, &%s__service, handlers, ctx);\n"
			    "}\n\n",
			    service->c_lower, service->c_type, service->c_lower);
		for (size_t i = 0; i < service->method_count; i++)
			put_functions(out, service, &service->methods[i], i);
	}
}
