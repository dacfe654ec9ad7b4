/* SPDX-License-Identifier: Apache-2.0
 * listener_fd.h - struct listener over a listening descriptor: unix, tcp, vsock, or an adopted one.
 * Runs on: the loop's thread. Theory of operation: listener_fd.c.
 */
#ifndef SHARED_PORT_LINUX_LISTENER_FD_H
#define SHARED_PORT_LINUX_LISTENER_FD_H

#include "port/listener.h"

#include <sys/socket.h>

/* The two calls whose failures matter, so that a test can make them fail. */
struct listener_sys {
    /* accept4() with SOCK_NONBLOCK and SOCK_CLOEXEC; -1 and errno. */
    int (*accept)(int fd, struct sockaddr *sa, socklen_t *len);
    /* A descriptor that is good for nothing but being closed; -1 when there is none. */
    int (*open_reserve)(void);
};

extern const struct listener_sys listener_sys_default;

/* As loop_ops.listen; @sys must outlive the listener. */
enum status listener_fd_open(struct loop *loop, struct listener **out, const struct addr *at,
                             const struct listener_opts *opts,
                             const struct listener_handler *handler, void *ctx,
                             const struct listener_sys *sys, struct errmsg *e);

#endif
