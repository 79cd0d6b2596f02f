/* SPDX-License-Identifier: BSD-2-Clause */
/* The program of the socket rivals: sockets udp|tcp|libevent, see --help's line. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

#define USAGE "sockets udp|tcp|libevent"

static const struct system {
	const char *name;
	void (*serve)(const struct peer_options *options);
	void (*load)(const struct peer_options *options, struct peer_measure *measure);
} systems[] = {
	{ "udp", udp_serve, udp_load },
	{ "tcp", tcp_serve, tcp_load },
	{ "libevent", libevent_serve, libevent_load },
};

int socket_bound(const struct peer_options *options, int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(options->port) };
	int fd = socket(AF_INET, type, 0), one = 1;

	if (fd < 0)
		peer_fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_STREAM)
		socket_tune(fd);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		peer_fail("binding to the port");
	if (type == SOCK_STREAM && listen(fd, (int)PEER_CONNECTIONS_MAX))
		peer_fail("listen");
	return fd;
}

int socket_connected(const struct peer_options *options, int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(options->port) };
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		peer_fail("socket");
	if (type == SOCK_STREAM)
		socket_tune(fd);
	if (inet_pton(AF_INET, options->host, &address.sin_addr) != 1) {
		errno = EINVAL;
		peer_fail(options->host);
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		peer_fail("connecting");
	return fd;
}

void socket_tune(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic")))
		peer_fail("TCP_NODELAY and cubic");
}

int main(int argc, char **argv)
{
	static struct peer_measure measure;
	struct peer_options options;

	peer_options_parse(argc, argv, USAGE, &options);
	for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
		if (strcmp(options.system, systems[i].name))
			continue;
		if (!options.host) {
			systems[i].serve(&options);
			return EXIT_SUCCESS;
		}
		systems[i].load(&options, &measure);
		return peer_measure_print(&measure, &options) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	fprintf(stderr, "%s: not one of: %s\n", options.system, USAGE);
	return 2;
}
