/* SPDX-License-Identifier: BSD-2-Clause */
/* A frame through the XDP program and through the same parser on the host, compared. */
#ifndef TERN_TEST_DIFFERENTIAL_H
#define TERN_TEST_DIFFERENTIAL_H

#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frames.h"
#include "parse.h"

#define TRUNCATIONS  128
#define SHORTEST_RUN 14 /* bytes: BPF_PROG_TEST_RUN wants an Ethernet header */

static const char *const counter_names[] = {
#define X(id, name) #name,
	DATAPATH_COUNTERS(X) DATAPATH_IN_PLACE_COUNTERS(X)
#undef X
};

struct bench {
	int program_fd;
	int counters_fd;
	/* What a frame that the parser finds valid is to count as; asked just before it is run. */
	enum datapath_counter (*outcome)(struct bench *bench, const struct frame *frame);
	/* Whether it had the effects that it ought to have had; may be NULL. Asked just after. */
	bool (*effects)(struct bench *bench, const struct frame *frame, enum datapath_counter counter);
	void *ctx;
	struct datapath_counters expected;
	struct datapath_counters *per_cpu;
	uint64_t frames;
	uint64_t captured;
	uint64_t random;
	bool has_socket; /* the queue is served */
};

static void bench_open(struct bench *bench, const struct bpf_program *program, const struct bpf_map *counters)
{
	bench->program_fd = bpf_program__fd(program);
	bench->counters_fd = bpf_map__fd(counters);
	bench->per_cpu = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*bench->per_cpu));
	CHECK(bench->per_cpu);
}

static uint32_t random_below(struct bench *bench, uint32_t bound)
{
	bench->random ^= bench->random << 13;
	bench->random ^= bench->random >> 7;
	bench->random ^= bench->random << 17;
	return (uint32_t)(bench->random >> 20) % bound;
}

/* What the host says: parsed in a buffer of just the frame's size, which ASan guards. */
static enum datapath_counter reference(const struct frame *frame, const uint8_t *mac)
{
	struct parsed_frame parsed = { 0 };
	uint8_t *copy = malloc(frame->length ? frame->length : 1);
	enum datapath_counter counter;

	CHECK(copy);
	memcpy(copy, frame->bytes, frame->length);
	counter = parse_frame(copy, copy + frame->length, mac, &parsed);
	if (counter == DATAPATH_STEER) {
		CHECK_EQ(parsed.offset, parsed.is_v4 ? 34 : 54);
		CHECK(parsed.offset + parsed.length <= frame->length);
	}
	free(copy);
	return counter;
}

/* Written without the parser: protocol 146 directly behind a plain IP header. */
static bool is_plainly_146(const struct frame *frame)
{
	const uint8_t *bytes = frame->bytes;

	if (frame->length < SHORTEST_RUN)
		return false;
	if (bytes[12] == 0x08 && bytes[13] == 0x00)
		return frame->length >= 24 && bytes[23] == 146;
	return bytes[12] == 0x86 && bytes[13] == 0xdd && frame->length >= 21 && bytes[20] == 146;
}

static uint32_t run_program(struct bench *bench, const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes, .data_size_in = frame->length,
		    .repeat = 1);

	CHECK_EQ(bpf_prog_test_run_opts(bench->program_fd, &options), 0);
	return options.retval;
}

static void read_counters(struct bench *bench, struct datapath_counters *sum)
{
	uint32_t key = 0;
	int cpus = libbpf_num_possible_cpus();

	memset(sum, 0, sizeof(*sum));
	CHECK_EQ(bpf_map_lookup_elem(bench->counters_fd, &key, bench->per_cpu), 0);
	for (int cpu = 0; cpu < cpus; cpu++)
		for (int i = 0; i < DATAPATH_COUNTERS_MAX; i++)
			sum->value[i] += bench->per_cpu[cpu].value[i];
}

/* True if program and reference agree on a frame: in verdict, every counter, and effects. */
static bool agrees(struct bench *bench, const struct frame *frame, const uint8_t *mac)
{
	enum datapath_counter counter = reference(frame, mac);
	struct datapath_counters counters;
	bool valid = counter == DATAPATH_STEER;
	uint32_t action;

	if (is_plainly_146(frame))
		CHECK(counter != DATAPATH_PASS);
	if (frame->length < SHORTEST_RUN) {
		CHECK_EQ(counter, DATAPATH_PASS);
		return true;
	}
	if (valid)
		counter = bench->outcome(bench, frame);
	action = counter == DATAPATH_PASS ? XDP_PASS : counter == DATAPATH_STEER ? XDP_REDIRECT : XDP_DROP;
	bench->expected.value[counter]++;
	bench->frames++;
	if (run_program(bench, frame) != action)
		return false;
	read_counters(bench, &counters);
	if (memcmp(&counters, &bench->expected, sizeof(counters)))
		return false;
	return !valid || !bench->effects || bench->effects(bench, frame, counter);
}

static void compare(struct bench *bench, const struct frame *frame)
{
	if (agrees(bench, frame, frame_mac))
		return;
	fprintf(stderr, "frame %llu differs; the reference says %s:\n", (unsigned long long)bench->frames,
		counter_names[reference(frame, frame_mac)]);
	for (uint32_t i = 0; i < frame->length && i < 160; i++)
		fprintf(stderr, "%02x%s", frame->bytes[i], i % 32 == 31 ? "\n" : " ");
	exit(1);
}

static void expect(struct bench *bench, const struct frame *frame, enum datapath_counter counter)
{
	CHECK_EQ(reference(frame, frame_mac), counter);
	compare(bench, frame);
}

static void compare_truncations(struct bench *bench, const struct frame *frame)
{
	struct frame cut = *frame;

	for (cut.length = 0; cut.length <= TRUNCATIONS && cut.length <= frame->length; cut.length++)
		compare(bench, &cut);
}

#endif
