/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to requests, from within. The endpoint is held. */
#ifndef TERN_ANSWER_H
#define TERN_ANSWER_H

#include "call.h"

/* Answers a request for which there is no call: with a status and a text. `method`: its hash. */
void answer_refuse(struct transport_slot *slot, uint64_t handle, uint64_t method, enum tern_status status,
		   const char *text);
/* The same for a held call, which its handler keeps: nobody waits for its answer any more. */
void answer_instead(struct tern_call *call, enum tern_status status, const char *text);
/* The same for a call that no handler has. */
void answer_reject(struct tern_call *call, enum tern_status status, const char *text);
/* The transport does not know the request any more; the handler keeps the call. */
void answer_detach(struct tern_call *call);
/* Sends an answer that another thread has packed. */
void answer_send_packed(struct tern_call *call);
/* The handler has answered: the call leaves all tables and goes back to the pool. */
void answer_finish(struct tern_call *call);

#endif
