/* SPDX-License-Identifier: BSD-2-Clause */
/* tern-sim's second half: --topology ... --workload ... */
#ifndef TERN_SIM_LOAD_MAIN_H
#define TERN_SIM_LOAD_MAIN_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the command line asks for a load rather than for seeds of a profile. */
bool sim_load_wanted(int argc, char **argv);
void sim_load_usage(FILE *to);
/* The process's exit status: 0, 1 when a check failed, 2 when the command line is wrong. */
int sim_load_main(int argc, char **argv);

#endif
