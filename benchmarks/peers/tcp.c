/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's TCP: requests and replies of fixed sizes over one or many connections. A
 * server knows the sizes as its client does, so nothing is spent on framing; what the
 * bytes are does not matter, so none are kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

#define BUFFER_BYTES 262144u
#define EVENTS       64

struct connection {
	int fd;
	uint64_t unsent;   /* bytes */
	uint64_t received; /* bytes of the message that is coming */
	uint64_t issued;   /* requests */
	uint64_t done;
	uint64_t *sent_ns; /* by request, a ring of `window` */
};

struct end {
	const struct peer_options *options;
	struct peer_measure *measure; /* NULL: the server */
	uint32_t in_size;
	uint32_t out_size;
	uint32_t window; /* a connection's */
	uint32_t open;   /* connections */
	int epoll;       /* -1: there is but one connection, read without asking */
	struct connection *connections;
};

static uint8_t bytes_in[BUFFER_BYTES], bytes_out[BUFFER_BYTES];

static void push(const struct end *end, struct connection *connection)
{
	int flags = MSG_NOSIGNAL | (end->options->spin && end->epoll < 0 ? MSG_DONTWAIT : 0);

	while (connection->unsent) {
		size_t length = connection->unsent < BUFFER_BYTES ? connection->unsent : BUFFER_BYTES;
		ssize_t n = send(connection->fd, bytes_out, length, flags);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && !end->measure)
			exit(EXIT_SUCCESS); /* the client has ended with requests outstanding */
		if (n < 0)
			peer_fail("sending");
		connection->unsent -= (uint64_t)n;
	}
}

/* Requests until the window is full. */
static void issue(const struct end *end, struct connection *connection, uint64_t now)
{
	while (connection->issued - connection->done < end->window) {
		connection->sent_ns[connection->issued++ % end->window] = now;
		connection->unsent += end->out_size;
	}
	push(end, connection);
}

static void take(const struct end *end, struct connection *connection, uint64_t messages)
{
	uint64_t now;

	if (!end->measure) {
		connection->unsent += messages * end->out_size;
		push(end, connection);
		return;
	}
	now = peer_now_ns();
	for (; messages; messages--)
		peer_measure_note(end->measure, connection->sent_ns[connection->done++ % end->window], now);
	issue(end, connection, now);
}

static void read_some(struct end *end, struct connection *connection)
{
	bool wait = !end->options->spin && end->epoll < 0;
	ssize_t n = recv(connection->fd, bytes_in, BUFFER_BYTES, wait ? 0 : MSG_DONTWAIT);

	if (n > 0) {
		connection->received += (uint64_t)n;
		if (connection->received >= end->in_size) {
			take(end, connection, connection->received / end->in_size);
			connection->received %= end->in_size;
		}
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		if (end->measure)
			peer_fail("the server has gone");
		close(connection->fd);
		end->open--;
	}
}

static void serve_events(struct end *end)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(end->epoll, events, EVENTS, end->options->spin ? 0 : -1);

	for (int i = 0; i < n; i++)
		read_some(end, events[i].data.ptr);
}

static void step(struct end *end)
{
	if (end->epoll >= 0) {
		serve_events(end);
		return;
	}
	read_some(end, &end->connections[0]);
	if (end->open)
		push(end, &end->connections[0]);
}

static void end_init(struct end *end, const struct peer_options *options)
{
	*end = (struct end){ .options = options,
			     .in_size = options->size,
			     .out_size = options->reply_size,
			     .window = options->outstanding / options->connections,
			     .epoll = options->connections > 1 ? epoll_create1(0) : -1 };
	end->connections = calloc(options->connections, sizeof(*end->connections));
	if (!end->connections || (options->connections > 1 && end->epoll < 0))
		peer_fail("connections");
}

static void add(struct end *end, int fd)
{
	struct connection *connection = &end->connections[end->open++];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

	*connection = (struct connection){ .fd = fd };
	connection->sent_ns = calloc(end->window, sizeof(*connection->sent_ns));
	if (!connection->sent_ns)
		peer_fail("connections");
	socket_tune(fd);
	if (end->epoll >= 0 && epoll_ctl(end->epoll, EPOLL_CTL_ADD, fd, &event))
		peer_fail("epoll_ctl");
}

/* Serves the connections of one client, then ends. */
void tcp_serve(const struct peer_options *options)
{
	int listener = socket_bound(options, SOCK_STREAM);
	struct end end;

	end_init(&end, options);
	peer_say_serving(options);
	while (end.open < options->connections) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			peer_fail("accept");
		add(&end, fd);
	}
	while (end.open)
		step(&end);
}

void tcp_load(const struct peer_options *options, struct peer_measure *measure)
{
	struct end end;

	end_init(&end, options);
	end.measure = measure;
	end.in_size = options->reply_size;
	end.out_size = options->size;
	for (uint32_t i = 0; i < options->connections; i++)
		add(&end, socket_connected(options, SOCK_STREAM));
	peer_measure_start(measure, options);
	for (uint32_t i = 0; i < options->connections; i++)
		issue(&end, &end.connections[i], peer_now_ns());
	while (peer_now_ns() < measure->end_ns)
		step(&end);
}
