/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the homa*.c files share: the structures behind homa.h, and which file does what.
 *
 *	homa.c           life of a host, ports, dispatch of packets, events
 *	homa_params.c    parameters
 *	homa_peer.c      the hosts we talk to
 *	homa_rpc.c       tables of RPCs, their states, their end
 *	homa_send.c      messages out: segments, SRPT, pacing, retransmission
 *	homa_recv.c      messages in: reassembly, asking for what is missing
 *	homa_grant.c     who may send us how much
 *	homa_holes.c     losses that show before the timer does
 *	homa_ack.c       ACK, NEED_ACK, finished requests
 *	homa_control.c   the other control packets, in and out
 *	homa_incarnation.c  at-most-once across restarts
 *	homa_timer.c     what silence means
 */
#ifndef TERN_HOMA_STATE_H
#define TERN_HOMA_STATE_H

#include <assert.h>
#include <sys/queue.h>

#include "heap.h"
#include "homa.h"
#include "homa_core.h"
#include "ranges.h"
#include "timer.h"

#define HOMA_TICK_NS 1000000ull /* the reference's timer runs every millisecond */
#define HOMA_OVERCOMMIT_MAX 8
#define HOMA_RAISES 4 /* of a message's grant priority that are remembered */
#define HOMA_KNOWN_SERVERS 4  /* a power of two: ports of one peer whose incarnation is remembered */
#define HOMA_CACHE_LINE 64
#define HOMA_CUTOFF_VERSION 1 /* of our cutoffs, which do not change while we run */

enum homa_rpc_state {
	HOMA_RPC_FREE = 0,
	HOMA_RPC_OUTGOING,   /* client: sending the request; server: sending the response */
	HOMA_RPC_INCOMING,   /* client: response arriving; server: request arriving */
	HOMA_RPC_IN_SERVICE, /* server: the application has the request, or is about to get it */
	HOMA_RPC_DONE,       /* over; waits for its event to be taken */
};

/* Each group is a cache line: most packets need two of them, requests and acknowledgements up to four. */
struct homa_peer {
	struct homa_peer *chain; /* in its hash bucket */
	struct net_ip remote;
	struct homa_path path;
	uint32_t rpcs;           /* that refer to it */
	uint32_t lru_tick;       /* when it was last moved to the end of homa->peers, ms */

	uint64_t heard_ns;       /* last packet from it */
	uint64_t hash;           /* of its address */
	uint64_t cutoffs_sent_ns;
	uint32_t cutoffs[HOMA_PRIORITIES];
	uint16_t cutoff_version; /* of the above; 0 = none received */
	uint8_t ack_count;
	uint32_t active_grants;  /* how many of its messages are being granted */
	struct heap grantable;   /* messages from it that wait for grants, fewest bytes first */

	struct {
		uint64_t id;
		uint16_t server_port, client_port;
	} __attribute__((packed)) acks[HOMA_ACKS_PER_PACKET];

	struct { uint16_t port; uint32_t incarnation; } servers[HOMA_KNOWN_SERVERS]; /* by port */
	TAILQ_ENTRY(homa_peer) lru;
	uint64_t asked_tick;
	uint32_t asked;          /* RESENDs and NEED_ACKs to it during asked_tick */

	struct heap_node grant_node; /* its place among the peers that have messages waiting */
	void *memory;                /* that it is in, see homa_lines_new */
} __attribute__((aligned(HOMA_CACHE_LINE)));

/* What few messages need comes first here, and last in struct homa_message_in: see struct homa_rpc. */
struct homa_message_out {
	struct heap_node by_remaining; /* in homa->sendable */
	struct heap_node by_age;       /* in homa->sendable_by_age */
	struct ranges resend; /* asked for again */
	uint8_t *data;
	uint32_t length;      /* 0: there is none */
	uint32_t unscheduled; /* bytes that need no grant; a segment boundary */
	uint32_t segment;     /* bytes a packet, fixed for the message's life */
	uint32_t granted;     /* exclusive limit, at least `unscheduled` */
	uint32_t sent;        /* next byte to be sent for the first time; a segment boundary or the end */
	uint8_t priority;     /* of granted bytes */
	uint8_t resend_priority;
	bool queued;          /* in both of the heaps */
};

/* Where a message with gaps is. */
enum homa_watch {
	HOMA_UNWATCHED,
	HOMA_SUSPECT,  /* in homa->suspects */
	HOMA_UNPROVEN, /* in homa->unproven */
};

