/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the engine for Homa: what holds the protocol core (homa.h), the links,
 * and what the kernel knows of the network together.
 *
 *	homa_transport.c  the runtime's side: struct transport_ops
 *	engine_open.c     making and unmaking one
 *	engine.c          the loop: receive, timers, events, send
 *	engine_monitor.c  changes that the kernel tells of, ICMP errors
 *	engine_counters.c what it counted
 *	devices.c         which network devices are open
 *	paths.c           the way to each peer: route, device, MAC address
 *	parameters.c      options by name
 *
 * Link-local addresses carry their scope (net_ip.h) everywhere above the links.
 */
#ifndef TERN_ENGINE_H
#define TERN_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "buffers.h"
#include "datapath.h"
#include "homa.h"
#include "icmp.h"
#include "link.h"
#include "neighbour.h"
#include "netlink.h"
#include "routes.h"
#include "tern.h"
#include "transport.h"

#define ENGINE_MAX_DEVICES     32
#define ENGINE_MAX_CANDIDATES  256        /* devices that serving all addresses looks at */
#define ENGINE_BURST           64         /* packets taken from a link at a time */
#define ENGINE_LOOKS           4          /* at silent devices in one round: of time the rest of it takes most */
#define ENGINE_BUSY_POLLS      64         /* polls with packets, and no wait, until the fd is given up */
#define ENGINE_REPORTS         1024       /* to the core, until it can be told; a power of two */
#define ENGINE_IDLE_CHECK_NS   20000ull   /* between two looks at the kernel's news, when idle */
#define ENGINE_BUSY_CHECK_NS   1000000ull /* the same under load */
#define ENGINE_LOCAL_CHECK_NS  50000ull   /* between two looks at a silent local link */
#define ENGINE_LOCAL_ACTIVE_NS 1000000ull /* it is silent after that long without a packet */
#define ENGINE_REROUTE_NS      100000000ull /* between two times that all routes are asked for anew */
#define ENGINE_LATE_NS         2000000ull /* by which a poll may come after a timer was due */
#define ENGINE_LOG_BYTES       512        /* of a line; longer ones are cut */
#define ENGINE_RANDOM_WORDS    32         /* 64-bit words fetched from the kernel at a time */

#define PATH_QUEUE_PACKETS     16         /* that wait for one peer's MAC address */
#define PATH_QUEUE_TOTAL       1024       /* and for all peers' */
#define PATH_RETRY_NS          100000000ull /* how long it is remembered that there is no route */
#define PATH_MIN_MTU_IPV4      576
#define PATH_MIN_MTU_IPV6      1280

struct device {
	struct link *link;
	struct interface interface;
	bool moved; /* has another MAC address, or a greater MTU, than the link was opened with */
};

/* A packet that waits for a MAC address. */
struct path_packet {
	STAILQ_ENTRY(path_packet) next;
	uint8_t priority;
	uint8_t header_length;
	uint32_t payload_length;
	uint8_t bytes[]; /* header, payload */
};

/* The way to one remote address, from one of ours. */
struct path {
	TAILQ_ENTRY(path) all;
	LIST_ENTRY(path) same_neighbour;
	uint32_t generation;       /* engine's, when packets can be sent as things stand; else 0 */
	uint32_t route_generation; /* the same for the route alone */
	struct link *link;
	struct link_destination destination; /* as on the wire: without scopes */
	struct net_ip remote;
	struct net_ip local;       /* our source; the any-address until a route was found */
	bool pinned;               /* local must not change */
	bool wanted;               /* a peer that this host calls */
	bool mtu_changed;          /* and the core has not been told */
	struct neighbour *neighbour; /* NULL where no MAC is needed or the rule for it is fixed */
	uint32_t route_mtu;        /* 0: no limit of the route's own */
	uint32_t hint_mtu;         /* the least that ICMP told; 0: nothing */
	uint32_t mtu;
	int error;                 /* why there is no route */
	uint64_t retry_ns;         /* when to ask for one again */
	unsigned queued;
	STAILQ_HEAD(, path_packet) queue;
};

struct transport_listener {
	LIST_ENTRY(transport_listener) next;
	struct net_endpoint local;
	void *cookie;
};

struct transport_peer {
	LIST_ENTRY(transport_peer) next;
	struct net_endpoint remote;
	struct path *path;
};

/*
 * What the core is to be told as soon as it can be called: that a packet could not be
 * delivered, as by an ICMP error, or that the answer to a RESEND takes time, as by BUSY.
 */
