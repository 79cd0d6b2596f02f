/* SPDX-License-Identifier: BSD-2-Clause */
/* gRPC as a rival: its three kinds of server and of client, for benchmarks/bench.proto. */
#ifndef PEER_GRPC_H
#define PEER_GRPC_H

#include "peer.h"

enum class grpc_kind { sync, async, callback };

/* Serves until killed. */
void grpc_serve(grpc_kind kind, const peer_options &options);
/* Makes load until the window's end. */
void grpc_load(grpc_kind kind, const peer_options &options, peer_measure *measure);

#endif
