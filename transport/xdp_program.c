// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loading and attaching. The attachment is a bpf_link, which the kernel takes away with
 * the process, however that ends. It does so a little later, so that a process started
 * at once after a crash finds the device busy for some tens of milliseconds.
 */
#include "xdp_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf_log.h"
#include "receive.skel.h"
#include "xsk.h"

#define RETRY_INTERVAL_US 2000

/* As the kernel knows them. */
static const char *const program_names[] = { "tern_receive", "tern_deliver" };

static bool is_ours(const char *name)
{
	return !strcmp(name, program_names[0]) || !strcmp(name, program_names[1]);
}

/* Of the two programs and their maps only the tier's own are loaded. */
static int choose_tier(struct receive_bpf *skeleton, const struct xdp_tier *tier)
{
	struct bpf_map *const in_place[] = { skeleton->maps.arena, skeleton->maps.receive_rings,
					     skeleton->maps.placements, skeleton->maps.running,
					     skeleton->maps.wake };
	int error = bpf_program__set_autoload(
		tier ? skeleton->progs.tern_receive : skeleton->progs.tern_deliver, false);

	if (!tier) {
		for (size_t i = 0; i < sizeof(in_place) / sizeof(in_place[0]) && !error; i++)
			error = bpf_map__set_autocreate(in_place[i], false);
		return error;
	}
	skeleton->rodata->parts = tier->parts;
#if defined(__x86_64__)
	skeleton->rodata->total_store_order = 1;
#endif
	skeleton->rodata->buffer_bytes = tier->buffer_bytes;
	if (!error)
		error = bpf_map__reuse_fd(skeleton->maps.arena, tier->datapath->arena_fd);
	if (!error)
		error = bpf_map__reuse_fd(skeleton->maps.placements, tier->datapath->placements_fd);
	if (!error)
		error = bpf_map__reuse_fd(skeleton->maps.running, tier->datapath->running_fd);
	return error;
}

static int load(struct xdp_program *program, const struct xsk_device *device, uint32_t queues,
		const struct xdp_tier *tier)
{
	int error;

	program->skeleton = receive_bpf__open();
	if (!program->skeleton)
		return -errno;
	memcpy((void *)program->skeleton->rodata->local_mac, device->mac, sizeof(device->mac));
	bpf_map__set_max_entries(program->skeleton->maps.sockets, queues);
	bpf_map__set_max_entries(program->skeleton->maps.receive_rings, queues);
	error = choose_tier(program->skeleton, tier);
	if (!error)
		error = receive_bpf__load(program->skeleton);
	if (!error)
		program->fd = bpf_program__fd(tier ? program->skeleton->progs.tern_deliver
						   : program->skeleton->progs.tern_receive);
	return error;
}

static int load_logged(struct xdp_program *program, const struct xsk_device *device, uint32_t queues,
		       const struct xdp_tier *tier, const struct link_log *log)
{
	int error;

	bpf_log_begin(log);
	error = load(program, device, queues, tier);
	bpf_log_end();
	if (error == -EPERM || error == -EACCES) {
		/* -EACCES is the verifier's: without CAP_PERFMON it allows less arithmetic on pointers. */
		link_logf(log, TERN_LOG_ERROR,
			  "loading the XDP program is not permitted: it takes CAP_BPF, CAP_PERFMON and "
			  "CAP_NET_ADMIN (and AF_XDP sockets CAP_NET_RAW)");
		return -EPERM;
	}
	if (error)
		link_logf(log, TERN_LOG_ERROR, "loading the XDP program failed: %s", strerror(-error));
	return error;
}

/* The program that holds a device, as far as it may be known. */
struct occupant {
	uint32_t id;   /* 0: none to be seen */
	char name[16]; /* empty: not to be seen */
};

static void find_occupant(int ifindex, struct occupant *occupant, const struct link_log *log)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = { 0 };
	uint32_t bytes = sizeof(info);
	int fd, error;

	*occupant = (struct occupant){ 0 };
	bpf_log_begin(log);
	error = bpf_xdp_query(ifindex, 0, &query);
	bpf_log_end();
	if (error)
		return;
	occupant->id = query.drv_prog_id   ? query.drv_prog_id
		       : query.skb_prog_id ? query.skb_prog_id
					   : query.hw_prog_id;
	fd = occupant->id ? bpf_prog_get_fd_by_id(occupant->id) : -1;
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes))
		snprintf(occupant->name, sizeof(occupant->name), "%s", info.name);
	close(fd);
}

static void log_occupant(const struct occupant *occupant, const struct link_log *log)
{
	if (is_ours(occupant->name))
		link_logf(
			log, TERN_LOG_ERROR,
			"another Tern endpoint uses the device (XDP program id %u): one endpoint per device",
			occupant->id);
	else if (occupant->id)
		link_logf(log, TERN_LOG_ERROR,
			  "an XDP program of someone else is attached: id %u%s%s; detach it (ip link set dev "
			  "%s xdp off) or use another device",
			  occupant->id, occupant->name[0] ? ", name " : "", occupant->name, log->device);
	else
		link_logf(log, TERN_LOG_ERROR,
			  "the device is busy with XDP, though no program is to be seen on it");
}

