/* SPDX-License-Identifier: BSD-2-Clause */
/* Options structs as programs pass them: of this version, an older or a newer one. */
#ifndef TERN_OPTIONS_H
#define TERN_OPTIONS_H

#include <stddef.h>

#define OPTIONS_SIZE_MAX 4096 /* a larger sz is a mistake */

/*
 * Copies what this version knows of an options struct into `to` (`size` bytes, whose
 * first are size_t sz); the rest is 0. `from` may be NULL. -EINVAL: sz makes no sense,
 * or something is set that this version does not know.
 */
int options_copy(void *to, size_t size, const void *from);

#endif
