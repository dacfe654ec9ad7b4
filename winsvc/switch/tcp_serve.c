/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A service of the gateway's own (DNS over TCP, the API) gets a flow as a struct stream. It is the
 * same flow with the same rings as one with a socket behind it; this file is the socket:
 *
 *   tcp_settle() -> tcp_service_write() -> on_data()      not reading: 0 taken, TF_BLOCKED
 *   stream_write() -> down ring -> tcp_send.c             what lies over flow_buffer_bytes is
 *                                                         "queued" and told by on_drained()
 *   stream_shutdown() = the host's end; stream_close() = an orphan, which still sends what was
 *   written, or an RST where bytes were left unread (as a system does it)
 *
 * The other way, tcp_dial_guest(): the stream is there before the guest has answered. What is
 * written to it waits in the down ring; a guest that refuses, or stays silent, is its on_error().
 *
 * A stream may be closed from within its own callbacks and its flow may end there; so a stream
 * that is delivering is only marked, and freed when the delivery is back. What must not happen
 * within a call of the owner's (data after read_start(), an error) comes from a timer of the
 * stream's. The stream lives until its owner closes it, also beyond its flow and the switch.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"
#include "port/stream.h"

#include <stdlib.h>

struct tcp_service_stream {
    struct stream stream;  /* stays the first member */
    struct tcp_flow *flow; /* NULL: over */
    struct list link;      /* on table->streams */
    struct timer kick;
    uint8_t *pushed; /* owned: what was unread, in front of everything */
    size_t pushed_bytes;
    enum status dead; /* ST_OK, or what on_error() says */
    bool reading, delivering, closed;
    bool at_end;       /* the guest ended, everything was handed over */
    bool shut;         /* the owner ended its direction */
    bool owes_drained; /* a write was queued */
};

const struct tcp_service *tcp_find_service(const struct tcp_table *t, const struct ip_addr *at,
                                           uint16_t port)
{
    for (unsigned i = 0; i < t->service_count; i++) {
        if (t->services[i].port == port && ip_addr_equal(&t->services[i].at, at))
            return &t->services[i];
    }
    return NULL;
}

enum status tcp_serve(struct switch_ *s, const struct ip_addr *at, uint16_t port,
                      tcp_accept_fn *accept, void *ctx)
{
    struct tcp_table *t = s->tcp;

    if (t->service_count == TCP_SERVICES_MAX)
        return ST_FULL;
    t->services[t->service_count++] = (struct tcp_service){ *at, port, accept, ctx };
    return ST_OK;
}

static struct tcp_service_stream *of(struct stream *stream)
{
    return container_of(stream, struct tcp_service_stream, stream);
}

/* ---- towards the owner ------------------------------------------------------------------ */

static bool may_deliver(const struct tcp_service_stream *s)
{
    return s->reading && !s->closed && s->stream.handler;
}

static void hand_over(struct tcp_service_stream *s, const uint8_t *data, size_t len_bytes)
{
    if (len_bytes > 0)
        s->stream.handler->on_data(s->stream.ctx, data, len_bytes);
}

static void deliver_pushed(struct tcp_service_stream *s)
{
    while (s->pushed && may_deliver(s)) {
        uint8_t *data = s->pushed;

        s->pushed = NULL;
        hand_over(s, data, s->pushed_bytes);
        free(data);
    }
}

static void deliver_end(struct tcp_service_stream *s)
{
    if (!s->at_end || s->pushed || !may_deliver(s))
        return;
    s->at_end = false;
    s->stream.handler->on_eof(s->stream.ctx);
}

static void destroy(struct tcp_service_stream *s)
{
    timer_stop(&s->kick);
    list_remove(&s->link);
    free(s->pushed);
    free(s);
}

/* The calls between these two may close @s. */
static void delivery_begin(struct tcp_service_stream *s)
{
    ASSERT(!s->delivering);
    s->delivering = true;
}

static void delivery_end(struct tcp_service_stream *s)
{
    s->delivering = false;
    if (s->closed)
        destroy(s);
}

