/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RPCs come to, and the library's own reasons for it. The codes are gRPC's, used as
 * gRPC's documentation of them says (statuscodes.md):
 *
 *	CANCELLED           the call was cancelled, or its channel or endpoint destroyed
 *	INVALID_ARGUMENT    the server could not make sense of the request
 *	DEADLINE_EXCEEDED   the time was over, on either side
 *	RESOURCE_EXHAUSTED  a limit: calls, buffers, memory to unpack, message size
 *	FAILED_PRECONDITION the call cannot be made from here (from inside a callback)
 *	UNIMPLEMENTED       method, RPC version or kind of message unknown
 *	INTERNAL            the client could not make sense of the response
 *	UNAVAILABLE         no answer: host or port silent, gone or refusing; server closed
 */
#ifndef TERN_STATUS_H
#define TERN_STATUS_H

#include <stdarg.h>

#include "tern.h"

/* Length that `text` may keep: below `capacity`, up to the first NUL, not within a UTF-8 character. */
size_t status_text_length(const char *text, size_t length, size_t capacity);

/* Sets status and message (printf); cut at TERN_MESSAGE_MAX. */
void status_set(struct tern_result *result, enum tern_status status, const char *format, ...)
	TERN_PRINTF(3, 4);
void status_set_text(struct tern_result *result, enum tern_status status, const char *text, size_t length);
void status_set_list(struct tern_result *result, enum tern_status status, const char *format, va_list list);

/*
 * What a negative errno means for a call to `peer`: a transport's, or the runtime's own
 * -ECANCELED, -ETIME, -ESHUTDOWN, -EINVAL.
 */
void status_from_error(struct tern_result *result, int error, const char *peer);

/* A number from the network: codes that nobody defined are UNKNOWN. */
enum tern_status status_from_wire(unsigned int number);

#endif
