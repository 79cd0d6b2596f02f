/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare limit: what the machine can do with the in-place tier's tricks and no protocol,
 * no RPC and no codec. `echo` is a closed loop of frames, `bulk` sends messages that end
 * up in the receiver's memory, for a small frame each.
 *
 *	bare echo|bulk --device DEV --size N [--reply-size N] [--outstanding N] [--host MAC ...]
 *
 * Sizes count from the end of the Ethernet header. Both ends spin. What is lost is counted
 * and given up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_end.h"
#include "peers/peer.h"

#define USAGE      "bare echo|bulk"
#define LOST_NS    100000000u
#define WINDOW_MAX 256u /* outstanding: a power of two, no more than the rings hold */

static bool is_bulk(const struct peer_options *options)
{
	return !strcmp(options->system, "bulk");
}

static uint32_t frame_bytes(uint32_t size)
{
	uint32_t length = (uint32_t)sizeof(struct net_ethernet) + size;

	return length > sizeof(struct bare_frame) ? length : (uint32_t)sizeof(struct bare_frame);
}

/* ---- the server ---- */

static void answer(struct bare_end *end, const struct bare_frame *request, uint32_t reply_bytes)
{
	memcpy(end->peer, request->ethernet.source, sizeof(end->peer));
	bare_end_queue(end, BARE_ECHO, reply_bytes, 0, 0)->id = request->id;
}

/* Messages that did not come whole are not answered. */
__attribute__((noreturn)) static void serve(struct bare_end *end, const struct peer_options *options)
{
	uint32_t reply_bytes = frame_bytes(options->reply_size);
	const struct bare_frame *request;
	uint64_t parts = 0;

	peer_say_serving(options);
	for (;;) {
		uint32_t count = 0;

		for (; count < BARE_PUMP_MAX && (request = bare_end_peek(end)); count++) {
			bool whole = true;

			if (request->kind == BARE_LAST) {
				uint64_t now = __atomic_load_n(&end->receive->parts, __ATOMIC_ACQUIRE);

				/* With several outstanding the next may be on its way: it has more, never
				 * fewer. */
				whole = now - parts >= request->parts;
				parts = whole ? parts + request->parts : now;
			}
			if (whole)
				answer(end, request, reply_bytes);
			bare_end_release(end);
		}
		if (count)
			bare_end_flush(end);
	}
}

/* ---- the client ---- */

static void send_message(struct bare_end *end, uint32_t size, uint64_t id)
{
	uint32_t room = end->max_frame - (uint32_t)sizeof(struct bare_frame);
	uint32_t parts = (size + room - 1) / room, queued = 0;

	for (uint32_t place = 0; place < size; place += room) {
		bool last = size - place <= room;
		struct bare_frame *frame = bare_end_queue(end, last ? BARE_LAST : BARE_PART, sizeof(*frame),
							  place, last ? size - place : room);

		frame->parts = parts;
		frame->id = id;
		if (++queued % BARE_PUMP_MAX == 0)
			bare_end_flush(end);
	}
	bare_end_flush(end);
}

static void issue(struct bare_end *end, const struct peer_options *options, uint64_t id)
{
	if (is_bulk(options))
		send_message(end, options->size, id);
	else
		bare_end_queue(end, BARE_ECHO, frame_bytes(options->size), 0, 0)->id = id;
}

static uint32_t take(struct bare_end *end, struct peer_measure *measure, const uint64_t *sent_ns,
		     uint64_t oldest)
{
	const struct bare_frame *reply = bare_end_peek(end);
	uint64_t now = reply ? peer_now_ns() : 0;
	uint32_t taken = 0;

	for (; reply; reply = bare_end_peek(end)) {
		if (reply->id >= oldest) {
			peer_measure_note(measure, sent_ns[reply->id % WINDOW_MAX], now);
			taken++;
		}
		bare_end_release(end);
	}
	return taken;
}

static void load(struct bare_end *end, const struct peer_options *options, struct peer_measure *measure)
{
	uint64_t issued = 0, done = 0, oldest = 0, last_ns = peer_now_ns(), now;
	static uint64_t sent_ns[WINDOW_MAX];

	peer_measure_start(measure, options);
	while ((now = peer_now_ns()) < measure->end_ns) {
		uint32_t taken = take(end, measure, sent_ns, oldest);

		done += taken;
		if (taken || issued == done)
			last_ns = now;
		for (uint32_t i = 0; i < BARE_PUMP_MAX && issued - done < options->outstanding; i++) {
			sent_ns[issued % WINDOW_MAX] = now;
			issue(end, options, issued++);
		}
		bare_end_flush(end);
		if (now - last_ns > LOST_NS) {
			measure->lost += issued - done;
			oldest = done = issued;
		}
	}
}

int main(int argc, char **argv)
{
	static struct peer_measure measure;
	static struct bare_end end;
	struct peer_options options;
	uint8_t *mac = end.peer;
	uint32_t size;

	peer_options_parse(argc, argv, USAGE, &options);
	if (!options.device || options.outstanding > WINDOW_MAX ||
	    (!is_bulk(&options) && strcmp(options.system, "echo"))) {
		fprintf(stderr, "%s: with a --device, and at most %u outstanding\n", USAGE, WINDOW_MAX);
		return 2;
	}
	size = is_bulk(&options) || options.reply_size > options.size ? options.reply_size : options.size;
	bare_end_open(&end, options.device, frame_bytes(size));
	if (!options.host)
		serve(&end, &options);
	if (sscanf(options.host, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6) {
		errno = EINVAL;
		peer_fail(options.host);
	}
	load(&end, &options, &measure);
	return peer_measure_print(&measure, &options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
