/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the RPC runtime and a transport. A transport carries messages:
 * a request to a peer, one response back. It knows nothing of methods, deadlines or
 * status codes; the runtime knows nothing of packets or connections. A new transport
 * is one `struct transport_ops` and a line in transport_table (transport.c).
 *
 * Everything is called from the one thread that drives the endpoint, and the callbacks
 * run in that thread, from inside poll. They may call request, respond, abort and
 * message_free, but neither poll nor close.
 */
#ifndef TERN_TRANSPORT_H
#define TERN_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_ip.h"

struct tern_endpoint_options;
struct transport;
struct transport_listener;
struct transport_peer;

/* Bytes of a message, in memory of the transport's choosing. */
struct transport_message {
	void *data;
	uint32_t length;
};

struct transport_callbacks {
	/*
	 * A request has arrived on `listener`. The message is the callee's until it calls
	 * message_free. `handle` is answered once, or aborted.
	 */
	void (*request)(void *ctx, void *listener_cookie, uint64_t handle,
			const struct net_endpoint *remote, struct transport_message message);
	/* The response to the request begun with `cookie`; the message is the callee's. */
	void (*response)(void *ctx, uint64_t cookie, struct transport_message message);
	/*
	 * The request begun with `cookie` will have no response: -ETIMEDOUT (peer silent),
	 * -ECONNREFUSED (nobody serves the port), -EHOSTUNREACH, -ENETUNREACH,
	 * -EPROTONOSUPPORT (the host does not speak the protocol), -ENOBUFS, -ECONNRESET
	 * (the server has restarted; it may have executed the request or not).
	 */
	void (*failed)(void *ctx, uint64_t cookie, int error);
	/* The peer gave up a request that was reported and not yet answered. */
	void (*cancelled)(void *ctx, uint64_t handle);
	/* One line for the log, without a newline; `level` as enum tern_log_level. */
	void (*log)(void *ctx, int level, const char *line);
};

struct transport_ops {
	const char *scheme;    /* "homa": what stands before :// in an address */
	uint32_t max_message;  /* bytes */

	/*
	 * 0 and *transport, or a negative errno, with a line logged that says what failed
	 * and what to do. Opens no device yet: that happens on listen and connect.
	 */
	int (*open)(const struct tern_endpoint_options *options, const struct transport_callbacks *callbacks,
		    void *ctx, struct transport **transport);
	void (*close)(struct transport *transport);

	/* Serves `local` (any-address: every local one). -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL ... */
	int (*listen)(struct transport *transport, const struct net_endpoint *local, void *listener_cookie,
		      struct transport_listener **listener);
	void (*unlisten)(struct transport *transport, struct transport_listener *listener);

	/* Prepares calls to `remote`. Sends nothing that has to be waited for. */
	int (*connect)(struct transport *transport, const struct net_endpoint *remote,
		       struct transport_peer **peer);
	void (*disconnect)(struct transport *transport, struct transport_peer *peer);

	/* Memory for a message to send: up to `capacity` bytes, NULL when there is none. */
	void *(*message_get)(struct transport *transport, uint32_t capacity);
	/* Gives back memory of message_get that was not sent, or of a message received. */
	void (*message_free)(struct transport *transport, void *data);

	/*
	 * Sends a request: the memory belongs to the transport from here on, whatever is
	 * returned. 0 and *handle; -EMSGSIZE, -ENOBUFS (too much outstanding), -EHOSTUNREACH, ...
	 */
	int (*request)(struct transport *transport, struct transport_peer *peer,
		       struct transport_message message, uint64_t cookie, uint64_t *handle);
	/* Answers a request. 0; -ENOENT when it is gone; -EINVAL when it was answered; -EMSGSIZE; -ENOBUFS. */
	int (*respond)(struct transport *transport, uint64_t handle, struct transport_message message);
	/* Forgets a request (either side). No callback follows; the peer is told where it can be. */
	void (*abort)(struct transport *transport, uint64_t handle);

	/*
	 * Receives, runs timers, sends, calls back. Returns how many packets and events
	 * it handled (0: nothing to do), or a negative errno if the device is gone.
	 */
	int (*poll)(struct transport *transport);
	/*
	 * Nanoseconds until poll must be called next; UINT64_MAX: not before fd is readable.
	 * To be asked before each wait on fd, which may not be kept up to date without.
	 */
	uint64_t (*timeout)(struct transport *transport);
	/* An epoll fd, readable when there is something to receive. The same for the transport's life. */
	int (*fd)(struct transport *transport);

	/* Writes what was chosen at start, a line a device: "veth0: native xdp, copy mode, ..." */
	void (*describe)(struct transport *transport, char *buffer, size_t size);
	/* Calls `each` for every counter: a name of letters and underscores, and its value. */
	void (*counters)(struct transport *transport, void (*each)(void *ctx, const char *name, uint64_t value),
			 void *ctx);
};

/* The transport for a scheme, or NULL. */
const struct transport_ops *transport_find(const char *scheme);

#endif
