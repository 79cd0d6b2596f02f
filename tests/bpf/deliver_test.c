// SPDX-License-Identifier: BSD-2-Clause
/*
 * tern_deliver (BPF_PROG_TEST_RUN) against its model: the frames of receive_test and more,
 * and packets of messages that are put together in place, in order and out of it, whole and
 * not. Prints what the program costs.
 */
#include <errno.h>
#include <unistd.h>

#include "corpus.h"
#include "placing.h"
#include "placing_race.h"
#include "programs.h"
#include "receive.skel.h"

#define FRAMES_WANTED 150000
#define TIMED_ROUNDS  15 /* of many runs; the kernel takes tens of milliseconds to begin one */
#define TIMED_ONCE    300

static void sizes(struct model *model)
{
	struct frame frame;

	for (uint32_t kind = 0; kind < 4; kind++) {
		for (uint32_t bytes = 1; bytes <= 3200; bytes += bytes < 200 || bytes / 8 == 255 ? 1 : 7) {
			data_frame(&frame, kind & 1, kind & 2, bytes, 0, bytes);
			run(model, &frame, bytes <= MODEL_BUFFER_BYTES ? DATAPATH_DELIVER : DATAPATH_STEER);
		}
		/* Control packets with something behind their header. */
		for (uint32_t more = 0; more < 60; more++) {
			uint32_t bytes = sizeof(struct homa_grant_header) + more;

			frame_homa(frame_packet(&frame, kind & 1, kind & 2 ? NET_PROTOCOL_TCP : HOMA_IPPROTO,
						bytes),
				   HOMA_GRANT, 0, kind & 2);
			frame.bytes[15] = (uint8_t)(more * 5); /* part of the traffic class */
			if (kind & 1)
				frame_fix_checksum(&frame);
			run(model, &frame, bytes <= RECEIVE_HEADER_BYTES ? DATAPATH_DELIVER : DATAPATH_STEER);
		}
	}
}

/* Ring, buffers and sleep at their limits; values that no sane engine would leave there. */
static void limits(struct model *model)
{
	struct receive_ring *ring = model->ring;

	for (int v4 = 0; v4 < 2; v4++) {
		ring->consumed = ring->produced - (RECEIVE_RING_ENTRIES - 1);
		run_data(model, v4, 64, 0, 64, DATAPATH_DELIVER);
		ring->consumed = ring->produced - RECEIVE_RING_ENTRIES;
		run_data(model, v4, 64, 0, 64, DATAPATH_STEER);
		ring->consumed = ring->produced + 1;
		run_data(model, v4, 64, 0, 64, DATAPATH_STEER);
		ring->buffers_given = ring->buffers_used + 1;
		run_data(model, v4, 64, 0, 64, DATAPATH_DELIVER);
		ring->buffers_given = ring->buffers_used;
		run_data(model, v4, 64, 0, 64, DATAPATH_STEER);
		ring->sleeping = 1;
		run_data(model, v4, 64, 0, 64, DATAPATH_DELIVER);
		CHECK_EQ(ring->sleeping, 0);
		run_data(model, v4, 64, 0, 64, DATAPATH_DELIVER);
	}
}

/* Places outside the arena, and at the ends of its chunks, in every slot of `buffers`. */
static void bad_places(struct model *model)
{
	static const uint32_t places[] = {
		ARENA_NOWHERE,
		MODEL_CHUNKS << ARENA_CHUNK_SHIFT,
		ARENA_CHUNK_BYTES - 63,
		(MODEL_CHUNKS << ARENA_CHUNK_SHIFT) - 1,
		0x80000000u,
	};
	uint32_t saved[RECEIVE_RING_ENTRIES];

	memcpy(saved, model->ring->buffers, sizeof(saved));
	for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (uint32_t slot = 0; slot < RECEIVE_RING_ENTRIES; slot++)
			model->ring->buffers[slot] = places[i];
		run_data(model, i & 1, 64, 0, 64, DATAPATH_STEER);
	}
	for (uint32_t slot = 0; slot < RECEIVE_RING_ENTRIES; slot++)
		model->ring->buffers[slot] = ARENA_CHUNK_BYTES - 64;
	run_data(model, true, 64, 0, 64, DATAPATH_DELIVER);
	memcpy(model->ring->buffers, saved, sizeof(saved));
}

