// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bare limit: a ping-pong of raw Ethernet frames between two AF_XDP sockets, both
 * ends spinning, with no protocol at all. What Tern's latency is compared with.
 *
 *	ping-pong --serve DEV [--cpu N]
 *	ping-pong DEV --peer MAC [--size BYTES] [--count N] [--cpu N] [--json]
 */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "homa_core.h"
#include "net_headers.h"
#include "ping_pong.skel.h"
#include "xsk_device.h"
#include "xsk_queue.h"

#define ETHERTYPE_EXPERIMENTAL 0x88b5 /* as in bpf/ping_pong.bpf.c */
#define ENTRIES                256    /* of each ring, and frames */
#define FRAME_BYTES            2048
#define MAX_SIZE               1500
#define MAX_COUNT              10000000
#define WARM_UP                1000
#define LOST_NS                100000000 /* a reply that takes longer is lost */
#define MAX_LOST               20
#define BUSY_TRIES             250 /* while the run before this one is being taken apart */
#define BUSY_INTERVAL_US       2000

struct options {
	bool serve;
	bool json;
	const char *device;
	uint8_t peer[6];
	bool has_peer;
	uint32_t size;
	uint32_t count;
	int cpu; /* -1: wherever the scheduler likes */
};

struct end {
	struct ping_pong_bpf *program;
	struct xsk_device device;
	struct xsk_queue queue;
};

__attribute__((noreturn)) static void fail(const char *what, int error)
{
	fprintf(stderr, "ping-pong: %s: %s\n", what, strerror(error));
	exit(1);
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr,
		"usage: ping-pong --serve DEV [--cpu N]\n"
		"       ping-pong DEV --peer MAC [--size 1-%d] [--count 1-%d] [--cpu N] [--json]\n",
		MAX_SIZE, MAX_COUNT);
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void log_line(void *ctx, int level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "ping-pong: %s\n", line);
}

static int attach(struct end *end)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	int fd = bpf_link_create(bpf_program__fd(end->program->progs.ping_pong), end->device.ifindex, BPF_XDP,
				 &native);

	return fd < 0 ? fd : 0;
}

static int open_queue(struct end *end)
{
	char device[IF_NAMESIZE];
	struct xsk_queue_options options = {
		.device = if_indextoname((unsigned)end->device.ifindex, device),
		.entries = ENTRIES,
		.frames = ENTRIES,
		.frame_bytes = FRAME_BYTES,
		.flags = XDP_USE_NEED_WAKEUP,
		.transmits = true,
	};

	return options.device ? xsk_queue_open(&end->queue, &options) : -ENODEV;
}

static void try_while_busy(struct end *end, int (*step)(struct end *end), const char *what)
{
	int error = step(end);

	for (int tries = 0; error == -EBUSY && tries < BUSY_TRIES; tries++) {
		usleep(BUSY_INTERVAL_US);
		error = step(end);
	}
	if (error)
		fail(what, -error);
}

/* All frames go to the fill ring, but for the last one, which the client sends from. */
static void open_end(struct end *end, const char *device)
{
	struct link_log log = { .write = log_line };
	uint32_t queue = 0;

	if (xsk_device_query(&end->device, (int)if_nametoindex(device), &log))
		exit(1);
	end->program = ping_pong_bpf__open_and_load();
	if (!end->program)
		fail("loading the XDP program", errno);
	try_while_busy(end, attach, "attaching native XDP");
	try_while_busy(end, open_queue, "opening the AF_XDP socket");
	xsk_queue_fill(&end->queue, ENTRIES - 1);
	if (bpf_map_update_elem(bpf_map__fd(end->program->maps.sockets), &queue, &end->queue.fd, BPF_ANY))
		fail("steering to the AF_XDP socket", errno);
}

