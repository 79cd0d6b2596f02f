/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A path is made once for each peer and then used for every packet. While its generation
 * is the engine's, a packet costs one comparison; when routes, addresses or devices
 * change, the engine's generation moves on, and each path asks the kernel again when it
 * is next used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "homa_core.h"

static const struct net_ip any;

static uint32_t smaller(uint32_t left, uint32_t right)
{
	return left && left < right ? left : right;
}

static void set_mtu(struct engine *engine, struct path *path)
{
	uint32_t mtu = smaller(path->hint_mtu, smaller(path->route_mtu, path->link->mtu));

	if (path->mtu && path->mtu != mtu) {
		path->mtu_changed = true;
		engine->mtus_changed = true;
	}
	path->mtu = mtu;
}

static void leave_neighbour(struct engine *engine, struct path *path)
{
	if (!path->neighbour)
		return;
	LIST_REMOVE(path, same_neighbour);
	neighbour_release(&engine->neighbours, path->neighbour);
	path->neighbour = NULL;
}

/* Sets the MAC addresses of a path through `device`, or the neighbour that will tell. */
static int set_next_hop(struct engine *engine, struct path *path, const struct device *device,
			const struct net_ip *next_hop)
{
	const struct interface *interface = &device->interface;
	struct neighbour *neighbour;

	memcpy(path->destination.local_mac, interface->mac, 6);
	if (interface->no_arp || interface->point_to_point) {
		leave_neighbour(engine, path);
		if (interface->no_arp)
			memcpy(path->destination.remote_mac, interface->mac, 6);
		else
			memset(path->destination.remote_mac, 0xff, 6);
		return 0;
	}
	/* Held before the old one is left, which is usually the same. */
	neighbour = neighbour_hold(&engine->neighbours, interface->ifindex, next_hop);
	if (!neighbour)
		return -ENOMEM;
	leave_neighbour(engine, path);
	neighbour->wanted |= path->wanted;
	path->neighbour = neighbour;
	LIST_INSERT_HEAD(&neighbour->paths, path, same_neighbour);
	return 0;
}

/*
 * The open device for a route. For a peer that this host calls it is opened if need be;
 * for one that called us, the device that its packet came by serves as well, if the
 * kernel has a route by it.
 */
static int find_device(struct engine *engine, const struct path *path, const struct net_ip *source,
		       struct route *route, struct device **device)
{
	int error;

	*device = device_find(engine, route->ifindex);
	if (*device)
		return 0;
	if (path->wanted)
		return device_open(engine, route->ifindex, TERN_LOG_ERROR, device);
	if (!engine->arrival_ifindex)
		return -EHOSTUNREACH;
	error = route_find(&engine->netlink, &path->remote, source, engine->arrival_ifindex, route);
	if (error)
		return error;
	*device = device_find(engine, route->ifindex);
	return *device ? 0 : -EHOSTUNREACH;
}

static int find_route(struct engine *engine, struct path *path)
{
	const struct net_ip *source = path->pinned ? &path->local : &any;
	struct device *device = NULL;
	struct route route;
	int error = route_find(&engine->netlink, &path->remote, source, 0, &route);

	if (!error && !route.local)
		error = find_device(engine, path, source, &route, &device);
	if (!error && net_ip_is_any(&route.source))
		error = -EADDRNOTAVAIL;
	if (!error && device)
		error = set_next_hop(engine, path, device, &route.next_hop);
	if (error)
		return error;
	if (!device)
		leave_neighbour(engine, path);
	path->link = device ? device->link : engine->local;
	path->local = route.source;
	/* Other processes of this host are told which interface a link-local address is of. */
	path->destination.local = net_ip_scoped(&path->local, device ? 0 : net_ip_scope(&path->local));
	path->destination.remote = net_ip_scoped(&path->remote, device ? 0 : net_ip_scope(&path->remote));
	path->route_mtu = device ? route.mtu : 0;
	path->hint_mtu = 0; /* it was about the way that was */
	set_mtu(engine, path);
	return 0;
}

int path_update(struct engine *engine, struct path *path)
{
	if (path->route_generation == engine->generation)
		return 0;
	if (path->error && engine->now_ns < path->retry_ns)
		return path->error;
	path->error = find_route(engine, path);
	path->retry_ns = engine->now_ns + PATH_RETRY_NS;
	if (path->error)
		return path->error;
	path->route_generation = engine->generation;
	return 0;
}

