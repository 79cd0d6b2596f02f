/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs protoc-gen-c, which makes the messages. */
#ifndef CODEGEN_CHILD_H
#define CODEGEN_CHILD_H

#include <stdbool.h>

#include "memory.h"

/*
 * Runs `program`, gives it `input` on its stdin and appends its stdout to `output`; its
 * stderr is ours. False, with the reason and the remedy in `error`, when it could not be
 * started or did not exit with 0.
 */
bool child_run(const char *program, const struct text *input, struct text *output, struct text *error);

#endif
