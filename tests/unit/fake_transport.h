/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transport within one process, for tests of the runtime: endpoints that use it, on
 * any threads, exchange messages through memory. What a real one may do to the runtime,
 * this one does when told to (struct fake_faults).
 *
 * An address is fake://host:port; only the port counts.
 */
#ifndef TERN_FAKE_TRANSPORT_H
#define TERN_FAKE_TRANSPORT_H

#include "fake_network.h"

static inline int fake_open(const struct tern_endpoint_options *options,
			    const struct transport_callbacks *callbacks, void *ctx,
			    struct transport **transport)
{
	(void)options;
	*transport = FAKE_ALLOC(sizeof(**transport));
	CHECK(*transport);
	(*transport)->callbacks = callbacks;
	(*transport)->ctx = ctx;
	(*transport)->last = &(*transport)->first;
	(*transport)->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_lock(&fake.lock);
	(*transport)->port = fake.next_port++;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static inline void fake_close(struct transport *transport)
{
	struct fake_event *event;

	pthread_mutex_lock(&fake.lock);
	while ((event = transport->first)) {
		transport->first = event->next;
		if (event->message.data)
			fake_message_release(event->message.data);
		fake_rpc_unref(event->rpc);
		event->next = fake.free_events;
		fake.free_events = event;
	}
	for (uint32_t i = 0; i < fake.rpcs_made; i++) {
		struct fake_rpc *rpc = &fake.rpcs[i];

		if (rpc->client == transport && rpc->client_waits) {
			rpc->client_waits = false;
			fake_rpc_unref(i);
		}
		if (rpc->server == transport && rpc->server_has) {
			rpc->server_has = false;
			fake_rpc_unref(i);
		}
	}
	pthread_mutex_unlock(&fake.lock);
	close(transport->event_fd);
	free(transport);
}

static inline struct transport_listener **fake_find_listener(uint16_t port)
{
	for (unsigned int i = 0; i < FAKE_LISTENERS; i++)
		if (fake.listeners[i] && fake.listeners[i]->port == port)
			return &fake.listeners[i];
	return NULL;
}

static inline int fake_listen(struct transport *transport, const struct net_endpoint *local, void *cookie,
			      struct transport_listener **listener)
{
	int rc = -EADDRINUSE;

	pthread_mutex_lock(&fake.lock);
	if (!fake_find_listener(local->port)) {
		unsigned int i = 0;

		while (fake.listeners[i])
			CHECK(++i < FAKE_LISTENERS);
		*listener = FAKE_ALLOC(sizeof(**listener));
		CHECK(*listener);
		**listener = (struct transport_listener){ transport, cookie, local->port };
		fake.listeners[i] = *listener;
		rc = 0;
	}
	pthread_mutex_unlock(&fake.lock);
	return rc;
}

static inline void fake_unlisten(struct transport *transport, struct transport_listener *listener)
{
	struct transport_message none = { NULL, 0 };

	pthread_mutex_lock(&fake.lock);
	*fake_find_listener(listener->port) = NULL;
	/* Requests on their way to it find nobody. */
	for (struct fake_event *event = transport->first; event; event = event->next) {
		struct fake_rpc *rpc = &fake.rpcs[event->rpc];

		if (event->kind == FAKE_REQUEST && rpc->listener_cookie == listener->cookie) {
			rpc->server = NULL;
			if (rpc->client_waits)
				fake_post(rpc->client, FAKE_FAILED, event->rpc, none, -ECONNREFUSED);
		}
	}
	pthread_mutex_unlock(&fake.lock);
	free(listener);
}

static inline int fake_connect(struct transport *transport, const struct net_endpoint *remote,
			       struct transport_peer **peer)
{
	(void)transport;
	*peer = FAKE_ALLOC(sizeof(**peer));
	CHECK(*peer);
	(*peer)->remote = *remote;
	return 0;
}

static inline void fake_disconnect(struct transport *transport, struct transport_peer *peer)
{
	(void)transport;
	free(peer);
}

/* With the lock. */
static inline void fake_send_request(struct transport *transport, uint32_t index, uint16_t port,
				     struct transport_message message)
{
	struct transport_listener **listener = fake_find_listener(port);
	struct transport_message none = { NULL, 0 };
	struct fake_rpc *rpc = &fake.rpcs[index];

