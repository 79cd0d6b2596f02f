/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes .proto files for row F7: `f7 DIRECTORY FIRST COUNT SEED` makes COUNT of them,
 * numbered from FIRST, whose packages, messages, fields, services and methods have names that are
 * keywords, macros, odd in case or in underscores; with maps, oneofs, optional, nesting,
 * imports and every option of tern.method.
 *
 * Left out is what protoc-gen-c 1.4.1 itself makes no compilable code of: fields named
 * restrict, like a keyword that C++ got in 2011 or later, or like a macro (errno, NULL);
 * fields called base, or n_x beside a repeated x; fields of a message, or types, that fold
 * to one name; comments of messages that end a line in a trigraph.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX  8
#define METHODS_MAX 12
#define TYPE_MAX    256 /* bytes of a name */

static uint64_t random_state;

static unsigned draw(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % below);
}

#define COUNT(array)  ((unsigned)(sizeof(array) / sizeof((array)[0])))
#define CHOOSE(array) ((array)[draw(COUNT(array))])

/* Each folds to another name than the others, so that those of one scope are a run of this list. */
static const char *const names[] = {
	"int", "Register", "struct", "Class", "template", "delete", "New", "this", "namespace", "Operator",
	"virtual", "private", "public", "Protected", "friend", "typename", "using", "throw", "try", "catch",
	"and", "or", "Xor", "not_eq", "auto", "break", "Case", "char", "const", "continue", "default", "do",
	"double", "else", "enum", "extern", "float", "for", "goto", "If", "inline", "long", "return",
	"short", "signed", "sizeof", "static", "switch", "typedef", "union", "unsigned", "void", "volatile",
	"while", "bool", "True", "false", "wchar_t", "mutable", "explicit", "typeid", "asm", "A",
	"_leading", "trailing_", "under__score", "HTTPServer", "X9", "camelCase", "SNAKE_UPPER", "v1Beta2",
	"a1b2", "Call", "Start", "Reply", "Done", "Server", "Dispatch", "Complete", "Descriptor", "Init",
	"Pack", "message", "rpc", "service", "option", "import", "package",
};
/* Methods may be called more than fields: macros, and what our own functions end in. */
static const char *const method_names[] = {
	"errno", "stdin", "stdout", "assert", "linux", "unix", "EOF", "NULL", "Foo__call", "Foo__start",
	"Foo__reply", "restrict", "nullptr", "constexpr", "decltype", "noexcept", "alignas", "thread_local",
	"export", "static_assert", "Foo", "main", "malloc", "memcpy", "signal", "Methods", "__",
};
static const char *const scalars[] = {
	"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
	"sfixed64", "float", "double", "bool", "string", "bytes",
};
static const char *const keys[] = {"int32", "uint64", "string", "bool", "sfixed64"};
static const char *const known_types[] = {
	"google.protobuf.Empty", "google.protobuf.Any", "google.protobuf.Timestamp",
	"google.protobuf.StringValue",
};
static const char *const method_options[] = {
	"(tern.method) = { deadline_us: 1000 priority: 3 }", "(tern.method).inline = true",
	"(tern.method) = { blocking: true idempotent: true }", "deprecated = true",
	"idempotency_level = NO_SIDE_EFFECTS", "(tern.method).deadline_us = 18446744073709551615",
};
static const char *const comments[] = {
	"// One line.\n", "// Two lines,\n//   the second indented: */ and /* and \\\n",
	"/* A block\n * with \xc3\xa4\xe2\x82\xac and \\\n */\n", "// Detached.\n\n// Attached. \\\n", "", "",
};

static void put_indent(FILE *out, int depth)
{
	for (int i = 0; i < depth; i++)
		fputs("  ", out);
}

static void put_field(FILE *out, int depth, const char *name, int number)
{
	put_indent(out, depth);
	switch (draw(6)) {
	case 0:
		fprintf(out, "optional %s %s = %d;\n", CHOOSE(scalars), name, number);
		break;
	case 1:
		fprintf(out, "repeated %s %s = %d;\n", CHOOSE(scalars), name, number);
		break;
	case 2:
		fprintf(out, "map<%s, %s> %s = %d;\n", CHOOSE(keys), CHOOSE(scalars), name, number);
		break;
	case 3:
		fprintf(out, "oneof choice%d { %s %s = %d; bytes other%d = %d; }\n", number, CHOOSE(scalars),
			name, number, number, number + 100);
		break;
	case 4:
		fprintf(out, "optional .%s %s = %d;\n", CHOOSE(known_types), name, number);
		break;
	default:
		fprintf(out, "%s %s = %d;\n", CHOOSE(scalars), name, number);
	}
}

