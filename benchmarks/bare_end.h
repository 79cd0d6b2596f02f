/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of the bare limit: a device with its programs, and frames in and out of arrays. */
#ifndef BARE_END_H
#define BARE_END_H

#include <stdbool.h>
#include <stdint.h>

#include "bare_abi.h"
#include "xsk_device.h"

struct bare_bpf;

struct bare_end {
	struct bare_bpf *programs;
	struct xsk_device device;
	uint8_t peer[6];
	int tap;
	uint32_t slot_bytes;
	uint32_t max_frame;
	struct bare_ring *receive;
	struct bare_ring *send;
	uint64_t queued; /* frames, as send->produced will be */
};

/* Opens the device, for frames of `frame_bytes` in the rings. Ends the program if it fails. */
void bare_end_open(struct bare_end *end, const char *device, uint32_t frame_bytes);

/* The next frame, or NULL; it is the caller's until bare_end_release. */
const struct bare_frame *bare_end_peek(const struct bare_end *end);
void bare_end_release(struct bare_end *end);

/* Room for `length` bytes of a frame to the peer, with `more` from `place` in the area behind them. */
struct bare_frame *bare_end_queue(struct bare_end *end, enum bare_kind kind, uint32_t length, uint32_t place,
				  uint32_t more);
/* Sends what is queued: BARE_PUMP_MAX frames at most may be. */
void bare_end_flush(struct bare_end *end);

#endif
