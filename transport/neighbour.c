/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "neighbour.h"

#define VALID_STATES (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

void neighbours_init(struct neighbours *neighbours, struct netlink *netlink,
		     void (*changed)(void *ctx, struct neighbour *neighbour), void *ctx)
{
	memset(neighbours, 0, sizeof(*neighbours));
	neighbours->netlink = netlink;
	neighbours->changed = changed;
	neighbours->ctx = ctx;
	neighbours->strangers =
		(struct rate_limit){ .interval_ns = 1000000000ull / NEIGHBOUR_ASKS, .burst = NEIGHBOUR_ASKS };
	TAILQ_INIT(&neighbours->queued);
	TAILQ_INIT(&neighbours->asked);
}

/*
 * The keys are addresses on our own links, which an attacker chooses only within the
 * link's prefix, and the number is bounded by the core's peers: a plain mix will do.
 */
static struct neighbour **bucket_of(struct neighbours *neighbours, int ifindex, const struct net_ip *ip)
{
	uint64_t mix = (ip->q[0] ^ ip->q[1] ^ (uint64_t)ifindex) * 0x9e3779b97f4a7c15ull;

	return &neighbours->buckets[mix >> 32 & (NEIGHBOUR_BUCKETS - 1)];
}

static struct neighbour *find(struct neighbours *neighbours, int ifindex, const struct net_ip *ip)
{
	struct neighbour *neighbour = *bucket_of(neighbours, ifindex, ip);

	while (neighbour && !(neighbour->ifindex == ifindex && net_ip_equal(&neighbour->ip, ip)))
		neighbour = neighbour->chain;
	return neighbour;
}

/* The one place where the state changes: keeps the waiting lists. */
static void set_state(struct neighbours *neighbours, struct neighbour *neighbour, enum neighbour_state state)
{
	if (neighbour->state == NEIGHBOUR_QUEUED)
		TAILQ_REMOVE(&neighbours->queued, neighbour, wait);
	else if (neighbour->state == NEIGHBOUR_ASKED)
		TAILQ_REMOVE(&neighbours->asked, neighbour, wait);
	neighbour->state = state;
	if (state == NEIGHBOUR_QUEUED)
		TAILQ_INSERT_TAIL(&neighbours->queued, neighbour, wait);
	else if (state == NEIGHBOUR_ASKED)
		TAILQ_INSERT_TAIL(&neighbours->asked, neighbour, wait);
}

/* ---- what the kernel says ---- */

struct entry {
	int ifindex;
	struct net_ip ip;
	uint16_t state; /* NUD_* */
	bool has_mac;
	uint8_t mac[6];
};

static bool parse(const struct nlmsghdr *message, struct entry *entry)
{
	const struct ndmsg *fixed = netlink_fixed(message, sizeof(*fixed));
	const struct rtattr *table[NDA_MAX + 1];
	size_t address_bytes;

	if (!fixed || (fixed->ndm_flags & NTF_PROXY) ||
	    (fixed->ndm_family != AF_INET && fixed->ndm_family != AF_INET6))
		return false;
	netlink_parse(message, sizeof(*fixed), table, NDA_MAX);
	address_bytes = fixed->ndm_family == AF_INET ? 4 : 16;
	if (!netlink_ip(table[NDA_DST], &entry->ip) || RTA_PAYLOAD(table[NDA_DST]) != address_bytes)
		return false;
	entry->ifindex = fixed->ndm_ifindex;
	entry->state = message->nlmsg_type == RTM_DELNEIGH ? NUD_NONE : fixed->ndm_state;
	entry->has_mac = table[NDA_LLADDR] && RTA_PAYLOAD(table[NDA_LLADDR]) == sizeof(entry->mac);
	if (entry->has_mac)
		memcpy(entry->mac, RTA_DATA(table[NDA_LLADDR]), sizeof(entry->mac));
	return true;
}

