/* SPDX-License-Identifier: BSD-2-Clause */
/* Who runs an endpoint, and its rounds of work, spinning and sleeping: see drive.h. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "client.h"
#include "drive.h"

#define NS_PER_S           1000000000ull
#define SLEEP_MAX_NS       (3600 * NS_PER_S)
#define SPINS_BEFORE_YIELD 64

uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uintptr_t self(void)
{
	return (uintptr_t)pthread_self();
}

static void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* ---- holding ---- */

void drive_hold(struct tern_endpoint *endpoint)
{
	uintptr_t nobody = 0;

	for (unsigned int tries = 1; !atomic_compare_exchange_weak_explicit(
		     &endpoint->holder, &nobody, self(), memory_order_acquire, memory_order_relaxed);
	     tries++) {
		nobody = 0;
		if (tries % SPINS_BEFORE_YIELD == 0)
			sched_yield();
		else
			pause_cpu();
	}
}

void drive_let_go(struct tern_endpoint *endpoint)
{
	atomic_store_explicit(&endpoint->holder, 0, memory_order_release);
}

bool drive_is_nested(const struct tern_endpoint *endpoint)
{
	return atomic_load_explicit(&endpoint->holder, memory_order_relaxed) == self();
}

static bool may_drive(const struct tern_endpoint *endpoint)
{
	uintptr_t driver = atomic_load_explicit(&endpoint->driver, memory_order_relaxed);

	return driver == self() || (driver == 0 && !endpoint->options.thread);
}

enum drive_entry drive_enter(struct tern_endpoint *endpoint)
{
	if (drive_is_nested(endpoint))
		return DRIVE_NESTED;
	if (!may_drive(endpoint))
		return DRIVE_REFUSED;
	drive_hold(endpoint);
	return DRIVE_ENTERED;
}

enum drive_entry drive_lock(struct tern_endpoint *endpoint)
{
	if (drive_is_nested(endpoint))
		return DRIVE_NESTED;
	atomic_fetch_add(&endpoint->wanted, 1);
	drive_hold(endpoint);
	atomic_fetch_sub(&endpoint->wanted, 1);
	return DRIVE_ENTERED;
}

/* Lets threads that wait in drive_lock have the endpoint. */
static void give_way(struct tern_endpoint *endpoint)
{
	if (atomic_load_explicit(&endpoint->wanted, memory_order_relaxed) == 0)
		return;
	drive_let_go(endpoint);
	while (atomic_load_explicit(&endpoint->wanted, memory_order_relaxed) != 0)
		sched_yield();
	drive_hold(endpoint);
}

/* ---- sleeping and waking ---- */

void drive_wake(struct tern_endpoint *endpoint)
{
	static const uint64_t one = 1;

	/* The write cannot fail: the counter is far from its end, as it is written once for each sleep. */
	if (atomic_exchange(&endpoint->asleep, false) && write(endpoint->event_fd, &one, sizeof(one)) < 0)
		endpoint_log(endpoint, TERN_LOG_ERROR, "eventfd: %s", strerrordesc_np(errno));
}

void drive_ask(struct tern_endpoint *endpoint, struct tern_call *call, unsigned int what)
{
	if (atomic_fetch_or(&call->asked, what) != 0)
		return;
	queue_push(&endpoint->queue, call);
	if (atomic_load(&endpoint->asleep))
		drive_wake(endpoint);
}

/*
 * The driving thread says that it is about to sleep, and then looks at the queue; a
 * thread that asks pushes, and then looks whether the driving thread sleeps. Both are
 * sequentially consistent, so at least one of them sees the other.
 */
static void fall_asleep(struct tern_endpoint *endpoint)
{
	atomic_store(&endpoint->asleep, true);
}

void drive_awake(struct tern_endpoint *endpoint)
{
	uint64_t count;

	if (!atomic_exchange(&endpoint->asleep, false))
		endpoint->event_to_read = true;
	/* Whoever woke us may not have written yet: then it is read on a later wake-up. */
	if (endpoint->event_to_read && read(endpoint->event_fd, &count, sizeof(count)) == sizeof(count))
		endpoint->event_to_read = false;
}

