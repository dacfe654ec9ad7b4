/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: a client that cannot be served hears why at once, in words its own error path prints.
 *
 *     HEAD --request head complete--> answer, end of our direction --> LINGER --> close
 *      |  end, error, not HTTP, too large, HEAD_TIMEOUT_MS                |  end and all sent,
 *      +-----------------------------------------------------> close <---+  error, LINGER_MS
 *
 * Why linger: closing a socket with unread bytes in it makes the system send a reset, and a reset
 * overtakes the answer. So the request body is read and thrown away until the client ends its side
 * or LINGER_MS have passed; clients stop sending when they see the answer and "Connection: close".
 * Nothing is answered before the whole head is there: HEAD must get no body, and a peer that speaks
 * something else must not get HTTP.
 *
 * Memory: one of these and a reader per refused client; the forwarder bounds how many.
 */
#include "http/refusal.h"

#include "http/http_message.h"
#include "port/loop.h"
#include "port/stream.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_TIMEOUT_MS = 5000, LINGER_MS = 2000, ANSWER_HEAD_MAX = 256 };

struct refusal {
    struct stream *stream;      /* owned */
    struct http_reader *reader; /* owned */
    struct timer deadline;
    char *body; /* owned: the JSON text */
    void (*done)(void *ctx);
    void *ctx;
    bool head_complete, is_head_request; /* told by the reader */
    bool answered;
    bool peer_ended;
};

static void refusal_free(struct refusal *r)
{
    timer_stop(&r->deadline);
    http_reader_free(r->reader);
    stream_close(r->stream);
    cJSON_free(r->body);
    free(r);
}

static void finish(struct refusal *r)
{
    void (*done)(void *ctx) = r->done;
    void *ctx = r->ctx;

    refusal_free(r);
    if (done)
        done(ctx);
}

static void on_head(void *ctx, const struct http_head *head)
{
    struct refusal *r = ctx;

    r->head_complete = true;
    r->is_head_request = strcmp(head->method, "HEAD") == 0;
}

static const struct http_handler reader_handler = { .on_head = on_head };

/* False when the stream does not take it. */
static bool answer(struct refusal *r)
{
    char head[ANSWER_HEAD_MAX];
    size_t body_len = strlen(r->body);
    size_t head_len = http_format_response_head(head, sizeof head, 503, "application/json",
                                                body_len, "Connection: close\r\n");
    enum status st;

    ASSERT(head_len < sizeof head);
    r->answered = true;
    st = stream_write(r->stream, head, head_len);
    if ((st == ST_OK || st == ST_QUEUED) && !r->is_head_request)
        st = stream_write(r->stream, r->body, body_len);
    if (st == ST_OK || st == ST_QUEUED)
        st = stream_shutdown(r->stream);
    return st == ST_OK;
}

static void finish_if_all_said(struct refusal *r)
{
    if (r->answered && r->peer_ended && stream_queued_bytes(r->stream) == 0)
        finish(r);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct refusal *r = ctx;
    enum status st;

    if (r->answered)
        return;
    st = http_reader_feed(r->reader, &data, &len_bytes);
    if (!r->head_complete) {
        if (st != ST_QUEUED)
            finish(r);
        return;
    }
    if (!answer(r)) {
        finish(r);
        return;
    }
    timer_start(&r->deadline, LINGER_MS);
}

static void on_eof(void *ctx)
{
    struct refusal *r = ctx;

    r->peer_ended = true;
    if (!r->answered)
        finish(r);
    else
        finish_if_all_said(r);
}

static void on_drained(void *ctx)
{
    finish_if_all_said(ctx);
}

static void on_error(void *ctx, enum status why)
{
    finish(ctx);
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

static void on_deadline(void *ctx)
{
    finish(ctx);
}

/* {"message":"<why>"}, escaped; NULL without memory. Freed with cJSON_free(). */
static char *error_body(const char *why)
{
    cJSON *root = cJSON_CreateObject();
    char *text = NULL;

    if (root && cJSON_AddStringToObject(root, "message", why))
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

enum status refusal_start(struct refusal **out, struct loop *loop, struct stream *s,
                          const char *why, void (*done)(void *ctx), void *ctx)
{
    struct refusal *r = calloc(1, sizeof *r);

    if (!r) {
        stream_close(s);
        return ST_NOMEM;
    }
    timer_init(&r->deadline, loop, on_deadline, r);
    r->stream = s;
    r->done = done;
    r->ctx = ctx;
    r->body = error_body(why);
    if (!r->body || http_reader_new(&r->reader, HTTP_KIND_REQUEST, 0, &reader_handler, r)) {
        refusal_free(r);
        return ST_NOMEM;
    }
    stream_set_handler(s, &stream_handler, r);
    timer_start(&r->deadline, HEAD_TIMEOUT_MS);
    *out = r;
    stream_read_start(s);
    return ST_OK;
}

void refusal_abort(struct refusal *r)
{
    if (r)
        refusal_free(r);
}