struct homa_message_in {
	uint8_t *data;
	uint32_t length;       /* 0: no packet yet */
	uint32_t received_end; /* highest byte received + 1 */
	uint32_t remaining;    /* bytes not received */
	uint32_t placement;    /* by which the datapath knows it, or HOMA_NO_PLACEMENT */
	uint32_t granted;      /* exclusive limit of what the sender may have sent */
	uint32_t unscheduled;  /* of that, what needed no grant */
	uint32_t outstanding;  /* of `granted`, counted in homa->total_granted */
	uint32_t forgiven;     /* bytes under way that are not counted: after a stall */
	uint32_t forgiven_grants; /* of these, granted ones: counted in homa->forgiven_grants */
	uint8_t watched;       /* enum homa_watch */
	uint8_t priority;      /* of the last grant */
	uint8_t raise_count;
	bool active;           /* in homa->active */
	bool waiting;          /* in peer->grantable */
	bool placing_tried;    /* the datapath was asked to put the bytes in their place */
	struct ranges gaps;    /* missing below received_end */
	/* homa_holes.c */
	struct ranges lost;    /* gaps that will not be filled unless asked for, and have not been */
	struct ranges settled; /* all gaps that were ever lost or asked for: the timer sees to the rest */
	uint64_t granted_ns;   /* when the last grant was */
	uint64_t suspect_ns;   /* a while after this, */
	uint32_t suspect_end;  /* gaps that begin below it are examined */
	/* Somewhere in each, both ends included, the priority at which bytes are sent went up. */
	struct range raises[HOMA_RAISES];
	struct heap_node grant_node; /* in peer->grantable */
};

/*
 * A short RPC touches five cache lines, from out.resend to in.settled: those are zeroed for
 * each use of a slot. What is before and after is written before it is read, or left by the
 * former use as it must be found: heap nodes in no heap.
 */
struct homa_rpc {
	TAILQ_ENTRY(homa_rpc) fifo;  /* in.length > in.granted: in homa->grantable_by_age */
	TAILQ_ENTRY(homa_rpc) watch; /* in homa->suspects or homa->unproven */
	char padding[16]; /* so that out.resend begins a line */
	struct homa_message_out out;
	uint64_t sequence;     /* of creation on this host: breaks ties of age */

	uint64_t id; /* as we know it: even = we are the client */
	struct homa_peer *peer;
	struct homa_rpc *chain; /* server: in its hash bucket; free: next vacant slot */
	uint64_t cookie;
	uint32_t index;        /* in its table */
	uint32_t generation;   /* of the slot */
	uint32_t server;       /* client: incarnation of the server that it was begun under; 0 = unknown */
	uint16_t local_port;
	uint16_t remote_port;
	uint8_t state;         /* enum homa_rpc_state: changed by homa_rpc_set_state only */
	uint8_t event;         /* enum homa_event_type that is waiting, or NONE */
	bool reported;         /* server: the application has its handle */
	bool starved;          /* the last DATA was dropped for want of a buffer */
	bool in_fifo;
	bool in_incomplete;
	int error;
	uint32_t need_acks;    /* sent */

	uint64_t heard_ns;     /* last DATA, GRANT or BUSY from the peer, or a moment that counts as such */
	struct timer timer;
	TAILQ_ENTRY(homa_rpc) ready; /* while event is not NONE */
	TAILQ_ENTRY(homa_rpc) age;   /* server, INCOMING: in homa->incomplete; oldest first */

	uint64_t birth_ns;
	struct homa_message_in in;
} __attribute__((aligned(HOMA_CACHE_LINE)));

TAILQ_HEAD(homa_rpc_list, homa_rpc);
TAILQ_HEAD(homa_peer_list, homa_peer);

/* One side's RPCs: slots that are found by index, generation-checked. */
struct homa_table {
	struct homa_rpc *slots;
	void *memory;  /* that they are in */
	uint32_t size; /* a power of two */
	uint32_t used;
	uint32_t touched;        /* slots from here on were never used */
	struct homa_rpc *vacant; /* used before and free again, by `chain` */
};

/*
 * Finished requests: the last `size` of them, as keyed 64-bit fingerprints, in a hash table with linear probing,
 * at most half full, so that a look into it is one cache line.
 */
