/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * protoc-gen-tern: the plugin by which `protoc --tern_out=DIR x.proto` makes x.pb-c.[ch]
 * (messages, by protoc-gen-c) and x.tern.[ch] (services). It reads a CodeGeneratorRequest
 * and writes a CodeGeneratorResponse, in which also errors go that protoc is to print;
 * exit code 1 is for what no response can say.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

#define READ_BYTES 65536

static bool read_all(int fd, struct text *input)
{
	char buffer[READ_BYTES];

	text_puts(input, "");
	for (;;) {
		ssize_t count = read(fd, buffer, sizeof(buffer));

		if (count == 0)
			return true;
		if (count > 0)
			text_append(input, buffer, (size_t)count);
		else if (errno != EINTR)
			return false;
	}
}

static bool write_all(int fd, const struct text *output)
{
	for (size_t written = 0; written < output->length;) {
		ssize_t count = write(fd, output->data + written, output->length - written);

		if (count < 0 && errno != EINTR)
			return false;
		if (count > 0)
			written += (size_t)count;
	}
	return true;
}

static int run(void)
{
	struct text request = {0}, response = {0};

	if (!read_all(STDIN_FILENO, &request)) {
		fprintf(stderr, "protoc-gen-tern: cannot read the request: %s\n", strerror(errno));
		return 1;
	}
	if (!plugin_answer(&request, &response)) {
		fputs("protoc-gen-tern: stdin holds no CodeGeneratorRequest: this is a plugin, run by "
		      "protoc --tern_out=DIR FILE.proto\n", stderr);
		return 1;
	}
	if (!write_all(STDOUT_FILENO, &response)) {
		fprintf(stderr, "protoc-gen-tern: cannot write the response: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}

int main(void)
{
	int code;

	signal(SIGPIPE, SIG_IGN); /* a pipe that breaks is an error of write, to be reported */
	code = run();
	memory_release();
	return code;
}
