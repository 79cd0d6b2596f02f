/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a network device takes frames that XDP programs redirect to it (its
 * ndo_xdp_xmit), as the kernel tells by the generic netlink family "netdev" from 6.3
 * on. On a veth that changes when the other end gets or loses its XDP program, of
 * which the kernel sends news.
 */
#ifndef TERN_XDP_DEVICE_H
#define TERN_XDP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct xdp_device {
	int fd; /* -1: the kernel does not tell */
	int ifindex;
	uint16_t family;
	bool takes_frames;
};

/*
 * Asks the kernel, in the caller's network namespace. Where it does not tell, a veth is
 * taken for one that takes no frames, and any other device for one that does. 0, or the
 * errno of a socket.
 */
int xdp_device_open(struct xdp_device *device, int ifindex);
void xdp_device_close(struct xdp_device *device);

/* The answer of now. A system call, which does not wait for anything. */
bool xdp_device_takes_frames(struct xdp_device *device);

#endif
