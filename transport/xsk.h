/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link for one Ethernet device: an XDP program that steers Homa's packets into
 * AF_XDP sockets, one socket for each receive queue of the device.
 */
#ifndef TERN_XSK_H
#define TERN_XSK_H

#include <stdint.h>

#include "link.h"
#include "tern.h"

#define XSK_MAX_QUEUES       64   /* receive queues of one device */
#define XSK_MAX_MTU          3498 /* bytes: the longest packet of one frame, also on veth */
#define XSK_DEFAULT_FRAMES   1024 /* per queue: a burst of as many calls finds room; 256 would stay in L2, but drops cost more */
#define XSK_MIN_FRAMES       64
#define XSK_MAX_FRAMES       4096
#define XSK_BUSY_DEADLINE_MS 500 /* how long a device is waited for that a dead process still holds */

struct xsk_link_options {
	int ifindex;
	enum tern_xdp_mode mode;
	uint32_t frames; /* receive frames per queue, and frames to send: a power of two; 0: the default */
	/* One line, without a newline; `level` as enum tern_log_level. May be NULL. */
	void (*log)(void *ctx, int level, const char *line);
	void *log_ctx;
};

/*
 * Loads and attaches the XDP program (by a bpf_link, so that it goes with the process)
 * and opens the sockets, in the caller's network namespace. Blocks for up to
 * XSK_BUSY_DEADLINE_MS. 0 and *link, which its close operation frees; every error logs
 * a line that says what failed and what to do:
 * -EINVAL (an option), -ENODEV (no such device), -EOPNOTSUPP (no Ethernet device, no
 * XDP in the mode asked for, too many queues), -EMSGSIZE (MTU above XSK_MAX_MTU),
 * -EBUSY (another XDP program or AF_XDP socket is on the device), -EPERM (a capability
 * is missing), -ENOBUFS (locked memory limit), -ENOMEM, or another errno of the kernel.
 */
int xsk_link_open(const struct xsk_link_options *options, struct link **link);

#endif
