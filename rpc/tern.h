/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tern: microsecond RPC. This is the library's one public header; with the file that
 * protoc-gen-tern makes of a .proto it is all that a program includes.
 *
 *   endpoint   the engine and its datapath: one per thread that does network I/O
 *   server     an address that an endpoint serves, with the services registered on it
 *   channel    an address that an endpoint calls
 *   call       one RPC, on either side
 *
 * Functions return 0 or a negative errno, unless they say otherwise. What an RPC came to
 * is another type: enum tern_status. The library prints nothing, reads no environment
 * and starts a thread only where the options ask for one.
 *
 * Options structs: set `sz` to sizeof and the rest to 0, or use TERN_OPTIONS; NULL
 * means all defaults. A field of 0 or NULL always means its default.
 */
#ifndef TERN_H
#define TERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_VERSION "0.1.0"

#if defined(__GNUC__)
#define TERN_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define TERN_PRINTF(string, first)
#endif

#ifndef __cplusplus
/* struct tern_call_options options = TERN_OPTIONS(struct tern_call_options, .timeout_us = 500); */
#define TERN_OPTIONS(type, ...) ((type){ .sz = sizeof(type), __VA_ARGS__ })
#endif

/* ---- status ---- */

/*
 * gRPC's codes, with gRPC's numbers. Those with a comment the library gives by itself,
 * for that reason; the others only come from handlers.
 */
enum tern_status {
	TERN_OK = 0,
	TERN_CANCELLED = 1,	    /* tern_call_cancel, or the channel or endpoint was destroyed */
	TERN_UNKNOWN = 2,	    /* the server sent a number that is none of these */
	TERN_INVALID_ARGUMENT = 3,  /* the server could not make sense of the request */
	TERN_DEADLINE_EXCEEDED = 4, /* the time was over, by the clock of either side */
	TERN_NOT_FOUND = 5,
	TERN_ALREADY_EXISTS = 6,
	TERN_PERMISSION_DENIED = 7,
	TERN_RESOURCE_EXHAUSTED = 8,  /* calls, buffers, the size of a message or of what it unpacks to */
	TERN_FAILED_PRECONDITION = 9, /* a synchronous call from inside a callback */
	TERN_ABORTED = 10,
	TERN_OUT_OF_RANGE = 11,
	TERN_UNIMPLEMENTED = 12, /* the server does not have the method, or not this version of RPC */
	TERN_INTERNAL = 13,	 /* the client could not make sense of the response */
	TERN_UNAVAILABLE = 14,	 /* host or port silent, gone or refusing; the server was closed */
	TERN_DATA_LOSS = 15,
	TERN_UNAUTHENTICATED = 16,
};

/* "DEADLINE_EXCEEDED"; "status 99" never: unknown numbers give "UNKNOWN". */
const char *tern_status_name(enum tern_status status);

#define TERN_MESSAGE_MAX 240 /* bytes of a status message that are kept, with its NUL */

/* How a call ended. */
struct tern_result {
	enum tern_status status;
	char message[TERN_MESSAGE_MAX]; /* empty when OK or when nothing was said; always terminated */
};

/* ---- endpoint ---- */

struct tern_endpoint;

enum tern_wait {
	TERN_WAIT_ADAPTIVE = 0, /* spins for spin_us after the last event, then sleeps */
	TERN_WAIT_SPIN,         /* never sleeps: lowest latency, one core */
	TERN_WAIT_BLOCK,        /* sleeps at once */
};

enum tern_datapath {
	TERN_DATAPATH_AUTO = 0, /* in place where the device can, else xsk */
	TERN_DATAPATH_INPLACE,  /* XDP puts messages together, packets leave by a tap; takes native XDP */
	TERN_DATAPATH_XSK,      /* XDP steers, AF_XDP carries every packet */
};

/* The parts of the in-place datapath, a bit each. */
enum tern_datapath_part {
	TERN_PART_RECEIVE = 1 << 0, /* packets come by a ring in shared memory; else by AF_XDP */
	TERN_PART_PLACE = 1 << 1,   /* messages are put together by XDP; else by the engine. Takes RECEIVE */
	TERN_PART_TAP = 1 << 2,     /* packets leave by a tap; else by AF_XDP */
	TERN_PART_PUMP = 1 << 3,    /* several at a time. Takes TAP */
};

enum tern_xdp_mode {
	TERN_XDP_AUTO = 0, /* native where the driver has it, else generic */
	TERN_XDP_NATIVE,
	TERN_XDP_GENERIC,
};