struct homa_dedupe {
	uint64_t *ring;  /* in order of finishing */
	uint64_t *table; /* 2 * size; 0: vacant */
	uint32_t size;   /* a power of two */
	uint64_t count;  /* ever added */
};

struct homa {
	struct homa_params params;
	struct homa_ops ops;
	void *ctx;
	uint64_t now_ns; /* as of the call under way */
	uint64_t key[2]; /* of the hashes */

	struct homa_table clients;
	struct homa_table servers;
	uint32_t incarnation; /* random, 24 bits, not 0 */
	uint64_t born_ns;
	uint64_t first_use;   /* random: where the use count in client ids begins */
	uint64_t next_sequence;
	struct homa_rpc **server_buckets;
	struct homa_peer **peer_buckets;
	uint32_t peer_bucket_count;
	struct homa_peer_list peers; /* least recently used first */
	uint8_t *ports;       /* a bit a port that is open */
	uint16_t next_port;
	struct homa_rpc_list ready;
	struct homa_rpc_list incomplete;
	struct homa_dedupe finished;

	struct timer_wheel wheel;

	/* sending */
	struct heap sendable;        /* messages that have bytes to send now, fewest remaining first */
	struct heap sendable_by_age;
	uint64_t link_idle_ns;       /* when the link will have sent all that it was given */
	uint32_t pacer_fifo_count;   /* per-mille counter */

	/* granting */
	struct homa_rpc *active[HOMA_OVERCOMMIT_MAX]; /* fewest remaining bytes first */
	uint32_t active_count;
	struct heap grantable_peers; /* those with messages waiting, see homa_grant.c */
	struct homa_rpc_list grantable_by_age;
	struct homa_rpc_list suspects; /* messages with gaps, the longest suspected first */
	struct homa_rpc_list unproven; /* those whose gaps may still be filled, since what has come may have overtaken it */
	uint64_t period_ns;          /* how busy our link is, is looked at from here, */
	uint64_t period_bytes;       /* where counters.bytes_in was this */
	uint32_t quiet_periods;      /* it was not in as many before that */
	uint64_t total_granted;      /* sum of in.outstanding */
	uint64_t forgiven_grants;    /* sum of in.forgiven_grants, at most params.max_incoming */
	uint64_t fifo_grant_ns;      /* when the next one is due */
	bool grants_due;             /* something changed since grants were last computed */

	struct homa_counters counters;
};

static inline bool homa_rpc_is_client(const struct homa_rpc *rpc)
{
	return !(rpc->id & 1);
}

/* True when a packet with this header, from `peer`, is from the other end of `rpc`. */
static inline bool homa_rpc_matches(const struct homa_rpc *rpc, const struct homa_peer *peer,
				    const struct homa_common_header *header)
{
	return rpc->peer == peer && rpc->local_port == wire16(header->dport) &&
	       rpc->remote_port == wire16(header->sport);
}

static inline uint32_t homa_message_received(const struct homa_message_in *in)
{
	return in->length - in->remaining;
}

/* Zeroed memory that begins with a cache line; what is to be freed goes into *memory. NULL: there is none. */
void *homa_lines_new(size_t bytes, void **memory);
/* Keyed mixing of two words: not cryptographic, but not predictable without the key. */
uint64_t homa_hash(const struct homa *homa, uint64_t a, uint64_t b);
/*
 * The same of an RPC that a peer calls us by. Ids that follow each other differ in the low
 * bits of their hashes only, so that what is kept by it shares cache lines as they come; which
 * eight lie together cannot be chosen, and neither can where.
 */
static inline uint64_t homa_rpc_hash(const struct homa *homa, const struct homa_peer *peer, uint64_t id)
{
	return (homa_hash(homa, peer->hash, id >> 4) & ~7ull) | (id >> 1 & 7);
}

/* ---- homa.c ---- */
bool homa_port_is_open(const struct homa *homa, uint16_t port);
/* Queues an event for an RPC, once. */
void homa_event_post(struct homa *homa, struct homa_rpc *rpc, enum homa_event_type type, int error);

/* ---- homa_peer.c ---- */
int homa_peers_init(struct homa *homa);
void homa_peers_free(struct homa *homa);
/* The peer, or NULL. `local`: our address. */
struct homa_peer *homa_peer_find(struct homa *homa, const struct net_ip *remote, const struct net_ip *local);
/* The same, made if need be: NULL and *error (path_open's, or -ENOBUFS when all max_peers are in use). */
struct homa_peer *homa_peer_get(struct homa *homa, const struct net_ip *remote, const struct net_ip *local,
				int *error);
