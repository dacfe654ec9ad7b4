/* SPDX-License-Identifier: Apache-2.0
 * THEORY: each connection is in one of six states, and each state has a deadline.
 *
 *              first byte            message complete        all of the answer is out
 *   IDLE ---------------------> HEAD -----------------> WRITING ------------------> IDLE
 *   60 s (the first: 5 s)       5 s in all    |         10 s     ^                    |
 *                                |            +--> WAITING ------'                    |
 *                                |            |    ?wait=, then 304                   |
 *                                |            +--> EVENTS                             |
 *                                |                 heartbeat 15 s; one unsent 10 s    |
 *                                |  not HTTP, too large       last answer             |
 *                                +--> 400, 413, 431 ---> LINGER <--- Connection: close+
 *                                                        1 s: our direction is ended, what still
 *                                                        comes is thrown away
 *
 * One answer at a time: while an answer is queued or waited for the connection is not read, and
 * what was already read of pipelined requests is put back into the stream. So a connection never
 * holds more than one answer and one read, however fast it asks and however slowly it reads; the
 * cap on connections bounds the sum. The same for events: while one is on its way no other is
 * queued, and when it is out the reader gets the state of then, not all that it missed: each event
 * is the whole status. That is also why an event id needs no history to resume from.
 *
 * Our direction ends before the connection is closed, because closing a socket with unread input
 * turns an answer that is still on its way into a reset.
 *
 * Nothing here changes anything: the only input that matters is the path, the method, one header;
 * and where there is a gate, what tells who asks. All answers there say that they are nobody
 * else's: not to be kept, framed, guessed at or handed on; and no CORS header, so no other page
 * reads them.
 */
#include "status/status_internal.h"

#include "base/log.h"
#include "http/http_message.h"
#include "page/page.h"
#include "port/stream.h"
#include "status/health_check.h"
#include "status/metrics.h"
#include "status/snapshot.h"
#include "status/status_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 4096, /* of a request: read and ignored up to here */
    HEAD_MAX = 2048, /* of an answer */
    LINGER_MS = 1000,
    HEARTBEAT_MS = 15000,
    EVENT_HEAD_MAX = STATUS_ETAG_MAX + 64
};

static const char json_type[] = "application/json";

/* ---- states ------------------------------------------------------------------------------ */

void conn_close(struct conn *c)
{
    timer_stop(&c->deadline);
    list_remove(&c->link);
    c->server->stats.active--;
    if (c->state == CONN_WAITING || c->state == CONN_EVENTS)
        c->server->stats.waiting--;
    stream_close(c->stream);
    http_reader_free(c->reader);
    free(c);
}

static bool is_waiter(enum conn_state s)
{
    return s == CONN_WAITING || s == CONN_EVENTS;
}

/* Moves to the end of its list, so that the head is who has been longest in its state. */
static void enter(struct conn *c, enum conn_state state, uint32_t ms)
{
    struct status_server *s = c->server;

    s->stats.waiting += is_waiter(state);
    s->stats.waiting -= is_waiter(c->state);
    c->state = state;
    list_remove(&c->link);
    list_append(is_waiter(state) ? &s->waiters : &s->conns, &c->link);
    timer_start(&c->deadline, ms);
}

/* No more answers: end our direction, throw away what comes. The caller returns to the loop. */
static void linger(struct conn *c)
{
    if (c->ended || stream_shutdown(c->stream) != ST_OK) {
        conn_close(c);
        return;
    }
    enter(c, CONN_LINGER, LINGER_MS);
    stream_read_start(c->stream);
}

/* The answer is out. False when it was the last one; the connection may be gone then. */
static bool answered(struct conn *c)
{
    if (!c->request.keep_alive || c->ended) {
        linger(c);
        return false;
    }
    enter(c, CONN_IDLE, c->server->config.idle_timeout_ms);
    return true;
}

/* ---- answers ----------------------------------------------------------------------------- */

