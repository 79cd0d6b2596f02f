/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's ledger: which of a client's calls were executed, and which of them more
 * than once. A bitmap per client remembers the last LEDGER_WINDOW sequences.
 */
#ifndef LOAD_LEDGER_H
#define LOAD_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_CLIENTS 64          /* at a time; the one longest idle makes room for the next */
#define LEDGER_WINDOW (1u << 22)   /* sequences: 512 KiB a client */

struct ledger_counts {
	uint64_t executed; /* sequences executed at least once */
	uint64_t twice;    /* executions of a sequence beyond its first */
	uint64_t unknown;  /* executions of sequences too old to tell */
};

struct ledger;

/* NULL when memory is short. */
struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *ledger);
/* Notes an execution. 0, or -ENOMEM: then nothing is noted. */
int ledger_note(struct ledger *ledger, uint64_t client, uint64_t sequence);
/* False when nothing is known of the client. */
bool ledger_read(const struct ledger *ledger, uint64_t client, struct ledger_counts *counts);

#endif
