/* SPDX-License-Identifier: BSD-2-Clause */
/* What a link needs to know of its device before it opens anything on it. */
#ifndef TERN_XSK_DEVICE_H
#define TERN_XSK_DEVICE_H

#include <stdint.h>

#include "link_log.h"

struct xsk_device {
	int ifindex;
	uint32_t mtu;
	uint32_t queues; /* receive queues in use; 0: the driver does not tell */
	uint8_t mac[6];
};

/*
 * Asks the kernel, in the caller's network namespace, and writes the device's name into
 * `log`. 0, -ENODEV (no such device), -EOPNOTSUPP (not an Ethernet device), or another
 * errno; errors are logged.
 */
int xsk_device_query(struct xsk_device *device, int ifindex, struct link_log *log);

#endif
