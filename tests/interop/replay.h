/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * homa-replay: does our core send what a Linux Homa host sent in a capture?
 *
 *	replay_capture.c   reads a capture: frames
 *	replay_rpc.c       which RPCs there were, which messages they carried
 *	replay_loss.c      which frames did not arrive, as far as the others tell
 *	replay_play.c      our core in the place of one host: what it sends
 *	replay_script.c    what that host's application did, and when
 *	replay_match.c     frame by frame: is it among what our core sent?
 *	replay_extra.c     what our core sent beyond that: is there a reason?
 *	replay.c           the command line
 *
 * A capture is taken at one point of the network. What passed it may have been lost behind
 * it, and what was lost before it is not there; what the applications did is not there
 * either. Both are inferred, by the rules in replay_loss.c and replay_script.c.
 */
#ifndef TERN_REPLAY_H
#define TERN_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "homa.h"
#include "homa_core.h"

#define MS 1000000ull /* nanoseconds */

enum frame_kind { FRAME_OTHER, FRAME_HOMA, FRAME_ICMP, FRAME_BAD };

struct frame {
	uint32_t number; /* in the file, from 1 */
	uint64_t time_ns;
	enum frame_kind kind;
	struct net_ip source, destination;
	uint8_t priority; /* top three bits of TOS or traffic class */
	uint8_t *data;    /* IP payload; zeros where the capture was cut short */
	uint32_t length;
	enum homa_verdict bad; /* FRAME_BAD: what is wrong with a packet that should be Homa's */
	bool checksum_good;    /* the checksum is one that TCP would accept */

	/* FRAME_ICMP: an error about a Homa packet from `destination` to `quoted_to` */
	enum homa_icmp icmp;
	struct net_ip quoted_to;
	uint32_t quoted; /* where in data the quoted Homa header begins */

	int rpc;          /* index of its RPC (of the quoted packet's), or -1 */
	bool from_client; /* its sender (of the quoted packet) is the RPC's client */
	bool lost;        /* did not arrive */
	int hold_back;    /* CUTOFFS: arrived just before this frame was sent, or -1 */
};

enum { REQUEST, RESPONSE };

struct message {
	uint32_t length; /* 0: nothing of it in the capture */
	uint32_t unscheduled;
	uint8_t *bytes;
	uint8_t *have; /* by byte: in the capture */
	uint32_t had;
	int first; /* frame of its first DATA packet, and of its last */
	int last;
};

struct rpc {
	struct net_ip client, server;
	uint16_t client_port, server_port;
	uint64_t id; /* even */
	struct message message[2];
	int first_frame;
	int answered; /* frame by which the response was acknowledged, or -1 */
	bool cut;     /* began before the capture did */
	bool orphan;  /* its server knows it, but it was never begun */
};

struct host {
	struct net_ip ip;
	uint32_t homa_frames, icmp_frames;
	uint32_t good_checksums;
	bool is_linux; /* has the marks of Linux Homa, see replay_rpc.c */
};

struct capture {
	const char *path;
	struct frame *frames;
	int frame_count;
	struct rpc *rpcs;
	int rpc_count;
	struct host *hosts;
	int host_count;
};

/* ---- replay_capture.c ---- */
/* Reads a pcap or pcapng file. False, with a message on stderr, if it cannot. */
bool capture_read(struct capture *capture, const char *path);
void capture_free(struct capture *capture);
void *replay_realloc(void *old, size_t bytes);
/* Text of an address, in one of four static buffers. */
const char *ip_text(const struct net_ip *ip);

static inline const struct homa_common_header *frame_header(const struct frame *frame)
{
	return (const void *)(frame->data + (frame->kind == FRAME_ICMP ? frame->quoted : 0));
}

static inline uint8_t frame_type(const struct frame *frame)
{
	return frame->kind == FRAME_HOMA ? frame_header(frame)->type : 0;
}

static inline const struct homa_data_header *frame_data(const struct frame *frame)
{
	return (const void *)frame->data;
}

static inline uint32_t frame_offset(const struct frame *frame)
{
	return homa_data_offset(frame_data(frame));
}

static inline uint32_t frame_payload(const struct frame *frame)
{
	return frame->length - (uint32_t)sizeof(struct homa_data_header);
}

static inline uint32_t frame_end(const struct frame *frame)
{
	return frame_offset(frame) + frame_payload(frame);
}

/* The end of what a RESEND asks for. */
static inline uint64_t resend_end(const struct homa_resend_header *h)
{
	return h->length == wire32(HOMA_RESEND_ALL) ? UINT64_MAX
						    : (uint64_t)wire32(h->offset) + wire32(h->length);
}

static inline const struct homa_resend_header *frame_resend(const struct frame *frame)
{
	return (const void *)frame->data;
}

/* ---- replay_rpc.c ---- */
void capture_index(struct capture *capture);
/* The RPC, or -1. */
int rpc_find(const struct capture *capture, const struct net_ip *client, const struct net_ip *server,
	     uint64_t id);
/* Bytes of payload that `from` puts into a packet to `to`: 0 if no long message tells. */
uint32_t segment_bytes(const struct capture *capture, const struct net_ip *from, const struct net_ip *to);

/* ---- replay_loss.c ---- */
void capture_infer_loss(struct capture *capture);

/* ---- replay_play.c ---- */

/* A packet that our core sent. */
struct output {
	uint64_t time_ns;
	int rpc; /* -1: none of the capture's */
	struct net_ip to;
	bool unreachable; /* not a packet, but an ICMP port unreachable */
	struct homa_packet_out packet;
	bool same_payload;   /* DATA: as in the capture, where it has it */
	int cause;           /* the frame that it answers, or -1: a timer, the application */
	uint64_t silence_ns; /* since the RPC's peer was heard */
	bool wanted;         /* RESEND: at least one of the bytes had not arrived */
	int frame;           /* that it was matched with, or -1 */
};

