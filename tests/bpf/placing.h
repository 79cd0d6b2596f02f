/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of messages that tern_deliver puts together in place: in order and out of it, whole and not. */
#ifndef TERN_TEST_PLACING_H
#define TERN_TEST_PLACING_H

#include "delivery_model.h"

/* A packet of DATA with bytes that depend on where they are. */
static void data_frame(struct frame *frame, bool v4, bool hijack, uint32_t length, uint32_t offset,
		       uint32_t bytes)
{
	struct homa_data_header *header;

	frame_make(frame, v4, hijack, HOMA_DATA, bytes);
	header = (struct homa_data_header *)(frame->bytes + (v4 ? 34 : 54));
	header->message_length = wire32(length);
	header->common.sequence = wire32(offset);
	header->segment_offset = wire32(offset);
	for (uint32_t i = 0; i < bytes; i++)
		((uint8_t *)(header + 1))[i] = (uint8_t)((offset + i) * 31 ^ (offset + i) >> 8);
}

static struct homa_data_header *data_header(struct frame *frame)
{
	return (struct homa_data_header *)(frame->bytes + (frame_is_v4(frame) ? 34 : 54));
}

/* The record of the message whose packets data_frame makes. */
static struct placement data_record(bool v4, uint32_t length, uint32_t segment, uint32_t unscheduled)
{
	struct placement record = {
		.id = wire64(1234),
		.sport = wire16(0x8001),
		.dport = wire16(4000),
		.place = MODEL_MESSAGES << ARENA_CHUNK_SHIFT | 64,
		.length = length,
		.segment = segment,
		.unscheduled = unscheduled,
		.handle = 0xabcdef00 ^ length,
	};

	memcpy(record.source,
	       v4 ? "\0\0\0\0\0\0\0\0\0\0\377\377\12\115\0\1" : "\375\146\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	return record;
}

static void run(struct model *model, const struct frame *frame, enum datapath_counter counter)
{
	uint64_t before = model->bench.expected.value[counter];

	compare(&model->bench, frame);
	CHECK_EQ(model->bench.expected.value[counter], before + 1);
}

static void run_data(struct model *model, bool v4, uint32_t length, uint32_t offset, uint32_t bytes,
		     enum datapath_counter counter)
{
	struct frame frame;

