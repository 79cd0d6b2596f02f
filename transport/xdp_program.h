/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program of one device: loaded, attached, and its maps. */
#ifndef TERN_XDP_PROGRAM_H
#define TERN_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "link_log.h"
#include "map_abi.h"
#include "tern.h"
#include "xsk_device.h"

struct receive_bpf;

struct xdp_program {
	struct receive_bpf *skeleton;
	struct datapath_counters *per_cpu; /* scratch for xdp_program_counters */
	int cpus;
	int link_fd; /* the program is attached for as long as this is open */
	bool native;
};

/*
 * Loads the program for `queues` receive queues and attaches it, waiting for a device
 * that a dead process still holds. 0, or a negative errno, logged: -EBUSY (another
 * program is attached), -EPERM, -EOPNOTSUPP (no XDP in this mode), ...
 */
int xdp_program_open(struct xdp_program *program, const struct xsk_device *device, uint32_t queues,
		     enum tern_xdp_mode mode, const struct link_log *log);
/* Detaches; what is under way in the kernel may still be steered for a moment. */
void xdp_program_close(struct xdp_program *program);

/* Steers what arrives on `queue` into the AF_XDP socket `fd`. 0 or a negative errno. */
int xdp_program_set_socket(struct xdp_program *program, uint32_t queue, int fd);

/* Sums the counters of all CPUs. */
void xdp_program_counters(struct xdp_program *program, struct datapath_counters *sum);

#endif
