/* SPDX-License-Identifier: BSD-2-Clause */
/* STEM.tern.h: what users of a service see. */
#include <string.h>

#include "emit.h"
#include "names.h"
#include "tern.h"

static bool is_one_line(const char *comment)
{
	const char *end = strchr(comment, '\n');

	return end && !end[1];
}

/* The lines of `comment`, each behind `indent` and an asterisk. */
static void put_lines(struct text *out, const char *indent, const char *comment)
{
	while (*comment) {
		size_t length = strcspn(comment, "\n");

		text_printf(out, "%s *%s%.*s\n", indent, length ? " " : "", (int)length, comment);
		comment += length + (comment[length] == '\n');
	}
}

static void put_comment(struct text *out, const char *indent, const char *comment)
{
	if (is_one_line(comment)) {
		text_printf(out, "%s/* %.*s */\n", indent, (int)strlen(comment) - 1, comment);
	} else if (*comment) {
		text_printf(out, "%s/*\n", indent);
		put_lines(out, indent, comment);
		text_printf(out, "%s */\n", indent);
	}
}

static void put_include(struct text *out, const char *stem)
{
	text_printf(out, "#include \"%s.pb-c.h\"\n", stem);
}

/* A file without a .pb-c.h of its own has its messages from the files that it imports. */
static void put_includes(struct text *out, const struct model *model, const struct file *file)
{
	text_puts(out, "#include <tern.h>\n\n");
	if (file->has_messages) {
		put_include(out, file->stem);
		return;
	}
	for (size_t d = 0; d < file->proto->n_dependency; d++)
		for (size_t i = 0; i < model->file_count; i++)
			if (model->files[i].has_messages &&
			    !strcmp(model->files[i].proto->name, file->proto->dependency[d]))
				put_include(out, model->files[i].stem);
}

static void put_handlers(struct text *out, const struct service *service)
{
	text_printf(out,
		    "/*\n"
		    " * Handlers of %s. Each answers its call once, now or later, from any thread:\n"
		    " * with the method's __reply or with tern_call_fail. The request is valid until then.\n"
		    " * A method whose handler is NULL is UNIMPLEMENTED.\n"
		    " */\n"
		    "typedef struct %s__Server {\n",
		    service->full_name, service->c_type);
	for (size_t i = 0; i < service->method_count; i++) {
		const struct method *method = &service->methods[i];

		put_comment(out, "\t", method->comment);
		text_printf(out, "\tvoid (*%s)(struct tern_call *call, const %s *request, void *ctx);\n",
			    method->c_member, method->input->c_type);
	}
	if (!service->method_count)
		text_puts(out, "\tchar no_methods;\n");
	text_printf(out, "} %s__Server;\n\n", service->c_type);
}

static void put_service(struct text *out, const struct service *service)
{
	text_printf(out, "/*\n * service %s\n", service->full_name);
	if (*service->comment)
		text_puts(out, " *\n");
	put_lines(out, "", service->comment);
	text_puts(
		out,
		" *\n"
		" * Each method has three functions:\n"
		" *   __call   calls and waits; *reply is NULL unless it returns TERN_OK. See "
		"tern_call_wait.\n"
		" *   __start  calls and returns; `done` runs once, if it returned 0. See tern_call_start.\n"
		" *   __reply  is the server's answer. See tern_call_reply.\n"
		" */\n\n");
	put_handlers(out, service);
	text_printf(
		out,
		"extern const struct tern_service %s__service;\n\n"
		"/*\n"
		" * Has `server` answer %s through `handlers`, which must outlive it; `ctx` is\n"
		" * given to every handler. Errors: tern_server_register.\n"
		" */\n"
		"int %s__register(struct tern_server *server, const %s__Server *handlers, void *ctx);\n\n",
		service->c_lower, service->full_name, service->c_lower, service->c_type);
}

static void put_method_comment(struct text *out, const struct service *service, const struct method *method)
{
	text_printf(out, "/*\n * %s.%s", service->full_name, method->name);
	if (method->flags & TERN_METHOD_DEPRECATED)
		text_puts(out, " (deprecated)");
	text_puts(out, "\n");
	if (*method->comment)
		text_puts(out, " *\n");
	put_lines(out, "", method->comment);
	text_puts(out, " */\n");
}

static void put_method(struct text *out, const struct service *service, const struct method *method)
{
	const char *input = method->input->c_type, *output = method->output->c_type;
	const char *mark = method->flags & TERN_METHOD_DEPRECATED ? "PROTOBUF_C__DEPRECATED\n" : "";

	put_method_comment(out, service, method);
	text_printf(out,
		    "%senum tern_status %s__call(\n"
		    "\t\tstruct tern_channel *channel, const struct tern_call_options *options,\n"
		    "\t\tconst %s *request, %s **reply, struct tern_result *result);\n",
		    mark, method->c_lower, input, output);
	text_printf(out,
		    "typedef void %s__Done(const struct tern_result *result, const %s *reply, void *ctx);\n",
		    method->c_type, output);
	text_printf(out,
		    "%sint %s__start(\n"
		    "\t\tstruct tern_channel *channel, const struct tern_call_options *options,\n"
		    "\t\tconst %s *request, %s__Done *done, void *ctx, struct tern_call **call);\n",
		    mark, method->c_lower, input, method->c_type);
	text_printf(out, "int %s__reply(struct tern_call *call, const %s *reply);\n\n", method->c_lower,
		    output);
}

void emit_header(const struct model *model, const struct file *file, struct text *out)
{
	const char *guard = name_guard(file->proto->name);

	text_puts(out, "/* Made by protoc-gen-tern from ");
	source_comment_text(out, file->proto->name, strlen(file->proto->name));
	text_puts(out, ": do not edit. */\n");
	text_printf(out, "#ifndef TERN_%s_INCLUDED\n#define TERN_%s_INCLUDED\n\n", guard, guard);
	put_includes(out, model, file);
	text_puts(out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	for (size_t s = 0; s < file->service_count; s++) {
		const struct service *service = &file->services[s];

		put_service(out, service);
		for (size_t i = 0; i < service->method_count; i++)
			put_method(out, service, &service->methods[i]);
	}
	text_puts(out, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
