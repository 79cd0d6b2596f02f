/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk in front of unpack: what it refuses, and that it knows what unpack allocates. */
#include <errno.h>

#include "codec_fixture.h"

#define RANDOM_MESSAGES 6000
#define BIG_BUDGET      (1ull << 30)

static struct wire wire;

static int scan(const ProtobufCMessageDescriptor *descriptor, size_t *needed, struct codec_fault *fault)
{
	return codec_scan(descriptor, wire.data, wire.length, BIG_BUDGET, needed, fault);
}

/* ---- what it refuses ---- */

static const struct {
	const char *bytes;
	size_t length;
	const char *says; /* NULL: it is taken */
} rules[] = {
	{ "", 0, NULL },
	{ "\x08\x01", 2, NULL },
	{ "\x08", 1, "does not end" },
	{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, NULL },
	{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "does not end" },
	{ "\x00\x01", 2, "valid tag" },
	{ "\x80\x80\x80\x80\x80\x01", 6, "valid tag" },
	{ "\xf8\xff\xff\xff\x7f\x01", 6, "valid tag" },
	{ "\xf8\xff\xff\xff\x0f\x01", 6, NULL },
	{ "\x88\x80\x00\x05", 4, NULL },
	{ "\x0b\x0c", 2, "groups" },
	{ "\x0c", 1, "groups" },
	{ "\x0e\x00", 2, "wire type" },
	{ "\x0f\x00", 2, "wire type" },
	{ "\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, "not that of the field" },
	{ "\x1d\x01\x02\x03\x04", 5, NULL },
	{ "\x1d\x01\x02\x03", 4, "cut short" },
	{ "\x21\x01\x02\x03\x04\x05\x06\x07", 8, "cut short" },
	{ "\x2a\x00", 2, "not that of the field" },
	{ "\x32\x03"
	  "abc",
	  5, NULL },
	{ "\x32\x04"
	  "abc",
	  5, "longer than" },
	{ "\x32\xff\xff\xff\xff\x0f", 6, "longer than" },
	{ "\x32\x80\x80\x80\x80\x08", 6, "longer than" },
	{ "\x32\x83\x80\x80\x80\x00"
	  "abc",
	  9, NULL },
	{ "\x32\x83\x80\x80\x80\x80\x00"
	  "abc",
	  10, "length that does not end" },
	{ "\x30\x00", 2, "not that of the field" },
	{ "\x4a\x00", 2, NULL },
	{ "\x4a\x00\x4a\x00", 4, "occurs twice" },
	{ "\xb2\x01\x00\xb2\x01\x00", 6, NULL },
	{ "\x6a\x08"
	  "abcdabcd",
	  10, NULL },
	{ "\x6a\x07"
	  "abcdabc",
	  9, "no multiple" },
	{ "\x72\x09"
	  "abcdabcda",
	  11, "no multiple" },
	{ "\x5a\x00", 2, NULL },
	{ "\x9a\x01\x03\x01\x02\x03", 6, NULL },
};

static void test_rules(void)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct codec_fault fault = { .text = "" };
		ProtobufCMessage *message;
		size_t needed;
		int rc;

		wire.length = rules[i].length;
		memcpy(wire.data, rules[i].bytes, rules[i].length);
		rc = scan(&tern__test__rpc__everything__descriptor, &needed, &fault);
		if ((rc == 0) != !rules[i].says || (rc && !strstr(fault.text, rules[i].says))) {
			fprintf(stderr, "rule %zu: %d, \"%s\"\n", i, rc, fault.text);
			exit(1);
		}
		if (rc < 0) {
			CHECK_EQ(fault.status, TERN_INVALID_ARGUMENT);
			continue;
		}
		CHECK_EQ(codec_unpack(&tern__test__rpc__everything__descriptor, NULL, wire.data, wire.length,
				      BIG_BUDGET, &message, &fault),
			 0);
		protobuf_c_message_free_unpacked(message, NULL);
	}
}

/* Tree.left, so often within itself. */
static void put_nested(unsigned int depth)
{
	size_t begin;

	if (depth == 0)
		return;
	put_tag(&wire, 2, 2);
	begin = begin_length(&wire);
	put_nested(depth - 1);
	end_length(&wire, begin);
}

static void test_depth(void)
{
	struct codec_fault fault;
	ProtobufCMessage *message;
	size_t needed;

	wire.length = 0;
	put_nested(CODEC_DEPTH_MAX);
	CHECK_EQ(codec_unpack(&tern__test__rpc__tree__descriptor, NULL, wire.data, wire.length, BIG_BUDGET,
			      &message, &fault),
		 0);
	protobuf_c_message_free_unpacked(message, NULL);
	wire.length = 0;
	put_nested(CODEC_DEPTH_MAX + 1);
	CHECK_EQ(scan(&tern__test__rpc__tree__descriptor, &needed, &fault), -EBADMSG);
	CHECK_EQ(fault.status, TERN_INVALID_ARGUMENT);
	CHECK(strstr(fault.text, "nested too deep"));
}