/* When there is something to do next even if nothing arrives. */
static uint64_t next_work_ns(const struct tern_endpoint *endpoint)
{
	uint64_t next = deadline_next_ns(&endpoint->deadlines);

	for (unsigned int i = 0; i < endpoint->slot_count; i++) {
		const struct transport_slot *slot = &endpoint->slots[i];
		uint64_t timeout = slot->ops->timeout(slot->transport);
		uint64_t at =
			timeout < UINT64_MAX - endpoint->now_ns ? endpoint->now_ns + timeout : UINT64_MAX;

		next = at < next ? at : next;
	}
	return next;
}

/* timer_fd has fired: makes it unreadable. */
static void read_timer_fd(struct tern_endpoint *endpoint)
{
	uint64_t count;

	endpoint->timer_ns = DEADLINE_NEVER;
	if (read(endpoint->timer_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		endpoint_log(endpoint, TERN_LOG_ERROR, "timerfd: %s", strerrordesc_np(errno));
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
}

/*
 * Arms timer_fd, if it is not armed already for this time or an earlier one: mostly
 * deadlines are set later and later and none is reached, which costs nothing this way.
 */
static void arm_timer_fd(struct tern_endpoint *endpoint)
{
	uint64_t next = next_work_ns(endpoint);
	struct itimerspec spec = { .it_value = to_timespec(next ? next : 1) };

	if (next >= endpoint->timer_ns)
		return;
	if (timerfd_settime(endpoint->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0) {
		endpoint_log(endpoint, TERN_LOG_ERROR, "timerfd: %s", strerrordesc_np(errno));
		return;
	}
	endpoint->timer_ns = next;
	endpoint->counters.timer_arms++;
}

void drive_asleep(struct tern_endpoint *endpoint)
{
	if (endpoint->timer_fd >= 0)
		arm_timer_fd(endpoint);
	fall_asleep(endpoint);
	if (!queue_is_empty(&endpoint->queue))
		drive_wake(endpoint);
}

int drive_use_timer_fd(struct tern_endpoint *endpoint)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (endpoint->timer_fd >= 0)
		return 0;
	endpoint->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (endpoint->timer_fd < 0)
		return -errno;
	if (epoll_ctl(endpoint->epoll_fd, EPOLL_CTL_ADD, endpoint->timer_fd, &event) < 0) {
		int error = -errno;

		close(endpoint->timer_fd);
		endpoint->timer_fd = -1;
		return error;
	}
	return 0;
}

void drive_leave(struct tern_endpoint *endpoint, enum drive_entry entry)
{
	if (entry != DRIVE_ENTERED)
		return;
	if (endpoint->timer_fd >= 0) {
		endpoint->now_ns = clock_ns();
		arm_timer_fd(endpoint);
	}
	drive_let_go(endpoint);
	/* Another thread may sleep with times that this one has changed. */
	if (!may_drive(endpoint))
		drive_wake(endpoint);
}

/* ---- rounds ---- */

int drive_drain(struct tern_endpoint *endpoint)
{
	struct tern_call *call = queue_take(&endpoint->queue), *next;
	int count = 0;

	for (; call; call = next, count++) {
		unsigned int asked;

		/* Once nothing is asked for any more, another thread may push the call again. */
		next = call->queue_next;
		asked = atomic_exchange(&call->asked, 0);
		if (asked & ASK_START)
			call_set_state(call, CALL_STARTING);
		if (call->state == CALL_DONE)
			call_release(call);
		else if (asked & ASK_ANSWER)
			answer_send_packed(call);
		else if (asked & ASK_CANCEL)
			client_give_up(call, -ECANCELED);
		else if (asked & ASK_FINISH)
			client_end(call, call->client.error);
		else if (asked & ASK_START)
			client_send_packed(call);
	}
	return count;
}

static int expire(struct tern_endpoint *endpoint)
{
	struct deadline *due;
	int count = 0;

	while ((due = deadline_expire(&endpoint->deadlines, endpoint->now_ns))) {
		struct tern_call *call = (void *)((char *)due - offsetof(struct tern_call, timer));

		if (call->is_server)
			answer_instead(call, TERN_DEADLINE_EXCEEDED,
				       "the server did not answer before the deadline");
		else
			client_give_up(call, -ETIME);
		count++;
	}
	return count;
}

static int poll_transport(struct tern_endpoint *endpoint, struct transport_slot *slot)
{
	int n = slot->ops->poll(slot->transport);

	if (n >= 0)
		return n;
	if (n != slot->poll_error)
		endpoint_log(endpoint, TERN_LOG_ERROR, "%s: the transport has failed: %s", slot->ops->scheme,
			     strerrordesc_np(-n));
	slot->poll_error = n;
	return 0;
}

/* Does what there is to do. Returns the number of events. */
static int run_round(struct tern_endpoint *endpoint)
{
	int count;

	endpoint->round_ns = endpoint->now_ns = clock_ns();
	if (endpoint->timer_ns <= endpoint->now_ns)
		read_timer_fd(endpoint);
	count = drive_drain(endpoint);
	for (unsigned int i = 0; i < endpoint->slot_count; i++)
		count += poll_transport(endpoint, &endpoint->slots[i]);
	count += expire(endpoint);
	if (count > 0)
		endpoint->last_event_ns = endpoint->now_ns;
	return count;
}

static bool may_spin(const struct tern_endpoint *endpoint)
{
	switch (endpoint->options.wait) {
	case TERN_WAIT_SPIN:
		return true;
	case TERN_WAIT_BLOCK:
		return false;
	default:
		return endpoint->now_ns - endpoint->last_event_ns < endpoint->options.spin_us * 1000ull;
	}
}

/* Sleeps until there is something to do, at most until `until_ns`. 0 or -EINTR. */
static int sleep_until(struct tern_endpoint *endpoint, uint64_t until_ns)
{
	struct epoll_event events[TRANSPORTS_MAX + 2];
	uint64_t next = next_work_ns(endpoint), sleep_ns;
	struct timespec timeout;
	int n = 0;

	next = next < until_ns ? next : until_ns;
	sleep_ns = next > endpoint->now_ns ? next - endpoint->now_ns : 0;
	timeout = to_timespec(sleep_ns < SLEEP_MAX_NS ? sleep_ns : SLEEP_MAX_NS);
	fall_asleep(endpoint);
	if (sleep_ns > 0 && queue_is_empty(&endpoint->queue) && !atomic_load(&endpoint->stopping)) {
		endpoint->counters.sleeps++;
		drive_let_go(endpoint);
		n = epoll_pwait2(endpoint->epoll_fd, events, TRANSPORTS_MAX + 2, &timeout, NULL);
		n = n < 0 ? -errno : n;
		drive_hold(endpoint);
	}
	drive_awake(endpoint);
	return n == -EINTR ? n : 0;
}

int drive_step(struct tern_endpoint *endpoint, uint64_t until_ns)
{
	int count;

	give_way(endpoint);
	count = run_round(endpoint);
	if (count > 0 || endpoint->now_ns >= until_ns)
		return count;
	if (!may_spin(endpoint))
		return sleep_until(endpoint, until_ns);
	pause_cpu();
	return 0;
}

bool drive_become_driver(struct tern_endpoint *endpoint)
{
	uintptr_t nobody = 0;

	return atomic_load_explicit(&endpoint->driver, memory_order_relaxed) == self() ||
	       atomic_compare_exchange_strong(&endpoint->driver, &nobody, self());
}

int tern_endpoint_poll(struct tern_endpoint *endpoint, int timeout_us)
{
	uint64_t until = timeout_us < 0 ? DEADLINE_NEVER : 0;
	int count;

	if (drive_is_nested(endpoint))
		return -EDEADLK;
	if (endpoint->options.thread || !drive_become_driver(endpoint))
		return -EPERM;
	drive_hold(endpoint);
	drive_awake(endpoint);
	if (timeout_us > 0)
		until = deadline_after(clock_ns(), (uint64_t)timeout_us);
	do {
		count = drive_step(endpoint, until);
	} while (count == 0 && endpoint->now_ns < until);
	drive_asleep(endpoint);
	drive_let_go(endpoint);
	return count;
}

int drive_until(struct tern_endpoint *endpoint, const bool *done)
{
	int rc = 0;

	if (!drive_become_driver(endpoint))
		return -EPERM;
	drive_awake(endpoint);
	/* A signal does not end a synchronous call: its deadline does. */
	while (!*done && rc >= 0) {
		rc = drive_step(endpoint, DEADLINE_NEVER);
		rc = rc == -EINTR ? 0 : rc;
	}
	drive_asleep(endpoint);
	return rc < 0 ? rc : 0;
}
