/* SPDX-License-Identifier: BSD-2-Clause */
/* The plugin's parameters. */
#include "parameter.h"

#include <string.h>

static bool set(struct parameters *parameters, const char *name, const char *value, struct text *error)
{
	if (!strcmp(name, "protoc_gen_c") && *value) {
		parameters->protoc_gen_c = value;
		return true;
	}
	if (!strcmp(name, "messages") && (!strcmp(value, "true") || !strcmp(value, "false"))) {
		parameters->messages = *value == 't';
		return true;
	}
	text_printf(error,
		    "parameter '%s=%s' is not known: there are protoc_gen_c=PROGRAM and messages=true|false",
		    name, value);
	return false;
}

bool parameter_parse(const char *string, struct parameters *parameters, struct text *error)
{
	*parameters = (struct parameters){.protoc_gen_c = "protoc-gen-c", .messages = true};
	for (const char *at = string ? string : ""; *at;) {
		size_t length = strcspn(at, ",");
		char *name = memory_printf("%.*s", (int)length, at);
		char *equals = strchr(name, '=');

		if (equals)
			*equals = '\0';
		if (length && !set(parameters, name, equals ? equals + 1 : "", error))
			return false;
		at += length + (at[length] == ',');
	}
	return true;
}