static const char *explain(unsigned answer)
{
    switch (answer) {
    case 400: return "{\"message\":\"this is not a request that makes sense here\"}\n";
    case 401: return "{\"message\":\"this takes the token: rdlink page prints the address\"}\n";
    case 403: return "{\"message\":\"not for pages of other sites\"}\n";
    case 404: return "{\"message\":\"not found: the status is at /v1/status\"}\n";
    case 405: return "{\"message\":\"the status is read-only: use GET or HEAD\"}\n";
    case 413: return "{\"message\":\"the request's body is too large\"}\n";
    case 421: return "{\"message\":\"this is not the host that was asked for\"}\n";
    case 431: return "{\"message\":\"the request's headers are too large\"}\n";
    default: return "{\"message\":\"too many readers, or out of memory: try again\"}\n";
    }
}

/* What a stream_write() came to. False when the connection is gone. */
static bool written(struct conn *c, enum status st)
{
    if (st == ST_QUEUED) {
        stream_read_stop(c->stream);
        enter(c, CONN_WRITING, c->server->config.write_timeout_ms);
        return true;
    }
    if (st != ST_OK) {
        conn_close(c);
        return false;
    }
    return true;
}

/* What keeps a browser from doing more with an answer than showing it. */
static const char *guard_lines(const struct conn *c)
{
    static const char lines[] = "X-Frame-Options: DENY\r\n"
                                "X-Content-Type-Options: nosniff\r\n"
                                "Referrer-Policy: no-referrer\r\n"
                                "Cross-Origin-Resource-Policy: same-origin\r\n"
                                "Cross-Origin-Opener-Policy: same-origin\r\n";

    return c->server->config.gate ? lines : "";
}

/* Ours alone where there is a gate; elsewhere a reader may keep it and ask whether it still holds.
 */
static const char *cache_line(const struct conn *c)
{
    return c->server->config.gate ? "Cache-Control: no-store\r\n" : "Cache-Control: no-cache\r\n";
}

/* Sends head and body. False when the connection is gone. */
static bool send_answer(struct conn *c, unsigned answer, const char *type, const char *body,
                        size_t len_bytes, const char *extra)
{
    char head[HEAD_MAX], lines[HEAD_MAX - HEAD_MAX / 8];
    size_t head_len;
    enum status st;

    snprintf(lines, sizeof lines, "%s%s%sConnection: %s\r\n", extra, cache_line(c), guard_lines(c),
             c->request.keep_alive ? "keep-alive" : "close");
    head_len = http_format_response_head(head, sizeof head, answer, type, len_bytes, lines);
    ASSERT(head_len < sizeof head);
    st = stream_write(c->stream, head, head_len);
    if ((st == ST_OK || st == ST_QUEUED) && !c->request.head_only && answer != 304)
        st = stream_write(c->stream, body, len_bytes);
    return written(c, st);
}

static const char *error_line(unsigned answer)
{
    switch (answer) {
    case 401: return "WWW-Authenticate: Bearer realm=\"rdlink\"\r\n";
    case 405: return "Allow: GET, HEAD\r\n";
    default: return "";
    }
}

static bool send_error(struct conn *c, unsigned answer)
{
    const char *text = explain(answer);

    if (answer >= 400 && answer < 500)
        c->server->stats.rejected++;
    return send_answer(c, answer, json_type, text, strlen(text), error_line(answer));
}

static bool send_status(struct conn *c, const struct status_body_view *view, bool not_modified)
{
    char extra[128];

    if (not_modified)
        c->server->stats.not_modified++;
    snprintf(extra, sizeof extra, "ETag: %s\r\n", view->etag);
    return send_answer(c, not_modified ? 304 : 200, json_type, view->text, view->len_bytes, extra);
}

static bool send_metrics(struct conn *c)
{
    struct status_server_stats readers;
    char *text;
    size_t len;
    bool lives;

    status_server_stats(c->server, &readers);
    if (metrics_render(status_body_snapshot(c->server->body), &readers, &text, &len) != ST_OK)
        return send_error(c, 503);
    lives = send_answer(c, 200, METRICS_CONTENT_TYPE, text, len, "");
    free(text);
    return lives;
}

/* /healthz: this program answers. /readyz: what it is for works, or why not. */
static bool send_health(struct conn *c)
{
    const struct snapshot *s = status_body_snapshot(c->server->body);
    const struct condition *ready = condition_find(&s->conditions, "Ready");
    bool is_good = c->request.resource == STATUS_RESOURCE_HEALTHZ || s->ready;
    char text[SNAPSHOT_TEXT_MAX * 2];
    int n;

    if (is_good)
        n = snprintf(text, sizeof text, "ok\n");
    else
        n = snprintf(text, sizeof text, "%s: %s\n", ready ? ready->reason : "Starting",
                     ready ? ready->message : "nothing is known yet");
    return send_answer(c, is_good ? 200 : 503, "text/plain; charset=utf-8", text,
                       MIN((size_t)n, sizeof text - 1), "");
}

