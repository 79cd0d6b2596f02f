/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs under test, loaded: what their tests have in common. */
#ifndef TERN_TEST_PROGRAMS_H
#define TERN_TEST_PROGRAMS_H

#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "test.h"

/* Instructions that the verifier went through. */
static inline uint32_t program_verified(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t bytes = sizeof(info);

	CHECK_EQ(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes), 0);
	return info.verified_insns;
}

/* A map takes any AF_XDP socket that has a receive ring: it need not be bound. */
static inline void program_serve_queue(const struct bpf_map *sockets)
{
	uint32_t entries = 64, queue = 0;
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	CHECK(fd >= 0);
	CHECK(!setsockopt(fd, SOL_XDP, XDP_RX_RING, &entries, sizeof(entries)));
	CHECK_EQ(bpf_map_update_elem(bpf_map__fd(sockets), &queue, &fd, BPF_ANY), 0);
}

/* A mmapable map's values. */
static inline void *program_map(const struct bpf_map *map, size_t bytes)
{
	void *values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	CHECK(values != MAP_FAILED);
	return values;
}

#endif
