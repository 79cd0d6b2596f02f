/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin as child of this one. Both pipes are polled, as either may fill up: the child
 * may answer before it has read all.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536

extern char **environ;

struct pipes {
	int child_stdin[2];
	int child_stdout[2];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool open_pipes(struct pipes *pipes)
{
	*pipes = (struct pipes){{-1, -1}, {-1, -1}};
	if (!pipe2(pipes->child_stdin, O_CLOEXEC) && !pipe2(pipes->child_stdout, O_CLOEXEC) &&
	    !fcntl(pipes->child_stdin[1], F_SETFL, O_NONBLOCK))
		return true;
	return false;
}

static void close_pipes(struct pipes *pipes)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&pipes->child_stdin[i]);
		close_fd(&pipes->child_stdout[i]);
	}
}

/* The child gets SIGPIPE's default back, which main has set to be ignored. */
static int spawn(const char *program, const struct pipes *pipes, pid_t *pid)
{
	char *const argv[] = {(char *)program, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t restored;
	int code;

	code = posix_spawn_file_actions_init(&actions);
	if (code)
		return code;
	code = posix_spawnattr_init(&attributes);
	if (code)
		goto destroy_actions;
	sigemptyset(&restored);
	sigaddset(&restored, SIGPIPE);
	code = posix_spawnattr_setsigdefault(&attributes, &restored);
	if (!code)
		code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	if (!code)
		code = posix_spawn_file_actions_adddup2(&actions, pipes->child_stdin[0], STDIN_FILENO);
	if (!code)
		code = posix_spawn_file_actions_adddup2(&actions, pipes->child_stdout[1], STDOUT_FILENO);
	if (!code)
		code = posix_spawnp(pid, program, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
destroy_actions:
	posix_spawn_file_actions_destroy(&actions);
	return code;
}

/* Closes the pipe when all is written, or when the child reads no more: its exit code tells why. */
static void write_some(int *fd, const struct text *input, size_t *written)
{
	ssize_t count = write(*fd, input->data + *written, input->length - *written);

	if (count > 0)
		*written += (size_t)count;
	if (*written == input->length || (count < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(fd);
}

static void read_some(int *fd, struct text *output)
{
	char buffer[READ_BYTES];
	ssize_t count = read(*fd, buffer, sizeof(buffer));

	if (count > 0)
		text_append(output, buffer, (size_t)count);
	else if (count == 0 || errno != EINTR)
		close_fd(fd);
}

static void exchange(struct pipes *pipes, const struct text *input, struct text *output)
{
	size_t written = 0;

	if (!input->length)
		close_fd(&pipes->child_stdin[1]);
	while (pipes->child_stdout[0] >= 0) {
		struct pollfd fds[2] = {
			{.fd = pipes->child_stdout[0], .events = POLLIN},
			{.fd = pipes->child_stdin[1], .events = POLLOUT},
		};

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			write_some(&pipes->child_stdin[1], input, &written);
		if (fds[0].revents)
			read_some(&pipes->child_stdout[0], output);
	}
}

static bool wait_for(const char *program, pid_t pid, struct text *error)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		text_printf(error, "cannot wait for %s: %s", program, strerror(errno));
		return false;
	}
	if (WIFSIGNALED(status))
		text_printf(error, "%s was ended by signal %d", program, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		text_printf(error, "%s failed with exit code %d", program, WEXITSTATUS(status));
	else
		return true;
	return false;
}

bool child_run(const char *program, const struct text *input, struct text *output, struct text *error)
{
	struct pipes pipes;
	bool done = false;
	pid_t pid;
	int code;

	if (!open_pipes(&pipes)) {
		text_printf(error, "cannot make pipes to %s: %s", program, strerror(errno));
		goto close;
	}
	code = spawn(program, &pipes, &pid);
	if (code) {
		text_printf(error, "cannot run %s, which generates the messages: %s (Debian's package "
			    "protobuf-c-compiler has it; --tern_opt=protoc_gen_c=PROGRAM names another; "
			    "--tern_opt=messages=false leaves messages out)", program, strerror(code));
		goto close;
	}
	close_fd(&pipes.child_stdin[0]);
	close_fd(&pipes.child_stdout[1]);
	exchange(&pipes, input, output);
	close_pipes(&pipes);
	done = wait_for(program, pid, error);
close:
	close_pipes(&pipes);
	return done;
}
