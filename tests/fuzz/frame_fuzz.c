/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Row F1: the parser of received frames, which the XDP program shares. What it steers to
 * us must be a whole, valid packet inside the frame.
 */
#include <stdint.h>
#include <string.h>

#include "parse.h"
#include "test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x66, 0x00, 0x02};

static void check_steered(const uint8_t *frame, size_t size, const struct parsed_frame *parsed)
{
	const struct homa_common_header *h = (const void *)(frame + parsed->offset);

	CHECK(parsed->offset == 14 + (parsed->is_v4 ? 20 : 40));
	CHECK((uint64_t)parsed->offset + parsed->length <= size);
	CHECK(parsed->protocol == HOMA_IPPROTO || homa_is_hijacked(h));
	CHECK(homa_check_common(h, parsed->length) == HOMA_OK);
	if (h->type == HOMA_DATA)
		CHECK(homa_check_data((const void *)h, parsed->length) == HOMA_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parsed_frame parsed = {0};
	uint8_t *copy =
	    malloc(size ? size : 1); /* no longer than the frame, so that reading past its end shows */
	enum datapath_counter counter;

	CHECK(copy);
	memcpy(copy, data, size);
	counter = parse_frame(copy, copy + size, mac, &parsed);
	CHECK(counter < DATAPATH_COUNTERS_USED);
	if (counter == DATAPATH_STEER)
		check_steered(copy, size, &parsed);
	free(copy);
	return 0;
}
