/* SPDX-License-Identifier: BSD-2-Clause */
/* What protoc-gen-tern makes of tests/proto/codegen.proto: tables and typed functions. */
#include <string.h>

#include "codegen.tern.h"
#include "tern.h"
#include "test.h"

#define NAMES "/tern.test.codegen.v1.Names/"

typedef Tern__Test__Codegen__V1__Outer Outer;
typedef Tern__Test__Codegen__V1__Outer__Inner Inner;

static const struct tern_service *const services[] = {
	&tern__test__codegen__v1__names__service,
	&tern__test__codegen__v1__options__service,
	&tern__test__codegen__v1__retired__service,
	&tern__test__codegen__v1__empty__service,
};

static const struct tern_method *find(const char *name)
{
	for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++)
		for (size_t i = 0; i < services[s]->method_count; i++)
			if (!strcmp(services[s]->methods[i].name, name))
				return &services[s]->methods[i];
	return NULL;
}

static void test_services(void)
{
	CHECK(!strcmp(services[0]->name, "tern.test.codegen.v1.Names"));
	CHECK_EQ(services[0]->method_count, 17);
	CHECK_EQ(services[1]->method_count, 5);
	CHECK_EQ(services[2]->method_count, 1);
	CHECK_EQ(services[3]->method_count, 0);
}

/* FNV-1a once more, from its definition: generator and library must both agree with it. */
static uint64_t hash_of(const char *name)
{
	uint64_t hash = 14695981039346656037u;

	while (*name) {
		hash ^= (unsigned char)*name++;
		hash *= 1099511628211u;
	}
	return hash;
}

static void test_hashes(void)
{
	for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++) {
		for (size_t i = 0; i < services[s]->method_count; i++) {
			const struct tern_method *method = &services[s]->methods[i];

			CHECK(method->hash == hash_of(method->name));
			CHECK(method->hash == tern_method_hash(method->name));
			CHECK(method->dispatch && method->complete);
		}
	}
}

static void test_messages(void)
{
	const struct tern_method *method = find(NAMES "Nested");

	CHECK(method && !strcmp(method->input->name, "tern.test.codegen.v1.Outer.Inner"));
	CHECK(!strcmp(method->output->name, "tern.test.codegen.v1.Outer"));
	method = find(NAMES "Imported");
	CHECK(method && method->input == &shared__httptypes__key__part__descriptor);
	CHECK(method->output == &google__protobuf__string_value__descriptor);
	method = find(NAMES "NoComment");
	CHECK(method && method->input == &google__protobuf__empty__descriptor);
}

static void check_options(const char *name, uint32_t flags, uint32_t priority, uint64_t timeout_us)
{
	const struct tern_method *method = find(name);

	CHECK(method);
	CHECK_EQ(method->flags, flags);
	CHECK_EQ(method->priority, priority);
	CHECK(method->timeout_us == timeout_us);
}

static void test_options(void)
{
	check_options("/tern.test.codegen.v1.Options/Plain", 0, 0, 0);
	check_options("/tern.test.codegen.v1.Options/All",
		      TERN_METHOD_INLINE | TERN_METHOD_IDEMPOTENT | TERN_METHOD_DEPRECATED, 7, 250000);
	check_options("/tern.test.codegen.v1.Options/Blocking", TERN_METHOD_BLOCKING, 0, 5000000000);
	check_options("/tern.test.codegen.v1.Options/SideEffectFree", TERN_METHOD_IDEMPOTENT, 0, 0);
	check_options("/tern.test.codegen.v1.Options/Idempotent", TERN_METHOD_IDEMPOTENT, 0, 0);
	check_options("/tern.test.codegen.v1.Retired/Old", TERN_METHOD_DEPRECATED, 0, 0);
}

struct seen {
	int calls;
	const void *message;
	struct tern_call *call;
	const struct tern_result *result;
};

static void handle_nested(struct tern_call *call, const Inner *request, void *ctx)
{
	struct seen *seen = ctx;

	seen->calls++;
	seen->call = call;
	seen->message = request;
}

static void handle_register(struct tern_call *call, const Outer *request, void *ctx)
{
	struct seen *seen = ctx;

	seen->calls += 100;
	seen->call = call;
	seen->message = request;
}

static void test_dispatch(void)
{
	const Tern__Test__Codegen__V1__Names__Server handlers = {
		.nested = handle_nested,
		.register_ = handle_register,
	};
	Inner inner = TERN__TEST__CODEGEN__V1__OUTER__INNER__INIT;
	Outer outer = TERN__TEST__CODEGEN__V1__OUTER__INIT;
	struct tern_call *call = (struct tern_call *)&outer; /* only passed through */
	struct seen seen = {0};

	CHECK(find(NAMES "Nested")->dispatch(call, &inner.base, &handlers, &seen));
	CHECK(seen.calls == 1 && seen.call == call && seen.message == &inner);
	CHECK(find(NAMES "register")->dispatch(call, &outer.base, &handlers, &seen));
	CHECK(seen.calls == 101 && seen.message == &outer);
	CHECK(!find(NAMES "Foo__call")->dispatch(call, &outer.base, &handlers, &seen));
	CHECK_EQ(seen.calls, 101);
}

static void take_reply(const struct tern_result *result, const Outer *reply, void *ctx)
{
	struct seen *seen = ctx;

	seen->calls++;
	seen->result = result;
	seen->message = reply;
}

static void test_complete(void)
{
	Tern__Test__Codegen__V1__Names__Nested__Done *done = take_reply;
	const struct tern_method *method = find(NAMES "Nested");
	const struct tern_result failed = {.status = TERN_UNAVAILABLE}, ok = {.status = TERN_OK};
	Outer reply = TERN__TEST__CODEGEN__V1__OUTER__INIT;
	struct seen seen = {.message = &seen};

	method->complete((tern_done *)done, &failed, NULL, &seen);
	CHECK(seen.calls == 1 && seen.result == &failed && !seen.message);
	method->complete((tern_done *)done, &ok, &reply.base, &seen);
	CHECK(seen.calls == 2 && seen.result == &ok && seen.message == &reply);
}

/* proto3 `optional`, which protoc-gen-c alone would refuse: unset and set to "" differ on the wire. */
static void test_optional(void)
{
	char empty[] = "";
	Outer outer = TERN__TEST__CODEGEN__V1__OUTER__INIT, *back;
	uint8_t packed[8];

	CHECK_EQ(tern__test__codegen__v1__outer__pack(&outer, packed), 0);
	outer._note_case = TERN__TEST__CODEGEN__V1__OUTER___NOTE_NOTE;
	outer.note = empty;
	CHECK_EQ(tern__test__codegen__v1__outer__pack(&outer, packed), 2);
	CHECK(packed[0] == 0x1a && packed[1] == 0);
	back = tern__test__codegen__v1__outer__unpack(NULL, 2, packed);
	CHECK(back && back->_note_case == TERN__TEST__CODEGEN__V1__OUTER___NOTE_NOTE && !*back->note);
	tern__test__codegen__v1__outer__free_unpacked(back, NULL);
}

int main(void)
{
	test_services();
	test_hashes();
	test_messages();
	test_options();
	test_dispatch();
	test_complete();
	test_optional();
	puts("tables, hashes, options, dispatch, completion, optional");
	return 0;
}
