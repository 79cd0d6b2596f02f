/* SPDX-License-Identifier: BSD-2-Clause */
/* The store behind kv_server: a hash table with chains, bounded in entries and in bytes. */
#ifndef KV_TABLE_H
#define KV_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KV_BUCKETS 65536
#define KV_ENTRIES_MAX 100000
#define KV_BYTES_MAX (256u << 20) /* of keys and values */

struct kv_entry {
	struct kv_entry *next;
	size_t key_length, value_length;
	uint8_t bytes[]; /* the key, then the value */
};

struct kv_table {
	struct kv_entry *buckets[KV_BUCKETS];
	size_t entries, bytes;
};

/* The link that points to the key's entry, or the NULL at the end of its chain. */
static inline struct kv_entry **kv_find(struct kv_table *table, const char *key)
{
	size_t length = strlen(key);
	struct kv_entry **link;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)key[i]) * 16777619u;
	link = &table->buckets[hash % KV_BUCKETS];
	while (*link && ((*link)->key_length != length || memcmp((*link)->bytes, key, length)))
		link = &(*link)->next;
	return link;
}

/* False if there is no such key. */
static inline bool kv_delete(struct kv_table *table, const char *key)
{
	struct kv_entry **link = kv_find(table, key), *entry = *link;

	if (!entry)
		return false;
	*link = entry->next;
	table->entries--;
	table->bytes -= entry->key_length + entry->value_length;
	free(entry);
	return true;
}

/* False when the table is full; what was stored under the key then stays. */
static inline bool kv_put(struct kv_table *table, const char *key, const uint8_t *value, size_t value_length)
{
	size_t key_length = strlen(key);
	struct kv_entry *entry, **link;

	if (table->entries == KV_ENTRIES_MAX || key_length + value_length > KV_BYTES_MAX - table->bytes)
		return false;
	entry = malloc(sizeof(*entry) + key_length + value_length);
	if (!entry)
		return false;
	kv_delete(table, key);
	link = kv_find(table, key);
	*entry = (struct kv_entry){ .next = *link, .key_length = key_length, .value_length = value_length };
	memcpy(entry->bytes, key, key_length);
	if (value_length)
		memcpy(entry->bytes + key_length, value, value_length);
	*link = entry;
	table->entries++;
	table->bytes += key_length + value_length;
	return true;
}

#endif