static bool send_diagnostics(struct conn *c)
{
    char *text;
    size_t len;
    bool lives;

    if (status_json_render_diagnostics(status_body_snapshot(c->server->body), &text, &len) != ST_OK)
        return send_error(c, 503);
    lives = send_answer(c, 200, json_type, text, len, "");
    status_json_free(text);
    return lives;
}

/* ---- gRPC's health ----------------------------------------------------------------------- */

static enum health_state health_now(const struct conn *c)
{
    return health_check(status_body_snapshot(c->server->body), c->request.service);
}

/* gRPC's Check: a service that is not there is NOT_FOUND (5), not a state. */
static bool send_check(struct conn *c)
{
    enum health_state state = health_now(c);
    char text[64];
    int n;

    if (state == HEALTH_SERVICE_UNKNOWN)
        n = snprintf(text, sizeof text, "{\"code\":5,\"message\":\"unknown service\"}\n");
    else
        n = snprintf(text, sizeof text, "{\"status\":%u}\n", (unsigned)state);
    return send_answer(c, state == HEALTH_SERVICE_UNKNOWN ? 404 : 200, json_type, text, (size_t)n,
                       "");
}

/* It holds nothing but itself, so that it takes no token: a browser could not send one with it. */
static bool send_page(struct conn *c)
{
    char line[HEAD_MAX / 2];
    const char *text;
    size_t len_bytes;

    text = page_text(&len_bytes);
    snprintf(line, sizeof line, "Content-Security-Policy: %s; frame-ancestors 'none'\r\n",
             page_policy());
    return send_answer(c, 200, "text/html; charset=utf-8", text, len_bytes, line);
}

/* ---- waiting ----------------------------------------------------------------------------- */

/* A reader with ?since= or If-None-Match that has the present text, and time to wait for the next.
 */
static bool may_wait(const struct conn *c, const struct status_body_view *view)
{
    const struct status_request *r = &c->request;

    if (!r->wait_ms || c->server->stats.waiting >= c->server->config.max_connections / 2)
        return false;
    return r->has_since ? r->since == view->generation
                        : r->tag[0] && status_etag_matches(r->tag, view->etag);
}

static bool begin_wait(struct conn *c, const struct status_body_view *view)
{
    c->seen = view->generation;
    enter(c, CONN_WAITING, c->request.wait_ms);
    status_server_waits(c->server);
    return true;
}

/* What a stream_write() of events came to. False when the connection is gone. */
static bool event_written(struct conn *c, enum status st)
{
    if (st != ST_OK && st != ST_QUEUED) {
        conn_close(c);
        return false;
    }
    c->has_unsent = st == ST_QUEUED;
    timer_start(&c->deadline, c->has_unsent ? c->server->config.write_timeout_ms : HEARTBEAT_MS);
    return true;
}

/* gRPC's Watch: one message for each change of that service's state, of whichever generation. */
static bool send_health_event(struct conn *c, const struct status_body_view *view, bool is_first)
{
    enum health_state state = health_now(c);
    char text[64];
    int n;

    c->seen = view->generation;
    if (!is_first && state == c->told)
        return true;
    c->told = state;
    n = snprintf(text, sizeof text, "event: health\ndata: {\"status\":%u}\n\n", (unsigned)state);
    return event_written(c, stream_write(c->stream, text, (size_t)n));
}

/* The same text as the status, as one event. Its id is the tag without quotes. */
static bool send_event(struct conn *c, const struct status_body_view *view)
{
    char head[EVENT_HEAD_MAX];
    size_t tag_len = strlen(view->etag);
    size_t len = view->len_bytes;
    enum status st;
    int n = snprintf(head, sizeof head, "event: status\nid: %.*s\ndata: ", (int)(tag_len - 2),
                     view->etag + 1);

    while (len > 0 && view->text[len - 1] == '\n')
        len--; /* a newline would end the data */
    c->seen = view->generation;
    st = stream_write(c->stream, head, (size_t)n);
    if (st == ST_OK || st == ST_QUEUED)
        st = stream_write(c->stream, view->text, len);
    if (st == ST_OK || st == ST_QUEUED)
        st = stream_write(c->stream, "\n\n", 2);
    return event_written(c, st);
}

