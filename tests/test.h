/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The least that a test program needs: CHECK stops at the first thing that does not
 * hold and says where; exit codes are 0 passed, 1 failed, 77 skipped.
 */
#ifndef TERN_TEST_H
#define TERN_TEST_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: does not hold: %s\n", __FILE__, __LINE__, __func__, #condition); \
			exit(1); \
		} \
	} while (0)

#define CHECK_EQ(left, right) \
	do { \
		long long left_ = (long long)(left), right_ = (long long)(right); \
		if (left_ != right_) { \
			fprintf(stderr, "%s:%d: %s: %s = %lld, but %s = %lld\n", __FILE__, __LINE__, __func__, #left, left_, \
				#right, right_); \
			exit(1); \
		} \
	} while (0)

#define SKIP(...) \
	do { \
		printf(__VA_ARGS__); \
		putchar('\n'); \
		exit(77); \
	} while (0)

#endif
