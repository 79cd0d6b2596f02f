/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "message_arena.h"
#include "buffers.h"

#define PAGE       4096u
#define SMALL      0 /* the first size is no multiple of a page: beginnings spread over the cache's sets */
#define NO_SLOT    UINT32_MAX
#define WARM_PART  8 /* of the memory: an eighth */
#define SMALL_PART 4

static const uint32_t class_bytes[BUFFERS_CLASSES] = { 2048 + 64, 16u << 10, 64u << 10, 256u << 10,
						       1u << 20 };

enum slot_state { SLOT_FREE = 0, SLOT_INCOMING, SLOT_COMMITTED };

struct slot {
	uint32_t next; /* in a free list */
	uint32_t state : 2;
	uint32_t pages : 30; /* touched ones, as far as they are counted in committed or (free) in warm */
};

struct class {
	uint8_t *base;
	uint64_t bytes; /* reserved */
	uint32_t slot_bytes;
	uint32_t slots;
	uint32_t fresh; /* slots from here on were never used */
	uint32_t warm;  /* free slots with pages, the last one freed first */
	uint32_t cold;  /* free slots without */
	struct slot *table;
};

struct buffers {
	struct arena *arena; /* or NULL */
	uint64_t memory;
	uint64_t commit_limit;
	uint64_t receive_limit; /* of committed, for new messages to be received */
	uint64_t warm_limit;
	uint64_t committed;
	uint64_t warm;
	uint64_t in_use;
	uint64_t refused;
	struct class classes[BUFFERS_CLASSES];
};

