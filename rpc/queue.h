/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From any thread to the driving thread: a stack of calls (Treiber), taken as a whole
 * and turned round, so that there is no ABA and no lock.
 */
#ifndef TERN_QUEUE_H
#define TERN_QUEUE_H

#include <stdatomic.h>

#include "call.h"

struct call_queue {
	_Alignas(64) _Atomic(struct tern_call *) head;
};

/* `call` is in no queue. Sequentially consistent: see fall_asleep in drive.c. */
static inline void queue_push(struct call_queue *queue, struct tern_call *call)
{
	struct tern_call *head = atomic_load_explicit(&queue->head, memory_order_relaxed);

	do {
		call->queue_next = head;
	} while (!atomic_compare_exchange_weak(&queue->head, &head, call));
}

static inline bool queue_is_empty(struct call_queue *queue)
{
	return atomic_load(&queue->head) == NULL;
}

/* All calls, linked by queue_next, the first that was pushed first. */
static inline struct tern_call *queue_take(struct call_queue *queue)
{
	struct tern_call *call, *turned = NULL;

	if (!atomic_load_explicit(&queue->head, memory_order_relaxed))
		return NULL;
	call = atomic_exchange_explicit(&queue->head, NULL, memory_order_acquire);
	while (call) {
		struct tern_call *next = call->queue_next;

		call->queue_next = turned;
		turned = call;
		call = next;
	}
	return turned;
}

#endif
