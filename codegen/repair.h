/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes good what protoc-gen-c gets wrong in headers that have to compile without warnings. */
#ifndef CODEGEN_REPAIR_H
#define CODEGEN_REPAIR_H

#include "model.h"

/*
 * A oneof whose first member is bytes is initialised by protoc-gen-c with {0}, of which
 * gcc's -Wall (-Wmissing-braces) complains wherever the message's __INIT is used; every
 * `optional bytes` is such a oneof. Gives them {{0,NULL}} in all headers of `response`.
 */
void repair_initializers(const struct model *model,
			 Google__Protobuf__Compiler__CodeGeneratorResponse *response);

#endif
