/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link of the in-place tier, around one of the xsk tier (xsk.h): XDP puts the bytes of
 * DATA where they belong and tells of each packet in a ring; packets leave through a
 * tap. What XDP cannot deliver arrives by the AF_XDP socket, and what the tap cannot
 * send leaves by it.
 */
#ifndef TERN_INPLACE_H
#define TERN_INPLACE_H

#include "datapath.h"
#include "link.h"
#include "xsk.h"

/* All of enum tern_datapath_part. */
#define INPLACE_ALL (TERN_PART_RECEIVE | TERN_PART_PLACE | TERN_PART_TAP | TERN_PART_PUMP)

/*
 * As xsk_link_open, with those `parts` (enum tern_datapath_part). `options->mode` must not be TERN_XDP_GENERIC: redirecting from a tap and
 * writing in place are only fast, and only tested, with native XDP. -EOPNOTSUPP where
 * that cannot be had.
 */
int inplace_link_open(const struct xsk_link_options *options, struct datapath *datapath, unsigned parts,
		      struct link **link);

#endif
