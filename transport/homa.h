/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Homa, one host's side of it: the protocol and nothing else. Packets, the time and
 * random numbers go in; packets and events come out. It does no I/O, reads no clock
 * and starts no thread, so that the engine, the simulator and the replay tool run the
 * very same object.
 *
 * A `struct homa` is used by one thread at a time. None of its functions may be called
 * from inside one of the homa_ops.
 *
 * Time is in nanoseconds of any monotonic clock and never runs backwards.
 */
#ifndef TERN_HOMA_H
#define TERN_HOMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_ip.h"
#include "wire.h"

struct homa;
struct ranges;

/*
 * Parameters: names and defaults are those of Linux Homa's sysctls (net.homa.*), as far
 * as they make sense here; the second group is ours. Change them before homa_create.
 */
struct homa_params {
	uint32_t unsched_bytes;        /* 40000: bytes of a message sent without a grant */
	uint32_t window;               /* 0: granted bytes in flight a message; 0 = share max_incoming */
	uint32_t max_incoming;         /* 400000: granted and not yet received, all messages */
	uint32_t max_overcommit;       /* 8: messages granted at the same time, at most 8 */
	uint32_t grant_fifo_fraction;  /* 50: per mille of the link granted to the oldest message */
	uint32_t fifo_grant_increment; /* 2848: bytes of one such grant; 50000 in the reference, a burst that others wait for */
	uint32_t num_priorities;       /* 8 */
	uint8_t priority_map[HOMA_PRIORITIES];      /* identity: our level -> level on the wire */
	uint32_t unsched_cutoffs[HOMA_PRIORITIES];  /* {INT32_MAX,0,0,0,1000000,15000,2800,200} */
	uint32_t max_sched_prio;       /* 3: highest level of granted bytes, derived from the cutoffs there */
	uint32_t link_mbps;            /* 25000 */
	uint32_t max_nic_est_backlog_usecs; /* 5: how far ahead of the link the pacer may run */
	uint32_t defer_min_bytes;      /* 1000: shorter messages are never held by the pacer */
	uint32_t pacer_fifo_fraction;  /* 50: per mille of paced packets taken from the oldest message */
	uint32_t max_link_usage;       /* 99: percent of link_mbps that the pacer uses */
	uint32_t resend_ticks;         /* 5: silence before the first RESEND, in ticks of 1 ms */
	uint32_t resend_interval;      /* 5: ticks between RESENDs */
	uint32_t timeout_ticks;        /* 100: silence after which an RPC is given up */
	uint32_t request_ack_ticks;    /* 2: from response sent to first NEED_ACK */

	uint32_t hole_recovery_us;     /* 100: from when a hole shows until it is asked for; 0: only the timer asks */
	uint32_t need_ack_limit;       /* 40: NEED_ACKs without an answer, then the RPC is freed (the reference never gives up) */
	uint32_t max_client_rpcs;      /* 65536: outstanding, rounded up to a power of two */
	uint32_t max_server_rpcs;      /* 65536 */
	uint32_t max_peers;            /* 16384; the longest idle one goes first */
	uint32_t max_incoming_memory;  /* 64 MiB of bytes received in messages not yet complete */
	uint32_t dedupe_window;        /* 65536 finished requests remembered, for at-most-once */
	uint32_t max_outgoing_memory;  /* 1 GiB of messages queued or unacknowledged */
};

void homa_params_init(struct homa_params *params);
/* 0, or -EINVAL with *why set to the name of the offending parameter and its bound. */
int homa_params_check(const struct homa_params *params, const char **why);

/* A way to one peer, as the embedder knows it: looked up once per peer. */
struct homa_path {
	void *handle;          /* the embedder's; given back to transmit */
	struct net_ip local;   /* our address toward the peer */
	uint32_t mtu;          /* bytes of IP packet */
};

/* One packet to send: `header`, then `payload`. The core builds all of the Homa header. */
struct homa_packet_out {
	uint8_t priority;        /* level on the wire, 0..7: the top three bits of TOS or traffic class */
	uint8_t header_length;   /* bytes */
	uint32_t payload_length; /* bytes; 0 for control packets */
	const uint8_t *payload;  /* valid only during the call; NULL where no bytes are carried (simulator) */
	union {
		struct homa_common_header common;
		struct homa_data_header data;
		struct homa_grant_header grant;
		struct homa_resend_header resend;
		struct homa_cutoffs_header cutoffs;
		struct homa_ack_header ack;
	} header;
};

/* Where the bytes of a DATA packet are. */
enum homa_payload {
	HOMA_PAYLOAD_FOLLOWS, /* the header */
	HOMA_PAYLOAD_ELIDED,  /* nowhere (simulator): `length` counts them */
	HOMA_PAYLOAD_BUFFER,  /* at the start of memory that may become the message's, as if from buffer_get */
	HOMA_PAYLOAD_PLACED,  /* at their place in the message that incoming_begin gave `placement` for */
};