enum tern_log_level { TERN_LOG_ERROR = 0, TERN_LOG_WARNING, TERN_LOG_INFO, TERN_LOG_DEBUG };

/* One line, without a newline. May be called from any thread that uses the endpoint. */
typedef void tern_log_fn(void *ctx, enum tern_log_level level, const char *line);

/* One of Homa's parameters, by the name that Linux Homa's sysctl has (docs/homa.md). */
struct tern_parameter {
	const char *name;
	uint64_t value;
};

struct tern_endpoint_options {
	size_t sz;
	enum tern_wait wait;
	uint32_t spin_us;   /* 50: for TERN_WAIT_ADAPTIVE */
	bool thread;        /* true: the endpoint runs itself on a thread of its own, and no one polls it */
	int cpu_plus_1;     /* pins that thread: CPU number + 1; 0 = not pinned */
	enum tern_datapath datapath;
	enum tern_xdp_mode xdp_mode;
	uint32_t max_calls; /* 65536: calls outstanding on either side; beyond: RESOURCE_EXHAUSTED */
	uint64_t memory;    /* 256 MiB: message buffers */
	const struct tern_parameter *parameters; /* Homa's, ended by a NULL name */
	tern_log_fn *log;   /* NULL: nothing is logged */
	void *log_ctx;
	uint32_t datapath_parts; /* enum tern_datapath_part; 0: all. For measuring what each is worth */
};

/* -EINVAL (an option, see the log), -ENOMEM, -EMFILE ... */
int tern_endpoint_create(const struct tern_endpoint_options *options, struct tern_endpoint **endpoint);

/*
 * Threads. An endpoint is driven by one thread: its own, or the first that polls it or
 * makes a synchronous call. All other functions may be called from any thread; calls and
 * answers from other threads than the driving one are handed to it without a lock, and
 * what sets up, takes down or reports waits for its next pause. Destroying something
 * while another thread uses it is not allowed.
 */

/*
 * Ends every call of the endpoint (CANCELLED), closes and frees its servers and
 * channels, detaches its programs. Handlers that still hold calls may answer them later,
 * which then only frees them. Not from inside a callback.
 */
void tern_endpoint_destroy(struct tern_endpoint *endpoint);

/*
 * Without `thread`, the endpoint is driven by whoever calls this; all its callbacks run
 * inside. Waits up to `timeout_us` (0: does not wait; -1: no limit) in the manner of
 * options.wait for something to do, and returns once it has done something. Returns how
 * many packets and events it handled, -EPERM when another thread drives this endpoint,
 * -EDEADLK from inside a callback, -EINTR after a signal.
 */
int tern_endpoint_poll(struct tern_endpoint *endpoint, int timeout_us);

/*
 * An fd for an event loop: when it is readable (or POLLIN in epoll, libevent's EV_READ),
 * call tern_endpoint_poll(endpoint, 0). It becomes readable for packets, timers and work
 * from other threads. The same fd for the endpoint's life; do not close it. -EPERM when
 * the endpoint has a thread.
 */
int tern_endpoint_fd(struct tern_endpoint *endpoint);

/*
 * What was chosen and why, a line per device, for start-up messages:
 * "homa on veth0: native xdp, copy mode, queue 0 of 1, kernel 6.18". Terminated.
 */
void tern_endpoint_describe(struct tern_endpoint *endpoint, char *buffer, size_t size);

/* Calls `each` for every counter of the endpoint. */
void tern_endpoint_counters(struct tern_endpoint *endpoint,
			    void (*each)(void *ctx, const char *name, uint64_t value), void *ctx);

/* ---- memory ---- */

/*
 * An arena: allocation moves a pointer, freeing does nothing, reset takes all back. It
 * serves as allocator of any protobuf-c function.
 */
struct tern_arena;
int tern_arena_create(size_t first_chunk /* bytes; 0: 4096 */, struct tern_arena **arena);
void tern_arena_destroy(struct tern_arena *arena);
/* Everything allocated from it is gone; its largest chunk is kept for reuse. */
void tern_arena_reset(struct tern_arena *arena);
/* 16-byte aligned; NULL when memory is short. */
void *tern_arena_alloc(struct tern_arena *arena, size_t size);
/* Valid as long as the arena. */
ProtobufCAllocator *tern_arena_allocator(struct tern_arena *arena);

/* ---- client ---- */

struct tern_channel;
struct tern_call;

