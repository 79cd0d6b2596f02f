/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages that XDP puts together (map_abi.h: placements). The engine makes a record
 * when a message's first packet has come, and ends it before anybody gets, or gives
 * back, the message's memory.
 */
#ifndef TERN_PLACEMENTS_H
#define TERN_PLACEMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "map_abi.h"
#include "net_ip.h"
#include "ranges.h"

#define PLACEMENT_NONE    UINT32_MAX /* no handle is this */
#define PLACEMENT_RECORDS (PLACEMENT_BUCKETS * PLACEMENT_WAYS)

struct placements {
	struct placement_table *table;
	struct datapath_running *running; /* one a CPU */
	uint32_t cpus;
	uint32_t used;
	uint64_t refused; /* messages for which there was no record */
	uint64_t waits;   /* times that a program had to be waited for */
};

/* A message that is arriving. */
struct placement_message {
	struct net_ip source;  /* as on the wire: without scope */
	uint64_t id;           /* sender_id as on the wire: big-endian */
	uint16_t sport;        /* big-endian */
	uint16_t dport;
	uint32_t place;        /* of its memory */
	uint32_t length;
	uint32_t segment;      /* bytes of a full packet */
	uint32_t unscheduled;  /* where segments begin to be counted anew; 0 or >= length: nowhere */
	uint32_t received_end; /* what has come: all below this */
	const struct ranges *gaps; /* but for these */
};

/* `table` and `running` (of `cpus` CPUs) are shared memory, zeroed; `key` is random. */
void placements_init(struct placements *placements, struct placement_table *table,
		     struct datapath_running *running, uint32_t cpus, uint64_t key);

/*
 * Makes a record, in which the segments that have come in full are claimed. Its handle, or
 * PLACEMENT_NONE: the bucket is full, the message has more than PLACEMENT_SEGMENTS, or its
 * id is 0.
 */
uint32_t placement_begin(struct placements *placements, const struct placement_message *message);
/*
 * Bytes that a program has put in their place are not counted as received: their segments
 * may come again. Nothing happens if the record has ended, or the message has no such bytes.
 */
void placement_unclaim(struct placements *placements, uint32_t handle, uint32_t offset, uint32_t length);
/* Ends it: when this returns, no program writes into the message any more. */
void placement_end(struct placements *placements, uint32_t handle);

#endif
