/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What messages are filled with: a stretch of one pseudo-random table, its place drawn
 * from client and sequence. Nothing is generated per message, and a message whose bytes
 * come from another message, or from another place in it, is found out.
 */
#ifndef LOAD_PATTERN_H
#define LOAD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_LENGTH_MAX 1000000u
#define PATTERN_PLACES (1u << 20)

/* Fills the table; the same in every process. False when memory is short. */
bool pattern_init(void);
/* At least PATTERN_LENGTH_MAX bytes. */
const uint8_t *pattern_of(uint64_t client, uint64_t sequence);
/* A bijection of 64 bits that looks random (Steele et al., splitmix64's finalizer). */
uint64_t pattern_mix(uint64_t x);

#endif
