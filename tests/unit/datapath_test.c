/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps behind the in-place tier: their shapes, that they are what is mapped, and too little memory. */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath.h"
#include "test.h"

#define KEY 0x452821e638d01377ull
#define MIB (1ull << 20)

static uint32_t most_chunks = UINT32_MAX; /* that the kernel has memory for, */
static int failure = ENOMEM;              /* and what it says to more */
static char last_line[LINK_LOG_BYTES];
static uint32_t lines;

/* In place of libbpf's: fails when told to. */
int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key_bytes, __u32 value_bytes,
		   __u32 max_entries, const struct bpf_map_create_opts *options)
{
	static int (*real)(enum bpf_map_type, const char *, __u32, __u32, __u32,
			   const struct bpf_map_create_opts *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "bpf_map_create");
	CHECK(real);
	if (value_bytes == ARENA_STRIDE && max_entries > most_chunks) {
		errno = failure;
		return -1;
	}
	return real(type, name, key_bytes, value_bytes, max_entries, options);
}

static void keep_line(void *ctx, int level, const char *line)
{
	(void)ctx, (void)level;
	lines++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static const struct link_log keeper = { .write = keep_line, .device = "in place" };

static void check_map(int fd, const char *name, uint32_t value_bytes, uint32_t entries)
{
	struct bpf_map_info info = { 0 };
	uint32_t bytes = sizeof(info);

	CHECK_EQ(bpf_obj_get_info_by_fd(fd, &info, &bytes), 0);
	CHECK(!strcmp(info.name, name));
	CHECK_EQ(info.type, BPF_MAP_TYPE_ARRAY);
	CHECK_EQ(info.map_flags, BPF_F_MMAPABLE);
	CHECK_EQ(info.value_size, value_bytes);
	CHECK_EQ(info.max_entries, entries);
}

static uint32_t chunks_of(const struct datapath *datapath)
{
	struct arena_usage usage;

	arena_usage_get(datapath->arena, &usage);
	return usage.chunks;
}

/* What is written through the arena is where programs look for it by its place. */
static void check_places(struct datapath *datapath)
{
	static uint8_t chunk_bytes[ARENA_STRIDE];
	uint8_t *data;
	uint32_t i, place, chunk;

	for (i = 0; i < chunks_of(datapath); i++) {
		data = arena_get(datapath->arena, 300000, ARENA_SEND);
		CHECK(data);
		memset(data, (int)i + 1, 300000);
		place = arena_place(datapath->arena, data);
		chunk = place >> ARENA_CHUNK_SHIFT;
		CHECK_EQ(bpf_map_lookup_elem(datapath->arena_fd, &chunk, chunk_bytes), 0);
		CHECK(!memcmp(data, chunk_bytes + place % ARENA_CHUNK_BYTES, 300000));
	}
}

static void maps(void)
{
	static struct placement_table table;
	const struct ranges no_gaps = { 0 };
	struct placement_message message = { .id = 5, .length = 9000, .segment = 1400, .gaps = &no_gaps };
	struct datapath *datapath;
	struct send_rights rights;
	uint32_t zero = 0, handle;

	lines = 0;
	CHECK_EQ(datapath_create(8 * MIB, KEY, &keeper, &datapath), 0);
	CHECK_EQ(lines, 0);
	CHECK_EQ(chunks_of(datapath), 7); /* with what is behind each */
	check_map(datapath->arena_fd, "tern_arena", ARENA_STRIDE, 7);
	check_map(datapath->placements_fd, "tern_placements", sizeof(table), 1);
	check_map(datapath->running_fd, "tern_running", 64, (uint32_t)libbpf_num_possible_cpus());
	check_map(datapath->senders_fd, "tern_senders", sizeof(rights), 1);
	check_places(datapath);

	handle = placement_begin(&datapath->placements, &message);
	CHECK(handle != PLACEMENT_NONE);
	CHECK_EQ(bpf_map_lookup_elem(datapath->placements_fd, &zero, &table), 0);
	CHECK(table.key == KEY && table.records[handle % PLACEMENT_RECORDS].id == 5);
	placement_end(&datapath->placements, handle);

	datapath_own_port(datapath, 65535, true);
	datapath_own_port(datapath, 0, true);
	datapath_own_port(datapath, 1, true);
	datapath_own_port(datapath, 0, false);
	CHECK_EQ(bpf_map_lookup_elem(datapath->senders_fd, &zero, &rights), 0);
	CHECK(rights.ports[0] == 2 && rights.ports[1023] == 1ull << 63);
	datapath_destroy(datapath);
}

/* Less than was asked for is better than nothing; other errors are told. */
static void little_memory(void)
{
	struct datapath *datapath;

	most_chunks = 3;
	lines = 0;
	CHECK_EQ(datapath_create(18 * MIB, KEY, &keeper, &datapath), 0);
	CHECK_EQ(chunks_of(datapath), 2); /* 17, 8, 4, 2 */
	CHECK(lines == 1 && strstr(last_line, "2 MiB") && strstr(last_line, "17"));
	check_places(datapath);
	datapath_destroy(datapath);

	most_chunks = 0;
	CHECK_EQ(datapath_create(18 * MIB, KEY, &keeper, &datapath), -ENOMEM);
	CHECK(strstr(last_line, "no memory") && strstr(last_line, "tern_arena"));
	failure = EPERM;
	CHECK_EQ(datapath_create(18 * MIB, KEY, &keeper, &datapath), -EPERM);
	CHECK(strstr(last_line, "CAP_BPF"));
	most_chunks = UINT32_MAX;
	CHECK_EQ(datapath_create(0, KEY, &keeper, &datapath), 0);
	CHECK_EQ(chunks_of(datapath), 2);
	datapath_destroy(datapath);
}

int main(void)
{
	struct datapath *datapath;
	int error = datapath_create(2 * MIB, KEY, &keeper, &datapath);

	if (error == -EPERM)
		SKIP("%s", last_line);
	CHECK_EQ(error, 0);
	datapath_destroy(datapath);
	maps();
	little_memory();
	printf("maps, what is mapped, less memory than asked for\n");
	return 0;
}