/* A message called `name` + "Type", which holds one called `name` + "Inner" down to a depth of 3. */
static void put_message(FILE *out, const char *name, const char *end, int depth)
{
	unsigned first = draw(COUNT(names)), count = draw(FIELDS_MAX);

	fputs(CHOOSE(comments), out);
	put_indent(out, depth);
	fprintf(out, "message %s%s {\n", name, end);
	for (unsigned i = 0; i < count; i++)
		put_field(out, depth + 1, names[(first + i) % COUNT(names)], (int)i + 1);
	if (depth < 3 && draw(2)) {
		put_message(out, name, "Inner", depth + 1);
		put_indent(out, depth + 1);
		fprintf(out, "%sInner inner_value = 50;\n", name);
	}
	if (!draw(3)) {
		put_indent(out, depth + 1);
		fprintf(out, "enum Kind%d { ZERO%d = 0; INT = 1; register = 2; CLASS = 3; }\n", depth, depth);
	}
	put_indent(out, depth);
	fputs("}\n", out);
}

static void put_method(FILE *out, const char *name, const char *input, const char *output)
{
	fputs(CHOOSE(comments), out);
	fprintf(out, "  rpc %s(%s) returns (%s)", name, input, output);
	if (draw(3))
		fputs(";\n", out);
	else
		fprintf(out, " { option %s; }\n", CHOOSE(method_options));
}

static void put_service(FILE *out, const char *name, char (*types)[TYPE_MAX], unsigned type_count)
{
	unsigned first = draw(COUNT(names)), count = draw(METHODS_MAX), special = draw(COUNT(method_names));

	fputs(CHOOSE(comments), out);
	fprintf(out, "service %s {\n", name);
	for (unsigned i = 0; i < count; i++)
		put_method(out, names[(first + i) % COUNT(names)], types[draw(type_count)],
			   types[draw(type_count)]);
	for (unsigned i = 0; i < 3; i++)
		put_method(out, method_names[(special + i) % COUNT(method_names)], types[draw(type_count)],
			   CHOOSE(known_types));
	fputs("}\n", out);
}

/* Package f<number>.<0 to 2 odd names>: the number keeps the files apart. */
static void put_package(FILE *out, unsigned number, char *package, size_t size)
{
	static const char *const pieces[] = {"", ".v1", ".int", ".Class.register", ".a_b.C", ".under__score"};

	snprintf(package, size, "f%u%s", number, CHOOSE(pieces));
	fprintf(out, "package %s;\n", package);
}

static void put_imports(FILE *out, unsigned number, unsigned first)
{
	static const char *const imports[] = {"empty", "any", "timestamp", "wrappers"};

	fputs("import \"tern/options.proto\";\n", out);
	for (unsigned i = 0; i < COUNT(imports); i++)
		fprintf(out, "import \"google/protobuf/%s.proto\";\n", imports[i]);
	if (number > first)
		fprintf(out, "import \"f%u.proto\";\n", number - 1);
}

/* The packages of a file and of the one before it, whose first message it uses. */
static char previous[TYPE_MAX];

static void put_file(FILE *out, unsigned number, unsigned first)
{
	unsigned base = draw(COUNT(names)), messages = 1 + draw(4), services = draw(4);
	char package[128], types[8][TYPE_MAX], shared[TYPE_MAX];
	unsigned count = 0;

	fputs("syntax = \"proto3\";\n", out);
	put_package(out, number, package, sizeof(package));
	put_imports(out, number, first);
	fputs("message Shared { int32 number = 1; }\n", out);
	snprintf(shared, sizeof(shared), ".%s.Shared", package);
	snprintf(types[count++], sizeof(types[0]), "%s", number > first ? previous : shared);
	for (unsigned i = 0; i < messages; i++) {
		const char *name = names[(base + i) % COUNT(names)];

		put_message(out, name, "Type", 0);
		snprintf(types[count++], sizeof(types[0]), ".%s.%sType", package, name);
	}
	for (unsigned i = 0; i < services; i++)
		put_service(out, names[(base + i) % COUNT(names)], types, count);
	memcpy(previous, shared, sizeof(previous));
}

int main(int argc, char **argv)
{
	unsigned first, count;

	if (argc != 5) {
		fprintf(stderr, "usage: f7 DIRECTORY FIRST COUNT SEED\n");
		return 1;
	}
	first = (unsigned)strtoul(argv[2], NULL, 10);
	count = (unsigned)strtoul(argv[3], NULL, 10);
	random_state = (strtoull(argv[4], NULL, 10) + 1) * 0x9e3779b97f4a7c15u;
	for (unsigned number = first; number < first + count; number++) {
		char path[4096];
		FILE *out;

		snprintf(path, sizeof(path), "%s/f%u.proto", argv[1], number);
		out = fopen(path, "w");
		if (!out) {
			perror(path);
			return 1;
		}
		put_file(out, number, first);
		if (fclose(out)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
