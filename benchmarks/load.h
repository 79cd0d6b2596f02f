/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of tern-load share: its options, its result, and who makes and prints them. */
#ifndef LOAD_H
#define LOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <tern.h>

#include "load_histogram.h"
#include "load_ledger.h"

#define LOAD_MESSAGE_MAX 1000000u /* bytes that a transport carries as one message */
#define LOAD_HEADERS_MAX 72u      /* bytes at most of RPC header and protobuf around the payload */
#define LOAD_OUTSTANDING_MAX 131072u
#define LOAD_OUTSTANDING_DEFAULT 65536u /* of an open loop, and of an endpoint that is told nothing */
#define LOAD_PEERS_MAX 65536u
#define LOAD_PARAMETERS_MAX 32
#define LOAD_STATUSES 17

struct load_options {
	const char *address;
	bool serve;
	bool raw;
	bool check;
	bool json;
	bool quiet;
	bool counters;
	bool constant;         /* evenly spaced arrivals, not Poisson's */
	bool sized;            /* reply_size was given */
	uint32_t size_min;     /* bytes of payload */
	uint32_t size_max;
	uint32_t reply_size;
	uint32_t peers;        /* addresses, from `address` on */
	uint32_t concurrency;  /* closed loop: outstanding; open loop: at most so many */
	double rate;           /* a second; 0: closed loop */
	double duration_s;
	double warmup_s;
	uint64_t requests;     /* 0: for duration_s */
	uint64_t timeout_us;
	int cpu;               /* -1: wherever */
	enum tern_wait wait;
	enum tern_datapath datapath;
	uint32_t datapath_parts; /* enum tern_datapath_part; 0: all */
	enum tern_xdp_mode xdp_mode;
	struct tern_parameter parameters[LOAD_PARAMETERS_MAX + 1];
};

enum load_parsed { LOAD_GO, LOAD_DONE, LOAD_USAGE };

/* Reads the command line. Prints help, version, or what was wrong. */
enum load_parsed load_options_parse(int argc, char **argv, struct load_options *options);

/* What a client measured. The counts are of RPCs begun inside the window. */
struct load_result {
	char described[512];      /* load_describe */
	double window_s;          /* length of the measured time */
	uint64_t completed;       /* OK answers inside the window, whenever begun */
	uint64_t request_bytes;   /* payload of those */
	uint64_t reply_bytes;
	uint64_t ok;
	uint64_t errors;          /* ended with another status, or not at all */
	uint64_t not_sent;        /* open loop: due when `concurrency` were outstanding */
	uint64_t statuses[LOAD_STATUSES];
	char message[TERN_MESSAGE_MAX + 32]; /* of the first error */
	/* The check is of the whole run, warm-up included. */
	uint64_t lost;            /* no answer when the run was drained */
	uint64_t duplicated;      /* executed again, or answered again */
	uint64_t corrupt;         /* answers with a wrong byte or length */
	bool ledger_known;        /* false with --raw: the server keeps none */
	struct ledger_counts ledger;
	uint64_t all_ok;          /* RPCs that ended OK, warm-up included */
	struct histogram latency;
};

/* Creates the endpoint that the options ask for. 0, or a negative errno (said on stderr). */
int load_endpoint_create(const struct load_options *options, struct tern_endpoint **endpoint);
void load_print_counters(struct tern_endpoint *endpoint);
/* What the endpoint chose, on one line. */
void load_describe(struct tern_endpoint *endpoint, char *line, size_t size);
/* Set by SIGINT and SIGTERM. */
extern volatile sig_atomic_t load_stopped;

/* Serves until stopped. Exit code. */
int load_serve(const struct load_options *options);
/* Makes load and measures. 0, or a negative errno (said on stderr) when there is no result. */
int load_run(const struct load_options *options, struct load_result *result);
/* Prints the result. True when it is without fault. */
bool load_report(const struct load_options *options, const struct load_result *result);

#endif
