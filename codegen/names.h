/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules by which protoc-gen-c makes C identifiers and file names. Ours follow them,
 * so that they fit the messages that it generates. Results live until memory_release.
 */
#ifndef CODEGEN_NAMES_H
#define CODEGEN_NAMES_H

#include <stdbool.h>

/* "demo.kv.GetRequest" -> "Demo__Kv__GetRequest": of types. */
char *name_type(const char *full_name);
/* "demo.kv.GetRequest" -> "demo__kv__get_request": what functions and tables begin with. */
char *name_lower(const char *full_name);
/* "demo.kv.GetRequest" -> "DEMO__KV__GET_REQUEST": of macros and enum values. */
char *name_upper(const char *full_name);
/* "GetItem" -> "get_item", "Int" -> "int_": a struct member, never a keyword or common macro. */
char *name_member(const char *name);
/* "a/b.proto" -> "a/b". */
char *name_stem(const char *file);
/* "a/b.proto" -> "a_2fb_2eproto": part of an include guard, different for different files. */
char *name_guard(const char *file);
/* [A-Za-z_][A-Za-z0-9_]*; with `dots`, several such with a dot between. */
bool name_valid(const char *name, bool dots);

#endif