size_t tcp_service_write(struct tcp_flow *f, const struct net_iov *iov, unsigned count)
{
    struct tcp_service_stream *s = f->host.service;
    size_t taken = 0, total = 0;

    for (unsigned i = 0; i < count; i++)
        total += iov[i].len_bytes;
    if (!s)
        return total; /* an orphan's: nobody wants them */
    if (s->delivering)
        return 0;
    delivery_begin(s);
    for (unsigned i = 0; i < count; i++) {
        deliver_pushed(s);
        if (!may_deliver(s))
            break;
        taken += iov[i].len_bytes;
        hand_over(s, iov[i].data, iov[i].len_bytes);
    }
    taken = s->closed ? total : taken;
    delivery_end(s);
    return taken;
}

void tcp_service_eof(struct tcp_flow *f)
{
    struct tcp_service_stream *s = f->host.service;

    if (!s)
        return;
    s->at_end = true;
    if (!s->delivering)
        timer_start(&s->kick, 0);
}

void tcp_service_acked(struct tcp_flow *f)
{
    struct tcp_service_stream *s = f->host.service;

    if (s && s->owes_drained && f->down.len_bytes <= f->table->sw->config.limits.flow_buffer_bytes)
        timer_start(&s->kick, 0);
}

void tcp_service_lost(struct tcp_flow *f, enum status why)
{
    struct tcp_service_stream *s = f->host.service;

    f->host.service = NULL;
    s->flow = NULL;
    if (why == ST_EOF || s->closed)
        return;
    s->dead = why;
    timer_start(&s->kick, 0);
}

static void tell_drained(struct tcp_service_stream *s)
{
    uint32_t most;

    if (!s->owes_drained || !s->flow || s->closed)
        return;
    most = s->flow->table->sw->config.limits.flow_buffer_bytes;
    if (s->flow->down.len_bytes > most)
        return;
    s->owes_drained = false;
    s->stream.handler->on_drained(s->stream.ctx);
}

static void on_kick(void *ctx)
{
    struct tcp_service_stream *s = ctx;

    delivery_begin(s);
    deliver_pushed(s);
    tell_drained(s);
    deliver_end(s);
    if (s->dead != ST_OK && !s->closed && s->stream.handler) {
        enum status why = s->dead;

        s->dead = ST_OK;
        s->stream.handler->on_error(s->stream.ctx, why);
    }
    delivery_end(s);
}

/* Reading began, or goes on: what waits in the ring comes now. */
static void on_kick_flow(void *ctx)
{
    struct tcp_service_stream *s = ctx;
    struct tcp_flow *f = s->flow;

    if (f && f->state == TCP_OPEN && s->reading) {
        f->flags &= ~(uint32_t)TF_BLOCKED;
        tcp_settle(f);
        if (f->state == TCP_OPEN)
            tcp_owe_window(f);
        if (f->state == TCP_DEAD || !f->host.service)
            return; /* closed meanwhile, @s with it; or lost: it has its kick */
    }
    on_kick(s);
}

/* ---- what the owner calls --------------------------------------------------------------- */

static enum status stream_over(const struct tcp_service_stream *s)
{
    return s->shut ? ST_CLOSED : ST_RESET;
}

static enum status service_write(struct stream *stream, const uint8_t *data, size_t len_bytes)
{
    struct tcp_service_stream *s = of(stream);
    struct tcp_flow *f = s->flow;
    struct tcp_table *t;

    if (!f || s->shut)
        return stream_over(s);
    t = f->table;
    if (f->down.len_bytes + len_bytes > RING_MAX_BYTES)
        return ST_FULL;
    if (!ring_reserve(&f->down, &t->pool, f->down.len_bytes + len_bytes))
        return ST_NOMEM;
    ring_append(&f->down, &t->pool, data, len_bytes, RING_MAX_BYTES);
    ring_trim(&f->down, &t->pool);
    tcp_activate(f);
    if (f->down.len_bytes <= t->sw->config.limits.flow_buffer_bytes)
        return ST_OK;
    s->owes_drained = true;
    return ST_QUEUED;
}

static enum status service_shutdown(struct stream *stream)
{
    struct tcp_service_stream *s = of(stream);

    if (s->shut)
        return ST_OK;
    if (!s->flow)
        return ST_RESET;
    s->shut = true;
    s->flow->flags |= TF_HOST_EOF;
    tcp_activate(s->flow);
    return ST_OK;
}

