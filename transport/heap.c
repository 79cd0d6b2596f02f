/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

/* Joins two trees, either of which may be NULL; the result's sibling links are not set. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *first, *second;

	if (!a || !b)
		return a ? a : b;
	first = before(b, a) ? b : a;
	second = first == a ? b : a;
	second->next = first->child;
	if (first->child)
		first->child->previous = second;
	second->previous = first;
	first->child = second;
	return first;
}

static void set_root(struct heap *heap, struct heap_node *root)
{
	heap->root = root;
	if (root) {
		root->next = NULL;
		root->previous = root;
	}
}

/* Melds a list of siblings into one tree: pairs from left to right, then all from right to left. */
static struct heap_node *meld_siblings(struct heap_node *node)
{
	struct heap_node *pairs = NULL, *result = NULL;

	while (node) {
		struct heap_node *second = node->next;
		struct heap_node *rest = second ? second->next : NULL;
		struct heap_node *pair = meld(node, second);

		pair->next = pairs;
		pairs = pair;
		node = rest;
	}
	while (pairs) {
		struct heap_node *rest = pairs->next;

		result = meld(result, pairs);
		pairs = rest;
	}
	return result;
}

/* Takes `node`, with all below it, out of its parent's children. */
static void cut(struct heap_node *node)
{
	if (node->previous->child == node)
		node->previous->child = node->next;
	else
		node->previous->next = node->next;
	if (node->next)
		node->next->previous = node->previous;
	node->next = NULL;
}

void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie)
{
	*node = (struct heap_node){ .key = key, .tie = tie };
	set_root(heap, meld(heap->root, node));
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	if (node == heap->root) {
		set_root(heap, meld_siblings(node->child));
	} else {
		cut(node);
		set_root(heap, meld(heap->root, meld_siblings(node->child)));
	}
	node->child = node->next = node->previous = NULL;
}

void heap_update(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie)
{
	bool earlier = key != node->key ? key < node->key : tie <= node->tie;

	if (earlier && node == heap->root) {
		node->key = key;
		node->tie = tie;
		return;
	}
	heap_remove(heap, node);
	heap_insert(heap, node, key, tie);
}
