/* SPDX-License-Identifier: BSD-2-Clause */
/* Homa, as a transport for the runtime: the engine over XDP, AF_XDP and local sockets. */
#ifndef TERN_HOMA_TRANSPORT_H
#define TERN_HOMA_TRANSPORT_H

#include "transport.h"

extern const struct transport_ops homa_transport;

#endif
