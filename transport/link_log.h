/* SPDX-License-Identifier: BSD-2-Clause */
/* The log hook as a device's link uses it: each line begins with the device's name. */
#ifndef TERN_LINK_LOG_H
#define TERN_LINK_LOG_H

#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>

#define LINK_LOG_BYTES 512 /* of a line; longer ones are cut */

struct link_log {
	void (*write)(void *ctx, int level, const char *line); /* may be NULL */
	void *ctx;
	char device[IF_NAMESIZE];
};

/* `level` as enum tern_log_level; the line has no newline. */
__attribute__((format(printf, 3, 4))) static inline void link_logf(const struct link_log *log, int level,
								   const char *format, ...)
{
	char line[LINK_LOG_BYTES];
	va_list arguments;
	int used;

	if (!log->write)
		return;
	used = snprintf(line, sizeof(line), "%s: ", log->device);
	va_start(arguments, format);
	vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
	va_end(arguments);
	log->write(log->ctx, level, line);
}

#endif
