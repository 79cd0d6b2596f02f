/* SPDX-License-Identifier: BSD-2-Clause */
/* From descriptors to the model. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "options.h"
#include "tern.h"

#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME  0x100000001b3ull

typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__ServiceDescriptorProto ServiceProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

uint64_t model_hash(const char *rpc_name)
{
	uint64_t hash = FNV_OFFSET;

	for (; *rpc_name; rpc_name++)
		hash = (hash ^ (unsigned char)*rpc_name) * FNV_PRIME;
	return hash;
}

static const char *join(const char *scope, const char *name)
{
	return memory_printf("%s%s%s", scope, *scope ? "." : "", name);
}

static struct path extend(struct path path, int32_t field, size_t index)
{
	int32_t *steps = memory_array(path.count + 2, sizeof(*steps));

	if (path.count)
		memcpy(steps, path.steps, path.count * sizeof(*steps));
	steps[path.count] = field;
	steps[path.count + 1] = (int32_t)index;
	return (struct path){steps, path.count + 2};
}

/* The name that the C names of `full_name` are made of: (pb_c_file).c_package in place of the package. */
static const char *c_source(const struct file *file, const char *full_name)
{
	size_t package = strlen(file->proto->package);

	return join(file->c_package, full_name + package + (package > 0));
}

/* False, with an error, when protoc would never have sent this name. */
static bool check_name(const FileProto *file, const char *name, struct errors *errors)
{
	if (name && name_valid(name, false))
		return true;
	source_error(errors, file->name, "'%s' is no identifier: the request does not come from protoc",
		     name ? name : "");
	return false;
}

/* ---- files ---- */

static bool is_listed(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, const char *name)
{
	for (size_t i = 0; i < request->n_file_to_generate; i++)
		if (!strcmp(request->file_to_generate[i], name))
			return true;
	return false;
}

static void build_file(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, FileProto *proto,
		       struct file *file, struct errors *errors)
{
	static char empty[] = "";
	struct file_options options;

	if (!proto->name)
		proto->name = empty;
	if (!proto->package)
		proto->package = empty;
	if (*proto->package && !name_valid(proto->package, true))
		source_error(errors, proto->name, "'%s' is no package name", proto->package);
	if (!*proto->name || proto->name[strcspn(proto->name, "\"\\\r\n")])
		source_error(errors, proto->name, "a file of this name cannot be included from C: rename it");
	options_of_file(proto, &options);
	if (options.c_package && *options.c_package && !name_valid(options.c_package, true))
		source_error(errors, proto->name, "(pb_c_file).c_package = \"%s\" is no package name: "
			     "write identifiers with dots between", options.c_package);
	file->proto = proto;
	file->stem = name_stem(proto->name);
	file->c_package = options.c_package ? options.c_package : proto->package;
	file->generate = is_listed(request, proto->name);
	file->has_messages = !options.no_generate;
}

/* ---- messages and enums ---- */

static size_t count_types(MessageProto *const *messages, size_t count)
{
	size_t sum = count;

	for (size_t i = 0; i < count; i++)
		sum += messages[i]->n_enum_type +
		       count_types(messages[i]->nested_type, messages[i]->n_nested_type);
	return sum;
}

/* Where a type is defined: in a file or in a message. */
struct scope {
	struct model *model;
	const struct file *file;
	struct path path;
	const char *name;
	struct errors *errors;
};

/* Adds the type `name`, element `index` of the scope's field `field`. */
static struct type *add_type(const struct scope *scope, int32_t field, size_t index, const char *name)
{
	struct type *type = &scope->model->types[scope->model->type_count++];

	if (!check_name(scope->file->proto, name, scope->errors))
		name = "_";
	type->full_name = join(scope->name, name);
	type->c_name = c_source(scope->file, type->full_name);
	type->c_type = name_type(type->c_name);
	type->c_lower = name_lower(type->c_name);
	type->file = scope->file;
	type->path = extend(scope->path, field, index);
	return type;
}

static void add_enums(const struct scope *scope, int32_t field, EnumProto *const *enums, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_type(scope, field, i, enums[i]->name);
}

static void add_messages(const struct scope *scope, int32_t field, MessageProto *const *messages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const MessageProto *message = messages[i];
		struct type *type = add_type(scope, field, i, message->name);
		struct scope inside = *scope;

		type->message = message;
		inside.path = type->path;
		inside.name = type->full_name;
		add_enums(&inside, PATH_MESSAGE_ENUM, message->enum_type, message->n_enum_type);
		add_messages(&inside, PATH_MESSAGE_NESTED, message->nested_type, message->n_nested_type);
	}
}

static int compare_types(const void *left, const void *right)
{
	return strcmp(((const struct type *)left)->full_name, ((const struct type *)right)->full_name);
}

static void build_types(struct model *model, struct errors *errors)
{
	size_t count = 0;

	for (size_t i = 0; i < model->file_count; i++) {
		const FileProto *proto = model->files[i].proto;

		count += proto->n_enum_type + count_types(proto->message_type, proto->n_message_type);
	}
	model->types = memory_array(count, sizeof(*model->types));
	for (size_t i = 0; i < model->file_count; i++) {
		const FileProto *proto = model->files[i].proto;
		const struct scope scope = {
			.model = model, .file = &model->files[i], .name = proto->package, .errors = errors};

		add_enums(&scope, PATH_FILE_ENUM, proto->enum_type, proto->n_enum_type);
		add_messages(&scope, PATH_FILE_MESSAGE, proto->message_type, proto->n_message_type);
	}
	qsort(model->types, model->type_count, sizeof(*model->types), compare_types);
}