/* One packet received, with the IP header taken off. */
struct homa_packet_in {
	struct net_ip source;
	struct net_ip destination;
	const uint8_t *data; /* from the common header on: any alignment, not changed */
	uint32_t length;     /* bytes of IP payload */
	uint8_t where;       /* enum homa_payload: of what follows the DATA header */
	/*
	 * Where it is, if it does not follow. The core sets this to NULL when it has kept a
	 * BUFFER, which is its own from then on, or counted what was PLACED.
	 */
	uint8_t *payload;
	uint32_t placement;
};

#define HOMA_NO_PLACEMENT UINT32_MAX

/* A message of which more packets are to come. Valid during the call. */
struct homa_incoming {
	struct net_ip source;      /* as it was in the packet */
	const struct homa_data_header *header; /* of the packet that has just come */
	uint8_t *data;             /* its memory */
	uint32_t length;
	uint32_t segment;          /* bytes of a full packet */
	uint32_t unscheduled;      /* where segments begin to be counted anew; at least `length`: nowhere */
	uint32_t received_end;     /* what has come: all below this */
	const struct ranges *gaps; /* but for these */
};

/* What the core needs from whoever embeds it. All are called from inside homa_* calls. */
struct homa_ops {
	/* Sends one packet, or drops it; a lost packet is recovered by the protocol. */
	void (*transmit)(void *ctx, void *path_handle, const struct homa_packet_out *packet);
	/*
	 * Finds the way to `remote`. `local`, if not the any-address, is the address
	 * that the peer used for us and must be our source. 0, or -EHOSTUNREACH,
	 * -ENETUNREACH, -ENOMEM, -EADDRNOTAVAIL.
	 */
	int (*path_open)(void *ctx, const struct net_ip *remote, const struct net_ip *local,
			 struct homa_path *path);
	void (*path_close)(void *ctx, void *path_handle);
	/* Memory for one message of `length` bytes; NULL when there is none. */
	void *(*buffer_get)(void *ctx, uint32_t length);
	void (*buffer_put)(void *ctx, void *data, uint32_t length);
	/*
	 * A message of several packets is arriving: a datapath that can puts the bytes of the
	 * following ones in their place itself. Returns what packets will name the message by
	 * (homa_packet_in.placement), or HOMA_NO_PLACEMENT. incoming_end comes before the memory is
	 * handed on or put back: after it nothing may be put there. NULL, both: no such datapath.
	 */
	uint32_t (*incoming_begin)(void *ctx, const struct homa_incoming *incoming);
	void (*incoming_end)(void *ctx, uint32_t placement);
	/*
	 * Answers `packet` with ICMP port unreachable (the embedder limits the rate).
	 * May be NULL.
	 */
	void (*port_unreachable)(void *ctx, const struct homa_packet_in *packet);
	/* 64 random bits. */
	uint64_t (*random)(void *ctx);
};

/*
 * Creates a host. `params` NULL means defaults. The two are copied. 0 with *homa set,
 * -EINVAL for a bad parameter, -ENOMEM.
 */
int homa_create(const struct homa_params *params, const struct homa_ops *ops, void *ctx,
		uint64_t now_ns, struct homa **homa);
/* Sends the acknowledgements that wait for company, as no more packets will follow. */
void homa_shutdown(struct homa *homa, uint64_t now_ns);
/* Frees everything, silently: peers learn of it as of a dead host. */
void homa_destroy(struct homa *homa);

/* ---- ports ---- */

/*
 * Opens a port. A server's port (1..0x7fff) accepts requests; 0 picks a free client
 * port (0x8000..0xffff), from which requests can only be sent. Returns the port,
 * -EADDRINUSE, -EINVAL (0x8000 and above cannot be named), -ENOMEM.
 */
int homa_port_open(struct homa *homa, uint16_t port);
/* Closes it and ends its RPCs, without events. */
void homa_port_close(struct homa *homa, uint16_t port);

/* ---- messages ---- */

/*
 * Sends a request from `source_port` to `remote`. `data` must come from buffer_get and
 * belongs to the core from here on, whatever is returned; buffer_put is called when it
 * is not needed any more. `cookie` comes back in the event that ends the RPC.
 * 0 and *handle set; -EMSGSIZE (0 or more than HOMA_MAX_MESSAGE bytes), -EBADF (port not
 * open), -ENOBUFS (max_client_rpcs or max_outgoing_memory reached), or path_open's error.
 * `local`: source address, or the any-address to let the route choose (which costs a
 * path_open a call).
 */
int homa_request(struct homa *homa, uint64_t now_ns, uint16_t source_port,
		 const struct net_endpoint *remote, const struct net_ip *local, void *data,
		 uint32_t length, uint64_t cookie, uint64_t *handle);

/*
 * Answers the request `handle` of an HOMA_EVENT_REQUEST, once. `data` as above.
 * 0; -ENOENT when the RPC is gone (cancelled, timed out, port closed: nothing is wrong);
 * -EINVAL when it was answered already; -EMSGSIZE; -ENOBUFS (then it may be tried again
 * with a shorter message).
 */