/* Whatever is wrong with what was delivered, it is noticed. */
static void planted_differences(struct model *model)
{
	struct placement record = data_record(true, 2800, 1400, 0);
	uint8_t *const spoilt[] = {
		(uint8_t *)&model->ring->produced,
		(uint8_t *)&model->ring->buffers_used,
		(uint8_t *)&model->running[0].count,
		model_at(model->arena, record.place + 2799),
		model_at(model->arena, record.place + 1400),
		model_at(model->arena, record.place + 2800),
		(uint8_t *)&model->table
			->records[placement_bucket(model->table->key, record.source, record.id)]
			.claimed,
		NULL, /* an entry's header */
		NULL, /* source */
		NULL, /* protocol */
	};
	struct frame frame;

	data_frame(&frame, true, false, 2800, 1400, 1400);
	for (uint32_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		struct received *entry = &model->ring->entries[model->ring->produced % RECEIVE_RING_ENTRIES];

		model_record(model, 0, 0, &record);
		CHECK(agrees(&model->bench, &frame, frame_mac));
		entry++;
		model_record(model, 0, 0, &record);
		model->spoilt = i == 7   ? &entry->header[55]
				: i == 8 ? &entry->source[15]
				: i == 9 ? &entry->protocol
					 : spoilt[i];
		CHECK(!agrees(&model->bench, &frame, frame_mac));
		*model->spoilt ^= 1;
		model->spoilt = NULL;
		model_consume(model);
	}
	model_forget(model);
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* What a run takes, harness included: median over rounds of `repeat` runs each. */
static uint32_t run_ns(struct model *model, const struct frame *frame, uint32_t repeat, uint32_t record)
{
	static uint32_t took[TIMED_ONCE];
	uint32_t rounds = repeat > 1 ? TIMED_ROUNDS : TIMED_ONCE;

	for (uint32_t i = 0; i < rounds; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
			    .data_size_in = frame->length, .repeat = (int)repeat);

		model_consume(model);
		memset(model->table->records[record].claimed, 0, sizeof(model->known[0].claimed));
		CHECK_EQ(bpf_prog_test_run_opts(model->bench.program_fd, &options), 0);
		took[i] = options.duration;
	}
	qsort(took, rounds, sizeof(took[0]), compare_ns);
	model_consume(model);
	return took[rounds / 2];
}

static void time_program(struct model *model)
{
	struct placement record = data_record(true, 2800, 1400, 0);
	uint32_t bucket = placement_bucket(model->table->key, record.source, record.id);
	struct frame foreign, small, whole, placed, grant;
	uint32_t harness;

	model_record(model, 0, 0, &record);
	frame_packet(&foreign, true, 17, 0);
	data_frame(&small, true, false, 64, 0, 64);
	data_frame(&whole, true, false, 1400, 0, 1400);
	data_frame(&placed, true, false, 2800, 1400, 1400);
	frame_make(&grant, true, false, HOMA_GRANT, 0);
	harness = run_ns(model, &foreign, 1000, bucket);
	printf("ns a frame, %u of them not ours to count (a foreign frame's): 64 B in a buffer %u, 1400 B in "
	       "a "
	       "buffer %u, GRANT %u\n",
	       harness, run_ns(model, &small, 1000, bucket), run_ns(model, &whole, 1000, bucket),
	       run_ns(model, &grant, 1000, bucket));
	printf("ns once, caches colder: foreign %u, 64 B in a buffer %u, 1400 B in a buffer %u, placed %u\n",
	       run_ns(model, &foreign, 1, bucket), run_ns(model, &small, 1, bucket),
	       run_ns(model, &whole, 1, bucket), run_ns(model, &placed, 1, bucket));
	model_forget(model);
}

static struct receive_bpf *prepare(uint32_t parts)
{
	struct receive_bpf *program = receive_bpf__open();

	CHECK(program);
	bpf_program__set_autoload(program->progs.tern_receive, false);
	memcpy((void *)program->rodata->local_mac, frame_mac, sizeof(frame_mac));
	program->rodata->buffer_bytes = MODEL_BUFFER_BYTES;
	program->rodata->parts = parts;
	bpf_map__set_max_entries(program->maps.arena, MODEL_CHUNKS);
	bpf_map__set_max_entries(program->maps.running, (uint32_t)libbpf_num_possible_cpus());
	return program;
}

static struct receive_bpf *load(uint32_t parts)
{
	struct receive_bpf *program = prepare(parts);

	if (receive_bpf__load(program)) {
		CHECK(errno == EPERM);
		SKIP("needs the right to load BPF programs");
	}
	return program;
}

static void map_all(struct model *model, const struct receive_bpf *program)
{
	model->arena = program_map(program->maps.arena, MODEL_ARENA);
	model->ring = program_map(program->maps.receive_rings, sizeof(*model->ring));
	model->table = program_map(program->maps.placements, sizeof(*model->table));
	model->cpus = (uint32_t)libbpf_num_possible_cpus();
	model->running = program_map(program->maps.running, model->cpus * sizeof(*model->running));
	model->wakes = ring_buffer__new(bpf_map__fd(program->maps.wake), model_woken, NULL, NULL);
	model->shadow = calloc(1, MODEL_ARENA);
	CHECK(model->wakes && model->shadow);
	for (uint32_t i = 0; i < RECEIVE_RING_ENTRIES; i++)
		model->ring->buffers[i] = i % MODEL_BUFFERS == MODEL_BUFFERS - 1
						  ? ARENA_CHUNK_BYTES - MODEL_BUFFER_BYTES
						  : i % MODEL_BUFFERS * (MODEL_BUFFER_BYTES + 64);
	model->table->key = 0x123456789abcdef0;
	model_consume(model);
}

