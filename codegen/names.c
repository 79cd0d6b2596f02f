/* SPDX-License-Identifier: BSD-2-Clause */
/* protoc-gen-c's naming rules. */
#include "names.h"

#include <string.h>

#include "memory.h"

/* Locale plays no part in what is generated, so <ctype.h> does not either. */
static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
	return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static char to_upper(char c)
{
	return is_lower(c) ? (char)(c - 'a' + 'A') : c;
}

/* Underscores go, and what follows one, or begins the name, becomes a capital. */
static void add_camel(struct text *to, const char *name, size_t length)
{
	bool capital = true;

	for (size_t i = 0; i < length; i++) {
		char c = capital ? to_upper(name[i]) : name[i];

		capital = name[i] == '_';
		if (!capital)
			text_append(to, &c, 1);
	}
}

/* A capital gets an underscore before it, unless it follows another or begins the name. */
static void add_lower(struct text *to, const char *name, size_t length)
{
	bool after_capital = true;

	for (size_t i = 0; i < length; i++) {
		char c = to_lower(name[i]);

		if (is_upper(name[i]) && !after_capital)
			text_puts(to, "_");
		text_append(to, &c, 1);
		after_capital = is_upper(name[i]);
	}
}

static char *convert(const char *full_name, void (*add)(struct text *to, const char *name, size_t length))
{
	struct text text = {0};

	text_puts(&text, "");
	for (const char *piece = full_name; *piece;) {
		size_t length = strcspn(piece, ".");

		if (text.length && length)
			text_puts(&text, "__");
		add(&text, piece, length);
		piece += length + (piece[length] == '.');
	}
	return text.data;
}

char *name_type(const char *full_name)
{
	return convert(full_name, add_camel);
}

char *name_lower(const char *full_name)
{
	return convert(full_name, add_lower);
}

char *name_upper(const char *full_name)
{
	char *name = name_lower(full_name);

	for (char *c = name; *c; c++)
		*c = to_upper(*c);
	return name;
}

/* C and C++ keywords, their alternative tokens, and lower-case macros of common headers and compilers. */
static const char *const taken[] = {
	"alignas", "alignof", "and", "and_eq", "asm", "assert", "atomic_cancel", "atomic_commit",
	"atomic_noexcept", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t",
	"char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "complex", "concept",
	"const", "const_cast", "consteval", "constexpr", "constinit", "continue", "decltype", "default",
	"delete", "do", "double", "dynamic_cast", "else", "enum", "errno", "explicit", "export", "extern",
	"false", "float", "for", "friend", "goto", "i386", "if", "imaginary", "import", "inline", "int",
	"linux", "long", "major", "makedev", "minor", "module", "mutable", "namespace", "new", "noexcept",
	"noreturn", "not", "not_eq", "nullptr", "offsetof", "operator", "or", "or_eq", "private",
	"protected", "public", "reflexpr", "register", "reinterpret_cast", "requires", "restrict", "return",
	"setjmp", "short", "signed", "sizeof", "static", "static_assert", "static_cast", "stderr", "stdin",
	"stdout", "struct", "switch", "synchronized", "template", "this", "thread_local", "throw", "true",
	"try", "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned", "using", "va_arg",
	"va_copy", "va_end", "va_start", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
};

char *name_member(const char *name)
{
	char *lower = name_lower(name);

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(taken[i], lower))
			return memory_printf("%s_", lower);
	return lower;
}

static bool ends_with(const char *string, const char *end)
{
	size_t length = strlen(string), end_length = strlen(end);

	return length >= end_length && !strcmp(string + length - end_length, end);
}

char *name_stem(const char *file)
{
	static const char *const ends[] = {".protodevel", ".proto"};

	for (size_t i = 0; i < 2; i++)
		if (ends_with(file, ends[i]))
			return memory_printf("%.*s", (int)(strlen(file) - strlen(ends[i])), file);
	return memory_printf("%s", file);
}

char *name_guard(const char *file)
{
	struct text text = {0};

	text_puts(&text, "");
	for (; *file; file++) {
		if (is_lower(*file) || is_upper(*file) || is_digit(*file))
			text_append(&text, file, 1);
		else
			text_printf(&text, "_%02x", (unsigned char)*file);
	}
	return text.data;
}

bool name_valid(const char *name, bool dots)
{
	bool start = true;

	for (; *name; name++) {
		if (dots && *name == '.' && !start) {
			start = true;
			continue;
		}
		if (!is_lower(*name) && !is_upper(*name) && *name != '_' && (start || !is_digit(*name)))
			return false;
		start = false;
	}
	return !start;
}
