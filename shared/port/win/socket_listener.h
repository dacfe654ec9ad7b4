/* SPDX-License-Identifier: Apache-2.0
 * socket_listener.h - accepts on a Windows socket of any family: Hyper-V sockets and loopback TCP.
 * Implements listener.h. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_SOCKET_LISTENER_H
#define SHARED_PORT_WIN_SOCKET_LISTENER_H

#include "port/listener.h"
#include "port/win/socket_dial.h"

struct socket_listener_spec {
    struct socket_name at;
    struct peer peer; /* what is said of every client; the family knows no more */
};

/* Never shares the address with another program (SO_EXCLUSIVEADDRUSE, where the family has it). */
enum status socket_listener_open(struct loop *loop, struct listener **out,
                                 const struct socket_listener_spec *spec,
                                 const struct listener_opts *opts,
                                 const struct listener_handler *handler, void *ctx,
                                 struct errmsg *e);

#endif
