/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods that a server has, by hash: open addressing, at most half full. */
#ifndef TERN_REGISTRY_H
#define TERN_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "tern.h"

#define REGISTRY_METHODS_MAX 65536

struct registry_entry {
	uint64_t hash;
	const struct tern_method *method; /* NULL: free */
	const void *handlers;
	void *ctx;
};

struct registry {
	struct registry_entry *entries;
	size_t capacity; /* a power of two, or 0 */
	size_t method_count;
	const struct tern_service **services;
	size_t service_count;
};

void registry_release(struct registry *registry);

/* Two methods of the same hash. */
struct registry_clash {
	const struct tern_method *had;
	const struct tern_method *added;
};

/*
 * Adds all methods of a service or none. -EEXIST and the clash; -EINVAL (a method's hash
 * is not that of its name); -ENOMEM; -ENOSPC (more than REGISTRY_METHODS_MAX).
 */
int registry_add(struct registry *registry, const struct tern_service *service, const void *handlers,
		 void *ctx, struct registry_clash *clash);

static inline const struct registry_entry *registry_find(const struct registry *registry, uint64_t hash)
{
	for (size_t i = hash; registry->capacity; i++) {
		const struct registry_entry *entry = &registry->entries[i & (registry->capacity - 1)];

		if (!entry->method)
			break;
		if (entry->hash == hash)
			return entry;
	}
	return NULL;
}

/* Writes the services' names, "a.B, c.D", as far as they fit. */
void registry_print(const struct registry *registry, char *text, size_t size);

#endif
