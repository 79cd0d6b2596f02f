/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending without a socket buffer: a frame written to a tap meets an XDP program inside
 * the write, which redirects it to the network device; on the way there a second
 * program checks that its sender may send it. For a burst one small frame, the
 * doorbell, is broadcast, and the second program makes each copy of it one of the
 * frames that wait in a ring (map_abi.h: send_ring).
 *
 * What the device does not take is lost without a word: a device that has no
 * ndo_xdp_xmit, and a veth whose other end has neither XDP nor GRO. tap_usable tells.
 */
#ifndef TERN_TAP_H
#define TERN_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath.h"
#include "link.h"
#include "link_log.h"
#include "xdp_device.h"
#include "xsk_device.h"

#define TAP_PUMP_FROM  3    /* at first */
#define TAP_NO_PUMP    (SEND_RING_ENTRIES + 1)
#define TAP_TRIAL_MAX  8    /* frames: up to so many both ways are tried */
#define TAP_TRIAL_MASK 63   /* flushes between two trials */

struct egress_bpf;

enum tap_way { TAP_BY_WRITE, TAP_BY_DOORBELL, TAP_WAYS };

/* What it takes to send a number of frames, by trial. */
struct tap_cost {
	uint32_t ns; /* the least, of late */
	uint32_t trials;
};

struct tap {
	int fd;
	int ifindex;
	struct xdp_device device; /* that the frames are redirected to */
	struct egress_bpf *skeleton;
	int link_fd;              /* the XDP program on the tap */
	struct send_ring *ring;
	struct datapath *datapath;
	uint64_t produced;         /* ring->produced, as we know it */
	bool pinned;               /* the arena is, as the ring is not empty */
	void *borrowed[SEND_RING_ENTRIES]; /* buffers to put back when the ring is empty */
	uint32_t borrowed_count;
	bool broken;               /* it was deleted or set down: nothing can be sent any more */
	uint32_t pump_from;        /* frames from which the pump is used; adapts, unless TAP_NO_PUMP */
	uint32_t flushes;
	enum tap_way trial;        /* the last one */
	struct tap_cost costs[TAP_WAYS][TAP_TRIAL_MAX + 1]; /* by frames */
	uint64_t written;          /* frames by write */
	uint64_t pumped;           /* frames by doorbell */
	uint64_t doorbells;
	uint64_t full;             /* frames dropped as the ring or the arena was full */
	uint64_t errors;           /* writes that failed, and frames that a doorbell did not take */
	void *per_cpu;             /* scratch for counters */
	uint32_t cpus;
};

/*
 * Makes a tap with its programs, in the caller's network namespace; it has no address and
 * goes with the process. 0, or a negative errno, logged: -ENOENT (no /dev/net/tun),
 * -EPERM, -EOPNOTSUPP (the kernel lacks what it takes), ...
 */
int tap_open(struct tap *tap, const struct xsk_device *device, struct datapath *datapath,
	     const struct link_log *log);
/* Drops what is queued. */
void tap_close(struct tap *tap);

/*
 * Queues a packet, as link_ops.send: the payload is referred to if it is in the arena, and
 * copied there if not. 0, -ENOBUFS, or -EMSGSIZE (a header that is longer than any of Homa's).
 */
int tap_send(struct tap *tap, const struct link_destination *to, uint8_t protocol, uint8_t traffic_class,
	     const void *header, uint32_t header_length, const void *payload, uint32_t payload_length);
/* Sends what is queued; what the kernel does not take is lost, and counted. */
void tap_flush(struct tap *tap);
/* Forgets it instead. */
void tap_drop(struct tap *tap);

/* Whether what is sent now gets to the device (xdp_device.h). A system call: to be asked rarely. */
bool tap_usable(struct tap *tap);

/* As in link_ops. */
void tap_counters(struct tap *tap, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx);

#endif
