/* SPDX-License-Identifier: Apache-2.0
 * `rdlink restart COMPONENT`: a worker of the service drains, ends and is started again.
 *
 * The order's answer says how often the component was started again before; it is done when the
 * status says one more and SERVING.
 */
#include "cli/cli_order.h"

#include "base/util.h"
#include "cli/http_client.h"
#include "cli/status_fields.h"
#include "cli/status_poll.h"
#include "cli/url_text.h"
#include "port/loop.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <string.h>

enum { ASK_MS = 5000, NAME_MAX_BYTES = 64 };

struct restart_run {
    struct cli_env env;
    struct cli_service service; /* its timeout is for all of it */
    struct cli_service asked;   /* the same with the time that one request may take */
    bool no_wait;
    char name[NAME_MAX_BYTES];
    struct cli_order *order;  /* owned */
    struct status_poll *poll; /* owned */
    struct timer deadline, watch;
    double restarts; /* before */
    char state[64];
};

static const struct option options[] = {
    { .key = "no-wait",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct restart_run, no_wait),
      .help = "do not wait until it serves again" },
    CLI_SERVICE_OPTIONS(struct restart_run, service, "30s", "how long to wait until it serves"),
};

static void finish(struct restart_run *r, int code)
{
    timer_stop(&r->deadline);
    timer_stop(&r->watch);
    r->env.finish(r->env.ctx, code);
}

/* ---- watching -------------------------------------------------------------------------------- */

static void on_status(void *ctx, enum status st, const cJSON *status, const struct errmsg *why)
{
    struct restart_run *r = ctx;
    const cJSON *c = status_find(status, "components", "name", r->name);
    const cJSON *restarts = cJSON_GetObjectItemCaseSensitive(c, "restarts");
    const char *state = status_text_in(c, "state");

    if (st != ST_OK)
        return; /* asked again until the deadline */
    snprintf(r->state, sizeof r->state, "%s", c ? state : "not there");
    if (!cJSON_IsNumber(restarts) || restarts->valuedouble <= r->restarts ||
        strcmp(state, "SERVING") != 0)
        return;
    cli_say(&r->env, "%s was restarted and serves\n", r->name);
    finish(r, CLI_READY);
}

static void on_watch(void *ctx)
{
    struct restart_run *r = ctx;

    cli_order_free(r->order);
    r->order = NULL;
    if (status_poll_start(&r->poll, r->env.loop, &r->service.at, on_status, r) != ST_OK)
        finish(r, cli_service_failure(&r->env, &r->service, ST_NOMEM, NULL));
}

static void on_deadline(void *ctx)
{
    struct restart_run *r = ctx;
    char what[256];

    snprintf(what, sizeof what, "%s does not serve again after %u s: %.60s", r->name,
             (unsigned)((r->service.timeout_ms + 999) / 1000),
             r->state[0] ? r->state : "the service did not answer");
    cli_complain(&r->env, what, "rdlink status");
    finish(r, CLI_DEGRADED);
}

/* ---- the order ------------------------------------------------------------------------------- */

static void on_ordered(void *ctx, const char *body, int exit_code)
{
    struct restart_run *r = ctx;
    cJSON *json = body ? cJSON_Parse(body) : NULL;
    const cJSON *restarts = cJSON_GetObjectItemCaseSensitive(json, "restarts");

    if (cJSON_IsNumber(restarts))
        r->restarts = restarts->valuedouble;
    if (body && !r->no_wait)
        timer_start(&r->watch, 0);
    else
        finish(r, exit_code);
    cJSON_Delete(json);
}

static int order(struct restart_run *r)
{
    char name[3 * NAME_MAX_BYTES], target[3 * NAME_MAX_BYTES + 32];
    struct cli_order_request request = { "POST", target, NULL, "restart it" };

    url_encode(name, sizeof name, r->name);
    snprintf(target, sizeof target, "/v1/components/%s/restart", name);
    r->asked = r->service;
    r->asked.timeout_ms = MIN(r->service.timeout_ms, (uint32_t)ASK_MS);
    return cli_order_start(&r->order, &r->env, &r->asked, &request, on_ordered, r);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void restart_fini(void *run)
{
    struct restart_run *r = run;

    timer_stop(&r->deadline);
    timer_stop(&r->watch);
    cli_order_free(r->order);
    status_poll_free(r->poll);
}

static int take_name(struct restart_run *r, const char *word)
{
    if (word && word[0] && strlen(word) < sizeof r->name) {
        snprintf(r->name, sizeof r->name, "%s", word);
        return CLI_PENDING;
    }
    cli_complain(&r->env, "restart takes the name of one component",
                 "rdlink status, which lists them");
    return CLI_USAGE;
}

static int restart_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct restart_run *r = run;
    const char *word = NULL;
    int code;

    r->env = *env;
    timer_init(&r->deadline, env->loop, on_deadline, r);
    timer_init(&r->watch, env->loop, on_watch, r);
    code = cli_parse_word(&cli_restart_command, env, r, &r->service, &word, argc, argv);
    if (code == CLI_PENDING)
        code = take_name(r, word);
    if (code == CLI_PENDING)
        code = order(r);
    if (code == CLI_PENDING)
        timer_start(&r->deadline, r->service.timeout_ms);
    return code;
}

const struct cli_command cli_restart_command = {
    .name = "restart",
    .usage = "COMPONENT [--no-wait] [--address ADDR] [--timeout TIME]",
    .summary = "one part of the service drains and starts again",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct restart_run),
    .start = restart_start,
    .fini = restart_fini,
};
