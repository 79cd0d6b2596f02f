/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protobuf bodies made to hurt (row F6): 10,000 nested messages, 1 MiB of empty
 * submessages, lengths near 2^31, 200,000 mutated messages. Each gives a message, an
 * INVALID_ARGUMENT or a RESOURCE_EXHAUSTED, and takes no more memory than 4 times its
 * length and 64 KiB.
 */
#include <errno.h>

#include "codec_fixture.h"

#define MUTATIONS    200000
#define MEGABYTE     (1u << 20)
#define NESTING      10000
#define BASE_BYTES   64 /* of the arena itself */
#define CHUNK_HEADER 16

static struct wire wire, original;
static struct tern_arena arena;
static _Alignas(ARENA_ALIGNMENT) uint8_t base[BASE_BYTES];
static uint64_t taken, malformed, exhausted;

static size_t arena_bytes(void)
{
	size_t sum = 0;

	for (const struct arena_chunk *chunk = arena.chunks; chunk; chunk = chunk->next)
		sum += chunk->size + CHUNK_HEADER;
	return sum;
}

/* Unpacks the wire, and checks all that has to hold. */
static enum tern_status decode(const ProtobufCMessageDescriptor *descriptor)
{
	struct codec_fault fault = { .status = TERN_OK };
	ProtobufCMessage *message = NULL;
	/* A heap block of the exact length, so that reading beyond it is found. */
	uint8_t *data = malloc(wire.length ? wire.length : 1);
	int rc;

	CHECK(data);
	memcpy(data, wire.data, wire.length);
	arena_init(&arena, base, sizeof(base));
	rc = codec_unpack_arena(descriptor, &arena, data, wire.length, codec_budget(0, wire.length), &message,
				&fault);
	CHECK(arena_bytes() <= 4 * wire.length + (64u << 10) + CHUNK_HEADER);
	if (rc == 0) {
		CHECK(message);
		/* Walks the whole result. */
		CHECK(protobuf_c_message_get_packed_size(message) <= 12 * wire.length + 64);
		taken++;
	} else {
		CHECK_EQ(rc, -EBADMSG);
		CHECK(fault.status == TERN_INVALID_ARGUMENT || fault.status == TERN_RESOURCE_EXHAUSTED);
		CHECK(fault.text[0]);
		malformed += fault.status == TERN_INVALID_ARGUMENT;
		exhausted += fault.status == TERN_RESOURCE_EXHAUSTED;
	}
	arena_release(&arena);
	free(data);
	return fault.status;
}

/* Lengths of three bytes (up to 2^21) are enough for 10,000 levels of four bytes each. */
static void test_nesting(uint32_t field)
{
	wire.length = 4 * NESTING;
	for (unsigned int i = 0; i < NESTING; i++) {
		size_t inner = wire.length - 4 * (i + 1);
		uint8_t *at = &wire.data[4 * (size_t)i];

		at[0] = (uint8_t)(field << 3 | 2);
		at[1] = (uint8_t)(inner | 0x80);
		at[2] = (uint8_t)(inner >> 7 | 0x80);
		at[3] = (uint8_t)(inner >> 14);
	}
	CHECK_EQ(decode(&tern__test__rpc__tree__descriptor), TERN_INVALID_ARGUMENT);
}

static void test_empty_submessages(void)
{
	wire.length = MEGABYTE;
	for (size_t i = 0; i < wire.length; i += 2) {
		wire.data[i] = 0x0a;
		wire.data[i + 1] = 0;
	}
	CHECK_EQ(decode(&tern__test__rpc__tree__descriptor), TERN_RESOURCE_EXHAUSTED);
}

static void test_lengths(void)
{
	static const uint32_t lengths[] = { 0x7fffffff, 0x80000000, 0x80000001,
					    0xfffffff0, 0xffffffff, 1u << 20 };

	for (uint32_t field = 1; field <= 24; field++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			wire.length = 0;
			put_tag(&wire, field, 2);
			put_varint(&wire, lengths[i]);
			put_random(&wire, 100);
			CHECK_EQ(decode(&tern__test__rpc__everything__descriptor), TERN_INVALID_ARGUMENT);
		}
	}
}

/* 1 MiB of the densest that there is of each kind: unknown fields, packed and unpacked numbers, strings. */
static void test_dense(void)
{
	static const uint8_t unknown[] = { 0xf8, 0x7f, 0 }, number[] = { 0x98, 0x01, 0 },
			     empty[] = { 0x82, 0x01, 0 };
	static const struct {
		const uint8_t *bytes;
		size_t length;
	} kinds[] = { { unknown, 3 }, { number, 3 }, { empty, 3 } };

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		wire.length = MEGABYTE / 3 * 3;
		for (size_t i = 0; i < wire.length; i++)
			wire.data[i] = kinds[k].bytes[i % kinds[k].length];
		CHECK_EQ(decode(&tern__test__rpc__everything__descriptor), TERN_RESOURCE_EXHAUSTED);
	}
	wire.length = 0;
	put_tag(&wire, 12, 2);
	put_varint(&wire, MEGABYTE);
	memset(&wire.data[wire.length], 1, MEGABYTE);
	wire.length += MEGABYTE;
	CHECK_EQ(decode(&tern__test__rpc__everything__descriptor), TERN_RESOURCE_EXHAUSTED);
	wire.data[0] = 7 << 3 | 2;
	CHECK_EQ(decode(&tern__test__rpc__everything__descriptor), TERN_OK);
}

static void mutate(void)
{
	static const uint8_t interesting[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x52, 0x0b };
	size_t at = below((uint32_t)wire.length);

	switch (below(6)) {
	case 0:
		wire.data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		wire.data[at] = interesting[below(sizeof(interesting))];
		break;
	case 2:
		wire.length = at;
		break;
	case 3: /* take some bytes out */
		memmove(&wire.data[at], &wire.data[wire.length - (wire.length - at) / 2],
			(wire.length - at) / 2);
		wire.length -= (wire.length - at + 1) / 2;
		break;
	case 4: /* double some */
		memmove(&wire.data[at + 8], &wire.data[at], wire.length - at);
		wire.length += 8;
		break;
	default: /* a piece of another place */
		memmove(&wire.data[at], &wire.data[below((uint32_t)(wire.length - at / 2))],
			wire.length - at < 16 ? wire.length - at : 16);
	}
}

static void test_mutations(void)
{
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		if (i % 20 == 0) {
			original.length = 0;
			put_message(&original, &tern__test__rpc__everything__descriptor, 1 + below(40), 4);
		}
		memcpy(wire.data, original.data, original.length);
		wire.length = original.length;
		for (unsigned int n = 1 + below(4); n && wire.length; n--)
			mutate();
		decode(i % 5 ? &tern__test__rpc__everything__descriptor : &tern__test__rpc__tree__descriptor);
	}
}

int main(void)
{
	test_nesting(1);
	test_nesting(2);
	test_empty_submessages();
	test_lengths();
	test_dense();
	test_mutations();
	/* A run in which everything is refused for the same reason tests nothing. */
	CHECK(taken > MUTATIONS / 50 && malformed > MUTATIONS / 50);
	printf("%u mutated messages: %llu unpacked, %llu malformed, %llu over the budget\n", MUTATIONS,
	       (unsigned long long)taken, (unsigned long long)malformed, (unsigned long long)exhausted);
	return 0;
}
