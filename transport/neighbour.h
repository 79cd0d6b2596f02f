/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Next hops and their MAC addresses, as the kernel knows them: it runs ARP and neighbour
 * discovery, we ask it by netlink, and hear of changes on the monitor socket.
 *
 * XDP and AF_XDP bypass what keeps the kernel's entries fresh, so that we tell it when an
 * entry that went stale is in use (it then probes the neighbour), or is doubtful.
 */
#ifndef TERN_NEIGHBOUR_H
#define TERN_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "netlink.h"
#include "rate_limit.h"

#define NEIGHBOUR_BUCKETS     1024         /* a power of two */
#define NEIGHBOUR_PATIENCE_NS 1000000000ull /* from asking to giving up, and how long that is remembered */
#define NEIGHBOUR_DOUBT_NS    1000000000ull /* between two doubts of the same */
#define NEIGHBOUR_PROBE_NS    200000000ull  /* after which a doubtful one that is silent is searched anew */
#define NEIGHBOUR_ASKS        10            /* a second, for strangers, and at once after a pause */

enum neighbour_state {
	NEIGHBOUR_UNKNOWN = 0, /* nobody has asked for it */
	NEIGHBOUR_QUEUED,      /* to be asked for when the limit for strangers allows */
	NEIGHBOUR_ASKED,       /* the kernel is looking */
	NEIGHBOUR_KNOWN,
	NEIGHBOUR_FAILED,      /* did not answer, until deadline_ns */
};

LIST_HEAD(path_list, path);

struct neighbour {
	struct neighbour *chain;
	TAILQ_ENTRY(neighbour) wait; /* while QUEUED or ASKED, by deadline */
	int ifindex;
	struct net_ip ip; /* link-local ones without scope */
	uint8_t mac[6];
	enum neighbour_state state;
	bool stale;     /* KNOWN, but the kernel would probe it if it saw our traffic */
	bool permanent; /* never to be probed */
	bool wanted;    /* a peer that this host calls: asked for without limit */
	unsigned references;
	uint64_t deadline_ns;
	uint64_t doubt_ns; /* not to be doubted again before */
	uint64_t probe_ns; /* by when a doubtful one must have answered; 0: no doubt */
	struct path_list paths; /* the owner's */
};

TAILQ_HEAD(neighbour_list, neighbour);

struct neighbours {
	struct netlink *netlink;
	/* A neighbour is KNOWN now, or has another MAC, has gone stale, FAILED or is UNKNOWN again. */
	void (*changed)(void *ctx, struct neighbour *neighbour);
	void *ctx;
	struct rate_limit strangers;
	struct neighbour_list queued, asked;
	struct neighbour *buckets[NEIGHBOUR_BUCKETS];
	uint64_t solicitations, failures; /* counters */
};

void neighbours_init(struct neighbours *neighbours, struct netlink *netlink,
		     void (*changed)(void *ctx, struct neighbour *neighbour), void *ctx);

/* A reference to the neighbour `ip` on `ifindex`, looked up in the kernel if it is new. NULL: no memory. */
struct neighbour *neighbour_hold(struct neighbours *neighbours, int ifindex, const struct net_ip *ip);
void neighbour_release(struct neighbours *neighbours, struct neighbour *neighbour);

/*
 * To be called when a packet waits for the MAC of one that is not KNOWN: starts the
 * search. False when the neighbour does not answer, which is remembered for a while.
 */
bool neighbour_need(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ns);
/* To be called when a stale one is used: the kernel then probes it by and by. */
void neighbour_use(struct neighbours *neighbours, struct neighbour *neighbour);
/*
 * The peer behind it is silent: lets the kernel make sure, at most once a second, that
 * the MAC is right. When called again and that was not confirmed, the MAC is dropped.
 */
void neighbour_doubt(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ns);

/* Takes in an RTM_NEWNEIGH or RTM_DELNEIGH of the monitor. */
void neighbours_event(struct neighbours *neighbours, const struct nlmsghdr *message);
/* Asks the kernel for all of them again, after events were lost. */
void neighbours_reload(struct neighbours *neighbours);
/* Gives up those that did not answer in time, asks for queued ones. */
void neighbours_poll(struct neighbours *neighbours, uint64_t now_ns);
/* When neighbours_poll is due; UINT64_MAX: nobody is being waited for. */
uint64_t neighbours_due(const struct neighbours *neighbours);

#endif
