/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels from within. They belong to the thread that holds the endpoint, but for what never changes. */
#ifndef TERN_CHANNEL_H
#define TERN_CHANNEL_H

#include "endpoint.h"

#define CHANNEL_TIMEOUT_US_DEFAULT  10000000
#define CHANNEL_OUTSTANDING_DEFAULT 65536

struct tern_channel {
	struct tern_endpoint *endpoint;
	struct tern_channel *next;
	struct transport_slot *slot;
	struct transport_peer *peer;
	struct tern_channel_options options;
	uint32_t outstanding;
	__be32 incarnation; /* of the server, from its last response; 0 = not known */
	bool closing;
	char address[NAMES_TEXT_MAX];
};

/* Ends all calls of the channel and frees it. The endpoint is held. */
void channel_close(struct tern_channel *channel);

#endif
