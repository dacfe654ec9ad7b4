/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: IDLE --interval--> DIALLING --connected--> ASKING --answer, end or deadline--> IDLE.
 * The one timer means "ask again" in IDLE and "too late" in ASKING; the dial has its own bound.
 * Whatever happens, finish() is the only way back to IDLE, and it reports exactly once.
 */
#include "docker/docker_probe.h"

#include "http/http_message.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER_BYTES = 4096 };

struct docker_probe {
    struct loop *loop; /* borrowed */
    docker_probe_fn *fn;
    void *ctx;
    uint32_t interval_ms, timeout_ms;
    bool has_target;
    struct addr target;
    struct timer timer;
    struct dial *dial;          /* DIALLING; owned by the loop, ours to cancel */
    struct stream *stream;      /* ASKING; owned */
    struct http_reader *reader; /* ASKING; owned */
    unsigned status;            /* of the answer, once its head is there */
    char body[200];             /* beginning of the answer's body, for the message */
    size_t body_len;
};

static void ask(struct docker_probe *p);

static void drop(struct docker_probe *p)
{
    dial_cancel(p->loop, p->dial);
    p->dial = NULL;
    stream_close(p->stream);
    p->stream = NULL;
    http_reader_free(p->reader);
    p->reader = NULL;
}

static void finish(struct docker_probe *p, enum docker_answer answer, const char *detail)
{
    drop(p);
    timer_start(&p->timer, p->interval_ms);
    p->fn(p->ctx, answer, detail);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void on_head(void *ctx, const struct http_head *head)
{
    struct docker_probe *p = ctx;

    p->status = head->status;
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct docker_probe *p = ctx;
    size_t n = MIN(len_bytes, sizeof p->body - 1 - p->body_len);

    memcpy(p->body + p->body_len, data, n);
    p->body_len += n;
    p->body[p->body_len] = '\0';
}

static const struct http_handler http_handler = { .on_head = on_head, .on_body = on_body };

static void settle(struct docker_probe *p)
{
    char detail[256];

    if (p->status == 200) {
        finish(p, DOCKER_ANSWERS, "");
        return;
    }
    snprintf(detail, sizeof detail, "GET /_ping answered %u: %s", p->status, p->body);
    finish(p, DOCKER_REFUSES, detail);
}

/* The head said so; a body that is cut short or too long changes nothing about it. */
static bool is_refusal(const struct docker_probe *p)
{
    return p->status != 0 && p->status != 200;
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct docker_probe *p = ctx;
    enum status st = http_reader_feed(p->reader, &data, &len_bytes);

    if (st == ST_OK || (st != ST_QUEUED && is_refusal(p)))
        settle(p);
    else if (st != ST_QUEUED)
        finish(p, DOCKER_GARBLED, "the answer to GET /_ping is not HTTP");
}

static void on_eof(void *ctx)
{
    struct docker_probe *p = ctx;

    if (http_reader_end(p->reader) == ST_OK || is_refusal(p))
        settle(p);
    else
        finish(p, DOCKER_GARBLED, "the connection ended before the answer to GET /_ping");
}

static void on_error(void *ctx, enum status why)
{
    char detail[128];

    snprintf(detail, sizeof detail, "the connection broke during GET /_ping: %s", status_text(why));
    finish(ctx, DOCKER_GARBLED, detail);
}

static const struct stream_handler stream_handler = { .on_data = on_data,
                                                      .on_eof = on_eof,
                                                      .on_error = on_error };

/* ---- the question ---------------------------------------------------------------------------- */

static enum status send_question(struct docker_probe *p)
{
    char head[256];
    size_t n = http_format_request_head(head, sizeof head, "GET", "/_ping", "docker",
                                        "Connection: close\r\n");
    enum status st =
        http_reader_new(&p->reader, HTTP_KIND_RESPONSE, MAX_ANSWER_BYTES, &http_handler, p);

    if (st != ST_OK)
        return st;
    stream_set_handler(p->stream, &stream_handler, p);
    stream_read_start(p->stream);
    st = stream_write(p->stream, head, n);
    return st == ST_QUEUED ? ST_OK : st;
}

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct docker_probe *p = ctx;

    p->dial = NULL;
    if (st != ST_OK) {
        finish(p, DOCKER_UNREACHABLE, why->text);
        return;
    }
    p->stream = s;
    timer_start(&p->timer, p->timeout_ms);
    st = send_question(p);
    if (st != ST_OK)
        finish(p, DOCKER_GARBLED, status_text(st));
}

static void ask(struct docker_probe *p)
{
    struct errmsg why = { "" };
    enum status st;

    p->status = 0;
    p->body_len = 0;
    p->body[0] = '\0';
    st = dial_start(p->loop, &p->dial, &p->target, p->timeout_ms, on_dialled, p, &why);
    if (st != ST_OK)
        finish(p, DOCKER_UNREACHABLE, why.text);
}

static void on_timer(void *ctx)
{
    struct docker_probe *p = ctx;

    if (p->stream)
        finish(p, DOCKER_SILENT, "no answer to GET /_ping in time");
    else if (p->has_target && !p->dial)
        ask(p);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status docker_probe_new(struct docker_probe **out, struct loop *loop, uint32_t interval_ms,
                             uint32_t timeout_ms, docker_probe_fn *fn, void *ctx)
{
    struct docker_probe *p = calloc(1, sizeof *p);

    if (!p)
        return ST_NOMEM;
    p->loop = loop;
    p->fn = fn;
    p->ctx = ctx;
    p->interval_ms = interval_ms;
    p->timeout_ms = timeout_ms;
    timer_init(&p->timer, loop, on_timer, p);
    *out = p;
    return ST_OK;
}

void docker_probe_set_target(struct docker_probe *p, const struct addr *to)
{
    drop(p);
    timer_stop(&p->timer);
    p->has_target = to != NULL;
    if (!to)
        return;
    p->target = *to;
    timer_start(&p->timer, 0);
}

void docker_probe_now(struct docker_probe *p)
{
    if (p->has_target && !p->dial && !p->stream)
        timer_start(&p->timer, 0);
}

void docker_probe_free(struct docker_probe *p)
{
    if (!p)
        return;
    timer_stop(&p->timer);
    drop(p);
    free(p);
}
