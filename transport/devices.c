/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "engine.h"
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

static int open_link(struct engine *engine, struct device *device)
{
	struct xsk_link_options options = {
		.ifindex = device->interface.ifindex,
		.mode = engine->xdp_mode,
		.log = log_link,
		.log_ctx = engine,
	};
	struct epoll_event event = { .events = EPOLLIN };
	int fd, error = xsk_link_open(&options, &device->link);

	if (error)
		return error;
	engine->watched = true; /* of this one it is so */
	fd = device->link->ops->fd(device->link);
	if (fd >= 0 && epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		error = -errno;
		device->link->ops->close(device->link);
	}
	return error;
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
		error = open_link(engine, new);
	if (error) {
		free(new);
		return error;
	}
	engine->devices[engine->device_count++] = new;
	engine_icmp_open(engine);
	*device = new;
	return 0;
}

int devices_watch(struct engine *engine, bool on)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd, error = 0;
	unsigned i;

	for (i = 0; i < engine->device_count; i++) {
		fd = engine->devices[i]->link->ops->fd(engine->devices[i]->link);
		/* A device that was opened meanwhile is watched already. */
		if (epoll_ctl(engine->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) < 0 &&
		    errno != EEXIST && errno != ENOENT)
			error = -errno;
	}
	engine->watched = on && !error;
	return error;
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

/* The link filters by the MAC address that it was opened with. False when the device is lost over it. */
static bool reopen(struct engine *engine, struct device *device)
{
	int error;

	close_link(engine, device);
	error = open_link(engine, device);
	if (error)
		return false;
	device->moved = false;
	engine_log(engine, TERN_LOG_INFO, "%s: opened anew with its new MAC address", device->interface.name);
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
		device->link->mtu = interface.mtu < XSK_MAX_MTU ? interface.mtu : XSK_MAX_MTU;
		paths_resize(engine, device->link);
	}
	device->interface = interface;
}
