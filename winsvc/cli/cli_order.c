/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_order.h"

#include "cli/http_client.h"
#include "cli/status_fields.h"
#include "port/loop.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_order {
    const struct cli_env *env;         /* borrowed */
    const struct cli_service *service; /* borrowed */
    const char *method, *doing;
    char *target, *body; /* owned; body NULL = none */
    cli_order_fn *fn;
    void *ctx;
    struct addr at;             /* the control socket, from the status */
    struct http_client *client; /* owned */
    struct timer next;          /* from the status to the order: a client is not freed in itself */
};

static int complain(const struct cli_order *o, const char *text, const char *next)
{
    char what[512];

    snprintf(what, sizeof what, "cannot %s: %.400s", o->doing, text);
    cli_complain(o->env, what, next);
    return CLI_DEGRADED;
}

static int explain(const struct cli_order *o, enum status st, const struct errmsg *why)
{
    if (st != ST_DENIED)
        return complain(o, why && why->text[0] ? why->text : status_text(st), "rdlink status");
    complain(o, "that is for the owner of the service and administrators",
             "use sudo, or an elevated command prompt");
    return CLI_NO_PERMISSION;
}

/* ---- the order ------------------------------------------------------------------------------- */

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct cli_order *o = ctx;
    char text[400];

    if (st != ST_OK) {
        o->fn(o->ctx, NULL, explain(o, st, why));
    } else if (answer->status / 100 == 2) {
        o->fn(o->ctx, answer->body, CLI_READY);
    } else {
        snprintf(text, sizeof text, "%.*s", (int)strcspn(answer->body, "\r\n"), answer->body);
        o->fn(o->ctx, NULL, complain(o, text, "rdlink status"));
    }
}

static void on_next(void *ctx)
{
    struct cli_order *o = ctx;
    struct errmsg e = { "" };
    enum status st;

    http_client_free(o->client);
    o->client = NULL;
    st = http_client_send(&o->client, o->env->loop, &o->at, o->method, o->target, o->body,
                          o->service->timeout_ms, on_answer, o, &e);
    if (st != ST_OK)
        o->fn(o->ctx, NULL, explain(o, st, &e));
}

/* ---- where the control socket is ------------------------------------------------------------- */

static void on_status(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct cli_order *o = ctx;
    cJSON *status = st == ST_OK && answer->status == 200
                        ? cJSON_ParseWithLength(answer->body, answer->len_bytes)
                        : NULL;
    const char *control = status_text_in(status, "control");

    if (!status)
        o->fn(o->ctx, NULL, cli_service_failure(o->env, o->service, st ? st : ST_PROTO, why));
    else if (!control[0] || addr_parse(&o->at, control, NULL) != ST_OK)
        o->fn(o->ctx, NULL,
              complain(o, "the service has no control socket", "start it with --control ADDR"));
    else
        timer_start(&o->next, 0);
    cJSON_Delete(status);
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status copy_request(struct cli_order *o, const struct cli_order_request *r)
{
    o->method = r->method;
    o->doing = r->doing;
    o->target = strdup(r->target);
    o->body = r->body ? strdup(r->body) : NULL;
    return o->target && (o->body || !r->body) ? ST_OK : ST_NOMEM;
}

int cli_order_start(struct cli_order **out, const struct cli_env *env,
                    const struct cli_service *service, const struct cli_order_request *request,
                    cli_order_fn *fn, void *ctx)
{
    struct cli_order *o = calloc(1, sizeof *o);
    int code;

    if (!o)
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    o->env = env;
    o->service = service;
    o->fn = fn;
    o->ctx = ctx;
    timer_init(&o->next, env->loop, on_next, o);
    if (copy_request(o, request) == ST_OK)
        code = cli_ask(&o->client, env, service, "/v1/status", on_status, o);
    else
        code = cli_out_of_memory(env, CLI_NOT_RUNNING);
    if (code == CLI_PENDING)
        *out = o;
    else
        cli_order_free(o);
    return code;
}

void cli_order_free(struct cli_order *o)
{
    if (!o)
        return;
    timer_stop(&o->next);
    http_client_free(o->client);
    free(o->target);
    free(o->body);
    free(o);
}
