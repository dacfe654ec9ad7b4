/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: DIALLING --connected--> ASKING --head--> READING --answer's end--> over. The dial has its
 * own bound; the timer bounds the rest, and stops at the head of an answer that is endless.
 * Whatever happens, finish() is the only way out and reports once. A dial that cannot even be
 * started reports from the loop as well: the timer is used for it.
 */
#include "http/http_get.h"

#include "http/http_message.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEAD_MAX_BYTES = 1024 };

struct http_get {
    struct loop *loop; /* borrowed */
    const struct http_get_handler *handler;
    void *ctx;
    struct addr at;
    uint32_t answer_ms;
    bool is_endless;
    struct timer timer;
    struct dial *dial;          /* owned by the loop, ours to cancel */
    struct stream *stream;      /* owned */
    struct http_reader *reader; /* owned */
    unsigned status;            /* of the answer; 0 = no head yet */
    struct errmsg why_not_dialled;
    size_t head_bytes;
    char head[HEAD_MAX_BYTES]; /* of the question */
};

static void drop(struct http_get *g)
{
    timer_stop(&g->timer);
    dial_cancel(g->loop, g->dial);
    g->dial = NULL;
    stream_close(g->stream);
    g->stream = NULL;
}

static void finish(struct http_get *g, enum http_get_end why, const char *detail)
{
    drop(g);
    g->handler->on_end(g->ctx, why, g->status, detail);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void on_head(void *ctx, const struct http_head *head)
{
    struct http_get *g = ctx;

    g->status = head->status;
    if (g->is_endless)
        timer_stop(&g->timer);
    if (g->handler->on_head)
        g->handler->on_head(g->ctx, head->status);
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct http_get *g = ctx;

    g->handler->on_body(g->ctx, data, len_bytes);
}

static const struct http_handler http_handler = { .on_head = on_head, .on_body = on_body };

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct http_get *g = ctx;
    enum status st = http_reader_feed(g->reader, &data, &len_bytes);

    if (st == ST_OK)
        finish(g, HTTP_GET_DONE, "");
    else if (st != ST_QUEUED)
        finish(g, HTTP_GET_GARBLED,
               st == ST_FULL ? "the answer is too large" : "the answer is not HTTP");
}

static void on_eof(void *ctx)
{
    struct http_get *g = ctx;

    if (http_reader_end(g->reader) == ST_OK)
        finish(g, HTTP_GET_DONE, "");
    else
        finish(g, HTTP_GET_GARBLED, "the connection ended before the answer did");
}

static void on_error(void *ctx, enum status why)
{
    char detail[64];

    snprintf(detail, sizeof detail, "the connection broke: %s", status_text(why));
    finish(ctx, HTTP_GET_GARBLED, detail);
}

static const struct stream_handler stream_handler = { .on_data = on_data,
                                                      .on_eof = on_eof,
                                                      .on_error = on_error };

/* ---- the question ---------------------------------------------------------------------------- */

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct http_get *g = ctx;

    g->dial = NULL;
    if (st != ST_OK) {
        finish(g, HTTP_GET_UNREACHABLE, why->text);
        return;
    }
    g->stream = s;
    timer_start(&g->timer, g->answer_ms);
    stream_set_handler(s, &stream_handler, g);
    stream_read_start(s);
    st = stream_write(s, g->head, g->head_bytes);
    if (st != ST_OK && st != ST_QUEUED)
        finish(g, HTTP_GET_GARBLED, status_text(st));
}

static void on_timer(void *ctx)
{
    struct http_get *g = ctx;

    if (g->stream)
        finish(g, HTTP_GET_SILENT, "no answer in time");
    else
        finish(g, HTTP_GET_UNREACHABLE, g->why_not_dialled.text);
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status prepare(struct http_get *g, const struct http_get_config *config)
{
    g->head_bytes = http_format_request_head(g->head, sizeof g->head, "GET", config->target,
                                             config->host, "Connection: close\r\n");
    if (g->head_bytes >= sizeof g->head)
        return ST_INVAL;
    return http_reader_new(&g->reader, HTTP_KIND_RESPONSE, config->max_body_bytes, &http_handler,
                           g);
}

enum status http_get_start(struct http_get **out, struct loop *loop,
                           const struct http_get_config *config,
                           const struct http_get_handler *handler, void *ctx)
{
    struct http_get *g = calloc(1, sizeof *g);
    enum status st;

    if (!g)
        return ST_NOMEM;
    g->loop = loop;
    g->handler = handler;
    g->ctx = ctx;
    g->at = *config->at;
    g->answer_ms = config->answer_ms;
    g->is_endless = config->is_endless;
    timer_init(&g->timer, loop, on_timer, g);
    st = prepare(g, config);
    if (st != ST_OK) {
        free(g);
        return st;
    }
    if (dial_start(loop, &g->dial, &g->at, config->dial_ms, on_dialled, g, &g->why_not_dialled)) {
        g->dial = NULL;
        timer_start(&g->timer, 0);
    }
    *out = g;
    return ST_OK;
}

void http_get_free(struct http_get *g)
{
    if (!g)
        return;
    drop(g);
    http_reader_free(g->reader);
    free(g);
}
