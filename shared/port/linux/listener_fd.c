/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Accepting, and staying well when it fails. What each failure asks for is accept_policy's table;
 * this file carries it out:
 *
 *                      readable
 *   POLLING ----------------------------> accept, at most @budget times
 *      ^  ^                                 |  ok: on_accept        |  nobody left: POLLING
 *      |  |  timer                          |  limit or unknown     |  descriptor dead
 *      |  `---- BACKING_OFF <---------------'                       |
 *      |  opened        |  still failing: next delay                |
 *      `----------- DEAD (no descriptor; opens again by timer) <----'
 *   PAUSED: the owner asked for silence; nothing is polled, no timer runs.
 *
 * Out of descriptors (EMFILE, ENFILE) a client would hang in the backlog. The reserve descriptor
 * is closed, which makes room to accept and close exactly one client: it sees a closed connection
 * instead of silence. Then the reserve is opened again and the socket is left alone for a while:
 * it stays readable, so polling it would spin. This listener is not libuv's because uv_listen()
 * does that trick in a loop that drops every waiting client, and spins on ENFILE and ENOBUFS.
 *
 * After the delay accept() is simply tried: with no free descriptor it fails even when nobody
 * waits, so "would block" proves that the shortage is over.
 *
 * Fairness and cost: a wake-up accepts at most @budget connections, then other events of the loop
 * get their turn. The budget doubles (to ACCEPT_MAX_BUDGET) while clients are left over and falls
 * to one when nobody is: clients who come one by one cost one accept() each, not two, a crowd is
 * still taken in batches. A full wake-up that gained nothing but lost peers backs off too: an error
 * that does not take a client off the queue must not become a loop.
 *
 * The owner may close the listener inside on_accept and on_state. While an event is handled (@busy)
 * the memory stays, and whoever goes on after a call to the owner looks at @closing first.
 */
#include "port/linux/listener_fd.h"

#include "base/log.h"
#include "port/accept_policy.h"
#include "port/addr.h"
#include "port/linux/listen_socket.h"
#include "port/linux/packet_stream.h"
#include "port/linux/peer.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/stream_uv.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_MAX_BUDGET = 32 };

struct listener_fd {
    struct listener base;
    struct loop *loop;              /* borrowed */
    const struct listener_sys *sys; /* borrowed */
    struct listen_socket socket;
    struct addr at;
    /* On the heap, because a closed uv_poll_t lives a turn longer than the descriptor it was made
     * for, and a new socket needs a new one. NULL without a descriptor. */
    uv_poll_t *poll;
    int reserve_fd; /* -1 = could not be had */
    struct timer retry;
    uint32_t delay_ms; /* of the current back-off; 0 = well */
    enum status told;  /* what on_state() said last; ST_OK at the start */
    unsigned budget;   /* accept() calls of the next wake-up */
    bool want_credentials;
    bool paused;
    bool closing;
    bool busy; /* within an event: freed at its end when closed meanwhile */
};

