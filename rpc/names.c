/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as programs write them: see names.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "names.h"

#define ADDRESS_FORM "write scheme://host:port, as in homa://10.0.0.2:4000 or homa://[fd00::2]:4000"

/* The pieces of an address; `bracketed`: the host stood in []. */
struct pieces {
	char host[NAMES_HOST_MAX];
	const char *port;
	bool bracketed;
};

static int bad(char *error, const char *text, const char *what)
{
	snprintf(error, NAMES_ERROR_MAX, "address \"%.100s\": %s; %s", text, what, ADDRESS_FORM);
	return -EINVAL;
}

/* Copies [from, to); false when it is empty or does not fit. */
static bool copy_piece(char *piece, size_t size, const char *from, const char *to)
{
	size_t length = (size_t)(to - from);

	if (length == 0 || length >= size)
		return false;
	memcpy(piece, from, length);
	piece[length] = 0;
	return true;
}

/* Takes `rest`, what follows the scheme, to pieces. NULL or what is wrong. */
static const char *take_apart(const char *rest, struct pieces *pieces)
{
	const char *host = rest, *end;

	pieces->bracketed = *rest == '[';
	if (pieces->bracketed) {
		host++;
		end = strchr(host, ']');
		if (!end)
			return "no ']' after the IPv6 address";
		if (end[1] != ':')
			return "no port after the ']'";
		pieces->port = end + 2;
	} else {
		end = strchr(host, ':');
		if (!end)
			return "no port";
		if (strchr(end + 1, ':'))
			return "more than one ':' (an IPv6 address stands in brackets)";
		pieces->port = end + 1;
	}
	if (!copy_piece(pieces->host, sizeof(pieces->host), host, end))
		return end == host ? "no host" : "the host is too long (255 characters at most)";
	return NULL;
}

/* 1..65535, in decimal digits and nothing else. 0: not a port. */
static __u16 parse_port(const char *text)
{
	unsigned int port = 0;

	if (!*text || strlen(text) > 5)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		port = port * 10 + (unsigned int)(*text - '0');
	}
	return port <= 65535 ? (__u16)port : 0;
}

/* The characters of RFC 952 and 1123, and '_', which is seen in the wild. */
static bool is_host_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	return name[strspn(name, letters)] == 0 && name[0] != '-' && name[0] != '.';
}

static int resolve(const char *text, const char *name, struct net_ip *ip, char *error)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *found;
	int rc = getaddrinfo(name, NULL, &hints, &found);

	if (rc == EAI_MEMORY) {
		snprintf(error, NAMES_ERROR_MAX, "address \"%.100s\": no memory to resolve the name", text);
		return -ENOMEM;
	}
	if (rc != 0) {
		snprintf(error, NAMES_ERROR_MAX, "address \"%.100s\": the host name is not found: %s", text,
			 rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc));
		return -EHOSTUNREACH;
	}
	rc = -EHOSTUNREACH;
	snprintf(error, NAMES_ERROR_MAX, "address \"%.100s\": the host name has no IP address", text);
	for (const struct addrinfo *i = found; i && rc < 0; i = i->ai_next) {
		if (i->ai_family == AF_INET) {
			*ip = net_ip_from_v4(
				((const struct sockaddr_in *)(const void *)i->ai_addr)->sin_addr.s_addr);
			rc = 0;
		} else if (i->ai_family == AF_INET6) {
			memcpy(ip, &((const struct sockaddr_in6 *)(const void *)i->ai_addr)->sin6_addr,
			       sizeof(*ip));
			rc = 0;
		}
	}
	freeaddrinfo(found);
	return rc;
}

/* `host` is what stands in the brackets; cut off at its '%'. */
static int parse_v6(const char *text, char *host, struct net_ip *ip, char *error)
{
	char *scope = strchr(host, '%');
	unsigned int interface;

	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET6, host, ip) != 1)
		return bad(error, text, "what stands in the brackets is not an IPv6 address");
	if (!net_ip_is_link_local(ip))
		return scope ? bad(error, text, "only a link-local address (fe80::) has a scope") : 0;
	if (!scope)
		return bad(error, text, "a link-local address needs its interface, as in [fe80::1%eth0]");
	interface = if_nametoindex(scope);
	if (interface == 0)
		return bad(error, text, "there is no interface of that name");
	*ip = net_ip_scoped(ip, interface);
	return 0;
}

static int parse_host(const char *text, struct pieces *pieces, struct net_ip *ip, char *error)
{
	__be32 v4;

	if (pieces->bracketed)
		return parse_v6(text, pieces->host, ip, error);
	if (inet_pton(AF_INET, pieces->host, &v4) == 1) {
		*ip = net_ip_from_v4(v4);
		return 0;
	}
	/* The resolver would take 10.1 for 10.0.0.1: a typing error, mostly. */
	if (pieces->host[strspn(pieces->host, "0123456789.")] == 0)
		return bad(error, text, "the host is neither an IPv4 address nor a name");
	if (!is_host_name(pieces->host))
		return bad(error, text, "the host has characters that no host name has");
	return resolve(text, pieces->host, ip, error);
}

int address_parse(const char *text, struct address *address, char error[NAMES_ERROR_MAX])
{
	struct pieces pieces;
	const char *rest, *wrong;

	error[0] = 0;
	if (!text)
		return bad(error, "", "no address");
	rest = strstr(text, "://");
	if (!rest)
		return bad(error, text, "no scheme");
	if (!copy_piece(address->scheme, sizeof(address->scheme), text, rest))
		return bad(error, text, "the scheme is empty or too long");
	wrong = take_apart(rest + 3, &pieces);
	if (wrong)
		return bad(error, text, wrong);
	address->endpoint = (struct net_endpoint){ .port = parse_port(pieces.port) };
	if (address->endpoint.port == 0)
		return bad(error, text, "the port is not a number from 1 to 65535");
	return parse_host(text, &pieces, &address->endpoint.ip, error);
}

void address_print(const struct net_endpoint *endpoint, char text[NAMES_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "", interface[IF_NAMESIZE] = "";
	struct net_ip bare = net_ip_scoped(&endpoint->ip, 0);
	__u32 scope = net_ip_scope(&endpoint->ip);

	if (net_ip_is_v4(&bare)) {
		inet_ntop(AF_INET, &bare.w[3], ip, sizeof(ip));
		snprintf(text, NAMES_TEXT_MAX, "%s:%u", ip, endpoint->port);
		return;
	}
	inet_ntop(AF_INET6, &bare, ip, sizeof(ip));
	if (scope && !if_indextoname(scope, interface))
		snprintf(interface, sizeof(interface), "%u", scope);
	snprintf(text, NAMES_TEXT_MAX, "[%s%s%s]:%u", ip, scope ? "%" : "", interface, endpoint->port);
}
