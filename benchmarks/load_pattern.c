/* SPDX-License-Identifier: BSD-2-Clause */
/* The table that messages are filled from. */
#include <stdlib.h>

#include "load_pattern.h"

#define WORDS ((PATTERN_PLACES + PATTERN_LENGTH_MAX + 7) / 8)

static uint64_t *table;

uint64_t pattern_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

bool pattern_init(void)
{
	table = malloc(WORDS * sizeof(*table));
	if (!table)
		return false;
	for (uint64_t i = 0; i < WORDS; i++)
		table[i] = pattern_mix((i + 1) * 0x9e3779b97f4a7c15u);
	return true;
}

const uint8_t *pattern_of(uint64_t client, uint64_t sequence)
{
	uint64_t place = pattern_mix(client + sequence * 0x9e3779b97f4a7c15u) % PATTERN_PLACES;

	return (const uint8_t *)table + place;
}
