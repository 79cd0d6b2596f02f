// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames through the egress programs and a pair of devices: every number of them in a
 * doorbell and every length arrives whole and in order; what its sender may not send, or
 * what cannot be sent, is dropped, counted, and disturbs none of its neighbours.
 */
#include "egress_network.h"
#include "parse.h"

#define OWN_PORT   0x8001 /* of frame_homa */
#define OTHER_PORT 0x8002

/* What is wrong with an entry. */
enum fault {
	NONE,
	OTHER_MAC,
	NOT_OWN_PORT,
	BAD_CHECKSUM,
	BAD_VERSION,
	PLAIN_TCP,
	OTHER_PROTOCOL,
	NO_SUCH_TYPE,
	PAST_MESSAGE,
	CUT,
	OPTIONS,
	ARP,
	VLAN,
	NO_HEADER,
	SHORT_HEADER,
	LONG_HEADER,
	LONG_PAYLOAD,
	LONG_FRAME,
	NOWHERE,
	FAULTS
};

static const enum egress_counter fault_counters[FAULTS] = {
	[NONE] = EGRESS_SENT,
	[OTHER_MAC] = EGRESS_DROP_NOT_OWNER,
	[NOT_OWN_PORT] = EGRESS_DROP_NOT_OWNER,
	[BAD_CHECKSUM] = EGRESS_DROP_MALFORMED,
	[BAD_VERSION] = EGRESS_DROP_MALFORMED,
	[PLAIN_TCP] = EGRESS_DROP_MALFORMED,
	[OTHER_PROTOCOL] = EGRESS_DROP_MALFORMED,
	[NO_SUCH_TYPE] = EGRESS_DROP_MALFORMED,
	[PAST_MESSAGE] = EGRESS_DROP_MALFORMED,
	[CUT] = EGRESS_DROP_MALFORMED,
	[OPTIONS] = EGRESS_DROP_MALFORMED,
	[ARP] = EGRESS_DROP_MALFORMED,
	[VLAN] = EGRESS_DROP_MALFORMED,
	[NO_HEADER] = EGRESS_DROP_FAILED,
	[SHORT_HEADER] = EGRESS_DROP_FAILED,
	[LONG_HEADER] = EGRESS_DROP_FAILED,
	[LONG_PAYLOAD] = EGRESS_DROP_FAILED,
	[LONG_FRAME] = EGRESS_DROP_FAILED,
	[NOWHERE] = EGRESS_DROP_FAILED,
};

struct egress {
	struct network network;
	struct frame sent[SEND_RING_ENTRIES]; /* what is to come out, in order */
	uint32_t to_come;
	uint64_t expected[EGRESS_COUNTERS_USED];
	uint32_t number; /* of frames made: no two are the same */
};

/* A frame of `payload` bytes of DATA (0: a GRANT), by IPv4 or IPv6, plain or as TCP. */
static void make_frame(struct egress *egress, struct frame *frame, uint32_t payload, bool v4, bool hijack)
{
	uint32_t at = v4 ? 34 : 54;
	struct homa_data_header *header = (struct homa_data_header *)(frame->bytes + at);

	memset(frame, 0, sizeof(*frame));
	frame_make(frame, v4, hijack, payload ? HOMA_DATA : HOMA_GRANT, payload);
	memcpy(frame->bytes + 6, egress->network.mac, 6);
	header->common.sender_id = wire64(++egress->number);
	for (uint32_t i = 0; i < payload; i++)
		((uint8_t *)(header + 1))[i] = (uint8_t)(i * 7 + egress->number);
}

static void spoil_frame(struct frame *frame, enum fault fault)
{
	bool v4 = frame_is_v4(frame);
	struct homa_common_header *header = (struct homa_common_header *)(frame->bytes + (v4 ? 34 : 54));
	uint8_t *protocol = frame->bytes + (v4 ? 23 : 20);

	if (fault == OTHER_MAC)
		frame->bytes[11] ^= 1;
	if (fault == NOT_OWN_PORT)
		header->sport = wire16(OTHER_PORT);
	if (fault == BAD_CHECKSUM)
		frame->bytes[v4 ? 25 : 14] ^= 0x10; /* IPv6 has none: a wrong version */
	if (fault == BAD_VERSION)
		frame->bytes[14] ^= 0x80;
	if (fault == PLAIN_TCP) {
		*protocol = NET_PROTOCOL_TCP;
		header->flags = 0x10;
	}
	if (fault == OTHER_PROTOCOL)
		*protocol = 17;
	if (fault == NO_SUCH_TYPE)
		header->type = HOMA_TYPE_LAST + 1;
	if (fault == PAST_MESSAGE)
		((struct homa_data_header *)header)->message_length = wire32(1);
	if (fault == OPTIONS && v4)
		frame_add_ipv4_options(frame, 1);
	if (fault == OPTIONS && !v4)
		frame_add_extension(frame, NET_IPV6_DESTINATION, 0, 0);
	if (fault == ARP)
		frame->bytes[13] = 6;
	if (fault == VLAN)
		frame_add_vlan(frame, NET_ETHERTYPE_VLAN, 5);
	if (v4 && fault != BAD_CHECKSUM && fault != ARP && fault != VLAN)
		frame_fix_checksum(frame);
}

