/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tern_deliver is to do, said in plain C on top of frame_parse; and whether it has
 * done just that: ring, arena, placement records and wake-ups are compared after every
 * frame with what they ought to be.
 */
#ifndef TERN_TEST_DELIVERY_MODEL_H
#define TERN_TEST_DELIVERY_MODEL_H

#include "differential.h"
#include "frame.h"
#include "map_abi.h"

#define MODEL_BUFFER_BYTES 2048
#define MODEL_BUFFERS      100 /* in chunk 0, the last at its end */
#define MODEL_RECORDS      8
#define MODEL_MESSAGES     1 /* the chunk of messages */
#define MODEL_CHUNKS       2
#define MODEL_ARENA        ((size_t)MODEL_CHUNKS * ARENA_STRIDE)

struct model {
	struct bench bench;
	struct receive_ring *ring;
	struct placement_table *table;
	struct datapath_running *running;
	uint8_t *arena;
	uint8_t *shadow; /* what the arena ought to hold */
	struct ring_buffer *wakes;
	uint32_t cpus;
	uint32_t parts;
	bool moody;      /* at times the ring is full, buffers are used up, or the engine sleeps */
	uint8_t *spoilt; /* a byte to change once the program has run; NULL: none */

	struct placement known[MODEL_RECORDS]; /* as they ought to be; id 0: none */
	uint32_t index[MODEL_RECORDS];

	/* Of the frame under way. */
	struct received expected;
	uint32_t header_bytes;
	uint32_t payload;
	uint64_t produced, used, marks;
	bool to_wake;
};

static uint8_t *model_at(uint8_t *arena, uint32_t place)
{
	return arena + (size_t)(place >> ARENA_CHUNK_SHIFT) * ARENA_STRIDE + place % ARENA_CHUNK_BYTES;
}

/* Whether `bytes` at `place` are in the arena, and in one chunk. */
static bool model_holds(uint32_t place, uint32_t bytes)
{
	return place >> ARENA_CHUNK_SHIFT < MODEL_CHUNKS &&
	       place % ARENA_CHUNK_BYTES + bytes <= ARENA_CHUNK_BYTES;
}

/* All entries are free, all buffers are given. */
static void model_consume(struct model *model)
{
	struct receive_ring *ring = model->ring;

	ring->consumed = ring->produced;
	ring->buffers_given = ring->buffers_used + RECEIVE_RING_ENTRIES;
	ring->sleeping = 0;
}

/* Counts segments by walking along them. */
static enum datapath_counter model_place(struct model *model, struct placement *record,
					 const struct homa_data_header *header)
{
	uint32_t offset = homa_data_offset(header), number = 0, at = 0;
	uint32_t unscheduled = record->unscheduled < record->length ? record->unscheduled : 0;
	uint64_t bit;

	if (wire32(header->message_length) != record->length || !record->segment)
		return DATAPATH_STEER;
	for (; at < offset; number++)
		at = homa_segment_end(at, unscheduled, record->segment, record->length);
	if (at != offset || number >= PLACEMENT_SEGMENTS ||
	    homa_segment_end(at, unscheduled, record->segment, record->length) != offset + model->payload)
		return DATAPATH_STEER;
	bit = 1ull << number % 64;
	if (record->claimed[number / 64] & bit)
		return DATAPATH_DROP_DUPLICATE;
	record->claimed[number / 64] |= bit;
	if (!model_holds(record->place + offset, model->payload))
		return DATAPATH_STEER;
	model->expected.place = record->place + offset;
	model->expected.flags |= RECEIVED_PLACED;
	return DATAPATH_PLACE;
}

static enum datapath_counter model_place_known(struct model *model, const struct link_packet *packet)
{
	const struct homa_data_header *header = (const void *)packet->data;

	if (!(model->parts & DELIVER_IN_PLACE) || wire32(header->message_length) <= model->payload)
		return DATAPATH_STEER;
	for (uint32_t i = 0; i < MODEL_RECORDS; i++) {
		struct placement *record = &model->known[i];

		if (!record->id || record->id != header->common.sender_id ||
		    record->sport != header->common.sport || record->dport != header->common.dport ||
		    memcmp(record->source, packet->source.b, 16))
			continue;
		model->marks = 2;
		model->expected.placement = record->handle;
		return model_place(model, record, header);
	}
	return DATAPATH_STEER;
}

static enum datapath_counter model_data(struct model *model, const struct link_packet *packet)
{
	struct receive_ring *ring = model->ring;
	enum datapath_counter counter;

	model->payload = packet->length - model->header_bytes;
	counter = model_place_known(model, packet);
	if (counter != DATAPATH_STEER)
		return counter;
	model->expected.placement = 0;
	model->expected.place = ring->buffers[ring->buffers_used % RECEIVE_RING_ENTRIES];
	if (model->payload > MODEL_BUFFER_BYTES || ring->buffers_given == ring->buffers_used ||
	    !model_holds(model->expected.place, model->payload))
		return DATAPATH_STEER;
	model->expected.flags |= RECEIVED_IN_BUFFER;
	return DATAPATH_DELIVER;
}

static enum datapath_counter model_predict(struct model *model, const struct link_packet *packet)
{
	const struct homa_common_header *header = (const void *)packet->data;
	bool is_data = header->type == HOMA_DATA;

