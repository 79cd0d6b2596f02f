/* SPDX-License-Identifier: BSD-2-Clause */
/* Locations, errors and comments. */
#include "source.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef Google__Protobuf__SourceCodeInfo__Location Location;

static const Location *find(const Google__Protobuf__FileDescriptorProto *file, struct path path)
{
	const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;

	for (size_t i = 0; info && i < info->n_location; i++) {
		const Location *location = info->location[i];

		if (location->n_path == path.count &&
		    !memcmp(location->path, path.steps, path.count * sizeof(path.steps[0])))
			return location;
	}
	return NULL;
}

char *source_place(const Google__Protobuf__FileDescriptorProto *file, struct path path)
{
	const Location *location = find(file, path);

	if (!location || location->n_span < 2)
		return memory_printf("%s", file->name);
	return memory_printf("%s:%lld:%lld", file->name, location->span[0] + 1LL, location->span[1] + 1LL);
}

void source_error(struct errors *errors, const char *place, const char *format, ...)
{
	char message[1024];
	va_list args;

	if (errors->count++ >= SOURCE_ERRORS_MAX)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text_printf(&errors->text, "%s%s: %s", errors->text.length ? "\n" : "", place, message);
}

/* Length of the UTF-8 character at `at`, 0 if it is none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, lead;
	} forms[] = {{0xe0, 0xc0}, {0xf0, 0xe0}, {0xf8, 0xf0}};

	for (size_t extra = 1; extra <= 3; extra++) {
		if ((at[0] & forms[extra - 1].mask) != forms[extra - 1].lead)
			continue;
		if (left <= extra)
			return 0;
		for (size_t i = 1; i <= extra; i++)
			if ((at[i] & 0xc0) != 0x80)
				return 0;
		return extra + 1;
	}
	return 0;
}

/* U+202A..202E, U+2066..2069: they reorder what a reader sees, and compilers warn of them. */
static bool is_bidi_control(const unsigned char *at, size_t length)
{
	return length == 3 && at[0] == 0xe2 && ((at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) ||
						(at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
}

void source_comment_text(struct text *to, const char *string, size_t length)
{
	const unsigned char *at = (const unsigned char *)string;
	unsigned char last = 0;

	for (size_t i = 0, step; i < length; i += step) {
		size_t wide = at[i] < 0x80 ? 0 : utf8_length(at + i, length - i);
		bool joins = (last == '*' && at[i] == '/') || (last == '/' && at[i] == '*') ||
			     (last == '?' && at[i] == '?');

		step = wide ? wide : 1;
		last = at[i];
		if (joins)
			text_puts(to, " ");
		if (at[i] >= 0x80 && (!wide || is_bidi_control(at + i, wide)))
			text_puts(to, "?");
		else if (at[i] < 0x20 || at[i] == 0x7f)
			text_puts(to, " ");
		else
			text_append(to, at + i, step);
	}
}

/* Adds the lines of a comment, without the blank that begins them and blanks that end them. */
static void add_paragraph(struct text *to, const char *comment)
{
	if (!comment || !comment[strspn(comment, " \t\r\n")])
		return;
	if (to->length)
		text_puts(to, "\n");
	comment += strspn(comment, "\r\n");
	while (*comment) {
		size_t line = strcspn(comment, "\n"), length = line;
		const char *start = comment + (*comment == ' ');

		while (length && strchr(" \t\r", comment[length - 1]))
			length--;
		if (length)
			source_comment_text(to, start, length - (size_t)(start - comment));
		comment += line + (comment[line] == '\n');
		text_puts(to, "\n");
		if (!comment[strspn(comment, " \t\r\n")])
			break;
	}
}

char *source_comment(const Google__Protobuf__FileDescriptorProto *file, struct path path)
{
	const Location *location = find(file, path);
	struct text text = {0};

	text_puts(&text, "");
	if (!location)
		return text.data;
	for (size_t i = 0; i < location->n_leading_detached_comments; i++)
		add_paragraph(&text, location->leading_detached_comments[i]);
	add_paragraph(&text, location->leading_comments);
	add_paragraph(&text, location->trailing_comments);
	return text.data;
}