static const char *attach_error_text(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		return "the driver does not have it";
	case -ERANGE:
		return "the MTU, on veth the peer's, is too large";
	case -ENOSPC:
		return "the peer has more transmit queues than this device has receive queues";
	case -EPERM:
		return "not permitted: it takes CAP_NET_ADMIN";
	default:
		return strerror(-error);
	}
}

static int attach_once(struct xdp_program *program, int ifindex, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(program->fd, ifindex, BPF_XDP, &options);

	if (fd < 0)
		return fd;
	program->link_fd = fd;
	program->native = native;
	return 0;
}

/* Waits while the device is held by what may be a dead process's: ours, or unknown. */
static int attach_patiently(struct xdp_program *program, int ifindex, bool native, const struct link_log *log)
{
	const struct timespec interval = { .tv_nsec = RETRY_INTERVAL_US * 1000 };
	struct occupant occupant;
	uint32_t waited_us;
	int error;

	for (waited_us = 0;; waited_us += RETRY_INTERVAL_US) {
		error = attach_once(program, ifindex, native);
		/* -EEXIST: a program is attached in the other mode. */
		if (error != -EBUSY && error != -EEXIST)
			return error;
		find_occupant(ifindex, &occupant, log);
		if ((occupant.name[0] && !is_ours(occupant.name)) || waited_us >= XSK_BUSY_DEADLINE_MS * 1000)
			break;
		nanosleep(&interval, NULL);
	}
	log_occupant(&occupant, log);
	return -EBUSY;
}

static int attach(struct xdp_program *program, int ifindex, enum tern_xdp_mode mode,
		  const struct link_log *log)
{
	bool native = mode != TERN_XDP_GENERIC;
	int error = attach_patiently(program, ifindex, native, log);

	if (error && error != -EBUSY && mode == TERN_XDP_AUTO) {
		link_logf(log, TERN_LOG_INFO, "no native XDP (%s): generic XDP instead",
			  attach_error_text(error));
		native = false;
		error = attach_patiently(program, ifindex, native, log);
	}
	if (error && error != -EBUSY)
		link_logf(log, TERN_LOG_ERROR, "attaching XDP in %s mode failed: %s",
			  native ? "native" : "generic", attach_error_text(error));
	return error;
}

int xdp_program_open(struct xdp_program *program, const struct xsk_device *device, uint32_t queues,
		     enum tern_xdp_mode mode, const struct xdp_tier *tier, const struct link_log *log)
{
	int error;

	*program = (struct xdp_program){ .link_fd = -1, .cpus = libbpf_num_possible_cpus() };
	if (program->cpus < 0)
		return program->cpus;
	program->per_cpu = calloc((size_t)program->cpus, sizeof(*program->per_cpu));
	if (!program->per_cpu)
		return -ENOMEM;
	error = load_logged(program, device, queues, tier, log);
	if (!error)
		error = attach(program, device->ifindex, mode, log);
	if (error)
		xdp_program_close(program);
	return error;
}

void xdp_program_detach(struct xdp_program *program)
{
	if (program->link_fd < 0)
		return;
	/* Closing alone would leave it to the kernel when to detach. */
	bpf_link_detach(program->link_fd);
	close(program->link_fd);
	program->link_fd = -1;
}

void xdp_program_close(struct xdp_program *program)
{
	xdp_program_detach(program);
	receive_bpf__destroy(program->skeleton);
	program->skeleton = NULL;
	free(program->per_cpu);
	program->per_cpu = NULL;
}

int xdp_program_set_socket(struct xdp_program *program, uint32_t queue, int fd)
{
	return bpf_map_update_elem(bpf_map__fd(program->skeleton->maps.sockets), &queue, &fd, BPF_ANY);
}

void xdp_program_counters(struct xdp_program *program, struct datapath_counters *sum)
{
	uint32_t key = 0;

	*sum = (struct datapath_counters){ 0 };
	if (bpf_map_lookup_elem(bpf_map__fd(program->skeleton->maps.counters), &key, program->per_cpu))
		return;
	for (int cpu = 0; cpu < program->cpus; cpu++)
		for (int i = 0; i < DATAPATH_ALL_COUNTERS_USED; i++)
			sum->value[i] += program->per_cpu[cpu].value[i];
}

int xdp_program_rings_fd(const struct xdp_program *program)
{
	return bpf_map__fd(program->skeleton->maps.receive_rings);
}

int xdp_program_wake_fd(const struct xdp_program *program)
{
	return bpf_map__fd(program->skeleton->maps.wake);
}