/* Merging costs memory that nobody has counted, so it must not come to that. */
static void test_no_merge(void)
{
	struct codec_fault fault;
	size_t needed;

	wire.length = 0;
	put_tag(&wire, 10, 2);
	put_bytes(&wire, "", 0);
	put_tag(&wire, 10, 2);
	put_bytes(&wire, "", 0);
	CHECK_EQ(scan(&tern__test__rpc__everything__descriptor, &needed, &fault), -EBADMSG);
	CHECK(strstr(fault.text, "occurs twice"));
}

static void test_budget(void)
{
	struct codec_fault fault;
	ProtobufCMessage *message;
	size_t needed;

	wire.length = 0;
	put_tag(&wire, 6, 2);
	put_bytes(&wire, "0123456789", 10);
	CHECK_EQ(scan(&tern__test__rpc__everything__descriptor, &needed, &fault), 0);
	CHECK_EQ(codec_unpack(&tern__test__rpc__everything__descriptor, NULL, wire.data, wire.length, needed,
			      &message, &fault),
		 0);
	protobuf_c_message_free_unpacked(message, NULL);
	CHECK_EQ(codec_unpack(&tern__test__rpc__everything__descriptor, NULL, wire.data, wire.length,
			      needed - 1, &message, &fault),
		 -EBADMSG);
	CHECK_EQ(fault.status, TERN_RESOURCE_EXHAUSTED);
	CHECK(strstr(fault.text, "max_decoded_bytes"));
	CHECK_EQ(codec_budget(0, 1000), 4000 + 65536);
	CHECK_EQ(codec_budget(7, 1000), 7);
}

/* ---- what it knows ---- */

/* What unpack allocates for a random message is what the walk said, but for the rounding of arrays. */
static void check_needed(const ProtobufCMessageDescriptor *descriptor, unsigned int fields)
{
	struct counting counting;
	struct codec_fault fault = { .text = "" };
	ProtobufCMessage *message, *again;
	uint8_t *packed;
	size_t needed, size;
	int rc;

	wire.length = 0;
	put_message(&wire, descriptor, fields, 4);
	rc = scan(descriptor, &needed, &fault);
	if (rc < 0) {
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, fault.text);
		exit(1);
	}
	counting_init(&counting);
	message = protobuf_c_message_unpack(descriptor, &counting.allocator, wire.length, wire.data);
	CHECK(message);
	CHECK(counting.taken <= needed);
	CHECK(needed - counting.taken <= counting.calls * (ARENA_ALIGNMENT - 1));
	size = protobuf_c_message_get_packed_size(message);
	packed = malloc(size + 1);
	CHECK(packed && protobuf_c_message_pack(message, packed) == size);
	CHECK_EQ(codec_unpack(descriptor, NULL, packed, size, BIG_BUDGET, &again, &fault), 0);
	CHECK_EQ(protobuf_c_message_get_packed_size(again), size);
	protobuf_c_message_free_unpacked(again, NULL);
	protobuf_c_message_free_unpacked(message, &counting.allocator);
	CHECK_EQ(counting.live, 0);
	free(packed);
}

/* With the n-th allocation failing, for every n: nothing leaks, and the fault says so. */
static void test_failing_allocations(void)
{
	for (unsigned int i = 0; i < 60; i++) {
		struct counting counting;
		struct codec_fault fault;
		ProtobufCMessage *message;
		size_t fail_at = 0;
		int rc;

		wire.length = 0;
		put_message(&wire, &tern__test__rpc__everything__descriptor, 60, 4);
		do {
			counting_init(&counting);
			counting.fail_at = ++fail_at;
			rc = codec_unpack(&tern__test__rpc__everything__descriptor, &counting.allocator,
					  wire.data, wire.length, BIG_BUDGET, &message, &fault);
			CHECK(rc == 0 || fault.status == TERN_RESOURCE_EXHAUSTED);
		} while (rc < 0);
		protobuf_c_message_free_unpacked(message, &counting.allocator);
		CHECK_EQ(counting.live, 0);
		CHECK(fail_at > counting.calls);
	}
}

/* Into an arena, a message takes one chunk at most. */
static void test_arena(void)
{
	struct codec_fault fault;
	struct tern_arena *arena;
	ProtobufCMessage *message;

	CHECK_EQ(tern_arena_create(64, &arena), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		wire.length = 0;
		put_message(&wire, &tern__test__rpc__everything__descriptor, 40, 4);
		CHECK_EQ(codec_unpack_arena(&tern__test__rpc__everything__descriptor, arena, wire.data,
					    wire.length, BIG_BUDGET, &message, &fault),
			 0);
		CHECK(protobuf_c_message_check(message));
		CHECK(!arena->chunks || !arena->chunks->next);
		tern_arena_reset(arena);
	}
	tern_arena_destroy(arena);
}

int main(void)
{
	test_rules();
	test_depth();
	test_no_merge();
	test_budget();
	for (unsigned int i = 0; i < RANDOM_MESSAGES; i++) {
		check_needed(&tern__test__rpc__everything__descriptor, below(50));
		check_needed(&tern__test__rpc__tree__descriptor, below(200));
	}
	test_failing_allocations();
	test_arena();
	return 0;
}
