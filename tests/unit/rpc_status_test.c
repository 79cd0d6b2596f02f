/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each status that the library itself gives, produced by its documented cause (row L8):
 * status.h has the table. Where both sides have an opinion, they agree.
 */
#include <endian.h>
#include <limits.h>

#include "rpc_fixture.h"
#include "rpc_wire.h"
#include "server.h"
#include "status.h"

static const struct tern_endpoint_options plain;

/* Makes a call, lets everything happen, returns how it ended. */
static struct ending call(struct pair *pair, const Tern__Test__Rpc__Payload *request)
{
	Tern__Test__Rpc__Payload empty = TERN__TEST__RPC__PAYLOAD__INIT;
	struct ending ending = { 0 };

	CHECK_EQ(tern__test__rpc__echo__echo__start(pair->channel, NULL, request ? request : &empty, note_end,
						    &ending, NULL),
		 0);
	settle(pair);
	CHECK_EQ(ending.count, 1);
	return ending;
}

static void expect(const struct ending *ending, enum tern_status status, const char *says)
{
	if (ending->result.status != status || !strstr(ending->result.message, says)) {
		fprintf(stderr, "ended with %s, \"%s\"; expected %s, \"%s\"\n",
			tern_status_name(ending->result.status), ending->result.message,
			tern_status_name(status), says);
		exit(1);
	}
}

/* ---- what the transport reports ---- */

static void test_transport_errors(void)
{
	static const struct {
		int error;
		enum tern_status status;
		const char *says;
	} table[] = {
		{ -ETIMEDOUT, TERN_UNAVAILABLE, "does not answer" },
		{ -ECONNREFUSED, TERN_UNAVAILABLE, "nobody serves" },
		{ -EHOSTUNREACH, TERN_UNAVAILABLE, "host unreachable" },
		{ -ENETUNREACH, TERN_UNAVAILABLE, "no route" },
		{ -EPROTONOSUPPORT, TERN_UNAVAILABLE, "does not speak" },
		{ -ENOBUFS, TERN_RESOURCE_EXHAUSTED, "used up" },
		{ -EIO, TERN_UNAVAILABLE, "errno 5" },
	};
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	struct ending ending;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_set_faults((struct fake_faults){ .failure = table[i].error });
		ending = call(&pair, NULL);
		expect(&ending, table[i].status, table[i].says);
		CHECK(strstr(ending.result.message, "10.0.0.2:4000"));
	}
	/* The same, found out while sending: reported by the callback, but not from inside start. */
	fake_set_faults((struct fake_faults){ .request_error = -EHOSTUNREACH });
	ending = call(&pair, NULL);
	expect(&ending, TERN_UNAVAILABLE, "host unreachable");
	destroy_pair(&pair);
}

static void test_start_errors(void)
{
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT, *reply;
	Tern__Test__Rpc__Leaf leaf = TERN__TEST__RPC__LEAF__INIT;
	struct tern_result result;

	fake_set_faults((struct fake_faults){ .no_memory = true });
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, note_end, NULL, NULL),
		 -ENOBUFS);
	CHECK_EQ(tern__test__rpc__echo__echo__call(pair.channel, NULL, &request, &reply, &result),
		 TERN_RESOURCE_EXHAUSTED);
	CHECK_EQ(tern__test__rpc__echo__echo__call(pair.channel, NULL, &request, &reply, NULL),
		 TERN_RESOURCE_EXHAUSTED);
	fake_set_faults((struct fake_faults){ .request_error = -EMSGSIZE });
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, note_end, NULL, NULL),
		 -EMSGSIZE);
	fake_set_faults((struct fake_faults){ 0 });
	request.data = (ProtobufCBinaryData){ FAKE_MAX_MESSAGE, calloc(1, FAKE_MAX_MESSAGE) };
	CHECK_EQ(tern__test__rpc__echo__echo__start(pair.channel, NULL, &request, note_end, NULL, NULL),
		 -EMSGSIZE);
	CHECK_EQ(tern__test__rpc__echo__echo__call(pair.channel, NULL, &request, &reply, &result),
		 TERN_RESOURCE_EXHAUSTED);
	CHECK(strstr(result.message, "larger than"));
	free(request.data.data);
	CHECK_EQ(tern_call_start(pair.channel, &tern__test__rpc__echo__service.methods[0], NULL, &leaf.base,
				 NULL, NULL, NULL),
		 -EINVAL);
	CHECK_EQ(tern_call_wait(pair.channel, &tern__test__rpc__echo__service.methods[0], NULL, &leaf.base,
				NULL, &result),
		 TERN_INTERNAL);
	CHECK_EQ(counter(pair.client_endpoint, "rpc_calls_started"), 0);
	CHECK_EQ(counter(pair.client_endpoint, "fake_live_rpcs"), 0);
	destroy_pair(&pair);
}

