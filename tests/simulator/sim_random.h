/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator's random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded by
 * splitmix64. Integers only, so that every compiler draws the same.
 */
#ifndef TERN_SIM_RANDOM_H
#define TERN_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state[4];
};

/* One step of splitmix64: also a good mixing function of its argument. */
static inline uint64_t sim_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline void sim_random_seed(struct sim_random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		random->state[i] = sim_mix(seed + (uint64_t)i * 0x9e3779b97f4a7c15u);
}

static inline uint64_t sim_rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t sim_random_next(struct sim_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = sim_rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = sim_rotate(s[3], 45);
	return result;
}

/* Uniform in 0..bound-1, `bound` > 0; the bias of 2^-32 does not matter here. */
static inline uint32_t sim_random_below(struct sim_random *random, uint32_t bound)
{
	return (uint32_t)(((sim_random_next(random) >> 32) * bound) >> 32);
}

/* Uniform in low..high, both included. */
static inline uint32_t sim_random_between(struct sim_random *random, uint32_t low, uint32_t high)
{
	return low + sim_random_below(random, high - low + 1);
}

/* True with a probability of `per_million`. */
static inline bool sim_random_chance(struct sim_random *random, uint32_t per_million)
{
	return per_million && sim_random_below(random, 1000000) < per_million;
}

#endif
