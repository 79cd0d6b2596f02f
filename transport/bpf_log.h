/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libbpf prints, as lines of a link's log (level debug). libbpf's print hook is global
 * and has no context of its own: it is ours while we are in libbpf, one thread of us at
 * a time, and what other threads print goes where it would have.
 */
#ifndef TERN_BPF_LOG_H
#define TERN_BPF_LOG_H

#include "link_log.h"

/* To be called around calls of libbpf that may print; `log` stays until the end. Not nested. */
void bpf_log_begin(const struct link_log *log);
void bpf_log_end(void);

#endif
