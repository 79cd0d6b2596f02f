// SPDX-License-Identifier: BSD-2-Clause
/* Device facts by ioctl: unlike /sys, always those of the caller's network namespace. */
#include "xsk_device.h"

#include <errno.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "tern.h"

static uint32_t query_queues(int fd, struct ifreq *request)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	request->ifr_data = (void *)&channels;
	if (ioctl(fd, SIOCETHTOOL, request))
		return 0;
	return channels.combined_count + channels.rx_count;
}

int xsk_device_query(struct xsk_device *device, int ifindex, struct link_log *log)
{
	struct ifreq request = {.ifr_ifindex = ifindex};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	snprintf(log->device, sizeof(log->device), "interface %d", ifindex);
	if (fd < 0)
		return -errno;
	device->ifindex = ifindex;
	if (ioctl(fd, SIOCGIFNAME, &request)) {
		error = -ENODEV;
		link_logf(log, TERN_LOG_ERROR, "there is no network device with this index");
		goto close_fd;
	}
	snprintf(log->device, sizeof(log->device), "%s", request.ifr_name);
	if (ioctl(fd, SIOCGIFHWADDR, &request)) {
		error = -errno;
		goto close_fd;
	}
	if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		error = -EOPNOTSUPP;
		link_logf(log, TERN_LOG_ERROR, "not an Ethernet device (hardware type %d)",
			  request.ifr_hwaddr.sa_family);
		goto close_fd;
	}
	memcpy(device->mac, request.ifr_hwaddr.sa_data, sizeof(device->mac));
	if (ioctl(fd, SIOCGIFMTU, &request)) {
		error = -errno;
		goto close_fd;
	}
	device->mtu = (uint32_t)request.ifr_mtu;
	device->queues = query_queues(fd, &request);
close_fd:
	close(fd);
	return error;
}
