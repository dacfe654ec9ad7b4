/* SPDX-License-Identifier: Apache-2.0
 * socket_dial.h - connects a Windows socket of any family, bounded and cancellable. Hyper-V sockets
 * are dialled with it; tests drive it with loopback TCP. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_SOCKET_DIAL_H
#define SHARED_PORT_WIN_SOCKET_DIAL_H

#include "port/loop.h"

#include <winsock2.h>

/* A socket address of any family that we speak (AF_HYPERV's is 36 bytes). */
struct socket_name {
    struct sockaddr_storage sa;
    int len_bytes;
    int protocol; /* of socket() */
};

struct socket_target {
    struct socket_name to;
    struct socket_name from; /* what to bind to first: ConnectEx asks for a bound socket */
    /* Options that want to be set before connecting; may be NULL. */
    void (*prepare)(SOCKET s, uint64_t timeout_ms);
};

/* Parameters and promises of dial_start(). */
enum status socket_dial_start(struct loop *loop, struct dial **out,
                              const struct socket_target *target, uint64_t timeout_ms,
                              dial_done_fn *done, void *ctx, struct errmsg *e);

#endif
