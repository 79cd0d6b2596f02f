/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "homa_transport.h"
#include "transport.h"

static const struct transport_ops *const transport_table[] = {
	&homa_transport,
};

const struct transport_ops *transport_find(const char *scheme)
{
	size_t i;

	for (i = 0; i < sizeof(transport_table) / sizeof(*transport_table); i++)
		if (!strcmp(transport_table[i]->scheme, scheme))
			return transport_table[i];
	return NULL;
}