/* Makes the frame the ring's next entry: its Homa header with what is before it, and its payload. */
static void put_entry(struct egress *egress, const struct frame *frame, uint32_t header_length,
		      enum fault fault)
{
	struct send_ring *ring = egress->network.ring;
	uint32_t slot = ring->produced % SEND_RING_ENTRIES, place = slot * (SEND_MAX_FRAME + 64) + slot % 64;
	struct send_entry *entry = &ring->entries[slot];

	if (slot == SEND_RING_ENTRIES - 1)
		place = (NETWORK_CHUNKS << ARENA_CHUNK_SHIFT) - SEND_MAX_FRAME;
	entry->place = fault == NOWHERE ? NETWORK_CHUNKS << ARENA_CHUNK_SHIFT : place;
	entry->header_length = (uint16_t)header_length;
	entry->payload_length = (uint16_t)(frame->length - header_length);
	memcpy(entry->header, frame->bytes, header_length);
	memcpy(egress->network.arena + (place >> ARENA_CHUNK_SHIFT) * (size_t)ARENA_STRIDE +
		       place % ARENA_CHUNK_BYTES,
	       frame->bytes + header_length, frame->length - header_length);
	if (fault == CUT)
		entry->payload_length--;
	if (fault == NO_HEADER)
		entry->header_length = 0;
	if (fault == SHORT_HEADER)
		entry->header_length = 13;
	if (fault == LONG_HEADER)
		entry->header_length = SEND_HEADER_BYTES + 1;
	if (fault == LONG_PAYLOAD)
		entry->payload_length = 65535;
	if (fault == LONG_FRAME)
		entry->payload_length = (uint16_t)(SEND_MAX_FRAME + 1 - header_length);
	ring->produced++;
}

/* A frame that is good, or has a fault, into the ring; good ones are to come out. */
static void add(struct egress *egress, uint32_t payload, bool v4, bool hijack, enum fault fault)
{
	struct frame frame;

	make_frame(egress, &frame, payload, v4, hijack);
	spoil_frame(&frame, fault);
	put_entry(egress, &frame, (v4 ? 34 : 54) + (payload ? 56 : 33), fault);
	egress->expected[fault_counters[fault]]++;
	if (fault == NONE)
		egress->sent[egress->to_come++] = frame;
}

static void ring_doorbell(struct egress *egress)
{
	uint8_t bell[SEND_DOORBELL_BYTES] = {
		[12] = SEND_DOORBELL_TYPE >> 8, [13] = SEND_DOORBELL_TYPE & 0xff
	};

	CHECK_EQ(write(egress->network.tap, bell, sizeof(bell)), sizeof(bell));
}

/* What comes out when a doorbell had bad entries: harmless, and addressed to nobody else. */
static bool is_spent_doorbell(const struct egress *egress, const uint8_t *frame, uint32_t length)
{
	return length == SEND_DOORBELL_BYTES && frame[12] == SEND_DOORBELL_TYPE >> 8 &&
	       frame[13] == (SEND_DOORBELL_TYPE & 0xff) && !memcmp(frame, egress->network.mac, 6) &&
	       !memcmp(frame + 6, egress->network.mac, 6);
}

/* True if all that is to come does, in order, and nothing else but `bells` spent doorbells. */
static bool comes_out(struct egress *egress, uint32_t bells)
{
	uint8_t got[SEND_MAX_FRAME + 64];
	uint32_t frames = 0, length, total = egress->to_come + bells;
	bool right = true;

	for (uint32_t i = 0; i < total && right; i++) {
		length = network_next(&egress->network, got, sizeof(got), NETWORK_PATIENCE);
		if (bells && is_spent_doorbell(egress, got, length)) {
			bells--;
			continue;
		}
		right = frames < egress->to_come && length == egress->sent[frames].length &&
			!memcmp(got, egress->sent[frames].bytes, length);
		frames++;
	}
	right = right && !network_next(&egress->network, got, sizeof(got), 0);
	for (uint32_t i = 0; i < EGRESS_COUNTERS_USED; i++)
		right = right && network_counter(&egress->network, i) == egress->expected[i];
	egress->to_come = 0;
	return right;
}

