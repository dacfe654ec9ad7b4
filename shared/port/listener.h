/* SPDX-License-Identifier: Apache-2.0
 * listener.h - accepts streams at an address and heals itself.
 *
 * A listener never gives up and never spins: out of descriptors it refuses the waiting client
 * through a reserve descriptor and backs off, a transient error is skipped, a dead listening
 * socket is opened again (accept_policy.h has the table). on_state() tells each change, so that
 * the owner can publish a condition. Runs on: its loop's thread.
 */
#ifndef SHARED_PORT_LISTENER_H
#define SHARED_PORT_LISTENER_H

#include "base/status.h"
#include "port/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct stream;

/* Who connected, as far as the transport can tell. */
struct peer {
    bool has_cid;  /* vsock and hybrid sockets; false = the address was missing or cut short */
    uint32_t cid;  /* 2 = the host */
    bool is_vsock; /* true: the transport is one where a CID decides who the peer is */
    bool has_pid;  /* local sockets and pipes */
    int64_t pid;
    int64_t uid; /* -1 where there is none */
};

struct listener_opts {
    unsigned backlog;   /* 0 = 1024 */
    int adopt_fd;       /* an already listening descriptor (socket activation), or -1 */
    unsigned unix_mode; /* permission bits of a unix socket, 0 = 0600 */
    const char *sddl; /* named pipe: security descriptor string, NULL = SYSTEM, admins, ourselves */
    unsigned pipe_instances; /* named pipe: instances always listening, 0 = 16 */
    bool byte_mode;        /* named pipe: no half-close needed (status); default is message mode */
    bool want_credentials; /* unix: fill in the peer's pid and uid, one system call a client */
    bool join; /* named pipe: the first instance is held by a listener_claim elsewhere */
};

struct listener_handler {
    /* @s is the callee's to close; @peer is borrowed for the call. */
    void (*on_accept)(void *ctx, struct stream *s, const struct peer *peer);
    /* ST_OK = accepting (again). ST_NOFILES = backing off. Anything else = the listening socket
     * died and is being opened again; @why says what happened. May be NULL. */
    void (*on_state)(void *ctx, enum status st, const struct errmsg *why);
};

struct listener_stats {
    uint64_t accepted;
    uint64_t aborted;            /* peers gone before accept */
    uint64_t limit_hits;         /* times the system had no descriptor or buffer for us */
    uint64_t refused_by_reserve; /* clients closed through the reserve descriptor */
    uint64_t reopened;           /* times the listening socket was made anew */
};

struct listener {
    const struct listener_ops *ops;
    const struct listener_handler *handler;
    void *ctx;
    struct listener_stats stats;
};

struct listener_ops {
    void (*pause)(struct listener *);
    void (*resume)(struct listener *);
    void (*close)(struct listener *);
    /* NULL where there is no descriptor to change. */
    enum status (*regrant)(struct listener *, const char *sddl, struct errmsg *e);
};

/* Listens at @at. ST_EXISTS: someone else has the name (the message says who, where that can be
 * found out); ST_DENIED, ST_INVAL, ST_UNSUPPORTED, ST_NOFILES, ST_IO. */
static inline enum status listener_open(struct loop *loop, struct listener **out,
                                        const struct addr *at, const struct listener_opts *opts,
                                        const struct listener_handler *handler, void *ctx,
                                        struct errmsg *e)
{
    return loop->ops->listen(loop, out, at, opts, handler, ctx, e);
}

/* Leaves clients in the backlog until listener_resume(). */
static inline void listener_pause(struct listener *l)
{
    l->ops->pause(l);
}

static inline void listener_resume(struct listener *l)
{
    l->ops->resume(l);
}

/* Named pipe that is not joined: another security descriptor. Those who are connected stay so.
 * ST_UNSUPPORTED: no such pipe; otherwise as claim_regrant(). */
static inline enum status listener_regrant(struct listener *l, const char *sddl, struct errmsg *e)
{
    return l->ops->regrant ? l->ops->regrant(l, sddl, e) : ST_UNSUPPORTED;
}

/* No callback comes afterwards; removes the name it made. NULL is fine. */
static inline void listener_close(struct listener *l)
{
    if (l)
        l->ops->close(l);
}

#endif