struct tern_channel_options {
	size_t sz;
	uint64_t timeout_us; /* 10 s: of calls that name none. UINT64_MAX: none */
	uint32_t max_outstanding; /* 65536: calls at a time; beyond: RESOURCE_EXHAUSTED at once */
	uint64_t max_decoded_bytes; /* 0: 4 times the message + 64 KiB: memory that a reply may unpack to */
};

/*
 * `address`: "homa://10.0.0.2:4000", "homa://[fd00::2]:4000", or a host name in place of
 * the address (resolved once, here, by the system's resolver, which may block).
 * -EINVAL (bad address), -EPROTONOSUPPORT (unknown scheme), -EHOSTUNREACH (name or
 * route not found), -EPERM (missing capability: the log says which), -EBUSY (another XDP
 * program is on the device: the log gives its id).
 */
int tern_channel_create(struct tern_endpoint *endpoint, const char *address,
			const struct tern_channel_options *options, struct tern_channel **channel);
/* Ends its calls with CANCELLED. Not from inside a callback. */
void tern_channel_destroy(struct tern_channel *channel);

struct tern_call_options {
	size_t sz;
	uint64_t timeout_us; /* 0: the channel's */
	/*
	 * Where a synchronous call's reply comes from; NULL: malloc. The caller frees the
	 * reply with its message's free_unpacked(reply, allocator), or resets the arena.
	 */
	ProtobufCAllocator *allocator;
};

/*
 * Gives a call up. Its callback runs once, later, from the driving thread: with
 * CANCELLED, and the server is told, unless the call ended meanwhile. From any thread,
 * but only before the callback has returned: where that cannot be known, a lock that the
 * callback takes, too, makes sure of it.
 */
void tern_call_cancel(struct tern_call *call);

/* ---- server ---- */

struct tern_server;

struct tern_server_options {
	size_t sz;
	uint32_t max_pending;       /* 65536: requests in handlers' hands; beyond: RESOURCE_EXHAUSTED */
	uint64_t max_decoded_bytes; /* 0: 4 times the message + 64 KiB: memory that a request may unpack to */
};

/*
 * Serves `address`: "homa://10.0.0.2:4000", or "homa://0.0.0.0:4000", "homa://[::]:4000"
 * for every local address of the family (of both: the second). A server's port is
 * 1..32767 on Homa. Errors as tern_channel_create, and -EADDRINUSE, -EADDRNOTAVAIL.
 */
int tern_server_create(struct tern_endpoint *endpoint, const char *address,
		       const struct tern_server_options *options, struct tern_server **server);
/* Refuses new requests, and answers those in handlers' hands with UNAVAILABLE. Not from inside a callback. */
void tern_server_destroy(struct tern_server *server);

/*
 * A handler is given the call and the request, and answers now or later, from any
 * thread, exactly once: with its method's `__reply` function or with tern_call_fail.
 * Request and call are valid until then, not after. It has to answer even if nobody
 * waits any more (tern_call_cancelled): a call that is never answered is never freed.
 *
 * The functions that answer return 0 if the call is the library's again, which is also
 * so when the client is gone or the deadline has passed and nothing was sent. They
 * return -EINVAL (a message of another type, a status that cannot be), -EMSGSIZE (larger
 * than the transport carries) or -ENOBUFS (no memory), and then the call is still to be
 * answered. An answer that another thread gives may still be lost for want of memory;
 * the client then gets RESOURCE_EXHAUSTED. A second answer is an error of the program:
 * -EALREADY as long as the library can tell.
 */

/* Ends a call with a status other than OK and a message (printf), or NULL. A raw call is given up. */
int tern_call_fail(struct tern_call *call, enum tern_status status, const char *format, ...) TERN_PRINTF(3, 4);
/* Allocator of the call's own arena, for building the reply. Freed with the call. */
ProtobufCAllocator *tern_call_allocator(struct tern_call *call);
/* Microseconds left; UINT64_MAX if the client named no deadline, 0 if it has passed. */
uint64_t tern_call_time_left(const struct tern_call *call);
/* True when the client has given up or the deadline has passed: the answer is not wanted. */
bool tern_call_cancelled(const struct tern_call *call);
/* The client: "10.0.0.3:32771", "[fd00::3]:32771". Valid as long as the call. */
const char *tern_call_peer(struct tern_call *call);

/* ---- raw messages: the bare transport, without the RPC header ---- */

