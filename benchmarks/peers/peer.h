/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rivals of Tern share: options, the window that is measured, the result. Included
 * by C and by C++.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../load_histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PEER_MESSAGE_MAX 1000000u
#define PEER_CONNECTIONS_MAX 1024u
#define PEER_OUTSTANDING_MAX 65536u /* of all connections together */

struct peer_options {
	const char *system;   /* the first word of the command line */
	const char *host;     /* to connect to; NULL: serve */
	uint16_t port;
	const char *device;   /* the bare limit's, instead of a port */
	bool spin;
	uint32_t size;        /* bytes of a request */
	uint32_t reply_size;
	uint32_t connections;
	uint32_t outstanding; /* of all connections together; a multiple of them */
	double warmup_s;
	double duration_s;
};

/* One client's measurement. */
struct peer_measure {
	uint64_t begin_ns; /* the window */
	uint64_t end_ns;
	uint64_t completed; /* answers inside it */
	uint64_t lost;
	struct histogram latency;
};

static inline uint64_t peer_now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Reads the command line; on a mistake says which and exits with 2. */
void peer_options_parse(int argc, char **argv, const char *systems, struct peer_options *options);

/* The window begins after the warm-up, from now on. */
void peer_measure_start(struct peer_measure *measure, const struct peer_options *options);

/* Notes an answer. Called by one thread at a time. */
static inline void peer_measure_note(struct peer_measure *measure, uint64_t sent_ns, uint64_t now_ns)
{
	if (now_ns < measure->begin_ns || now_ns >= measure->end_ns)
		return;
	measure->completed++;
	histogram_record(&measure->latency, now_ns - sent_ns);
}

/* Prints one line of JSON. False when nothing was measured. */
bool peer_measure_print(const struct peer_measure *measure, const struct peer_options *options);

/* Says that clients may come: a line that begins with "serving". */
void peer_say_serving(const struct peer_options *options);

/* Prints what failed, with errno's text, and exits with 1. */
__attribute__((noreturn)) void peer_fail(const char *what);

#ifdef __cplusplus
}
#endif
#endif
