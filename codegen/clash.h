/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds definitions that differ in the .proto and would be one in C or on the wire. */
#ifndef CODEGEN_CLASH_H
#define CODEGEN_CLASH_H

#include "model.h"

/*
 * Adds an error for each pair that would share a C identifier, with `stubs` protobuf-c's
 * service stubs counted in, and for each two methods that share a hash.
 */
void clash_check(const struct model *model, bool stubs, struct errors *errors);

#endif
