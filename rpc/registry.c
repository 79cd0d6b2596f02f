/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods that a server has: see registry.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

#define CAPACITY_MIN 16
#define FNV_OFFSET   0xcbf29ce484222325ull
#define FNV_PRIME    0x100000001b3ull

uint64_t tern_method_hash(const char *name)
{
	uint64_t hash = FNV_OFFSET;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * FNV_PRIME;
	return hash;
}

void registry_release(struct registry *registry)
{
	free(registry->entries);
	free(registry->services);
	memset(registry, 0, sizeof(*registry));
}

/* There is room, and no entry of that hash. */
static void insert(struct registry *registry, const struct registry_entry *entry)
{
	size_t i = entry->hash & (registry->capacity - 1);

	while (registry->entries[i].method)
		i = (i + 1) & (registry->capacity - 1);
	registry->entries[i] = *entry;
}

static int grow(struct registry *registry, size_t method_count)
{
	struct registry old = *registry;
	size_t capacity = old.capacity ? old.capacity : CAPACITY_MIN;

	while (capacity < 2 * method_count)
		capacity *= 2;
	if (capacity == old.capacity)
		return 0;
	registry->entries = calloc(capacity, sizeof(*registry->entries));
	if (!registry->entries) {
		registry->entries = old.entries;
		return -ENOMEM;
	}
	registry->capacity = capacity;
	for (size_t i = 0; i < old.capacity; i++)
		if (old.entries[i].method)
			insert(registry, &old.entries[i]);
	free(old.entries);
	return 0;
}

/* Whether every method of the service can be added. */
static int check(const struct registry *registry, const struct tern_service *service,
		 struct registry_clash *clash)
{
	for (size_t i = 0; i < service->method_count; i++) {
		const struct tern_method *method = &service->methods[i];
		const struct registry_entry *taken = registry_find(registry, method->hash);

		if (method->hash != tern_method_hash(method->name))
			return -EINVAL;
		*clash = (struct registry_clash){ .had = taken ? taken->method : NULL, .added = method };
		for (size_t j = 0; j < i && !clash->had; j++)
			if (service->methods[j].hash == method->hash)
				clash->had = &service->methods[j];
		if (clash->had)
			return -EEXIST;
	}
	return 0;
}

int registry_add(struct registry *registry, const struct tern_service *service, const void *handlers,
		 void *ctx, struct registry_clash *clash)
{
	const struct tern_service **services;
	int rc;

	if (service->method_count > REGISTRY_METHODS_MAX - registry->method_count)
		return -ENOSPC;
	rc = check(registry, service, clash);
	if (rc < 0)
		return rc;
	services = realloc(registry->services, (registry->service_count + 1) * sizeof(*services));
	if (!services)
		return -ENOMEM;
	registry->services = services;
	rc = grow(registry, registry->method_count + service->method_count);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < service->method_count; i++) {
		const struct tern_method *method = &service->methods[i];

		insert(registry, &(struct registry_entry){ method->hash, method, handlers, ctx });
	}
	registry->method_count += service->method_count;
	registry->services[registry->service_count++] = service;
	return 0;
}

void registry_print(const struct registry *registry, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "none");
	for (size_t i = 0; i < registry->service_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 registry->services[i]->name);
}
