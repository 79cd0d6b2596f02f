/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "engine.h"
#include "inplace.h"
#include "xsk.h"

struct device *device_find(struct engine *engine, int ifindex)
{
	unsigned i;

	for (i = 0; i < engine->device_count; i++)
		if (engine->devices[i]->interface.ifindex == ifindex)
			return engine->devices[i];
	return NULL;
}

static void log_link(void *ctx, int level, const char *line)
{
	struct engine *engine = ctx;

	engine->callbacks.log(engine->ctx, level, line);
}

/* Of something that need not succeed. */
static void log_attempt(void *ctx, int level, const char *line)
{
	log_link(ctx, level < TERN_LOG_INFO ? TERN_LOG_INFO : level, line);
}

/* 0, or why the device cannot carry Homa, which is logged. */
static int check_interface(struct engine *engine, const struct interface *interface, int level)
{
	if (!interface->up) {
		engine_log(engine, level, "%s: the device is down; set it up (ip link set %s up)",
			   interface->name, interface->name);
		return -ENETDOWN;
	}
	if (interface->loopback || !interface->ethernet) {
		engine_log(engine, level, "%s: not an Ethernet device, Homa cannot be carried over it",
			   interface->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

void devices_own_port(struct engine *engine, uint16_t port, bool own)
{
	if (engine->datapath)
		datapath_own_port(engine->datapath, port, own);
}

/* With the first device of the in-place tier. */
static int open_datapath(struct engine *engine)
{
	struct link_log log = { .ctx = engine, .device = "homa" };
	uint64_t memory = engine->datapath_memory, limit = buffers_arena_limit(engine->buffers);
	struct transport_listener *listener;
	int error;

	if (engine->datapath)
		return 0;
	log.write = engine->datapath_mode == TERN_DATAPATH_AUTO ? log_attempt : log_link;
	error = datapath_create(memory < limit ? memory : limit, engine_homa_ops.random(engine), &log,
				&engine->datapath);
	if (error)
		return error;
	error = buffers_set_arena(engine->buffers, engine->datapath->arena);
	if (error) {
		datapath_destroy(engine->datapath);
		engine->datapath = NULL;
		return error;
	}
	devices_own_port(engine, engine->client_port, true);
	LIST_FOREACH (listener, &engine->listeners, next)
		devices_own_port(engine, listener->local.port, true);
	return 0;
}

/* Generic XDP can do neither what is fast about it, nor was it tested with it. */
static int open_in_place(struct engine *engine, const struct xsk_link_options *options, struct link **link)
{
	int error = options->mode == TERN_XDP_GENERIC ? -EOPNOTSUPP : open_datapath(engine);

	return error ? error : inplace_link_open(options, engine->datapath, engine->datapath_parts, link);
}

/* By the tier that was asked for; what keeps one from being used that need not be is no error. */
static int open_tier(struct engine *engine, struct device *device)
{
	bool automatic = engine->datapath_mode == TERN_DATAPATH_AUTO;
	struct xsk_link_options options = {
		.ifindex = device->interface.ifindex,
		.mode = engine->xdp_mode,
		.log = automatic ? log_attempt : log_link,
		.log_ctx = engine,
	};
	const char *why;
	int error;

	if (engine->datapath_mode != TERN_DATAPATH_XSK) {
		error = open_in_place(engine, &options, &device->link);
		if (!error)
			return 0;
		why = options.mode == TERN_XDP_GENERIC ? "it takes native XDP" : strerror(-error);
		engine_log(engine, automatic ? TERN_LOG_INFO : TERN_LOG_ERROR,
			   "%s: no in-place datapath (%s)%s", device->interface.name, why,
			   automatic ? ": every packet goes by AF_XDP" : "; the datapath xsk may do");
		if (!automatic)
			return error;
	}
	options.log = log_link;
	return xsk_link_open(&options, &device->link);
}

/* With a new one: the others may not be watched now. 0 or a negative errno. */
static int watch_all(struct engine *engine)
{
	int error;

	engine->watched = false;
	error = devices_watch(engine, true);
	return error < 0 ? error : 0;
}

int device_open(struct engine *engine, int ifindex, int level, struct device **device)
{
	struct device *new;
	int error;

	*device = device_find(engine, ifindex);
	if (*device)
		return 0;
	if (engine->device_count == ENGINE_MAX_DEVICES) {
		engine_log(engine, level, "more than %d network devices: serve or call by a specific address",
			   ENGINE_MAX_DEVICES);
		return -EMFILE;
	}
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	error = interface_find(&engine->netlink, ifindex, &new->interface);
	if (!error)
		error = check_interface(engine, &new->interface, level);
	if (!error)
		error = open_tier(engine, new);
	if (error) {
		free(new);
		return error;
	}
	engine->devices[engine->device_count++] = new;
	error = watch_all(engine);
	if (error) {
		new->link->ops->close(new->link);
		engine->device_count--;
		free(new);
		return error;
	}
	engine_icmp_open(engine);
	*device = new;
	return 0;
}

int devices_watch(struct engine *engine, bool on)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd, error = 0;
	bool pending = false;
	unsigned i;

	for (i = 0; i < engine->device_count; i++) {
		struct link *link = engine->devices[i]->link;

		if (link->ops->watch)
			pending |= link->ops->watch(link, on);
		if (on == engine->watched)
			continue;
		fd = link->ops->fd(link);
		/* When one is opened others may be watched already. */
		if (epoll_ctl(engine->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) < 0 &&
		    errno != EEXIST && errno != ENOENT)
			error = -errno;
	}
	engine->watched = on && !error;
	return error ? error : pending;
}

/* Adds `ifindex` to the list; false if it is there already, or the list is full. */
static bool note(int *list, unsigned *count, int ifindex)
{
	unsigned i;

	for (i = 0; i < *count; i++)
		if (list[i] == ifindex)
			return false;
	if (*count == ENGINE_MAX_CANDIDATES)
		return false;
	list[(*count)++] = ifindex;
	return true;
}

int devices_open_all(struct engine *engine, const struct net_ip *ip)
{
	const struct addresses *addresses = &engine->addresses;
	int seen[ENGINE_MAX_CANDIDATES], error, first_error = 0;
	unsigned i, seen_count = 0, candidates = 0, opened = 0;
	struct interface interface;
	struct device *device;

	for (i = 0; i < addresses->count; i++) {
		if ((net_ip_is_v4(ip) && !net_ip_is_v4(&addresses->sorted[i].ip)) ||
		    !note(seen, &seen_count, addresses->sorted[i].ifindex) ||
		    interface_find(&engine->netlink, addresses->sorted[i].ifindex, &interface) ||
		    interface.loopback || !interface.ethernet || !interface.up)
			continue;
		candidates++;
		error = device_open(engine, interface.ifindex, TERN_LOG_WARNING, &device);
		if (!error)
			opened++;
		else if (!first_error)
			first_error = error;
	}
	if (!candidates)
		engine_log(engine, TERN_LOG_INFO, "no network device has an address: serving this host only");
	return opened || !candidates ? 0 : first_error;
}

/* Closing takes the link's fd out of the epoll set. */
static void close_link(struct engine *engine, struct device *device)
{
	paths_leave(engine, device->link);
	device->link->ops->close(device->link);
}

static void forget_device(struct engine *engine, unsigned index)
{
	free(engine->devices[index]);
	engine->devices[index] = engine->devices[--engine->device_count];
}

/*
 * The link filters by the MAC address, and has buffers for the MTU, that it was opened with.
 * False when the device is lost over it.
 */
static bool reopen(struct engine *engine, struct device *device)
{
	close_link(engine, device);
	if (open_tier(engine, device))
		return false;
	device->moved = false;
	if (watch_all(engine)) {
		device->link->ops->close(device->link);
		return false;
	}
	engine_log(engine, TERN_LOG_INFO, "%s: opened anew, as its MAC address or MTU has changed",
		   device->interface.name);
	return true;
}

void devices_check(struct engine *engine)
{
	unsigned i = 0;

	while (i < engine->device_count) {
		struct device *device = engine->devices[i];

		if (device->link->failed) {
			engine_log(engine, TERN_LOG_ERROR,
				   "%s: the device is gone (%s): what it carried fails until another route "
				   "leads there",
				   device->interface.name, strerror(-device->link->failed));
			close_link(engine, device);
			forget_device(engine, i);
		} else if (device->moved && !reopen(engine, device)) {
			forget_device(engine, i);
		} else {
			i++;
			continue;
		}
		engine->routes_changed = true;
	}
}

void devices_close(struct engine *engine)
{
	while (engine->device_count) {
		close_link(engine, engine->devices[0]);
		forget_device(engine, 0);
	}
}

void devices_event(struct engine *engine, const struct nlmsghdr *message)
{
	struct interface interface;
	struct device *device;

	if (!interface_parse(message, &interface))
		return;
	device = device_find(engine, interface.ifindex);
	if (!device)
		return;
	if (message->nlmsg_type == RTM_DELLINK) {
		device->link->failed = -ENODEV;
		return;
	}
	device->moved |= memcmp(interface.mac, device->interface.mac, 6) != 0;
	engine->routes_changed |= device->moved || interface.up != device->interface.up;
	if (interface.mtu != device->interface.mtu) {
		device->moved |= interface.mtu > device->link->max_mtu && interface.mtu <= XSK_MAX_MTU;
		device->link->mtu =
			interface.mtu < device->link->max_mtu ? interface.mtu : device->link->max_mtu;
		paths_resize(engine, device->link);
	}
	device->interface = interface;
}
