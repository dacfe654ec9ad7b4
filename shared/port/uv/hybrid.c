/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   client --connect--> hub (one listener) --greeting: "CONNECT 6660\n"--> port 6660's handler
 *                                                                    \---> port 6680's handler
 *
 * A hub is one listening socket and the ports of this process behind it. A client is a *greeting*
 * until its line is complete: it has HYBRID_LINE_MAX bytes and GREETING_TIMEOUT_MS to say which
 * port it wants. Then the line is answered, what came after it is put back (stream_unread), and the
 * stream belongs to the port's owner. Unknown ports and anything that is no such line are closed
 * without an answer, which is what a client of this convention takes for "refused".
 *
 * Bounds: GREETINGS_MAX clients that have not said their line; more are closed at once. They hold
 * one descriptor and a few dozen bytes each.
 *
 * Owners may close any port from within a handler. A hub without ports closes at once for the
 * outside, but its memory stays while an event of it is handled (@busy).
 *
 * A paused port's clients are closed like an unknown port's: they cannot be left in the backlog,
 * which is shared. Only when all ports are paused is the socket left alone.
 */
#include "port/uv/hybrid.h"

#include "base/log.h"
#include "port/addr.h"
#include "port/listener.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETINGS_MAX = 256, GREETING_TIMEOUT_MS = 2000, FIRST_PEER_NUMBER = 1u << 30 };

struct hybrid_hub {
    struct list link;          /* on loop_uv.hybrid_hubs */
    struct loop *loop;         /* borrowed */
    struct addr at;            /* without a port */
    struct listener *listener; /* owned; NULL once the last port closed */
    struct list ports;         /* of struct hybrid_port */
    unsigned port_count;
    struct list greetings; /* of struct greeting, owned */
    unsigned greeting_count;
    uint32_t
        next_number; /* what "OK" says: the client's own port, as a hypervisor would number it */
    unsigned busy;   /* events being handled */
};

struct hybrid_port {
    struct listener base;
    struct list link; /* on hub->ports */
    struct hybrid_hub *hub;
    uint32_t port;
    bool paused;
};

struct greeting {
    struct list link; /* on hub->greetings */
    struct hybrid_hub *hub;
    struct stream *stream; /* owned */
    struct peer peer;
    struct timer deadline;
    size_t len;
    uint8_t line[HYBRID_LINE_MAX];
};

/* ---- the line -------------------------------------------------------------------------- */

enum hybrid_parse hybrid_parse_line(const char *word, const uint8_t *data, size_t len,
                                    uint32_t *number, size_t *used)
{
    size_t word_len = strlen(word);
    size_t digits = 0;
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++) {
        if (i == HYBRID_LINE_MAX)
            return HYBRID_BAD;
        if (i < word_len) {
            if (data[i] != (uint8_t)word[i])
                return HYBRID_BAD;
        } else if (i == word_len) {
            if (data[i] != ' ')
                return HYBRID_BAD;
        } else if (data[i] == '\n' && digits > 0) {
            *number = (uint32_t)value;
            *used = i + 1;
            return HYBRID_DONE;
        } else {
            if (data[i] < '0' || data[i] > '9')
                return HYBRID_BAD;
            value = value * 10 + (uint64_t)(data[i] - '0');
            digits++;
            if (value > UINT32_MAX)
                return HYBRID_BAD;
        }
    }
    return len >= HYBRID_LINE_MAX ? HYBRID_BAD : HYBRID_MORE;
}

/* ---- greetings ------------------------------------------------------------------------- */

static void hub_leave(struct hybrid_hub *hub)
{
    if (--hub->busy == 0 && !hub->listener)
        free(hub);
}

/* Forgets the greeting; the stream is the caller's. */
static struct stream *greeting_free(struct greeting *g)
{
    struct stream *s = g->stream;

    timer_stop(&g->deadline);
    list_remove(&g->link);
    g->hub->greeting_count--;
    free(g);
    return s;
}

static struct hybrid_port *hub_find_port(struct hybrid_hub *hub, uint32_t number)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &hub->ports)
    {
        struct hybrid_port *p = container_of(it, struct hybrid_port, link);

        if (p->port == number)
            return p;
    }
    return NULL;
}

