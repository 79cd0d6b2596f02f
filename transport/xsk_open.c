// SPDX-License-Identifier: BSD-2-Clause
/* Opening a device's link: check the device, attach the program, bind a socket to each queue. */
#include "xsk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "net_headers.h"
#include "xsk_link.h"

#define RETRY_INTERVAL_US 2000
#define XDP_HEADROOM      256 /* bytes that the kernel leaves in front of a received frame */
#define SMALL_FRAME       2048
#define LARGE_FRAME       4096

static int check_options(const struct xsk_link_options *options, const struct link_log *log)
{
	uint32_t frames = options->frames;

	if (frames && (frames < XSK_MIN_FRAMES || frames > XSK_MAX_FRAMES || frames & (frames - 1))) {
		link_logf(log, TERN_LOG_ERROR, "%u frames per queue: must be a power of two from %u to %u",
			  frames, XSK_MIN_FRAMES, XSK_MAX_FRAMES);
		return -EINVAL;
	}
	return 0;
}

static int check_device(const struct xsk_device *device, const struct link_log *log)
{
	if (device->mtu > XSK_MAX_MTU) {
		link_logf(log, TERN_LOG_ERROR,
			  "MTU %u: XDP takes packets of up to %u bytes (ip link set dev %s mtu %u)",
			  device->mtu, XSK_MAX_MTU, log->device, XSK_MAX_MTU);
		return -EMSGSIZE;
	}
	if (device->queues > XSK_MAX_QUEUES) {
		link_logf(log, TERN_LOG_ERROR,
			  "%u receive queues: at most %u are served (ethtool -L %s combined %u)",
			  device->queues, XSK_MAX_QUEUES, log->device, XSK_MAX_QUEUES);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* One allocation for what is counted in frames: each queue's held list, and the free stack. */
static int allocate_lists(struct xsk_link *xsk, uint32_t queues)
{
	xsk->addresses = calloc((queues + 1) * xsk->frames, sizeof(*xsk->addresses));
	if (!xsk->addresses)
		return -ENOMEM;
	for (uint32_t i = 0; i < queues; i++)
		xsk->queues[i].held = xsk->addresses + i * xsk->frames;
	xsk->free = xsk->addresses + queues * xsk->frames;
	return 0;
}

/* A queue's first frames go to the kernel; what the first queue has beyond is to send from. */
static void distribute_frames(struct xsk_link *xsk)
{
	for (uint32_t i = 0; i < xsk->queue_count; i++)
		xsk_queue_fill(&xsk->queues[i].xsk, xsk->frames);
	for (uint32_t frame = 0; frame < xsk->frames; frame++)
		xsk->free[xsk->free_count++] =
			(uint64_t)(xsk->frames + frame) * xsk->queues[0].xsk.frame_bytes;
}

/* Lifts the limit on locked memory as far as we may. */
static void raise_memory_limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &limit) || getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

static void log_queue_error(const struct link_log *log, const struct xsk_queue_options *queue, int error)
{
	if (error == -EPERM)
		link_logf(log, TERN_LOG_ERROR,
			  "opening an AF_XDP socket is not permitted: it takes CAP_NET_RAW");
	else if (error == -ENOBUFS)
		link_logf(log, TERN_LOG_ERROR,
			  "%u KiB of frames are more than RLIMIT_MEMLOCK allows: raise it (ulimit -l), or "
			  "grant "
			  "CAP_IPC_LOCK",
			  queue->frames * (queue->frame_bytes / 1024));
	else if (error == -EBUSY)
		link_logf(log, TERN_LOG_ERROR, "queue %u has an AF_XDP socket of another process",
			  queue->queue);
	else
		link_logf(log, TERN_LOG_ERROR, "opening the AF_XDP socket of queue %u failed: %s",
			  queue->queue, strerror(-error));
}

/*
 * Opens and binds a queue. A process that has just died may still have its socket
 * bound, or its memory charged to the user: both are waited for.
 */
static int open_queue(struct xsk_queue *queue, const struct xsk_queue_options *options)
{
	const struct timespec interval = { .tv_nsec = RETRY_INTERVAL_US * 1000 };
	int error = xsk_queue_open(queue, options);

	for (uint32_t waited_us = 0;
	     (error == -EBUSY || error == -ENOBUFS) && waited_us < XSK_BUSY_DEADLINE_MS * 1000;
	     waited_us += RETRY_INTERVAL_US) {
		if (error == -ENOBUFS)
			raise_memory_limit();
		nanosleep(&interval, NULL);
		error = xsk_queue_open(queue, options);
	}
	return error;
}

static int open_queues(struct xsk_link *xsk, uint32_t queues)
{
	bool small = xsk->device.mtu + sizeof(struct net_ethernet) + XDP_HEADROOM <= SMALL_FRAME;
	int error;

	for (uint32_t i = 0; i < queues; i++) {
		struct xsk_queue_options options = {
			.device = xsk->log.device,
			.queue = i,
			.entries = xsk->frames,
			.frames = i ? xsk->frames : 2 * xsk->frames,
			.frame_bytes = small ? SMALL_FRAME : LARGE_FRAME,
			/* Without XDP_COPY the kernel tries zero-copy, which generic XDP cannot have. */
			.flags = XDP_USE_NEED_WAKEUP | (xsk->program.native ? 0 : XDP_COPY),
			.transmits = i == 0,
		};

		error = open_queue(&xsk->queues[i].xsk, &options);
		/* A driver that does not tell how many queues it has tells by refusing the first too many. */
		if (error == -EINVAL && i && !xsk->device.queues)
			break;
		if (error) {
			log_queue_error(&xsk->log, &options, error);
			return error;
		}
		xsk->queue_count++;
	}
	xsk->device.queues = xsk->queue_count;
	xsk->zero_copy = xsk_queue_is_zero_copy(&xsk->queues[0].xsk);
	return 0;
}

static int open_epoll(struct xsk_link *xsk)
{
	if (xsk->queue_count == 1)
		return 0;
	xsk->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (xsk->epoll_fd < 0)
		return -errno;
	for (uint32_t i = 0; i < xsk->queue_count; i++) {
		struct epoll_event event = { .events = EPOLLIN };

		if (epoll_ctl(xsk->epoll_fd, EPOLL_CTL_ADD, xsk->queues[i].xsk.fd, &event))
			return -errno;
	}
	return 0;
}

static int steer_queues(struct xsk_link *xsk)
{
	int error = 0;

	for (uint32_t i = 0; i < xsk->queue_count && !error; i++)
		error = xdp_program_set_socket(&xsk->program, i, xsk->queues[i].xsk.fd);
	if (error)
		link_logf(&xsk->log, TERN_LOG_ERROR, "steering to the AF_XDP sockets failed: %s",
			  strerror(-error));
	return error;
}

static int set_up(struct xsk_link *xsk, uint32_t queues, enum tern_xdp_mode mode, const struct xdp_tier *tier)
{
	int error = allocate_lists(xsk, queues);

	if (!error)
		error = xdp_program_open(&xsk->program, &xsk->device, queues, mode, tier, &xsk->log);
	if (!error)
		error = open_queues(xsk, queues);
	if (!error)
		error = open_epoll(xsk);
	if (error)
		return error;
	distribute_frames(xsk);
	return steer_queues(xsk);
}

int xsk_link_open_tier(const struct xsk_link_options *options, const struct xdp_tier *tier,
		       struct link **link)
{
	struct link_log log = { .write = options->log, .ctx = options->log_ctx };
	struct xsk_device device;
	struct xsk_link *xsk;
	uint32_t queues;
	int error = xsk_device_query(&device, options->ifindex, &log);

	if (!error)
		error = check_options(options, &log);
	if (!error)
		error = check_device(&device, &log);
	if (error)
		return error;
	queues = device.queues ? device.queues : XSK_MAX_QUEUES;
	xsk = calloc(1, sizeof(*xsk) + queues * sizeof(xsk->queues[0]));
	if (!xsk)
		return -ENOMEM;
	xsk->link = (struct link){
		.ops = &xsk_link_ops, .mtu = device.mtu, .max_mtu = device.mtu, .ifindex = device.ifindex
	};
	xsk->device = device;
	xsk->frames = options->frames ? options->frames : XSK_DEFAULT_FRAMES;
	xsk->epoll_fd = -1;
	xsk->program.link_fd = -1;
	xsk->log = log;
	error = set_up(xsk, queues, options->mode, tier);
	if (error) {
		xsk_link_close(&xsk->link);
		return error;
	}
	*link = &xsk->link;
	return 0;
}

int xsk_link_open(const struct xsk_link_options *options, struct link **link)
{
	return xsk_link_open_tier(options, NULL, link);
}

void xsk_link_close(struct link *link)
{
	struct xsk_link *xsk = (struct xsk_link *)link;

	xdp_program_close(&xsk->program);
	if (xsk->epoll_fd >= 0)
		close(xsk->epoll_fd);
	while (xsk->queue_count)
		xsk_queue_close(&xsk->queues[--xsk->queue_count].xsk);
	free(xsk->addresses);
	free(xsk);
}

void xsk_link_describe_as(const struct xsk_link *xsk, const char *way, char *buffer, size_t size)
{
	struct utsname kernel = { .release = "0.0" };
	unsigned major = 0, minor = 0;
	char queues[32];

	uname(&kernel);
	sscanf(kernel.release, "%u.%u", &major, &minor);
	if (xsk->queue_count == 1)
		snprintf(queues, sizeof(queues), "queue 0 of 1");
	else
		snprintf(queues, sizeof(queues), "queues 0-%u of %u", xsk->queue_count - 1, xsk->queue_count);
	snprintf(buffer, size, "%s xdp, %s, %s, kernel %u.%u", xsk->program.native ? "native" : "generic",
		 way, queues, major, minor);
}

void xsk_link_describe(const struct link *link, char *buffer, size_t size)
{
	const struct xsk_link *xsk = (const struct xsk_link *)link;

	xsk_link_describe_as(xsk, xsk->zero_copy ? "zero-copy" : "copy mode", buffer, size);
}
