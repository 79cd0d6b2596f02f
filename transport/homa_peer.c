/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "homa_state.h"

#define PEER_BUCKETS 4096 /* at most; chains stay short up to max_peers' default */
/* Which peer was idle the longest is known to a tick: to be moved in the list costs cache misses for three. */
#define LRU_TICK_NS HOMA_TICK_NS

static uint32_t bucket_of(const struct homa *homa, const struct net_ip *remote, const struct net_ip *local)
{
	uint64_t hash = homa_hash(homa, remote->q[0] ^ local->q[1] << 1, remote->q[1] ^ local->q[0]);

	return hash & (homa->peer_bucket_count - 1);
}

int homa_peers_init(struct homa *homa)
{
	TAILQ_INIT(&homa->peers);
	homa->peer_bucket_count = 1;
	while (homa->peer_bucket_count < PEER_BUCKETS && homa->peer_bucket_count < homa->params.max_peers)
		homa->peer_bucket_count *= 2;
	homa->peer_buckets = calloc(homa->peer_bucket_count, sizeof(struct homa_peer *));
	return homa->peer_buckets ? 0 : -ENOMEM;
}

static void destroy(struct homa *homa, struct homa_peer *peer)
{
	struct homa_peer **link = &homa->peer_buckets[bucket_of(homa, &peer->remote, &peer->path.local)];

	while (*link != peer)
		link = &(*link)->chain;
	*link = peer->chain;
	TAILQ_REMOVE(&homa->peers, peer, lru);
	homa->counters.peers--;
	homa->ops.path_close(homa->ctx, peer->path.handle);
	free(peer->memory);
}

void homa_peers_free(struct homa *homa)
{
	while (!TAILQ_EMPTY(&homa->peers))
		destroy(homa, TAILQ_FIRST(&homa->peers));
	free(homa->peer_buckets);
}

struct homa_peer *homa_peer_find(struct homa *homa, const struct net_ip *remote, const struct net_ip *local)
{
	struct homa_peer *peer = homa->peer_buckets[bucket_of(homa, remote, local)];

	while (peer && !(net_ip_equal(&peer->remote, remote) && net_ip_equal(&peer->path.local, local)))
		peer = peer->chain;
	return peer;
}

/* Makes room for one more: the longest idle peer that no RPC refers to goes. */
static bool make_room(struct homa *homa)
{
	struct homa_peer *peer;

	if (homa->counters.peers < homa->params.max_peers)
		return true;
	/* Peers in use are moved to the end when they come into use, so the search is short. */
	TAILQ_FOREACH (peer, &homa->peers, lru) {
		if (!peer->rpcs) {
			destroy(homa, peer);
			return true;
		}
	}
	return false;
}

struct homa_peer *homa_peer_get(struct homa *homa, const struct net_ip *remote, const struct net_ip *local,
				int *error)
{
	struct homa_peer *peer = homa_peer_find(homa, remote, local);
	struct homa_path path;
	uint32_t bucket;
	void *memory;

	if (peer)
		return peer;
	*error = homa->ops.path_open(homa->ctx, remote, local, &path);
	if (*error)
		return NULL;
	if (path.mtu <= net_ip_header_bytes(remote) + sizeof(struct homa_data_header)) {
		homa->ops.path_close(homa->ctx, path.handle);
		*error = -EHOSTUNREACH;
		return NULL;
	}
	/* The route may have chosen a source for the any-address, and that peer may exist. */
	peer = homa_peer_find(homa, remote, &path.local);
	if (peer) {
		homa->ops.path_close(homa->ctx, path.handle);
		return peer;
	}
	*error = -ENOBUFS;
	peer = make_room(homa) ? homa_lines_new(sizeof(*peer), &memory) : NULL;
	if (!peer) {
		homa->ops.path_close(homa->ctx, path.handle);
		return NULL;
	}
	peer->memory = memory;
	peer->remote = *remote;
	peer->path = path;
	peer->hash = homa_hash(homa, remote->q[0], remote->q[1]);
	/* What Linux Homa assumes until the first CUTOFFS: all unscheduled bytes at level 6. */
	peer->cutoffs[HOMA_PRIORITIES - 2] = HOMA_MAX_MESSAGE;
	bucket = bucket_of(homa, remote, &path.local);
	peer->chain = homa->peer_buckets[bucket];
	homa->peer_buckets[bucket] = peer;
	TAILQ_INSERT_TAIL(&homa->peers, peer, lru);
	homa->counters.peers++;
	return peer;
}

void homa_peer_hold(struct homa *homa, struct homa_peer *peer)
{
	uint32_t tick = (uint32_t)(homa->now_ns / LRU_TICK_NS);

	if (peer->rpcs++ || peer->lru_tick == tick)
		return;
	peer->lru_tick = tick;
	TAILQ_REMOVE(&homa->peers, peer, lru);
	TAILQ_INSERT_TAIL(&homa->peers, peer, lru);
}

void homa_peer_release(struct homa *homa, struct homa_peer *peer)
{
	(void)homa;
	assert(peer->rpcs > 0);
	peer->rpcs--;
}

void homa_path_resize(struct homa *homa, const struct net_ip *remote, const struct net_ip *local, uint32_t mtu)
{
	struct homa_peer *peer = homa_peer_find(homa, remote, local);

	if (peer && mtu > net_ip_header_bytes(remote) + sizeof(struct homa_data_header))
		peer->path.mtu = mtu;
}
