// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs on the way out of the in-place tier (map_abi.h: send_ring). A frame that is
 * written to the tap meets tern_doorbell there, and tern_egress before the device.
 *
 * A doorbell becomes n frames by being broadcast to a map in which the device stands
 * several times. The kernel clones it for all entries but the last, which gets the frame
 * itself, too small to become anything else. Frames go to the device sixteen at a time, and
 * only the last such lot, if anything is left of it, makes the device look at what it
 * has got. So the clones that are too many are dropped first: they are fewer than half,
 * and the last lot has others. But if any of those was refused the last lot may be
 * empty all the same: then the doorbell itself is sent, to our own address, which a
 * switch does not forward and a host does not look at.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "map_abi.h"
#include "parse.h"
#include "pump.h"

/* Set before load: the device's address, and the longest frame that its other end takes. */
const volatile __u8 local_mac[6];
const volatile __u32 max_frame = SEND_MAX_FRAME;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct send_ring);
} send_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct send_rights);
} senders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, ARENA_STRIDE);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datapath_counters);
} egress_counters SEC(".maps");

static __always_inline void count(enum egress_counter counter)
{
	__u32 key = 0;
	struct datapath_counters *mine = bpf_map_lookup_elem(&egress_counters, &key);

	if (mine)
		mine->value[counter]++;
}

static __always_inline struct send_ring *the_ring(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&send_ring, &key);
}

static __always_inline __u8 is_doorbell(const __u8 *data, const __u8 *end)
{
	const struct net_ethernet *ethernet = (const void *)data;

	return parse_within(data, sizeof(*ethernet), end) && ethernet->type == wire16(SEND_DOORBELL_TYPE);
}

SEC("xdp")
int tern_doorbell(struct xdp_md *ctx)
{
	const __u8 *data = (const __u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	struct send_ring *ring = the_ring();
	__u64 waiting;
	__u32 clones;
	int action;

	if (!is_doorbell(data, end))
		return bpf_redirect_map(&to_device_1, 0, XDP_DROP);
	if (!ring)
		return XDP_DROP;
	waiting = *(volatile __u64 *)&ring->produced - ring->consumed;
	if (!waiting)
		return XDP_DROP;
	if (waiting > SEND_PUMP_MAX)
		waiting = SEND_PUMP_MAX;
	action = broadcast((__u32)waiting, &clones);
	ring->surplus = clones - (__u32)waiting;
	ring->expected = (__u32)waiting;
	ring->refused = 0;
	return action;
}

/* Writes `length` bytes, 1 to `most`, of a map's value into the frame. */
#define STORE(ctx, offset, from, length, most)                                                               \
	({                                                                                                   \
		__u64 last_ = (length)-1;                                                                    \
		/* Hidden: the verifier wants a length of 1 at least in 64 bits. */                          \
		asm volatile("" : "+r"(last_));                                                              \
		last_ < (most) && !bpf_xdp_store_bytes(ctx, offset, from, last_ + 1);                        \
	})

/* Makes a clone of the doorbell what an entry says. False if that cannot be done. */
static __always_inline __u8 fill(struct xdp_md *ctx, struct send_entry *entry)
{
	__u64 header_length = *(volatile __u16 *)&entry->header_length;
	__u64 payload_length = *(volatile __u16 *)&entry->payload_length;
	__u32 place = *(volatile __u32 *)&entry->place, chunk = place >> ARENA_CHUNK_SHIFT;
	__u32 length = (__u32)(header_length + payload_length);
	__u8 *memory;

	if (length > SEND_MAX_FRAME || length > max_frame || header_length < sizeof(struct net_ethernet) ||
	    header_length > SEND_HEADER_BYTES)
		return 0;
	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)bpf_xdp_get_buff_len(ctx)))
		return 0;
	if (!STORE(ctx, 0, entry->header, header_length, SEND_HEADER_BYTES))
		return 0;
	if (!payload_length)
		return 1;
	memory = bpf_map_lookup_elem(&arena, &chunk);
	if (!memory)
		return 0;
	memory += place & (ARENA_CHUNK_BYTES - 1);
	return STORE(ctx, (__u32)header_length, memory, payload_length, SEND_MAX_FRAME);
}

static __always_inline __u8 owns_port(__be16 port)
{
	__u32 key = 0, number = parse_length(port);
	struct send_rights *rights = bpf_map_lookup_elem(&senders, &key);

	return rights && rights->ports[number / 64] >> number % 64 & 1;
}

/* Whether a frame may leave; it is looked at where nobody can change it any more. */
static __always_inline enum egress_counter check(const __u8 *data, const __u8 *end)
{
	const struct net_ethernet *ethernet = (const void *)data;
	const __u8 *ip = data + sizeof(*ethernet), *packet;
	struct parsed_frame frame = {};
	enum datapath_counter parsed = DATAPATH_PASS;

	if (!parse_within(data, sizeof(*ethernet), end))
		return EGRESS_DROP_MALFORMED;
	if (ethernet->type == wire16(NET_ETHERTYPE_IPV4))
		parsed = parse_ipv4(ip, end, &frame);
	else if (ethernet->type == wire16(NET_ETHERTYPE_IPV6))
		parsed = parse_ipv6(ip, end, &frame);
	if (parsed != DATAPATH_STEER)
		return EGRESS_DROP_MALFORMED;
	packet = ip + (frame.is_v4 ? sizeof(struct net_ipv4) : sizeof(struct net_ipv6));
	if (parse_homa(packet, end, frame.length) != DATAPATH_STEER)
		return EGRESS_DROP_MALFORMED;
	if (!parse_mac_equal(ethernet->source, local_mac))
		return EGRESS_DROP_NOT_OWNER;
	return owns_port(((const struct homa_common_header *)packet)->sport) ? EGRESS_SENT
									     : EGRESS_DROP_NOT_OWNER;
}

/* The doorbell itself, the last of its copies: needed only if the last lot may be empty. */
static __always_inline int end_doorbell(const struct send_ring *ring, __u8 *data, const __u8 *end)
{
	struct net_ethernet *ethernet = (void *)data;

	if (!ring->refused || !parse_within(data, sizeof(*ethernet), end))
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < 6; i++)
		ethernet->destination[i] = ethernet->source[i] = local_mac[i];
	return XDP_PASS;
}

SEC("xdp/devmap")
int tern_egress(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data;
	const __u8 *end = (const __u8 *)(long)ctx->data_end;
	enum egress_counter counter = EGRESS_DROP_FAILED;
	struct send_ring *ring = NULL;
	__u8 filled = 1;

	if (is_doorbell(data, end)) {
		ring = the_ring();
		if (!ring)
			return XDP_DROP;
		if (ring->surplus) {
			ring->surplus--;
			return XDP_DROP;
		}
		if (!ring->expected)
			return end_doorbell(ring, data, end);
		ring->expected--;
		filled = fill(ctx, &ring->entries[ring->consumed % SEND_RING_ENTRIES]);
		ring->consumed++;
	}
	if (filled)
		counter = check((const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end);
	count(counter);
	if (counter == EGRESS_SENT)
		return XDP_PASS;
	if (ring)
		ring->refused = 1;
	return XDP_DROP;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