/* The line is complete: @rest is what came after it. */
static void greeting_done(struct greeting *g, uint32_t number, const uint8_t *rest, size_t rest_len)
{
    struct hybrid_hub *hub = g->hub;
    struct hybrid_port *port = hub_find_port(hub, number);
    struct peer peer = g->peer;
    struct stream *s = greeting_free(g);
    char answer[HYBRID_LINE_MAX];
    enum status st;
    int len;

    stream_read_stop(s);
    stream_set_handler(s, NULL, NULL);
    if (!port || port->paused) {
        log_debug(LOG_PORT, "hybrid port=%u: nobody listens, closing", number);
        stream_close(s);
        return;
    }
    len = snprintf(answer, sizeof answer, "OK %u\n", hub->next_number++);
    st = stream_write(s, answer, (size_t)len);
    if (st == ST_OK || st == ST_QUEUED)
        st = stream_unread(s, rest, rest_len);
    if (st != ST_OK && st != ST_QUEUED) {
        stream_close(s);
        return;
    }
    port->base.stats.accepted++;
    port->base.handler->on_accept(port->base.ctx, s, &peer);
}

static void greeting_on_data(void *ctx, const uint8_t *data, size_t len)
{
    struct greeting *g = ctx;
    struct hybrid_hub *hub = g->hub;
    size_t before = g->len;
    size_t taken = MIN(len, sizeof g->line - before);
    uint32_t number = 0;
    size_t used = 0;

    memcpy(g->line + before, data, taken);
    g->len += taken;
    hub->busy++;
    switch (hybrid_parse_line("CONNECT", g->line, g->len, &number, &used)) {
    case HYBRID_MORE: break;
    case HYBRID_BAD: stream_close(greeting_free(g)); break;
    case HYBRID_DONE: greeting_done(g, number, data + used - before, len - (used - before)); break;
    }
    hub_leave(hub);
}

static void greeting_on_eof(void *ctx)
{
    stream_close(greeting_free(ctx));
}

static void greeting_on_error(void *ctx, enum status why)
{
    stream_close(greeting_free(ctx));
}

static void greeting_on_deadline(void *ctx)
{
    stream_close(greeting_free(ctx));
}

static const struct stream_handler greeting_handler = {
    .on_data = greeting_on_data,
    .on_eof = greeting_on_eof,
    .on_error = greeting_on_error,
};

/* ---- hub ------------------------------------------------------------------------------- */

static void hub_on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct hybrid_hub *hub = ctx;
    struct greeting *g = NULL;

    if (hub->greeting_count < GREETINGS_MAX)
        g = calloc(1, sizeof *g);
    if (!g) {
        log_warn_limited(LOG_PORT, "hybrid socket: %u clients have not said their port, closing",
                         hub->greeting_count);
        stream_close(s);
        return;
    }
    g->hub = hub;
    g->stream = s;
    g->peer = *peer;
    g->peer.is_vsock = true;
    g->peer.has_cid = true;
    g->peer.cid = ADDR_CID_HOST; /* who can open the hypervisor's socket is the host */
    list_append(&hub->greetings, &g->link);
    hub->greeting_count++;
    timer_init(&g->deadline, hub->loop, greeting_on_deadline, g);
    timer_start(&g->deadline, GREETING_TIMEOUT_MS);
    stream_set_handler(s, &greeting_handler, g);
    stream_read_start(s);
}

static void hub_on_state(void *ctx, enum status st, const struct errmsg *why)
{
    struct hybrid_hub *hub = ctx;
    struct list told;

    /* Each port moves to the back before it is told, so that closing any of them is harmless. */
    list_init(&told);
    hub->busy++;
    while (!list_is_empty(&hub->ports)) {
        struct hybrid_port *p = container_of(hub->ports.next, struct hybrid_port, link);

        list_remove(&p->link);
        list_append(&told, &p->link);
        if (p->base.handler->on_state)
            p->base.handler->on_state(p->base.ctx, st, why);
    }
    while (!list_is_empty(&told)) {
        struct list *first = told.next;

        list_remove(first);
        list_append(&hub->ports, first);
    }
    hub_leave(hub);
}

static const struct listener_handler hub_handler = {
    .on_accept = hub_on_accept,
    .on_state = hub_on_state,
};

