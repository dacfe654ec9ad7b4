/* SPDX-License-Identifier: Apache-2.0
 * listen_socket.h - makes, adopts and removes listening sockets; knows nothing of accepting.
 *
 * Any thread, but for the umask: making a unix socket sets the process' umask for the length of
 * one bind(), so do it where no other thread creates files.
 */
#ifndef SHARED_PORT_LINUX_LISTEN_SOCKET_H
#define SHARED_PORT_LINUX_LISTEN_SOCKET_H

#include "base/status.h"
#include "port/claim.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

struct addr;

struct listen_socket {
    int fd;                     /* owned, non-blocking, close-on-exec; -1 = closed */
    struct sockaddr_storage at; /* where it is bound, to make it anew */
    socklen_t at_len;
    int type;      /* SOCK_STREAM or SOCK_SEQPACKET */
    unsigned mode; /* permission bits of a unix socket */
    unsigned backlog;
    bool owns_name; /* the path is ours to remove */
    dev_t dev;      /* ... as long as it still is this file */
    ino_t ino;
    struct claim_owner taken_by; /* who has the name, after ST_EXISTS */
};

/* Listens at @at (unix, unixpacket, tcp, vsock). A unix socket that nobody answers at is a leftover
 * and is replaced; any other file is not. @mode and @backlog: 0 = 0600 and 1024. ST_EXISTS: taken,
 * and @e and s->taken_by say by whom, where that can be found out; ST_DENIED, ST_INVAL, ST_NOTFOUND
 * (no such folder), ST_UNSUPPORTED, ST_NOFILES, ST_IO. */
enum status listen_socket_open(struct listen_socket *s, const struct addr *at, unsigned mode,
                               unsigned backlog, struct errmsg *e);
/* Takes over a descriptor that already listens; its name stays when it is closed. ST_INVAL when it
 * does not listen; then it still is the caller's. */
enum status listen_socket_adopt(struct listen_socket *s, int fd, unsigned mode, unsigned backlog,
                                struct errmsg *e);
/* Closes the descriptor and listens at the same place again. Statuses of listen_socket_open();
 * after a failure it is closed and may be tried again. */
enum status listen_socket_reopen(struct listen_socket *s, struct errmsg *e);
/* Closes it and removes the name that it made, if that still is its own. */
void listen_socket_close(struct listen_socket *s);
/* True when the path still leads to this socket (true for what has no path). */
bool listen_socket_has_name(const struct listen_socket *s);

static inline int listen_socket_family(const struct listen_socket *s)
{
    return s->at.ss_family;
}

#endif
