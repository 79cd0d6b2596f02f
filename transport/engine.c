/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "engine.h"
#include "homa_core.h"
#include "local.h"
#include "net_headers.h"

void engine_log(struct engine *engine, int level, const char *format, ...)
{
	char line[ENGINE_LOG_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	engine->callbacks.log(engine->ctx, level, line);
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void engine_tick(struct engine *engine)
{
	uint64_t now_ns = clock_ns() - engine->absent_ns, latest_ns;

	if (now_ns - engine->polled_ns > ENGINE_LATE_NS && engine->homa) {
		latest_ns = homa_next_timeout(engine->homa, engine->polled_ns);
		if (latest_ns < now_ns - ENGINE_LATE_NS) {
			latest_ns += ENGINE_LATE_NS;
			if (latest_ns < engine->now_ns)
				latest_ns = engine->now_ns;
			engine->absent_ns += now_ns - latest_ns;
			now_ns = latest_ns;
		}
	}
	engine->now_ns = now_ns;
}

/* ---- what the core asks for ---- */

static void transmit(void *ctx, void *handle, const struct homa_packet_out *packet)
{
	path_send(ctx, handle, packet);
}

static int open_path(void *ctx, const struct net_ip *remote, const struct net_ip *local,
		     struct homa_path *out)
{
	struct engine *engine = ctx;
	struct path *path;
	int error = path_open(engine, remote, local, engine->in_request, &path);

	if (error)
		return error;
	path->pinned = true; /* the core knows the peer by this pair of addresses */
	*out = (struct homa_path){ .handle = path, .local = path->local, .mtu = path->mtu };
	return 0;
}

static void close_path(void *ctx, void *handle)
{
	path_close(ctx, handle);
}

static void *get_buffer(void *ctx, uint32_t length)
{
	struct engine *engine = ctx;

	return buffers_get_incoming(engine->buffers, length);
}

static void put_buffer(void *ctx, void *data, uint32_t length)
{
	struct engine *engine = ctx;

	(void)length;
	buffers_put(engine->buffers, data);
}

static void port_unreachable(void *ctx, const struct homa_packet_in *packet)
{
	struct engine *engine = ctx;
	struct homa_packet_in quoted = *packet;

	/* Only what lies together can be quoted. */
	if (packet->where != HOMA_PAYLOAD_FOLLOWS)
		quoted.length = sizeof(struct homa_data_header);
	/* Locally the missing name says it; ICMP is for packets off the network. */
	if (engine->arrival_ifindex)
		icmp_send_port_unreachable(&engine->icmp, engine->now_ns, &quoted);
}

static uint32_t begin_placing(void *ctx, const struct homa_incoming *incoming)
{
	struct engine *engine = ctx;
	const struct homa_common_header *header = &incoming->header->common;
	struct placement_message message = {
		.source = net_ip_scoped(&incoming->source, 0),
		.id = header->sender_id,
		.sport = header->sport,
		.dport = header->dport,
		.length = incoming->length,
		.segment = incoming->segment,
		.unscheduled = incoming->unscheduled,
		.received_end = incoming->received_end,
		.gaps = incoming->gaps,
	};

	if (!engine->datapath || !(engine->datapath_parts & TERN_PART_PLACE) ||
	    !arena_holds(engine->datapath->arena, incoming->data))
		return HOMA_NO_PLACEMENT;
	message.place = arena_place(engine->datapath->arena, incoming->data);
	return placement_begin(&engine->datapath->placements, &message);
}

static void end_placing(void *ctx, uint32_t placement)
{
	struct engine *engine = ctx;

	placement_end(&engine->datapath->placements, placement);
}

static uint64_t random_word(void *ctx)
{
	struct engine *engine = ctx;

	if (!engine->random_left) {
		/* Not more than 256 bytes: never interrupted, and only early at boot would it wait. */
		if (getrandom(engine->random, sizeof(engine->random), 0) != sizeof(engine->random))
			engine->random[ENGINE_RANDOM_WORDS - 1] ^= clock_ns();
		engine->random_left = ENGINE_RANDOM_WORDS;
	}
	return engine->random[--engine->random_left];
}

const struct homa_ops engine_homa_ops = {
	.transmit = transmit,
	.path_open = open_path,
	.path_close = close_path,
	.buffer_get = get_buffer,
	.buffer_put = put_buffer,
	.incoming_begin = begin_placing,
	.incoming_end = end_placing,
	.port_unreachable = port_unreachable,
	.random = random_word,
};

static unsigned deliver_events(struct engine *engine);

/* ---- receiving ---- */

struct transport_listener *engine_listener(struct engine *engine, const struct net_ip *ip, uint16_t port)
{
	struct transport_listener *listener, *best = NULL;

	LIST_FOREACH (listener, &engine->listeners, next) {
		const struct net_ip *local = &listener->local.ip;

		if (listener->local.port != port)
			continue;
		if (net_ip_equal(local, ip))
			return listener;
		if (net_ip_is_any(local) && (!net_ip_is_v4(local) || (net_ip_is_v4(ip) && !best)))
			best = best && net_ip_is_v4(&best->local.ip) ? best : listener;
	}
	return best;
}

/* Fills in the scope of an address off the wire; false for one that has no business there. */
static bool take_scope(struct net_ip *ip, int ifindex)
{
	if (!net_ip_is_link_local(ip) || !ifindex)
		return true;
	if (net_ip_scope(ip))
		return false; /* not within fe80::/64 */
	*ip = net_ip_scoped(ip, (uint32_t)ifindex);
	return true;
}

/*
 * True for a packet that the core should see: from somebody, to an address of ours, and
 * to one that serves the port, where it is the port of a server. `data` holds a common header.
 */
static bool admit(struct engine *engine, const struct link *link, struct homa_packet_in *packet)
{
	const struct homa_common_header *header = (const struct homa_common_header *)packet->data;
	uint16_t port = wire16(header->dport);

	if (!take_scope(&packet->source, link->ifindex) || !take_scope(&packet->destination, link->ifindex) ||
	    !addresses_local(&engine->addresses, &packet->destination)) {
		engine->counters.foreign_destination++;
		return false;
	}
	if (link->ifindex ? ip_is_loopback(&packet->source) || ip_is_loopback(&packet->destination) :
			    !addresses_local(&engine->addresses, &packet->source)) {
		engine->counters.foreign_source++;
		return false;
	}
	if (engine->specific_listeners && port < HOMA_MIN_CLIENT_PORT &&
	    !engine_listener(engine, &packet->destination, port)) {
		engine->counters.foreign_destination++;
		port_unreachable(engine, packet);
		return false;
	}
	if (header->type == HOMA_DATA && buffers_full(engine->buffers)) {
		engine->counters.shed++;
		return false;
	}
	return true;
}

/* Has the core handle a packet, and makes a buffer that it has kept one of the engine's. */
static void give_to_core(struct engine *engine, struct homa_packet_in *packet, struct link_packet *in)
{
	homa_input(engine->homa, engine->now_ns, packet);
	if (in->where == LINK_BUFFER && !packet->payload)
		buffers_adopt(engine->buffers, in->payload);
	in->payload = packet->payload;
}

static void take_packet(struct engine *engine, const struct link *link, struct link_packet *in)
{
	static const uint8_t where[] = {
		[LINK_FOLLOWS] = HOMA_PAYLOAD_FOLLOWS,
		[LINK_BUFFER] = HOMA_PAYLOAD_BUFFER,
		[LINK_PLACED] = HOMA_PAYLOAD_PLACED,
	};
	struct homa_packet_in packet = {
		.source = in->source,
		.destination = in->destination,
		.data = in->data,
		.length = in->length,
		.where = where[in->where],
		.payload = in->payload,
		.placement = in->placement,
	};
	bool hijacked = in->protocol == NET_PROTOCOL_TCP && in->length >= sizeof(struct homa_common_header) &&
			homa_is_hijacked((const struct homa_common_header *)in->data);

	if (in->protocol != HOMA_IPPROTO && !hijacked) {
		engine->counters.foreign_protocol++;
		return;
	}
	/* What is shorter than a header the core counts and drops. */
	if (in->length < sizeof(struct homa_common_header) || admit(engine, link, &packet))
		give_to_core(engine, &packet, in);
}

static unsigned receive_from(struct engine *engine, struct link *link)
{
	unsigned i, count = link->ops->receive(link, engine->burst, ENGINE_BURST);

	/* One by one, as what is told now is still in the cache, and its answer may carry an acknowledgement. */
	for (i = 0; i < count; i++) {
		engine->arrival_ifindex = link->ifindex;
		take_packet(engine, link, &engine->burst[i]);
		engine->arrival_ifindex = 0;
		deliver_events(engine);
	}
	if (count && link->ops->release)
		link->ops->release(link, engine->burst, count);
	return count;
}

static unsigned receive_local(struct engine *engine)
{
	unsigned count;

	if (engine->device_count && engine->now_ns >= engine->local_active_ns &&
	    engine->now_ns < engine->local_check_ns)
		return 0;
	engine->local_check_ns = engine->now_ns + ENGINE_LOCAL_CHECK_NS;
	count = receive_from(engine, engine->local);
	if (count)
		engine->local_active_ns = engine->now_ns + ENGINE_LOCAL_ACTIVE_NS;
	return count;
}

static unsigned receive_devices(struct engine *engine, bool *unwell)
{
	unsigned i, count = 0;

	for (i = 0; i < engine->device_count; i++) {
		count += receive_from(engine, engine->devices[i]->link);
		*unwell |= engine->devices[i]->link->failed || engine->devices[i]->moved;
	}
	return count;
}

/* Looks several times, as that is cheaper than what else there is to do in a round. */
static unsigned receive_all(struct engine *engine)
{
	unsigned looks, count = 0;
	bool unwell = false;

	for (looks = 0; !count && looks < ENGINE_LOOKS; looks++)
		count = receive_devices(engine, &unwell);
	count += receive_local(engine);
	if (count)
		homa_input_done(engine->homa, engine->now_ns);
	if (unwell)
		devices_check(engine);
	return count;
}

/* ---- telling the core, telling the runtime ---- */

/* The next free report; NULL when there are too many: then it is found out by time-out. */
static struct report *new_report(struct engine *engine)
{
	if (engine->report_count == ENGINE_REPORTS)
		return NULL;
	return &engine->reports[(engine->report_first + engine->report_count++) & (ENGINE_REPORTS - 1)];
}

void engine_report(struct engine *engine, const struct net_ip *remote, enum homa_icmp what,
		   const void *header, uint32_t length)
{
	struct report *report = new_report(engine);

	if (!report)
		return;
	*report = (struct report){ .remote = *remote, .what = what, .length = sizeof(report->header) };
	if (length < report->length)
		report->length = length;
	memcpy(report->header, header, report->length);
}

void engine_report_busy(struct engine *engine, const struct path *path,
			const struct homa_common_header *resend)
{
	struct homa_common_header busy = {
		.sport = resend->dport,
		.dport = resend->sport,
		.type = HOMA_BUSY,
		.sender_id = resend->sender_id ^ wire64(1),
	};
	struct report *report = new_report(engine);

	if (!report)
		return;
	*report = (struct report){
		.remote = path->remote, .local = path->local, .busy = true, .length = sizeof(busy)
	};
	memcpy(report->header, &busy, sizeof(busy));
}

static void tell_report(struct engine *engine, const struct report *report)
{
	struct homa_packet_in busy = {
		.source = report->remote,
		.destination = report->local,
		.data = report->header,
		.length = report->length,
	};

	if (report->busy)
		homa_input(engine->homa, engine->now_ns, &busy);
	else
		homa_icmp_input(engine->homa, engine->now_ns, &report->remote, report->what, report->header,
				report->length);
}

static unsigned tell_reports(struct engine *engine)
{
	/* What the core sends in consequence may fail in turn: that is for the next round. */
	unsigned i, count = engine->report_count;

	for (i = 0; i < count; i++) {
		struct report report = engine->reports[engine->report_first];

		engine->report_first = (engine->report_first + 1) & (ENGINE_REPORTS - 1);
		engine->report_count--;
		tell_report(engine, &report);
	}
	return count;
}

static void deliver_request(struct engine *engine, const struct homa_event *event)
{
	struct transport_message message = { .data = event->data, .length = event->length };
	struct transport_listener *listener = engine_listener(engine, &event->local, event->local_port);

	buffers_commit(engine->buffers, event->data, event->length);
	if (!listener) {
		/* It was closed while the request arrived. */
		homa_abort(engine->homa, engine->now_ns, event->handle);
		homa_message_free(engine->homa, event->data, event->length);
		return;
	}
	engine->callbacks.request(engine->ctx, listener->cookie, event->handle, &event->remote, message);
}

static void deliver_response(struct engine *engine, const struct homa_event *event)
{
	struct transport_message message = { .data = event->data, .length = event->length };

	buffers_commit(engine->buffers, event->data, event->length);
	engine->callbacks.response(engine->ctx, event->cookie, message);
}

static unsigned deliver_events(struct engine *engine)
{
	struct homa_event event;
	unsigned count;

	for (count = 0; homa_next_event(engine->homa, &event); count++) {
		switch (event.type) {
		case HOMA_EVENT_REQUEST:
			deliver_request(engine, &event);
			break;
		case HOMA_EVENT_RESPONSE:
			deliver_response(engine, &event);
			break;
		case HOMA_EVENT_FAILED:
			engine->callbacks.failed(engine->ctx, event.cookie, event.error);
			break;
		case HOMA_EVENT_CANCELLED:
			engine->callbacks.cancelled(engine->ctx, event.handle);
			break;
		case HOMA_EVENT_NONE:
			break;
		}
	}
	return count;
}

/* ---- the loop ---- */

void engine_flush(struct engine *engine)
{
	unsigned i;

	for (i = 0; i < engine->device_count; i++)
		engine->devices[i]->link->ops->flush(engine->devices[i]->link);
	engine->local->ops->flush(engine->local);
}

/* Looks at what the kernel has to tell: rarely under load, soon when there is nothing else. */
static unsigned check_news(struct engine *engine, unsigned handled)
{
	unsigned count;

	if (engine->now_ns < engine->news_check_ns)
		return 0;
	count = (unsigned)engine_news(engine);
	engine->news_check_ns = engine->now_ns + (handled ? ENGINE_BUSY_CHECK_NS : ENGINE_IDLE_CHECK_NS);
	neighbours_poll(&engine->neighbours, engine->now_ns);
	engine_reroute(engine);
	if (engine->mtus_changed)
		paths_tell_mtus(engine);
	return count;
}

int engine_poll(struct engine *engine)
{
	unsigned handled;

	engine_tick(engine);
	engine->polled_ns = engine->now_ns;
	engine->inside = true;
	handled = receive_all(engine);
	/* Answers first: what follows may take a while. */
	if (handled)
		engine_flush(engine);
	if (handled && ++engine->busy_polls >= ENGINE_BUSY_POLLS && engine->watched)
		devices_watch(engine, false);
	handled += check_news(engine, handled);
	handled += tell_reports(engine);
	handled += deliver_events(engine);
	homa_poll(engine->homa, engine->now_ns);
	handled += deliver_events(engine);
	engine_flush(engine);
	engine->inside = false;
	return (int)handled;
}

static uint64_t sooner(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

uint64_t engine_timeout(struct engine *engine)
{
	uint64_t now_ns = clock_ns() - engine->absent_ns;
	uint64_t due_ns = homa_next_timeout(engine->homa, now_ns);

	engine->busy_polls = 0;
	if (engine->report_count || devices_watch(engine, true) != 0)
		return 0;
	if (local_link_pending(engine->local))
		due_ns = sooner(due_ns, now_ns + LOCAL_RETRY_NS);
	due_ns = sooner(due_ns, neighbours_due(&engine->neighbours));
	if (engine->routes_changed)
		due_ns = sooner(due_ns, engine->reroute_ns);
	if (due_ns == UINT64_MAX)
		return UINT64_MAX;
	return due_ns > now_ns ? due_ns - now_ns : 0;
}
