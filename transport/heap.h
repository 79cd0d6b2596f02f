/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pairing heap (Fredman et al., 1986), intrusive: nodes live in the items, so that it
 * needs no memory and has no capacity. Least (key, tie) first. Insert and a change of the
 * first node's key that leaves it first are O(1), the rest O(log n) amortised.
 */
#ifndef TERN_HEAP_H
#define TERN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;
	uint64_t tie;
	struct heap_node *child;    /* first of the nodes below */
	struct heap_node *next;     /* right sibling */
	struct heap_node *previous; /* left sibling, or parent if first child, or self if root; NULL: in no heap */
};

struct heap {
	struct heap_node *root;
};

static inline bool heap_contains(const struct heap_node *node)
{
	return node->previous != NULL;
}

static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->root;
}

/* `node` must be in no heap (zeroed, or removed). */
void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie);
/* `node` must be in `heap`. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* Gives a node of `heap` another key. */
void heap_update(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie);

/* The item of `type` whose member `member` is `node`; NULL for NULL. */
#define heap_item(node, type, member) \
	((node) ? (type *)((char *)(node) - offsetof(type, member)) : NULL)

#endif
