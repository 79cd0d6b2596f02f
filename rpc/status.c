/* SPDX-License-Identifier: BSD-2-Clause */
/* Status codes: names, texts, and what a transport's errors mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "status.h"

static const char *const names[] = {
	[TERN_OK] = "OK",
	[TERN_CANCELLED] = "CANCELLED",
	[TERN_UNKNOWN] = "UNKNOWN",
	[TERN_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[TERN_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[TERN_NOT_FOUND] = "NOT_FOUND",
	[TERN_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[TERN_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[TERN_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[TERN_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[TERN_ABORTED] = "ABORTED",
	[TERN_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[TERN_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[TERN_INTERNAL] = "INTERNAL",
	[TERN_UNAVAILABLE] = "UNAVAILABLE",
	[TERN_DATA_LOSS] = "DATA_LOSS",
	[TERN_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

#define STATUS_COUNT (sizeof(names) / sizeof(names[0]))

const char *tern_status_name(enum tern_status status)
{
	return (unsigned int)status < STATUS_COUNT ? names[status] : names[TERN_UNKNOWN];
}

enum tern_status status_from_wire(unsigned int number)
{
	return number < STATUS_COUNT ? (enum tern_status)number : TERN_UNKNOWN;
}

size_t status_text_length(const char *text, size_t length, size_t capacity)
{
	length = strnlen(text, length);
	if (length < capacity)
		return length;
	length = capacity - 1;
	/* 10xxxxxx continues a character: one that does not fit is left out as a whole. */
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

void status_set_text(struct tern_result *result, enum tern_status status, const char *text, size_t length)
{
	length = status_text_length(text, length, TERN_MESSAGE_MAX);
	result->status = status;
	memcpy(result->message, text, length);
	result->message[length] = 0;
}

void status_set_list(struct tern_result *result, enum tern_status status, const char *format, va_list list)
{
	char text[2 * TERN_MESSAGE_MAX];

	if (vsnprintf(text, sizeof(text), format, list) < 0)
		text[0] = 0;
	status_set_text(result, status, text, sizeof(text));
}

void status_set(struct tern_result *result, enum tern_status status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	status_set_list(result, status, format, list);
	va_end(list);
}

void status_from_error(struct tern_result *result, int error, const char *peer)
{
	switch (error) {
	case -ETIMEDOUT:
		status_set(result, TERN_UNAVAILABLE, "%s does not answer: no packet came back in time", peer);
		break;
	case -ECONNREFUSED:
		status_set(result, TERN_UNAVAILABLE, "%s refused: nobody serves that port", peer);
		break;
	case -ECONNRESET:
		status_set(result, TERN_UNAVAILABLE,
			   "%s has restarted: the call may have been executed or not", peer);
		break;
	case -EHOSTUNREACH:
		status_set(result, TERN_UNAVAILABLE, "%s cannot be reached: host unreachable", peer);
		break;
	case -ENETUNREACH:
		status_set(result, TERN_UNAVAILABLE, "%s cannot be reached: no route to its network", peer);
		break;
	case -EPROTONOSUPPORT:
		status_set(result, TERN_UNAVAILABLE, "%s does not speak the transport's protocol", peer);
		break;
	case -ENOBUFS:
	case -ENOMEM:
		status_set(result, TERN_RESOURCE_EXHAUSTED,
			   "no room for another call to %s: max_calls, max_outstanding or memory is used up",
			   peer);
		break;
	case -EMSGSIZE:
		status_set(result, TERN_RESOURCE_EXHAUSTED,
			   "the message is larger than the transport to %s carries", peer);
		break;
	case -ECANCELED:
		status_set(result, TERN_CANCELLED, "the caller cancelled the call to %s", peer);
		break;
	case -ETIME:
		status_set(result, TERN_DEADLINE_EXCEEDED, "%s did not answer before the deadline", peer);
		break;
	case -EINVAL:
		status_set(result, TERN_INTERNAL, "the request or its options are not what the method takes");
		break;
	case -ESHUTDOWN:
		status_set(result, TERN_CANCELLED, "the endpoint or the channel to %s is being destroyed",
			   peer);
		break;
	default:
		status_set(result, TERN_UNAVAILABLE, "%s: %s (errno %d)", peer, strerrordesc_np(-error),
			   -error);
		break;
	}
}