	model->header_bytes = is_data ? sizeof(struct homa_data_header) : packet->length;
	model->payload = 0;
	model->marks = 0;
	model->expected = (struct received){
		.place = ARENA_NOWHERE,
		.length = (uint16_t)packet->length,
		.flags = net_ip_is_v4(&packet->source) ? RECEIVED_V4 : 0,
		.traffic_class = packet->traffic_class,
		.protocol = packet->protocol,
	};
	memcpy(model->expected.source, packet->source.b, 16);
	memcpy(model->expected.destination, packet->destination.b, 16);
	if (!(model->parts & DELIVER_TO_RING) ||
	    model->ring->produced - model->ring->consumed >= RECEIVE_RING_ENTRIES ||
	    model->header_bytes > RECEIVE_HEADER_BYTES)
		return DATAPATH_STEER;
	memcpy(model->expected.header, header, model->header_bytes);
	return is_data ? model_data(model, packet) : DATAPATH_DELIVER;
}

/* How often any CPU has begun or ended writing into a message. */
static uint64_t model_marks(const struct model *model)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < model->cpus; cpu++)
		sum += model->running[cpu].count;
	return sum;
}

static void model_mood(struct model *model)
{
	struct receive_ring *ring = model->ring;
	uint32_t mood = model->moody ? random_below(&model->bench, 16) : 16;

	if (mood == 0)
		ring->consumed = ring->produced - RECEIVE_RING_ENTRIES;
	if (mood == 1)
		ring->buffers_given = ring->buffers_used;
	if (mood == 2)
		ring->sleeping = 1;
}

static enum datapath_counter model_outcome(struct bench *bench, const struct frame *frame)
{
	struct model *model = bench->ctx;
	struct link_packet packet = { 0 };
	enum datapath_counter counter;

	CHECK(frame_parse(frame->bytes, frame->length, frame_mac, &packet));
	model_mood(model);
	/* As if the program had just looked: it need not see at once what an engine never does, take back. */
	model->ring->consumed_seen = model->ring->consumed;
	model->ring->buffers_seen = model->ring->buffers_given;
	model->produced = model->ring->produced;
	model->used = model->ring->buffers_used;
	model->marks = 0;
	counter = model_predict(model, &packet);
	if (counter == DATAPATH_PLACE || model->expected.flags & RECEIVED_IN_BUFFER)
		memcpy(model_at(model->shadow, model->expected.place), packet.data + model->header_bytes,
		       model->payload);
	model->marks += model_marks(model);
	model->to_wake = model->ring->sleeping && (counter == DATAPATH_DELIVER || counter == DATAPATH_PLACE);
	return counter == DATAPATH_STEER && !bench->has_socket ? DATAPATH_DROP_NO_SOCKET : counter;
}

/* All but what pads it, and what of the header was not there. */
static bool model_entry_right(const struct model *model)
{
	const struct received *entry = &model->ring->entries[model->produced % RECEIVE_RING_ENTRIES];
	const struct received *expected = &model->expected;

	return entry->place == expected->place && entry->length == expected->length &&
	       entry->flags == expected->flags && entry->traffic_class == expected->traffic_class &&
	       !memcmp(entry->source, expected->source, 16) &&
	       !memcmp(entry->destination, expected->destination, 16) &&
	       !memcmp(entry->header, expected->header, model->header_bytes) &&
	       (entry->placement == expected->placement || !(entry->flags & RECEIVED_PLACED)) &&
	       entry->protocol == expected->protocol;
}

/* The bytes, and those around them. */
static bool model_bytes_right(struct model *model)
{
	uint32_t place = model->expected.place, around = 64, before;

	if (place == ARENA_NOWHERE)
		return true;
	before = place % ARENA_CHUNK_BYTES < around ? place % ARENA_CHUNK_BYTES : around;
	return !memcmp(model_at(model->arena, place - before), model_at(model->shadow, place - before),
		       before + model->payload + around);
}

static bool model_records_right(const struct model *model)
{
	for (uint32_t i = 0; i < MODEL_RECORDS; i++)
		if (model->known[i].id && memcmp(&model->known[i], &model->table->records[model->index[i]],
						 sizeof(model->known[i])))
			return false;
	return true;
}

static bool model_effects(struct bench *bench, const struct frame *frame, enum datapath_counter counter)
{
	struct model *model = bench->ctx;
	struct receive_ring *ring = model->ring;
	bool published = counter == DATAPATH_DELIVER || counter == DATAPATH_PLACE;
	bool buffered = published && model->expected.flags & RECEIVED_IN_BUFFER;
	bool right;

	(void)frame;
	if (model->spoilt)
		*model->spoilt ^= 1;
	right = ring->produced == model->produced + published &&
		ring->buffers_used == model->used + buffered && model_marks(model) == model->marks &&
		model_records_right(model) &&
		(!published || (model_entry_right(model) && model_bytes_right(model))) &&
		ring_buffer__consume(model->wakes) == model->to_wake && (!model->to_wake || !ring->sleeping);
	model_consume(model);
	return right;
}

/* Puts a record for a message into its bucket, at the way given. */
static void model_record(struct model *model, uint32_t number, uint32_t way, const struct placement *record)
{
	uint32_t unscheduled = record->unscheduled < record->length ? record->unscheduled : 0;
	struct placement *known = &model->known[number];

	if (known->id)
		memset(&model->table->records[model->index[number]], 0, sizeof(*known));
	*known = *record;
	known->unscheduled_segments = 0;
	for (uint32_t at = 0; at < unscheduled && record->segment; known->unscheduled_segments++)
		at = homa_segment_end(at, unscheduled, record->segment, record->length);
	model->index[number] = placement_bucket(model->table->key, record->source, record->id) + way;
	if (known->id)
		model->table->records[model->index[number]] = *known;
}

static void model_forget(struct model *model)
{
	for (uint32_t i = 0; i < MODEL_RECORDS; i++)
		model_record(model, i, 0, &(struct placement){ 0 });
}

static int model_woken(void *ctx, void *data, size_t bytes)
{
	(void)ctx;
	(void)data;
	CHECK_EQ(bytes, 1);
	return 0;
}

#endif