int homa_respond(struct homa *homa, uint64_t now_ns, uint64_t handle, void *data, uint32_t length);

/*
 * Ends an RPC, without an event. A client's peer is told with RPC_UNKNOWN that its work
 * is not wanted any more; a server's RPC is forgotten (the client will hear RPC_UNKNOWN
 * and may send the request again, unless it is in the dedupe window).
 */
void homa_abort(struct homa *homa, uint64_t now_ns, uint64_t handle);

enum homa_event_type {
	HOMA_EVENT_NONE = 0,
	HOMA_EVENT_REQUEST,  /* server: a request is complete; answer with homa_respond */
	HOMA_EVENT_RESPONSE, /* client: the response is complete; the RPC is over */
	HOMA_EVENT_FAILED,   /* client: the RPC is over, see `error` */
	HOMA_EVENT_CANCELLED /* server: the client gave up a request that was reported and not yet answered */
};

struct homa_event {
	enum homa_event_type type;
	int error;              /* FAILED: -ETIMEDOUT, -ECONNREFUSED (port unreachable), -EPROTONOSUPPORT, -EHOSTUNREACH, -ENOBUFS, -ECONNRESET (the server has restarted: executed or not) */
	uint64_t handle;
	uint64_t cookie;        /* client: as given to homa_request; server: 0 */
	uint64_t rpc_id;        /* client: even */
	struct net_endpoint remote;
	struct net_ip local;
	uint16_t local_port;
	void *data;             /* REQUEST, RESPONSE: the message; the caller's, returned with homa_message_free */
	uint32_t length;
};

/* Takes the next event; false when there is none. */
bool homa_next_event(struct homa *homa, struct homa_event *event);
void homa_message_free(struct homa *homa, void *data, uint32_t length);

/* ---- driving it ---- */

/*
 * Handles one packet. Malformed ones are counted and dropped. What it may change in the
 * packet says homa_packet_in.payload.
 */
void homa_input(struct homa *homa, uint64_t now_ns, struct homa_packet_in *packet);
/* To be called after a burst of homa_input: sends the GRANTs that it made due. */
void homa_input_done(struct homa *homa, uint64_t now_ns);

/*
 * What an ICMP error said of a packet that we sent; `quoted` is the packet's first bytes
 * from the Homa header on. It ends the RPC that the packet belongs to and no other: with
 * fewer than the common header's 28 bytes, or for an RPC that does not exist, it is ignored.
 */
enum homa_icmp { HOMA_ICMP_PORT, HOMA_ICMP_PROTOCOL, HOMA_ICMP_HOST };
void homa_icmp_input(struct homa *homa, uint64_t now_ns, const struct net_ip *remote,
		     enum homa_icmp what, const uint8_t *quoted, uint32_t quoted_length);

/* Runs timers that are due and sends what the pacer allows. */
void homa_poll(struct homa *homa, uint64_t now_ns);
/* When homa_poll has to be called next at the latest; UINT64_MAX when nothing is pending. */
uint64_t homa_next_timeout(const struct homa *homa, uint64_t now_ns);

/*
 * The way between these two now takes packets of `mtu` bytes. Messages that begin from here
 * on are cut accordingly; the segments of those already begun stay as they are.
 */
void homa_path_resize(struct homa *homa, const struct net_ip *remote, const struct net_ip *local, uint32_t mtu);

/* ---- looking in ---- */

struct homa_counters {
	uint64_t packets_in[HOMA_TYPE_LAST - HOMA_TYPE_FIRST + 1];
	uint64_t packets_out[HOMA_TYPE_LAST - HOMA_TYPE_FIRST + 1];
	uint64_t bytes_in, bytes_out;             /* message bytes in DATA, retransmissions included */
	uint64_t dropped[8];                      /* by enum homa_verdict */
	uint64_t duplicate_bytes;                 /* received again */
	uint64_t overlaps;                        /* packets of which only a part was new */
	uint64_t retransmitted;                   /* DATA packets sent with retransmit = 1 */
	uint64_t no_rpc;                          /* packets for an RPC that does not exist */
	uint64_t no_port;
	uint64_t wrong_source;                    /* known id, but another address or port than the RPC's */
	uint64_t no_buffer;                       /* DATA dropped for want of memory or of a free RPC */
	uint64_t evicted;                         /* half-received messages given up for newer ones */
	uint64_t duplicates_refused;              /* requests found in the dedupe window */
	uint64_t incarnations_refused;            /* packets of requests begun under a former incarnation of ours */
	uint64_t requests, responses, failures, timeouts, cancelled, gave_up_acks;
	uint64_t fifo_grants;
	uint64_t holes;                           /* RESENDs that did not wait for the timer */
	/* gauges */
	uint64_t client_rpcs, server_rpcs, peers, incoming_bytes, outgoing_bytes, total_granted;
};
void homa_counters_get(const struct homa *homa, struct homa_counters *counters);

#endif
