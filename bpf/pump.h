/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One frame made many: the maps in which the device stands several times, and the choice among them. */
#ifndef TERN_PUMP_H
#define TERN_PUMP_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "map_abi.h"

/* User space fills them: the device, and the program that each copy meets on the way to it. */
#define TO_DEVICE(times)                                                                                     \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_DEVMAP);                                                           \
		__uint(max_entries, times);                                                                  \
		__type(key, __u32);                                                                          \
		__type(value, struct bpf_devmap_val);                                                        \
	} to_device_##times SEC(".maps")

TO_DEVICE(1);
TO_DEVICE(2);
TO_DEVICE(4);
TO_DEVICE(8);
TO_DEVICE(16);
TO_DEVICE(32);
TO_DEVICE(64);

/* To at least `frames` clones; *clones becomes how many. */
static __always_inline int broadcast(__u32 frames, __u32 *clones)
{
	if (frames <= 1)
		return *clones = 1, bpf_redirect_map(&to_device_2, 0, BPF_F_BROADCAST);
	if (frames <= 3)
		return *clones = 3, bpf_redirect_map(&to_device_4, 0, BPF_F_BROADCAST);
	if (frames <= 7)
		return *clones = 7, bpf_redirect_map(&to_device_8, 0, BPF_F_BROADCAST);
	if (frames <= 15)
		return *clones = 15, bpf_redirect_map(&to_device_16, 0, BPF_F_BROADCAST);
	if (frames <= 31)
		return *clones = 31, bpf_redirect_map(&to_device_32, 0, BPF_F_BROADCAST);
	*clones = 63;
	return bpf_redirect_map(&to_device_64, 0, BPF_F_BROADCAST);
}

_Static_assert(SEND_PUMP_MAX == 63, "the largest map has an entry more");

#endif