struct report {
	struct net_ip remote;
	struct net_ip local;
	bool busy;
	enum homa_icmp what; /* unless busy */
	uint32_t length;
	uint8_t header[sizeof(struct homa_common_header)]; /* of our packet; busy: of the answer */
};

struct engine_counters {
	uint64_t foreign_destination; /* packets for an address that is not ours, or that nobody serves */
	uint64_t foreign_protocol;
	uint64_t foreign_source;      /* local packets whose source is not this host */
	uint64_t shed;                /* DATA dropped because options.memory is used up */
	uint64_t queue_drops;         /* packets that would have had to wait for a MAC address */
	uint64_t unroutable;
	uint64_t reroutes;
};

struct engine {
	struct homa *homa;
	struct transport_callbacks callbacks;
	void *ctx;
	enum tern_xdp_mode xdp_mode;
	enum tern_datapath datapath_mode;
	unsigned datapath_parts;   /* enum tern_datapath_part */
	uint64_t datapath_memory;  /* bytes */
	uint16_t client_port;
	bool inside;               /* in poll: what is queued is sent at its end */
	bool in_request;           /* in homa_request: paths opened now are wanted */
	int arrival_ifindex;       /* of the packets being handled; 0: none are */
	int epoll_fd;
	bool watched;              /* epoll_fd tells of what arrives on the devices */
	unsigned busy_polls;       /* polls with packets since the caller last waited */
	int news_fd;               /* epoll over monitor_fd and the ICMP sockets */
	int monitor_fd;
	uint64_t now_ns;           /* engine_tick's */
	uint64_t polled_ns;        /* now_ns of the last poll */
	uint64_t absent_ns;        /* time that did not count */
	uint64_t news_check_ns;    /* when to look next */
	uint64_t local_check_ns;
	uint64_t local_active_ns;  /* until then local packets are expected */

	struct link *local;
	struct device *devices[ENGINE_MAX_DEVICES];
	unsigned device_count;
	LIST_HEAD(, transport_listener) listeners;
	unsigned specific_listeners; /* those that do not serve :: */
	LIST_HEAD(, transport_peer) peers;

	uint32_t generation;       /* of all routes; never 0 */
	bool routes_changed;
	bool mtus_changed;         /* some path has mtu_changed */
	uint64_t reroute_ns;       /* not before */
	TAILQ_HEAD(, path) paths;
	unsigned queued_packets;
	unsigned report_first;
	unsigned report_count;
	struct report reports[ENGINE_REPORTS];

