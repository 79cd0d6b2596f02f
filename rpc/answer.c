/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers to requests: replies, failures, and what becomes of a call whose answer is not
 * wanted any more. As with requests, the driving thread packs straight into the
 * transport's memory, and other threads into the call's arena.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "answer.h"
#include "drive.h"
#include "rpc_wire.h"
#include "server.h"
#include "status.h"

struct answer {
	bool raw;
	bool give_up; /* raw, which has no status: nothing is sent */
	enum tern_status status;
	const ProtobufCMessage *message; /* the body; or: */
	const void *data;
	size_t length; /* of the body */
};

static size_t answer_size(const struct answer *answer)
{
	return answer->raw ? answer->length : sizeof(struct rpc_header) + answer->length;
}

static void write_answer(const struct answer *answer, uint64_t method, __be32 incarnation, uint8_t *out)
{
	struct rpc_header header = {
		.version = RPC_VERSION,
		.kind = RPC_RESPONSE,
		.status = (__u8)answer->status,
		.method = htobe64(method),
		.incarnation = incarnation,
	};

	if (!answer->raw) {
		memcpy(out, &header, sizeof(header));
		out += sizeof(header);
	}
	if (answer->message)
		protobuf_c_message_pack(answer->message, out);
	else
		memcpy(out, answer->data, answer->length);
}

/* ---- in the driving thread ---- */

/* Packs and sends. 0; -ENOENT: the request is gone; -ENOBUFS, -EMSGSIZE ... */
static int send_answer(struct transport_slot *slot, uint64_t handle, uint64_t method,
		       const struct answer *answer)
{
	struct transport_message message = { .length = (uint32_t)answer_size(answer) };

	message.data = slot->ops->message_get(slot->transport, message.length);
	if (!message.data)
		return -ENOBUFS;
	write_answer(answer, method, slot->endpoint->incarnation, message.data);
	return slot->ops->respond(slot->transport, handle, message);
}

void answer_refuse(struct transport_slot *slot, uint64_t handle, uint64_t method, enum tern_status status,
		   const char *text)
{
	struct answer answer = { .status = status, .data = text, .length = strlen(text) };

	/* Without memory even for this, the client finds out by the transport. */
	if (send_answer(slot, handle, method, &answer) < 0)
		slot->ops->abort(slot->transport, handle);
}

void answer_detach(struct tern_call *call)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
	deadline_cancel(&endpoint->deadlines, &call->timer);
	held_remove(&endpoint->held, call);
	call_set_state(call, CALL_DETACHED);
}

void answer_instead(struct tern_call *call, enum tern_status status, const char *text)
{
	if (call->server.method)
		answer_refuse(call->slot, call->handle, call->server.method->hash, status, text);
	else
		call->slot->ops->abort(call->slot->transport, call->handle);
	answer_detach(call);
}

void answer_finish(struct tern_call *call)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	deadline_cancel(&endpoint->deadlines, &call->timer);
	held_remove(&endpoint->held, call);
	if (call->server.message)
		call->slot->ops->message_free(call->slot->transport, call->server.message);
	if (call->server.server)
		call->server.server->pending--;
	endpoint->counters.requests_held--;
	call_set_state(call, CALL_DONE);
	/* Its handler is still running, and so is the code that called it: that one releases it. */
	if (call != endpoint->dispatched)
		call_release(call);
}

void answer_reject(struct tern_call *call, enum tern_status status, const char *text)
{
	call->slot->endpoint->counters.requests_refused++;
	answer_instead(call, status, text);
	answer_finish(call);
}

static bool is_late(const struct tern_call *call)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	endpoint->now_ns = clock_ns();
	return call->deadline_ns <= endpoint->now_ns;
}

/* What is sent for an answer that comes too late: the client agrees, it counts the same time. */
static void answer_late(struct tern_call *call)
{
	call->slot->endpoint->counters.replies_unwanted++;
	if (call->state == CALL_HELD)
		answer_instead(call, TERN_DEADLINE_EXCEEDED, "the server answered after the deadline");
	answer_finish(call);
}

static void abandon(struct tern_call *call)
{
	call->slot->ops->abort(call->slot->transport, call->handle);
	answer_finish(call);
}

