/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Row F1: the checks that every packet passes before any table is looked at. What they
 * let through must be what the rest of the core relies on.
 */
#include <stdint.h>
#include <string.h>

#include "homa_core.h"
#include "test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_data(const struct homa_data_header *h, uint32_t length)
{
	uint32_t payload = length - (uint32_t)sizeof(*h), message_length = wire32(h->message_length);

	if (homa_check_data(h, length) != HOMA_OK)
		return;
	CHECK(payload > 0);
	CHECK(message_length > 0 && message_length <= HOMA_MAX_MESSAGE);
	CHECK((uint64_t)homa_data_offset(h) + payload <= message_length);
}

static void check(const struct homa_common_header *h, uint32_t length)
{
	if (homa_check_common(h, length) != HOMA_OK)
		return;
	CHECK(h->type >= HOMA_TYPE_FIRST && h->type <= HOMA_TYPE_LAST);
	CHECK(length >= homa_header_bytes(h->type));
	CHECK((h->sport && h->dport) || h->type == HOMA_FREEZE);
	CHECK(homa_is_hijacked(h) ==
	      (h->flags == HOMA_HIJACK_FLAGS && wire16(h->urgent) == HOMA_HIJACK_URGENT));
	if (h->type == HOMA_DATA)
		check_data((const void *)h, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy =
	    malloc(size ? size : 1); /* no longer than the packet, so that reading past its end shows */

	CHECK(copy);
	memcpy(copy, data, size);
	check((const void *)copy, (uint32_t)size);
	free(copy);
	return 0;
}
