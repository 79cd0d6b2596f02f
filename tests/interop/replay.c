/* SPDX-License-Identifier: BSD-2-Clause */
/* homa-replay: plays captures of Linux Homa against our core; see replay.h. */
#include "replay.h"

#include <getopt.h>
#include <string.h>

static void usage(FILE *to)
{
	fprintf(
	    to,
	    "usage: homa-replay [--side client|server] [--all-hosts] [-q] FILE.pcap ...\n"
	    "\n"
	    "Puts our Homa core in the place of each host of a capture and compares what it sends with\n"
	    "what the host sent, packet by packet: \"same\", \"free\" (not determined by the protocol; the\n"
	    "reason is given) or \"DIFF\". Timing, ids and the batching of grants and acks are free.\n"
	    "  --side       only RPCs in which the host is the client, or the server\n"
	    "  --all-hosts  also hosts that are not Linux Homa (they leave the checksum 0)\n"
	    "  -q           only differences and sums\n"
	    "Exit status: 0 all the same, 1 a difference, 2 a file that cannot be read.\n");
}

static bool has_side(const struct capture *capture, const struct host *host, enum sides sides)
{
	for (int i = 0; i < capture->rpc_count; i++)
		if ((sides & SIDE_CLIENT && net_ip_equal(&capture->rpcs[i].client, &host->ip)) ||
		    (sides & SIDE_SERVER && net_ip_equal(&capture->rpcs[i].server, &host->ip)))
			return true;
	return false;
}

static const char *roles(const struct capture *capture, const struct host *host)
{
	bool client = has_side(capture, host, SIDE_CLIENT), server = has_side(capture, host, SIDE_SERVER);

	return client && server ? "client and server" : client ? "client" : "server";
}

/* True if nothing differs. */
static bool replay_host(const struct capture *capture, const struct host *host, enum sides sides, bool quiet)
{
	struct report report = {.quiet = quiet};
	struct play play;

	if (!quiet)
		printf("%s: our core as %s (%s)\n", capture->path, ip_text(&host->ip), roles(capture, host));
	play_run(&play, capture, host);
	match_frames(&play, sides, &report);
	match_extras(&play, sides, &report);
	match_acks(&play, sides, &report);
	if (play.wrong_delivery) {
		printf("  DIFF %s\n", play.delivery);
		report.different++;
	}
	printf("%s: as %s (%s): %u same, %u free, %u different; %u of ours besides\n", capture->path,
	       ip_text(&host->ip), roles(capture, host), report.same, report.free, report.different,
	       report.extra);
	play_free(&play);
	return !report.different;
}

/* 0, 1, or 2, as the exit status. */
static int replay_file(const char *path, enum sides sides, bool all_hosts, bool quiet)
{
	struct capture capture;
	int status = 0;

	if (!capture_read(&capture, path)) {
		capture_free(&capture);
		return 2;
	}
	capture_index(&capture);
	capture_infer_loss(&capture);
	if (!capture.host_count)
		printf("%s: no Homa packets in it\n", path);
	for (int i = 0; i < capture.host_count; i++) {
		const struct host *host = &capture.hosts[i];

		if (!has_side(&capture, host, sides))
			continue;
		if (!host->is_linux && !all_hosts)
			printf("%s: %s is not played: all its packets have checksum 0, so it is not Linux "
			       "Homa\n",
			       path, ip_text(&host->ip));
		else if (!replay_host(&capture, host, sides, quiet))
			status = 1;
	}
	capture_free(&capture);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"side", required_argument, NULL, 's'},
	    {"all-hosts", no_argument, NULL, 'a'},
	    {"quiet", no_argument, NULL, 'q'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	enum sides sides = SIDE_BOTH;
	bool quiet = false, all_hosts = false;
	int option, status = 0;

	while ((option = getopt_long(argc, argv, "qh", longs, NULL)) != -1) {
		if (option == 's' && !strcmp(optarg, "client")) {
			sides = SIDE_CLIENT;
		} else if (option == 's' && !strcmp(optarg, "server")) {
			sides = SIDE_SERVER;
		} else if (option == 'a') {
			all_hosts = true;
		} else if (option == 'q') {
			quiet = true;
		} else {
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	for (; optind < argc; optind++) {
		int file = replay_file(argv[optind], sides, all_hosts, quiet);

		if (file > status)
			status = file;
	}
	return status;
}