int path_open(struct engine *engine, const struct net_ip *remote, const struct net_ip *local, bool wanted,
	      struct path **path)
{
	struct path *new = calloc(1, sizeof(*new));
	int error;

	if (!new)
		return -ENOMEM;
	new->remote = *remote;
	new->local = *local;
	new->pinned = !net_ip_is_any(local);
	new->wanted = wanted;
	STAILQ_INIT(&new->queue);
	TAILQ_INSERT_TAIL(&engine->paths, new, all);
	error = path_update(engine, new);
	if (error) {
		path_close(engine, new);
		return error;
	}
	/* One search now saves the first call from waiting for it. */
	if (wanted && new->neighbour)
		neighbour_need(&engine->neighbours, new->neighbour, engine->now_ns);
	*path = new;
	return 0;
}

static struct path_packet *take_queued(struct engine *engine, struct path *path)
{
	struct path_packet *packet = STAILQ_FIRST(&path->queue);

	if (packet) {
		STAILQ_REMOVE_HEAD(&path->queue, next);
		path->queued--;
		engine->queued_packets--;
	}
	return packet;
}

void path_close(struct engine *engine, struct path *path)
{
	struct path_packet *packet;

	while ((packet = take_queued(engine, path)))
		free(packet);
	leave_neighbour(engine, path);
	TAILQ_REMOVE(&engine->paths, path, all);
	free(path);
}

static void enqueue(struct engine *engine, struct path *path, const struct homa_packet_out *packet)
{
	uint32_t length = packet->header_length + packet->payload_length;
	struct path_packet *copy = NULL;

	if (path->queued < PATH_QUEUE_PACKETS && engine->queued_packets < PATH_QUEUE_TOTAL)
		copy = malloc(sizeof(*copy) + length);
	if (!copy) {
		engine->counters.queue_drops++;
		return;
	}
	copy->priority = packet->priority;
	copy->header_length = packet->header_length;
	copy->payload_length = packet->payload_length;
	memcpy(copy->bytes, &packet->header, packet->header_length);
	if (packet->payload_length)
		memcpy(copy->bytes + packet->header_length, packet->payload, packet->payload_length);
	STAILQ_INSERT_TAIL(&path->queue, copy, next);
	path->queued++;
	engine->queued_packets++;
}

/* A full link drops and counts; the protocol recovers. */
static void send_one(struct path *path, uint8_t priority, const void *header, uint32_t header_length,
		     const void *payload, uint32_t payload_length)
{
	path->link->ops->send(path->link, &path->destination, HOMA_IPPROTO, (uint8_t)(priority << 5), header,
			      header_length, payload, payload_length);
}

/*
 * Sends a DATA packet that was cut when the path took longer ones in pieces. All of them
 * lie within what a peer has received as a whole or not at all, so that none of them
 * overlaps received data only in part.
 */
static void send_pieces(struct path *path, uint8_t priority, const struct homa_data_header *header,
			const uint8_t *payload, uint32_t payload_length)
{
	uint32_t overhead = net_ip_header_bytes(&path->remote) + (uint32_t)sizeof(*header);
	struct homa_data_header piece = *header;
	uint32_t offset = homa_data_offset(header), most, done, bytes;

	if (path->mtu <= overhead)
		return;
	most = path->mtu - overhead;
	for (done = 0; done < payload_length; done += bytes) {
		bytes = payload_length - done < most ? payload_length - done : most;
		piece.common.sequence = piece.segment_offset = wire32(offset + done);
		send_one(path, priority, &piece, sizeof(piece), payload + done, bytes);
	}
}

static void send_bytes(struct path *path, uint8_t priority, const void *header, uint32_t header_length,
		       const void *payload, uint32_t payload_length)
{
	if (payload_length && net_ip_header_bytes(&path->remote) + header_length + payload_length > path->mtu)
		send_pieces(path, priority, header, payload, payload_length);
	else
		send_one(path, priority, header, header_length, payload, payload_length);
}

