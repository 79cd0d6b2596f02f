/* SPDX-License-Identifier: BSD-2-Clause */
/* Endpoints: their life, their transports, and what they tell about themselves. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "client.h"
#include "drive.h"
#include "endpoint.h"
#include "options.h"
#include "server.h"
#include "thread.h"

/* ---- log ---- */

void endpoint_log(const struct tern_endpoint *endpoint, enum tern_log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list list;

	if (!endpoint->options.log)
		return;
	va_start(list, format);
	if (vsnprintf(line, sizeof(line), format, list) >= 0)
		endpoint->options.log(endpoint->options.log_ctx, level, line);
	va_end(list);
}

static void transport_log(void *ctx, int level, const char *line)
{
	const struct transport_slot *slot = ctx;

	endpoint_log(slot->endpoint, (enum tern_log_level)level, "%s", line);
}

/* ---- options ---- */

static void free_parameters(const struct tern_parameter *parameters)
{
	for (const struct tern_parameter *p = parameters; p && p->name; p++)
		free((void *)(uintptr_t)p->name);
	free((void *)(uintptr_t)parameters);
}

/* Transports are opened later, when the caller's array may be gone. */
static int copy_parameters(struct tern_endpoint_options *options)
{
	const struct tern_parameter *from = options->parameters;
	struct tern_parameter *copy;
	size_t count = 0;

	if (!from)
		return 0;
	options->parameters = NULL;
	while (from[count].name)
		if (++count > PARAMETERS_MAX)
			return -EINVAL;
	copy = calloc(count + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		copy[i] = (struct tern_parameter){ .name = strdup(from[i].name), .value = from[i].value };
		if (!copy[i].name) {
			free_parameters(copy);
			return -ENOMEM;
		}
	}
	options->parameters = copy;
	return 0;
}

static int check_options(const struct tern_endpoint *endpoint)
{
	const struct tern_endpoint_options *options = &endpoint->options;
	const char *wrong = NULL;

	if (options->wait > TERN_WAIT_BLOCK)
		wrong = "wait is none of TERN_WAIT_ADAPTIVE, _SPIN, _BLOCK";
	else if (options->spin_us > SPIN_US_MAX)
		wrong = "spin_us is above 1000000: use TERN_WAIT_SPIN";
	else if (options->cpu_plus_1 < 0 || options->cpu_plus_1 > CPU_SETSIZE)
		wrong = "cpu_plus_1 is not the number of a CPU, plus one";
	else if (options->cpu_plus_1 && !options->thread)
		wrong = "cpu_plus_1 pins the endpoint's thread, but there is none: set thread";
	else if (options->datapath > TERN_DATAPATH_XSK)
		wrong = "datapath is none of TERN_DATAPATH_AUTO, _INPLACE, _XSK";
	else if (options->datapath_parts >= TERN_PART_PUMP << 1)
		wrong = "datapath_parts has bits that are none of enum tern_datapath_part";
	else if (options->xdp_mode > TERN_XDP_GENERIC)
		wrong = "xdp_mode is none of TERN_XDP_AUTO, _NATIVE, _GENERIC";
	else if (options->max_calls > CALLS_MAX)
		wrong = "max_calls is above 1048576";
	if (!wrong)
		return 0;
	endpoint_log(endpoint, TERN_LOG_ERROR, "endpoint options: %s", wrong);
	return -EINVAL;
}

/* Takes over the caller's options. What was allocated is freed with the endpoint, even after an error. */
static int set_options(struct tern_endpoint *endpoint, const struct tern_endpoint_options *from)
{
	struct tern_endpoint_options *options = &endpoint->options;
	int rc = options_copy(options, sizeof(*options), from);

	if (rc < 0)
		return rc;
	rc = copy_parameters(options);
	if (rc < 0) {
		endpoint_log(endpoint, TERN_LOG_ERROR, "endpoint options: parameters: %s",
			     rc == -EINVAL ? "more than 64, or no NULL name at their end" : "no memory");
		return rc;
	}
	options->max_calls = options->max_calls ? options->max_calls : MAX_CALLS_DEFAULT;
	options->memory = options->memory ? options->memory : MEMORY_DEFAULT;
	options->spin_us = options->spin_us ? options->spin_us : SPIN_US_DEFAULT;
	return check_options(endpoint);
}

