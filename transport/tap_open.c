// SPDX-License-Identifier: BSD-2-Clause
/* Making a tap: the device, its programs, and the maps between them and us. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>

#include "bpf_log.h"
#include "egress.skel.h"
#include "tern.h"

#define NAME_PATTERN "tern%d"
#define QUEUE_LENGTH 1 /* frames that the kernel may leave there, as nobody reads them */

/* The kernel's own idea of what to send by a device that is set up, which nobody would read. */
static void keep_ipv6_off(const char *name)
{
	char path[sizeof("/proc/sys/net/ipv6/conf//disable_ipv6") + IF_NAMESIZE];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* there is no IPv6, or /proc cannot be written to: either will do */
	(void)!write(fd, "1", 1);
	close(fd);
}

static int set_up(struct tap *tap, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFINDEX, request))
		goto failed;
	tap->ifindex = request->ifr_ifindex;
	request->ifr_qlen = QUEUE_LENGTH;
	if (ioctl(fd, SIOCSIFTXQLEN, request) || ioctl(fd, SIOCGIFFLAGS, request))
		goto failed;
	keep_ipv6_off(request->ifr_name);
	request->ifr_flags |= IFF_UP | IFF_NOARP;
	if (!ioctl(fd, SIOCSIFFLAGS, request))
		goto close_fd;
failed:
	error = -errno;
close_fd:
	close(fd);
	return error;
}

static int open_device(struct tap *tap, const struct link_log *log)
{
	/* Non-blocking, as only then a write does without an skb. */
	struct ifreq request = { .ifr_name = NAME_PATTERN };
	int error;

	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0) {
		error = -errno;
		link_logf(log, TERN_LOG_WARNING, "opening /dev/net/tun, to send by, failed: %s",
			  strerror(-error));
		return error;
	}
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	error = ioctl(tap->fd, TUNSETIFF, &request) ? -errno : set_up(tap, &request);
	if (error)
		link_logf(log, TERN_LOG_WARNING, "making a tap to send by failed: %s", strerror(-error));
	return error;
}

static int load(struct tap *tap, const struct xsk_device *device)
{
	struct egress_bpf *skeleton = egress_bpf__open();
	int error;

	if (!skeleton)
		return -errno;
	tap->skeleton = skeleton;
	memcpy((void *)skeleton->rodata->local_mac, device->mac, sizeof(device->mac));
	skeleton->rodata->max_frame = device->mtu + ETH_HLEN;
	if (skeleton->rodata->max_frame > SEND_MAX_FRAME)
		skeleton->rodata->max_frame = SEND_MAX_FRAME;
	error = bpf_map__reuse_fd(skeleton->maps.arena, tap->datapath->arena_fd);
	if (!error)
		error = bpf_map__reuse_fd(skeleton->maps.senders, tap->datapath->senders_fd);
	return error ? error : egress_bpf__load(skeleton);
}

/* The device, as often as each map has entries, with the program that frames meet before it. */
static int fill_devmaps(struct tap *tap)
{
	const struct bpf_map *const maps[] = {
		tap->skeleton->maps.to_device_1,  tap->skeleton->maps.to_device_2,
		tap->skeleton->maps.to_device_4,  tap->skeleton->maps.to_device_8,
		tap->skeleton->maps.to_device_16, tap->skeleton->maps.to_device_32,
		tap->skeleton->maps.to_device_64,
	};
	const struct bpf_devmap_val value = {
		.ifindex = (uint32_t)tap->device.ifindex,
		.bpf_prog.fd = bpf_program__fd(tap->skeleton->progs.tern_egress),
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		for (uint32_t key = 0; key < bpf_map__max_entries(maps[i]); key++) {
			int error = bpf_map_update_elem(bpf_map__fd(maps[i]), &key, &value, BPF_ANY);

			if (error)
				return error;
		}
	return 0;
}

static int map_ring(struct tap *tap)
{
	void *memory = mmap(NULL, sizeof(*tap->ring), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(tap->skeleton->maps.send_ring), 0);

	if (memory == MAP_FAILED)
		return -errno;
	tap->ring = memory;
	return 0;
}

static int attach(struct tap *tap)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);

	tap->link_fd = bpf_link_create(bpf_program__fd(tap->skeleton->progs.tern_doorbell), tap->ifindex,
				       BPF_XDP, &options);
	return tap->link_fd < 0 ? tap->link_fd : 0;
}

static int open_programs(struct tap *tap, const struct xsk_device *device, const struct link_log *log)
{
	int error;

	bpf_log_begin(log);
	error = load(tap, device);
	if (!error)
		error = fill_devmaps(tap);
	if (!error)
		error = map_ring(tap);
	if (!error)
		error = attach(tap);
	bpf_log_end();
	if (error)
		link_logf(log, TERN_LOG_WARNING, "the programs to send by a tap failed: %s",
			  strerror(-error));
	return error;
}

int tap_open(struct tap *tap, const struct xsk_device *device, struct datapath *datapath,
	     const struct link_log *log)
{
	int error;

	*tap = (struct tap){
		.fd = -1, .link_fd = -1, .device.fd = -1, .datapath = datapath, .pump_from = TAP_PUMP_FROM
	};
	tap->cpus = (uint32_t)libbpf_num_possible_cpus();
	tap->per_cpu = calloc(tap->cpus, sizeof(struct datapath_counters));
	if (!tap->per_cpu)
		return -ENOMEM;
	error = xdp_device_open(&tap->device, device->ifindex);
	if (!error)
		error = open_device(tap, log);
	if (!error)
		error = open_programs(tap, device, log);
	if (error)
		tap_close(tap);
	return error;
}

void tap_close(struct tap *tap)
{
	tap_drop(tap);
	if (tap->link_fd >= 0)
		close(tap->link_fd);
	if (tap->fd >= 0)
		close(tap->fd);
	if (tap->ring)
		munmap(tap->ring, sizeof(*tap->ring));
	egress_bpf__destroy(tap->skeleton);
	xdp_device_close(&tap->device);
	free(tap->per_cpu);
	*tap = (struct tap){ .fd = -1, .link_fd = -1, .device.fd = -1 };
}

void tap_counters(struct tap *tap, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	static const char *const names[] = {
#define X(id, name) #name,
		EGRESS_COUNTERS(X)
#undef X
	};
	const struct datapath_counters *per_cpu = tap->per_cpu;
	uint64_t sums[EGRESS_COUNTERS_USED] = { 0 };
	uint32_t key = 0;

	if (!bpf_map_lookup_elem(bpf_map__fd(tap->skeleton->maps.egress_counters), &key, tap->per_cpu))
		for (uint32_t cpu = 0; cpu < tap->cpus; cpu++)
			for (int i = 0; i < EGRESS_COUNTERS_USED; i++)
				sums[i] += per_cpu[cpu].value[i];
	for (int i = 0; i < EGRESS_COUNTERS_USED; i++)
		each(ctx, names[i], sums[i]);
	each(ctx, "tap_written", tap->written);
	each(ctx, "tap_pumped", tap->pumped);
	each(ctx, "tap_doorbells", tap->doorbells);
	each(ctx, "tap_pump_from", tap->pump_from);
	each(ctx, "tap_full", tap->full);
	each(ctx, "tap_errors", tap->errors);
}
