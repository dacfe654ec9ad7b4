/* SPDX-License-Identifier: Apache-2.0
 * THEORY: each connection is in one of four states, and each state has a deadline.
 *
 *              first byte            message complete        all of the answer is out
 *   IDLE ---------------------> HEAD -----------------> WRITING ------------------> IDLE
 *   60 s (the first: 5 s)       5 s in all              10 s                          |
 *                                |  not HTTP, too large       last answer             |
 *                                +--> 400, 413, 431 ---> LINGER <--- Connection: close+
 *                                                        1 s: our direction is ended, what still
 *                                                        comes is thrown away
 *
 * One answer at a time: while an answer is queued the connection is not read, and what was already
 * read of pipelined requests is put back into the stream. So a connection never holds more than one
 * answer and one read, however fast it asks and however slowly it reads; the cap on connections
 * bounds the sum. Beyond the cap a client gets 503 from http/refusal, beyond that it is closed.
 *
 * Our direction ends before the connection is closed, because closing a socket with unread input
 * turns an answer that is still on its way into a reset.
 *
 * Nothing here changes anything: the only input that matters is the path, the method, one header.
 */
#include "status/status_server.h"

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "http/http_message.h"
#include "http/refusal.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"
#include "status/status_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 4096, /* of a request: read and ignored up to here */
    HEAD_MAX = 512,  /* of an answer */
    LINGER_MS = 1000,
    REFUSALS_MAX = 16
};

enum connection_state { CONNECTION_IDLE, CONNECTION_HEAD, CONNECTION_WRITING, CONNECTION_LINGER };

struct connection {
    struct list link; /* on server->connections */
    struct status_server *server;
    struct stream *stream;      /* owned */
    struct http_reader *reader; /* owned */
    struct timer deadline;
    enum connection_state state;
    bool ended; /* the client sends no more */

    /* what the message that is being read asks for */
    bool has_head;
    unsigned answer; /* HTTP status; 200 also stands for 304, decided when it is sent */
    bool head_only;
    bool keep_alive;
    char if_none_match[256];
    bool has_tag;
};

struct refusing {
    struct status_server *server;
    struct refusal *refusal; /* borrowed until done; NULL = free */
};

struct status_server {
    struct loop *loop; /* borrowed */
    struct status_server_config config;
    struct listener *listener; /* owned */
    struct status_body *body;  /* owned */
    struct list connections;
    struct refusing refusing[REFUSALS_MAX];
    struct status_server_stats stats;
};

/* ---- connections ----------------------------------------------------------------------- */

static void connection_close(struct connection *c)
{
    timer_stop(&c->deadline);
    list_remove(&c->link);
    c->server->stats.active--;
    stream_close(c->stream);
    http_reader_free(c->reader);
    free(c);
}

static void connection_enter(struct connection *c, enum connection_state state, uint32_t ms)
{
    c->state = state;
    timer_start(&c->deadline, ms);
}

static void on_deadline(void *ctx)
{
    struct connection *c = ctx;

    if (c->state != CONNECTION_LINGER)
        c->server->stats.timed_out++;
    connection_close(c);
}

/* No more answers: end our direction, throw away what comes. The caller returns to the loop. */
static void connection_linger(struct connection *c)
{
    if (c->ended || stream_shutdown(c->stream) != ST_OK) {
        connection_close(c);
        return;
    }
    connection_enter(c, CONNECTION_LINGER, LINGER_MS);
    stream_read_start(c->stream);
}

/* The answer is out. False when it was the last one; the connection may be gone then. */
static bool connection_answered(struct connection *c)
{
    if (!c->keep_alive || c->ended) {
        connection_linger(c);
        return false;
    }
    connection_enter(c, CONNECTION_IDLE, c->server->config.idle_timeout_ms);
    return true;
}

/* ---- answers --------------------------------------------------------------------------- */

