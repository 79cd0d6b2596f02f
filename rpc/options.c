/* SPDX-License-Identifier: BSD-2-Clause */
/* Options structs as programs pass them: of this version, an older or a newer one. */
#include <errno.h>
#include <string.h>

#include "options.h"

int options_copy(void *to, size_t size, const void *from)
{
	size_t given, known;

	memset(to, 0, size);
	if (!from)
		return 0;
	memcpy(&given, from, sizeof(given));
	if (given < sizeof(given) || given > OPTIONS_SIZE_MAX)
		return -EINVAL;
	known = given < size ? given : size;
	for (size_t i = known; i < given; i++)
		if (((const char *)from)[i] != 0)
			return -EINVAL;
	memcpy(to, from, known);
	return 0;
}
