/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The RPC that a C programmer writes without a framework: length-prefixed messages over
 * libevent's bufferevents. A message is a header, the length of the payload and of the one
 * that is asked back, and the payload.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "sockets.h"

#define READ_MAX 262144 /* bytes taken from a socket at once */

struct header {
	uint32_t length; /* both in network order */
	uint32_t reply_length;
};

struct end {
	const struct peer_options *options;
	struct peer_measure *measure; /* NULL: the server */
	struct event_base *base;
	uint32_t window; /* of a connection */
};

struct connection {
	struct end *end;
	uint64_t issued;
	uint64_t done;
	uint64_t sent_ns[]; /* by request, a ring of `window`; a server's has none */
};

static const uint8_t payload[PEER_MESSAGE_MAX];

static void put(struct evbuffer *out, uint32_t length, uint32_t reply_length)
{
	struct header header = { .length = htonl(length), .reply_length = htonl(reply_length) };

	if (evbuffer_add(out, &header, sizeof(header)) ||
	    (length > READ_MAX ? evbuffer_add_reference(out, payload, length, NULL, NULL)
			       : evbuffer_add(out, payload, length))) {
		errno = ENOMEM;
		peer_fail("queueing a message");
	}
}

static void issue(struct bufferevent *stream, struct connection *connection)
{
	const struct end *end = connection->end;
	uint64_t now = peer_now_ns();

	while (connection->issued - connection->done < end->window) {
		connection->sent_ns[connection->issued++ % end->window] = now;
		put(bufferevent_get_output(stream), end->options->size, end->options->reply_size);
	}
}

/* An echo goes back as it came, without a copy. */
static void reply(struct bufferevent *stream, const struct header *header)
{
	struct evbuffer *in = bufferevent_get_input(stream), *out = bufferevent_get_output(stream);
	uint32_t length = ntohl(header->length), reply_length = ntohl(header->reply_length);
	struct header answer = { .length = header->reply_length };

	if (reply_length > PEER_MESSAGE_MAX) {
		errno = EMSGSIZE;
		peer_fail("the reply that is asked for");
	}
	if (length != reply_length) {
		evbuffer_drain(in, length);
		put(out, reply_length, 0);
	} else if (evbuffer_add(out, &answer, sizeof(answer)) ||
		   evbuffer_remove_buffer(in, out, length) < 0) {
		errno = ENOMEM;
		peer_fail("queueing a message");
	}
}

static void have_read(struct bufferevent *stream, void *context)
{
	struct evbuffer *in = bufferevent_get_input(stream);
	struct connection *connection = context;
	struct end *end = connection->end;
	struct header header;

	while (evbuffer_copyout(in, &header, sizeof(header)) == sizeof(header) &&
	       evbuffer_get_length(in) >= sizeof(header) + ntohl(header.length)) {
		evbuffer_drain(in, sizeof(header));
		if (!end->measure) {
			reply(stream, &header);
			continue;
		}
		evbuffer_drain(in, ntohl(header.length));
		peer_measure_note(end->measure, connection->sent_ns[connection->done++ % end->window],
				  peer_now_ns());
	}
	if (end->measure)
		issue(stream, connection);
}

static void have_event(struct bufferevent *stream, short what, void *context)
{
	struct connection *connection = context;

	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
		return;
	if (connection->end->measure)
		peer_fail("the server has gone");
	bufferevent_free(stream);
	free(connection);
}

static void add(struct end *end, int fd)
{
	struct bufferevent *stream = bufferevent_socket_new(end->base, fd, BEV_OPT_CLOSE_ON_FREE);
	struct connection *connection =
		calloc(1, sizeof(*connection) + end->window * sizeof(connection->sent_ns[0]));

	if (!stream || !connection || evutil_make_socket_nonblocking(fd)) {
		errno = ENOMEM;
		peer_fail("a connection");
	}
	connection->end = end;
	socket_tune(fd);
	bufferevent_set_max_single_read(stream, READ_MAX);
	bufferevent_set_max_single_write(stream, READ_MAX);
	bufferevent_setcb(stream, have_read, NULL, have_event, connection);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
	if (end->measure)
		issue(stream, connection);
}

static void have_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
			    int length, void *context)
{
	(void)listener;
	(void)address;
	(void)length;
	add(context, fd);
}

/* One thread uses the base: it needs no lock, and no search for changes before each wait. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && !event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) &&
	    !event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST))
		base = event_base_new_with_config(config);
	if (!base) {
		errno = ENOMEM;
		peer_fail("libevent");
	}
	event_config_free(config);
	return base;
}

void libevent_serve(const struct peer_options *options)
{
	struct end end = { .options = options, .base = new_base() };
	int fd = socket_bound(options, SOCK_STREAM);

	if (evutil_make_socket_nonblocking(fd) ||
	    !evconnlistener_new(end.base, have_connection, &end, LEV_OPT_CLOSE_ON_FREE, 0, fd))
		peer_fail("listening");
	peer_say_serving(options);
	while (!event_base_loop(end.base, options->spin ? EVLOOP_NONBLOCK : 0))
		;
}

void libevent_load(const struct peer_options *options, struct peer_measure *measure)
{
	struct end end = { .options = options,
			   .measure = measure,
			   .base = new_base(),
			   .window = options->outstanding / options->connections };
	peer_measure_start(measure, options);
	for (uint32_t i = 0; i < options->connections; i++)
		add(&end, socket_connected(options, SOCK_STREAM));
	while (peer_now_ns() < measure->end_ns)
		if (event_base_loop(end.base, options->spin ? EVLOOP_NONBLOCK : EVLOOP_ONCE))
			peer_fail("libevent");
}