static const char *explain(unsigned answer)
{
    switch (answer) {
    case 400: return "{\"message\":\"this is not an HTTP request\"}\n";
    case 404: return "{\"message\":\"not found: the status is at /v1/status\"}\n";
    case 405: return "{\"message\":\"the status is read-only: use GET or HEAD\"}\n";
    case 413: return "{\"message\":\"the request's body is too large\"}\n";
    case 431: return "{\"message\":\"the request's headers are too large\"}\n";
    default: return "{\"message\":\"out of memory, try again\"}\n";
    }
}

/* Sends head and body. False when the connection is gone. */
static bool connection_send(struct connection *c, unsigned answer, const char *body,
                            size_t len_bytes, const char *extra)
{
    bool with_body = !c->head_only && answer != 304;
    char head[HEAD_MAX];
    size_t head_len =
        http_format_response_head(head, sizeof head, answer, "application/json", len_bytes, extra);
    enum status st;

    ASSERT(head_len < sizeof head);
    st = stream_write(c->stream, head, head_len);
    if ((st == ST_OK || st == ST_QUEUED) && with_body)
        st = stream_write(c->stream, body, len_bytes);
    if (st == ST_QUEUED) {
        stream_read_stop(c->stream);
        connection_enter(c, CONNECTION_WRITING, c->server->config.write_timeout_ms);
        return true;
    }
    if (st != ST_OK) {
        connection_close(c);
        return false;
    }
    return true;
}

static const char *connection_header(const struct connection *c)
{
    return c->keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
}

static bool connection_send_error(struct connection *c, unsigned answer)
{
    const char *text = explain(answer);
    char extra[128];

    if (answer >= 400 && answer < 500)
        c->server->stats.rejected++;
    snprintf(extra, sizeof extra, "%s%s", answer == 405 ? "Allow: GET, HEAD\r\n" : "",
             connection_header(c));
    return connection_send(c, answer, text, strlen(text), extra);
}

static bool connection_send_status(struct connection *c)
{
    struct status_server *s = c->server;
    struct status_body_view view;
    char extra[192];
    bool not_modified;

    if (status_body_get(s->body, c->has_tag ? c->if_none_match : NULL, loop_now_ms(s->loop), &view,
                        &not_modified))
        return connection_send_error(c, 503);
    if (not_modified)
        s->stats.not_modified++;
    snprintf(extra, sizeof extra, "ETag: %s\r\nCache-Control: no-cache\r\n%s", view.etag,
             connection_header(c));
    return connection_send(c, not_modified ? 304 : 200, view.text, view.len_bytes, extra);
}

/* A message is complete. False when the connection is gone or takes no more messages. */
static bool connection_answer(struct connection *c)
{
    c->has_head = false;
    c->server->stats.requests++;
    if (!(c->answer == 200 ? connection_send_status(c) : connection_send_error(c, c->answer)))
        return false;
    return c->state == CONNECTION_WRITING || connection_answered(c);
}

/* ---- requests -------------------------------------------------------------------------- */

static unsigned route(const struct http_head *head)
{
    static const char path[] = "/v1/status";
    const char *query;
    size_t len = http_target_path(head->target, &query);

    if (len != sizeof path - 1 || memcmp(head->target, path, len))
        return 404;
    if (strcmp(head->method, "GET") && strcmp(head->method, "HEAD"))
        return 405;
    return 200;
}

static void on_head(void *ctx, const struct http_head *head)
{
    struct connection *c = ctx;
    const char *tag = http_head_find(head, "If-None-Match");

    c->has_head = true;
    c->answer = route(head);
    c->head_only = !strcmp(head->method, "HEAD");
    c->keep_alive = head->keep_alive && !head->upgrade;
    /* One that does not fit cannot be ours: our tags are short, and lists are not for pollers. */
    c->has_tag = tag && strlen(tag) < sizeof c->if_none_match;
    if (c->has_tag)
        snprintf(c->if_none_match, sizeof c->if_none_match, "%s", tag);
}

static const struct http_handler http_handler = { .on_head = on_head };

/* The reader is dead: say why, and let no more messages come. */
static void connection_reject(struct connection *c, enum status why)
{
    unsigned answer = why == ST_FULL ? (c->has_head ? 413 : 431) : 400;

    c->keep_alive = false;
    c->head_only = c->head_only && c->has_head;
    if (connection_send_error(c, answer) && c->state != CONNECTION_WRITING)
        connection_linger(c);
}

