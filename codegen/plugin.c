/* SPDX-License-Identifier: BSD-2-Clause */
/* From request to response. */
#include "plugin.h"

#include "child.h"
#include "clash.h"
#include "emit.h"
#include "model.h"
#include "parameter.h"
#include "repair.h"
#include "request.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;

/* A file that protoc-gen-c is told to leave alone, and that has no services, is left alone by us too. */
static void add_services(const struct model *model, Response *response)
{
	for (size_t i = 0; i < model->file_count; i++) {
		const struct file *file = &model->files[i];
		struct text header = {0}, source = {0};

		if (!file->generate || (!file->has_messages && !file->service_count))
			continue;
		emit_header(model, file, &header);
		emit_source(file, &source);
		response_add_file(response, memory_printf("%s.tern.h", file->stem), header.data);
		response_add_file(response, memory_printf("%s.tern.c", file->stem), source.data);
	}
}

static bool add_messages(Request *request, const char *program, Response *response, struct text *error)
{
	struct text input = {0}, output = {0};
	const char *problem;

	text_puts(&output, "");
	request_for_messages(request, &input);
	if (!child_run(program, &input, &output, error))
		return false;
	problem = response_add_all(response, &output);
	if (problem)
		text_printf(error, "%s: %s", program, problem);
	return !problem;
}

/* False, with what protoc is to print in `error`. */
static bool generate(Request *request, Response *response, struct text *error)
{
	struct parameters parameters;
	struct errors errors = {0};
	struct model model;

	if (!parameter_parse(request->parameter, &parameters, error))
		return false;
	model_build(request, &model, &errors);
	if (!errors.count)
		clash_check(&model, !parameters.messages, &errors);
	if (errors.count) {
		*error = errors.text;
		if (errors.count > SOURCE_ERRORS_MAX)
			text_printf(error, "\n(%u more)", errors.count - SOURCE_ERRORS_MAX);
		return false;
	}
	add_services(&model, response);
	if (!parameters.messages)
		return true;
	if (!add_messages(request, parameters.protoc_gen_c, response, error))
		return false;
	repair_initializers(&model, response);
	return true;
}

bool plugin_answer(const struct text *input, struct text *output)
{
	Response response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
	Request *request = request_decode(input);
	struct text error = {0};

	if (!request || !request->n_file_to_generate)
		return false;
	if (!generate(request, &response, &error)) {
		response.n_file = 0;
		response.error = error.data;
	}
	response.has_supported_features = 1;
	response.supported_features =
		GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
	response_encode(&response, output);
	return true;
}
