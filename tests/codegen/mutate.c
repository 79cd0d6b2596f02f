/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives the plugin broken requests: `mutate COUNT SEED REQUEST...` takes stored requests in
 * turn, truncates, flips, inserts, repeats or overwrites a few of their bytes, and lets
 * plugin_answer have them. What must hold: it returns, the sanitizers are content, and an
 * answer is a decodable one with files or an error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "plugin.h"

#define REQUEST_MAX (1 << 20)
#define NEST_DEPTH  50000

typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;

static struct {
	unsigned long files, errors, refused;
} outcomes;

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

static size_t read_file(const char *path, uint8_t *data)
{
	FILE *file = fopen(path, "rb");
	size_t length;

	if (!file) {
		perror(path);
		exit(1);
	}
	length = fread(data, 1, REQUEST_MAX / 2, file);
	fclose(file);
	return length;
}

/* One mutation of `data`, which has room for REQUEST_MAX; its new length. */
static size_t mutate(uint8_t *data, size_t length)
{
	size_t at = draw(length), count = 1 + draw(16), from = draw(length);

	if (at + count > length)
		count = length - at;
	switch (draw(7)) {
	case 0:
		return at + 1;
	case 1:
		data[at] ^= (uint8_t)(1 << draw(8));
		break;
	case 2:
		data[at] = (uint8_t)draw(256);
		break;
	case 3:
		memset(data + at, (int)draw(2) * 0xff, count);
		break;
	case 4: /* a piece is left out */
		memmove(data + at, data + at + count, length - at - count);
		return length - count ? length - count : 1;
	case 5: /* a piece comes twice */
		if (length + count > REQUEST_MAX)
			break;
		memmove(data + at + count, data + at, length - at);
		return length + count;
	case 6: /* a piece of another place */
		if (from + count <= length)
			memmove(data + at, data + from, count);
		break;
	}
	return length;
}

static void give(const uint8_t *data, size_t length)
{
	struct text request = {0}, response = {0};
	Response *answer;

	text_append(&request, data, length);
	if (!plugin_answer(&request, &response)) {
		outcomes.refused++;
	} else {
		answer = google__protobuf__compiler__code_generator_response__unpack(
			&memory_allocator, response.length, (const uint8_t *)response.data);
		if (!answer || (answer->error && answer->n_file)) {
			fprintf(stderr, "an answer that protoc cannot use\n");
			abort();
		}
		outcomes.files += !answer->error;
		outcomes.errors += answer->error != NULL;
	}
	memory_release();
}

/* A request whose only file holds a message in a message in a message: it must not use up the stack. */
static void give_nested(uint8_t *data)
{
	size_t start = REQUEST_MAX;

	for (size_t depth = 0; depth < NEST_DEPTH; depth++) {
		size_t length = REQUEST_MAX - start, bytes = 0;
		uint8_t varint[10];

		do {
			varint[bytes++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
			length >>= 7;
		} while (length);
		start -= bytes;
		memcpy(data + start, varint, bytes);
		/* proto_file 15, message_type 4, nested_type 3 */
		data[--start] = depth == NEST_DEPTH - 1 ? 0x7a : depth == NEST_DEPTH - 2 ? 0x22 : 0x1a;
	}
	give(data + start, REQUEST_MAX - start);
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 3 ? strtoul(argv[1], NULL, 10) : 0;
	uint8_t *data = malloc(REQUEST_MAX);

	if (!count || !data) {
		fprintf(stderr, "usage: mutate COUNT SEED REQUEST...\n");
		return 1;
	}
	random_state = strtoull(argv[2], NULL, 10) + 0x9e3779b97f4a7c15u;
	give_nested(data);
	for (unsigned long i = 0; i < count; i++) {
		size_t length = read_file(argv[3 + i % (unsigned long)(argc - 3)], data);

		for (uint64_t times = draw(4); times-- > 0 && length;)
			length = mutate(data, length);
		alarm(10); /* an endless loop is a finding too */
		give(data, length);
	}
	free(data);
	if (!outcomes.files || !outcomes.errors || !outcomes.refused) {
		fprintf(stderr, "not every outcome was seen\n");
		return 1;
	}
	printf("%lu requests: %lu generated, %lu errors, %lu refused\n", count, outcomes.files,
	       outcomes.errors, outcomes.refused);
	return 0;
}
