// SPDX-License-Identifier: BSD-2-Clause
/*
 * Row F3: more than 300,000 frames through the XDP program (BPF_PROG_TEST_RUN) and
 * through the same parser compiled for the host. Verdict and counters must be equal for
 * every single frame; and protocol 146 never passes.
 */
#include <errno.h>

#include "corpus.h"
#include "programs.h"
#include "receive.skel.h"

#define FRAMES_WANTED 300000

/* Without a socket on the queue, what would be steered is dropped, and counted so. */
static void unserved_queue(struct bench *bench)
{
	struct frame frame;

	CHECK(!bench->has_socket);
	for (uint32_t kind = 0; kind < 4; kind++) {
		frame_make(&frame, kind & 1, kind & 2, HOMA_GRANT, 0);
		compare(bench, &frame);
	}
	CHECK_EQ(bench->expected.value[DATAPATH_DROP_NO_SOCKET], 4);
}

/* The comparison can fail: with one bit of the address changed on one side, it does. */
static void planted_difference(struct bench *bench)
{
	uint8_t other_mac[6];
	struct frame frame;

	memcpy(other_mac, frame_mac, sizeof(other_mac));
	other_mac[5] ^= 1;
	frame_make(&frame, true, false, HOMA_DATA, 100);
	CHECK(agrees(bench, &frame, frame_mac));
	CHECK(!agrees(bench, &frame, other_mac));
}

/* A valid frame goes to the queue's socket, if it has one. */
static enum datapath_counter outcome(struct bench *bench, const struct frame *frame)
{
	(void)frame;
	return bench->has_socket ? DATAPATH_STEER : DATAPATH_DROP_NO_SOCKET;
}

int main(void)
{
	static struct bench bench = { .random = 0x2545f4914f6cdd1d, .outcome = outcome };
	struct receive_bpf *program = receive_bpf__open();

	CHECK(program);
	memcpy((void *)program->rodata->local_mac, frame_mac, sizeof(frame_mac));
	if (receive_bpf__load(program)) {
		CHECK(errno == EPERM);
		SKIP("needs the right to load BPF programs");
	}
	bench_open(&bench, program->progs.tern_receive, program->maps.counters);

	unserved_queue(&bench);
	program_serve_queue(program->maps.sockets);
	bench.has_socket = true;
	compare_corpus(&bench, FRAMES_WANTED);
	for (int i = 0; i < DATAPATH_COUNTERS_USED; i++)
		CHECK(bench.expected.value[i]);
	planted_difference(&bench);
	printf("%llu frames equal (%llu captured): %llu passed, %llu steered, the rest dropped for %d "
	       "reasons; "
	       "the verifier took %u instructions\n",
	       (unsigned long long)bench.frames, (unsigned long long)bench.captured,
	       (unsigned long long)bench.expected.value[DATAPATH_PASS],
	       (unsigned long long)bench.expected.value[DATAPATH_STEER], DATAPATH_COUNTERS_USED - 2,
	       program_verified(program->progs.tern_receive));
	free(bench.per_cpu);
	receive_bpf__destroy(program);
	return 0;
}
