/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Connects to the socket, says "CONNECT port\n" and waits for "OK number\n" within one time-out for
 * both. Nothing may be sent before that answer came (vhost-device-vsock loses it); what came glued
 * to it is put back for the owner. Any other answer, and none at all, means that nobody listens at
 * that port: ST_REFUSED.
 */
#include "port/addr.h"
#include "port/stream.h"
#include "port/uv/hybrid.h"
#include "port/uv/loop_uv_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hybrid_dial {
    struct dial base;
    struct loop *loop; /* borrowed */
    struct addr to;
    struct dial *below;    /* connecting; NULL afterwards */
    struct stream *stream; /* owned, from then on */
    struct timer timeout;
    size_t len;
    uint8_t line[HYBRID_LINE_MAX];
    dial_done_fn *done;
    void *ctx;
};

static void hybrid_dial_cancel(struct dial *base)
{
    struct hybrid_dial *self = container_of(base, struct hybrid_dial, base);

    timer_stop(&self->timeout);
    dial_cancel(self->loop, self->below);
    stream_close(self->stream);
    free(self);
}

static void hybrid_dial_fail(struct hybrid_dial *self, enum status st, const char *text)
{
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    char to[ADDR_TEXT_MAX];
    struct errmsg why;

    errmsg_set(&why, "connect to %s: %s", addr_format(&self->to, to, sizeof to), text);
    hybrid_dial_cancel(&self->base);
    done(ctx, st, NULL, &why);
}

static void hybrid_dial_succeed(struct hybrid_dial *self)
{
    struct stream *s = self->stream;
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    struct errmsg none = { "" };

    stream_read_stop(s);
    stream_set_handler(s, NULL, NULL);
    self->stream = NULL;
    hybrid_dial_cancel(&self->base);
    done(ctx, ST_OK, s, &none);
}

static void on_data(void *ctx, const uint8_t *data, size_t len)
{
    struct hybrid_dial *self = ctx;
    size_t before = self->len;
    size_t taken = MIN(len, sizeof self->line - before);
    uint32_t number;
    size_t used;
    enum status st;

    memcpy(self->line + before, data, taken);
    self->len += taken;
    switch (hybrid_parse_line("OK", self->line, self->len, &number, &used)) {
    case HYBRID_MORE: break;
    case HYBRID_BAD: hybrid_dial_fail(self, ST_REFUSED, "no OK from the hybrid socket"); break;
    case HYBRID_DONE:
        st = stream_unread(self->stream, data + (used - before), len - (used - before));
        if (st)
            hybrid_dial_fail(self, st, status_text(st));
        else
            hybrid_dial_succeed(self);
        break;
    }
}

static void on_eof(void *ctx)
{
    hybrid_dial_fail(ctx, ST_REFUSED, "nobody listens at that port of the guest");
}

static void on_error(void *ctx, enum status why)
{
    if (why == ST_RESET)
        on_eof(ctx);
    else
        hybrid_dial_fail(ctx, why, status_text(why));
}

static const struct stream_handler handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_error = on_error,
};

static void on_below_done(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct hybrid_dial *self = ctx;
    char line[HYBRID_LINE_MAX];
    int len;

    self->below = NULL;
    if (st) {
        hybrid_dial_fail(self, st, why->text);
        return;
    }
    self->stream = s;
    stream_set_handler(s, &handler, self);
    stream_read_start(s);
    len = snprintf(line, sizeof line, "CONNECT %u\n", self->to.port);
    /* Whatever goes wrong here, on_error() says it. */
    (void)stream_write(s, line, (size_t)len);
}

static void on_timeout(void *ctx)
{
    hybrid_dial_fail(ctx, ST_TIMEOUT, status_text(ST_TIMEOUT));
}

enum status hybrid_dial_start(struct loop *loop, struct dial **out, const struct addr *to,
                              uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct hybrid_dial *self;
    struct addr below = addr_at_port(to, ADDR_PORT_NONE);
    enum status st;

    if (to->port == ADDR_PORT_NONE) {
        errmsg_set(e, "connect to \"%s\": a port is missing", to->path);
        return ST_INVAL;
    }
    self = calloc(1, sizeof *self);
    if (!self) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    self->base.cancel = hybrid_dial_cancel;
    self->loop = loop;
    self->to = *to;
    self->done = done;
    self->ctx = ctx;
    timer_init(&self->timeout, loop, on_timeout, self);
    below.kind = to->kind == ADDR_VSOCK_HYBRID ? ADDR_UNIX : ADDR_TCP;
    /* One limit for the whole; the dial below must not be the first to reach it. */
    st = dial_start(loop, &self->below, &below, timeout_ms + 1, on_below_done, self, e);
    if (st) {
        free(self);
        return st;
    }
    timer_start(&self->timeout, timeout_ms);
    *out = &self->base;
    return ST_OK;
}