static void send_queued(struct engine *engine, struct path *path)
{
	struct path_packet *packet;

	while ((packet = take_queued(engine, path))) {
		send_bytes(path, packet->priority, packet->bytes, packet->header_length,
			   packet->bytes + packet->header_length, packet->payload_length);
		free(packet);
	}
}

static void refuse(struct engine *engine, const struct path *path, const void *header, uint32_t length)
{
	engine->counters.unroutable++;
	engine_report(engine, &path->remote, HOMA_ICMP_HOST, header, length);
}

static void refuse_queued(struct engine *engine, struct path *path)
{
	struct path_packet *packet;

	while ((packet = take_queued(engine, path))) {
		refuse(engine, path, packet->bytes, packet->header_length);
		free(packet);
	}
}

/* Makes the path usable for the packet at hand, or queues or refuses it and returns false. */
static bool prepare(struct engine *engine, struct path *path, const struct homa_packet_out *packet)
{
	struct neighbour *neighbour;

	if (path_update(engine, path)) {
		refuse(engine, path, &packet->header, packet->header_length);
		return false;
	}
	neighbour = path->neighbour;
	if (neighbour) {
		if (!neighbour_need(&engine->neighbours, neighbour, engine->now_ns)) {
			refuse(engine, path, &packet->header, packet->header_length);
			return false;
		}
		if (neighbour->state != NEIGHBOUR_KNOWN) {
			if (packet->header.common.type == HOMA_RESEND)
				engine_report_busy(engine, path, &packet->header.common);
			else
				enqueue(engine, path, packet);
			return false;
		}
		memcpy(path->destination.remote_mac, neighbour->mac, 6);
		if (neighbour->stale)
			neighbour_use(&engine->neighbours, neighbour);
	}
	path->generation = engine->generation;
	send_queued(engine, path);
	return true;
}

void path_send(struct engine *engine, struct path *path, const struct homa_packet_out *packet)
{
	if (path->generation != engine->generation && !prepare(engine, path, packet))
		return;
	send_bytes(path, packet->priority, &packet->header, packet->header_length, packet->payload,
		   packet->payload_length);
	/* Silence may mean that the peer's MAC address has changed without notice. */
	if (packet->header.common.type == HOMA_RESEND && path->neighbour)
		neighbour_doubt(&engine->neighbours, path->neighbour, engine->now_ns);
}

void paths_neighbour_changed(void *ctx, struct neighbour *neighbour)
{
	struct engine *engine = ctx;
	struct path *path;

	LIST_FOREACH (path, &neighbour->paths, same_neighbour) {
		path->generation = 0; /* the next packet takes in what is new */
		if (neighbour->state == NEIGHBOUR_KNOWN) {
			memcpy(path->destination.remote_mac, neighbour->mac, 6);
			send_queued(engine, path);
		} else if (neighbour->state == NEIGHBOUR_FAILED) {
			refuse_queued(engine, path);
		}
	}
}

void paths_leave(struct engine *engine, const struct link *link)
{
	struct path *path;

	TAILQ_FOREACH (path, &engine->paths, all) {
		if (path->link != link)
			continue;
		path->generation = path->route_generation = 0;
		path->link = NULL;
		refuse_queued(engine, path);
		leave_neighbour(engine, path);
	}
}

void paths_resize(struct engine *engine, const struct link *link)
{
	struct path *path;

	TAILQ_FOREACH (path, &engine->paths, all)
		if (path->link == link)
			set_mtu(engine, path);
}

void paths_mtu_hint(struct engine *engine, const struct net_ip *remote, uint32_t mtu)
{
	uint32_t least = net_ip_is_v4(remote) ? PATH_MIN_MTU_IPV4 : PATH_MIN_MTU_IPV6;
	struct path *path;

	if (mtu < least)
		mtu = least;
	TAILQ_FOREACH (path, &engine->paths, all) {
		if (!path->link || !net_ip_equal(&path->remote, remote) || mtu >= path->mtu)
			continue;
		path->hint_mtu = mtu;
		set_mtu(engine, path);
	}
}

void paths_tell_mtus(struct engine *engine)
{
	struct path *path;

	engine->mtus_changed = false;
	TAILQ_FOREACH (path, &engine->paths, all) {
		if (!path->mtu_changed)
			continue;
		path->mtu_changed = false;
		homa_path_resize(engine->homa, &path->remote, &path->local, path->mtu);
	}
}
