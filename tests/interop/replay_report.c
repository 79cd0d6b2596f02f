/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames, packets and verdicts in words. */
#include "replay.h"

bool side_wanted(const struct play *play, int rpc, enum sides sides)
{
	return sides & (plays_client(play, rpc) ? SIDE_CLIENT : SIDE_SERVER);
}

void report_line(struct report *report, const struct verdict *verdict, const char *subject)
{
	static const char *const marks[] = {[SAME] = "same", [FREE] = "free", [DIFFERENT] = "DIFF"};

	report->same += verdict->outcome == SAME;
	report->free += verdict->outcome == FREE;
	report->different += verdict->outcome == DIFFERENT;
	if (!report->quiet || verdict->outcome == DIFFERENT)
		printf("  %s %s: %s\n", marks[verdict->outcome], subject, verdict->text);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {"DATA",    "GRANT",  "RESEND",   "RPC_UNKNOWN", "BUSY",
					    "CUTOFFS", "FREEZE", "NEED_ACK", "ACK"};

	return type >= HOMA_TYPE_FIRST && type <= HOMA_TYPE_LAST ? names[type - HOMA_TYPE_FIRST] : "?";
}

/* The type and what matters of the header. `length`: with payload. */
static int packet_text(const struct homa_common_header *h, uint32_t length, char *text, size_t size)
{
	const struct homa_data_header *data = (const void *)h;
	const struct homa_grant_header *grant = (const void *)h;
	const struct homa_resend_header *resend = (const void *)h;
	const char *name = type_name(h->type);
	uint32_t offset;

	switch (h->type) {
	case HOMA_DATA:
		offset = homa_data_offset(data);
		return snprintf(text, size, "DATA [%u,%u) of %u, incoming %u%s", offset,
				offset + length - (uint32_t)sizeof(*data), wire32(data->message_length),
				wire32(data->incoming), data->retransmit ? ", again" : "");
	case HOMA_GRANT:
		return snprintf(text, size, "GRANT %u, priority %u", wire32(grant->offset), grant->priority);
	case HOMA_RESEND:
		if (resend->length == wire32(HOMA_RESEND_ALL))
			return snprintf(text, size, "RESEND from %u", wire32(resend->offset));
		return snprintf(text, size, "RESEND [%u,%u)", wire32(resend->offset),
				(uint32_t)resend_end(resend));
	default:
		return snprintf(text, size, "%s", name);
	}
}

void frame_text(const struct capture *capture, const struct frame *frame, char *text, size_t size)
{
	int at = snprintf(text, size, "#%u %.3f ms RPC %llu ", frame->number,
			  (double)(frame->time_ns - capture->frames[0].time_ns) / 1e6,
			  frame->rpc >= 0 ? (unsigned long long)capture->rpcs[frame->rpc].id : 0);

	if (frame->kind == FRAME_BAD)
		snprintf(text + at, size - (size_t)at, "%u bytes", frame->length);
	else if (frame->kind == FRAME_ICMP)
		snprintf(text + at, size - (size_t)at, "ICMP %s unreachable, for %s",
			 frame->icmp == HOMA_ICMP_PORT       ? "port"
			 : frame->icmp == HOMA_ICMP_PROTOCOL ? "protocol"
							     : "host",
			 type_name(frame_header(frame)->type));
	else
		packet_text(frame_header(frame), frame->length, text + at, size - (size_t)at);
}

void output_text(const struct play *play, const struct output *output, char *text, size_t size)
{
	int at = snprintf(text, size, "ours %.3f ms RPC %llu ",
			  ((double)output->time_ns - (double)play->capture->frames[0].time_ns) / 1e6,
			  output->rpc >= 0 ? (unsigned long long)play->capture->rpcs[output->rpc].id : 0);

	if (output->unreachable)
		snprintf(text + at, size - (size_t)at, "ICMP port unreachable");
	else
		packet_text(&output->packet.header.common,
			    output->packet.header_length + output->packet.payload_length, text + at,
			    size - (size_t)at);
}