/* Pipelined requests that came while an answer is still queued wait in the stream. */
static void connection_put_back(struct connection *c, const uint8_t *data, size_t len_bytes)
{
    if (c->keep_alive && stream_unread(c->stream, data, len_bytes) != ST_OK)
        connection_close(c);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct connection *c = ctx;
    enum status st;

    if (c->state == CONNECTION_LINGER)
        return;
    while (len_bytes > 0 && c->state != CONNECTION_WRITING) {
        if (c->state == CONNECTION_IDLE)
            connection_enter(c, CONNECTION_HEAD, c->server->config.header_timeout_ms);
        st = http_reader_feed(c->reader, &data, &len_bytes);
        if (st == ST_QUEUED)
            return;
        if (st != ST_OK) {
            connection_reject(c, st);
            return;
        }
        if (!connection_answer(c))
            return;
    }
    if (len_bytes > 0)
        connection_put_back(c, data, len_bytes);
}

/* The client ended its direction; an answer that is on its way still gets there. */
static void on_eof(void *ctx)
{
    struct connection *c = ctx;

    c->ended = true;
    if (c->state != CONNECTION_WRITING)
        connection_close(c);
}

static void on_drained(void *ctx)
{
    struct connection *c = ctx;

    if (c->state == CONNECTION_WRITING && connection_answered(c))
        stream_read_start(c->stream);
}

static void on_error(void *ctx, enum status why)
{
    (void)why;
    connection_close(ctx);
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

/* ---- accepting ------------------------------------------------------------------------- */

static void on_refused(void *ctx)
{
    struct refusing *r = ctx;

    r->refusal = NULL;
}

static void refuse(struct status_server *s, struct stream *stream)
{
    s->stats.refused++;
    for (unsigned i = 0; i < REFUSALS_MAX; i++) {
        struct refusing *r = &s->refusing[i];

        if (r->refusal)
            continue;
        if (refusal_start(&r->refusal, s->loop, stream, "too many status readers, try again",
                          on_refused, r) != ST_OK)
            r->refusal = NULL;
        return;
    }
    stream_close(stream);
}

static void on_accept(void *ctx, struct stream *stream, const struct peer *peer)
{
    struct status_server *s = ctx;
    struct connection *c;

    (void)peer;
    if (s->stats.active >= s->config.max_connections) {
        log_warn_limited(LOG_STATUS, "%u readers at once: refusing one more", s->stats.active);
        refuse(s, stream);
        return;
    }
    c = calloc(1, sizeof *c);
    if (!c || http_reader_new(&c->reader, HTTP_KIND_REQUEST, BODY_MAX, &http_handler, c) != ST_OK) {
        free(c);
        refuse(s, stream);
        return;
    }
    c->server = s;
    c->stream = stream;
    s->stats.connections++;
    s->stats.active++;
    list_append(&s->connections, &c->link);
    timer_init(&c->deadline, s->loop, on_deadline, c);
    connection_enter(c, CONNECTION_IDLE, s->config.header_timeout_ms);
    stream_set_handler(stream, &stream_handler, c);
    stream_read_start(stream);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    (void)ctx;
    if (st == ST_OK)
        log_info(LOG_STATUS, "accepting status readers");
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
        c->max_connections = 64;
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
    list_init(&s->connections);
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

void status_server_changed(struct status_server *s)
{
    status_body_changed(s->body);
}

void status_server_stats(const struct status_server *s, struct status_server_stats *out)
{
    *out = s->stats;
    out->renders = status_body_renders(s->body);
}

void status_server_free(struct status_server *s)
{
    struct list *it, *tmp;

    if (!s)
        return;
    listener_close(s->listener);
    list_for_each(it, tmp, &s->connections)
        connection_close(container_of(it, struct connection, link));
    for (unsigned i = 0; i < REFUSALS_MAX; i++)
        refusal_abort(s->refusing[i].refusal);
    status_body_free(s->body);
    free(s);
}
