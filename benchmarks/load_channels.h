/* SPDX-License-Identifier: BSD-2-Clause */
/* The channels that load goes out on: one, or one for each of many addresses. */
#ifndef LOAD_CHANNELS_H
#define LOAD_CHANNELS_H

#include "load.h"

struct load_channels {
	struct tern_channel **all;
	uint32_t count;
	uint32_t next;
};

/*
 * Opens options->peers of them: to the address named, and those counted up from it. 0, or a
 * negative errno (said on stderr). They end with the endpoint; what is then left is freed by
 * load_channels_free.
 */
int load_channels_open(struct load_channels *channels, const struct load_options *options,
		       struct tern_endpoint *endpoint);
void load_channels_free(struct load_channels *channels);

/* In turn. */
static inline struct tern_channel *load_channels_next(struct load_channels *channels)
{
	struct tern_channel *channel = channels->all[channels->next];

	if (++channels->next == channels->count)
		channels->next = 0;
	return channel;
}

#endif