	if (!fake.faults.silent && !fake.faults.failure && listener) {
		rpc->server = (*listener)->transport;
		rpc->listener_cookie = (*listener)->cookie;
		fake_post(rpc->server, FAKE_REQUEST, index, message, 0);
		return;
	}
	fake_message_release(message.data);
	if (!fake.faults.silent)
		fake_post(transport, FAKE_FAILED, index, none,
			  fake.faults.failure ? fake.faults.failure : -ECONNREFUSED);
}

static inline int fake_request(struct transport *transport, struct transport_peer *peer,
			       struct transport_message message, uint64_t cookie, uint64_t *handle)
{
	int rc;

	pthread_mutex_lock(&fake.lock);
	rc = fake.faults.request_error;
	if (rc == 0 && message.length > fake.faults.max_message)
		rc = -EMSGSIZE;
	if (rc < 0) {
		fake_message_release(message.data);
	} else {
		uint32_t index = fake_rpc_alloc();
		struct fake_rpc *rpc = &fake.rpcs[index];

		rpc->client = transport;
		rpc->server = NULL;
		rpc->cookie = cookie;
		rpc->client_waits = true;
		rpc->server_has = false;
		rpc->references = 1;
		rpc->remote =
			(struct net_endpoint){ .ip = net_ip_from_v4(0x0900000a), .port = transport->port };
		*handle = fake_handle(index, false);
		fake_send_request(transport, index, peer->remote.port, message);
	}
	pthread_mutex_unlock(&fake.lock);
	return rc;
}

static inline int fake_respond(struct transport *transport, uint64_t handle, struct transport_message message)
{
	struct fake_rpc *rpc;
	int rc;

	(void)transport;
	pthread_mutex_lock(&fake.lock);
	rpc = fake_rpc_of(handle);
	rc = fake.faults.respond_error;
	if (rc == 0 && (!rpc || !rpc->server_has))
		rc = -ENOENT;
	if (rc == 0 && message.length > fake.faults.max_message)
		rc = -EMSGSIZE;
	if (rc == 0 && rpc->client_waits)
		fake_post(rpc->client, FAKE_RESPONSE, (uint32_t)handle >> 1, message, 0);
	else
		fake_message_release(message.data);
	if (rc == 0) {
		rpc->server_has = false;
		fake_rpc_unref((uint32_t)handle >> 1);
	}
	pthread_mutex_unlock(&fake.lock);
	return rc;
}

static inline void fake_abort(struct transport *transport, uint64_t handle)
{
	struct transport_message none = { NULL, 0 };
	struct fake_rpc *rpc;

	(void)transport;
	pthread_mutex_lock(&fake.lock);
	rpc = fake_rpc_of(handle);
	if (rpc && !(handle & 1) && rpc->client_waits) {
		rpc->client_waits = false;
		if (rpc->server)
			fake_post(rpc->server, FAKE_CANCELLED, (uint32_t)handle >> 1, none, 0);
		fake_rpc_unref((uint32_t)handle >> 1);
	} else if (rpc && (handle & 1) && rpc->server_has) {
		rpc->server_has = false;
		if (rpc->client_waits)
			fake_post(rpc->client, FAKE_FAILED, (uint32_t)handle >> 1, none, -ECONNREFUSED);
		fake_rpc_unref((uint32_t)handle >> 1);
	}
	pthread_mutex_unlock(&fake.lock);
}

/* What an event amounts to, decided with the lock held; the callback runs without it. */
static inline bool fake_accept(struct transport *transport, const struct fake_event *event)
{
	struct fake_rpc *rpc = &fake.rpcs[event->rpc];

	switch (event->kind) {
	case FAKE_REQUEST:
		if (rpc->server != transport || !rpc->client_waits)
			return false;
		rpc->server_has = true;
		rpc->references++;
		return true;
	case FAKE_CANCELLED:
		if (!rpc->server_has)
			return false;
		rpc->server_has = false;
		fake_rpc_unref(event->rpc);
		return true;
	default:
		if (!rpc->client_waits)
			return false;
		rpc->client_waits = false;
		fake_rpc_unref(event->rpc);
		return true;
	}
}

static inline void fake_deliver(struct transport *transport, const struct fake_event *event,
				const struct fake_rpc *rpc, uint64_t handle)
{
	const struct transport_callbacks *to = transport->callbacks;

	switch (event->kind) {
	case FAKE_REQUEST:
		to->request(transport->ctx, rpc->listener_cookie, handle, &rpc->remote, event->message);
		break;
	case FAKE_RESPONSE:
		to->response(transport->ctx, rpc->cookie, event->message);
		break;
	case FAKE_FAILED:
		to->failed(transport->ctx, rpc->cookie, event->error);
		break;
	case FAKE_CANCELLED:
		to->cancelled(transport->ctx, handle);
		break;
	}
}

static inline int fake_poll(struct transport *transport)
{
	struct fake_event *event;
	uint64_t count;
	int handled = 0;

	pthread_mutex_lock(&fake.lock);
	if (transport->readable && read(transport->event_fd, &count, sizeof(count)) > 0)
		transport->readable = false;
	while (handled < 64 && (event = fake_take(transport))) {
		uint64_t handle = fake_handle(event->rpc, true);
		struct fake_rpc rpc = fake.rpcs[event->rpc];
		bool wanted = fake_accept(transport, event);

		if (!wanted && event->message.data)
			fake_message_release(event->message.data);
		pthread_mutex_unlock(&fake.lock);
		if (wanted)
			fake_deliver(transport, event, &rpc, handle);
		pthread_mutex_lock(&fake.lock);
		fake_rpc_unref(event->rpc);
		event->next = fake.free_events;
		fake.free_events = event;
		handled++;
	}
	pthread_mutex_unlock(&fake.lock);
	return handled;
}

static inline uint64_t fake_timeout(struct transport *transport)
{
	uint64_t timeout = UINT64_MAX, now;

	pthread_mutex_lock(&fake.lock);
	if (transport->first) {
		now = fake_now();
		timeout = transport->first->at_ns > now ? transport->first->at_ns - now : 0;
	}
	pthread_mutex_unlock(&fake.lock);
	return timeout;
}

static inline int fake_fd(struct transport *transport)
{
	return transport->event_fd;
}

static inline void fake_describe(struct transport *transport, char *buffer, size_t size)
{
	snprintf(buffer, size, "fake in this process, port %u", transport->port);
}

static inline void fake_counters(struct transport *transport,
				 void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	uint32_t live;

	(void)transport;
	pthread_mutex_lock(&fake.lock);
	live = fake.live_rpcs;
	pthread_mutex_unlock(&fake.lock);
	each(ctx, "fake_live_rpcs", live);
}

static const struct transport_ops fake_ops = {
	.scheme = "fake",
	.max_message = FAKE_MAX_MESSAGE,
	.open = fake_open,
	.close = fake_close,
	.listen = fake_listen,
	.unlisten = fake_unlisten,
	.connect = fake_connect,
	.disconnect = fake_disconnect,
	.message_get = fake_message_get,
	.message_free = fake_message_free,
	.request = fake_request,
	.respond = fake_respond,
	.abort = fake_abort,
	.poll = fake_poll,
	.timeout = fake_timeout,
	.fd = fake_fd,
	.describe = fake_describe,
	.counters = fake_counters,
};

/* At a test's end, with all endpoints destroyed: nothing is left. Frees what is kept for reuse. */
static inline void fake_check_clean(void)
{
	CHECK_EQ(atomic_load(&fake.messages), 0);
	CHECK_EQ(fake.live_rpcs, 0);
	while (fake.free_messages) {
		uint8_t *memory = fake.free_messages;

		memcpy(&fake.free_messages, memory + 16, sizeof(void *));
		free(memory);
	}
	while (fake.free_events) {
		struct fake_event *event = fake.free_events;

		fake.free_events = event->next;
		free(event);
	}
	free(fake.rpcs);
	fake.rpcs = NULL;
	fake.rpcs_made = fake.first_free = 0;
}

#endif
