/* SPDX-License-Identifier: BSD-2-Clause */
/* The runtime's side of the engine (engine.h): serving and calling. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine.h"
#include "homa_transport.h"
#include "local.h"

static const struct net_ip any;

static struct engine *engine_of(struct transport *transport)
{
	return (struct engine *)transport;
}

static const char *text_of(const struct net_ip *ip, char text[INET6_ADDRSTRLEN])
{
	struct net_ip plain = net_ip_scoped(ip, 0);

	if (net_ip_is_v4(ip))
		inet_ntop(AF_INET, &ip->w[3], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, plain.b, text, INET6_ADDRSTRLEN);
	return text;
}

static int open_transport(const struct tern_endpoint_options *options,
			  const struct transport_callbacks *callbacks, void *ctx,
			  struct transport **transport)
{
	struct engine *engine;
	int error = engine_create(options, callbacks, ctx, &engine);

	if (!error)
		*transport = (struct transport *)engine;
	return error;
}

static void close_transport(struct transport *transport)
{
	struct engine *engine = engine_of(transport);

	while (!LIST_EMPTY(&engine->listeners)) {
		struct transport_listener *listener = LIST_FIRST(&engine->listeners);

		LIST_REMOVE(listener, next);
		free(listener);
	}
	while (!LIST_EMPTY(&engine->peers)) {
		struct transport_peer *peer = LIST_FIRST(&engine->peers);

		LIST_REMOVE(peer, next);
		path_close(engine, peer->path);
		free(peer);
	}
	engine_destroy(engine);
}

/* ---- serving ---- */

/* Opens the devices by which packets for `local` come. Loopback addresses need none. */
static int open_devices_for(struct engine *engine, const struct net_endpoint *local)
{
	const struct address *address;
	struct interface interface;
	struct device *device;
	char text[INET6_ADDRSTRLEN];
	int error;

	if (net_ip_is_any(&local->ip))
		return devices_open_all(engine, &local->ip);
	if (ip_is_loopback(&local->ip))
		return 0;
	address = addresses_find(&engine->addresses, &local->ip);
	if (!address) {
		engine_log(engine, TERN_LOG_ERROR, "%s is not an address of this host (ip address show)",
			   text_of(&local->ip, text));
		return -EADDRNOTAVAIL;
	}
	error = interface_find(&engine->netlink, address->ifindex, &interface);
	if (error)
		return error;
	/* An address on the loopback device is reached through all the others. */
	if (interface.loopback)
		return devices_open_all(engine, &local->ip);
	return device_open(engine, address->ifindex, TERN_LOG_ERROR, &device);
}

static bool port_served(const struct engine *engine, uint16_t port)
{
	const struct transport_listener *listener;

	LIST_FOREACH (listener, &engine->listeners, next)
		if (listener->local.port == port)
			return true;
	return false;
}

static int claim(struct engine *engine, const struct net_endpoint *local)
{
	char text[INET6_ADDRSTRLEN];
	int error = local_link_bind(engine->local, local);

	if (error == -EADDRINUSE)
		engine_log(engine, TERN_LOG_ERROR, "%s port %u is already served by a process of this host",
			   text_of(&local->ip, text), local->port);
	if (error)
		return error;
	if (!port_served(engine, local->port)) {
		error = homa_port_open(engine->homa, local->port);
		if (error < 0) {
			local_link_unbind(engine->local, local);
			return error;
		}
		devices_own_port(engine, local->port, true);
	}
	return 0;
}

static int listen_on(struct transport *transport, const struct net_endpoint *local, void *listener_cookie,
		     struct transport_listener **listener)
{
	struct engine *engine = engine_of(transport);
	struct transport_listener *new;
	int error;

	engine_tick(engine);
	if (!local->port || local->port >= HOMA_MIN_CLIENT_PORT) {
		engine_log(engine, TERN_LOG_ERROR, "port %u: a Homa server's port is 1..%d", local->port,
			   HOMA_MIN_CLIENT_PORT - 1);
		return -EINVAL;
	}
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->local = *local;
	new->cookie = listener_cookie;
	/* The cheap claim comes first: it must not cost a device to hear that the port is taken. */
	error = claim(engine, local);
	if (error)
		goto free_listener;
	LIST_INSERT_HEAD(&engine->listeners, new, next);
	engine->specific_listeners += local->ip.q[0] || local->ip.q[1];
	error = open_devices_for(engine, local);
	if (error) {
		homa_transport.unlisten(transport, new);
		return error;
	}
	*listener = new;
	return 0;

free_listener:
	free(new);
	return error;
}

static void unlisten(struct transport *transport, struct transport_listener *listener)
{
	struct engine *engine = engine_of(transport);

	engine_tick(engine);
	LIST_REMOVE(listener, next);
	engine->specific_listeners -= listener->local.ip.q[0] || listener->local.ip.q[1];
	local_link_unbind(engine->local, &listener->local);
	if (!port_served(engine, listener->local.port)) {
		homa_port_close(engine->homa, listener->local.port);
		engine_flush(engine); /* the last packets from there */
		devices_own_port(engine, listener->local.port, false);
	}
	free(listener);
}

