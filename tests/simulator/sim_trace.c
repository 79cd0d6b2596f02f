/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace hash and the pcapng writer (draft-ietf-opsawg-pcapng). */
#include "sim_trace.h"

#include <errno.h>
#include <string.h>

#include "homa_core.h"

#define LINKTYPE_RAW 101 /* packets begin with the IP header */

struct sim_trace {
	FILE *file;
};

static void put32(FILE *file, uint32_t value)
{
	fwrite(&value, sizeof(value), 1, file);
}

struct sim_trace *sim_trace_open(const char *path)
{
	struct sim_trace *trace;
	FILE *file = fopen(path, "wb");

	if (!file)
		return NULL;
	trace = sim_realloc(NULL, sizeof(*trace));
	trace->file = file;
	/* Section header: byte order, version 1.0, length unknown. */
	put32(file, 0x0a0d0d0a);
	put32(file, 28);
	put32(file, 0x1a2b3c4d);
	put32(file, 1);
	put32(file, 0xffffffff);
	put32(file, 0xffffffff);
	put32(file, 28);
	/* Interface: no snap length; option 9 says that time is in units of 10^-9 s. */
	put32(file, 1);
	put32(file, 32);
	put32(file, LINKTYPE_RAW);
	put32(file, 0);
	put32(file, 9 | 1 << 16);
	put32(file, 9);
	put32(file, 0);
	put32(file, 32);
	return trace;
}

int sim_trace_close(struct sim_trace *trace)
{
	int bad = ferror(trace->file);

	bad |= fclose(trace->file);
	free(trace);
	return bad ? -EIO : 0;
}

static uint16_t ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void ip_header(uint8_t *header, const struct sim_packet *packet)
{
	uint16_t total = (uint16_t)sim_packet_ip_bytes(packet), sum;

	memset(header, 0, 20);
	header[0] = 0x45;
	header[1] = (uint8_t)(packet->priority << 5);
	header[2] = (uint8_t)(total >> 8);
	header[3] = (uint8_t)total;
	header[6] = 0x40; /* do not fragment */
	header[8] = 64;
	header[9] = HOMA_IPPROTO;
	memcpy(header + 12, packet->source->ip.b + 12, 4);
	memcpy(header + 16, packet->destination->ip.b + 12, 4);
	sum = ip_checksum(header);
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

static void write_packet(FILE *file, uint64_t time_ns, const struct sim_packet *packet)
{
	static const uint8_t padding[4];
	uint32_t captured = 20 + packet->captured, padded = (captured + 3) & ~3u;
	uint8_t header[20];

	ip_header(header, packet);
	put32(file, 6); /* enhanced packet block */
	put32(file, 32 + padded);
	put32(file, 0);
	put32(file, (uint32_t)(time_ns >> 32));
	put32(file, (uint32_t)time_ns);
	put32(file, captured);
	put32(file, sim_packet_ip_bytes(packet));
	fwrite(header, sizeof(header), 1, file);
	fwrite(packet->data, packet->captured, 1, file);
	fwrite(padding, padded - captured, 1, file);
	put32(file, 32 + padded);
}

void sim_trace_packet(struct sim *sim, const struct sim_packet *packet)
{
	uint32_t header = packet->captured < HOMA_MAX_HEADER ? packet->captured : HOMA_MAX_HEADER;
	uint64_t hash = sim->now_ns ^ (uint64_t)packet->source->index << 56 ^
			(uint64_t)packet->destination->index << 48 ^ (uint64_t)packet->priority << 40 ^
			packet->length;

	for (uint32_t at = 0; at < header; at += 8) {
		uint64_t word = 0;

		memcpy(&word, packet->data + at, header - at < 8 ? header - at : 8);
		hash = sim_rotate(hash, 29) * 0x9e3779b97f4a7c15u ^ word;
	}
	sim_hash(sim, hash);
	if (sim->trace)
		write_packet(sim->trace->file, sim->now_ns, packet);
}

void sim_trace_event(struct sim *sim, const struct sim_host *host, const struct homa_event *event)
{
	sim_hash(sim, sim->now_ns);
	sim_hash(sim, event->rpc_id ^ (uint64_t)event->type << 60 ^ (uint64_t)host->index << 50);
	sim_hash(sim, (uint64_t)(uint32_t)event->error << 32 | event->length);
}