static void service_read_start(struct stream *stream)
{
    struct tcp_service_stream *s = of(stream);

    s->reading = true;
    timer_start(&s->kick, 0);
}

static void service_read_stop(struct stream *stream)
{
    of(stream)->reading = false;
}

static enum status service_unread(struct stream *stream, const uint8_t *data, size_t len_bytes)
{
    struct tcp_service_stream *s = of(stream);
    size_t old = s->pushed ? s->pushed_bytes : 0;
    uint8_t *all;

    if (len_bytes == 0)
        return ST_OK;
    if (old + len_bytes > STREAM_MAX_QUEUED)
        return ST_FULL;
    all = malloc(old + len_bytes);
    if (!all)
        return ST_NOMEM;
    memcpy(all, data, len_bytes);
    if (old > 0)
        memcpy(all + len_bytes, s->pushed, old);
    free(s->pushed);
    s->pushed = all;
    s->pushed_bytes = old + len_bytes;
    timer_start(&s->kick, 0);
    return ST_OK;
}

static size_t service_queued_bytes(const struct stream *stream)
{
    const struct tcp_service_stream *s = (const struct tcp_service_stream *)(const void *)stream;
    size_t most, len;

    if (!s->flow)
        return 0;
    most = s->flow->table->sw->config.limits.flow_buffer_bytes;
    len = s->flow->down.len_bytes;
    return len > most ? len - most : 0;
}

/* The flow goes on without anybody behind it, until what was written is there. */
static void orphan(struct tcp_flow *f, bool unread)
{
    f->host.service = NULL;
    f->flags |= TF_ORPHAN | TF_HOST_EOF;
    f->flags &= ~(uint32_t)TF_BLOCKED;
    if (f->state < TCP_OPEN) { /* dialled, and not answered yet */
        tcp_flow_end(f, true);
        return;
    }
    if (unread) {
        tcp_send_rst(f);
        tcp_flow_end(f, true);
        return;
    }
    tcp_touch(f);
    tcp_activate(f);
    tcp_wait_idle(f);
}

static void service_close(struct stream *stream)
{
    struct tcp_service_stream *s = of(stream);
    struct tcp_flow *f = s->flow;

    ASSERT(!s->closed);
    s->closed = true;
    s->flow = NULL;
    if (f)
        orphan(f, s->pushed || (f->up.len_bytes > 0 && !s->delivering));
    if (!s->delivering)
        destroy(s);
}

static const struct stream_ops ops = {
    .write = service_write,
    .shutdown = service_shutdown,
    .read_start = service_read_start,
    .read_stop = service_read_stop,
    .unread = service_unread,
    .queued_bytes = service_queued_bytes,
    .close = service_close,
};

/* ---- beginning and end ------------------------------------------------------------------ */

struct stream *tcp_service_stream(struct tcp_flow *f)
{
    struct tcp_service_stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->stream.ops = &ops;
    s->flow = f;
    timer_init(&s->kick, f->table->sw->env.loop, on_kick_flow, s);
    list_append(&f->table->streams, &s->link);
    f->host.service = s;
    return &s->stream;
}

static void accept_flow(struct tcp_flow *f)
{
    struct tcp_table *t = f->table;
    const struct ip_endpoint from = { f->key.guest, f->key.guest_port };
    const struct tcp_service *service = tcp_find_service(t, &f->key.remote, f->key.remote_port);
    struct stream *stream = service ? tcp_service_stream(f) : NULL;

    if (!stream) {
        t->sw->count.drop_no_memory++;
        tcp_send_rst(f);
        tcp_flow_end(f, true);
        return;
    }
    service->accept(service->ctx, stream, &from);
}

void tcp_service_established(struct tcp_flow *f)
{
    if (f->host.service)
        tcp_activate(f);
    else
        accept_flow(f);
}

void tcp_services_free(struct tcp_table *t)
{
    while (!list_is_empty(&t->streams)) {
        struct tcp_service_stream *s =
            container_of(t->streams.next, struct tcp_service_stream, link);

        list_remove(&s->link);
    }
}
