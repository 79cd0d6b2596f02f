/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with the RPC header (rpc_wire.h), as they are read. */
#ifndef TERN_MESSAGE_H
#define TERN_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "rpc_wire.h"
#include "tern.h"
#include "transport.h"

struct message_view {
	struct rpc_header header;
	const uint8_t *body;
	size_t length;
	enum tern_status refusal; /* what a server says to a message that is wrong */
};

/*
 * Takes a message of that kind apart. NULL, or what is wrong with it; then view->header
 * is what there was, or 0.
 */
const char *message_read(const struct transport_message *message, enum rpc_kind kind,
			 struct message_view *view);

#endif
