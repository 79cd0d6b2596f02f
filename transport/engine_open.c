/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"
#include "inplace.h"
#include "local.h"

#define DATAPATH_PART     4   /* of the memory: a quarter is shared with the programs of the in-place tier */
#define CLIENT_PORT_TRIES 256 /* client ports that other processes of this host may have before we give up */

static void refused(void *ctx, const struct net_ip *remote, const void *header, uint32_t length)
{
	engine_report(ctx, remote, HOMA_ICMP_PORT, header, length);
}

/*
 * One client port serves all calls: a claim on this host and the core's port must agree,
 * so ports are opened until one is free in both. The core hands them out in turn.
 */
static int open_client_port(struct engine *engine)
{
	uint16_t taken[CLIENT_PORT_TRIES];
	int port = 0, error = -EADDRINUSE, count = 0;

	while (count < CLIENT_PORT_TRIES && error == -EADDRINUSE) {
		port = homa_port_open(engine->homa, 0);
		if (port < 0) {
			error = port;
			break;
		}
		error = local_link_bind(engine->local, &(struct net_endpoint){ .port = (uint16_t)port });
		if (error)
			taken[count++] = (uint16_t)port;
	}
	while (count)
		homa_port_close(engine->homa, taken[--count]);
	if (error) {
		engine_log(engine, TERN_LOG_ERROR, "no client port: %s", strerror(-error));
		return error;
	}
	engine->client_port = (uint16_t)port;
	return 0;
}

static int open_core(struct engine *engine, const struct tern_endpoint_options *options)
{
	char why[2 * ENGINE_LOG_BYTES];
	struct homa_params params;
	int error;

	error = parameters_apply(options, &params, why, sizeof(why));
	if (error) {
		engine->callbacks.log(engine->ctx, TERN_LOG_ERROR, why);
		return error;
	}
	error = buffers_create(parameters_memory(options), params.max_incoming_memory, &engine->buffers);
	if (error) {
		engine_log(engine, TERN_LOG_ERROR,
			   "cannot reserve address space for %llu bytes of messages: %s",
			   (unsigned long long)parameters_memory(options), strerror(-error));
		return error;
	}
	return homa_create(&params, &engine_homa_ops, engine, engine->now_ns, &engine->homa);
}

static int open_epoll(struct engine *engine)
{
	struct epoll_event event = { .events = EPOLLIN };

	engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (engine->epoll_fd < 0)
		return -errno;
	engine->news_fd = epoll_create1(EPOLL_CLOEXEC);
	if (engine->news_fd < 0 || epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->news_fd, &event) < 0)
		return -errno;
	return 0;
}

static int open_local(struct engine *engine)
{
	struct local_link_options options = { .refused = refused, .ctx = engine };
	struct epoll_event event = { .events = EPOLLIN };
	int error = local_link_open(&options, &engine->local);

	if (error)
		return error;
	if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->local->ops->fd(engine->local), &event) < 0)
		return -errno;
	return 0;
}

static struct engine *new_engine(const struct transport_callbacks *callbacks, void *ctx)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->callbacks = *callbacks;
	engine->ctx = ctx;
	engine->generation = 1;
	engine->epoll_fd = engine->news_fd = engine->monitor_fd = engine->netlink.fd = -1;
	engine->icmp.fd_v4 = engine->icmp.fd_v6 = engine->icmp.silencer_v4 = engine->icmp.silencer_v6 = -1;
	engine_tick(engine);
	LIST_INIT(&engine->listeners);
	LIST_INIT(&engine->peers);
	TAILQ_INIT(&engine->paths);
	neighbours_init(&engine->neighbours, &engine->netlink, paths_neighbour_changed, engine);
	return engine;
}

int engine_create(const struct tern_endpoint_options *options, const struct transport_callbacks *callbacks,
		  void *ctx, struct engine **engine)
{
	static const struct tern_endpoint_options defaults;
	struct engine *new = new_engine(callbacks, ctx);
	int error;

	if (!new)
		return -ENOMEM;
	options = options ? options : &defaults;
	new->xdp_mode = options->xdp_mode;
	new->datapath_mode = options->datapath;
	new->datapath_parts = options->datapath_parts ? options->datapath_parts : INPLACE_ALL;
	new->datapath_memory = parameters_memory(options) / DATAPATH_PART;
	error = open_core(new, options);
	if (!error)
		error = open_epoll(new);
	if (!error)
		error = netlink_open(&new->netlink);
	if (!error)
		error = engine_monitor_open(new);
	if (!error)
		error = open_local(new);
	if (!error)
		error = open_client_port(new);
	if (error) {
		engine_log(new, TERN_LOG_ERROR, "cannot open Homa: %s", strerror(-error));
		engine_destroy(new);
		return error;
	}
	*engine = new;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	if (engine->homa && engine->local) {
		homa_shutdown(engine->homa, engine->now_ns);
		engine_flush(engine);
	}
	homa_destroy(engine->homa); /* closes its paths and gives its buffers back */
	devices_close(engine);
	if (engine->local)
		engine->local->ops->close(engine->local);
	icmp_close(&engine->icmp);
	engine_monitor_close(engine);
	netlink_close(&engine->netlink);
	addresses_free(&engine->addresses);
	if (engine->buffers)
		buffers_destroy(engine->buffers);
	if (engine->datapath)
		datapath_destroy(engine->datapath);
	if (engine->news_fd >= 0)
		close(engine->news_fd);
	if (engine->epoll_fd >= 0)
		close(engine->epoll_fd);
	free(engine);
}