/* ---- what servers answer ---- */

static void fail_as_asked(struct tern_call *handle, const Tern__Test__Rpc__Payload *request, void *ctx)
{
	(void)ctx;
	CHECK_EQ(tern_call_fail(handle, (enum tern_status)request->number, request->text[0] ? "%s" : NULL,
				request->text),
		 0);
}

/* Every code that a handler gives arrives, with its text, cut at a character's end. */
static void test_handlers_status(void)
{
	static const Tern__Test__Rpc__Echo__Server handlers = { .echo = fail_as_asked };
	struct pair pair = make_pair(plain, plain, &handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	char text[1000];
	struct ending ending;

	for (uint32_t status = 1; status <= 16; status++) {
		request.number = status;
		request.text = (char *)(uintptr_t)tern_status_name((enum tern_status)status);
		ending = call(&pair, &request);
		expect(&ending, (enum tern_status)status, request.text);
		request.text = "";
		ending = call(&pair, &request);
		CHECK(ending.result.status == status && ending.result.message[0] == 0);
	}
	for (unsigned int shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (unsigned int i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x90\xa6", 5);
		request.text = text;
		ending = call(&pair, &request);
		CHECK_EQ(strlen(ending.result.message), (TERN_MESSAGE_MAX - 1 - shift) / 4 * 4 + shift);
	}
	destroy_pair(&pair);
}

static void test_unimplemented(void)
{
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	struct tern_method unknown = tern__test__rpc__echo__service.methods[0];
	struct ending ending = { 0 }, second = { 0 };

	CHECK_EQ(tern__test__rpc__echo__unimplemented__start(pair.channel, NULL, &request, note_end, &ending,
							     NULL),
		 0);
	settle(&pair);
	expect(&ending, TERN_UNIMPLEMENTED, "no handler");
	unknown.hash = 0x123456789abcdef0;
	CHECK_EQ(tern_call_start(pair.channel, &unknown, NULL, &request.base, (tern_done *)(void *)note_end,
				 &second, NULL),
		 0);
	settle(&pair);
	expect(&second, TERN_UNIMPLEMENTED,
	       "123456789abcdef0 is not served here; services: tern.test.rpc.Echo");
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_refused"), 2);
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* A request that unpacks to more than allowed, one that is no protobuf, and limits set higher. */
static void test_bodies(void)
{
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	struct tern_server_options options = { .sz = sizeof(options), .max_decoded_bytes = 10 << 20 };
	struct tern_channel_options channel_options = { .sz = sizeof(channel_options),
							.max_decoded_bytes = 100 };
	Tern__Test__Rpc__Payload request = TERN__TEST__RPC__PAYLOAD__INIT;
	static uint32_t numbers[100000];
	struct ending ending;

	request.n_numbers = 100000;
	request.numbers = numbers;
	/* One byte each on the wire, four in memory: just within the default. */
	ending = call(&pair, &request);
	CHECK_EQ(ending.result.status, TERN_OK);
	pair.server->options.max_decoded_bytes = 300000;
	ending = call(&pair, &request);
	expect(&ending, TERN_RESOURCE_EXHAUSTED, "max_decoded_bytes");
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_malformed"), 1);
	tern_server_destroy(pair.server);
	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, &options, &pair.server), 0);
	CHECK_EQ(tern__test__rpc__echo__register(pair.server, &echo_handlers, NULL), 0);
	tern_channel_destroy(pair.channel);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, &channel_options, &pair.channel), 0);
	/* The client's own limit. */
	ending = call(&pair, &request);
	expect(&ending, TERN_RESOURCE_EXHAUSTED, "max_decoded_bytes");
	destroy_pair(&pair);
}

