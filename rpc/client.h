/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's side of calls, from within. The endpoint is held, unless it says otherwise. */
#ifndef TERN_CLIENT_H
#define TERN_CLIENT_H

#include "call.h"
#include "channel.h"

/* Sends a request that another thread has packed. */
void client_send_packed(struct tern_call *call);
/* Ends a call that is not over: status_from_error says what `error` means. Runs its callback. */
void client_end(struct tern_call *call, int error);
/* The same, and gives the request up if it was sent. */
void client_give_up(struct tern_call *call, int error);
/* Gives the call up if it is one of the channel's and not over. */
void client_shut_down(struct tern_call *call, const struct tern_channel *channel);
/*
 * Any thread, not held: tern_call_start, and with `keep` the call is a synchronous one,
 * whose reply outlives the callback and comes from options.allocator.
 */
int client_start(struct tern_channel *channel, const struct tern_method *method,
		 const struct tern_call_options *options, const ProtobufCMessage *message, bool keep,
		 tern_done *done, void *ctx, struct tern_call **call);
/* Transport callbacks; ctx is the transport_slot, cookie the call. */
void client_response(void *ctx, uint64_t cookie, struct transport_message message);
void client_failed(void *ctx, uint64_t cookie, int error);

#endif
