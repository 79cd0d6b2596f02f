/* SPDX-License-Identifier: BSD-2-Clause */
/* The plugin as a function of what protoc sends. */
#ifndef CODEGEN_PLUGIN_H
#define CODEGEN_PLUGIN_H

#include <stdbool.h>

#include "memory.h"

/*
 * Answers the CodeGeneratorRequest `request` with the CodeGeneratorResponse `response`,
 * which holds files or what protoc is to print as error. False: `request` is none.
 */
bool plugin_answer(const struct text *request, struct text *response);

#endif
