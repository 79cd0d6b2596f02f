/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load itself: closed loop (a fixed number of calls outstanding) or open loop
 * (calls fall due by the clock, whatever the answers do). Latency counts from the time
 * that a call was due, so that a call held up by those before it is not flattered.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/random.h>

#include "bench.tern.h"
#include "load.h"
#include "load_channels.h"
#include "load_pattern.h"

#define NS_PER_S         1000000000ull
#define ISSUE_BURST      64 /* calls begun between two polls */
#define POLL_MAX_US      100000
#define REFUSED_WAIT_US  100 /* after a call that could not even be begun */
#define PROBE_TIMEOUT_US 2000000
#define DRAIN_SLACK_US   1000000 /* beyond the calls' own deadline */

struct client;

/* One call outstanding. */
struct slot {
	struct client *client;
	struct slot *next_free;
	uint64_t due_ns;
	const uint8_t *pattern;
	uint32_t size;
	bool measured;
	bool busy;
};

struct client {
	const struct load_options *options;
	struct load_result *result;
	struct tern_endpoint *endpoint;
	struct load_channels channels;
	struct tern_call_options call_options;
	uint64_t id; /* in the ledger; 0: not checked */
	uint64_t sequence;
	uint64_t random;
	uint64_t begin_ns; /* the window */
	uint64_t end_ns;
	uint64_t due_ns; /* open loop: the next call */
	uint64_t last_done_ns;
	uint64_t measured; /* calls begun in the window */
	uint32_t outstanding;
	bool refused; /* the last call could not be begun */
	bool looping; /* calls are to be followed by others */
	enum tern_status last_status;
	struct slot *free;
	struct slot *slots;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(struct client *client)
{
	return pattern_mix(client->random += 0x9e3779b97f4a7c15u);
}

/* ---- the end of a call ---- */

static void count_error(struct client *client, enum tern_status status, const char *message)
{
	struct load_result *result = client->result;

	if (!result->message[0])
		snprintf(result->message, sizeof(result->message), "%s%s%s", tern_status_name(status),
			 message[0] ? ": " : "", message);
	if (status == TERN_DEADLINE_EXCEEDED || status == TERN_UNAVAILABLE)
		result->lost++;
}

static void count(struct client *client, const struct slot *slot, enum tern_status status,
		  size_t reply_length)
{
	struct load_result *result = client->result;
	uint64_t now = now_ns();

	client->last_done_ns = now;
	if (status == TERN_OK) {
		result->all_ok++;
		if (now >= client->begin_ns && now < client->end_ns) {
			result->completed++;
			result->request_bytes += slot->size;
			result->reply_bytes += reply_length;
		}
	}
	if (!slot->measured)
		return;
	result->statuses[status < LOAD_STATUSES ? status : TERN_UNKNOWN]++;
	if (status == TERN_OK) {
		result->ok++;
		histogram_record(&result->latency, now - slot->due_ns);
	} else {
		result->errors++;
	}
}

static bool as_expected(const struct client *client, const struct slot *slot, const uint8_t *data,
			size_t length)
{
	const struct load_options *options = client->options;

	if (length != (options->sized ? options->reply_size : slot->size))
		return false;
	return !options->check || !length || !memcmp(data, slot->pattern, length);
}

static void finish(struct slot *slot, enum tern_status status, const char *message, const uint8_t *data,
		   size_t length)
{
	struct client *client = slot->client;

	if (!slot->busy) {
		client->result->duplicated++;
		return;
	}
	if (status == TERN_OK && !as_expected(client, slot, data, length)) {
		client->result->corrupt++;
		status = TERN_DATA_LOSS;
		message = "the answer is not what was asked for";
	}
	if (status != TERN_OK)
		count_error(client, status, message);
	count(client, slot, status, length);
	client->last_status = status;
	client->outstanding--;
	slot->busy = false;
	slot->next_free = client->free;
	client->free = slot;
}

static void begin_next(struct client *client);

static void call_done(const struct tern_result *result, const Tern__Bench__Payload *reply, void *ctx)
{
	const struct slot *slot = ctx;

	finish(ctx, result->status, result->message, reply ? reply->data.data : NULL,
	       reply ? reply->data.len : 0);
	begin_next(slot->client);
}

static void raw_done(const struct tern_result *result, const void *data, size_t length, void *ctx)
{
	const struct slot *slot = ctx;

	finish(ctx, result->status, result->message, data, length);
	begin_next(slot->client);
}

/* ---- the beginning ---- */

static int start(struct client *client, struct slot *slot, uint64_t id, uint64_t sequence)
{
	const struct load_options *options = client->options;
	struct tern_channel *channel = load_channels_next(&client->channels);
	Tern__Bench__SizedRequest request = TERN__BENCH__SIZED_REQUEST__INIT;
	Tern__Bench__Payload payload = TERN__BENCH__PAYLOAD__INIT;

	if (options->raw)
		return tern_channel_send_raw(channel, &client->call_options, slot->pattern, slot->size,
					     raw_done, slot, NULL);
	payload.data.data = (uint8_t *)slot->pattern;
	payload.data.len = slot->size;
	payload.client = id;
	payload.sequence = sequence;
	if (!options->sized)
		return tern__bench__echo__echo__start(channel, &client->call_options, &payload, call_done,
						      slot, NULL);
	request.payload = &payload;
	request.reply_length = options->reply_size;
	request.check = options->check;
	return tern__bench__echo__sized__start(channel, &client->call_options, &request, call_done, slot,
					       NULL);
}

static enum tern_status status_of(int err)
{
	switch (err) {
	case -ENOBUFS:
	case -ENOMEM:
	case -EAGAIN:
		return TERN_RESOURCE_EXHAUSTED;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return TERN_UNAVAILABLE;
	case -EMSGSIZE:
		return TERN_INVALID_ARGUMENT;
	default:
		return TERN_INTERNAL;
	}
}

/* Log-uniform: as many sizes between 64 and 128 B as between 32 and 64 kB. */
static uint32_t next_size(struct client *client)
{
	const struct load_options *options = client->options;
	double u = (double)(next_random(client) >> 11) * 0x1p-53;
	double ratio = (options->size_max + 1.0) / options->size_min;
	uint32_t size = (uint32_t)(options->size_min * pow(ratio, u));

	return size < options->size_max ? size : options->size_max;
}

/* Begins one call, due at `due_ns`, by a client of which `id` stands in the ledger. */
static void begin(struct client *client, uint64_t due_ns, uint64_t id)
{
	const struct load_options *options = client->options;
	uint64_t sequence = id ? client->sequence++ : 0;
	struct slot *slot = client->free;
	int err;

	client->free = slot->next_free;
	client->outstanding++;
	slot->busy = true;
	slot->due_ns = due_ns;
	slot->size = options->size_min < options->size_max ? next_size(client) : options->size_max;
	slot->pattern = pattern_of(id, sequence);
	slot->measured = due_ns >= client->begin_ns && due_ns < client->end_ns;
	client->measured += slot->measured;
	err = start(client, slot, id, sequence);
	client->refused = err != 0;
	if (err)
		finish(slot, status_of(err), strerror(-err), NULL, 0);
}

static bool issuing(const struct client *client, uint64_t now)
{
	if (load_stopped)
		return false;
	return client->options->requests ? client->measured < client->options->requests
					 : now < client->end_ns;
}

/* In a closed loop one call's end begins another, and those that end together leave together. */
static void begin_next(struct client *client)
{
	uint64_t now = client->last_done_ns;

	if (client->looping && !client->refused && client->free && issuing(client, now))
		begin(client, now, client->id);
}

/* Nanoseconds from one call to the next in an open loop. */
static uint64_t gap_ns(struct client *client)
{
	double mean = 1e9 / client->options->rate, u;

	if (client->options->constant)
		return (uint64_t)mean;
	u = (double)(next_random(client) >> 11) * 0x1p-53;
	return (uint64_t)(-log(1 - u) * mean);
}

static void issue_due(struct client *client, uint64_t now)
{
	for (int i = 0; i < ISSUE_BURST && client->due_ns <= now && issuing(client, client->due_ns); i++) {
		if (client->free)
			begin(client, client->due_ns, client->id);
		else if (client->due_ns >= client->begin_ns)
			client->result->not_sent++;
		client->due_ns += gap_ns(client);
	}
}

static void issue_free(struct client *client, uint64_t now)
{
	client->refused = false;
	for (int i = 0; i < ISSUE_BURST && client->free && !client->refused && issuing(client, now); i++) {
		now = now_ns();
		begin(client, now, client->id);
	}
}

/* ---- the run ---- */

/* Microseconds that poll may wait before there is something to begin. */
static int wait_us(const struct client *client, uint64_t now)
{
	uint64_t until = now + POLL_MAX_US * 1000ull;

	if (client->options->rate && client->due_ns < until)
		until = client->due_ns;
	if (client->end_ns < until)
		until = client->end_ns;
	if (!client->options->rate && client->free)
		return client->refused ? REFUSED_WAIT_US : 0;
	return until > now ? (int)((until - now) / 1000) : 0;
}

static int poll_once(struct client *client, int timeout_us)
{
	int n = tern_endpoint_poll(client->endpoint, timeout_us);

	if (n < 0 && n != -EINTR) {
		fprintf(stderr, "tern-load: the endpoint failed: %s\n", strerror(-n));
		return n;
	}
	return 0;
}

/* Until every call has ended or `limit_us` have passed. */
static int drain(struct client *client, uint64_t limit_us)
{
	uint64_t now = now_ns(), limit = now + limit_us * 1000;
	int err = 0;

	for (; !err && client->outstanding && now < limit; now = now_ns())
		err = poll_once(client, POLL_MAX_US);
	return err;
}

static int make_load(struct client *client)
{
	const struct load_options *options = client->options;
	uint64_t now = now_ns();
	int err = 0;

	client->begin_ns = now + (uint64_t)(options->warmup_s * 1e9);
	client->end_ns =
		options->requests ? UINT64_MAX : client->begin_ns + (uint64_t)(options->duration_s * 1e9);
	client->due_ns = now;
	client->looping = !options->rate;
	for (; !err && issuing(client, now); now = now_ns()) {
		if (options->rate)
			issue_due(client, now);
		else
			issue_free(client, now);
		err = poll_once(client, wait_us(client, now));
	}
	client->looping = false;
	if (load_stopped && now < client->end_ns && !options->requests)
		client->end_ns = now;
	return err ? err : drain(client, options->timeout_us + DRAIN_SLACK_US);
}

/* One call that is not measured: resolves the neighbour, and tells at once when nobody answers. */
static int probe(struct client *client)
{
	int err;

	client->begin_ns = UINT64_MAX;
	client->call_options.timeout_us = PROBE_TIMEOUT_US;
	begin(client, now_ns(), 0);
	err = drain(client, PROBE_TIMEOUT_US + DRAIN_SLACK_US);
	client->call_options.timeout_us = client->options->timeout_us;
	if (err || (!client->outstanding && client->last_status == TERN_OK)) {
		memset(client->result, 0, sizeof(*client->result));
		return err;
	}
	client->result->errors = 1;
	client->result->statuses[client->last_status] = 1;
	fprintf(stderr, "tern-load: no answer from %s: %s\n", client->options->address,
		client->result->message);
	return -ECONNREFUSED;
}

static void read_ledger(struct client *client)
{
	Tern__Bench__LedgerRequest request = TERN__BENCH__LEDGER_REQUEST__INIT;
	struct load_result *result = client->result;
	Tern__Bench__LedgerReply *reply = NULL;
	struct tern_result how;

	request.client = client->id;
	if (tern__bench__echo__ledger__call(client->channels.all[0], NULL, &request, &reply, &how) != TERN_OK) {
		fprintf(stderr, "tern-load: the server's ledger cannot be read: %s: %s\n",
			tern_status_name(how.status), how.message);
		return;
	}
	result->ledger_known = true;
	result->ledger = (struct ledger_counts){ reply->executed, reply->twice, reply->unknown };
	result->duplicated += reply->twice;
	tern__bench__ledger_reply__free_unpacked(reply, NULL);
}

static int measure(struct client *client)
{
	const struct load_options *options = client->options;
	struct load_result *result = client->result;
	uint64_t end;
	int err = probe(client);

	if (!err)
		err = make_load(client);
	if (err)
		return err;
	end = options->requests ? client->last_done_ns : client->end_ns;
	if (end > client->begin_ns)
		result->window_s = (double)(end - client->begin_ns) / 1e9;
	result->lost += client->outstanding;
	if (options->check && !options->raw)
		read_ledger(client);
	load_describe(client->endpoint, result->described, sizeof(result->described));
	if (options->counters)
		load_print_counters(client->endpoint);
	return 0;
}

static int open_client(struct client *client)
{
	const struct load_options *options = client->options;
	int err;

	client->slots = calloc(options->concurrency, sizeof(*client->slots));
	if (!client->slots || !pattern_init() ||
	    getrandom(&client->random, sizeof(client->random), 0) != sizeof(client->random)) {
		fprintf(stderr, "tern-load: out of memory\n");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < options->concurrency; i++) {
		client->slots[i].client = client;
		client->slots[i].next_free = client->free;
		client->free = &client->slots[i];
	}
	if (options->check)
		client->id = next_random(client) | 1;
	err = load_endpoint_create(options, &client->endpoint);
	return err ? err : load_channels_open(&client->channels, options, client->endpoint);
}

int load_run(const struct load_options *options, struct load_result *result)
{
	struct client client = { .options = options,
				 .result = result,
				 .call_options = TERN_OPTIONS(struct tern_call_options) };
	int err = open_client(&client);

	if (!err)
		err = measure(&client);
	/* Calls that are still outstanding end here, as CANCELLED: errors of the result. */
	if (client.endpoint)
		tern_endpoint_destroy(client.endpoint);
	load_channels_free(&client.channels);
	free(client.slots);
	return err;
}