static void learn(struct neighbours *neighbours, struct neighbour *neighbour, const struct entry *entry)
{
	bool stale = entry->state & NUD_STALE;
	bool changed = neighbour->state != NEIGHBOUR_KNOWN || memcmp(neighbour->mac, entry->mac, 6) != 0 ||
		       (stale && !neighbour->stale);

	memcpy(neighbour->mac, entry->mac, 6);
	neighbour->stale = stale;
	if (entry->state & NUD_REACHABLE)
		neighbour->probe_ns = 0;
	neighbour->permanent = entry->state & (NUD_PERMANENT | NUD_NOARP);
	set_state(neighbours, neighbour, NEIGHBOUR_KNOWN);
	if (changed)
		neighbours->changed(neighbours->ctx, neighbour);
}

static void forget(struct neighbours *neighbours, struct neighbour *neighbour, uint16_t nud)
{
	if (neighbour->state == NEIGHBOUR_ASKED && nud == NUD_FAILED) {
		neighbours->failures++;
		set_state(neighbours, neighbour, NEIGHBOUR_FAILED); /* deadline_ns: of the asking */
	} else if (neighbour->state == NEIGHBOUR_KNOWN) {
		set_state(neighbours, neighbour, NEIGHBOUR_UNKNOWN);
	} else {
		return;
	}
	neighbours->changed(neighbours->ctx, neighbour);
}

static void take_in(struct neighbours *neighbours, const struct entry *entry)
{
	struct neighbour *neighbour = find(neighbours, entry->ifindex, &entry->ip);

	if (!neighbour)
		return;
	if ((entry->state & VALID_STATES) && entry->has_mac)
		learn(neighbours, neighbour, entry);
	else
		forget(neighbours, neighbour, entry->state);
}

void neighbours_event(struct neighbours *neighbours, const struct nlmsghdr *message)
{
	struct entry entry;

	if ((message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH) &&
	    parse(message, &entry))
		take_in(neighbours, &entry);
}

struct answer {
	struct entry entry;
	bool found;
};

static void take_answer(void *ctx, const struct nlmsghdr *message)
{
	struct answer *answer = ctx;

	if (message->nlmsg_type == RTM_NEWNEIGH)
		answer->found = parse(message, &answer->entry);
}

/* ---- what we ask of it ---- */

static void begin(struct netlink_request *request, const struct neighbour *neighbour, uint16_t type,
		  uint16_t flags, uint16_t state, uint8_t ndm_flags)
{
	struct ndmsg fixed = {
		.ndm_family = net_ip_is_v4(&neighbour->ip) ? AF_INET : AF_INET6,
		.ndm_ifindex = neighbour->ifindex,
		.ndm_state = state,
		.ndm_flags = ndm_flags,
	};

	netlink_begin(request, type, flags, &fixed, sizeof(fixed));
	netlink_attribute_ip(request, NDA_DST, &neighbour->ip);
}

/*
 * Reads the kernel's entry. That there is none is an answer too. What follows from it
 * may use netlink again, and so waits until the answer has been read to its end.
 */
static void look_up(struct neighbours *neighbours, const struct neighbour *neighbour)
{
	struct netlink_request request;
	struct answer answer = { 0 };

	begin(&request, neighbour, RTM_GETNEIGH, 0, 0, 0);
	if (!netlink_run(neighbours->netlink, &request, take_answer, &answer) && answer.found)
		take_in(neighbours, &answer.entry);
}

/* Does to the kernel's entry what a packet of its own would do: resolves it, or has a stale one probed. */
static void touch(struct neighbours *neighbours, const struct neighbour *neighbour)
{
	struct netlink_request request;

	begin(&request, neighbour, RTM_NEWNEIGH, NLM_F_CREATE, NUD_NONE, NTF_USE);
	netlink_run(neighbours->netlink, &request, NULL, NULL);
	neighbours->solicitations++;
}

static void ask(struct neighbours *neighbours, struct neighbour *neighbour)
{
	set_state(neighbours, neighbour, NEIGHBOUR_ASKED);
	touch(neighbours, neighbour);
	/* Another's question may have been answered before the monitor was subscribed. */
	look_up(neighbours, neighbour);
}

struct neighbour *neighbour_hold(struct neighbours *neighbours, int ifindex, const struct net_ip *ip)
{
	struct neighbour *neighbour = find(neighbours, ifindex, ip), **bucket;