static int sys_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    return accept4(fd, sa, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static int sys_open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

const struct listener_sys listener_sys_default = {
    .accept = sys_accept,
    .open_reserve = sys_open_reserve,
};

static struct listener_fd *listener_fd_of(struct listener *l)
{
    return container_of(l, struct listener_fd, base);
}

static enum accept_error classify(int err)
{
    switch (err) {
    case EAGAIN: return ACCEPT_ERR_WOULD_BLOCK;
    case EINTR: return ACCEPT_ERR_INTERRUPTED;
    /* accept(2) lists these as errors of the one connection that was waiting. */
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT: return ACCEPT_ERR_PEER_GONE;
    case EMFILE:
    case ENFILE: return ACCEPT_ERR_NO_FILES;
    case ENOBUFS:
    case ENOMEM: return ACCEPT_ERR_NO_MEMORY;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP: return ACCEPT_ERR_SOCKET_DEAD;
    default: return ACCEPT_ERR_OTHER;
    }
}

/* Each change once. */
static void tell_state(struct listener_fd *self, enum status st, const char *why)
{
    struct errmsg e;
    char text[ADDR_TEXT_MAX];

    if (st == self->told || self->closing)
        return;
    self->told = st;
    errmsg_set(&e, "%s: %s", addr_format(&self->at, text, sizeof text), why);
    if (self->base.handler->on_state)
        self->base.handler->on_state(self->base.ctx, st, &e);
}

/* ---- polling --------------------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);

/* The owner may have closed the listener meanwhile. */
static void leave_event(struct listener_fd *self)
{
    self->busy = false;
    if (self->closing)
        free(self);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void poll_stop(struct listener_fd *self)
{
    if (self->poll)
        uv_close((uv_handle_t *)self->poll, on_poll_closed);
    self->poll = NULL;
}

/* Polls the descriptor there is. */
static enum status poll_start(struct listener_fd *self)
{
    int err = 0;

    if (!self->poll) {
        uv_poll_t *poll = malloc(sizeof *poll);

        if (!poll)
            return ST_NOMEM;
        err = uv_poll_init(loop_uv_handle(self->loop), poll, self->socket.fd);
        if (err) {
            free(poll);
            return uv_status(err);
        }
        poll->data = self;
        self->poll = poll;
    }
    err = uv_poll_start(self->poll, UV_READABLE, on_readable);
    return err ? uv_status(err) : ST_OK;
}

static void back_off(struct listener_fd *self)
{
    if (self->closing)
        return;
    if (self->poll)
        uv_poll_stop(self->poll);
    self->delay_ms = accept_backoff_next_ms(self->delay_ms);
    if (!self->paused)
        timer_start(&self->retry, self->delay_ms);
}

/* ---- what a failure asks for ----------------------------------------------------------- */

/* The client that waits longest gets an end of its connection instead of silence. */
static void shed_one(struct listener_fd *self)
{
    int fd;

    if (self->reserve_fd < 0) {
        self->reserve_fd = self->sys->open_reserve();
        return;
    }
    close(self->reserve_fd);
    fd = self->sys->accept(self->socket.fd, NULL, NULL);
    if (fd >= 0) {
        close(fd);
        self->base.stats.refused_by_reserve++;
    }
    self->reserve_fd = self->sys->open_reserve();
}

static void reopen(struct listener_fd *self)
{
    struct errmsg why;
    enum status st;

    poll_stop(self);
    st = listen_socket_reopen(&self->socket, &why);
    if (st) {
        log_warn_limited(LOG_PORT, "%s; trying again", why.text);
        back_off(self);
        tell_state(self, st, why.text);
        return;
    }
    self->base.stats.reopened++;
    back_off(self); /* a socket that dies right after each opening must not spin either */
}

/* The listening socket is unusable: say so, then make a new one. */
static void socket_died(struct listener_fd *self, int err)
{
    log_warn_limited(LOG_PORT, "accept: %s; opening the listening socket again", strerror(err));
    tell_state(self, ST_IO, strerror(err));
    if (!self->closing)
        reopen(self);
}

static void accept_failed(struct listener_fd *self, enum accept_action action, int err)
{
    switch (action) {
    case ACCEPT_DO_SHED:
        shed_one(self);
        /* fall through */
    case ACCEPT_DO_BACK_OFF:
        self->base.stats.limit_hits++;
        back_off(self);
        log_warn_limited(LOG_PORT, "accept: %s; waiting %u ms", strerror(err), self->delay_ms);
        tell_state(self, ST_NOFILES, strerror(err));
        break;
    case ACCEPT_DO_REOPEN: socket_died(self, err); break;
    case ACCEPT_DO_WAIT:
    case ACCEPT_DO_NEXT: break;
    }
}

/* ---- accepting ------------------------------------------------------------------------- */

static enum status make_stream(struct listener_fd *self, int fd, struct stream **out)
{
    int family = listen_socket_family(&self->socket);

    if (self->socket.type == SOCK_SEQPACKET)
        return packet_stream_new(out, self->loop, fd);
    if (family == AF_INET || family == AF_INET6)
        return stream_uv_from_tcp_socket(self->loop, fd, out);
    return stream_uv_from_socket(self->loop, fd, out);
}

static void hand_out(struct listener_fd *self, int fd, const struct sockaddr_storage *sa,
                     socklen_t len)
{
    int family = listen_socket_family(&self->socket);
    struct stream *s = NULL;
    struct peer peer;
    enum status st;

    peer_from_sockaddr(sa, MIN((size_t)len, sizeof *sa), &peer);
    peer.is_vsock = family == AF_VSOCK;
    if (family == AF_UNIX && self->want_credentials)
        peer_add_credentials(fd, &peer);
    st = make_stream(self, fd, &s);
    if (st) {
        close(fd);
        log_warn_limited(LOG_PORT, "accepted connection dropped: %s", status_text(st));
        return;
    }
    self->base.stats.accepted++;
    self->base.handler->on_accept(self->base.ctx, s, &peer);
}

/* Accepting works: whatever was wrong is over. */
static void accept_works(struct listener_fd *self)
{
    self->delay_ms = 0;
    tell_state(self, ST_OK, "accepting");
}

/* One accept(). False when this wake-up is over. */
static bool accept_one(struct listener_fd *self, unsigned *lost)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    int fd = self->sys->accept(self->socket.fd, (struct sockaddr *)&sa, &len);
    int err = errno;
    enum accept_error class;
    enum accept_action action;

    if (fd >= 0) {
        accept_works(self);
        if (self->closing) {
            close(fd);
            return false;
        }
        hand_out(self, fd, &sa, len);
        return !self->closing && !self->paused;
    }
    class = classify(err);
    action = accept_policy(class);
    if (action == ACCEPT_DO_WAIT)
        accept_works(self);
    if (class == ACCEPT_ERR_PEER_GONE)
        self->base.stats.aborted++;
    if (action == ACCEPT_DO_NEXT) {
        ++*lost;
        return true;
    }
    accept_failed(self, action, err);
    return false;
}

static void accept_some(struct listener_fd *self)
{
    unsigned lost = 0;
    unsigned tries = 0;

    while (tries < self->budget && accept_one(self, &lost))
        tries++;
    if (lost == ACCEPT_MAX_BUDGET)
        back_off(self);
    self->budget = tries == self->budget ? MIN(2 * self->budget, ACCEPT_MAX_BUDGET) : 1;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener_fd *self = poll->data;

    self->busy = true;
    accept_some(self);
    leave_event(self);
}

static void on_retry(void *ctx)
{
    struct listener_fd *self = ctx;

    self->busy = true;
    if (self->socket.fd < 0)
        reopen(self);
    else if (poll_start(self))
        back_off(self);
    else
        accept_some(self);
    leave_event(self);
}

/* ---- the contract ---------------------------------------------------------------------- */

static void listener_fd_pause(struct listener *l)
{
    struct listener_fd *self = listener_fd_of(l);

    self->paused = true;
    timer_stop(&self->retry);
    if (self->poll)
        uv_poll_stop(self->poll);
}

static void listener_fd_resume(struct listener *l)
{
    struct listener_fd *self = listener_fd_of(l);

    if (!self->paused)
        return;
    self->paused = false;
    timer_start(&self->retry, self->delay_ms);
}

static void listener_fd_close(struct listener *l)
{
    struct listener_fd *self = listener_fd_of(l);

    self->closing = true;
    timer_stop(&self->retry);
    poll_stop(self);
    listen_socket_close(&self->socket);
    if (self->reserve_fd >= 0)
        close(self->reserve_fd);
    self->reserve_fd = -1;
    if (!self->busy)
        free(self);
}

static const struct listener_ops listener_fd_ops = {
    .pause = listener_fd_pause,
    .resume = listener_fd_resume,
    .close = listener_fd_close,
};

static enum status open_socket(struct listen_socket *s, const struct addr *at,
                               const struct listener_opts *opts, struct errmsg *e)
{
    int fd = opts->adopt_fd;

    if (at->kind == ADDR_FD)
        fd = at->fd;
    if (fd >= 0)
        return listen_socket_adopt(s, fd, opts->unix_mode, opts->backlog, e);
    return listen_socket_open(s, at, opts->unix_mode, opts->backlog, e);
}

enum status listener_fd_open(struct loop *loop, struct listener **out, const struct addr *at,
                             const struct listener_opts *opts,
                             const struct listener_handler *handler, void *ctx,
                             const struct listener_sys *sys, struct errmsg *e)
{
    struct listener_fd *self = calloc(1, sizeof *self);
    enum status st = ST_NOMEM;

    if (self)
        st = open_socket(&self->socket, at, opts, e);
    else
        errmsg_set(e, "%s", status_text(st));
    if (st) {
        free(self);
        return st;
    }
    self->base.ops = &listener_fd_ops;
    self->base.handler = handler;
    self->base.ctx = ctx;
    self->loop = loop;
    self->sys = sys;
    self->at = *at;
    self->reserve_fd = sys->open_reserve();
    self->budget = 1;
    self->want_credentials = opts->want_credentials;
    timer_init(&self->retry, loop, on_retry, self);
    st = poll_start(self);
    if (st) {
        errmsg_set(e, "listen: %s", status_text(st));
        listener_fd_close(&self->base);
        return st;
    }
    *out = &self->base;
    return ST_OK;
}