/* Sends what is in the ring and expects it to come out, and one bell for each doorbell with refusals. */
static void send_all(struct egress *egress, uint32_t doorbells, uint32_t bells)
{
	for (uint32_t i = 0; i < doorbells; i++)
		ring_doorbell(egress);
	CHECK_EQ(egress->network.ring->consumed, egress->network.ring->produced);
	CHECK(comes_out(egress, bells));
}

/* 1 to 63 frames with one doorbell, up to the whole ring with several. */
static void every_number(struct egress *egress)
{
	for (uint32_t count = 0; count <= SEND_RING_ENTRIES - 1;
	     count += count < SEND_PUMP_MAX + 2 ? 1 : 19) {
		for (uint32_t i = 0; i < count; i++)
			add(egress, (i * 131 + count * 17) % 3300, i & 1, i & 2, NONE);
		send_all(egress, count ? (count + SEND_PUMP_MAX - 1) / SEND_PUMP_MAX : 1, 0);
	}
}

/* Payloads of each length that a frame can have, alone and among others. */
static void every_length(struct egress *egress)
{
	for (uint32_t kind = 0; kind < 4; kind++) {
		uint32_t most = SEND_MAX_FRAME - (kind & 1 ? 34 : 54) - 56;

		for (uint32_t payload = 0; payload <= most;) {
			uint32_t count = 1 + payload % SEND_PUMP_MAX;

			for (uint32_t i = 0; i < count && payload <= most; i++)
				add(egress, payload++, kind & 1, kind & 2, NONE);
			send_all(egress, 1, 0);
		}
	}
}

