/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What precedes the protobuf body in every message of the RPC runtime, over every
 * transport. Big-endian. A reader of version 1 refuses other versions with
 * UNIMPLEMENTED; flags that it does not know are ignored.
 *
 *	 0        1        2        3        4                 6
 *	+--------+--------+--------+--------+-----------------+-----------------+
 *	| version| kind   | status | flags  | metadata_length | reserved, 0     |
 *	+--------+--------+--------+--------+-----------------+-----------------+
 *	| method: hash of "/package.Service/Method"                             |
 *	+-----------------------------------+-----------------------------------+
 *	| timeout_us: time left, 0 = none   | incarnation of the server, 0 = ?  |
 *	+-----------------------------------+-----------------------------------+
 *	| metadata_length bytes of metadata (none in version 1's first users)   |
 *	+-----------------------------------------------------------------------+
 *	| body: the protobuf message; for a status other than OK, its text      |
 *	+-----------------------------------------------------------------------+
 */
#ifndef TERN_RPC_WIRE_H
#define TERN_RPC_WIRE_H

#include <assert.h>
#include <linux/types.h>

#define RPC_VERSION 1

enum rpc_kind {
	RPC_REQUEST = 1,
	RPC_RESPONSE = 2,
	/* 3..7 are kept for streams: open, data, half-close, reset, credit */
};

struct rpc_header {
	__u8 version;
	__u8 kind;
	__u8 status; /* enum tern_status; 0 in requests */
	__u8 flags;  /* none defined yet */
	__be16 metadata_length;
	__be16 reserved;
	__be64 method;
	__be32 timeout_us; /* saturates at 0xffffffff, which also says "at least that" */
	__be32 incarnation;
} __attribute__((packed));

static_assert(sizeof(struct rpc_header) == 24, "rpc header");

#endif
