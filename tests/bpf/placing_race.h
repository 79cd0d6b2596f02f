/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two devices' programs at once on one message: every segment is placed once, and once a
 * message has been ended nobody writes into its memory.
 */
#ifndef TERN_TEST_PLACING_RACE_H
#define TERN_TEST_PLACING_RACE_H

#include <pthread.h>
#include <sched.h>

#include "placing.h"
#include "programs.h"
#include "receive.skel.h"

#define RACE_SEGMENTS 700
#define RACE_SEGMENT  1000
#define RACE_LENGTH   (RACE_SEGMENTS * RACE_SEGMENT)
#define RACE_ROUNDS   10
#define RACE_ENDS     300
#define RACE_BRINGS   8 /* segments that are brought while the message is ended */

/* One device: its program, its ring, and the CPU that serves it. */
struct racer {
	pthread_t thread;
	struct receive_bpf *program;
	struct receive_ring *ring;
	uint32_t cpu;
	bool endless; /* the first segments until told to stop; else the message once */
	bool stop;
	uint64_t frames;
	uint64_t placed;
};

static uint8_t race_byte(uint32_t offset)
{
	return (uint8_t)(offset / RACE_SEGMENT * 7 + 1);
}

static void race_frame(const struct racer *racer, uint32_t offset)
{
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.bytes, .repeat = 1);

	frame_make(&frame, true, false, HOMA_DATA, RACE_SEGMENT);
	data_header(&frame)->message_length = wire32(RACE_LENGTH);
	data_header(&frame)->segment_offset = wire32(offset);
	memset(data_header(&frame) + 1, race_byte(offset), RACE_SEGMENT);
	options.data_size_in = frame.length;
	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(racer->program->progs.tern_deliver), &options), 0);
}

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct receive_ring *ring = racer->ring;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(racer->cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
	for (uint32_t i = 0;
	     racer->endless ? !__atomic_load_n(&racer->stop, __ATOMIC_ACQUIRE) : i < RACE_SEGMENTS; i++) {
		ring->buffers_given = ring->buffers_used + RECEIVE_RING_ENTRIES;
		race_frame(racer, i % (racer->endless ? RACE_BRINGS : RACE_SEGMENTS) * RACE_SEGMENT);
		racer->placed += ring->produced != ring->consumed &&
				 ring->entries[ring->consumed % RECEIVE_RING_ENTRIES].flags & RECEIVED_PLACED;
		ring->consumed = ring->produced;
		__atomic_fetch_add(&racer->frames, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void race_start(struct racer racers[2], bool endless)
{
	for (uint32_t i = 0; i < 2; i++) {
		racers[i].endless = endless;
		racers[i].stop = false;
		racers[i].frames = racers[i].placed = 0;
		CHECK_EQ(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
}

static void race_wait(struct racer racers[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		__atomic_store_n(&racers[i].stop, true, __ATOMIC_RELEASE);
		CHECK_EQ(pthread_join(racers[i].thread, NULL), 0);
	}
}

/* As the engine ends a record: cleared, and then seen by every CPU that was about to write. */
static void race_end(const struct model *model, struct placement *record)
{
	__atomic_store_n(&record->id, 0, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t cpu = 0; cpu < model->cpus; cpu++) {
		uint64_t seen = __atomic_load_n(&model->running[cpu].count, __ATOMIC_SEQ_CST);

		while (seen % 2 && __atomic_load_n(&model->running[cpu].count, __ATOMIC_ACQUIRE) == seen)
			;
	}
}

/* Both bring all of a message: of each segment one is placed, the other a duplicate. */
static void race_for_segments(const struct model *model, struct racer racers[2], struct placement *record,
			      const struct placement *message)
{
	uint8_t *bytes = model_at(model->arena, message->place);
	uint64_t placed[2] = { 0 };

	for (uint32_t round = 0; round < RACE_ROUNDS; round++) {
		memset(bytes, 0, RACE_LENGTH);
		*record = *message;
		race_start(racers, false);
		race_wait(racers);
		CHECK_EQ(racers[0].placed + racers[1].placed, RACE_SEGMENTS);
		for (uint32_t i = 0; i < RACE_LENGTH; i++)
			CHECK_EQ(bytes[i], race_byte(i));
		race_end(model, record);
		placed[0] += racers[0].placed;
		placed[1] += racers[1].placed;
	}
	printf("a message by two devices: %llu segments placed by one, %llu by the other\n",
	       (unsigned long long)placed[0], (unsigned long long)placed[1]);
}

/* Both bring the same few segments over and over; once the message has been ended they are the test's own. */
static void race_against_end(const struct model *model, struct racer racers[2], struct placement *record,
			     const struct placement *message)
{
	uint8_t *bytes = model_at(model->arena, message->place);
	uint64_t placed = 0;

	for (uint32_t round = 0; round < RACE_ENDS; round++) {
		*record = *message;
		race_start(racers, true);
		while (__atomic_load_n(&racers[round % 2].frames, __ATOMIC_ACQUIRE) < 20 + round)
			__atomic_store_n(&record->claimed[0], 0, __ATOMIC_RELAXED);
		race_end(model, record);
		for (uint32_t i = 1; i <= RACE_BRINGS; i++)
			bytes[i * RACE_SEGMENT - 1] = 0;
		sched_yield();
		race_wait(racers);
		for (uint32_t i = 1; i <= RACE_BRINGS; i++)
			CHECK_EQ(bytes[i * RACE_SEGMENT - 1], 0);
		placed += racers[0].placed + racers[1].placed;
	}
	CHECK(placed);
	printf("%d messages ended under way, %llu segments placed before\n", RACE_ENDS,
	       (unsigned long long)placed);
}

#endif