	data_frame(&frame, v4, false, length, offset, bytes);
	run(model, &frame, counter);
}

/* Whole messages, twice over: placed once, then duplicates. In three orders, in every way of a bucket. */
static void whole_messages(struct model *model)
{
	static const uint32_t steps[] = { 1, 3, 7 }; /* prime to the number of segments */

	for (uint32_t way = 0; way < PLACEMENT_WAYS; way++)
		for (uint32_t kind = 0; kind < 12; kind++) {
			uint32_t unscheduled = kind & 2 ? 2500 : 0, length = 14000, segment = 1400;
			uint32_t starts[12], count = 0;
			struct placement record = data_record(kind & 1, length, segment, unscheduled);

			for (uint32_t at = 0; at < length;
			     at = homa_segment_end(at, unscheduled, segment, length))
				starts[count++] = at;
			CHECK_EQ(count, unscheduled ? 11 : 10);
			model_record(model, 0, way, &record);
			for (uint32_t i = 0; i < 2 * count; i++) {
				uint32_t at = starts[i * steps[kind / 4] % count];
				uint32_t end = homa_segment_end(at, unscheduled, segment, length);

				run_data(model, kind & 1, length, at, end - at,
					 i < count ? DATAPATH_PLACE : DATAPATH_DROP_DUPLICATE);
			}
			/* Parts of it that do not fit are delivered, not placed, even though it is complete.
			 */
			run_data(model, kind & 1, length, 1, 1400, DATAPATH_DELIVER);
			run_data(model, kind & 1, length, 1400, 1399, DATAPATH_DELIVER);
			model_forget(model);
		}
}

/* Packets that are nearly those of a message, and records that are nearly right. */
static void strangers(struct model *model)
{
	struct placement record = data_record(true, 5000, 1400, 0);
	struct frame frame;

	for (uint32_t i = 0; i < 7; i++) {
		data_frame(&frame, true, false, 5000, 1400, 1400);
		if (i == 0)
			data_header(&frame)->common.sport ^= 1;
		if (i == 1)
			data_header(&frame)->common.dport ^= 1;
		if (i == 2)
			data_header(&frame)->common.sender_id ^= 1;
		if (i == 3)
			data_header(&frame)->message_length = wire32(5001);
		if (i == 4)
			frame_ipv4(&frame)->source ^= wire32(1);
		if (i == 5)
			data_frame(&frame, false, false, 5000, 1400, 1400);
		if (i == 6)
			data_frame(&frame, true, false, 1400, 0, 1400); /* the whole of a message */
		if (frame_is_v4(&frame))
			frame_fix_checksum(&frame);
		model_record(model, 0, 0, &record);
		run(model, &frame, DATAPATH_DELIVER);
	}
	for (uint32_t i = 0; i < 5; i++) {
		struct placement bad = record;

		if (i == 0)
			bad.segment = 0;
		if (i == 1)
			bad.place = ARENA_NOWHERE - 5000;
		if (i == 2)
			bad.place = MODEL_CHUNKS << ARENA_CHUNK_SHIFT;
		if (i == 3)
			bad.place = (1 << ARENA_CHUNK_SHIFT) - 1500;
		if (i == 4)
			bad.length = 4999;
		model_record(model, 0, 0, &bad);
		run_data(model, true, 5000, 1400, 1400, DATAPATH_DELIVER);
	}
	/* The same message at the end of its chunk. */
	record.place = (2 << ARENA_CHUNK_SHIFT) - 5000;
	model_record(model, 0, 3, &record);
	run_data(model, true, 5000, 4200, 800, DATAPATH_PLACE);
	run_data(model, true, 5000, 0, 1400, DATAPATH_PLACE);
	/* No room in the ring: not claimed, so that it is placed when it comes again. */
	model->ring->consumed = model->ring->produced - RECEIVE_RING_ENTRIES;
	run_data(model, true, 5000, 1400, 1400, DATAPATH_STEER);
	run_data(model, true, 5000, 1400, 1400, DATAPATH_PLACE);
	/* No buffers: a message's bytes need none. */
	model->ring->buffers_given = model->ring->buffers_used;
	run_data(model, true, 5000, 2800, 1400, DATAPATH_PLACE);
	model_forget(model);
}

/* Hosts whose messages of the same number are in the same bucket, and that differ in one half of their
 * address. */
static void bucket_mates(struct model *model)
{
	struct placement record = data_record(false, 2800, 1400, 0);
	uint32_t bucket = placement_bucket(model->table->key, record.source, record.id);
	struct frame frame;

	for (uint32_t half = 0; half < 2; half++) {
		struct placement mate = record;
		uint32_t tries = 0;

		data_frame(&frame, false, false, 2800, 0, 1400);
		do {
			CHECK(++tries < 65536);
			mate.source[half * 8 + 4] = (uint8_t)tries;
			mate.source[half * 8 + 5] = (uint8_t)(tries >> 8);
		} while (placement_bucket(model->table->key, mate.source, mate.id) != bucket);
		memcpy(frame_ipv6(&frame)->source, mate.source, sizeof(mate.source));
		model_record(model, 0, 0, &record);
		run(model, &frame, DATAPATH_DELIVER);
	}
	model_forget(model);
}

/* The last segment that can have a bit, and the one after it. */
static void many_segments(struct model *model)
{
	struct placement record = data_record(false, 10 * (PLACEMENT_SEGMENTS + 2), 10, 0);

	model_record(model, 0, 1, &record);
	run_data(model, false, record.length, 10 * (PLACEMENT_SEGMENTS - 1), 10, DATAPATH_PLACE);
	run_data(model, false, record.length, 10 * PLACEMENT_SEGMENTS, 10, DATAPATH_DELIVER);
	run_data(model, false, record.length, 10 * (PLACEMENT_SEGMENTS + 1), 10, DATAPATH_DELIVER);
	record.unscheduled = 15;
	model_record(model, 0, 1, &record);
	run_data(model, false, record.length, 15 + 10 * (PLACEMENT_SEGMENTS - 3), 10, DATAPATH_PLACE);
	run_data(model, false, record.length, 15 + 10 * (PLACEMENT_SEGMENTS - 2), 10, DATAPATH_DELIVER);
	model_forget(model);
}

/* Any geometry, several messages in one bucket, packets at and beside their boundaries. */
static void random_messages(struct model *model)
{
	struct bench *bench = &model->bench;

	for (uint32_t round = 0; round < 400; round++) {
		bool v4 = random_below(bench, 2);
		uint32_t length = 2 + random_below(bench, 200000), segment = 1 + random_below(bench, 3000);
		uint32_t unscheduled = random_below(bench, 3) ? random_below(bench, length + 100) : 0, at = 0;
		struct placement record = data_record(v4, length, segment, unscheduled);

		for (uint32_t way = PLACEMENT_WAYS; way-- > 0;) {
			model_record(model, way, way, &record);
			record.sport ^= wire16(1u << way);
		}
		if (unscheduled >= length)
			unscheduled = 0;
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t end = homa_segment_end(at, unscheduled, segment, length), bytes = end - at;
			struct frame frame;

			if (!random_below(bench, 8))
				bytes += bytes > 1 && random_below(bench, 2) ? -1u
					 : at + bytes < length               ? 1
									     : 0;
			data_frame(&frame, v4, random_below(bench, 2), length, at, bytes);
			if (!random_below(bench, 6))
				data_header(&frame)->common.sport ^= wire16(1u << random_below(bench, 4));
			compare(bench, &frame);
			at = end < length && random_below(bench, 8)
				     ? end
				     : homa_segment_start(random_below(bench, length), unscheduled, segment);
			if (!random_below(bench, 10))
				at = random_below(bench, length);
		}
		model_forget(model);
	}
}

static void place_messages(struct model *model)
{
	whole_messages(model);
	strangers(model);
	bucket_mates(model);
	many_segments(model);
	random_messages(model);
}

#endif
