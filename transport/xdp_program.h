/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program of one device: loaded, attached, and its maps. */
#ifndef TERN_XDP_PROGRAM_H
#define TERN_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath.h"
#include "link_log.h"
#include "map_abi.h"
#include "tern.h"
#include "xsk_device.h"

struct receive_bpf;

struct xdp_program {
	struct receive_bpf *skeleton;
	struct datapath_counters *per_cpu; /* scratch for xdp_program_counters */
	int cpus;
	int fd;      /* of the program that was loaded */
	int link_fd; /* the program is attached for as long as this is open */
	bool native;
};

/* What the program of the in-place tier needs besides. */
struct xdp_tier {
	const struct datapath *datapath;
	uint32_t buffer_bytes; /* of a receive buffer */
	uint32_t parts;        /* DELIVER_* */
};

/*
 * Loads the program of the in-place tier, or that of the xsk tier if `tier` is NULL, for
 * `queues` receive queues and attaches it, waiting for a device that a dead process still
 * holds. 0, or a negative errno, logged: -EBUSY (another program is attached), -EPERM,
 * -EOPNOTSUPP (no XDP in this mode), ...
 */
int xdp_program_open(struct xdp_program *program, const struct xsk_device *device, uint32_t queues,
		     enum tern_xdp_mode mode, const struct xdp_tier *tier, const struct link_log *log);
/* Detaches; what is under way in the kernel may still be steered, or delivered, for a moment. */
void xdp_program_detach(struct xdp_program *program);
/* The same, and forgets it. */
void xdp_program_close(struct xdp_program *program);

/* Steers what arrives on `queue` into the AF_XDP socket `fd`. 0 or a negative errno. */
int xdp_program_set_socket(struct xdp_program *program, uint32_t queue, int fd);

/* Sums the counters of all CPUs. */
void xdp_program_counters(struct xdp_program *program, struct datapath_counters *sum);

/* Maps of the in-place tier: receive_rings, wake. */
int xdp_program_rings_fd(const struct xdp_program *program);
int xdp_program_wake_fd(const struct xdp_program *program);

#endif
