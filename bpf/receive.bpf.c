// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The XDP programs of a network device, of which one is loaded. tern_receive, of the xsk
 * tier, validates what is ours and steers it to the AF_XDP socket of the queue it came
 * on; the rest is the kernel's. tern_deliver, of the in-place tier, delivers it itself
 * (deliver.h), and steers only what it cannot.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "deliver.h"
#include "map_abi.h"
#include "parse.h"

/* Set before load. */
const volatile __u8 local_mac[6];

/* max_entries is set before load: the device's receive queues. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datapath_counters);
} counters SEC(".maps");

static __always_inline void count(enum datapath_counter counter)
{
	__u32 key = 0;
	struct datapath_counters *mine = bpf_map_lookup_elem(&counters, &key);

	if (mine)
		mine->value[counter & (DATAPATH_COUNTERS_MAX - 1)]++;
}

/* Steers a valid frame; *counter becomes what it counts as. Returns the program's verdict. */
static __always_inline int steer(struct xdp_md *ctx, enum datapath_counter *counter)
{
	int action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);

	*counter = action == XDP_REDIRECT ? DATAPATH_STEER : DATAPATH_DROP_NO_SOCKET;
	return action;
}

SEC("xdp")
int tern_receive(struct xdp_md *ctx)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	struct parsed_frame frame = {};
	enum datapath_counter counter = parse_frame(data, end, local_mac, &frame);
	int action = counter == DATAPATH_PASS ? XDP_PASS : XDP_DROP;

	if (counter == DATAPATH_STEER)
		action = steer(ctx, &counter);
	count(counter);
	return action;
}

SEC("xdp")
int tern_deliver(struct xdp_md *ctx)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	struct parsed_frame frame = {};
	enum datapath_counter counter = parse_frame(data, end, local_mac, &frame);
	int action = counter == DATAPATH_PASS ? XDP_PASS : XDP_DROP;

	if (counter == DATAPATH_STEER) {
		counter = deliver(ctx, data, &frame);
		if (counter == DATAPATH_STEER)
			action = steer(ctx, &counter);
	}
	count(counter);
	return action;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