	if (!neighbour) {
		neighbour = calloc(1, sizeof(*neighbour));
		if (!neighbour)
			return NULL;
		neighbour->ifindex = ifindex;
		neighbour->ip = *ip;
		bucket = bucket_of(neighbours, ifindex, ip);
		neighbour->chain = *bucket;
		*bucket = neighbour;
		look_up(neighbours, neighbour);
	}
	neighbour->references++;
	return neighbour;
}

void neighbour_release(struct neighbours *neighbours, struct neighbour *neighbour)
{
	struct neighbour **link;

	if (--neighbour->references)
		return;
	set_state(neighbours, neighbour, NEIGHBOUR_UNKNOWN);
	link = bucket_of(neighbours, neighbour->ifindex, &neighbour->ip);
	while (*link != neighbour)
		link = &(*link)->chain;
	*link = neighbour->chain;
	free(neighbour);
}

bool neighbour_need(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ns)
{
	switch (neighbour->state) {
	case NEIGHBOUR_FAILED:
		if (now_ns < neighbour->deadline_ns)
			return false;
		break;
	case NEIGHBOUR_UNKNOWN:
		break;
	default:
		return true;
	}
	neighbour->deadline_ns = now_ns + NEIGHBOUR_PATIENCE_NS;
	if (neighbour->wanted || rate_limit_take(&neighbours->strangers, now_ns))
		ask(neighbours, neighbour);
	else
		set_state(neighbours, neighbour, NEIGHBOUR_QUEUED);
	return true;
}

void neighbour_use(struct neighbours *neighbours, struct neighbour *neighbour)
{
	neighbour->stale = false;
	if (!neighbour->permanent)
		touch(neighbours, neighbour);
}

void neighbour_doubt(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ns)
{
	struct netlink_request request;
	uint16_t state = NUD_PROBE;

	if (neighbour->state != NEIGHBOUR_KNOWN || neighbour->permanent)
		return;
	if (neighbour->probe_ns && now_ns >= neighbour->probe_ns) {
		/* The monitor will tell that it failed; the next packet then starts the search. */
		state = NUD_FAILED;
		neighbour->probe_ns = 0;
	} else if (now_ns < neighbour->doubt_ns) {
		return;
	} else {
		neighbour->doubt_ns = now_ns + NEIGHBOUR_DOUBT_NS;
		neighbour->probe_ns = now_ns + NEIGHBOUR_PROBE_NS;
		neighbours->solicitations++;
	}
	begin(&request, neighbour, RTM_NEWNEIGH, NLM_F_REPLACE, state, 0);
	netlink_run(neighbours->netlink, &request, NULL, NULL);
}

void neighbours_reload(struct neighbours *neighbours)
{
	struct neighbour *neighbour;
	unsigned i;

	for (i = 0; i < NEIGHBOUR_BUCKETS; i++)
		for (neighbour = neighbours->buckets[i]; neighbour; neighbour = neighbour->chain)
			look_up(neighbours, neighbour);
}

static void give_up(struct neighbours *neighbours, struct neighbour_list *list, uint64_t now_ns)
{
	struct neighbour *neighbour;

	while ((neighbour = TAILQ_FIRST(list)) && neighbour->deadline_ns <= now_ns) {
		neighbours->failures++;
		neighbour->deadline_ns = now_ns + NEIGHBOUR_PATIENCE_NS;
		set_state(neighbours, neighbour, NEIGHBOUR_FAILED);
		neighbours->changed(neighbours->ctx, neighbour);
	}
}

void neighbours_poll(struct neighbours *neighbours, uint64_t now_ns)
{
	struct neighbour *neighbour;

	give_up(neighbours, &neighbours->asked, now_ns);
	give_up(neighbours, &neighbours->queued, now_ns);
	while ((neighbour = TAILQ_FIRST(&neighbours->queued)) &&
	       rate_limit_take(&neighbours->strangers, now_ns))
		ask(neighbours, neighbour);
}

uint64_t neighbours_due(const struct neighbours *neighbours)
{
	const struct neighbour *asked = TAILQ_FIRST(&neighbours->asked);
	const struct neighbour *queued = TAILQ_FIRST(&neighbours->queued);
	uint64_t due_ns = asked ? asked->deadline_ns : UINT64_MAX;

	if (queued && neighbours->strangers.full_ns < due_ns)
		due_ns = neighbours->strangers.full_ns;
	return due_ns;
}
