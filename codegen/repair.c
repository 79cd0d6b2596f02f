/* SPDX-License-Identifier: BSD-2-Clause */
/* Repairs of protoc-gen-c's output. */
#include "repair.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "options.h"

#define CASE_END  "__NOT_SET"
#define WRONG_END ", {0}"
#define RIGHT_END ", {{0,NULL}}"

typedef Google__Protobuf__DescriptorProto MessageProto;

/* Names of the oneofs' first enum values, up to CASE_END: "DEMO__VALUE__KIND". */
struct oneofs {
	size_t count;
	char **names;
};

static bool begins_with_bytes(const MessageProto *message, size_t oneof)
{
	for (size_t i = 0; i < message->n_field; i++) {
		const Google__Protobuf__FieldDescriptorProto *field = message->field[i];

		if (field->has_oneof_index && field->oneof_index >= 0 && (size_t)field->oneof_index == oneof)
			return options_field_is_bytes(field);
	}
	return false;
}

static int compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void find_oneofs(const struct model *model, struct oneofs *oneofs)
{
	size_t count = 0;

	for (size_t i = 0; i < model->type_count; i++)
		count += model->types[i].message ? model->types[i].message->n_oneof_decl : 0;
	oneofs->names = memory_array(count, sizeof(*oneofs->names));
	for (size_t i = 0; i < model->type_count; i++) {
		const struct type *type = &model->types[i];

		for (size_t o = 0; type->message && o < type->message->n_oneof_decl; o++) {
			const char *name = type->message->oneof_decl[o]->name;

			if (!name || !begins_with_bytes(type->message, o))
				continue;
			oneofs->names[oneofs->count++] =
				name_upper(memory_printf("%s.%s", type->c_name, name));
		}
	}
	qsort(oneofs->names, oneofs->count, sizeof(*oneofs->names), compare);
}

static bool is_listed(const struct oneofs *oneofs, const char *start, const char *end)
{
	char *name = memory_printf("%.*s", (int)(end - start), start);

	return bsearch(&name, oneofs->names, oneofs->count, sizeof(*oneofs->names), compare) != NULL;
}

static char *repair(const struct oneofs *oneofs, char *content)
{
	static const char wrong[] = CASE_END WRONG_END;
	const char *done = content, *end;
	struct text text = {0};

	for (const char *at = content; (end = strstr(at, wrong)); at = end + strlen(wrong)) {
		const char *start = end;

		while (start > content && start[-1] != ' ')
			start--;
		if (!is_listed(oneofs, start, end))
			continue;
		text_append(&text, done, (size_t)(end - done));
		text_puts(&text, CASE_END RIGHT_END);
		done = end + strlen(wrong);
	}
	if (done == content)
		return content;
	text_puts(&text, done);
	return text.data;
}

void repair_initializers(const struct model *model,
			 Google__Protobuf__Compiler__CodeGeneratorResponse *response)
{
	struct oneofs oneofs = {0};

	find_oneofs(model, &oneofs);
	for (size_t i = 0; oneofs.count && i < response->n_file; i++)
		if (response->file[i]->content)
			response->file[i]->content = repair(&oneofs, response->file[i]->content);
}
