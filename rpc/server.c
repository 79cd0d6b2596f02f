/* SPDX-License-Identifier: BSD-2-Clause */
/* Servers: their life, and what handlers may ask of a call. */
#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "drive.h"
#include "options.h"
#include "server.h"

static int set_options(struct tern_server *server, const struct tern_server_options *from)
{
	struct tern_server_options *options = &server->options;
	int rc = options_copy(options, sizeof(*options), from);

	if (rc < 0) {
		endpoint_log(
			server->endpoint, TERN_LOG_ERROR,
			"server options: sz is not the struct's size, or a newer version's option is set");
		return rc;
	}
	if (options->max_pending == 0)
		options->max_pending = SERVER_PENDING_DEFAULT;
	return 0;
}

/* The endpoint is held. */
static int listen_at(struct tern_server *server, const struct address *address)
{
	struct tern_endpoint *endpoint = server->endpoint;
	int rc = endpoint_transport_for(endpoint, address, &server->slot);

	if (rc < 0)
		return rc;
	rc = server->slot->ops->listen(server->slot->transport, &address->endpoint, server,
				       &server->listener);
	if (rc < 0)
		return rc;
	server->next = endpoint->servers;
	endpoint->servers = server;
	return 0;
}

int tern_server_create(struct tern_endpoint *endpoint, const char *address_text,
		       const struct tern_server_options *options, struct tern_server **server)
{
	struct tern_server *made;
	char error[NAMES_ERROR_MAX];
	struct address address;
	enum drive_entry entry;
	int rc = address_parse(address_text, &address, error);

	if (rc < 0) {
		endpoint_log(endpoint, TERN_LOG_ERROR, "%s", error);
		return rc;
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->endpoint = endpoint;
	address_print(&address.endpoint, made->address);
	rc = set_options(made, options);
	if (rc < 0)
		goto free_server;
	entry = drive_lock(endpoint);
	rc = listen_at(made, &address);
	drive_leave(endpoint, entry);
	if (rc < 0)
		goto free_server;
	*server = made;
	return 0;

free_server:
	free(made);
	return rc;
}

static void unlink_server(struct tern_server *server)
{
	struct tern_server **link = &server->endpoint->servers;

	while (*link != server)
		link = &(*link)->next;
	*link = server->next;
}

/* The handler may keep the call; it finds out that nobody wants the answer. */
static void orphan_call(struct tern_call *call, const struct tern_server *server)
{
	if ((call->state != CALL_HELD && call->state != CALL_DETACHED) || call->server.server != server)
		return;
	if (call->state == CALL_HELD)
		answer_instead(call, TERN_UNAVAILABLE, "the server is being closed");
	call->server.server = NULL;
}

void server_close(struct tern_server *server)
{
	struct tern_call *call;

	/* Answers that other threads have given are still in the queue. */
	drive_drain(server->endpoint);
	for (uint32_t i = 0; (call = call_pool_at(server->endpoint->calls, i)); i++)
		orphan_call(call, server);
	unlink_server(server);
	server->slot->ops->unlisten(server->slot->transport, server->listener);
	registry_release(&server->registry);
	free(server);
}

void tern_server_destroy(struct tern_server *server)
{
	struct tern_endpoint *endpoint;
	enum drive_entry entry;

	if (!server)
		return;
	endpoint = server->endpoint;
	if (drive_is_nested(endpoint)) {
		endpoint_log(endpoint, TERN_LOG_ERROR,
			     "tern_server_destroy was called from inside a callback");
		return;
	}
	entry = drive_lock(endpoint);
	server_close(server);
	drive_leave(endpoint, entry);
}

static void log_refusal(const struct tern_server *server, const struct tern_service *service, int error,
			const struct registry_clash *clash)
{
	if (error == -EEXIST)
		endpoint_log(server->endpoint, TERN_LOG_ERROR,
			     "%s cannot be registered: %s has the hash of %s (%016llx)", service->name,
			     clash->added->name, clash->had->name, (unsigned long long)clash->had->hash);
	else
		endpoint_log(server->endpoint, TERN_LOG_ERROR, "%s cannot be registered: %s", service->name,
			     error == -EINVAL
				     ? "a method's hash is not that of its name: generate its code again"
			     : error == -EBUSY ? "the server is raw"
					       : "no memory, or too many methods");
}

int tern_server_register(struct tern_server *server, const struct tern_service *service, const void *handlers,
			 void *ctx)
{
	enum drive_entry entry = drive_lock(server->endpoint);
	struct registry_clash clash;
	int rc = server->raw ? -EBUSY : registry_add(&server->registry, service, handlers, ctx, &clash);

	if (rc < 0)
		log_refusal(server, service, rc, &clash);
	drive_leave(server->endpoint, entry);
	return rc;
}

int tern_server_set_raw(struct tern_server *server, tern_raw_handler *handler, void *ctx)
{
	enum drive_entry entry = drive_lock(server->endpoint);
	int rc = server->registry.service_count > 0 ? -EBUSY : 0;

	if (rc == 0) {
		server->raw = handler;
		server->raw_ctx = ctx;
	}
	drive_leave(server->endpoint, entry);
	return rc;
}

/* ---- what handlers ask of a call ---- */

ProtobufCAllocator *tern_call_allocator(struct tern_call *call)
{
	return &call->arena.allocator;
}

uint64_t tern_call_time_left(const struct tern_call *call)
{
	uint64_t now_ns;

	if (call->deadline_ns == DEADLINE_NEVER)
		return UINT64_MAX;
	now_ns = clock_ns();
	return call->deadline_ns > now_ns ? (call->deadline_ns - now_ns) / 1000 : 0;
}

bool tern_call_cancelled(const struct tern_call *call)
{
	return atomic_load_explicit(&call->cancelled, memory_order_relaxed) || tern_call_time_left(call) == 0;
}

const char *tern_call_peer(struct tern_call *call)
{
	struct call_server *server = &call->server;

	if (!server->peer) {
		server->peer = tern_arena_alloc(&call->arena, NAMES_TEXT_MAX);
		if (!server->peer)
			return "?";
		address_print(&server->remote, server->peer);
	}
	return server->peer;
}