/* ---- life ---- */

static int open_fds(struct tern_endpoint *endpoint)
{
	struct epoll_event event = { .events = EPOLLIN };

	endpoint->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (endpoint->epoll_fd < 0)
		return -errno;
	endpoint->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (endpoint->event_fd < 0)
		return -errno;
	return epoll_ctl(endpoint->epoll_fd, EPOLL_CTL_ADD, endpoint->event_fd, &event) < 0 ? -errno : 0;
}

static void free_endpoint(struct tern_endpoint *endpoint)
{
	int fds[] = { endpoint->timer_fd, endpoint->event_fd, endpoint->epoll_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (endpoint->calls)
		call_pool_orphan(endpoint->calls);
	arena_release(&endpoint->replies);
	held_release(&endpoint->held);
	free_parameters(endpoint->options.parameters);
	free(endpoint);
}

static int set_up(struct tern_endpoint *endpoint, const struct tern_endpoint_options *options)
{
	int rc = set_options(endpoint, options);

	if (rc < 0)
		return rc;
	rc = open_fds(endpoint);
	if (rc < 0)
		return rc;
	rc = call_pool_create(endpoint, endpoint->options.max_calls, &endpoint->calls);
	if (rc < 0)
		return rc;
	while (endpoint->incarnation == 0)
		if (getrandom(&endpoint->incarnation, sizeof(endpoint->incarnation), 0) < 0)
			return -errno;
	endpoint->now_ns = clock_ns();
	deadline_init(&endpoint->deadlines, endpoint->now_ns);
	return endpoint->options.thread ? thread_start(endpoint) : 0;
}

int tern_endpoint_create(const struct tern_endpoint_options *options, struct tern_endpoint **endpoint)
{
	struct tern_endpoint *made = aligned_alloc(_Alignof(struct tern_endpoint), sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	memset(made, 0, sizeof(*made));
	made->epoll_fd = made->event_fd = made->timer_fd = -1;
	made->timer_ns = DEADLINE_NEVER;
	atomic_init(&made->asleep, true);
	arena_init(&made->replies, made->reply_memory, sizeof(made->reply_memory));
	rc = set_up(made, options);
	if (rc < 0) {
		free_endpoint(made);
		return rc;
	}
	*endpoint = made;
	return 0;
}

void tern_endpoint_destroy(struct tern_endpoint *endpoint)
{
	if (!endpoint)
		return;
	if (drive_is_nested(endpoint)) {
		endpoint_log(endpoint, TERN_LOG_ERROR,
			     "tern_endpoint_destroy was called from inside a callback");
		return;
	}
	if (endpoint->options.thread)
		thread_stop(endpoint);
	atomic_store(&endpoint->closing, true);
	drive_lock(endpoint);
	while (drive_drain(endpoint) > 0)
		;
	while (endpoint->channels)
		channel_close(endpoint->channels);
	while (endpoint->servers)
		server_close(endpoint->servers);
	while (drive_drain(endpoint) > 0)
		;
	for (unsigned int i = 0; i < endpoint->slot_count; i++)
		endpoint->slots[i].ops->close(endpoint->slots[i].transport);
	free_endpoint(endpoint);
}

/* ---- transports ---- */

int endpoint_add_transport(struct tern_endpoint *endpoint, const struct transport_ops *ops)
{
	static const struct transport_callbacks callbacks = {
		.request = server_request,
		.response = client_response,
		.failed = client_failed,
		.cancelled = server_cancelled,
		.log = transport_log,
	};
	struct transport_slot *slot = &endpoint->slots[endpoint->slot_count];
	struct epoll_event event = { .events = EPOLLIN };
	int rc;

	if (endpoint->slot_count == TRANSPORTS_MAX)
		return -EMFILE;
	*slot = (struct transport_slot){ .endpoint = endpoint, .ops = ops };
	rc = ops->open(&endpoint->options, &callbacks, slot, &slot->transport);
	if (rc < 0)
		return rc;
	if (epoll_ctl(endpoint->epoll_fd, EPOLL_CTL_ADD, ops->fd(slot->transport), &event) < 0) {
		rc = -errno;
		ops->close(slot->transport);
		return rc;
	}
	endpoint->slot_count++;
	return 0;
}

int endpoint_transport_for(struct tern_endpoint *endpoint, const struct address *address,
			   struct transport_slot **slot)
{
	const struct transport_ops *ops;
	int rc;

	for (unsigned int i = 0; i < endpoint->slot_count; i++) {
		*slot = &endpoint->slots[i];
		if (strcmp((*slot)->ops->scheme, address->scheme) == 0)
			return 0;
	}
	ops = transport_find(address->scheme);
	if (!ops) {
		endpoint_log(endpoint, TERN_LOG_ERROR,
			     "there is no transport \"%s\"; addresses begin with homa://", address->scheme);
		return -EPROTONOSUPPORT;
	}
	rc = endpoint_add_transport(endpoint, ops);
	if (rc == 0)
		*slot = &endpoint->slots[endpoint->slot_count - 1];
	return rc;
}

/* ---- what it tells ---- */

int tern_endpoint_fd(struct tern_endpoint *endpoint)
{
	enum drive_entry entry;
	int rc;

	if (endpoint->options.thread)
		return -EPERM;
	entry = drive_lock(endpoint);
	rc = drive_use_timer_fd(endpoint);
	drive_leave(endpoint, entry);
	return rc < 0 ? rc : endpoint->epoll_fd;
}

void tern_endpoint_describe(struct tern_endpoint *endpoint, char *buffer, size_t size)
{
	enum drive_entry entry;
	size_t used = 0;

	if (size == 0)
		return;
	entry = drive_lock(endpoint);
	snprintf(buffer, size, "no transport is in use yet");
	for (unsigned int i = 0; i < endpoint->slot_count && used + 2 < size; i++) {
		const struct transport_slot *slot = &endpoint->slots[i];

		if (used > 0)
			buffer[used++] = '\n';
		buffer[used] = 0;
		slot->ops->describe(slot->transport, buffer + used, size - used);
		used += strlen(buffer + used);
	}
	drive_leave(endpoint, entry);
}

void tern_endpoint_counters(struct tern_endpoint *endpoint,
			    void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	enum drive_entry entry = drive_lock(endpoint);
	const struct endpoint_counters *c = &endpoint->counters;
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{ "rpc_calls_started", c->calls_started },
		{ "rpc_calls_ok", c->calls_ok },
		{ "rpc_calls_failed", c->calls_failed },
		{ "rpc_calls_timed_out", c->calls_timed_out },
		{ "rpc_calls_cancelled", c->calls_cancelled },
		{ "rpc_requests", c->requests },
		{ "rpc_requests_refused", c->requests_refused },
		{ "rpc_requests_malformed", c->requests_malformed },
		{ "rpc_requests_expired", c->requests_expired },
		{ "rpc_requests_cancelled", c->requests_cancelled },
		{ "rpc_requests_held", c->requests_held },
		{ "rpc_replies", c->replies },
		{ "rpc_replies_unwanted", c->replies_unwanted },
		{ "rpc_sleeps", c->sleeps },
		{ "rpc_timer_arms", c->timer_arms },
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		each(ctx, counters[i].name, counters[i].value);
	for (unsigned int i = 0; i < endpoint->slot_count; i++)
		endpoint->slots[i].ops->counters(endpoint->slots[i].transport, each, ctx);
	drive_leave(endpoint, entry);
}