	struct buffers *buffers;
	struct datapath *datapath; /* of the in-place tier; NULL until a device has it */
	struct icmp icmp;
	struct addresses addresses;
	struct neighbours neighbours;
	struct netlink netlink;
	uint8_t monitor_buffer[NETLINK_BUFFER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct link_packet burst[ENGINE_BURST];
	unsigned random_left;
	uint64_t random[ENGINE_RANDOM_WORDS];
	struct engine_counters counters;
};

/* ---- engine_open.c ---- */

/* 0 and *engine, or a negative errno, which is logged. Opens no device. */
int engine_create(const struct tern_endpoint_options *options, const struct transport_callbacks *callbacks,
		  void *ctx, struct engine **engine);
/* The listeners and peers must be gone. */
void engine_destroy(struct engine *engine);

/* ---- engine.c ---- */

/* One line to the runtime's log; `level` as enum tern_log_level. */
void engine_log(struct engine *engine, int level, const char *format, ...) TERN_PRINTF(3, 4);
/*
 * Sets now_ns to CLOCK_MONOTONIC, less the time during which nobody polled although a
 * timer was due: peers were not silent then, we were not listening.
 */
void engine_tick(struct engine *engine);
/* What the core asks of its embedder. */
extern const struct homa_ops engine_homa_ops;
/* Two of struct transport_ops (transport.h). */
int engine_poll(struct engine *engine);
uint64_t engine_timeout(struct engine *engine);
/* Sends what is queued in all links. */
void engine_flush(struct engine *engine);
/* Remembers that a packet cannot be delivered, until the core can be told. */
void engine_report(struct engine *engine, const struct net_ip *remote, enum homa_icmp what,
		   const void *header, uint32_t length);
/*
 * Has the core believe that the peer is busy with what `resend` asks for: while its MAC
 * address is searched for, its silence must not end the RPC.
 */
void engine_report_busy(struct engine *engine, const struct path *path,
			const struct homa_common_header *resend);
/* The listener that serves `ip`, `port`: of that very address first, then of all. NULL: none. */
struct transport_listener *engine_listener(struct engine *engine, const struct net_ip *ip, uint16_t port);

/* ---- engine_monitor.c ---- */

/* Opens the monitor socket and reads the addresses. 0 or a negative errno. */
int engine_monitor_open(struct engine *engine);
void engine_monitor_close(struct engine *engine);
/* Opens the sockets for ICMP, once there is a device; without the privilege there are none. */
void engine_icmp_open(struct engine *engine);
/* Reads what has arrived on monitor and ICMP sockets. How many messages. */
int engine_news(struct engine *engine);
/* Lets all paths find their route again, if something has changed, though not too often. */
void engine_reroute(struct engine *engine);

/* ---- engine_counters.c ---- */

/* As in struct transport_ops. A device's counters come once for each device. */
void engine_counters(struct engine *engine, void (*each)(void *ctx, const char *name, uint64_t value),
		     void *ctx);

/* ---- devices.c ---- */

/*
 * The open device `ifindex`, opened if need be. 0 and *device; -ENODEV, -EOPNOTSUPP (the
 * loopback device, one that is down or not Ethernet), -EMFILE (ENGINE_MAX_DEVICES), or an
 * error of inplace_link_open or xsk_link_open. Errors are logged with `level`.
 */
int device_open(struct engine *engine, int ifindex, int level, struct device **device);
/* The same, for every device that is up and has an address of the family (`ip`: 0.0.0.0, or :: for both). */
int devices_open_all(struct engine *engine, const struct net_ip *ip);
/* NULL when it is not open. */
struct device *device_find(struct engine *engine, int ifindex);
/* Closes devices that have failed, which is logged, and opens those anew whose MAC address has changed, or whose MTU has grown. */
void devices_check(struct engine *engine);
void devices_close(struct engine *engine);
/*
 * Whether the engine's fd tells of what arrives. That costs each packet's sender (on
 * veth) or interrupt about a microsecond, in vain if the caller spins. 0, 1 if something
 * is there already, or a negative errno. To be called anew each time before the fd is waited for.
 */
int devices_watch(struct engine *engine, bool on);
/* Takes in an RTM_NEWLINK or RTM_DELLINK. */
void devices_event(struct engine *engine, const struct nlmsghdr *message);

/* Tells the in-place tier, if there is one, that packets may be sent from `port`, or no longer. */
void devices_own_port(struct engine *engine, uint16_t port, bool own);

/* ---- paths.c ---- */

/*
 * Finds the way to `remote`; `local` as in homa_ops.path_open. 0 and *path, freed by
 * path_close; -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL, -EINVAL, -ENOMEM.
 */
int path_open(struct engine *engine, const struct net_ip *remote, const struct net_ip *local, bool wanted,
	      struct path **path);
void path_close(struct engine *engine, struct path *path);
/* Makes sure that the path's route is up to date. 0 or path_open's errors. */
int path_update(struct engine *engine, struct path *path);
/* Sends, queues until the MAC address is known, or reports that it cannot be sent. */
void path_send(struct engine *engine, struct path *path, const struct homa_packet_out *packet);
/* The link is about to be closed: no path uses it any more. */
void paths_leave(struct engine *engine, const struct link *link);
/* The MTU of the device behind `link` has changed. */
void paths_resize(struct engine *engine, const struct link *link);
/* ICMP says that packets to `remote` of more than `mtu` bytes do not pass. */
void paths_mtu_hint(struct engine *engine, const struct net_ip *remote, uint32_t mtu);
/* Tells the core of changed MTUs. Not from inside one of the homa_ops. */
void paths_tell_mtus(struct engine *engine);
/* neighbours' callback. */
void paths_neighbour_changed(void *ctx, struct neighbour *neighbour);

/* ---- parameters.c ---- */

/* options.memory, or its default. */
uint64_t parameters_memory(const struct tern_endpoint_options *options);
/*
 * Fills in *params from the options. 0, or -EINVAL with a line in `why` that names the
 * parameter and what would be valid.
 */
int parameters_apply(const struct tern_endpoint_options *options, struct homa_params *params, char *why,
		     size_t why_size);
/*
 * Changes those that are given, ended by a NULL name, and derives max_sched_prio unless it
 * is one of them. Returns as parameters_apply.
 */
int parameters_change(const struct tern_parameter *given, struct homa_params *params, char *why, size_t why_size);

#endif
