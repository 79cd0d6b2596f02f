/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of the test ladder that are one scenario each: `tern-sim --row S7`. */
#ifndef TERN_SIM_ROWS_H
#define TERN_SIM_ROWS_H

#include "sim.h"

/*
 * S7: 100 hosts send 100 kB each, at once, to one port of 10 Gbit/s with 1 MB of buffer.
 * All arrive, within 1.3 times what the bytes alone take, and no byte is asked for more
 * than five times. Prints a line; true if all that holds.
 */
bool sim_row_incast(const struct homa_params *params);
/*
 * S9: a host gets messages of 1 kB without end, as many as its link takes, and one of 1 MB,
 * from one other host or from two. 99 % of the short ones take at most twice what they
 * take alone; the long one gets at least 3 % of the link in the first 10 ms, or until it
 * is complete if that is sooner, and is complete in the end.
 */
bool sim_row_starvation(const struct homa_params *params);

#endif
