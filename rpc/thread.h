/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread of an endpoint that runs itself (options.thread). */
#ifndef TERN_THREAD_H
#define TERN_THREAD_H

#include "endpoint.h"

/* Starts it, with all signals blocked. -errno of pthread_create; -EINVAL: that CPU cannot be had. */
int thread_start(struct tern_endpoint *endpoint);
/* Ends and joins it: nobody drives the endpoint from then on. */
void thread_stop(struct tern_endpoint *endpoint);

#endif
