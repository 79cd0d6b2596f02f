/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who runs an endpoint. At any time one thread holds it: the driving thread during a
 * poll (but not while it sleeps in there), or, for the time of one function, another
 * one that sets something up. Calls do not wait to hold it: either the calling thread
 * may (drive_enter), or it asks through the queue.
 */
#ifndef TERN_DRIVE_H
#define TERN_DRIVE_H

#include "endpoint.h"

enum drive_entry {
	DRIVE_REFUSED, /* another thread's: ask through the queue */
	DRIVE_NESTED,  /* held already: inside a callback */
	DRIVE_ENTERED,
};

/* Takes the endpoint for the driving thread, or for anyone if nobody drives it yet. Undone by drive_leave. */
enum drive_entry drive_enter(struct tern_endpoint *endpoint);
void drive_leave(struct tern_endpoint *endpoint, enum drive_entry entry);

/*
 * Takes the endpoint whoever the caller is, waiting for the driving thread to pause.
 * For what is done seldom. Undone by drive_leave, which makes the driving thread look
 * at its timers again.
 */
enum drive_entry drive_lock(struct tern_endpoint *endpoint);

/* True inside a callback. */
bool drive_is_nested(const struct tern_endpoint *endpoint);

/* Asks the driving thread for `what` (enum call_ask) about a call, and wakes it. Any thread. */
void drive_ask(struct tern_endpoint *endpoint, struct tern_call *call, unsigned int what);

/* Wakes the driving thread if it sleeps. Any thread. */
void drive_wake(struct tern_endpoint *endpoint);

/* Makes the caller the driving thread and runs until `*done`. The endpoint is held. -EPERM: another is. */
int drive_until(struct tern_endpoint *endpoint, const bool *done);

/*
 * ---- the parts of driving: become_driver, hold, awake, step ..., asleep, let_go ----
 */

/* True when this thread drives the endpoint, from now on if nobody did. */
bool drive_become_driver(struct tern_endpoint *endpoint);
/* Waits for whoever has it for the moment. */
void drive_hold(struct tern_endpoint *endpoint);
void drive_let_go(struct tern_endpoint *endpoint);
/* From here on the driving thread looks at the queue by itself. */
void drive_awake(struct tern_endpoint *endpoint);
/* One round of work, and if there was none a pause, until `until_ns` at most. Events, or -EINTR. */
int drive_step(struct tern_endpoint *endpoint, uint64_t until_ns);
/* The driving thread goes back to its program, which may wait on the endpoint's fd. */
void drive_asleep(struct tern_endpoint *endpoint);

/* The endpoint is held. Sets up timer_fd, from then on armed whenever the driving thread leaves. -errno. */
int drive_use_timer_fd(struct tern_endpoint *endpoint);

/* Handles what other threads asked for. The endpoint is held. Returns how many. */
int drive_drain(struct tern_endpoint *endpoint);

#endif
