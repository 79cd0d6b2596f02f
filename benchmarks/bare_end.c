/* SPDX-License-Identifier: BSD-2-Clause */
/* The bare limit's device: a tap to write to, programs on both, the mapped arrays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>

#include "bare_end.h"
#include "bare.skel.h"
#include "homa_core.h"
#include "peers/peer.h"

#define CACHE_LINE       64u
#define SINGLE_MAX       2   /* frames that are written one by one rather than pumped */
#define BUSY_TRIES       250 /* while the run before this one is being taken apart */
#define BUSY_INTERVAL_US 2000

static void log_line(void *ctx, int level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "bare: %s\n", line);
}

static void attach(const struct bpf_program *program, int ifindex, const char *what)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	int fd = -EBUSY;

	for (int tries = 0; fd == -EBUSY && tries < BUSY_TRIES; tries++) {
		fd = bpf_link_create(bpf_program__fd(program), ifindex, BPF_XDP, &native);
		if (fd == -EBUSY)
			usleep(BUSY_INTERVAL_US);
	}
	errno = -fd;
	if (fd < 0)
		peer_fail(what);
}

/* A tap of this process; its index is found by its name. */
static int open_tap(int *ifindex)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "bare%d" };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || control < 0 || ioctl(fd, TUNSETIFF, &request))
		peer_fail("making a tap");
	request.ifr_flags = IFF_UP;
	if (ioctl(control, SIOCSIFFLAGS, &request) || ioctl(control, SIOCGIFINDEX, &request))
		peer_fail("setting the tap up");
	close(control);
	*ifindex = request.ifr_ifindex;
	return fd;
}

static void *map(const struct bpf_map *map, size_t bytes)
{
	void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (mapped == MAP_FAILED)
		peer_fail("mapping the arrays");
	return mapped;
}

static void fill_device_maps(struct bare_end *end)
{
	struct bpf_devmap_val to = { .ifindex = (uint32_t)end->device.ifindex,
				     .bpf_prog.fd = bpf_program__fd(end->programs->progs.bare_egress) };
	struct bpf_map *const maps[] = {
		end->programs->maps.to_device_1,  end->programs->maps.to_device_2,
		end->programs->maps.to_device_4,  end->programs->maps.to_device_8,
		end->programs->maps.to_device_16, end->programs->maps.to_device_32,
		end->programs->maps.to_device_64,
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		for (uint32_t key = 0; key < 1u << i; key++)
			if (bpf_map_update_elem(bpf_map__fd(maps[i]), &key, &to, BPF_ANY))
				peer_fail("directing frames to the device");
}

void bare_end_open(struct bare_end *end, const char *device, uint32_t frame_bytes)
{
	struct link_log log = { .write = log_line };
	int tap_index;

	if (xsk_device_query(&end->device, (int)if_nametoindex(device), &log)) {
		errno = ENODEV;
		peer_fail(device);
	}
	end->max_frame = end->device.mtu + (uint32_t)sizeof(struct net_ethernet);
	if (end->max_frame > BARE_MAX_FRAME)
		end->max_frame = BARE_MAX_FRAME;
	end->slot_bytes = (uint32_t)(sizeof(struct bare_slot) + frame_bytes + CACHE_LINE - 1) & -CACHE_LINE;
	if (frame_bytes > end->max_frame || end->slot_bytes > BARE_SLOT_MAX) {
		errno = EMSGSIZE;
		peer_fail("frames of that size");
	}
	end->programs = bare_bpf__open();
	if (!end->programs)
		peer_fail("opening the programs");
	end->programs->rodata->slot_bytes = end->slot_bytes;
	if (bare_bpf__load(end->programs))
		peer_fail("loading the programs");
	fill_device_maps(end);
	end->receive = map(end->programs->maps.receive_ring, sizeof(*end->receive));
	end->send = map(end->programs->maps.send_ring, sizeof(*end->send));
	end->tap = open_tap(&tap_index);
	attach(end->programs->progs.bare_doorbell, tap_index, "attaching to the tap");
	attach(end->programs->progs.bare_receive, end->device.ifindex, "attaching to the device");
}

static struct bare_slot *slot_of(const struct bare_end *end, struct bare_ring *ring, uint64_t counter)
{
	return (struct bare_slot *)(ring->slots + (counter & (BARE_SLOTS - 1)) * end->slot_bytes);
}

const struct bare_frame *bare_end_peek(const struct bare_end *end)
{
	if (__atomic_load_n(&end->receive->produced, __ATOMIC_ACQUIRE) == end->receive->consumed)
		return NULL;
	return (const void *)slot_of(end, end->receive, end->receive->consumed)->bytes;
}

void bare_end_release(struct bare_end *end)
{
	__atomic_store_n(&end->receive->consumed, end->receive->consumed + 1, __ATOMIC_RELEASE);
}

struct bare_frame *bare_end_queue(struct bare_end *end, enum bare_kind kind, uint32_t length, uint32_t place,
				  uint32_t more)
{
	struct bare_slot *slot = slot_of(end, end->send, end->queued++);
	struct bare_frame *frame = (struct bare_frame *)slot->bytes;

	*slot = (struct bare_slot){ .length = length, .place = place, .more = more };
	memcpy(frame->ethernet.destination, end->peer, sizeof(end->peer));
	memcpy(frame->ethernet.source, end->device.mac, sizeof(end->device.mac));
	frame->ethernet.type = wire16(BARE_TYPE);
	frame->kind = (uint8_t)kind;
	frame->place = place;
	return frame;
}

static void write_frame(const struct bare_end *end, const void *bytes, uint32_t length)
{
	if (write(end->tap, bytes, length) != (ssize_t)length)
		peer_fail("writing to the tap");
}

/* The programs look at the ring only while a doorbell is written: until then it is ours alone. */
void bare_end_flush(struct bare_end *end)
{
	struct net_ethernet bell = { .type = wire16(BARE_DOORBELL_TYPE) };
	uint8_t doorbell[CACHE_LINE] = { 0 };
	struct bare_ring *ring = end->send;

	if (end->queued - ring->produced <= SINGLE_MAX) {
		for (; ring->produced != end->queued; ring->produced++) {
			struct bare_slot *slot = slot_of(end, ring, ring->produced);

			if (slot->more)
				break;
			write_frame(end, slot->bytes, slot->length);
			ring->consumed = ring->produced + 1;
		}
	}
	if (ring->produced == end->queued)
		return;
	memcpy(doorbell, &bell, sizeof(bell));
	__atomic_store_n(&ring->produced, end->queued, __ATOMIC_RELEASE);
	write_frame(end, doorbell, sizeof(doorbell));
	if (__atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE) != end->queued) {
		errno = EIO;
		peer_fail("the doorbell did not send all frames");
	}
}
