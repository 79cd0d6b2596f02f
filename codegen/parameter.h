/* SPDX-License-Identifier: BSD-2-Clause */
/* What --tern_opt= may say: NAME=VALUE, several with commas between. */
#ifndef CODEGEN_PARAMETER_H
#define CODEGEN_PARAMETER_H

#include <stdbool.h>

#include "memory.h"

struct parameters {
	const char *protoc_gen_c; /* the program, looked for in PATH if without a slash; never NULL */
	bool messages;            /* .pb-c.[ch] are generated too */
};

/* `string` may be NULL. False, with what is wrong in `error`, at one that is not known. */
bool parameter_parse(const char *string, struct parameters *parameters, struct text *error);

#endif