/* How an RPC goes in our core. */
struct part {
	uint64_t our_id; /* as client */
	uint64_t handle;
	bool issued;    /* as client */
	bool requested; /* as server: the request is complete */
	bool due;       /* as server: the response ought to have been sent */
	bool responded;
	bool ended;
	uint64_t ended_ns;
	int error;         /* of its end */
	uint64_t heard_ns; /* DATA, GRANT or BUSY from the peer, or the start */
	uint64_t sent_ns;  /* the last byte of our message for the first time */
	uint8_t *fed;      /* by byte: of the message that we receive */
	uint32_t fed_bytes, fed_end;
	uint32_t resends_fed, need_acks_fed, unknowns_fed;
	int acked; /* as server: frame that acknowledged it, or -1 */
};

/* What the matching has to know of the moment when a frame was sent. */
struct moment {
	uint64_t silence_ns;
	bool wanted;   /* RESEND: bytes of it had not arrived */
	bool sensible; /* RESEND: its range could be one that is missing */
};

struct play {
	const struct capture *capture;
	const struct host *host;
	struct homa_params params;
	struct homa *homa;
	uint64_t now_ns;
	uint64_t random;
	int cause;
	int issuing;            /* RPC whose request is being sent, or -1 */
	struct part *parts;     /* by RPC */
	struct moment *moments; /* by frame */
	struct output *outputs;
	int output_count, output_capacity;
	uint16_t our_port[65536]; /* by the capture's port of this host; 0 = closed */
	bool wrong_delivery;      /* our core delivered other bytes than the capture carries */
	char delivery[160];       /* which */
};

/* Puts our core in the place of `host` and runs the capture. */
void play_run(struct play *play, const struct capture *capture, const struct host *host);
void play_free(struct play *play);
/* True if some byte of the range has not arrived at the played host. */
bool play_missing(const struct play *play, int rpc, uint32_t start, uint64_t end);
extern const struct homa_ops replay_ops; /* ctx: struct play */
/* For replay_script.c: */
void play_issue(struct play *play, int rpc);
void play_respond(struct play *play, int rpc);
void play_close_port(struct play *play, uint16_t port);
void play_abort(struct play *play, int rpc);

static inline bool plays_client(const struct play *play, int rpc)
{
	return net_ip_equal(&play->capture->rpcs[rpc].client, &play->host->ip);
}

/* True if the played host has a part in an RPC at all. */
static inline bool plays(const struct play *play, int rpc)
{
	return plays_client(play, rpc) || net_ip_equal(&play->capture->rpcs[rpc].server, &play->host->ip);
}

/* The message that the host receives in an RPC, and the one that it sends. */
static inline const struct message *message_in(const struct play *play, int rpc)
{
	return &play->capture->rpcs[rpc].message[plays_client(play, rpc) ? RESPONSE : REQUEST];
}

static inline const struct message *message_out(const struct play *play, int rpc)
{
	return &play->capture->rpcs[rpc].message[plays_client(play, rpc) ? REQUEST : RESPONSE];
}

/* ---- replay_setup.c ---- */
/* Sets play->params as the host's packets tell of its configuration. */
void play_learn_params(struct play *play);
/* Opens the host's ports and tells our core what the host knew before the capture began. */
void play_prepare(struct play *play);

/* ---- replay_script.c ---- */

struct step {
	uint64_t time_ns;
	int frame; /* happens just before it is sent or arrives */
	void (*run)(struct play *play, int argument);
	int argument;
};

/* The application's steps in order; to be freed. */
struct step *script_make(struct play *play, int *count);

/* ---- replay_match.c ---- */

enum outcome { SAME, FREE, DIFFERENT };

struct verdict {
	enum outcome outcome;
	char text[240];
};

/* Which sides' RPCs are compared. */
enum sides { SIDE_CLIENT = 1, SIDE_SERVER = 2, SIDE_BOTH = 3 };

struct report {
	bool quiet;
	uint32_t same, free, different, extra;
};

/* Sets a verdict; the text is formatted. */
void verdict_set(struct verdict *verdict, enum outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Compares every frame of the played host in RPCs of `sides`. */
void match_frames(struct play *play, enum sides sides, struct report *report);
/* The first output of that type in an RPC, or the first that is not matched yet; NULL. */
struct output *match_find(struct play *play, int rpc, uint8_t type, bool unmatched);
void match_same(const struct play *play, const struct frame *frame, struct output *output,
		struct verdict *verdict);

/* ---- replay_message.c ---- */
void match_data(struct play *play, const struct frame *frame, struct verdict *verdict);
void match_grant(struct play *play, const struct frame *frame, struct verdict *verdict);

/* ---- replay_report.c ---- */
bool side_wanted(const struct play *play, int rpc, enum sides sides);
/* Counts a verdict, and prints a line about it unless it is quiet and all right. */
void report_line(struct report *report, const struct verdict *verdict, const char *subject);
/* What a frame is, in words: "#12  1.089 ms GRANT RPC 22, offset 100000 priority 0". */
void frame_text(const struct capture *capture, const struct frame *frame, char *text, size_t size);
/* The same of a packet of ours. */
void output_text(const struct play *play, const struct output *output, char *text, size_t size);

/* ---- replay_extra.c ---- */
/* Judges what our core sent and the host did not, and what both should have sent. */
void match_extras(struct play *play, enum sides sides, struct report *report);
/* Every RPC that the host acknowledged must be acknowledged by us, or be about to be. */
void match_acks(struct play *play, enum sides sides, struct report *report);

#endif
