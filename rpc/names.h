/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses as programs write them: scheme://host:port, where host is an IPv4 address,
 * an IPv6 address in brackets (a link-local one with its scope: [fe80::1%eth0]), or a
 * name for the system's resolver.
 */
#ifndef TERN_NAMES_H
#define TERN_NAMES_H

#include <stddef.h>

#include "net_ip.h"

#define NAMES_SCHEME_MAX 16  /* bytes, with the NUL */
#define NAMES_HOST_MAX   256 /* DNS allows 253 */
#define NAMES_TEXT_MAX   80  /* "[ipv6%interface]:port" with the NUL */
#define NAMES_ERROR_MAX  400

struct address {
	char scheme[NAMES_SCHEME_MAX];
	struct net_endpoint endpoint;
};

/*
 * Reads `text`, resolving a host name (which may block). 0; -EINVAL (not an address),
 * -EHOSTUNREACH (name not found), -ENOMEM, and then one line in `error` that says what
 * is wrong with which text, and what is right.
 */
int address_parse(const char *text, struct address *address, char error[NAMES_ERROR_MAX]);

/* "10.0.0.3:32771", "[fd00::3]:32771", "[fe80::3%eth0]:32771". */
void address_print(const struct net_endpoint *endpoint, char text[NAMES_TEXT_MAX]);

#endif