/* Reads on while events go out, to see the client's end. */
static bool begin_events(struct conn *c, const struct status_body_view *view)
{
    static const char retry[] = "retry: 1000\n\n";
    char head[HEAD_MAX];
    int head_len = snprintf(head, sizeof head,
                            "HTTP/1.1 200 OK\r\n"
                            "Content-Type: text/event-stream\r\n"
                            "%s%sConnection: close\r\n\r\n",
                            cache_line(c), guard_lines(c));
    size_t tag_len = strlen(view->etag) - 2;
    bool has_it =
        strlen(c->request.tag) == tag_len && !memcmp(c->request.tag, view->etag + 1, tag_len);
    enum status st;

    if (c->server->stats.waiting >= c->server->config.max_connections / 2)
        return send_error(c, 503);
    c->request.keep_alive = false;
    st = stream_write(c->stream, head, (size_t)head_len);
    if (c->request.head_only)
        return written(c, st);
    if (st == ST_OK || st == ST_QUEUED)
        st = stream_write(c->stream, retry, sizeof retry - 1);
    if (st != ST_OK && st != ST_QUEUED)
        return written(c, st);
    enter(c, CONN_EVENTS, HEARTBEAT_MS);
    status_server_waits(c->server);
    c->seen = view->generation;
    if (c->request.resource == STATUS_RESOURCE_HEALTH_WATCH)
        return send_health_event(c, view, true);
    return has_it || send_event(c, view);
}

/* The long poll has its answer; the next request may come. */
static void answer_wait(struct conn *c, const struct status_body_view *view)
{
    if (send_status(c, view, view->generation == c->seen) && c->state != CONN_WRITING &&
        answered(c))
        stream_read_start(c->stream);
}

void conn_wake(struct conn *c, const struct status_body_view *view)
{
    if (c->seen == view->generation)
        return;
    if (c->state != CONN_EVENTS)
        answer_wait(c, view);
    else if (c->has_unsent)
        return;
    else if (c->request.resource == STATUS_RESOURCE_HEALTH_WATCH)
        (void)send_health_event(c, view, false);
    else
        (void)send_event(c, view);
}

/* A comment shows a dead client, and keeps what is between alive. */
static void send_heartbeat(struct conn *c)
{
    (void)event_written(c, stream_write(c->stream, ":\n\n", 3));
}

static void end_wait(struct conn *c)
{
    struct status_body_view view;
    bool not_modified;

    if (status_body_get(c->server->body, NULL, loop_now_ms(c->server->loop), &view,
                        &not_modified)) {
        conn_close(c);
        return;
    }
    answer_wait(c, &view);
}

