/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with the RPC header: see message.h. */
#include <endian.h>
#include <string.h>

#include "message.h"

const char *message_read(const struct transport_message *message, enum rpc_kind kind,
			 struct message_view *view)
{
	size_t skipped;

	memset(&view->header, 0, sizeof(view->header));
	view->body = message->data;
	view->length = 0;
	view->refusal = TERN_INVALID_ARGUMENT;
	if (message->length < sizeof(view->header))
		return "it is too short for an RPC header";
	memcpy(&view->header, message->data, sizeof(view->header));
	view->refusal = TERN_UNIMPLEMENTED;
	if (view->header.version != RPC_VERSION)
		return "its RPC version is not 1";
	if (view->header.kind != kind)
		return "it is of another kind";
	view->refusal = TERN_INVALID_ARGUMENT;
	skipped = sizeof(view->header) + be16toh(view->header.metadata_length);
	if (skipped > message->length)
		return "its metadata is longer than the message";
	view->body += skipped;
	view->length = message->length - skipped;
	return NULL;
}
