/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A dial to loopback TCP: one connect request of libuv, one time-out.
 *
 * The request's memory is libuv's until its callback came, also after the handle was closed. So a
 * dial that was cancelled or timed out closes its stream and lives on, with no owner, until that
 * callback frees it; one that has ended is freed when nothing is under way.
 */
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/stream_uv.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>

struct dial_uv {
    struct dial base;
    struct loop *loop; /* borrowed */
    struct addr to;
    struct stream_uv *stream; /* owned; NULL after the end */
    uv_connect_t req;
    bool connecting; /* @req is libuv's */
    bool ended;      /* done was called or will never be */
    struct timer timeout;
    dial_done_fn *done;
    void *ctx;
};

/* Takes back everything but the memory that libuv still holds. */
static void dial_uv_release(struct dial_uv *self)
{
    self->ended = true;
    timer_stop(&self->timeout);
    if (self->stream)
        stream_close(stream_uv_stream(self->stream));
    self->stream = NULL;
    if (!self->connecting)
        free(self);
}

static void dial_uv_fail(struct dial_uv *self, enum status st)
{
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    char text[ADDR_TEXT_MAX];
    struct errmsg why;

    errmsg_set(&why, "connect to %s: %s", addr_format(&self->to, text, sizeof text),
               status_text(st));
    dial_uv_release(self);
    done(ctx, st, NULL, &why);
}

static void dial_uv_succeed(struct dial_uv *self)
{
    struct stream *s = stream_uv_stream(self->stream);
    struct errmsg none = { "" };

    stream_uv_set_nodelay(self->stream);
    self->stream = NULL;
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    dial_uv_release(self);
    done(ctx, ST_OK, s, &none);
}

static void on_connect(uv_connect_t *req, int err)
{
    struct dial_uv *self = container_of(req, struct dial_uv, req);

    self->connecting = false;
    if (self->ended) {
        free(self);
    } else if (err) {
        dial_uv_fail(self, uv_status(err));
    } else {
        dial_uv_succeed(self);
    }
}

static int connect_tcp(struct dial_uv *self)
{
    uv_tcp_t *handle = (uv_tcp_t *)stream_uv_handle(self->stream);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa;
    int err = uv_ip4_addr(self->to.path, self->to.tcp_port, &sa.v4);

    if (err)
        err = uv_ip6_addr(self->to.path, self->to.tcp_port, &sa.v6);
    return err ? err : uv_tcp_connect(&self->req, handle, &sa.any, on_connect);
}

/* On a failure nothing is under way. */
static enum status begin(struct dial_uv *self)
{
    enum status st = stream_uv_new(self->loop, STREAM_UV_TCP, &self->stream);
    int err;

    if (st)
        return st;
    err = connect_tcp(self);
    if (err) {
        stream_close(stream_uv_stream(self->stream));
        self->stream = NULL;
        return uv_status(err);
    }
    self->connecting = true;
    return ST_OK;
}

static void on_timeout(void *ctx)
{
    dial_uv_fail(ctx, ST_TIMEOUT);
}

static void dial_uv_cancel(struct dial *base)
{
    dial_uv_release(container_of(base, struct dial_uv, base));
}

enum status dial_uv_start(struct loop *loop, struct dial **out, const struct addr *to,
                          uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct dial_uv *self = calloc(1, sizeof *self);
    char text[ADDR_TEXT_MAX];
    enum status st = ST_NOMEM;

    if (self) {
        self->base.cancel = dial_uv_cancel;
        self->loop = loop;
        self->to = *to;
        self->done = done;
        self->ctx = ctx;
        timer_init(&self->timeout, loop, on_timeout, self);
        st = begin(self);
    }
    if (st) {
        errmsg_set(e, "connect to %s: %s", addr_format(to, text, sizeof text), status_text(st));
        free(self);
        return st;
    }
    timer_start(&self->timeout, timeout_ms);
    *out = &self->base;
    return ST_OK;
}
