/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The layout of what the BPF programs and the engine share in maps. Both sides compile
 * this file; nothing else describes a map's value.
 *
 *	map       type           key        value
 *	sockets   XSKMAP         rx queue   AF_XDP socket
 *	counters  PERCPU_ARRAY   0          struct datapath_counters
 *
 * Values only grow at their end, and each has room kept, so that a program and an
 * engine that differ in what they count still agree on where.
 */
#ifndef TERN_MAP_ABI_H
#define TERN_MAP_ABI_H

#include <linux/types.h>

/*
 * What becomes of a frame, with the name under which it is counted. Every frame counts
 * once. The order of the last five is that of enum homa_verdict.
 */
#define DATAPATH_COUNTERS(X)                                                                             \
	X(PASS, xdp_pass)                        /* not ours: left to the kernel */                      \
	X(STEER, xdp_steer)                      /* valid: given to the queue's AF_XDP socket */         \
	X(DROP_NO_SOCKET, xdp_drop_no_socket)    /* valid, but the queue has no socket */                \
	X(DROP_NOT_FOR_US, xdp_drop_not_for_us)  /* Ethernet destination is not the device's address */  \
	X(DROP_VLAN, xdp_drop_vlan)              /* behind a VLAN tag */                                 \
	X(DROP_IP_HEADER, xdp_drop_ip_header)    /* IP version or header length is wrong */              \
	X(DROP_IP_OPTIONS, xdp_drop_ip_options)  /* IPv4 options, IPv6 extension headers */              \
	X(DROP_FRAGMENT, xdp_drop_fragment)      /* any fragment of a packet */                          \
	X(DROP_IP_LENGTH, xdp_drop_ip_length)    /* IP length above what the frame holds, or too small */ \
	X(DROP_IP_CHECKSUM, xdp_drop_ip_checksum)                                                        \
	X(DROP_ADDRESS, xdp_drop_address)        /* source or destination is no unicast address */       \
	X(DROP_SHORT, xdp_drop_short)            /* shorter than the header of its type */               \
	X(DROP_BAD_TYPE, xdp_drop_bad_type)                                                              \
	X(DROP_BAD_PORT, xdp_drop_bad_port)                                                              \
	X(DROP_BAD_LENGTH, xdp_drop_bad_length)  /* message length */                                    \
	X(DROP_BAD_OFFSET, xdp_drop_bad_offset)  /* bytes outside the message */

enum datapath_counter {
#define X(id, name) DATAPATH_##id,
	DATAPATH_COUNTERS(X)
#undef X
	DATAPATH_COUNTERS_USED
};

#define DATAPATH_COUNTERS_MAX 64 /* a power of two */

struct datapath_counters {
	__u64 value[DATAPATH_COUNTERS_MAX];
};

_Static_assert(sizeof(struct datapath_counters) == 512, "datapath_counters");
_Static_assert(DATAPATH_COUNTERS_USED <= DATAPATH_COUNTERS_MAX, "counters fit");

#endif
