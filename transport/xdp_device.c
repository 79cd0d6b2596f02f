// SPDX-License-Identifier: BSD-2-Clause
/* Generic netlink, as little of it as it takes to ask "netdev" for a device's XDP features. */
#include "xdp_device.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>

#include "netlink.h"

#define ANSWER_BYTES 8192

/* From <linux/netdev.h>, which kernel headers before 6.3 do not have. */
#define FAMILY_NAME      "netdev"
#define GROUP_NAME       "mgmt"
#define CMD_DEV_GET      1
#define CMD_DEV_CHANGED  4
#define ATTR_IFINDEX     1
#define ATTR_FEATURES    3
#define ATTR_MAX         3
#define FEATURE_NDO_XMIT (1u << 2)

struct answer {
	ssize_t length; /* 0: none yet; or a negative errno */
	union {
		struct nlmsghdr header;
		uint8_t bytes[ANSWER_BYTES];
	};
};

static void receive(int fd, int flags, struct answer *answer)
{
	struct sockaddr_nl from = { 0 };
	socklen_t size = sizeof(from);

	answer->length = recvfrom(fd, answer->bytes, sizeof(answer->bytes), flags, (void *)&from, &size);
	if (answer->length < 0) {
		answer->length = -errno;
	} else if (from.nl_pid || (size_t)answer->length < sizeof(answer->header) ||
		   answer->header.nlmsg_len < sizeof(answer->header) ||
		   answer->header.nlmsg_len > (size_t)answer->length) {
		answer->length = -EPROTO;
	}
}

/* Sends a request with one attribute and receives the answer to it. 0 or a negative errno. */
static int run(int fd, uint16_t family, uint8_t command, uint16_t type, const void *data, size_t size,
	       struct answer *answer)
{
	const struct genlmsghdr generic = { .cmd = command, .version = 1 };
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct netlink_request request;
	const struct nlmsgerr *error;

	netlink_begin(&request, family, 0, &generic, sizeof(generic));
	netlink_attribute(&request, type, data, size);
	if (sendto(fd, &request, request.header.nlmsg_len, 0, (const void *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	receive(fd, 0, answer);
	if (answer->length < 0)
		return (int)answer->length;
	if (answer->header.nlmsg_type != NLMSG_ERROR)
		return 0;
	error = netlink_fixed(&answer->header, sizeof(*error));
	return error && error->error ? error->error : -EPROTO;
}

/* The multicast group that is told of changes; 0 if there is none. */
static uint32_t find_group(const struct rtattr *groups)
{
	const struct rtattr *group = RTA_DATA(groups), *table[CTRL_ATTR_MCAST_GRP_MAX + 1];
	unsigned left = RTA_PAYLOAD(groups);
	uint32_t id;

	for (; RTA_OK(group, left); group = RTA_NEXT(group, left)) {
		netlink_parse_nested(group, table, CTRL_ATTR_MCAST_GRP_MAX);
		if (table[CTRL_ATTR_MCAST_GRP_NAME] &&
		    RTA_PAYLOAD(table[CTRL_ATTR_MCAST_GRP_NAME]) == sizeof(GROUP_NAME) &&
		    !memcmp(RTA_DATA(table[CTRL_ATTR_MCAST_GRP_NAME]), GROUP_NAME, sizeof(GROUP_NAME)) &&
		    netlink_u32(table[CTRL_ATTR_MCAST_GRP_ID], &id))
			return id;
	}
	return 0;
}

/* Finds the family and subscribes to its news. */
static int find_family(struct xdp_device *device, struct answer *answer)
{
	const struct rtattr *table[CTRL_ATTR_MCAST_GROUPS + 1], *id;
	uint32_t group;
	int error = run(device->fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, FAMILY_NAME,
			sizeof(FAMILY_NAME), answer);

	if (error)
		return error;
	netlink_parse(&answer->header, sizeof(struct genlmsghdr), table, CTRL_ATTR_MCAST_GROUPS);
	id = table[CTRL_ATTR_FAMILY_ID];
	if (!id || RTA_PAYLOAD(id) < sizeof(device->family) || !table[CTRL_ATTR_MCAST_GROUPS])
		return -EPROTO;
	memcpy(&device->family, RTA_DATA(id), sizeof(device->family));
	group = find_group(table[CTRL_ATTR_MCAST_GROUPS]);
	if (!group)
		return -EPROTO;
	if (setsockopt(device->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

/* Takes in what the kernel says of a device, if it is ours. */
static void take(struct xdp_device *device, const struct nlmsghdr *message)
{
	const struct genlmsghdr *generic = netlink_fixed(message, sizeof(*generic));
	const struct rtattr *table[ATTR_MAX + 1];
	uint64_t features;
	uint32_t ifindex;

	if (message->nlmsg_type != device->family || !generic ||
	    (generic->cmd != CMD_DEV_GET && generic->cmd != CMD_DEV_CHANGED))
		return;
	netlink_parse(message, sizeof(*generic), table, ATTR_MAX);
	if (!netlink_u32(table[ATTR_IFINDEX], &ifindex) || ifindex != (uint32_t)device->ifindex ||
	    !table[ATTR_FEATURES] || RTA_PAYLOAD(table[ATTR_FEATURES]) != sizeof(features))
		return;
	memcpy(&features, RTA_DATA(table[ATTR_FEATURES]), sizeof(features));
	device->takes_frames = features & FEATURE_NDO_XMIT;
}

/* What came before the answer is news, of which the answer is the last. */
static int ask(struct xdp_device *device, struct answer *answer)
{
	uint32_t ifindex = (uint32_t)device->ifindex;
	int error =
		run(device->fd, device->family, CMD_DEV_GET, ATTR_IFINDEX, &ifindex, sizeof(ifindex), answer);

	while (!error && answer->length > 0) {
		take(device, &answer->header);
		receive(device->fd, MSG_DONTWAIT, answer);
	}
	return error;
}

static bool is_veth(int ifindex)
{
	struct ethtool_drvinfo information = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_ifindex = ifindex };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is = false;

	if (fd < 0)
		return false;
	if (!ioctl(fd, SIOCGIFNAME, &request)) {
		request.ifr_data = (void *)&information;
		is = !ioctl(fd, SIOCETHTOOL, &request) && !strcmp(information.driver, "veth");
	}
	close(fd);
	return is;
}

int xdp_device_open(struct xdp_device *device, int ifindex)
{
	const struct timeval patience = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
	struct answer answer;

	*device = (struct xdp_device){ .ifindex = ifindex };
	device->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (device->fd < 0)
		return -errno;
	setsockopt(device->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (find_family(device, &answer) || ask(device, &answer)) {
		xdp_device_close(device);
		device->takes_frames = !is_veth(ifindex);
	}
	return 0;
}

void xdp_device_close(struct xdp_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

bool xdp_device_takes_frames(struct xdp_device *device)
{
	struct answer answer;

	if (device->fd < 0)
		return device->takes_frames;
	for (;;) {
		receive(device->fd, MSG_DONTWAIT, &answer);
		if (answer.length > 0)
			take(device, &answer.header);
		else if (answer.length == -ENOBUFS) /* some news was lost */
			ask(device, &answer);
		else
			return device->takes_frames;
	}
}
