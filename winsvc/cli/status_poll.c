/* SPDX-License-Identifier: Apache-2.0
 * Each turn is one GET: the first, and the first after a failure, asks for what there is; the
 * others wait at the service for another generation than the last. A turn begins from a timer, so
 * that nothing is freed under its own feet.
 */
#include "cli/status_poll.h"

#include "cli/http_client.h"
#include "port/addr.h"
#include "port/loop.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct status_poll {
    struct loop *loop; /* borrowed */
    struct addr at;
    status_poll_fn *fn;
    void *ctx;
    struct http_client *client; /* owned */
    struct cJSON *status;       /* owned; NULL before the first and after a failure */
    struct timer next;
    const char *text; /* of the answer that fn() is told of; borrowed from client */
    size_t len_bytes;
    bool in_call;  /* fn() is running ... */
    bool is_freed; /* ... and freed us */
};

static void destroy(struct status_poll *p)
{
    http_client_free(p->client);
    cJSON_Delete(p->status);
    free(p);
}

/* The poll may be gone afterwards. */
static void tell(struct status_poll *p, enum status st, const struct errmsg *why)
{
    p->in_call = true;
    p->fn(p->ctx, st, st ? NULL : p->status, why);
    p->in_call = false;
    if (p->is_freed)
        destroy(p);
}

static void failed(struct status_poll *p, enum status st, const struct errmsg *why)
{
    cJSON_Delete(p->status);
    p->status = NULL;
    timer_start(&p->next, POLL_RETRY_MS);
    tell(p, st, why);
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct status_poll *p = ctx;
    struct errmsg e = { "" };
    cJSON *status;

    if (st != ST_OK) {
        failed(p, st, why);
        return;
    }
    if (answer->status == 304 && p->status) {
        timer_start(&p->next, 0);
        return;
    }
    status = answer->status == 200 ? cJSON_ParseWithLength(answer->body, answer->len_bytes) : NULL;
    if (!cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(status, "ready"))) {
        cJSON_Delete(status);
        errmsg_set(&e, "answer %u, not a status", answer->status);
        failed(p, ST_PROTO, &e);
        return;
    }
    cJSON_Delete(p->status);
    p->status = status;
    p->text = answer->body;
    p->len_bytes = answer->len_bytes;
    timer_start(&p->next, 0);
    tell(p, ST_OK, NULL);
}

static void on_next(void *ctx)
{
    struct status_poll *p = ctx;
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(p->status, "generation");
    struct errmsg e = { "" };
    char target[96] = "/v1/status";
    uint32_t timeout_ms = POLL_ANSWER_MS;
    enum status st;

    http_client_free(p->client);
    p->client = NULL;
    if (cJSON_IsNumber(generation)) {
        snprintf(target, sizeof target, "/v1/status?wait=%dms&since=%.0f", POLL_WAIT_MS,
                 generation->valuedouble);
        timeout_ms += POLL_WAIT_MS;
    }
    st = http_client_get(&p->client, p->loop, &p->at, target, timeout_ms, on_answer, p, &e);
    if (st != ST_OK)
        failed(p, st, &e);
}

enum status status_poll_start(struct status_poll **out, struct loop *loop, const struct addr *at,
                              status_poll_fn *fn, void *ctx)
{
    struct status_poll *p = calloc(1, sizeof *p);

    if (!p)
        return ST_NOMEM;
    p->loop = loop;
    p->at = *at;
    p->fn = fn;
    p->ctx = ctx;
    timer_init(&p->next, loop, on_next, p);
    timer_start(&p->next, 0);
    *out = p;
    return ST_OK;
}

const char *status_poll_text(const struct status_poll *p, size_t *len_bytes)
{
    *len_bytes = p->len_bytes;
    return p->text;
}

void status_poll_free(struct status_poll *p)
{
    if (!p)
        return;
    timer_stop(&p->next);
    if (p->in_call)
        p->is_freed = true;
    else
        destroy(p);
}
