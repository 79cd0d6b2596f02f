/* SPDX-License-Identifier: BSD-2-Clause */
/* What the in-place programs of all devices share with the engine: the maps behind it, mapped. */
#ifndef TERN_DATAPATH_H
#define TERN_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_arena.h"
#include "link_log.h"
#include "placements.h"

struct datapath {
	int arena_fd;
	int placements_fd;
	int running_fd;
	int senders_fd;
	struct arena *arena;
	struct placements placements;
	struct send_rights *rights;
	void *mapped[4]; /* in the order of the fds */
	size_t bytes[4];
};

/*
 * Makes the maps, with about `memory` bytes for messages: all of them are allocated by the
 * kernel now. 0, or a negative errno, logged: -EPERM (CAP_BPF is missing), -ENOMEM, ...
 */
int datapath_create(uint64_t memory, uint64_t key, const struct link_log *log, struct datapath **datapath);
/* The links that use it must be closed. */
void datapath_destroy(struct datapath *datapath);
/* Lets packets be sent from `port`, or no longer. */
void datapath_own_port(struct datapath *datapath, uint16_t port, bool own);

#endif
