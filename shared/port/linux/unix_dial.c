/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * connect() to a unix socket never takes time: it succeeds, fails, or finds the backlog full. So
 * there is nothing to poll, and the two ways to spend system calls on it (watching for writability,
 * asking for SO_ERROR) are left out: the result is known in unix_dial() and only told from the
 * loop, by a timer with no delay, because done must not come from within the call.
 *
 * A full backlog answers EAGAIN (TCP would wait by itself): that is a busy peer, not a dead one,
 * and is tried again every few milliseconds until the time-out.
 */
#include "port/linux/unix_dial.h"

#include "port/addr.h"
#include "port/linux/packet_stream.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/stream_uv.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BUSY_RETRY_MS = 5 };

struct dial_unix {
    struct dial base;
    struct loop *loop; /* borrowed */
    struct addr to;
    int fd; /* owned; -1 once it is a stream's */
    bool connected;
    uint64_t deadline_ms;
    struct timer next; /* the next try, or the result */
    dial_done_fn *done;
    void *ctx;
};

static void dial_unix_free(struct dial_unix *self)
{
    timer_stop(&self->next);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}

static void dial_unix_cancel(struct dial *base)
{
    dial_unix_free(container_of(base, struct dial_unix, base));
}

static void finish(struct dial_unix *self, enum status st)
{
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    struct stream *s = NULL;
    char text[ADDR_TEXT_MAX];
    struct errmsg why = { "" };

    if (st == ST_OK) {
        st = self->to.kind == ADDR_UNIXPACKET ? packet_stream_new(&s, self->loop, self->fd)
                                              : stream_uv_from_socket(self->loop, self->fd, &s);
        if (st == ST_OK)
            self->fd = -1;
    }
    if (st)
        errmsg_set(&why, "connect to %s: %s", addr_format(&self->to, text, sizeof text),
                   status_text(st));
    dial_unix_free(self);
    done(ctx, st, s, &why);
}

static int try_connect(const struct dial_unix *self)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    _Static_assert(sizeof sa.sun_path >= ADDR_PATH_MAX, "every path of an addr fits");
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", self->to.path);
    return connect(self->fd, (struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : errno;
}

static void on_next(void *ctx)
{
    struct dial_unix *self = ctx;
    int err = self->connected ? 0 : try_connect(self);

    if (err != EAGAIN)
        finish(self, err ? uv_status(uv_translate_sys_error(err)) : ST_OK);
    else if (loop_now_ms(self->loop) >= self->deadline_ms)
        finish(self, ST_TIMEOUT);
    else
        timer_start(&self->next, BUSY_RETRY_MS);
}

enum status unix_dial(struct loop *loop, struct dial **out, const struct addr *to,
                      uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct dial_unix *self = calloc(1, sizeof *self);
    enum status st = ST_NOMEM;
    char text[ADDR_TEXT_MAX];

    if (self) {
        int type = to->kind == ADDR_UNIXPACKET ? SOCK_SEQPACKET : SOCK_STREAM;

        self->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        st = self->fd < 0 ? uv_status(uv_translate_sys_error(errno)) : ST_OK;
    }
    if (st) {
        errmsg_set(e, "connect to %s: %s", addr_format(to, text, sizeof text), status_text(st));
        free(self);
        return st;
    }
    self->base.cancel = dial_unix_cancel;
    self->loop = loop;
    self->to = *to;
    self->deadline_ms = loop_now_ms(loop) + timeout_ms;
    self->done = done;
    self->ctx = ctx;
    timer_init(&self->next, loop, on_next, self);
    /* At once, so that the peer is woken while we are still busy with this turn. */
    self->connected = try_connect(self) == 0;
    timer_start(&self->next, 0);
    *out = &self->base;
    return ST_OK;
}
