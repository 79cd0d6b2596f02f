/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread of an endpoint that runs itself: see thread.h. */
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "drive.h"
#include "thread.h"

static void *run(void *argument)
{
	struct tern_endpoint *endpoint = argument;

	pthread_setname_np(pthread_self(), "tern");
	drive_become_driver(endpoint);
	drive_hold(endpoint);
	drive_awake(endpoint);
	while (!atomic_load_explicit(&endpoint->stopping, memory_order_relaxed))
		drive_step(endpoint, DEADLINE_NEVER);
	drive_let_go(endpoint);
	return NULL;
}

int thread_start(struct tern_endpoint *endpoint)
{
	pthread_attr_t attributes;
	sigset_t signals;
	cpu_set_t cpus;
	int error;

	pthread_attr_init(&attributes);
	/* The program's handlers run in its own threads. */
	sigfillset(&signals);
	pthread_attr_setsigmask_np(&attributes, &signals);
	if (endpoint->options.cpu_plus_1 > 0) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)endpoint->options.cpu_plus_1 - 1, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	error = pthread_create(&endpoint->thread, &attributes, run, endpoint);
	pthread_attr_destroy(&attributes);
	if (error)
		endpoint_log(endpoint, TERN_LOG_ERROR, "the endpoint's thread cannot be started: %s",
			     strerrordesc_np(error));
	return -error;
}

void thread_stop(struct tern_endpoint *endpoint)
{
	atomic_store(&endpoint->stopping, true);
	drive_wake(endpoint);
	pthread_join(endpoint->thread, NULL);
	atomic_store(&endpoint->driver, 0);
}