/* ---- messages that are none ---- */

static struct rpc_header good_header(enum rpc_kind kind)
{
	return (struct rpc_header){ .version = RPC_VERSION,
				    .kind = (__u8)kind,
				    .method = htobe64(tern__test__rpc__echo__service.methods[0].hash) };
}

struct raw_reply {
	struct rpc_header header;
	char text[TERN_MESSAGE_MAX];
	size_t length;
};

static void take_raw(const struct tern_result *result, const void *data, size_t length, void *ctx)
{
	struct raw_reply *reply = ctx;

	CHECK_EQ(result->status, TERN_OK);
	CHECK(length >= sizeof(reply->header) && length <= sizeof(reply->header) + sizeof(reply->text));
	memcpy(&reply->header, data, sizeof(reply->header));
	reply->length = length - sizeof(reply->header);
	memset(reply->text, 0, sizeof(reply->text));
	memcpy(reply->text, (const char *)data + sizeof(reply->header), reply->length);
}

/* What a server says to these bytes. */
static void say(struct pair *pair, const void *data, size_t length, enum tern_status status, const char *says)
{
	struct raw_reply reply = { .length = SIZE_MAX };

	CHECK_EQ(tern_channel_send_raw(pair->channel, NULL, data, length, take_raw, &reply, NULL), 0);
	settle(pair);
	CHECK(reply.length != SIZE_MAX);
	CHECK_EQ(reply.header.version, RPC_VERSION);
	CHECK_EQ(reply.header.kind, RPC_RESPONSE);
	CHECK(reply.header.incarnation != 0);
	CHECK_EQ(reply.header.status, status);
	CHECK(strstr(reply.text, says));
}

static void test_bad_requests(void)
{
	struct pair pair = make_pair(plain, plain, &echo_handlers, NULL);
	struct rpc_header good = good_header(RPC_REQUEST), header;
	char body[sizeof(header) + 100];

	say(&pair, "x", 1, TERN_INVALID_ARGUMENT, "too short");
	say(&pair, &good, sizeof(good) - 1, TERN_INVALID_ARGUMENT, "too short");
	say(&pair, &good, sizeof(good), TERN_OK, "");
	header = good;
	header.version = 2;
	say(&pair, &header, sizeof(header), TERN_UNIMPLEMENTED, "version");
	for (unsigned int kind = 0; kind < 256; kind++) {
		header = good;
		header.kind = (__u8)kind;
		if (kind != RPC_REQUEST)
			say(&pair, &header, sizeof(header), TERN_UNIMPLEMENTED, "another kind");
	}
	header = good;
	header.flags = 0xff;
	header.reserved = 0xffff;
	header.incarnation = 0x12345678;
	say(&pair, &header, sizeof(header), TERN_OK, "");
	header = good;
	header.metadata_length = htobe16(1);
	say(&pair, &header, sizeof(header), TERN_INVALID_ARGUMENT, "metadata");
	header.metadata_length = htobe16(100);
	memcpy(body, &header, sizeof(header));
	memset(body + sizeof(header), 0xff, 100);
	say(&pair, body, sizeof(body), TERN_OK, "");
	header.metadata_length = htobe16(99);
	memcpy(body, &header, sizeof(header));
	say(&pair, body, sizeof(body), TERN_INVALID_ARGUMENT, "bad protobuf: tern.test.rpc.Payload, field 0");
	CHECK_EQ(counter(pair.server_endpoint, "rpc_requests_held"), 0);
	destroy_pair(&pair);
}