void homa_peer_hold(struct homa *homa, struct homa_peer *peer);
void homa_peer_release(struct homa *homa, struct homa_peer *peer);

/* ---- homa_rpc.c ---- */
int homa_rpcs_init(struct homa *homa);
void homa_rpcs_free(struct homa *homa);
struct homa_rpc *homa_rpc_by_handle(struct homa *homa, uint64_t handle);
uint64_t homa_rpc_handle(const struct homa_rpc *rpc);
/* By our id of it, whoever the peer: client side only. */
struct homa_rpc *homa_client_rpc_find(struct homa *homa, uint64_t id);
struct homa_rpc *homa_server_rpc_find(struct homa *homa, const struct homa_peer *peer, uint64_t id);
/* A fresh RPC in no state yet, referring to `peer`; NULL when the table is full. */
struct homa_rpc *homa_client_rpc_new(struct homa *homa, struct homa_peer *peer);
struct homa_rpc *homa_server_rpc_new(struct homa *homa, struct homa_peer *peer, uint64_t id);
void homa_rpc_set_state(struct homa *homa, struct homa_rpc *rpc, enum homa_rpc_state state);
/* Takes an RPC out of every queue and frees its messages; the slot stays for its event. */
void homa_rpc_quiesce(struct homa *homa, struct homa_rpc *rpc);
/* Frees it altogether, with an event that was not taken yet. */
void homa_rpc_free(struct homa *homa, struct homa_rpc *rpc);
/* Ends an RPC that failed: the client's application hears of `error`, the server's that it was cancelled. */
void homa_rpc_fail(struct homa *homa, struct homa_rpc *rpc, int error);
/* Gives up the oldest incomplete request other than `keep`. False when there is none. */
bool homa_rpc_evict(struct homa *homa, const struct homa_rpc *keep);

/* ---- homa_send.c ---- */
void homa_send_init(struct homa *homa, struct homa_rpc *rpc, void *data, uint32_t length);
/* Sends what may be sent of a message, or queues it for the pacer. */
void homa_send_start(struct homa *homa, struct homa_rpc *rpc);
/* Raises the limit; `priority` for what is sent from now on. */
void homa_send_granted(struct homa *homa, struct homa_rpc *rpc, uint32_t offset, uint8_t priority);
/* Sends the segments in [start, end) again, as far as they have been sent. */
void homa_send_again(struct homa *homa, struct homa_rpc *rpc, uint32_t start, uint32_t end, uint8_t priority);
/* Sends queued messages while the pacer allows. */
void homa_send_run(struct homa *homa);
/* When homa_send_run has something to do next; UINT64_MAX. */
uint64_t homa_send_next(const struct homa *homa);
void homa_send_free(struct homa *homa, struct homa_rpc *rpc);

/* ---- homa_recv.c ---- */
void homa_recv_data(struct homa *homa, struct homa_packet_in *packet);
/* Sends a RESEND. */
void homa_recv_ask(struct homa *homa, struct homa_rpc *rpc, uint32_t offset, uint32_t length, uint8_t priority);
/* Asks for what is missing of a message: a RESEND a gap, and one for the granted tail. */
void homa_recv_request_missing(struct homa *homa, struct homa_rpc *rpc);
void homa_recv_free(struct homa *homa, struct homa_rpc *rpc);

/* ---- homa_grant.c ---- */
/* A message has got its first packet, which lets `incoming` bytes come. */
void homa_grant_begin(struct homa *homa, struct homa_rpc *rpc, uint32_t incoming);
/* Bytes have arrived. */
void homa_grant_progress(struct homa *homa, struct homa_rpc *rpc);
/* The message is complete, or given up. */
void homa_grant_end(struct homa *homa, struct homa_rpc *rpc);
/* Sends the grants that have become due. */
void homa_grant_run(struct homa *homa);
/* Bytes of a message have turned out to be lost: they are asked for when it is its turn. */
void homa_grant_lost(struct homa *homa, struct homa_rpc *rpc);
/* True while a message waits for others to be granted first. */
static inline bool homa_grant_waits(const struct homa_message_in *in)
{
	return in->waiting;
}
/* Grants to the oldest message, when it is time. */
void homa_grant_fifo(struct homa *homa);
uint64_t homa_grant_next(const struct homa *homa);

