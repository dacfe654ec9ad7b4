/* SPDX-License-Identifier: Apache-2.0
 * dial -> request -> head -> body -> done, with one timer over all of it. Every way out goes
 * through finish(), which lets go of the stream first, so that the callee may free the client.
 */
#include "cli/http_client.h"

#include "base/text.h"
#include "base/util.h"
#include "http/http_message.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_client {
    struct loop *loop;          /* borrowed */
    struct dial *dial;          /* borrowed, NULL unless under way */
    struct stream *stream;      /* owned, NULL unless connected */
    struct http_reader *reader; /* owned */
    struct timer deadline;
    uint32_t timeout_ms;
    const char *method;
    char *target; /* owned */
    char *sent;   /* owned: the request's body; NULL = none */
    struct text body;
    unsigned status;           /* 0 before the head */
    http_client_sink_fn *sink; /* NULL: the body is kept */
    http_client_done_fn *done;
    void *ctx;
};

static void let_go(struct http_client *c)
{
    timer_stop(&c->deadline);
    dial_cancel(c->loop, c->dial);
    c->dial = NULL;
    stream_close(c->stream);
    c->stream = NULL;
}

static void finish(struct http_client *c, enum status st, const char *why)
{
    struct errmsg e;

    let_go(c);
    errmsg_set(&e, "%s", why && why[0] ? why : status_text(st));
    c->done(c->ctx, st, NULL, &e);
}

static void finish_ok(struct http_client *c)
{
    struct http_client_answer answer = { .status = c->status, .len_bytes = c->body.len_bytes };
    static const struct errmsg none;

    let_go(c);
    answer.body = c->body.chars ? c->body.chars : "";
    c->done(c->ctx, ST_OK, &answer, &none);
}

/* ---- the answer ------------------------------------------------------------------------ */

static void on_head(void *ctx, const struct http_head *head)
{
    struct http_client *c = ctx;

    c->status = head->status;
    if (c->sink)
        timer_stop(&c->deadline);
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct http_client *c = ctx;

    if (c->sink && c->status == 200)
        c->sink(c->ctx, data, len_bytes);
    else
        text_add(&c->body, data, len_bytes);
}

static const struct http_handler http_handler = { .on_head = on_head, .on_body = on_body };

/* What the reader said last, as an end of the request; ST_QUEUED means it is not the end. */
static void on_progress(struct http_client *c, enum status st)
{
    if (st == ST_QUEUED)
        return;
    if (c->body.failed)
        finish(c, ST_NOMEM, NULL);
    else if (st == ST_OK)
        finish_ok(c);
    else if (st == ST_FULL)
        finish(c, st, "the answer is too large");
    else
        finish(c, ST_PROTO, c->status ? "the answer was cut short" : "the answer is not HTTP");
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct http_client *c = ctx;

    on_progress(c, http_reader_feed(c->reader, &data, &len_bytes));
}

static void on_eof(void *ctx)
{
    struct http_client *c = ctx;

    on_progress(c, http_reader_end(c->reader));
}

static void on_drained(void *ctx)
{
    (void)ctx;
}

static void on_error(void *ctx, enum status why)
{
    finish(ctx, why, NULL);
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

/* ---- the request ----------------------------------------------------------------------- */

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct http_client *c = ctx;
    char head[1536], extra[160] = "";
    size_t sent_len = c->sent ? strlen(c->sent) : 0, len;

    c->dial = NULL;
    if (st) {
        finish(c, st, why ? why->text : NULL);
        return;
    }
    c->stream = s;
    stream_set_handler(s, &stream_handler, c);
    len =
        (size_t)snprintf(extra, sizeof extra, "Accept: application/json\r\nConnection: close\r\n");
    if (strcmp(c->method, "GET") != 0)
        snprintf(extra + len, sizeof extra - len,
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", sent_len);
    len = http_format_request_head(head, sizeof head, c->method, c->target, "localhost", extra);
    ASSERT(len < sizeof head);
    st = stream_write(s, head, len);
    if (sent_len && (st == ST_OK || st == ST_QUEUED))
        st = stream_write(s, c->sent, sent_len);
    if (st != ST_OK && st != ST_QUEUED) {
        finish(c, st, NULL);
        return;
    }
    stream_read_start(s);
}

static void on_deadline(void *ctx)
{
    struct http_client *c = ctx;
    struct errmsg e;

    errmsg_set(&e, "no answer within %u ms", c->timeout_ms);
    finish(c, ST_TIMEOUT, e.text);
}

/* Of @request what a caller says; the rest is set here. */
static enum status start(struct http_client **out, struct loop *loop, const struct addr *to,
                         const struct http_client *request, const char *target, const char *body,
                         struct errmsg *e)
{
    struct http_client *c = calloc(1, sizeof *c);
    enum status st = ST_NOMEM;

    if (!c)
        goto out;
    *c = *request;
    timer_init(&c->deadline, loop, on_deadline, c);
    c->loop = loop;
    c->target = strdup(target);
    c->sent = body ? strdup(body) : NULL;
    if (!c->target || (body && !c->sent))
        goto out;
    st = http_reader_new(&c->reader, HTTP_KIND_RESPONSE, c->sink ? 0 : HTTP_CLIENT_BODY_MAX,
                         &http_handler, c);
    if (st)
        goto out;
    st = dial_start(loop, &c->dial, to, c->timeout_ms, on_dialled, c, e);
    if (st)
        goto out;
    timer_start(&c->deadline, c->timeout_ms);
    *out = c;
    return ST_OK;
out:
    if (st == ST_NOMEM)
        errmsg_set(e, "out of memory");
    http_client_free(c);
    return st;
}

enum status http_client_stream(struct http_client **out, struct loop *loop, const struct addr *to,
                               const char *target, uint32_t timeout_ms, http_client_sink_fn *sink,
                               http_client_done_fn *done, void *ctx, struct errmsg *e)
{
    const struct http_client request = {
        .method = "GET", .timeout_ms = timeout_ms, .sink = sink, .done = done, .ctx = ctx
    };

    return start(out, loop, to, &request, target, NULL, e);
}

enum status http_client_get(struct http_client **out, struct loop *loop, const struct addr *to,
                            const char *target, uint32_t timeout_ms, http_client_done_fn *done,
                            void *ctx, struct errmsg *e)
{
    return http_client_stream(out, loop, to, target, timeout_ms, NULL, done, ctx, e);
}

enum status http_client_send(struct http_client **out, struct loop *loop, const struct addr *to,
                             const char *method, const char *target, const char *body,
                             uint32_t timeout_ms, http_client_done_fn *done, void *ctx,
                             struct errmsg *e)
{
    const struct http_client request = {
        .method = method, .timeout_ms = timeout_ms, .done = done, .ctx = ctx
    };

    if (body && strlen(body) > HTTP_CLIENT_SENT_MAX) {
        errmsg_set(e, "the request is too large");
        return ST_FULL;
    }
    return start(out, loop, to, &request, target, body, e);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    let_go(c);
    http_reader_free(c->reader);
    free(c->target);
    free(c->sent);
    text_fini(&c->body);
    free(c);
}