static void transmit(struct end *end, uint64_t address, uint32_t length)
{
	struct xsk_ring_prod *ring = &end->queue.transmit;
	uint32_t index;

	if (!xsk_ring_prod__reserve(ring, 1, &index))
		fail("sending", ENOBUFS);
	*xsk_ring_prod__tx_desc(ring, index) = (struct xdp_desc){ .addr = address, .len = length };
	xsk_ring_prod__submit(ring, 1);
	if (xsk_ring_prod__needs_wakeup(ring) && sendto(end->queue.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
	    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
		fail("sending", errno);
}

/* There is room: the ring has more entries than there are frames. */
static void refill(struct end *end, uint64_t address)
{
	struct xsk_ring_prod *ring = &end->queue.fill;
	uint32_t index = 0;

	xsk_ring_prod__reserve(ring, 1, &index);
	*xsk_ring_prod__fill_addr(ring, index) = address & ~(uint64_t)(FRAME_BYTES - 1);
	xsk_ring_prod__submit(ring, 1);
}

/* Takes completed frames back; those that the server bounced are to be filled again. */
static uint32_t complete(struct end *end, bool bounced)
{
	struct xsk_ring_cons *ring = &end->queue.completion;
	uint32_t index = 0;
	uint32_t count = xsk_ring_cons__peek(ring, ENTRIES, &index);

	for (uint32_t i = 0; bounced && i < count; i++)
		refill(end, *xsk_ring_cons__comp_addr(ring, index + i));
	if (count)
		xsk_ring_cons__release(ring, count);
	return count;
}

/* Sends every frame back from where it was received. */
__attribute__((noreturn)) static void serve(struct end *end)
{
	struct xsk_ring_cons *ring = &end->queue.receive;

	printf("serving\n");
	fflush(stdout);
	for (;;) {
		struct net_ethernet *ethernet;
		struct xdp_desc descriptor;
		uint32_t index;

		complete(end, true);
		if (!xsk_prod_nb_free(&end->queue.transmit, 1) || !xsk_ring_cons__peek(ring, 1, &index))
			continue;
		descriptor = *xsk_ring_cons__rx_desc(ring, index);
		xsk_ring_cons__release(ring, 1);
		ethernet = xsk_umem__get_data(end->queue.memory, descriptor.addr);
		memcpy(ethernet->destination, ethernet->source, 6);
		memcpy(ethernet->source, end->device.mac, 6);
		transmit(end, descriptor.addr, descriptor.len);
	}
}

/* One round trip in nanoseconds, or 0 if the frame was lost. */
static uint64_t ping(struct end *end, uint64_t address, uint32_t length)
{
	struct xsk_ring_cons *ring = &end->queue.receive;
	uint64_t start = now_ns(), took = 0;
	uint32_t index = 0;

	transmit(end, address, length);
	while (!xsk_ring_cons__peek(ring, 1, &index)) {
		took = now_ns() - start;
		if (took > LOST_NS)
			return 0;
	}
	took = now_ns() - start;
	refill(end, xsk_ring_cons__rx_desc(ring, index)->addr);
	xsk_ring_cons__release(ring, 1);
	while (!complete(end, false))
		;
	return took;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void report(const struct options *options, uint64_t *took_ns, uint32_t count)
{
	double min, p50, p99;

	qsort(took_ns, count, sizeof(*took_ns), compare_ns);
	min = (double)took_ns[0] / 1000;
	p50 = (double)took_ns[count / 2] / 1000;
	p99 = (double)took_ns[(uint64_t)count * 99 / 100] / 1000;
	if (options->json)
		printf("{\"size\": %u, \"count\": %u, \"min_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": "
		       "%.2f}\n",
		       options->size, count, min, p50, p99);
	else
		printf("bare AF_XDP ping-pong, %u B, %u round trips: min %.2f, p50 %.2f, p99 %.2f us\n",
		       options->size, count, min, p50, p99);
}

static int measure(struct end *end, const struct options *options)
{
	uint64_t address = (uint64_t)(ENTRIES - 1) * FRAME_BYTES;
	struct net_ethernet *ethernet = xsk_umem__get_data(end->queue.memory, address);
	uint64_t *took_ns = calloc(options->count, sizeof(*took_ns));
	uint32_t lost = 0;

	if (!took_ns)
		fail("measuring", ENOMEM);
	memcpy(ethernet->destination, options->peer, 6);
	memcpy(ethernet->source, end->device.mac, 6);
	ethernet->type = wire16(ETHERTYPE_EXPERIMENTAL);
	for (uint32_t i = 0; i < WARM_UP + options->count;) {
		uint64_t took = ping(end, address, (uint32_t)sizeof(*ethernet) + options->size);

		if (took && i >= WARM_UP)
			took_ns[i - WARM_UP] = took;
		if (took)
			i++;
		else if (++lost > MAX_LOST)
			fail("no answer: is ping-pong --serve running on the peer, and is MAC its address",
			     ETIMEDOUT);
	}
	report(options, took_ns, options->count);
	free(took_ns);
	return 0;
}

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < least || value > most)
		usage();
	return (uint32_t)value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "serve", no_argument, NULL, 's' },
		{ "peer", required_argument, NULL, 'p' },
		{ "size", required_argument, NULL, 'b' },
		{ "count", required_argument, NULL, 'n' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	uint8_t *mac = options->peer;
	int name, used = 0;

	*options = (struct options){ .size = 64, .count = 100000, .cpu = -1 };
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 's')
			options->serve = true;
		else if (name == 'j')
			options->json = true;
		else if (name == 'b')
			options->size = number(optarg, 1, MAX_SIZE);
		else if (name == 'n')
			options->count = number(optarg, 1, MAX_COUNT);
		else if (name == 'c')
			options->cpu = (int)number(optarg, 0, CPU_SETSIZE - 1);
		else if (name == 'p' &&
			 sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
				&mac[4], &mac[5], &used) == 6 &&
			 !optarg[used])
			options->has_peer = true;
		else
			usage();
	}
	if (optind != argc - 1 || options->serve == options->has_peer)
		usage();
	options->device = argv[optind];
}

int main(int argc, char **argv)
{
	struct options options;
	static struct end end;
	cpu_set_t cpus;

	parse_options(argc, argv, &options);
	if (options.cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(options.cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus))
			fail("pinning to the CPU", errno);
	}
	open_end(&end, options.device);
	if (options.serve)
		serve(&end);
	return measure(&end, &options);
}
