/* SPDX-License-Identifier: BSD-2-Clause */
/* Servers from within. The endpoint is held, unless it says otherwise. */
#ifndef TERN_SERVER_H
#define TERN_SERVER_H

#include "call.h"
#include "endpoint.h"
#include "registry.h"

#define SERVER_PENDING_DEFAULT 65536

struct tern_server {
	struct tern_endpoint *endpoint;
	struct tern_server *next;
	struct transport_slot *slot;
	struct transport_listener *listener;
	struct tern_server_options options;
	uint32_t pending; /* calls in handlers' hands */
	tern_raw_handler *raw;
	void *raw_ctx;
	struct registry registry;
	char address[NAMES_TEXT_MAX];
};

/* Answers all held calls with UNAVAILABLE, and frees the server. */
void server_close(struct tern_server *server);

/* Transport callbacks; ctx is the transport_slot, cookie the server. */
void server_request(void *ctx, void *cookie, uint64_t handle, const struct net_endpoint *remote,
		    struct transport_message message);
void server_cancelled(void *ctx, uint64_t handle);

#endif
