/* SPDX-License-Identifier: BSD-2-Clause */
/* --peers: one channel for each address. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_channels.h"

#define ADDRESS_MAX 320 /* a scheme, a host name, a port */

/* The address that is `n` above the one in "scheme://A.B.C.D:PORT". False if it is not like that. */
static bool count_up(const char *first, uint32_t n, char text[ADDRESS_MAX])
{
	const char *host = strstr(first, "://"), *port = strrchr(first, ':');
	char dotted[INET_ADDRSTRLEN];
	struct in_addr address;
	int length;

	if (!host || port <= host + 2)
		return false;
	host += 3;
	length = (int)(port - host);
	if (length >= (int)sizeof(dotted))
		return false;
	snprintf(dotted, sizeof(dotted), "%.*s", length, host);
	if (inet_pton(AF_INET, dotted, &address) != 1)
		return false;
	address.s_addr = htonl(ntohl(address.s_addr) + n);
	inet_ntop(AF_INET, &address, dotted, sizeof(dotted));
	snprintf(text, ADDRESS_MAX, "%.*s%s%s", (int)(host - first), first, dotted, port);
	return true;
}

int load_channels_open(struct load_channels *channels, const struct load_options *options,
		       struct tern_endpoint *endpoint)
{
	struct tern_channel_options channel_options =
		TERN_OPTIONS(struct tern_channel_options, .max_outstanding = LOAD_OUTSTANDING_MAX);
	char text[ADDRESS_MAX];
	int err;

	channels->all = calloc(options->peers, sizeof(*channels->all));
	if (!channels->all) {
		fprintf(stderr, "tern-load: out of memory\n");
		return -ENOMEM;
	}
	for (; channels->count < options->peers; channels->count++) {
		const char *address = options->address;

		if (options->peers > 1) {
			if (!count_up(address, channels->count, text)) {
				fprintf(stderr, "tern-load: %s: --peers counts up an IPv4 address\n",
					address);
				return -EINVAL;
			}
			address = text;
		}
		err = tern_channel_create(endpoint, address, &channel_options,
					  &channels->all[channels->count]);
		if (err) {
			fprintf(stderr, "tern-load: cannot reach %s: %s\n", address, strerror(-err));
			return err;
		}
	}
	return 0;
}

void load_channels_free(struct load_channels *channels)
{
	free(channels->all);
}
