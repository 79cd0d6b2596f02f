/* SPDX-License-Identifier: BSD-2-Clause */
/* Rivals that are sockets: the kernel's UDP and TCP, and an RPC over libevent. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "peer.h"

/* Each serves until killed, or makes load until the window's end. */
void udp_serve(const struct peer_options *options);
void udp_load(const struct peer_options *options, struct peer_measure *measure);
void tcp_serve(const struct peer_options *options);
void tcp_load(const struct peer_options *options, struct peer_measure *measure);
void libevent_serve(const struct peer_options *options);
void libevent_load(const struct peer_options *options, struct peer_measure *measure);

/* A socket of `type`, bound to the port: TCP listens on it. Ends the program if that fails. */
int socket_bound(const struct peer_options *options, int type);
/* One connected to the server. */
int socket_connected(const struct peer_options *options, int type);
/* What every TCP connection here has: no Nagle, and cubic, whatever the machine's default. */
void socket_tune(int fd);

#endif
