/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the C that is generated from a file. The same model gives the same bytes. */
#ifndef CODEGEN_EMIT_H
#define CODEGEN_EMIT_H

#include "model.h"

/* STEM.tern.h */
void emit_header(const struct model *model, const struct file *file, struct text *out);
/* STEM.tern.c */
void emit_source(const struct file *file, struct text *out);

#endif
