/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a request from the transport to its handler:
 * server_request (is it one?) -> receive (method, room, unpack, time) -> run (the handler).
 */
#include <endian.h>
#include <stdarg.h>

#include "answer.h"
#include "codec.h"
#include "message.h"
#include "server.h"
#include "status.h"

/* A request on its way in. */
struct arrival {
	struct tern_server *server;
	struct transport_slot *slot;
	uint64_t handle;
	const struct net_endpoint *remote;
	const struct transport_message *message;
	struct message_view view;
};

static void TERN_PRINTF(3, 4)
	refuse(const struct arrival *arrival, enum tern_status status, const char *format, ...)
{
	struct tern_result result;
	va_list list;

	va_start(list, format);
	status_set_list(&result, status, format, list);
	va_end(list);
	arrival->slot->endpoint->counters.requests_refused++;
	answer_refuse(arrival->slot, arrival->handle, be64toh(arrival->view.header.method), status,
		      result.message);
}

/* 0: none; the largest value says "at least that", which is too far away to matter. */
static uint64_t deadline_of(const struct arrival *arrival)
{
	uint32_t timeout_us = be32toh(arrival->view.header.timeout_us);

	if (timeout_us == 0 || timeout_us == UINT32_MAX)
		return DEADLINE_NEVER;
	return deadline_after(arrival->slot->endpoint->round_ns, timeout_us);
}

/* A call for the request, if there is room for one. */
static struct tern_call *admit(const struct arrival *arrival, const struct tern_method *method)
{
	struct tern_server *server = arrival->server;
	struct tern_call *call = NULL;

	if (server->pending < server->options.max_pending)
		call = call_alloc(server->endpoint->calls, true);
	if (!call)
		return NULL;
	call_set_state(call, CALL_HELD);
	call->slot = arrival->slot;
	call->handle = arrival->handle;
	call->deadline_ns = method ? deadline_of(arrival) : DEADLINE_NEVER;
	call->server = (struct call_server){ .server = server, .remote = *arrival->remote, .method = method };
	server->pending++;
	server->endpoint->counters.requests_held++;
	return call;
}

/* The handler has returned without an answer, which comes later. */
static void park(struct tern_call *call)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	/* Without room in the table the client's giving up goes unnoticed; all else works. */
	if (held_insert(&endpoint->held, call) < 0)
		endpoint_log(endpoint, TERN_LOG_WARNING, "no memory to note a call that is answered later");
	deadline_set(&endpoint->deadlines, &call->timer, call->deadline_ns);
	endpoint->now_ns = clock_ns();
}

/*
 * Runs the handler of a request, here and now. What comes before is the endpoint's
 * affair, what comes after the handler's: a scheduler that gives requests to other
 * threads stands in this place.
 */
static void run(struct tern_call *call, const struct registry_entry *entry, const ProtobufCMessage *request)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;

	endpoint->dispatched = call;
	if (!entry->method->dispatch(call, request, entry->handlers, entry->ctx))
		answer_reject(call, TERN_UNIMPLEMENTED, "the server has no handler for this method");
	endpoint->dispatched = NULL;
	if (call->state == CALL_HELD)
		park(call);
	else
		call_release(call);
}

static void run_raw(struct tern_call *call, const struct transport_message *message)
{
	struct tern_endpoint *endpoint = call->slot->endpoint;
	const struct tern_server *server = call->server.server;

	endpoint->dispatched = call;
	server->raw(call, message->data, message->length, server->raw_ctx);
	endpoint->dispatched = NULL;
	if (call->state == CALL_HELD)
		park(call);
	else
		call_release(call);
}

static void receive_raw(const struct arrival *arrival)
{
	struct tern_call *call = admit(arrival, NULL);

	if (call) {
		call->server.message = arrival->message->data;
		run_raw(call, arrival->message);
		return;
	}
	arrival->slot->endpoint->counters.requests_refused++;
	arrival->slot->ops->abort(arrival->slot->transport, arrival->handle);
	arrival->slot->ops->message_free(arrival->slot->transport, arrival->message->data);
}

/* The message is an RPC request. */
static void receive(const struct arrival *arrival)
{
	const struct tern_server *server = arrival->server;
	const struct message_view *view = &arrival->view;
	uint64_t hash = be64toh(view->header.method), budget;
	const struct registry_entry *entry = registry_find(&server->registry, hash);
	char services[TERN_MESSAGE_MAX];
	ProtobufCMessage *request;
	struct codec_fault fault;
	struct tern_call *call;

	if (!entry) {
		registry_print(&server->registry, services, sizeof(services));
		refuse(arrival, TERN_UNIMPLEMENTED, "method %016llx is not served here; services: %s",
		       (unsigned long long)hash, services);
		return;
	}
	call = admit(arrival, entry->method);
	if (!call) {
		refuse(arrival, TERN_RESOURCE_EXHAUSTED,
		       "the server has %u requests in hand and takes no more", server->pending);
		return;
	}
	budget = codec_budget(server->options.max_decoded_bytes, view->length);
	if (codec_unpack_arena(entry->method->input, &call->arena, view->body, view->length, budget, &request,
			       &fault) < 0) {
		server->endpoint->counters.requests_malformed++;
		answer_reject(call, fault.status, fault.text);
	} else if (call->deadline_ns <= server->endpoint->now_ns) {
		server->endpoint->counters.requests_expired++;
		answer_reject(call, TERN_DEADLINE_EXCEEDED,
			      "the time was over before the request's turn came");
	} else {
		run(call, entry, request);
	}
}

void server_request(void *ctx, void *cookie, uint64_t handle, const struct net_endpoint *remote,
		    struct transport_message message)
{
	struct arrival arrival = {
		.server = cookie,
		.slot = ctx,
		.handle = handle,
		.remote = remote,
		.message = &message,
	};
	const char *wrong;

	arrival.slot->endpoint->counters.requests++;
	if (arrival.server->raw) {
		receive_raw(&arrival);
		return;
	}
	wrong = message_read(&message, RPC_REQUEST, &arrival.view);
	if (!wrong) {
		receive(&arrival);
	} else {
		arrival.slot->endpoint->counters.requests_malformed++;
		refuse(&arrival, arrival.view.refusal, "not an RPC request: %s", wrong);
	}
	arrival.slot->ops->message_free(arrival.slot->transport, message.data);
}

void server_cancelled(void *ctx, uint64_t handle)
{
	struct transport_slot *slot = ctx;
	struct tern_call *call = held_find(&slot->endpoint->held, slot, handle);

	if (!call)
		return;
	slot->endpoint->counters.requests_cancelled++;
	answer_detach(call);
}