/* 0, or -ENOBUFS, -EMSGSIZE: the call is still to be answered. */
static int answer_here(struct tern_call *call, const struct answer *answer)
{
	uint64_t method = call->server.method ? call->server.method->hash : 0;
	int rc;

	if (call->state == CALL_DETACHED || is_late(call)) {
		answer_late(call);
		return 0;
	}
	if (answer->give_up) {
		abandon(call);
		return 0;
	}
	rc = send_answer(call->slot, call->handle, method, answer);
	if (rc == -ENOBUFS || rc == -EMSGSIZE)
		return rc;
	/* Any other error: the client has gone, which is its own affair. */
	if (rc == 0)
		call->slot->endpoint->counters.replies++;
	else
		call->slot->endpoint->counters.replies_unwanted++;
	answer_finish(call);
	return 0;
}

void answer_send_packed(struct tern_call *call)
{
	struct answer answer = {
		.raw = true,
		.give_up = call->out_length == 0,
		.data = call->out,
		.length = call->out_length,
	};

	/* The handler was told that all is well, so the answer is given up, not the call. */
	if (answer_here(call, &answer) < 0) {
		endpoint_log(call->slot->endpoint, TERN_LOG_WARNING,
			     "a reply of %u bytes was dropped: no message buffers", call->out_length);
		answer_instead(call, TERN_RESOURCE_EXHAUSTED, "the server has no memory for the reply");
		answer_finish(call);
	}
}

/* ---- in any thread ---- */

static int answer_elsewhere(struct tern_endpoint *endpoint, struct tern_call *call,
			    const struct answer *answer)
{
	size_t size = answer_size(answer);
	uint64_t method = call->server.method ? call->server.method->hash : 0;

	call->out_length = (uint32_t)size;
	call->out = tern_arena_alloc(&call->arena, size);
	if (!call->out)
		return -ENOBUFS;
	write_answer(answer, method, endpoint->incarnation, call->out);
	drive_ask(endpoint, call, ASK_ANSWER);
	return 0;
}

/* The one way for handlers to answer. -EALREADY, -EMSGSIZE, -ENOBUFS. */
static int give_answer(struct tern_call *call, const struct answer *answer)
{
	struct tern_endpoint *endpoint = atomic_load(&call->pool->endpoint);
	enum drive_entry entry;
	int rc;

	if (atomic_exchange(&call->answered, true))
		return -EALREADY;
	if (!endpoint) {
		call_pool_drop_orphan(call->pool);
		return 0;
	}
	if (answer_size(answer) > call->slot->ops->max_message) {
		atomic_store(&call->answered, false);
		return -EMSGSIZE;
	}
	entry = drive_enter(endpoint);
	rc = entry == DRIVE_REFUSED ? answer_elsewhere(endpoint, call, answer) : answer_here(call, answer);
	if (rc < 0)
		atomic_store(&call->answered, false);
	drive_leave(endpoint, entry);
	return rc;
}

int tern_call_reply(struct tern_call *call, const ProtobufCMessage *reply)
{
	struct answer answer = { .message = reply };

	if (!call->is_server || !call->server.method || reply->descriptor != call->server.method->output)
		return -EINVAL;
	answer.length = protobuf_c_message_get_packed_size(reply);
	return give_answer(call, &answer);
}

int tern_call_reply_raw(struct tern_call *call, const void *data, size_t length)
{
	struct answer answer = { .raw = true, .data = data, .length = length };

	if (!call->is_server || call->server.method || length == 0)
		return -EINVAL;
	return give_answer(call, &answer);
}

int tern_call_fail(struct tern_call *call, enum tern_status status, const char *format, ...)
{
	struct tern_result result = { .status = status };
	struct answer answer = { .status = status, .data = result.message };
	va_list list;

	if (!call->is_server || status == TERN_OK || status_from_wire((unsigned int)status) != status)
		return -EINVAL;
	if (!call->server.method) {
		answer.raw = answer.give_up = true;
	} else if (format) {
		va_start(list, format);
		status_set_list(&result, status, format, list);
		va_end(list);
	}
	answer.length = strlen(result.message);
	return give_answer(call, &answer);
}
