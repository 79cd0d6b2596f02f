/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Synchronous calls. The driving thread of an endpoint runs it until the answer is
 * there: no queue, no wake-up, no allocation. Any other thread spins for a moment, then
 * sleeps on a futex.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "drive.h"
#include "status.h"

enum waiter_state { WAITER_RUNNING, WAITER_SLEEPING, WAITER_DONE };

struct waiter {
	bool done; /* for drive_until: set by the thread that reads it */
	atomic_uint state;
	struct tern_result *result;
	ProtobufCMessage *reply;
};

static void wake(const struct tern_result *result, const ProtobufCMessage *reply, void *ctx)
{
	struct waiter *waiter = ctx;
	atomic_uint *state = &waiter->state;

	if (result->status == TERN_OK)
		waiter->result->status = TERN_OK;
	else
		*waiter->result = *result;
	waiter->reply = (ProtobufCMessage *)(uintptr_t)reply;
	waiter->done = true;
	/* From here on the waiter may be gone: a wake-up of nobody at its address does no harm. */
	if (atomic_exchange(state, WAITER_DONE) == WAITER_SLEEPING)
		syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool is_done(const struct waiter *waiter)
{
	return atomic_load_explicit(&waiter->state, memory_order_acquire) == WAITER_DONE;
}

/* Waits for another thread to drive the endpoint. */
static void wait_for_driver(const struct tern_endpoint *endpoint, struct waiter *waiter)
{
	uint64_t spin_ns =
		endpoint->options.wait == TERN_WAIT_BLOCK ? 0 : endpoint->options.spin_us * 1000ull;
	uint64_t begin = clock_ns();
	unsigned int running = WAITER_RUNNING;

	while (!is_done(waiter) && clock_ns() - begin < spin_ns)
		;
	if (is_done(waiter) || !atomic_compare_exchange_strong(&waiter->state, &running, WAITER_SLEEPING))
		return;
	while (!is_done(waiter))
		syscall(SYS_futex, &waiter->state, FUTEX_WAIT_PRIVATE, WAITER_SLEEPING, NULL, NULL, 0);
}

/* Starts the call and waits. An error: there was no call. */
static int call_and_wait(struct tern_channel *channel, const struct tern_method *method,
			 const struct tern_call_options *options, const ProtobufCMessage *request,
			 struct waiter *waiter)
{
	struct tern_endpoint *endpoint = channel->endpoint;
	enum drive_entry entry = drive_enter(endpoint);
	int rc;

	if (entry == DRIVE_NESTED)
		return -EDEADLK;
	rc = client_start(channel, method, options, request, true, wake, waiter, NULL);
	if (rc == 0 && entry == DRIVE_ENTERED)
		drive_until(endpoint, &waiter->done);
	drive_leave(endpoint, entry);
	/* Nobody drove the endpoint when this began, but another thread was faster. */
	if (rc == 0 && !is_done(waiter))
		wait_for_driver(endpoint, waiter);
	return rc;
}

enum tern_status tern_call_wait(struct tern_channel *channel, const struct tern_method *method,
				const struct tern_call_options *options, const ProtobufCMessage *request,
				ProtobufCMessage **reply, struct tern_result *result)
{
	struct tern_result own;
	struct waiter waiter = { .result = result ? result : &own };
	int rc;

	waiter.result->message[0] = 0;
	rc = call_and_wait(channel, method, options, request, &waiter);
	if (rc == -EDEADLK)
		status_set(
			waiter.result, TERN_FAILED_PRECONDITION,
			"a synchronous call inside a callback would wait for ever: use the asynchronous");
	else if (rc < 0)
		status_from_error(waiter.result, rc, channel->address);
	else if (waiter.result->status == TERN_OK)
		*reply = waiter.reply;
	return waiter.result->status;
}