static void hub_close(struct hybrid_hub *hub)
{
    struct list *it, *tmp;

    hub->busy++;
    list_remove(&hub->link);
    list_for_each(it, tmp, &hub->greetings)
    {
        stream_close(greeting_free(container_of(it, struct greeting, link)));
    }
    listener_close(hub->listener);
    hub->listener = NULL;
    hub_leave(hub);
}

static struct hybrid_hub *hub_find(struct loop *loop, const struct addr *at)
{
    struct list *hubs = &loop_uv_of(loop)->hybrid_hubs;
    struct list *it, *tmp;

    list_for_each(it, tmp, hubs)
    {
        struct hybrid_hub *hub = container_of(it, struct hybrid_hub, link);

        if (addr_equal(&hub->at, at))
            return hub;
    }
    return NULL;
}

static enum status hub_open(struct loop *loop, struct hybrid_hub **out, const struct addr *at,
                            const struct listener_opts *opts, struct errmsg *e)
{
    struct hybrid_hub *hub = calloc(1, sizeof *hub);
    struct addr below = *at;
    enum status st;

    if (!hub) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    below.kind = at->kind == ADDR_VSOCK_HYBRID ? ADDR_UNIX : ADDR_TCP;
    hub->loop = loop;
    hub->at = *at;
    hub->next_number = FIRST_PEER_NUMBER;
    list_init(&hub->ports);
    list_init(&hub->greetings);
    st = listener_open(loop, &hub->listener, &below, opts, &hub_handler, hub, e);
    if (st) {
        free(hub);
        return st;
    }
    list_append(&loop_uv_of(loop)->hybrid_hubs, &hub->link);
    *out = hub;
    return ST_OK;
}

/* ---- ports ----------------------------------------------------------------------------- */

static void hub_update_pause(struct hybrid_hub *hub)
{
    struct list *it, *tmp;
    bool all = true;

    list_for_each(it, tmp, &hub->ports)
    {
        all = all && container_of(it, struct hybrid_port, link)->paused;
    }
    if (all)
        listener_pause(hub->listener);
    else
        listener_resume(hub->listener);
}

static void hybrid_port_pause(struct listener *l)
{
    struct hybrid_port *p = container_of(l, struct hybrid_port, base);

    p->paused = true;
    hub_update_pause(p->hub);
}

static void hybrid_port_resume(struct listener *l)
{
    struct hybrid_port *p = container_of(l, struct hybrid_port, base);

    p->paused = false;
    hub_update_pause(p->hub);
}

static void hybrid_port_close(struct listener *l)
{
    struct hybrid_port *p = container_of(l, struct hybrid_port, base);
    struct hybrid_hub *hub = p->hub;

    list_remove(&p->link);
    free(p);
    if (--hub->port_count == 0)
        hub_close(hub);
}

static const struct listener_ops hybrid_port_ops = {
    .pause = hybrid_port_pause,
    .resume = hybrid_port_resume,
    .close = hybrid_port_close,
};

enum status hybrid_listen(struct loop *loop, struct listener **out, const struct addr *at,
                          const struct listener_opts *opts, const struct listener_handler *handler,
                          void *ctx, struct errmsg *e)
{
    struct addr place = addr_at_port(at, ADDR_PORT_NONE);
    struct hybrid_hub *hub = hub_find(loop, &place);
    struct hybrid_port *p;
    enum status st;

    if (at->port == ADDR_PORT_NONE) {
        errmsg_set(e, "listen at \"%s\": a port is missing", at->path);
        return ST_INVAL;
    }
    if (hub && hub_find_port(hub, at->port)) {
        errmsg_set(e, "port %u of \"%s\" is taken by this process", at->port, at->path);
        return ST_EXISTS;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    if (!hub) {
        st = hub_open(loop, &hub, &place, opts, e);
        if (st) {
            free(p);
            return st;
        }
    }
    p->base.ops = &hybrid_port_ops;
    p->base.handler = handler;
    p->base.ctx = ctx;
    p->hub = hub;
    p->port = at->port;
    list_append(&hub->ports, &p->link);
    hub->port_count++;
    hub_update_pause(hub);
    *out = &p->base;
    return ST_OK;
}