static uint32_t pages_of(uint32_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

static uint64_t receive_part(uint64_t commit_limit)
{
	return commit_limit / 4 * 3;
}

static int reserve(struct class *class, uint32_t slot_bytes, uint64_t bytes)
{
	void *base =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -ENOMEM;
	/* One huge page under one touched byte would void all accounting. */
	madvise(base, bytes, MADV_NOHUGEPAGE);
	class->base = base;
	class->bytes = bytes;
	class->slot_bytes = slot_bytes;
	class->slots = (uint32_t)(bytes / slot_bytes);
	class->warm = class->cold = NO_SLOT;
	class->table = calloc(class->slots, sizeof(*class->table));
	return class->table ? 0 : -ENOMEM;
}

int buffers_create(uint64_t memory, uint64_t incoming, struct buffers **buffers)
{
	struct buffers *new;
	unsigned i;
	int error;

	if (memory < BUFFERS_MIN_MEMORY || memory > BUFFERS_MAX_MEMORY || incoming > memory / 2)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->memory = memory;
	new->warm_limit = memory / WARM_PART;
	new->commit_limit = memory - incoming - new->warm_limit;
	new->receive_limit = receive_part(new->commit_limit);
	for (i = 0; i < BUFFERS_CLASSES; i++) {
		error = reserve(&new->classes[i], class_bytes[i],
				i == SMALL ? memory / SMALL_PART : memory * BUFFERS_RESERVATION);
		/* Where address space is limited (RLIMIT_AS), as much as there is memory has to do. */
		if (error && i != SMALL && !new->classes[i].base)
			error = reserve(&new->classes[i], class_bytes[i], memory);
		if (error) {
			buffers_destroy(new);
			return error;
		}
	}
	*buffers = new;
	return 0;
}

void buffers_destroy(struct buffers *buffers)
{
	unsigned i;

	for (i = 0; i < BUFFERS_CLASSES; i++) {
		struct class *class = &buffers->classes[i];

		if (class->base)
			munmap(class->base, class->bytes);
		free(class->table);
	}
	free(buffers);
}

uint64_t buffers_arena_limit(const struct buffers *buffers)
{
	uint64_t least = buffers->memory / BUFFERS_PRIVATE_PART;
	uint64_t most = buffers->commit_limit + buffers->warm_limit;

	return most > least ? most - least : 0;
}

int buffers_set_arena(struct buffers *buffers, struct arena *arena)
{
	struct arena_usage usage;
	uint64_t bytes;

	assert(!buffers->arena);
	arena_usage_get(arena, &usage);
	bytes = (uint64_t)usage.chunks * ARENA_STRIDE;
	if (bytes > buffers_arena_limit(buffers))
		return -EINVAL;
	/* Small buffers stay committed for good: above the limit they would stop all receiving. */
	if (buffers->committed > receive_part(buffers->commit_limit - bytes))
		return -EBUSY;
	buffers->arena = arena;
	buffers->commit_limit -= bytes;
	buffers->receive_limit = receive_part(buffers->commit_limit);
	return 0;
}

void buffers_adopt(struct buffers *buffers, const void *data)
{
	assert(arena_holds(buffers->arena, data));
	buffers->in_use++;
}

static bool in_arena(const struct buffers *buffers, const void *data)
{
	return buffers->arena && arena_holds(buffers->arena, data);
}

static void *take_from_arena(struct buffers *buffers, uint32_t length, enum arena_use use)
{
	void *data = buffers->arena ? arena_get(buffers->arena, length, use) : NULL;

	if (data)
		buffers->in_use++;
	return data;
}

/* Finds a slot for `length` bytes in the smallest size that has one: its class and *index, or NULL. */
static struct class *take_slot(struct buffers *buffers, uint32_t length, uint32_t *index)
{
	unsigned i;

	for (i = 0; i < BUFFERS_CLASSES; i++) {
		struct class *class = &buffers->classes[i];

		if (class->slot_bytes < length)
			continue;
		if (class->warm != NO_SLOT) {
			*index = class->warm;
			class->warm = class->table[*index].next;
			return class;
		}
		if (class->cold != NO_SLOT) {
			*index = class->cold;
			class->cold = class->table[*index].next;
			return class;
		}
		if (class->fresh < class->slots) {
			*index = class->fresh++;
			return class;
		}
	}
	return NULL;
}

static bool is_small(const struct buffers *buffers, const struct class *class)
{
	return class == &buffers->classes[SMALL];
}

static void *take(struct buffers *buffers, uint32_t length, enum slot_state state)
{
	struct class *class;
	struct slot *slot;
	uint32_t index;

	class = take_slot(buffers, length, &index);
	if (!class) {
		buffers->refused++;
		return NULL;
	}
	slot = &class->table[index];
	slot->state = state;
	buffers->in_use++;
	if (is_small(buffers, class)) {
		if (!slot->pages) {
			slot->pages = 1; /* from here on for good */
			buffers->committed += class->slot_bytes;
		}
	} else {
		uint32_t pages = state == SLOT_COMMITTED ? pages_of(length) : 0;

		buffers->warm -= (uint64_t)slot->pages * PAGE;
		if (slot->pages < pages)
			slot->pages = pages;
		buffers->committed += (uint64_t)slot->pages * PAGE;
	}
	return class->base + (uint64_t)index * class->slot_bytes;
}

void *buffers_get(struct buffers *buffers, uint32_t length)
{
	void *data = take_from_arena(buffers, length, ARENA_SEND);

	if (data)
		return data;
	if (buffers->committed + length > buffers->commit_limit) {
		buffers->refused++;
		return NULL;
	}
	return take(buffers, length, SLOT_COMMITTED);
}

void *buffers_get_incoming(struct buffers *buffers, uint32_t length)
{
	void *data = take_from_arena(buffers, length, ARENA_RECEIVE);

	if (data)
		return data;
	if (buffers->committed > buffers->receive_limit) {
		buffers->refused++;
		return NULL;
	}
	return take(buffers, length, SLOT_INCOMING);
}

static struct class *class_of(struct buffers *buffers, const void *data, struct slot **slot)
{
	const uint8_t *address = data;
	unsigned i;

	for (i = 0; i < BUFFERS_CLASSES; i++) {
		struct class *class = &buffers->classes[i];
		uint64_t offset = (uint64_t)(address - class->base);

		if (address < class->base || offset >= (uint64_t)class->slots * class->slot_bytes)
			continue;
		*slot = &class->table[offset / class->slot_bytes];
		return class;
	}
	return NULL;
}

void buffers_commit(struct buffers *buffers, const void *data, uint32_t length)
{
	struct slot *slot = NULL;
	struct class *class;
	uint32_t pages = pages_of(length);

	if (in_arena(buffers, data))
		return;
	class = class_of(buffers, data, &slot);
	assert(class && slot->state == SLOT_INCOMING);
	slot->state = SLOT_COMMITTED;
	if (is_small(buffers, class) || slot->pages >= pages)
		return;
	buffers->committed += (uint64_t)(pages - slot->pages) * PAGE;
	slot->pages = pages;
}

static void push(struct class *class, uint32_t *list, struct slot *slot)
{
	slot->next = *list;
	*list = (uint32_t)(slot - class->table);
}

void buffers_put(struct buffers *buffers, void *data)
{
	struct slot *slot = NULL;
	struct class *class;
	uint64_t bytes;
	bool known; /* how much of it was touched */

	if (in_arena(buffers, data)) {
		buffers->in_use--;
		arena_put(buffers->arena, data);
		return;
	}
	class = class_of(buffers, data, &slot);
	assert(class && slot->state != SLOT_FREE);
	known = slot->state == SLOT_COMMITTED;
	slot->state = SLOT_FREE;
	buffers->in_use--;
	if (is_small(buffers, class)) {
		push(class, &class->warm, slot);
		return;
	}
	bytes = (uint64_t)slot->pages * PAGE;
	buffers->committed -= bytes;
	if (known && buffers->warm + bytes <= buffers->warm_limit) {
		buffers->warm += bytes;
		push(class, &class->warm, slot);
		return;
	}
	madvise(class->base + (uint64_t)(slot - class->table) * class->slot_bytes, class->slot_bytes,
		MADV_DONTNEED);
	slot->pages = 0;
	push(class, &class->cold, slot);
}

bool buffers_full(const struct buffers *buffers)
{
	return buffers->committed > buffers->commit_limit;
}

void buffers_usage_get(const struct buffers *buffers, struct buffers_usage *usage)
{
	*usage = (struct buffers_usage){
		.committed = buffers->committed,
		.warm = buffers->warm,
		.in_use = buffers->in_use,
		.refused = buffers->refused,
	};
}
