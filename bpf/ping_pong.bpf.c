// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The least XDP program that the bare ping-pong benchmark can do with: its frames go to
 * the queue's AF_XDP socket, everything else to the kernel.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "homa_core.h"
#include "net_headers.h"

#define ETHERTYPE_EXPERIMENTAL 0x88b5 /* IEEE 802, local experimental */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int ping_pong(struct xdp_md *ctx)
{
	const struct net_ethernet *ethernet = (const void *)(long)ctx->data;

	if ((const void *)(ethernet + 1) > (const void *)(long)ctx->data_end ||
	    ethernet->type != wire16(ETHERTYPE_EXPERIMENTAL))
		return XDP_PASS;
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
