/* SPDX-License-Identifier: BSD-2-Clause */
/* The program of the gRPC rival: grpc sync|async|callback. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "grpc.h"

#define USAGE "grpc sync|async|callback"

int main(int argc, char **argv)
{
	static const char *const kinds[] = { "sync", "async", "callback" };
	static peer_measure measure;
	peer_options options;

	peer_options_parse(argc, argv, USAGE, &options);
	for (int i = 0; i < 3; i++) {
		if (strcmp(options.system, kinds[i]))
			continue;
		if (!options.host) {
			grpc_serve((grpc_kind)i, options);
			return EXIT_SUCCESS;
		}
		grpc_load((grpc_kind)i, options, &measure);
		return peer_measure_print(&measure, &options) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	fprintf(stderr, "%s: not one of: %s\n", options.system, USAGE);
	return 2;
}
