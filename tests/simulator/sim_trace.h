/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run did: a hash over every packet and event in order, which two runs of one
 * seed must share, and if asked a pcapng file of all packets as the hosts sent them.
 */
#ifndef TERN_SIM_TRACE_H
#define TERN_SIM_TRACE_H

#include "sim.h"

struct sim_trace;

/* Creates the file: raw IP, nanoseconds. NULL if it cannot be (errno says why). */
struct sim_trace *sim_trace_open(const char *path);
/* 0, or -EIO if anything could not be written. */
int sim_trace_close(struct sim_trace *trace);

void sim_trace_packet(struct sim *sim, const struct sim_packet *packet);
void sim_trace_event(struct sim *sim, const struct sim_host *host, const struct homa_event *event);

#endif