static void unmap_all(struct model *model)
{
	munmap(model->arena, MODEL_ARENA);
	munmap(model->ring, sizeof(*model->ring));
	munmap(model->table, sizeof(*model->table));
	munmap(model->running, model->cpus * sizeof(*model->running));
	ring_buffer__free(model->wakes);
	free(model->shadow);
	free(model->bench.per_cpu);
}

static void everything(struct model *model)
{
	struct bench *bench = &model->bench;

	sizes(model);
	limits(model);
	bad_places(model);
	place_messages(model);
	model->moody = true;
	compare_corpus(bench, bench->frames + FRAMES_WANTED);
	random_messages(model);
	model->moody = false;
	CHECK(!memcmp(model->arena, model->shadow, MODEL_ARENA));
	for (int i = 0; i < DATAPATH_ALL_COUNTERS_USED; i++)
		CHECK(bench->expected.value[i]);
	planted_differences(model);
}

/* A second device beside the first, with the maps that devices share. */
static void race_two_devices(struct model *model, struct receive_bpf *first)
{
	struct receive_bpf *second = prepare(DELIVER_TO_RING | DELIVER_IN_PLACE);
	struct racer racers[2] = { { .program = first, .ring = model->ring },
				   { .program = second, .cpu = sysconf(_SC_NPROCESSORS_ONLN) > 1 } };
	struct placement message = data_record(true, RACE_LENGTH, RACE_SEGMENT, 0);
	struct placement *record =
		&model->table->records[placement_bucket(model->table->key, message.source, message.id)];

	CHECK_EQ(bpf_map__reuse_fd(second->maps.arena, bpf_map__fd(first->maps.arena)), 0);
	CHECK_EQ(bpf_map__reuse_fd(second->maps.placements, bpf_map__fd(first->maps.placements)), 0);
	CHECK_EQ(bpf_map__reuse_fd(second->maps.running, bpf_map__fd(first->maps.running)), 0);
	CHECK_EQ(receive_bpf__load(second), 0);
	racers[1].ring = program_map(second->maps.receive_rings, sizeof(*racers[1].ring));
	race_for_segments(model, racers, record, &message);
	race_against_end(model, racers, record, &message);
	munmap(racers[1].ring, sizeof(*racers[1].ring));
	receive_bpf__destroy(second);
}

/* The program with some of its parts switched on, by all the tests or by a few. */
static void with_parts(uint32_t parts)
{
	struct model model = { .parts = parts };
	struct receive_bpf *program = load(parts);
	struct placement record = data_record(true, 2800, 1400, 0);

	model.bench = (struct bench){ .random = 0x9e3779b97f4a7c15,
				      .outcome = model_outcome,
				      .effects = model_effects,
				      .ctx = &model };
	bench_open(&model.bench, program->progs.tern_deliver, program->maps.counters);
	map_all(&model, program);
	run_data(&model, true, 64, 0, 64,
		 parts & DELIVER_TO_RING ? DATAPATH_DELIVER : DATAPATH_DROP_NO_SOCKET);
	model.ring->consumed = model.ring->produced - RECEIVE_RING_ENTRIES;
	run_data(&model, true, 64, 0, 64, DATAPATH_DROP_NO_SOCKET);
	program_serve_queue(program->maps.sockets);
	model.bench.has_socket = true;
	model_record(&model, 0, 0, &record);
	run_data(&model, true, 2800, 1400, 1400,
		 parts & DELIVER_IN_PLACE  ? DATAPATH_PLACE
		 : parts & DELIVER_TO_RING ? DATAPATH_DELIVER
					   : DATAPATH_STEER);
	model_forget(&model);
	printf("parts %u: the verifier took %u instructions\n", parts,
	       program_verified(program->progs.tern_deliver));
	if (parts & DELIVER_IN_PLACE) {
		everything(&model);
		printf("%llu frames as they should be: %llu delivered, %llu placed, %llu duplicates\n",
		       (unsigned long long)model.bench.frames,
		       (unsigned long long)model.bench.expected.value[DATAPATH_DELIVER],
		       (unsigned long long)model.bench.expected.value[DATAPATH_PLACE],
		       (unsigned long long)model.bench.expected.value[DATAPATH_DROP_DUPLICATE]);
		time_program(&model);
		race_two_devices(&model, program);
	}
	unmap_all(&model);
	receive_bpf__destroy(program);
}

int main(void)
{
	with_parts(0);
	with_parts(DELIVER_TO_RING);
	with_parts(DELIVER_TO_RING | DELIVER_IN_PLACE);
	return 0;
}
