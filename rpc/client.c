/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of calls: from tern_call_start to the callback.
 *
 * In the driving thread a request is packed straight into the transport's memory and
 * sent. In any other it is packed into the call's arena, and the driving thread copies
 * it: that memory belongs to the transport, which only the driving thread may ask.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "client.h"
#include "codec.h"
#include "drive.h"
#include "message.h"
#include "options.h"
#include "status.h"

/* What tern_call_start and tern_channel_send_raw have in common. */
struct request {
	const struct tern_method *method; /* NULL: raw */
	const ProtobufCMessage *message;
	const void *data; /* raw */
	size_t size;      /* of the whole message, the RPC header included */
	uint64_t timeout_us;
	ProtobufCAllocator *allocator;
	bool keep;
	void *ctx;
};

/* ---- the end ---- */

static void count_end(struct endpoint_counters *counters, enum tern_status status)
{
	switch (status) {
	case TERN_OK:
		counters->calls_ok++;
		break;
	case TERN_DEADLINE_EXCEEDED:
		counters->calls_timed_out++;
		break;
	case TERN_CANCELLED:
		counters->calls_cancelled++;
		break;
	default:
		counters->calls_failed++;
	}
}

/* Takes the call out of everything, so that the callback may do what it likes. */
static void finish(struct tern_call *call, const struct tern_result *result)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	deadline_cancel(&endpoint->deadlines, &call->timer);
	if (call->client.counted)
		call->client.channel->outstanding--;
	count_end(&endpoint->counters, result->status);
	call_set_state(call, CALL_DONE);
}

static void finish_rpc(struct tern_call *call, const struct tern_result *result,
		       const ProtobufCMessage *reply)
{
	const struct call_client *client = &call->client;

	finish(call, result);
	if (client->method->complete && !client->keep)
		client->method->complete(client->done, result, reply, client->ctx);
	else
		client->done(result, reply, client->ctx);
	call_release(call);
}

static void finish_raw(struct tern_call *call, const struct tern_result *result, const void *data,
		       size_t length)
{
	finish(call, result);
	call->client.raw_done(result, data, length, call->client.ctx);
	call_release(call);
}

static void finish_failed(struct tern_call *call, const struct tern_result *result)
{
	if (call->client.method)
		finish_rpc(call, result, NULL);
	else
		finish_raw(call, result, NULL, 0);
}

void client_end(struct tern_call *call, int error)
{
	struct tern_result result;

	status_from_error(&result, error, call->client.channel->address);
	finish_failed(call, &result);
}

void client_give_up(struct tern_call *call, int error)
{
	if (call->state == CALL_SENT)
		call->slot->ops->abort(call->slot->transport, call->handle);
	client_end(call, error);
}

void client_shut_down(struct tern_call *call, const struct tern_channel *channel)
{
	if ((call->state == CALL_STARTING || call->state == CALL_SENT) && !call->is_server &&
	    call->client.channel == channel)
		client_give_up(call, -ESHUTDOWN);
}

void client_failed(void *ctx, uint64_t cookie, int error)
{
	(void)ctx;
	client_end((struct tern_call *)(uintptr_t)cookie, error);
}

/* ---- response ---- */

/* The body of a response with status OK. */
static void unpack_reply(struct tern_call *call, const struct message_view *view, struct tern_result *result,
			 ProtobufCMessage **reply)
{
	const struct call_client *client = &call->client;
	const ProtobufCMessageDescriptor *output = client->method->output;
	uint64_t budget = codec_budget(client->channel->options.max_decoded_bytes, view->length);
	struct codec_fault fault;
	int rc;

	if (client->keep)
		rc = codec_unpack(output, client->allocator, view->body, view->length, budget, reply, &fault);
	else
		rc = codec_unpack_arena(output, &call->slot->endpoint->replies, view->body, view->length,
					budget, reply, &fault);
	if (rc == 0)
		return;
	*reply = NULL;
	status_set(result, fault.status == TERN_INVALID_ARGUMENT ? TERN_INTERNAL : fault.status,
		   "response of %s: %s", client->channel->address, fault.text);
}

static void read_response(struct tern_call *call, struct transport_message message,
			  struct tern_result *result, ProtobufCMessage **reply)
{
	struct tern_channel *channel = call->client.channel;
	struct message_view view;
	const char *wrong = message_read(&message, RPC_RESPONSE, &view);

