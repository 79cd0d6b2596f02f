// SPDX-License-Identifier: BSD-2-Clause
#include "bpf_log.h"

#include <pthread.h>
#include <string.h>
#include <bpf/libbpf.h>

#include "tern.h"

static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static libbpf_print_fn_t captured_from;
static __thread const struct link_log *capture_log;

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
	libbpf_print_fn_t previous = __atomic_load_n(&captured_from, __ATOMIC_ACQUIRE);
	char line[LINK_LOG_BYTES];

	if (!capture_log)
		return previous ? previous(level, format, arguments) : 0;
	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	link_logf(capture_log, TERN_LOG_DEBUG, "%s", line);
	return 0;
}

void bpf_log_begin(const struct link_log *log)
{
	pthread_mutex_lock(&capture_lock);
	capture_log = log;
	__atomic_store_n(&captured_from, libbpf_set_print(log_libbpf), __ATOMIC_RELEASE);
}

void bpf_log_end(void)
{
	libbpf_set_print(captured_from);
	capture_log = NULL;
	pthread_mutex_unlock(&capture_lock);
}
