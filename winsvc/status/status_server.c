/* SPDX-License-Identifier: Apache-2.0
 * THEORY: at the cap the connection that has been longest in its state makes room for the new one,
 * so that clients which hold connections and do nothing with them cannot lock a reader out. Waiters
 * (long polls, event streams) do nothing by nature and are spared; they may be at most half of all.
 *
 * Waiters are woken together: at once when the owner says that something changed, but not more
 * often than a text may be rendered (100 ms), and every counter_ms for what only counts.
 */
#include "status/status_internal.h"

#include "base/log.h"
#include "port/addr.h"
#include "port/listener.h"
#include "port/stream.h"

#include <stdlib.h>

/* ---- waking ------------------------------------------------------------------------------ */

static void on_wake(void *ctx)
{
    struct status_server *s = ctx;
    struct status_body_view view;
    struct list *it, *tmp;
    bool not_modified;

    if (list_is_empty(&s->waiters))
        return;
    s->woke_ms = loop_now_ms(s->loop);
    timer_start(&s->wake, s->config.counter_ms);
    if (status_body_get(s->body, "*", s->woke_ms, &view, &not_modified) != ST_OK)
        return;
    list_for_each(it, tmp, &s->waiters) conn_wake(container_of(it, struct conn, link), &view);
}

void status_server_waits(struct status_server *s)
{
    if (!timer_is_running(&s->wake))
        timer_start(&s->wake, s->config.counter_ms);
}

void status_server_changed(struct status_server *s)
{
    uint64_t now_ms = loop_now_ms(s->loop), earliest_ms = s->woke_ms + STATUS_BODY_MIN_AGE_MS;

    status_body_changed(s->body);
    if (!list_is_empty(&s->waiters))
        timer_start(&s->wake, earliest_ms > now_ms ? (uint32_t)(earliest_ms - now_ms) : 0);
}

/* ---- accepting --------------------------------------------------------------------------- */

static void on_accept(void *ctx, struct stream *stream, const struct peer *peer)
{
    struct status_server *s = ctx;

    if (s->stats.active >= s->config.max_connections) {
        log_warn_limited(LOG_STATUS, "%u readers at once: the longest idle one is closed",
                         s->stats.active);
        ASSERT(!list_is_empty(&s->conns));
        s->stats.evicted++;
        conn_close(container_of(s->conns.next, struct conn, link));
    }
    conn_open(s, stream);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    if (st == ST_OK)
        log_limited(LOG_INFO, LOG_STATUS, "accepting status readers");
    else
        log_warn_limited(LOG_STATUS, "not accepting status readers: %s",
                         why && why->text[0] ? why->text : status_text(st));
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_state = on_listener_state,
};

/* ---- life ------------------------------------------------------------------------------ */

static void set_defaults(struct status_server_config *c)
{
    if (!c->max_connections)
        c->max_connections = 128;
    if (!c->header_timeout_ms)
        c->header_timeout_ms = 5000;
    if (!c->idle_timeout_ms)
        c->idle_timeout_ms = 60000;
    if (!c->write_timeout_ms)
        c->write_timeout_ms = 10000;
    if (!c->counter_ms)
        c->counter_ms = 5000;
    if (c->listen.adopt_fd <= 0)
        c->listen.adopt_fd = -1;
    /* HTTP has its own lengths, and Node reads byte-mode pipes only. */
    c->listen.byte_mode = true;
}

enum status status_server_new(struct status_server **out, struct loop *loop, const struct addr *at,
                              const struct status_server_config *config,
                              const struct status_server_ops *ops, void *ctx, struct errmsg *e)
{
    struct status_server *s = calloc(1, sizeof *s);
    enum status st;

    if (!s) {
        errmsg_set(e, "out of memory");
        return ST_NOMEM;
    }
    s->loop = loop;
    list_init(&s->conns);
    list_init(&s->waiters);
    timer_init(&s->wake, loop, on_wake, s);
    if (config)
        s->config = *config;
    set_defaults(&s->config);
    st = status_body_new(&s->body, s->config.counter_ms, ops->fill, ctx);
    if (st)
        errmsg_set(e, "out of memory");
    else
        st = listener_open(loop, &s->listener, at, &s->config.listen, &listener_handler, s, e);
    if (st) {
        status_body_free(s->body);
        free(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

static void close_all(struct status_server *s)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->conns) conn_close(container_of(it, struct conn, link));
    list_for_each(it, tmp, &s->waiters) conn_close(container_of(it, struct conn, link));
}

enum status status_server_regrant(struct status_server *s, const char *sddl, bool revokes,
                                  struct errmsg *e)
{
    enum status st = listener_regrant(s->listener, sddl, e);

    if (revokes)
        close_all(s);
    return st;
}

enum status status_server_view(struct status_server *s, struct status_body_view *out)
{
    bool not_modified;

    return status_body_get(s->body, NULL, loop_now_ms(s->loop), out, &not_modified);
}

void status_server_stats(const struct status_server *s, struct status_server_stats *out)
{
    *out = s->stats;
    out->renders = status_body_renders(s->body);
}

void status_server_free(struct status_server *s)
{
    if (!s)
        return;
    timer_stop(&s->wake);
    listener_close(s->listener);
    close_all(s);
    status_body_free(s->body);
    free(s);
}