static void on_deadline(void *ctx)
{
    struct conn *c = ctx;

    if (c->state == CONN_WAITING) {
        end_wait(c);
        return;
    }
    if (c->state == CONN_EVENTS && !c->has_unsent) {
        send_heartbeat(c);
        return;
    }
    if (c->state != CONN_LINGER)
        c->server->stats.timed_out++;
    conn_close(c);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* False when the connection is gone. */
static bool send_resource(struct conn *c)
{
    const char *tag = c->request.tag[0] ? c->request.tag : NULL;
    struct status_body_view view;
    bool not_modified;

    if (c->request.resource == STATUS_RESOURCE_PAGE)
        return send_page(c);
    if (status_body_get(c->server->body, tag, loop_now_ms(c->server->loop), &view, &not_modified))
        return send_error(c, 503);
    switch (c->request.resource) {
    case STATUS_RESOURCE_EVENTS:
    case STATUS_RESOURCE_HEALTH_WATCH: return begin_events(c, &view);
    case STATUS_RESOURCE_DIAGNOSTICS: return send_diagnostics(c);
    case STATUS_RESOURCE_HEALTH: return send_check(c);
    case STATUS_RESOURCE_METRICS: return send_metrics(c);
    case STATUS_RESOURCE_HEALTHZ:
    case STATUS_RESOURCE_READYZ: return send_health(c);
    default: break;
    }
    if (may_wait(c, &view))
        return begin_wait(c, &view);
    return send_status(c, &view, not_modified);
}

/* A message is complete. False when the connection is gone or takes no more messages. */
static bool answer(struct conn *c)
{
    c->has_head = false;
    c->server->stats.requests++;
    if (!(c->answer == 200 ? send_resource(c) : send_error(c, c->answer)))
        return false;
    return c->state == CONN_WRITING || is_waiter(c->state) || answered(c);
}

/* 200, or the HTTP status of the refusal. */
static unsigned admit(const struct status_gate *gate, struct status_request *r,
                      const struct http_head *head)
{
    unsigned answer = status_route(r, head), origin;
    bool is_page = r->resource == STATUS_RESOURCE_PAGE && (answer == 200 || answer == 405);

    if (!gate)
        return is_page ? 404 : answer;
    origin = status_gate_origin(gate, head);
    if (origin != 200)
        return origin;
    return is_page || status_gate_token(gate, head) == 200 ? answer : 401;
}

static void on_head(void *ctx, const struct http_head *head)
{
    struct conn *c = ctx;

    c->has_head = true;
    c->answer = admit(c->server->config.gate, &c->request, head);
}

static const struct http_handler http_handler = { .on_head = on_head };

/* The reader is dead: say why, and let no more messages come. */
static void reject(struct conn *c, enum status why)
{
    unsigned status = why == ST_FULL ? (c->has_head ? 413 : 431) : 400;

    c->request.keep_alive = false;
    c->request.head_only = c->request.head_only && c->has_head;
    if (send_error(c, status) && c->state != CONN_WRITING)
        linger(c);
}

/* Pipelined requests that came while an answer is still queued wait in the stream. */
static void put_back(struct conn *c, const uint8_t *data, size_t len_bytes)
{
    if (!c->request.keep_alive)
        return;
    stream_read_stop(c->stream);
    if (stream_unread(c->stream, data, len_bytes) != ST_OK)
        conn_close(c);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct conn *c = ctx;
    enum status st;

    if (c->state == CONN_LINGER || c->state == CONN_EVENTS)
        return;
    while (len_bytes > 0 && c->state != CONN_WRITING && !is_waiter(c->state)) {
        if (c->state == CONN_IDLE)
            enter(c, CONN_HEAD, c->server->config.header_timeout_ms);
        st = http_reader_feed(c->reader, &data, &len_bytes);
        if (st == ST_QUEUED)
            return;
        if (st != ST_OK) {
            reject(c, st);
            return;
        }
        if (!answer(c))
            return;
    }
    if (len_bytes > 0)
        put_back(c, data, len_bytes);
}

/* The client ended its direction; an answer that is on its way still gets there. */
static void on_eof(void *ctx)
{
    struct conn *c = ctx;

    c->ended = true;
    if (c->state != CONN_WRITING)
        conn_close(c);
}

/* What a reader missed while it did not read is in the present state. */
static void on_event_out(struct conn *c)
{
    struct status_body_view view;
    bool not_modified;

    c->has_unsent = false;
    timer_start(&c->deadline, HEARTBEAT_MS);
    if (status_body_get(c->server->body, NULL, loop_now_ms(c->server->loop), &view,
                        &not_modified) == ST_OK)
        conn_wake(c, &view);
}

static void on_drained(void *ctx)
{
    struct conn *c = ctx;

    if (c->state == CONN_EVENTS)
        on_event_out(c);
    else if (c->state == CONN_WRITING && answered(c))
        stream_read_start(c->stream);
}

static void on_error(void *ctx, enum status why)
{
    conn_close(ctx);
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

void conn_open(struct status_server *server, struct stream *s)
{
    struct conn *c = calloc(1, sizeof *c);

    if (!c || http_reader_new(&c->reader, HTTP_KIND_REQUEST, BODY_MAX, &http_handler, c) != ST_OK) {
        log_warn_limited(LOG_STATUS, "%s for a reader of the status", status_text(ST_NOMEM));
        free(c);
        stream_close(s);
        return;
    }
    c->server = server;
    c->stream = s;
    c->state = CONN_IDLE;
    server->stats.connections++;
    server->stats.active++;
    list_append(&server->conns, &c->link);
    timer_init(&c->deadline, server->loop, on_deadline, c);
    timer_start(&c->deadline, server->config.header_timeout_ms);
    stream_set_handler(s, &stream_handler, c);
    stream_read_start(s);
}
