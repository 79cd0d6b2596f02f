// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bare limit of the in-place tier, with no protocol at all: what is received is copied
 * into an array that user space has mapped, and what is sent comes from one, a frame for
 * each clone of a doorbell (egress.bpf.c says how that works).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bare_abi.h"
#include "homa_core.h"
#include "pump.h"

/* Set before load. */
const volatile __u32 slot_bytes = BARE_SLOT_MAX;

#define MAPPED(name, kind) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1); \
		__type(key, __u32); \
		__type(value, struct kind); \
	} name SEC(".maps")

MAPPED(receive_ring, bare_ring);
MAPPED(receive_area, bare_area);
MAPPED(send_ring, bare_ring);
MAPPED(send_area, bare_area);

static const __u32 zero;

/* Copies `length` bytes, 1 to `most`, between frame and map: the verifier wants both bounds in 64 bits. */
#define COPY(helper, ctx, offset, bytes, length, most) \
	({ \
		__u64 last_ = (__u64)(length) - 1; \
		asm volatile("" : "+r"(last_)); \
		last_ < (most) && !helper(ctx, offset, bytes, last_ + 1); \
	})

static __always_inline __u64 read_once(const __u64 *value)
{
	return *(const volatile __u64 *)value;
}

static __always_inline struct bare_slot *slot_of(struct bare_ring *ring, __u64 counter)
{
	return (void *)(ring->slots + (counter & (BARE_SLOTS - 1)) * slot_bytes);
}

SEC("xdp")
int bare_receive(struct xdp_md *ctx)
{
	const struct bare_frame *frame = (const void *)(long)ctx->data;
	struct bare_ring *ring = bpf_map_lookup_elem(&receive_ring, &zero);
	struct bare_area *area = bpf_map_lookup_elem(&receive_area, &zero);
	__u64 length = bpf_xdp_get_buff_len(ctx);
	struct bare_slot *slot;
	__u64 produced;

	if ((const void *)(frame + 1) > (const void *)(long)ctx->data_end ||
	    frame->ethernet.type != wire16(BARE_TYPE))
		return XDP_PASS;
	if (!ring || !area)
		return XDP_DROP;
	if (frame->kind != BARE_ECHO) {
		__u8 kind = frame->kind;

		if (!COPY(bpf_xdp_load_bytes, ctx, sizeof(*frame),
			  area->bytes + (frame->place & (BARE_AREA_BYTES - 1)), length - sizeof(*frame),
			  BARE_MAX_FRAME))
			return XDP_DROP;
		ring->parts++;
		if (kind != BARE_LAST)
			return XDP_DROP;
		length = sizeof(*frame);
	}
	produced = ring->produced;
	if (produced - read_once(&ring->consumed) >= BARE_SLOTS)
		return XDP_DROP;
	slot = slot_of(ring, produced);
	slot->length = (__u32)length;
	if (COPY(bpf_xdp_load_bytes, ctx, 0, slot->bytes, length, slot_bytes - sizeof(*slot)))
		*(volatile __u64 *)&ring->produced = produced + 1;
	return XDP_DROP;
}

/* On the tap. */
SEC("xdp")
int bare_doorbell(struct xdp_md *ctx)
{
	const struct net_ethernet *ethernet = (const void *)(long)ctx->data;
	struct bare_ring *ring = bpf_map_lookup_elem(&send_ring, &zero);
	__u32 clones;
	__u64 waiting;
	int action;

	if ((const void *)(ethernet + 1) > (const void *)(long)ctx->data_end || !ring)
		return XDP_DROP;
	if (ethernet->type != wire16(BARE_DOORBELL_TYPE))
		return bpf_redirect_map(&to_device_1, 0, XDP_DROP);
	waiting = read_once(&ring->produced) - ring->consumed;
	if (!waiting)
		return XDP_DROP;
	if (waiting > BARE_PUMP_MAX)
		waiting = BARE_PUMP_MAX;
	action = broadcast((__u32)waiting, &clones);
	ring->surplus = clones - (__u32)waiting;
	return action;
}

/* Before the device: turns a clone of the doorbell into the next frame of the ring. */
SEC("xdp/devmap")
int bare_egress(struct xdp_md *ctx)
{
	const struct net_ethernet *ethernet = (const void *)(long)ctx->data;
	struct bare_ring *ring = bpf_map_lookup_elem(&send_ring, &zero);
	struct bare_area *area = bpf_map_lookup_elem(&send_area, &zero);
	struct bare_slot *slot;
	__u32 length, more;

	if ((const void *)(ethernet + 1) > (const void *)(long)ctx->data_end || !ring || !area)
		return XDP_DROP;
	if (ethernet->type != wire16(BARE_DOORBELL_TYPE))
		return XDP_PASS;
	if (ring->surplus) {
		ring->surplus--;
		return XDP_DROP;
	}
	if (ring->consumed == read_once(&ring->produced))
		return XDP_DROP;
	slot = slot_of(ring, ring->consumed);
	length = slot->length;
	more = slot->more;
	if (length + more > BARE_MAX_FRAME ||
	    bpf_xdp_adjust_tail(ctx, (int)(length + more) - (int)bpf_xdp_get_buff_len(ctx)) ||
	    !COPY(bpf_xdp_store_bytes, ctx, 0, slot->bytes, length, slot_bytes - sizeof(*slot)))
		return XDP_DROP;
	if (more && !COPY(bpf_xdp_store_bytes, ctx, length, area->bytes + (slot->place & (BARE_AREA_BYTES - 1)),
			  more, BARE_MAX_FRAME))
		return XDP_DROP;
	ring->consumed++;
	return XDP_PASS;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
