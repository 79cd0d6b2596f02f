/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and growing text of the plugin. */
#include "memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536
#define TEXT_FIRST  256

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	max_align_t data[];
};

static struct chunk *chunks;

static void exhausted(void)
{
	fputs("protoc-gen-tern: out of memory\n", stderr);
	exit(1);
}

static struct chunk *add_chunk(size_t size)
{
	struct chunk *chunk;

	if (size > SIZE_MAX - sizeof(*chunk))
		exhausted();
	chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk)
		exhausted();
	chunk->size = size;
	chunk->next = chunks;
	chunks = chunk;
	return chunk;
}

void *memory_alloc(size_t size)
{
	struct chunk *chunk = chunks;
	void *start;

	if (size > SIZE_MAX - sizeof(max_align_t))
		exhausted();
	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!chunk || chunk->size - chunk->used < size)
		chunk = add_chunk(size > CHUNK_BYTES ? size : CHUNK_BYTES);
	start = (char *)chunk->data + chunk->used;
	chunk->used += size;
	return start;
}

void *memory_array(size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		exhausted();
	return memory_alloc(count * size);
}

char *memory_printf(const char *format, ...)
{
	va_list args;
	char *string;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		exhausted();
	string = memory_alloc((size_t)length + 1);
	va_start(args, format);
	vsnprintf(string, (size_t)length + 1, format, args);
	va_end(args);
	return string;
}

static void *allocate(void *ctx, size_t size)
{
	(void)ctx;
	return memory_alloc(size);
}

static void ignore_free(void *ctx, void *data)
{
	(void)ctx;
	(void)data;
}

ProtobufCAllocator memory_allocator = {allocate, ignore_free, NULL};

void memory_release(void)
{
	while (chunks) {
		struct chunk *next = chunks->next;

		free(chunks);
		chunks = next;
	}
}

static void reserve(struct text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : TEXT_FIRST;
	char *data;

	if (more > SIZE_MAX / 4 - text->length)
		exhausted();
	while (capacity <= text->length + more)
		capacity *= 2;
	if (capacity == text->capacity)
		return;
	data = memory_alloc(capacity);
	if (text->length)
		memcpy(data, text->data, text->length);
	text->data = data;
	text->capacity = capacity;
}

void text_append(struct text *text, const void *data, size_t length)
{
	reserve(text, length);
	if (length)
		memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_puts(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		exhausted();
	reserve(text, (size_t)length);
	va_start(args, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
	va_end(args);
	text->length += (size_t)length;
}