/* Each fault at each place of doorbells of each size of map, and between any others. */
static void every_fault(struct egress *egress)
{
	static const uint32_t counts[] = { 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 49, 63 };

	for (uint32_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
		for (enum fault fault = OTHER_MAC; fault < FAULTS; fault++)
			for (uint32_t bad = 0;
			     bad<counts[c]; bad += counts[c]> 8 ? 1 + (bad + fault) % 9 : 1) {
				for (uint32_t i = 0; i < counts[c]; i++)
					add(egress, 200 + i, i & 1, false, i == bad ? fault : NONE);
				send_all(egress, 1, 1);
			}
}

/* The lot that the device is told of holds nothing but bad ones: those before it arrive all the same. */
static void bad_ends(struct egress *egress)
{
	for (uint32_t count = 1; count <= SEND_PUMP_MAX; count++)
		for (uint32_t good = 0; good < count; good += 1 + good / 3) {
			for (uint32_t i = 0; i < count; i++)
				add(egress, 100, true, false,
				    i < good ? NONE : OTHER_MAC + (i + count) % (FAULTS - 1));
			send_all(egress, 1, 1);
		}
}

/* Frames that are written as they are meet the same checks. */
static void single_frames(struct egress *egress)
{
	for (uint32_t payload = 0; payload <= SEND_MAX_FRAME - 110; payload += 1 + payload / 16)
		for (uint32_t kind = 0; kind < 4; kind++) {
			struct frame *frame = &egress->sent[egress->to_come++];

			make_frame(egress, frame, payload, kind & 1, kind & 2);
			CHECK_EQ(write(egress->network.tap, frame->bytes, frame->length), frame->length);
			egress->expected[EGRESS_SENT]++;
			CHECK(comes_out(egress, 0));
		}
	for (enum fault fault = OTHER_MAC; fault <= VLAN; fault++)
		for (uint32_t kind = 0; kind < 2; kind++) {
			struct frame frame;

			make_frame(egress, &frame, 300, kind, false);
			spoil_frame(&frame, fault);
			frame.length -= fault == CUT;
			CHECK_EQ(write(egress->network.tap, frame.bytes, frame.length), frame.length);
			egress->expected[fault_counters[fault]]++;
			CHECK(comes_out(egress, 0));
		}
}

/* Counters that no sane engine leaves: at most a doorbell's worth is done, and the next works. */
static void insane_counters(struct egress *egress)
{
	struct send_ring *ring = egress->network.ring;
	uint8_t got[SEND_MAX_FRAME + 64];
	uint64_t consumed = ring->consumed, produced = ring->produced;

	ring->produced = consumed - 1;
	ring->surplus = 77;
	ring->expected = 0xffffffff;
	ring_doorbell(egress);
	CHECK_EQ(ring->consumed, consumed + SEND_PUMP_MAX);
	while (network_next(&egress->network, got, sizeof(got), 100))
		;
	for (uint32_t i = 0; i < EGRESS_COUNTERS_USED; i++)
		egress->expected[i] = network_counter(&egress->network, i);
	ring->consumed = ring->produced = produced;
	add(egress, 100, true, false, NONE);
	send_all(egress, 1, 0);
}

/* Whatever does not come out as it ought to is noticed. */
static void planted_differences(struct egress *egress)
{
	add(egress, 100, true, false, NONE);
	ring_doorbell(egress);
	egress->sent[0].bytes[130] ^= 1;
	CHECK(!comes_out(egress, 0));
	add(egress, 100, true, false, NONE);
	ring_doorbell(egress);
	egress->expected[EGRESS_DROP_FAILED]++;
	CHECK(!comes_out(egress, 0));
	egress->expected[EGRESS_DROP_FAILED]--;
	for (uint32_t i = 0; i < 2; i++)
		add(egress, 100, i, false, NONE);
	egress->sent[2] = egress->sent[0];
	egress->sent[0] = egress->sent[1];
	egress->sent[1] = egress->sent[2];
	ring_doorbell(egress);
	CHECK(!comes_out(egress, 0));
	while (network_next(&egress->network, egress->sent[0].bytes, sizeof(egress->sent[0].bytes), 100))
		;
}

/* Only the ports that it owns: each bit is where it ought to be. */
static void every_port_bit(struct egress *egress)
{
	static const uint16_t ports[] = { 1, 63, 64, 4000, 0x7fff, 0x8000, OTHER_PORT, 65535 };
	struct send_rights *rights = egress->network.rights;
	struct frame frame;

	for (uint32_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		for (int own = 0; own < 2; own++) {
			memset(rights, own ? 0 : 0xff, sizeof(*rights));
			rights->ports[ports[i] / 64] ^= 1ull << ports[i] % 64;
			make_frame(egress, &frame, 100, true, false);
			((struct homa_common_header *)(frame.bytes + 34))->sport = wire16(ports[i]);
			put_entry(egress, &frame, 90, NONE);
			egress->expected[own ? EGRESS_SENT : EGRESS_DROP_NOT_OWNER]++;
			if (own)
				egress->sent[egress->to_come++] = frame;
			send_all(egress, 1, !own);
		}
	memset(rights, 0, sizeof(*rights));
	rights->ports[OWN_PORT / 64] = 1ull << OWN_PORT % 64;
}

/* What a device's other end would not take does not get as far as there. */
static void short_frames_only(struct egress *egress)
{
	network_unload(&egress->network);
	network_load(&egress->network, 1514);
	memset(egress->expected, 0, sizeof(egress->expected));
	egress->network.rights->ports[OWN_PORT / 64] = 1ull << OWN_PORT % 64;
	add(egress, 1514 - 90, true, false, NONE);
	add(egress, 1514 - 110, false, false, NONE);
	send_all(egress, 1, 0);
	add(egress, 1515 - 90, true, false, NONE);
	egress->to_come = 0;
	egress->expected[EGRESS_SENT]--;
	egress->expected[EGRESS_DROP_FAILED]++;
	send_all(egress, 1, 1);
}

int main(void)
{
	static struct egress egress;

	network_open(&egress.network);
	network_load(&egress.network, SEND_MAX_FRAME);
	printf("the verifier took %u instructions of tern_doorbell, %u of tern_egress\n",
	       program_verified(egress.network.program->progs.tern_doorbell),
	       program_verified(egress.network.program->progs.tern_egress));
	egress.network.rights->ports[OWN_PORT / 64] = 1ull << OWN_PORT % 64;
	every_number(&egress);
	every_length(&egress);
	every_fault(&egress);
	bad_ends(&egress);
	single_frames(&egress);
	every_port_bit(&egress);
	insane_counters(&egress);
	printf("%llu frames sent and %llu refused, as they should be\n",
	       (unsigned long long)egress.expected[EGRESS_SENT],
	       (unsigned long long)(egress.expected[EGRESS_DROP_MALFORMED] +
				    egress.expected[EGRESS_DROP_NOT_OWNER] +
				    egress.expected[EGRESS_DROP_FAILED]));
	planted_differences(&egress);
	short_frames_only(&egress);
	network_unload(&egress.network);
	return 0;
}
