// SPDX-License-Identifier: BSD-2-Clause
/*
 * A tap at work. What is queued lies in the send ring, which the programs only look at when
 * a doorbell rings: a few frames are written one by one from there, by their headers'
 * and payloads' addresses, and the ring's counters never move.
 */
#include "tap.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "net_headers.h"

#define RISE       16         /* a part of itself by which a trial can add to what a number of frames costs */
#define LONGEST_NS 1000000000 /* of a trial that counts */
#define ENOUGH     4          /* trials of a number of frames by which to judge */

static uint32_t waiting(const struct tap *tap)
{
	return (uint32_t)(tap->produced - tap->ring->produced);
}

/* ---- queueing ---- */

/* A buffer of the arena until the ring is empty; NULL when there is none. */
static uint8_t *borrow(struct tap *tap, uint32_t length)
{
	uint8_t *data = arena_get(tap->datapath->arena, length, ARENA_SEND);

	if (data)
		tap->borrowed[tap->borrowed_count++] = data;
	return data;
}

static void set_payload(struct tap *tap, struct send_entry *entry, const void *payload, uint32_t length)
{
	entry->place = arena_place(tap->datapath->arena, payload);
	entry->payload_length = (uint16_t)length;
	if (!tap->pinned)
		arena_pin(tap->datapath->arena);
	tap->pinned = true;
}

/* Header and payload together, as their checksum is over both. `at` is where the header is. */
static int set_segment(struct tap *tap, struct send_entry *entry, const struct link_destination *to,
		       uint8_t *at, uint32_t header_length, const void *payload, uint32_t payload_length)
{
	uint8_t *segment = borrow(tap, header_length + payload_length);

	if (!segment)
		return -ENOBUFS;
	memcpy(segment, at, header_length);
	if (payload_length)
		memcpy(segment + header_length, payload, payload_length);
	frame_write_tcp_checksum(segment, header_length + payload_length, to);
	memcpy(at, segment, header_length);
	if (payload_length)
		set_payload(tap, entry, segment + header_length, payload_length);
	return 0;
}

static int refer_to(struct tap *tap, struct send_entry *entry, const void *payload, uint32_t length)
{
	uint8_t *copy;

	if (entry->header_length + length <= SEND_HEADER_BYTES) {
		memcpy(entry->header + entry->header_length, payload, length);
		entry->header_length = (uint16_t)(entry->header_length + length);
		return 0;
	}
	if (!arena_holds(tap->datapath->arena, payload)) {
		copy = borrow(tap, length);
		if (!copy)
			return -ENOBUFS;
		payload = memcpy(copy, payload, length);
	}
	set_payload(tap, entry, payload, length);
	return 0;
}

int tap_send(struct tap *tap, const struct link_destination *to, uint8_t protocol, uint8_t traffic_class,
	     const void *header, uint32_t header_length, const void *payload, uint32_t payload_length)
{
	struct send_entry *entry;
	uint32_t below;
	int error = 0;

	if (header_length > SEND_HEADER_BYTES - FRAME_MAX_HEADER)
		return -EMSGSIZE;
	if (waiting(tap) == SEND_RING_ENTRIES)
		tap_flush(tap);
	entry = &tap->ring->entries[tap->produced % SEND_RING_ENTRIES];
	below = frame_write_header(entry->header, to, protocol, traffic_class,
				   header_length + payload_length);
	memcpy(entry->header + below, header, header_length);
	entry->header_length = (uint16_t)(below + header_length);
	entry->payload_length = 0;
	if (protocol == NET_PROTOCOL_TCP)
		error = set_segment(tap, entry, to, entry->header + below, header_length, payload,
				    payload_length);
	else if (payload_length)
		error = refer_to(tap, entry, payload, payload_length);
	if (error) {
		tap->full++;
		return error;
	}
	tap->produced++;
	return 0;
}

/* ---- sending ---- */

/* True if the kernel took it. */
static bool taken(struct tap *tap, ssize_t written)
{
	if (written >= 0)
		return true;
	/* Deleted, or set down: other errors pass. */
	if (errno == EIO || errno == EBADFD || errno == ENODEV)
		tap->broken = true;
	tap->errors++;
	return false;
}

