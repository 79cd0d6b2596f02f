/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the plugin, which runs once and ends: everything allocated lives until
 * memory_release. Running out of it ends the program with a message, so no caller checks.
 */
#ifndef CODEGEN_MEMORY_H
#define CODEGEN_MEMORY_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/* Zeroed, aligned for anything. */
void *memory_alloc(size_t size);
/* `count` items of `size` bytes, zeroed. */
void *memory_array(size_t count, size_t size);
/* A string made by printf. */
char *memory_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For protobuf-c; its free does nothing. */
extern ProtobufCAllocator memory_allocator;
/* Frees all that was allocated. */
void memory_release(void);

/* Bytes that grow at the end; all zero is empty. `data` ends with a NUL that `length` does not count. */
struct text {
	char *data;
	size_t length;
	size_t capacity;
};

void text_append(struct text *text, const void *data, size_t length);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
