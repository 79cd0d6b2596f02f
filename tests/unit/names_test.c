/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses: what is read, how it is printed, and what is said about those that are none. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "names.h"
#include "test.h"

static void good(const char *text, const char *scheme, const char *printed)
{
	struct address address;
	char error[NAMES_ERROR_MAX], out[NAMES_TEXT_MAX];

	if (address_parse(text, &address, error) != 0) {
		fprintf(stderr, "%s: %s\n", text, error);
		exit(1);
	}
	CHECK(strcmp(address.scheme, scheme) == 0);
	address_print(&address.endpoint, out);
	if (strcmp(out, printed) != 0) {
		fprintf(stderr, "%s was read as %s\n", text, out);
		exit(1);
	}
}

/* `says`: a part of the message. */
static void bad(const char *text, int code, const char *says)
{
	struct address address;
	char error[NAMES_ERROR_MAX];
	int rc = address_parse(text, &address, error);

	if (rc != code || !strstr(error, says) || strchr(error, '\n')) {
		fprintf(stderr, "\"%s\" gave %d, \"%s\"\n", text ? text : "NULL", rc, error);
		exit(1);
	}
}

static void test_good(void)
{
	good("homa://10.0.0.2:4000", "homa", "10.0.0.2:4000");
	good("homa://0.0.0.0:1", "homa", "0.0.0.0:1");
	good("homa://[::]:65535", "homa", "[::]:65535");
	good("homa://[fd00::2]:4000", "homa", "[fd00::2]:4000");
	good("homa://[FD00:0:0::2]:04000", "homa", "[fd00::2]:4000");
	good("dctcp://[::ffff:10.0.0.3]:7", "dctcp", "10.0.0.3:7");
	if (gethostbyname("localhost")) /* not where even /etc/hosts is missing */
		good("homa://localhost:7", "homa", "127.0.0.1:7");
	good("homa://[fe80::1%lo]:7", "homa", "[fe80::1%lo]:7");
}

static void test_bad(void)
{
	char text[2000];

	bad(NULL, -EINVAL, "no address");
	bad("", -EINVAL, "no scheme");
	bad("10.0.0.2:4000", -EINVAL, "no scheme");
	bad("homa:/10.0.0.2:4000", -EINVAL, "no scheme");
	bad("://10.0.0.2:4000", -EINVAL, "scheme is empty");
	bad("averyveryverylongscheme://10.0.0.2:4000", -EINVAL, "too long");
	bad("homa://", -EINVAL, "no port");
	bad("homa://:4000", -EINVAL, "no host");
	bad("homa://10.0.0.2", -EINVAL, "no port");
	bad("homa://10.0.0.2:", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:0", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:65536", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:-1", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:+1", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2: 1", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:99999999999999999999", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:4000/", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2:http", -EINVAL, "1 to 65535");
	bad("homa://10.0.0.2.3:4000", -EINVAL, "neither");
	bad("homa://10.0.0:4000", -EINVAL, "neither");
	bad("homa://10.0.0.256:4000", -EINVAL, "neither");
	bad("homa://1:4000", -EINVAL, "neither");
	bad("homa://fd00::2:4000", -EINVAL, "brackets");
	bad("homa://[fd00::2:4000", -EINVAL, "no ']'");
	bad("homa://[fd00::2]4000", -EINVAL, "no port after");
	bad("homa://[fd00::2]", -EINVAL, "no port after");
	bad("homa://[]:4000", -EINVAL, "no host");
	bad("homa://[fd00:::2]:4000", -EINVAL, "not an IPv6");
	bad("homa://[10.0.0.2]:4000", -EINVAL, "not an IPv6");
	bad("homa://[fd00::2%lo]:4000", -EINVAL, "has a scope");
	bad("homa://[fe80::2]:4000", -EINVAL, "needs its interface");
	bad("homa://[fe80::2%nosuchdevice0]:4000", -EINVAL, "no interface");
	bad("homa://[fe80::2%]:4000", -EINVAL, "no interface");
	bad("homa://a b:4000", -EINVAL, "characters");
	bad("homa://user@host:4000", -EINVAL, "characters");
	bad("homa://-host:4000", -EINVAL, "characters");
	bad("homa://h\xc3\xb6st:4000", -EINVAL, "characters");
	bad("homa://no-such-host.invalid:4000", -EHOSTUNREACH, "not found");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	bad(text, -EINVAL, "no scheme");
	memcpy(text, "homa://", 7);
	bad(text, -EINVAL, "no port");
	text[1500] = ':';
	bad(text, -EINVAL, "too long");
}

int main(void)
{
	test_good();
	test_bad();
	return 0;
}
