/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "map_abi.h"
#include "tern.h"

#define MIN_CHUNKS 2

/* Each of them an ARRAY, mapped. */
enum map_index { ARENA, PLACEMENTS, RUNNING, SENDERS };

static const char *const map_names[] = { "tern_arena", "tern_placements", "tern_running", "tern_senders" };

/* As the kernel lays an ARRAY out. */
static size_t mapped_bytes(size_t value_bytes, uint32_t entries)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (value_bytes + 7) / 8 * 8 * entries;

	return (bytes + page - 1) / page * page;
}

static int *fd_of(struct datapath *datapath, enum map_index i)
{
	int *const fds[] = { &datapath->arena_fd, &datapath->placements_fd, &datapath->running_fd,
			     &datapath->senders_fd };

	return fds[i];
}

/* Makes and maps one. 0 or a negative errno. */
static int create_map(struct datapath *datapath, enum map_index i, size_t value_bytes, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	size_t bytes = mapped_bytes(value_bytes, entries);
	void *mapped;
	int fd, error;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, map_names[i], sizeof(uint32_t), (uint32_t)value_bytes,
			    entries, &options);
	if (fd < 0)
		return -errno;
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) {
		error = -errno;
		close(fd);
		return error;
	}
	*fd_of(datapath, i) = fd;
	datapath->mapped[i] = mapped;
	datapath->bytes[i] = bytes;
	return 0;
}

static int log_failure(const struct link_log *log, enum map_index i, int error)
{
	switch (error) {
	case -EPERM:
		link_logf(log, TERN_LOG_ERROR, "making the BPF map %s is not permitted: it takes CAP_BPF",
			  map_names[i]);
		break;
	case -ENOMEM:
		link_logf(log, TERN_LOG_ERROR,
			  "no memory for the BPF map %s: the machine or the control group has too little "
			  "left (memory.max)",
			  map_names[i]);
		break;
	default:
		link_logf(log, TERN_LOG_ERROR, "making or mapping the BPF map %s failed: %s", map_names[i],
			  strerror(-error));
	}
	return error;
}

/* As much of the memory that is wanted as the kernel has; *chunks says how much that is. */
static int create_arena(struct datapath *datapath, uint64_t memory, const struct link_log *log)
{
	uint64_t wanted = memory / ARENA_STRIDE;
	uint32_t chunks;
	int error;

	if (wanted > ARENA_MAX_CHUNKS)
		wanted = ARENA_MAX_CHUNKS;
	if (wanted < MIN_CHUNKS)
		wanted = MIN_CHUNKS;
	for (chunks = (uint32_t)wanted;; chunks = chunks / 2 < MIN_CHUNKS ? MIN_CHUNKS : chunks / 2) {
		error = create_map(datapath, ARENA, ARENA_STRIDE, chunks);
		if (error != -ENOMEM || chunks == MIN_CHUNKS)
			break;
	}
	if (error)
		return log_failure(log, ARENA, error);
	if (chunks < wanted)
		link_logf(log, TERN_LOG_WARNING, "%u MiB for messages in place, as there is no memory for %u",
			  chunks, (uint32_t)wanted);
	return arena_create(datapath->mapped[ARENA], chunks, &datapath->arena);
}

static int create_maps(struct datapath *datapath, uint64_t memory, uint64_t key, const struct link_log *log)
{
	int error, cpus = libbpf_num_possible_cpus();
	const struct {
		size_t bytes;
		uint32_t entries;
	} shapes[] = {
		[PLACEMENTS] = { sizeof(struct placement_table), 1 },
		[RUNNING] = { sizeof(struct datapath_running), (uint32_t)cpus },
		[SENDERS] = { sizeof(struct send_rights), 1 },
	};

	if (cpus < 0) {
		link_logf(log, TERN_LOG_ERROR, "cannot tell how many CPUs there may be: %s", strerror(-cpus));
		return cpus;
	}
	error = create_arena(datapath, memory, log);
	for (unsigned i = PLACEMENTS; !error && i <= SENDERS; i++) {
		error = create_map(datapath, i, shapes[i].bytes, shapes[i].entries);
		if (error)
			log_failure(log, i, error);
	}
	if (error)
		return error;
	datapath->rights = datapath->mapped[SENDERS];
	placements_init(&datapath->placements, datapath->mapped[PLACEMENTS], datapath->mapped[RUNNING],
			(uint32_t)cpus, key);
	return 0;
}

int datapath_create(uint64_t memory, uint64_t key, const struct link_log *log, struct datapath **datapath)
{
	struct datapath *new = calloc(1, sizeof(*new));
	int error;

	if (!new)
		return -ENOMEM;
	for (unsigned i = ARENA; i <= SENDERS; i++)
		*fd_of(new, i) = -1;
	error = create_maps(new, memory, key, log);
	if (error) {
		datapath_destroy(new);
		return error;
	}
	*datapath = new;
	return 0;
}

void datapath_destroy(struct datapath *datapath)
{
	if (datapath->arena)
		arena_destroy(datapath->arena);
	for (unsigned i = ARENA; i <= SENDERS; i++) {
		if (datapath->mapped[i])
			munmap(datapath->mapped[i], datapath->bytes[i]);
		if (*fd_of(datapath, i) >= 0)
			close(*fd_of(datapath, i));
	}
	free(datapath);
}

void datapath_own_port(struct datapath *datapath, uint16_t port, bool own)
{
	__u64 *word = &datapath->rights->ports[port / 64], bit = 1ull << port % 64;

	if (own)
		__atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELEASE);
}