	if (!wrong && be64toh(view.header.method) != call->client.method->hash)
		wrong = "it answers another method";
	if (wrong) {
		status_set(result, TERN_INTERNAL, "response of %s: %s", channel->address, wrong);
		return;
	}
	channel->incarnation = view.header.incarnation;
	result->status = status_from_wire(view.header.status);
	if (result->status == TERN_OK)
		unpack_reply(call, &view, result, reply);
	else
		status_set_text(result, result->status, (const char *)view.body, view.length);
}

void client_response(void *ctx, uint64_t cookie, struct transport_message message)
{
	struct tern_call *call = (struct tern_call *)(uintptr_t)cookie;
	struct transport_slot *slot = ctx;
	struct tern_result result;
	ProtobufCMessage *reply = NULL;

	result.status = TERN_OK;
	result.message[0] = 0;
	if (!call->client.method) {
		finish_raw(call, &result, message.data, message.length);
		slot->ops->message_free(slot->transport, message.data);
		return;
	}
	read_response(call, message, &result, &reply);
	slot->ops->message_free(slot->transport, message.data);
	finish_rpc(call, &result, reply);
	tern_arena_reset(&slot->endpoint->replies);
}

/* ---- request ---- */

/* The deadline as it stands in the header: 0 = none, rounded up so that a short one is not lost. */
static uint32_t time_left_us(const struct tern_call *call, uint64_t now_ns)
{
	uint64_t left;

	if (call->deadline_ns == DEADLINE_NEVER)
		return 0;
	left = call->deadline_ns > now_ns ? (call->deadline_ns - now_ns + 999) / 1000 : 1;
	return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

/* All but what complete_header adds. */
static void write_request(const struct request *request, uint8_t *out)
{
	struct rpc_header header = { .version = RPC_VERSION, .kind = RPC_REQUEST };

	if (!request->method) {
		memcpy(out, request->data, request->size);
		return;
	}
	header.method = htobe64(request->method->hash);
	memcpy(out, &header, sizeof(header));
	protobuf_c_message_pack(request->message, out + sizeof(header));
}

/* What is not known before a request is sent, and only to the driving thread. */
static void complete_header(const struct tern_call *call, uint8_t *out, uint64_t now_ns)
{
	struct rpc_header header;

	if (!call->client.method)
		return;
	memcpy(&header, out, sizeof(header));
	header.timeout_us = htobe32(time_left_us(call, now_ns));
	header.incarnation = call->client.channel->incarnation;
	memcpy(out, &header, sizeof(header));
}

/* Hands a message to the transport. 0, or the error that ends the call. */
static int send_message(struct tern_call *call, uint8_t *data, size_t size)
{
	struct tern_channel *channel = call->client.channel;
	struct transport_slot *slot = call->slot;
	struct transport_message message = { .data = data, .length = (uint32_t)size };
	int rc = slot->ops->request(slot->transport, channel->peer, message, (uintptr_t)call, &call->handle);

	if (rc < 0)
		return rc;
	call_set_state(call, CALL_SENT);
	call->client.counted = true;
	channel->outstanding++;
	slot->endpoint->counters.calls_started++;
	deadline_set(&slot->endpoint->deadlines, &call->timer, call->deadline_ns);
	return 0;
}

/* Memory for a request: -ENOBUFS when the channel has enough of them already or memory is short. */
static int get_memory(const struct tern_call *call, size_t size, uint8_t **data)
{
	const struct tern_channel *channel = call->client.channel;

	if (channel->outstanding >= channel->options.max_outstanding)
		return -ENOBUFS;
	*data = call->slot->ops->message_get(call->slot->transport, (uint32_t)size);
	return *data ? 0 : -ENOBUFS;
}

void client_send_packed(struct tern_call *call)
{
	struct tern_channel *channel = call->client.channel;
	struct tern_endpoint *endpoint = channel->endpoint;
	uint8_t *data;
	int rc;

	if (channel->closing || atomic_load_explicit(&endpoint->closing, memory_order_relaxed))
		rc = -ESHUTDOWN;
	else if (call->deadline_ns <= endpoint->now_ns)
		rc = -ETIME;
	else
		rc = get_memory(call, call->out_length, &data);
	if (rc == 0) {
		memcpy(data, call->out, call->out_length);
		complete_header(call, data, endpoint->now_ns);
		rc = send_message(call, data, call->out_length);
	}
	if (rc < 0)
		client_end(call, rc);
}

/* In the driving thread. 0: the callback will run; an error: it will not, and the call is no more. */
static int send_here(struct tern_call *call, const struct request *request, uint64_t now_ns)
{
	struct tern_channel *channel = call->client.channel;
	uint8_t *data;
	int rc;

	call_set_state(call, CALL_STARTING);
	if (channel->closing || atomic_load_explicit(&channel->endpoint->closing, memory_order_relaxed))
		rc = -ESHUTDOWN;
	else
		rc = get_memory(call, request->size, &data);
	if (rc == 0) {
		write_request(request, data);
		complete_header(call, data, now_ns);
		rc = send_message(call, data, request->size);
	}
	if (rc == -ENOBUFS || rc == -ENOMEM || rc == -EMSGSIZE || rc == -ESHUTDOWN) {
		call_release(call);
		return rc;
	}
	if (rc < 0) {
		/* Not from here: a callback does not run inside the function that asks for it. */
		call->client.error = rc;
		drive_ask(channel->endpoint, call, ASK_FINISH);
	}
	return 0;
}

/* In any other thread. The same results. */
static int send_elsewhere(struct tern_call *call, const struct request *request)
{
	call->out = tern_arena_alloc(&call->arena, request->size);
	if (!call->out) {
		call_discard(call);
		return -ENOMEM;
	}
	call->out_length = (uint32_t)request->size;
	write_request(request, call->out);
	drive_ask(call->slot->endpoint, call, ASK_START);
	return 0;
}

/* ---- what programs call ---- */

/* Fills in a call. */
static void describe_call(struct tern_call *call, struct tern_channel *channel, const struct request *request,
			  uint64_t now_ns)
{
	call->slot = channel->slot;
	call->deadline_ns = deadline_after(now_ns, request->timeout_us);
	call->client = (struct call_client){
		.channel = channel,
		.method = request->method,
		.ctx = request->ctx,
		.allocator = request->allocator,
		.keep = request->keep,
	};
}

static int read_options(const struct tern_call_options *from, struct request *request)
{
	struct tern_call_options options;
	int rc;

	if (!from)
		return 0;
	rc = options_copy(&options, sizeof(options), from);
	if (rc < 0)
		return rc;
	if (options.timeout_us)
		request->timeout_us = options.timeout_us;
	request->allocator = options.allocator;
	return 0;
}

/* Sends a call whose callback is `done` or `raw_done`. */
static int start(struct tern_channel *channel, const struct request *request, tern_done *done,
		 tern_raw_done *raw_done, struct tern_call **handle)
{
	struct tern_endpoint *endpoint = channel->endpoint;
	uint64_t now_ns = clock_ns();
	enum drive_entry entry;
	struct tern_call *call;
	int rc;

	if (request->size > channel->slot->ops->max_message)
		return -EMSGSIZE;
	call = call_alloc(endpoint->calls, false);
	if (!call)
		return -ENOBUFS;
	describe_call(call, channel, request, now_ns);
	if (request->method)
		call->client.done = done;
	else
		call->client.raw_done = raw_done;
	if (handle)
		*handle = call;
	entry = drive_enter(endpoint);
	if (entry == DRIVE_REFUSED)
		return send_elsewhere(call, request);
	rc = send_here(call, request, now_ns);
	drive_leave(endpoint, entry);
	return rc;
}

int client_start(struct tern_channel *channel, const struct tern_method *method,
		 const struct tern_call_options *options, const ProtobufCMessage *message, bool keep,
		 tern_done *done, void *ctx, struct tern_call **call)
{
	struct request request = {
		.method = method,
		.message = message,
		.timeout_us = method->timeout_us ? method->timeout_us : channel->options.timeout_us,
		.keep = keep,
		.ctx = ctx,
	};
	int rc = read_options(options, &request);

	if (rc < 0)
		return rc;
	if (message->descriptor != method->input)
		return -EINVAL;
	request.size = sizeof(struct rpc_header) + protobuf_c_message_get_packed_size(message);
	return start(channel, &request, done, NULL, call);
}

int tern_call_start(struct tern_channel *channel, const struct tern_method *method,
		    const struct tern_call_options *options, const ProtobufCMessage *request, tern_done *done,
		    void *ctx, struct tern_call **call)
{
	return client_start(channel, method, options, request, false, done, ctx, call);
}

int tern_channel_send_raw(struct tern_channel *channel, const struct tern_call_options *options,
			  const void *data, size_t length, tern_raw_done *done, void *ctx,
			  struct tern_call **call)
{
	struct request request = {
		.data = data,
		.size = length,
		.timeout_us = channel->options.timeout_us,
		.ctx = ctx,
	};
	int rc = read_options(options, &request);

	if (rc < 0)
		return rc;
	return length ? start(channel, &request, NULL, done, call) : -EINVAL;
}

void tern_call_cancel(struct tern_call *call)
{
	drive_ask(call->slot->endpoint, call, ASK_CANCEL);
}
