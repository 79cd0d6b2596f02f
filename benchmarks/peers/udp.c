/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's UDP: datagrams echoed, one by one or, with several outstanding, by the batch. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

#define BATCH        64
#define DATAGRAM_MAX 1472 /* what an MTU of 1500 holds */
#define LOST_NS      100000000u
#define WINDOW_MAX   1024u

struct batch {
	int fd;
	int flags; /* of receiving */
	uint32_t room;
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_in from[BATCH];
	uint8_t bytes[BATCH][DATAGRAM_MAX];
};

static void batch_init(struct batch *batch, int fd, const struct peer_options *options)
{
	if (options->size > DATAGRAM_MAX || options->outstanding > WINDOW_MAX) {
		errno = EMSGSIZE;
		peer_fail("UDP: at most 1472 bytes, and 1024 outstanding");
	}
	batch->fd = fd;
	batch->flags = options->spin ? MSG_DONTWAIT : MSG_WAITFORONE;
	batch->room = options->outstanding < BATCH ? options->outstanding : BATCH;
	for (int i = 0; i < BATCH; i++) {
		batch->vectors[i].iov_base = batch->bytes[i];
		batch->messages[i].msg_hdr.msg_iov = &batch->vectors[i];
		batch->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

/* How many came: 0 if none did, by the time-out or when spinning. */
static uint32_t receive(struct batch *batch, bool named)
{
	int n;

	for (uint32_t i = 0; i < batch->room; i++) {
		batch->vectors[i].iov_len = DATAGRAM_MAX;
		batch->messages[i].msg_hdr.msg_name = named ? &batch->from[i] : NULL;
		batch->messages[i].msg_hdr.msg_namelen = named ? sizeof(batch->from[i]) : 0;
	}
	if (batch->room == 1) {
		n = (int)recvmsg(batch->fd, &batch->messages[0].msg_hdr, batch->flags & MSG_DONTWAIT);
		if (n >= 0) {
			batch->messages[0].msg_len = (unsigned)n;
			n = 1;
		}
	} else {
		n = recvmmsg(batch->fd, batch->messages, batch->room, batch->flags, NULL);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
		peer_fail("receiving");
	return n > 0 ? (uint32_t)n : 0;
}

static void send_all(struct batch *batch, uint32_t count)
{
	if (count == 1) {
		if (sendmsg(batch->fd, &batch->messages[0].msg_hdr, 0) < 0)
			peer_fail("sending");
		return;
	}
	for (uint32_t sent = 0; sent < count;) {
		int n = sendmmsg(batch->fd, batch->messages + sent, count - sent, 0);

		if (n < 0)
			peer_fail("sending");
		sent += (uint32_t)n;
	}
}

void udp_serve(const struct peer_options *options)
{
	static struct batch batch;

	batch_init(&batch, socket_bound(options, SOCK_DGRAM), options);
	peer_say_serving(options);
	for (;;) {
		uint32_t count = receive(&batch, true);

		for (uint32_t i = 0; i < count; i++)
			batch.vectors[i].iov_len = batch.messages[i].msg_len;
		if (count)
			send_all(&batch, count);
	}
}

/* Sends `count` requests, at most a batch. Each begins with its number. */
static void request(struct batch *batch, const struct peer_options *options, uint64_t first, uint32_t count,
		    uint64_t *sent_ns)
{
	uint64_t now = peer_now_ns();

	for (uint32_t i = 0; i < count; i++) {
		uint64_t number = first + i;

		memcpy(batch->bytes[i], &number, sizeof(number));
		batch->vectors[i].iov_len = options->size;
		batch->messages[i].msg_hdr.msg_name = NULL;
		batch->messages[i].msg_hdr.msg_namelen = 0;
		sent_ns[number % WINDOW_MAX] = now;
	}
	send_all(batch, count);
}

void udp_load(const struct peer_options *options, struct peer_measure *measure)
{
	struct timeval wait = { .tv_usec = LOST_NS / 1000 };
	static uint64_t sent_ns[WINDOW_MAX];
	static struct batch batch;
	uint64_t issued = 0, done = 0, oldest = 0, now, last_ns = peer_now_ns();

	batch_init(&batch, socket_connected(options, SOCK_DGRAM), options);
	if (setsockopt(batch.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		peer_fail("SO_RCVTIMEO");
	peer_measure_start(measure, options);
	while ((now = peer_now_ns()) < measure->end_ns) {
		uint32_t count;

		while (issued - done < options->outstanding) {
			count = options->outstanding - (uint32_t)(issued - done);
			count = count < batch.room ? count : batch.room;
			request(&batch, options, issued, count, sent_ns);
			issued += count;
		}
		count = receive(&batch, false);
		now = peer_now_ns();
		for (uint32_t i = 0; i < count; i++) {
			uint64_t number;

			memcpy(&number, batch.bytes[i], sizeof(number));
			if (number < oldest)
				continue; /* it was given up */
			peer_measure_note(measure, sent_ns[number % WINDOW_MAX], now);
			done++;
			last_ns = now;
		}
		if (issued > done && now - last_ns > LOST_NS) {
			measure->lost += issued - done;
			oldest = done = issued;
			last_ns = now;
		}
	}
}