/* ---- calling ---- */

static int connect_to(struct transport *transport, const struct net_endpoint *remote,
		      struct transport_peer **peer)
{
	struct engine *engine = engine_of(transport);
	struct transport_peer *new = calloc(1, sizeof(*new));
	char text[INET6_ADDRSTRLEN];
	int error;

	if (!new)
		return -ENOMEM;
	engine_tick(engine);
	new->remote = *remote;
	error = path_open(engine, &remote->ip, &any, true, &new->path);
	if (error) {
		if (error == -EINVAL && net_ip_is_link_local(&remote->ip))
			engine_log(engine, TERN_LOG_ERROR,
				   "%s is link-local: name the device too, as in %s%%eth0",
				   text_of(&remote->ip, text), text_of(&remote->ip, text));
		else
			engine_log(engine, TERN_LOG_ERROR, "no way to %s: %s", text_of(&remote->ip, text),
				   strerror(-error));
		free(new);
		return error;
	}
	LIST_INSERT_HEAD(&engine->peers, new, next);
	*peer = new;
	return 0;
}

static void disconnect(struct transport *transport, struct transport_peer *peer)
{
	LIST_REMOVE(peer, next);
	path_close(engine_of(transport), peer->path);
	free(peer);
}

/* The time for the core: read once a round while in poll. */
static uint64_t begin_call(struct engine *engine)
{
	if (!engine->inside)
		engine_tick(engine);
	return engine->now_ns;
}

/* Outside of poll nobody else would send what the call queued. */
static void end_call(struct engine *engine)
{
	if (!engine->inside)
		engine_flush(engine);
}

static int request(struct transport *transport, struct transport_peer *peer, struct transport_message message,
		   uint64_t cookie, uint64_t *handle)
{
	struct engine *engine = engine_of(transport);
	uint64_t now_ns = begin_call(engine);
	int error = path_update(engine, peer->path);

	if (error) {
		buffers_put(engine->buffers, message.data);
		return error;
	}
	engine->in_request = true;
	error = homa_request(engine->homa, now_ns, engine->client_port, &peer->remote, &peer->path->local,
			     message.data, message.length, cookie, handle);
	engine->in_request = false;
	if (!error && peer->path->link == engine->local)
		engine->local_active_ns = now_ns + ENGINE_LOCAL_ACTIVE_NS;
	end_call(engine);
	return error;
}

static int respond(struct transport *transport, uint64_t handle, struct transport_message message)
{
	struct engine *engine = engine_of(transport);
	int error = homa_respond(engine->homa, begin_call(engine), handle, message.data, message.length);

	end_call(engine);
	return error;
}

static void abort_rpc(struct transport *transport, uint64_t handle)
{
	struct engine *engine = engine_of(transport);

	homa_abort(engine->homa, begin_call(engine), handle);
	end_call(engine);
}

/* ---- the rest ---- */

static void *message_get(struct transport *transport, uint32_t capacity)
{
	return buffers_get(engine_of(transport)->buffers, capacity);
}

static void message_free(struct transport *transport, void *data)
{
	buffers_put(engine_of(transport)->buffers, data);
}

static int poll_transport(struct transport *transport)
{
	return engine_poll(engine_of(transport));
}

static uint64_t timeout(struct transport *transport)
{
	return engine_timeout(engine_of(transport));
}

static int get_fd(struct transport *transport)
{
	return engine_of(transport)->epoll_fd;
}

static void describe(struct transport *transport, char *buffer, size_t size)
{
	struct engine *engine = engine_of(transport);
	char line[ENGINE_LOG_BYTES];
	size_t used = 0;
	unsigned i;

	if (!size)
		return;
	buffer[0] = 0;
	for (i = 0; i < engine->device_count && used < size; i++) {
		const struct device *device = engine->devices[i];

		device->link->ops->describe(device->link, line, sizeof(line));
		used += (size_t)snprintf(buffer + used, size - used, "homa on %s: %s\n",
					 device->interface.name, line);
	}
	engine->local->ops->describe(engine->local, line, sizeof(line));
	if (used < size)
		snprintf(buffer + used, size - used, "homa within this host: %s", line);
}

static void counters(struct transport *transport, void (*each)(void *ctx, const char *name, uint64_t value),
		     void *ctx)
{
	engine_counters(engine_of(transport), each, ctx);
}

const struct transport_ops homa_transport = {
	.scheme = "homa",
	.max_message = HOMA_MAX_MESSAGE,
	.open = open_transport,
	.close = close_transport,
	.listen = listen_on,
	.unlisten = unlisten,
	.connect = connect_to,
	.disconnect = disconnect,
	.message_get = message_get,
	.message_free = message_free,
	.request = request,
	.respond = respond,
	.abort = abort_rpc,
	.poll = poll_transport,
	.timeout = timeout,
	.fd = get_fd,
	.describe = describe,
	.counters = counters,
};