/* `data` is valid until the call is answered. */
typedef void tern_raw_handler(struct tern_call *call, const void *data, size_t length, void *ctx);
/* Gives every message of the server to `handler`, in place of services. Before any request arrives. */
int tern_server_set_raw(struct tern_server *server, tern_raw_handler *handler, void *ctx);
/* Answers with `length` bytes, at least 1, which are copied. */
int tern_call_reply_raw(struct tern_call *call, const void *data, size_t length);

/* `data` is valid during the call only; NULL when status is not OK. */
typedef void tern_raw_done(const struct tern_result *result, const void *data, size_t length, void *ctx);
/*
 * Sends `length` bytes, at least 1, which are copied; `done` runs once, from the driving
 * thread, if 0 was returned. `call` may be NULL. Errors as tern_call_start.
 */
int tern_channel_send_raw(struct tern_channel *channel, const struct tern_call_options *options, const void *data,
			  size_t length, tern_raw_done *done, void *ctx, struct tern_call **call);

/* ---- what generated code uses ---- */

enum tern_method_flags {
	TERN_METHOD_IDEMPOTENT = 1 << 0,
	TERN_METHOD_INLINE = 1 << 1,   /* runs on the thread that polls */
	TERN_METHOD_BLOCKING = 1 << 2,
	TERN_METHOD_DEPRECATED = 1 << 3,
	/* 1 << 8, 1 << 9 are kept for client and server streaming */
};

/* `reply` is valid during the call only; NULL when status is not OK. */
typedef void tern_done(const struct tern_result *result, const ProtobufCMessage *reply, void *ctx);

struct tern_method {
	const char *name; /* "/package.Service/Method" */
	uint64_t hash;    /* tern_method_hash(name) */
	const ProtobufCMessageDescriptor *input;
	const ProtobufCMessageDescriptor *output;
	uint32_t flags;
	uint32_t priority;   /* 0 = default */
	uint64_t timeout_us; /* default of calls, 0 = the channel's */
	/* Calls the typed handler; false when the table has none. */
	bool (*dispatch)(struct tern_call *call, const ProtobufCMessage *request, const void *handlers, void *ctx);
	/*
	 * Converts `done` back to the type that generated code made it from, and calls it.
	 * NULL: `done` is a tern_done in truth, and is called as such.
	 */
	void (*complete)(tern_done *done, const struct tern_result *result, const ProtobufCMessage *reply, void *ctx);
};

struct tern_service {
	const char *name; /* "package.Service" */
	size_t method_count;
	const struct tern_method *methods;
};

/* FNV-1a, 64 bits, of the name: what stands in the RPC header. */
uint64_t tern_method_hash(const char *name);

/*
 * `handlers` and `service` must outlive the server. -EEXIST when a method's hash is taken
 * (the log names both), -EBUSY when the server is raw, -EINVAL when a hash is not that of
 * its method's name, -ENOMEM, -ENOSPC (65536 methods).
 */
int tern_server_register(struct tern_server *server, const struct tern_service *service, const void *handlers,
			 void *ctx);

/* Answers a call; the message is packed before this returns. */
int tern_call_reply(struct tern_call *call, const ProtobufCMessage *reply);

/*
 * Calls and waits. *reply is set on OK only. `result` may be NULL. On an endpoint that
 * has no thread, the calling thread drives it meanwhile, unless another one does: then
 * it waits for that one to poll. Not from inside a callback.
 */
enum tern_status tern_call_wait(struct tern_channel *channel, const struct tern_method *method,
				const struct tern_call_options *options, const ProtobufCMessage *request,
				ProtobufCMessage **reply, struct tern_result *result);

/*
 * Calls and returns. If 0 was returned, `done` runs once, later, from the driving thread,
 * through method->complete; *call is set before that, and `call` may be NULL. Otherwise
 * there was no call: -ENOBUFS (RESOURCE_EXHAUSTED: max_calls, max_outstanding or message
 * buffers), -ENOMEM, -EMSGSIZE (larger than the transport carries), -EINVAL (a message of
 * another type, or options), -ESHUTDOWN (channel or endpoint is being destroyed). From
 * other threads than the driving one, some of these are only found out later and come as
 * the callback's status.
 */
int tern_call_start(struct tern_channel *channel, const struct tern_method *method,
		    const struct tern_call_options *options, const ProtobufCMessage *request, tern_done *done,
		    void *ctx, struct tern_call **call);

#ifdef __cplusplus
}
#endif

#endif
