/* SPDX-License-Identifier: BSD-2-Clause */
/* What tern-load prints of a run. */
#include <inttypes.h>
#include <stdio.h>

#include "load.h"

struct figures {
	double rpc_per_s, request_gbit_per_s, reply_gbit_per_s;
	double p50_us, p90_us, p99_us, p999_us, max_us;
};

static double at_us(const struct load_result *result, uint32_t per_mille)
{
	return (double)histogram_at(&result->latency, per_mille) / 1e3;
}

static struct figures compute(const struct load_result *result)
{
	double s = result->window_s > 0 ? result->window_s : 1;

	return (struct figures){
		.rpc_per_s = (double)result->completed / s,
		.request_gbit_per_s = (double)result->request_bytes * 8 / 1e9 / s,
		.reply_gbit_per_s = (double)result->reply_bytes * 8 / 1e9 / s,
		.p50_us = at_us(result, 500),
		.p90_us = at_us(result, 900),
		.p99_us = at_us(result, 990),
		.p999_us = at_us(result, 999),
		.max_us = (double)result->latency.max_ns / 1e3,
	};
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const struct load_options *options, const struct load_result *result)
{
	struct figures f = compute(result);
	const char *comma = "";

	printf("{\"address\": ");
	print_string(options->address);
	printf(", \"datapath\": ");
	print_string(result->described);
	printf(", \"size_min\": %u, \"size_max\": %u, \"concurrency\": %u, \"rate\": %.3f, \"window_s\": "
	       "%.6f",
	       options->size_min, options->size_max, options->concurrency, options->rate, result->window_s);
	printf(", \"rpc_per_s\": %.1f, \"gbit_per_s\": %.6f, \"reply_gbit_per_s\": %.6f", f.rpc_per_s,
	       f.request_gbit_per_s, f.reply_gbit_per_s);
	printf(", \"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f",
	       f.p50_us, f.p90_us, f.p99_us, f.p999_us, f.max_us);
	printf(", \"ok\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"not_sent\": %" PRIu64, result->ok,
	       result->errors, result->not_sent);
	printf(", \"statuses\": {");
	for (int i = 0; i < LOAD_STATUSES; i++) {
		if (!result->statuses[i])
			continue;
		printf("%s\"%s\": %" PRIu64, comma, tern_status_name((enum tern_status)i),
		       result->statuses[i]);
		comma = ", ";
	}
	printf("}");
	if (result->message[0]) {
		printf(", \"error\": ");
		print_string(result->message);
	}
	if (options->check)
		printf(", \"lost\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"corrupt\": %" PRIu64,
		       result->lost, result->duplicated, result->corrupt);
	if (result->ledger_known)
		printf(", \"answered\": %" PRIu64 ", \"executed\": %" PRIu64, result->all_ok,
		       result->ledger.executed);
	printf("}\n");
}

static void print_load(const struct load_options *options, const struct load_result *result)
{
	printf("%s: %s, %u", options->address, options->raw ? "raw messages" : "tern.bench.Echo",
	       options->size_min);
	if (options->size_max != options->size_min)
		printf("-%u", options->size_max);
	printf(" B");
	if (options->sized)
		printf(" and %u B back", options->reply_size);
	if (options->rate)
		printf(", %g calls/s %s", options->rate, options->constant ? "evenly" : "Poisson");
	else
		printf(", %u outstanding", options->concurrency);
	printf(", %.3f s after %g s of warm-up\n", result->window_s, options->warmup_s);
}

static void print_check(const struct load_options *options, const struct load_result *result)
{
	printf("  check     %" PRIu64 " lost, %" PRIu64 " %s twice, %" PRIu64 " corrupt", result->lost,
	       result->duplicated, options->raw ? "answered" : "executed", result->corrupt);
	if (result->ledger_known)
		printf("; of %" PRIu64 " answered the server executed %" PRIu64, result->all_ok,
		       result->ledger.executed);
	else if (!options->raw)
		printf("; what the server executed is not known");
	if (result->ledger.unknown)
		printf("; %" PRIu64 " came too late to tell", result->ledger.unknown);
	printf("\n");
}

static void print_table(const struct load_options *options, const struct load_result *result)
{
	struct figures f = compute(result);

	print_load(options, result);
	if (!options->quiet)
		printf("  datapath  %s\n", result->described);
	printf("  RPC/s     %.0f\n", f.rpc_per_s);
	printf("  Gbit/s    %.3f of request payload, %.3f of reply payload\n", f.request_gbit_per_s,
	       f.reply_gbit_per_s);
	printf("  latency   p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f us\n", f.p50_us, f.p90_us,
	       f.p99_us, f.p999_us, f.max_us);
	printf("  ended     %" PRIu64 " OK, %" PRIu64 " errors", result->ok, result->errors);
	for (int i = 1; i < LOAD_STATUSES; i++)
		if (result->statuses[i])
			printf(", %" PRIu64 " %s", result->statuses[i],
			       tern_status_name((enum tern_status)i));
	printf("\n");
	if (result->message[0])
		printf("  error     %s\n", result->message);
	if (result->not_sent)
		printf("  not sent  %" PRIu64 " calls fell due with %u outstanding\n", result->not_sent,
		       options->concurrency);
	if (options->check)
		print_check(options, result);
}

bool load_report(const struct load_options *options, const struct load_result *result)
{
	bool checked = !options->check || options->raw ||
		       (result->ledger_known && !result->ledger.unknown &&
			result->ledger.executed >= result->all_ok);

	if (options->json)
		print_json(options, result);
	else
		print_table(options, result);
	return result->ok && !result->errors && !result->not_sent && !result->corrupt &&
	       !result->duplicated && !(options->check && result->lost) && checked;
}
