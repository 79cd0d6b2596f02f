/* SPDX-License-Identifier: BSD-2-Clause */
/* An endpoint's options, as parameters of the protocol. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

#define DEFAULT_MEMORY (256ull << 20)
#define INCOMING_PART  4 /* of the memory: a quarter for messages not yet complete */

struct parameter {
	const char *name;
	size_t offset;
	size_t size; /* 1 or 4 */
};

#define PARAMETER(field)                                                                                     \
	{                                                                                                    \
#field, offsetof(struct homa_params, field), sizeof(((struct homa_params *)0)->field)        \
	}
#define LEVEL(field, i) \
	{ #field "." #i, offsetof(struct homa_params, field[i]), sizeof(((struct homa_params *)0)->field[i]) }
#define LEVELS(field)                                                                                        \
	LEVEL(field, 0), LEVEL(field, 1), LEVEL(field, 2), LEVEL(field, 3), LEVEL(field, 4),                 \
		LEVEL(field, 5), LEVEL(field, 6), LEVEL(field, 7)

static const struct parameter parameters[] = {
	PARAMETER(unsched_bytes),
	PARAMETER(window),
	PARAMETER(max_incoming),
	PARAMETER(max_overcommit),
	PARAMETER(grant_fifo_fraction),
	PARAMETER(fifo_grant_increment),
	PARAMETER(num_priorities),
	LEVELS(priority_map),
	LEVELS(unsched_cutoffs),
	PARAMETER(max_sched_prio),
	PARAMETER(link_mbps),
	PARAMETER(max_nic_est_backlog_usecs),
	PARAMETER(defer_min_bytes),
	PARAMETER(pacer_fifo_fraction),
	PARAMETER(max_link_usage),
	PARAMETER(resend_ticks),
	PARAMETER(resend_interval),
	PARAMETER(timeout_ticks),
	PARAMETER(request_ack_ticks),
	PARAMETER(hole_recovery_us),
	PARAMETER(need_ack_limit),
	PARAMETER(max_client_rpcs),
	PARAMETER(max_server_rpcs),
	PARAMETER(max_peers),
	PARAMETER(max_incoming_memory),
	PARAMETER(dedupe_window),
	PARAMETER(max_outgoing_memory),
};

#define PARAMETERS (sizeof(parameters) / sizeof(*parameters))

static const struct parameter *find(const char *name)
{
	size_t i;

	for (i = 0; i < PARAMETERS; i++)
		if (!strcmp(parameters[i].name, name))
			return &parameters[i];
	return NULL;
}

/* "unknown parameter ...; there are ..." with each group of levels as one name. */
static void list_names(const char *unknown, char *why, size_t why_size)
{
	size_t i, used = (size_t)snprintf(why, why_size, "unknown Homa parameter \"%.40s\"; there are",
					  unknown);

	for (i = 0; i < PARAMETERS && used < why_size; i++) {
		const char *level = strchr(parameters[i].name, '.');

		if (!level)
			used += (size_t)snprintf(why + used, why_size - used, " %s", parameters[i].name);
		else if (level[1] == '0')
			used += (size_t)snprintf(why + used, why_size - used, " %.*s.0 to .7",
						 (int)(level - parameters[i].name), parameters[i].name);
	}
}

static int set(struct homa_params *params, const struct tern_parameter *given, char *why, size_t why_size)
{
	const struct parameter *parameter = find(given->name);
	uint64_t most;

	if (!parameter) {
		list_names(given->name, why, why_size);
		return -EINVAL;
	}
	most = parameter->size == 1 ? UINT8_MAX : UINT32_MAX;
	if (given->value > most) {
		snprintf(why, why_size, "Homa parameter %s = %llu: at most %llu", given->name,
			 (unsigned long long)given->value, (unsigned long long)most);
		return -EINVAL;
	}
	if (parameter->size == 1)
		*((uint8_t *)params + parameter->offset) = (uint8_t)given->value;
	else
		*(uint32_t *)((char *)params + parameter->offset) = (uint32_t)given->value;
	return 0;
}

/* Levels that no unscheduled bytes use are for granted ones: up to the lowest used one, which shares. */
static void derive_max_sched_prio(struct homa_params *params)
{
	uint32_t level = 1;

	while (level < params->num_priorities && !params->unsched_cutoffs[level])
		level++;
	params->max_sched_prio = level - 1;
}

/* Copies `text` without the "p->" of the conditions that homa_params_check speaks in. */
static void say_condition(const char *text, char *why, size_t why_size)
{
	size_t used = (size_t)snprintf(why, why_size, "Homa parameters: ");

	while (*text && used + 1 < why_size) {
		if (!strncmp(text, "p->", 3))
			text += 3;
		else
			why[used++] = *text++;
	}
	why[used] = 0;
}

static int check_memory(const struct tern_endpoint_options *options, char *why, size_t why_size)
{
	if (!options->memory ||
	    (options->memory >= BUFFERS_MIN_MEMORY && options->memory <= BUFFERS_MAX_MEMORY))
		return 0;
	snprintf(why, why_size, "memory = %llu bytes: %llu to %llu are possible",
		 (unsigned long long)options->memory, (unsigned long long)BUFFERS_MIN_MEMORY,
		 (unsigned long long)BUFFERS_MAX_MEMORY);
	return -EINVAL;
}

uint64_t parameters_memory(const struct tern_endpoint_options *options)
{
	return options->memory ? options->memory : DEFAULT_MEMORY;
}

int parameters_change(const struct tern_parameter *given, struct homa_params *params, char *why, size_t why_size)
{
	bool derive = true;
	const char *condition;

	for (; given && given->name; given++) {
		if (set(params, given, why, why_size))
			return -EINVAL;
		derive &= strcmp(given->name, "max_sched_prio") != 0;
	}
	if (derive)
		derive_max_sched_prio(params);
	if (!homa_params_check(params, &condition))
		return 0;
	say_condition(condition, why, why_size);
	return -EINVAL;
}

int parameters_apply(const struct tern_endpoint_options *options, struct homa_params *params, char *why,
		     size_t why_size)
{
	uint64_t memory = parameters_memory(options), part = memory / INCOMING_PART;

	if (check_memory(options, why, why_size))
		return -EINVAL;
	homa_params_init(params);
	if (options->max_calls)
		params->max_client_rpcs = params->max_server_rpcs = options->max_calls;
	if (part < params->max_incoming_memory)
		params->max_incoming_memory = (uint32_t)part;
	if (parameters_change(options->parameters, params, why, why_size))
		return -EINVAL;
	if (params->max_incoming_memory > memory / 2) {
		snprintf(why, why_size, "Homa parameter max_incoming_memory = %u: at most half of memory (%llu bytes)",
			 params->max_incoming_memory, (unsigned long long)memory);
		return -EINVAL;
	}
	return 0;
}