/* `name` begins with a dot, as protoc writes names that it has resolved. */
static const struct type *find_message(const struct model *model, const char *name)
{
	struct type key = {.full_name = name && *name == '.' ? name + 1 : ""};
	const struct type *type =
		bsearch(&key, model->types, model->type_count, sizeof(*model->types), compare_types);

	return type && type->message ? type : NULL;
}

/* ---- services ---- */

static void check_message(const struct file *file, const struct method *method, const struct type *type,
			  const char *name, struct errors *errors)
{
	if (!type)
		source_error(errors, source_place(file->proto, method->path),
			     "method %s: message %s is not known", method->rpc_name, name ? name : "''");
	else if (!type->file->has_messages)
		source_error(errors, source_place(file->proto, method->path),
			     "method %s: message %s has no C type: %s says (pb_c_file).no_generate",
			     method->rpc_name, type->full_name, type->file->proto->name);
}

static void refuse_streams(const struct file *file, const struct method *method, const MethodProto *proto,
			   struct errors *errors)
{
	int32_t field = proto->client_streaming ? PATH_METHOD_CLIENT_STREAMING : PATH_METHOD_SERVER_STREAMING;
	struct path path = extend(method->path, field, 0);
	const char *place;

	if (!proto->client_streaming && !proto->server_streaming)
		return;
	path.count--; /* the field itself has no index */
	place = source_place(file->proto, path);
	if (!strcmp(place, file->proto->name))
		place = source_place(file->proto, method->path);
	source_error(errors, place, "method %s: streaming is not supported yet: take 'stream' from the %s",
		     method->rpc_name,
		     proto->client_streaming && proto->server_streaming ? "request and the reply"
		     : proto->client_streaming			       ? "request"
								       : "reply");
}

static void set_options(const struct file *file, struct method *method, const MethodProto *proto,
			bool deprecated, struct errors *errors)
{
	const Google__Protobuf__MethodOptions *standard = proto->options;
	struct method_options options;

	options_of_method(proto, &options);
	if (options.is_inline && options.blocking)
		source_error(
			errors, source_place(file->proto, method->path),
			"method %s: inline and blocking exclude each other: what runs on the polling thread "
			"may not wait",
			method->rpc_name);
	if (options.priority > OPTIONS_PRIORITY_MAX)
		source_error(errors, source_place(file->proto, method->path),
			     "method %s: priority %llu: at most %d", method->rpc_name,
			     (unsigned long long)options.priority, OPTIONS_PRIORITY_MAX);
	if (standard && standard->idempotency_level !=
				GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENCY_UNKNOWN)
		options.idempotent = true;
	method->timeout_us = options.deadline_us;
	method->priority = (uint32_t)options.priority;
	method->flags = (options.idempotent ? TERN_METHOD_IDEMPOTENT : 0) |
			(options.is_inline ? TERN_METHOD_INLINE : 0) |
			(options.blocking ? TERN_METHOD_BLOCKING : 0) |
			(deprecated || (standard && standard->deprecated) ? TERN_METHOD_DEPRECATED : 0);
}

static void build_method(const struct model *model, const struct file *file, const struct service *service,
			 const MethodProto *proto, struct method *method, struct errors *errors)
{
	const char *source = c_source(file, join(service->full_name, proto->name));

	method->name = proto->name;
	method->rpc_name = memory_printf("/%s/%s", service->full_name, proto->name);
	method->c_type = name_type(source);
	method->c_lower = name_lower(source);
	method->c_member = name_member(proto->name);
	method->comment = source_comment(file->proto, method->path);
	method->hash = model_hash(method->rpc_name);
	method->input = find_message(model, proto->input_type);
	method->output = find_message(model, proto->output_type);
	check_message(file, method, method->input, proto->input_type, errors);
	check_message(file, method, method->output, proto->output_type, errors);
	refuse_streams(file, method, proto, errors);
}

static void build_service(const struct model *model, const struct file *file, const ServiceProto *proto,
			  struct service *service, struct errors *errors)
{
	const char *source;

	if (!check_name(file->proto, proto->name, errors))
		return;
	service->full_name = join(file->proto->package, proto->name);
	source = c_source(file, service->full_name);
	service->c_type = name_type(source);
	service->c_lower = name_lower(source);
	service->comment = source_comment(file->proto, service->path);
	service->methods = memory_array(proto->n_method, sizeof(*service->methods));
	for (size_t i = 0; i < proto->n_method; i++) {
		struct method *method = &service->methods[service->method_count];
		bool deprecated = proto->options && proto->options->deprecated;

		if (!check_name(file->proto, proto->method[i]->name, errors))
			continue;
		service->method_count++;
		method->path = extend(service->path, PATH_SERVICE_METHOD, i);
		build_method(model, file, service, proto->method[i], method, errors);
		set_options(file, method, proto->method[i], deprecated, errors);
	}
}

void model_build(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, struct model *model,
		 struct errors *errors)
{
	const struct path top = {NULL, 0};

	*model = (struct model){.file_count = request->n_proto_file};
	model->files = memory_array(model->file_count, sizeof(*model->files));
	for (size_t i = 0; i < model->file_count; i++)
		build_file(request, request->proto_file[i], &model->files[i], errors);
	if (errors->count)
		return;
	build_types(model, errors);
	for (size_t i = 0; i < model->file_count; i++) {
		struct file *file = &model->files[i];

		if (!file->generate)
			continue;
		file->service_count = file->proto->n_service;
		file->services = memory_array(file->service_count, sizeof(*file->services));
		for (size_t s = 0; s < file->service_count; s++) {
			file->services[s].path = extend(top, PATH_FILE_SERVICE, s);
			build_service(model, file, file->proto->service[s], &file->services[s], errors);
		}
	}
}