/* ---- homa_holes.c ---- */
/* [start, end) of a message has come, of which `added` bytes were new. */
void homa_holes_received(struct homa *homa, struct homa_rpc *rpc, uint32_t start, uint32_t end, uint32_t added);
/* What is not sent yet will be at `priority`, as a new grant says. */
void homa_holes_granted(const struct homa *homa, struct homa_message_in *in, uint8_t priority);
/* All that is missing has been asked for. */
void homa_holes_asked(struct homa *homa, struct homa_message_in *in);
/* The message is complete, or given up. */
void homa_holes_end(struct homa *homa, struct homa_rpc *rpc);
/* Finds what is lost by now. */
void homa_holes_run(struct homa *homa);
/* When homa_holes_run has something to do next; UINT64_MAX. */
uint64_t homa_holes_next(const struct homa *homa);

/* ---- homa_ack.c ---- */
int homa_dedupe_init(struct homa *homa);
void homa_dedupe_free(struct homa *homa);
void homa_dedupe_add(struct homa *homa, const struct homa_peer *peer, uint64_t id);
bool homa_dedupe_has(const struct homa *homa, const struct homa_peer *peer, uint64_t id);
/* Notes that a client RPC is finished, to be acknowledged with later packets. */
void homa_ack_queue(struct homa *homa, struct homa_rpc *rpc);
/* Takes one noted ack for a DATA packet to `peer`; id 0 when there is none. */
struct homa_ack_entry homa_ack_take(struct homa_peer *peer);
/* Sends what is noted for a peer at once. */
void homa_ack_flush(struct homa *homa, struct homa_peer *peer);
void homa_ack_entry_input(struct homa *homa, struct homa_peer *peer, const struct homa_ack_entry *entry);
void homa_ack_input(struct homa *homa, struct homa_peer *peer, const struct homa_packet_in *packet);
void homa_need_ack_input(struct homa *homa, struct homa_peer *peer, const struct homa_packet_in *packet,
			 struct homa_rpc *rpc);

/* ---- homa_control.c ---- */
void homa_control_input(struct homa *homa, const struct homa_packet_in *packet);
/* Fills the common header of a packet of an RPC. */
void homa_header_init(const struct homa_rpc *rpc, struct homa_common_header *header, enum homa_packet_type type);
void homa_transmit(struct homa *homa, struct homa_peer *peer, struct homa_packet_out *packet);
/* Sends a control packet of an RPC: `packet` has its header's body and length, the rest is filled in. */
void homa_control_send(struct homa *homa, const struct homa_rpc *rpc, enum homa_packet_type type,
		       struct homa_packet_out *packet);
/* Answers a packet of which no RPC is known: its ports and id, turned around. */
void homa_control_answer(struct homa *homa, struct homa_peer *peer, const struct homa_common_header *in,
			 struct homa_packet_out *packet, enum homa_packet_type type);
void homa_unknown_send(struct homa *homa, const struct homa_rpc *rpc);
void homa_need_ack_send(struct homa *homa, const struct homa_rpc *rpc);
void homa_cutoffs_send(struct homa *homa, const struct homa_rpc *rpc);

/* ---- homa_incarnation.c ---- */
/* Draws this host's incarnation. */
void homa_incarnation_init(struct homa *homa);
/* Writes it into a packet that goes out. */
void homa_incarnation_stamp(const struct homa *homa, struct homa_common_header *header);
/* The incarnation of a peer's server at `port`; 0 when it is not known. */
uint32_t homa_incarnation_of(const struct homa_peer *peer, uint16_t port);
/*
 * A client has heard from its server. False when that is not the one which the RPC was
 * begun under, and the former one may have executed it: then it has failed.
 */
bool homa_incarnation_heard(struct homa *homa, struct homa_rpc *rpc, const struct homa_common_header *header);
/* Whether a server may begin with a request: no former incarnation of it can have executed it. */
bool homa_incarnation_admits(const struct homa *homa, const struct homa_data_header *header);

/* ---- homa_timer.c ---- */
/* Sets an RPC's timer for the state that it is in. */
void homa_timer_start(struct homa *homa, struct homa_rpc *rpc);
void homa_timer_run(struct homa *homa);

#endif
