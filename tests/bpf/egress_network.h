/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tap and a pair of devices in a network namespace of the test's own, with the egress
 * programs in place; the namespace goes with the process.
 *
 *	write -> tap [tern_doorbell] -> [tern_egress] "out" ===== "in" -> packet socket
 */
#ifndef TERN_TEST_EGRESS_NETWORK_H
#define TERN_TEST_EGRESS_NETWORK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "egress.skel.h"
#include "frames.h"
#include "map_abi.h"
#include "programs.h"

#define NETWORK_CHUNKS   2
#define NETWORK_ARENA    ((size_t)NETWORK_CHUNKS * ARENA_STRIDE)
#define NETWORK_PATIENCE 2000 /* ms until a frame counts as lost */
#define NETWORK_SOCKET   (64 << 20)

struct network {
	struct egress_bpf *program;
	struct send_ring *ring;
	struct send_rights *rights;
	uint8_t *arena;
	int tap;
	int capture; /* what has come out at "in" */
	uint8_t mac[6];
};

static void network_command(const char *command)
{
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static int network_ifindex(const char *name)
{
	unsigned index = if_nametoindex(name);

	CHECK(index);
	return (int)index;
}

static void network_quiet(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	CHECK_EQ(write(fd, "1", 1), 1);
	close(fd);
}

static int network_open_tap(void)
{
	struct ifreq request = { .ifr_name = "tap", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		SKIP("needs /dev/net/tun: %s", strerror(errno));
	CHECK(!ioctl(fd, TUNSETIFF, &request));
	return fd;
}

static int network_open_capture(uint8_t mac[6])
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), bytes = NETWORK_SOCKET;
	struct ifreq request = { .ifr_name = "out" };

	CHECK(fd >= 0);
	CHECK(!ioctl(fd, SIOCGIFHWADDR, &request));
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	address.sll_ifindex = network_ifindex("in");
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)));
	CHECK(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* Without an XDP program a veth does not take redirected frames. */
static void network_pass_all(const char *device)
{
	struct bpf_insn pass[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS },
				   { .code = BPF_JMP | BPF_EXIT } };
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "BSD", pass, 2, NULL);

	CHECK(fd >= 0);
	CHECK_EQ(bpf_xdp_attach(network_ifindex(device), fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
}

static void network_fill_maps(const struct egress_bpf *program)
{
	const struct bpf_map *maps[] = { program->maps.to_device_1,  program->maps.to_device_2,
					 program->maps.to_device_4,  program->maps.to_device_8,
					 program->maps.to_device_16, program->maps.to_device_32,
					 program->maps.to_device_64 };
	struct bpf_devmap_val value = { .ifindex = (uint32_t)network_ifindex("out"),
					.bpf_prog.fd = bpf_program__fd(program->progs.tern_egress) };

	for (uint32_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		for (uint32_t key = 0; key < 1u << i; key++)
			CHECK_EQ(bpf_map_update_elem(bpf_map__fd(maps[i]), &key, &value, BPF_ANY), 0);
}

/* Loads the programs, for frames of at most `max_frame` bytes, and puts them in their places. */
static void network_load(struct network *network, uint32_t max_frame)
{
	struct egress_bpf *program = egress_bpf__open();

	CHECK(program);
	memcpy((void *)program->rodata->local_mac, network->mac, sizeof(network->mac));
	program->rodata->max_frame = max_frame;
	bpf_map__set_max_entries(program->maps.arena, NETWORK_CHUNKS);
	if (egress_bpf__load(program)) {
		CHECK(errno == EPERM);
		SKIP("needs the right to load BPF programs");
	}
	network_fill_maps(program);
	CHECK_EQ(bpf_xdp_attach(network_ifindex("tap"), bpf_program__fd(program->progs.tern_doorbell),
				XDP_FLAGS_DRV_MODE, NULL),
		 0);
	network->arena = program_map(program->maps.arena, NETWORK_ARENA);
	network->ring = program_map(program->maps.send_ring, sizeof(*network->ring));
	network->rights = program_map(program->maps.senders, sizeof(*network->rights));
	network->program = program;
}

static void network_unload(struct network *network)
{
	CHECK_EQ(bpf_xdp_detach(network_ifindex("tap"), XDP_FLAGS_DRV_MODE, NULL), 0);
	munmap(network->arena, NETWORK_ARENA);
	munmap(network->ring, sizeof(*network->ring));
	munmap(network->rights, sizeof(*network->rights));
	egress_bpf__destroy(network->program);
}

static void network_open(struct network *network)
{
	if (unshare(CLONE_NEWNET))
		SKIP("needs the right to make a network namespace");
	network_quiet();
	network_command("ip link add out mtu 3498 type veth peer name in mtu 3498");
	network->tap = network_open_tap();
	network_command("ip link set out up && ip link set in up && ip link set tap mtu 3498 up");
	network->capture = network_open_capture(network->mac);
	network_pass_all("in");
}

/* The next frame that has come out, its length in bytes; 0 if none does within `ms`. */
static uint32_t network_next(struct network *network, uint8_t *frame, uint32_t size, int ms)
{
	struct pollfd waiting = { .fd = network->capture, .events = POLLIN };
	struct sockaddr_ll from;
	socklen_t bytes = sizeof(from);
	ssize_t length;

	while (poll(&waiting, 1, ms) > 0) {
		length = recvfrom(network->capture, frame, size, MSG_DONTWAIT | MSG_TRUNC,
				  (struct sockaddr *)&from, &bytes);
		CHECK(length > 0);
		if (from.sll_pkttype != PACKET_OUTGOING)
			return (uint32_t)length;
	}
	return 0;
}

static uint64_t network_counter(const struct network *network, enum egress_counter counter)
{
	int cpus = libbpf_num_possible_cpus();
	struct datapath_counters *values = calloc((size_t)cpus, sizeof(*values));
	uint64_t sum = 0;
	uint32_t key = 0;

	CHECK(values);
	CHECK_EQ(bpf_map_lookup_elem(bpf_map__fd(network->program->maps.egress_counters), &key, values), 0);
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu].value[counter];
	free(values);
	return sum;
}

#endif
