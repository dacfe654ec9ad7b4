/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: one question at a time (http_get.h). The timer means "ask again"; it runs from the end
 * of one question to the next one, and on_end() is where each ends. What does not answer is asked
 * again soon, so that it is not called broken long after it is back; one that is silent has a
 * question before it nearly all the time, and the moment that it goes on is the moment of its
 * answer.
 */
#include "docker/docker_probe.h"

#include "base/util.h"
#include "http/http_get.h"
#include "port/addr.h"
#include "port/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER_BYTES = 4096, AGAIN_MS = 200 };

struct docker_probe {
    struct loop *loop; /* borrowed */
    docker_probe_fn *fn;
    void *ctx;
    uint32_t interval_ms, timeout_ms;
    bool has_target;
    struct addr target;
    struct timer timer;
    struct http_get *get; /* owned; NULL = none under way */
    char body[200];       /* beginning of the answer's body, for the message */
    size_t body_len;
};

static void finish(struct docker_probe *p, enum docker_answer answer, const char *detail)
{
    http_get_free(p->get);
    p->get = NULL;
    timer_start(&p->timer, answer == DOCKER_ANSWERS ? p->interval_ms
                                                    : MIN((uint32_t)AGAIN_MS, p->interval_ms));
    p->fn(p->ctx, answer, detail);
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct docker_probe *p = ctx;
    size_t n = MIN(len_bytes, sizeof p->body - 1 - p->body_len);

    memcpy(p->body + p->body_len, data, n);
    p->body_len += n;
    p->body[p->body_len] = '\0';
}

/* A head that refuses says so; a body that is cut short or too long changes nothing about it. */
static bool is_refusal(enum http_get_end why, unsigned status)
{
    return status != 0 && status != 200 && why != HTTP_GET_SILENT;
}

static void on_end(void *ctx, enum http_get_end why, unsigned status, const char *detail)
{
    struct docker_probe *p = ctx;
    static const enum docker_answer answers[HTTP_GET_END_COUNT] = {
        [HTTP_GET_DONE] = DOCKER_ANSWERS,
        [HTTP_GET_UNREACHABLE] = DOCKER_UNREACHABLE,
        [HTTP_GET_SILENT] = DOCKER_SILENT,
        [HTTP_GET_GARBLED] = DOCKER_GARBLED,
    };
    bool refuses = is_refusal(why, status);
    char text[256] = ""; /* @detail goes with the question */

    if (refuses)
        snprintf(text, sizeof text, "GET /_ping answered %u: %s", status, p->body);
    else if (why == HTTP_GET_UNREACHABLE)
        snprintf(text, sizeof text, "%s", detail);
    else if (why != HTTP_GET_DONE)
        snprintf(text, sizeof text, "GET /_ping: %s", detail);
    finish(p, refuses ? DOCKER_REFUSES : answers[why], text);
}

static const struct http_get_handler handler = { .on_body = on_body, .on_end = on_end };

static void ask(struct docker_probe *p)
{
    const struct http_get_config config = { .at = &p->target,
                                            .target = "/_ping",
                                            .host = "docker",
                                            .dial_ms = p->timeout_ms,
                                            .answer_ms = p->timeout_ms,
                                            .max_body_bytes = MAX_ANSWER_BYTES };
    enum status st;

    p->body_len = 0;
    p->body[0] = '\0';
    st = http_get_start(&p->get, p->loop, &config, &handler, p);
    if (st != ST_OK)
        finish(p, DOCKER_UNREACHABLE, status_text(st));
}

static void on_timer(void *ctx)
{
    struct docker_probe *p = ctx;

    if (p->has_target && !p->get)
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
    http_get_free(p->get);
    p->get = NULL;
    timer_stop(&p->timer);
    p->has_target = to != NULL;
    if (!to)
        return;
    p->target = *to;
    timer_start(&p->timer, 0);
}

void docker_probe_now(struct docker_probe *p)
{
    if (p->has_target && !p->get)
        timer_start(&p->timer, 0);
}

void docker_probe_free(struct docker_probe *p)
{
    if (!p)
        return;
    timer_stop(&p->timer);
    http_get_free(p->get);
    free(p);
}