/* A server that answers with these bytes. */
struct answer_bytes {
	struct rpc_header header;
	char body[300];
	size_t length;
};

static void answer_bytes(struct tern_call *handle, const void *data, size_t length, void *ctx)
{
	const struct answer_bytes *bytes = ctx;

	(void)data, (void)length;
	CHECK_EQ(tern_call_reply_raw(handle, &bytes->header, bytes->length), 0);
}

static void hear(struct pair *pair, enum tern_status status, const char *says)
{
	struct ending ending = call(pair, NULL);

	expect(&ending, status, says);
}

static void test_bad_responses(void)
{
	struct answer_bytes bytes = { .header = good_header(RPC_RESPONSE),
				      .length = sizeof(struct rpc_header) };
	struct pair pair = { .client_endpoint = make_endpoint(plain),
			     .server_endpoint = make_endpoint(plain) };
	const struct rpc_header good = bytes.header;

	CHECK_EQ(tern_server_create(pair.server_endpoint, PAIR_ADDRESS, NULL, &pair.server), 0);
	CHECK_EQ(tern_server_set_raw(pair.server, answer_bytes, &bytes), 0);
	CHECK_EQ(tern_channel_create(pair.client_endpoint, PAIR_ADDRESS, NULL, &pair.channel), 0);
	hear(&pair, TERN_OK, "");
	bytes.length--;
	hear(&pair, TERN_INTERNAL, "too short");
	bytes.length++;
	bytes.header.version = 0;
	hear(&pair, TERN_INTERNAL, "version");
	bytes.header = good;
	bytes.header.kind = RPC_REQUEST;
	hear(&pair, TERN_INTERNAL, "kind");
	bytes.header = good;
	bytes.header.method++;
	hear(&pair, TERN_INTERNAL, "another method");
	bytes.header = good;
	bytes.header.metadata_length = htobe16(1);
	hear(&pair, TERN_INTERNAL, "metadata");
	bytes.header = good;
	bytes.header.status = 17;
	hear(&pair, TERN_UNKNOWN, "");
	bytes.header.status = 255;
	hear(&pair, TERN_UNKNOWN, "");
	bytes.header.status = TERN_ABORTED;
	memset(bytes.body, 'm', sizeof(bytes.body));
	bytes.length += sizeof(bytes.body);
	hear(&pair, TERN_ABORTED, "mmmmm");
	memcpy(bytes.body, "half\0rest", 10);
	hear(&pair, TERN_ABORTED, "half");
	bytes.header.status = TERN_OK;
	memset(bytes.body, 0xff, sizeof(bytes.body));
	hear(&pair, TERN_INTERNAL, "bad protobuf");
	destroy_pair(&pair);
}

/* ---- the table itself ---- */

static void test_names(void)
{
	CHECK(strcmp(tern_status_name(TERN_OK), "OK") == 0);
	CHECK(strcmp(tern_status_name(TERN_UNAUTHENTICATED), "UNAUTHENTICATED") == 0);
	CHECK(strcmp(tern_status_name((enum tern_status)17), "UNKNOWN") == 0);
	CHECK(strcmp(tern_status_name((enum tern_status)INT_MIN), "UNKNOWN") == 0);
	CHECK_EQ(status_text_length("abc", 3, 10), 3);
	CHECK_EQ(status_text_length("abc\0def", 7, 10), 3);
	CHECK_EQ(status_text_length("abcdef", 6, 4), 3);
	CHECK_EQ(status_text_length("ab\xc3\xb6", 4, 4), 2);
	CHECK_EQ(status_text_length("ab\xc3\xb6", 4, 5), 4);
	CHECK_EQ(status_text_length("\x80\x80\x80\x80", 4, 3), 0);
}

int main(void)
{
	test_names();
	test_transport_errors();
	test_start_errors();
	test_handlers_status();
	test_unimplemented();
	test_bodies();
	test_bad_requests();
	test_bad_responses();
	return 0;
}