static void write_frames(struct tap *tap)
{
	for (uint64_t i = tap->ring->produced; i != tap->produced; i++) {
		struct send_entry *entry = &tap->ring->entries[i % SEND_RING_ENTRIES];
		struct iovec parts[2] = { { .iov_base = entry->header, .iov_len = entry->header_length } };

		if (entry->payload_length)
			parts[1] = (struct iovec){ .iov_base = arena_at(tap->datapath->arena, entry->place),
						   .iov_len = entry->payload_length };
		if (taken(tap, writev(tap->fd, parts, entry->payload_length ? 2 : 1)))
			tap->written++;
	}
	tap->produced = tap->ring->produced;
}

static void ring_doorbell(struct tap *tap)
{
	static const uint8_t doorbell[SEND_DOORBELL_BYTES] = {
		[12] = SEND_DOORBELL_TYPE >> 8, [13] = SEND_DOORBELL_TYPE & 0xff
	};
	volatile struct send_ring *ring = tap->ring;
	uint64_t before;

	__atomic_store_n(&tap->ring->produced, tap->produced, __ATOMIC_RELEASE);
	/* The write returns when the programs are through. */
	do {
		before = ring->consumed;
		if (!taken(tap, write(tap->fd, doorbell, sizeof(doorbell))))
			break;
		tap->doorbells++;
		tap->pumped += ring->consumed - before;
	} while (ring->consumed != tap->produced && ring->consumed != before);
	/* What they did not take now they would take with the next one, when its memory is another's. */
	tap->errors += tap->produced - ring->consumed;
	tap->produced = ring->produced = ring->consumed;
}

static void empty(struct tap *tap)
{
	while (tap->borrowed_count)
		arena_put(tap->datapath->arena, tap->borrowed[--tap->borrowed_count]);
	if (tap->pinned)
		arena_unpin(tap->datapath->arena);
	tap->pinned = false;
}

void tap_drop(struct tap *tap)
{
	if (tap->ring)
		tap->produced = tap->ring->produced;
	empty(tap);
}

/* ---- which way ---- */

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static bool pump_is_better(const struct tap *tap, uint32_t frames)
{
	const struct tap_cost *by_write = &tap->costs[TAP_BY_WRITE][frames];
	const struct tap_cost *by_doorbell = &tap->costs[TAP_BY_DOORBELL][frames];

	if (by_write->trials < ENOUGH || by_doorbell->trials < ENOUGH)
		return frames >= TAP_PUMP_FROM;
	return by_doorbell->ns < by_write->ns;
}

/* Keeps to the shortest times: the longer ones had other processes, or other work, in between. */
static void learn(struct tap *tap, struct tap_cost *cost, uint64_t ns)
{
	uint32_t rise = cost->ns / RISE + 1, from = TAP_TRIAL_MAX + 1;

	if (!cost->trials++ || ns < cost->ns)
		cost->ns = (uint32_t)(ns < LONGEST_NS ? ns : LONGEST_NS);
	else
		cost->ns += (uint32_t)(ns - cost->ns < rise ? ns - cost->ns : rise);
	while (from > 2 && pump_is_better(tap, from - 1))
		from--;
	tap->pump_from = from;
}

/* Sends by the way that was not tried last. */
static void try(struct tap *tap, uint32_t frames)
{
	uint64_t start_ns = clock_ns();

	tap->trial = tap->trial == TAP_BY_WRITE ? TAP_BY_DOORBELL : TAP_BY_WRITE;
	if (tap->trial == TAP_BY_DOORBELL)
		ring_doorbell(tap);
	else
		write_frames(tap);
	learn(tap, &tap->costs[tap->trial][frames], clock_ns() - start_ns);
}

void tap_flush(struct tap *tap)
{
	uint32_t frames = waiting(tap);

	if (!frames)
		return;
	if (frames > 1 && frames <= TAP_TRIAL_MAX && tap->pump_from != TAP_NO_PUMP &&
	    !(++tap->flushes & TAP_TRIAL_MASK))
		try(tap, frames);
	else if (frames >= tap->pump_from)
		ring_doorbell(tap);
	else
		write_frames(tap);
	empty(tap);
}

bool tap_usable(struct tap *tap)
{
	return !tap->broken && xdp_device_takes_frames(&tap->device);
}
