/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>
#include <string.h>

#include "engine.h"
#include "homa_core.h"

static void core_counters(struct engine *engine, void (*each)(void *ctx, const char *name, uint64_t value),
			  void *ctx)
{
	static const char *const in[] = {
		"data_in", "grant_in", "resend_in", "rpc_unknown_in", "busy_in",
		"cutoffs_in", "freeze_in", "need_ack_in", "ack_in",
	};
	static const char *const out[] = {
		"data_out", "grant_out", "resend_out", "rpc_unknown_out", "busy_out",
		"cutoffs_out", "freeze_out", "need_ack_out", "ack_out",
	};
	static const char *const dropped[HOMA_VERDICTS] = {
		[HOMA_SHORT] = "drop_short", [HOMA_BAD_TYPE] = "drop_bad_type",
		[HOMA_BAD_PORT] = "drop_bad_port", [HOMA_BAD_LENGTH] = "drop_bad_length",
		[HOMA_BAD_OFFSET] = "drop_bad_offset",
	};
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
#define FIELD(name) { #name, offsetof(struct homa_counters, name) }
		FIELD(bytes_in),       FIELD(bytes_out),          FIELD(duplicate_bytes),
		FIELD(overlaps),       FIELD(retransmitted),      FIELD(no_rpc),
		FIELD(no_port),        FIELD(wrong_source),       FIELD(no_buffer),
		FIELD(evicted),        FIELD(duplicates_refused), FIELD(requests),
		FIELD(responses),      FIELD(failures),           FIELD(timeouts),
		FIELD(cancelled),      FIELD(gave_up_acks),       FIELD(fifo_grants),
		FIELD(client_rpcs),    FIELD(server_rpcs),        FIELD(peers),
		FIELD(incoming_bytes), FIELD(outgoing_bytes),     FIELD(total_granted),
#undef FIELD
	};
	struct homa_counters counters;
	uint64_t value;
	unsigned i;

	homa_counters_get(engine->homa, &counters);
	for (i = 0; i < sizeof(in) / sizeof(*in); i++) {
		each(ctx, in[i], counters.packets_in[i]);
		each(ctx, out[i], counters.packets_out[i]);
	}
	for (i = HOMA_OK + 1; i < HOMA_VERDICTS; i++)
		each(ctx, dropped[i], counters.dropped[i]);
	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		memcpy(&value, (const char *)&counters + fields[i].offset, sizeof(value));
		each(ctx, fields[i].name, value);
	}
}

void engine_counters(struct engine *engine, void (*each)(void *ctx, const char *name, uint64_t value),
		     void *ctx)
{
	struct buffers_usage usage;
	unsigned i;

	core_counters(engine, each, ctx);
	each(ctx, "foreign_destination", engine->counters.foreign_destination);
	each(ctx, "foreign_protocol", engine->counters.foreign_protocol);
	each(ctx, "foreign_source", engine->counters.foreign_source);
	each(ctx, "shed", engine->counters.shed);
	each(ctx, "queue_drops", engine->counters.queue_drops);
	each(ctx, "unroutable", engine->counters.unroutable);
	each(ctx, "reroutes", engine->counters.reroutes);
	each(ctx, "neighbour_solicitations", engine->neighbours.solicitations);
	each(ctx, "neighbour_failures", engine->neighbours.failures);
	each(ctx, "icmp_in", engine->icmp.received);
	each(ctx, "icmp_ignored", engine->icmp.ignored);
	each(ctx, "icmp_out", engine->icmp.sent);
	each(ctx, "icmp_limited", engine->icmp.limited);
	buffers_usage_get(engine->buffers, &usage);
	each(ctx, "buffers_committed_bytes", usage.committed);
	each(ctx, "buffers_warm_bytes", usage.warm);
	each(ctx, "buffers_in_use", usage.in_use);
	each(ctx, "buffers_refused", usage.refused);
	engine->local->ops->counters(engine->local, each, ctx);
	for (i = 0; i < engine->device_count; i++)
		engine->devices[i]->link->ops->counters(engine->devices[i]->link, each, ctx);
}
