/* SPDX-License-Identifier: BSD-2-Clause */
/* News from the kernel: routes, links, addresses and neighbours that change, and ICMP errors. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"

#define NEWS_EVENTS 4

static void take_change(void *ctx, const struct nlmsghdr *message)
{
	struct engine *engine = ctx;
	const struct rtmsg *route;

	switch (message->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbours_event(&engine->neighbours, message);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		devices_event(engine, message);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		engine->routes_changed = true;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		/* Clones are the kernel's notes about single destinations. */
		route = netlink_fixed(message, sizeof(*route));
		if (route && !(route->rtm_flags & RTM_F_CLONED))
			engine->routes_changed = true;
		break;
	}
}

static void take_icmp(void *ctx, const struct icmp_error *error, int ifindex)
{
	static const enum homa_icmp kinds[] = {
		[ICMP_WHAT_PORT] = HOMA_ICMP_PORT,
		[ICMP_WHAT_PROTOCOL] = HOMA_ICMP_PROTOCOL,
		[ICMP_WHAT_HOST] = HOMA_ICMP_HOST,
	};
	struct engine *engine = ctx;
	struct net_ip local = net_ip_scoped(&error->local, (uint32_t)ifindex);
	struct net_ip remote = net_ip_scoped(&error->remote, (uint32_t)ifindex);

	if (!addresses_local(&engine->addresses, &local)) {
		engine->icmp.ignored++;
		return;
	}
	if (error->what == ICMP_WHAT_TOO_BIG)
		paths_mtu_hint(engine, &remote, error->mtu);
	else
		homa_icmp_input(engine->homa, engine->now_ns, &remote, kinds[error->what], error->quoted,
				error->quoted_length);
}

static int watch(struct engine *engine, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(engine->news_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int engine_monitor_open(struct engine *engine)
{
	int error;

	engine->monitor_fd = netlink_monitor_open();
	if (engine->monitor_fd < 0)
		return engine->monitor_fd;
	error = watch(engine, engine->monitor_fd);
	/* Subscribed first, read afterwards: nothing is missed. */
	if (!error)
		error = addresses_load(&engine->netlink, &engine->addresses);
	if (error)
		engine_monitor_close(engine);
	return error;
}

void engine_monitor_close(struct engine *engine)
{
	if (engine->monitor_fd >= 0)
		close(engine->monitor_fd);
	engine->monitor_fd = -1;
}

void engine_icmp_open(struct engine *engine)
{
	if (engine->icmp.fd_v4 >= 0 || engine->icmp.fd_v6 >= 0)
		return;
	icmp_open(&engine->icmp);
	if ((engine->icmp.fd_v4 >= 0 && watch(engine, engine->icmp.fd_v4)) ||
	    (engine->icmp.fd_v6 >= 0 && watch(engine, engine->icmp.fd_v6)))
		icmp_close(&engine->icmp);
	if (engine->icmp.fd_v4 < 0 && engine->icmp.fd_v6 < 0)
		engine_log(engine, TERN_LOG_WARNING,
			   "no raw sockets (CAP_NET_RAW): a peer's dead port is only noticed by time-out");
}

int engine_news(struct engine *engine)
{
	struct epoll_event events[NEWS_EVENTS];
	int i, got, handled = 0, count = epoll_wait(engine->news_fd, events, NEWS_EVENTS, 0);

	for (i = 0; i < count; i++) {
		if (events[i].data.fd != engine->monitor_fd) {
			handled += icmp_receive(&engine->icmp, take_icmp, engine);
			continue;
		}
		got = netlink_monitor_read(engine->monitor_fd, engine->monitor_buffer,
					   sizeof(engine->monitor_buffer), take_change, engine);
		if (got == -ENOBUFS) {
			engine->routes_changed = true;
			neighbours_reload(&engine->neighbours);
			got = 1;
		}
		handled += got;
	}
	return handled;
}

void engine_reroute(struct engine *engine)
{
	if (!engine->routes_changed || engine->now_ns < engine->reroute_ns)
		return;
	engine->routes_changed = false;
	engine->reroute_ns = engine->now_ns + ENGINE_REROUTE_NS;
	engine->counters.reroutes++;
	addresses_load(&engine->netlink, &engine->addresses); /* on failure what was known stays */
	if (!++engine->generation)
		engine->generation = 1;
}
