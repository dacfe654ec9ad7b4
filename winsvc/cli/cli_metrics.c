/* SPDX-License-Identifier: Apache-2.0
 * `rdlink metrics`: the service's OpenMetrics text as it is, for a collector that runs commands.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/http_client.h"

#include <stdlib.h>

struct metrics_run {
    struct cli_env env;
    struct cli_service service;
    struct http_client *client; /* owned */
};

static const struct option options[] = {
    CLI_SERVICE_OPTIONS(struct metrics_run, service, "5s", "how long to wait for the answer"),
};

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct metrics_run *r = ctx;
    struct errmsg e = { "" };
    int code = CLI_READY;

    if (st == ST_OK && answer->status == 200) {
        r->env.print(r->env.ctx, CLI_STDOUT, answer->body);
    } else if (st == ST_OK) {
        errmsg_set(&e, "answer %u: the service may be older than this program", answer->status);
        code = cli_service_failure(&r->env, &r->service, ST_PROTO, &e);
    } else {
        code = cli_service_failure(&r->env, &r->service, st, why);
    }
    r->env.finish(r->env.ctx, code);
}

static void metrics_free(void *run)
{
    struct metrics_run *r = run;

    if (!r)
        return;
    http_client_free(r->client);
    free(r);
}

static int metrics_start(void **run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct metrics_run *r = calloc(1, sizeof *r);
    struct errmsg e = { "" };
    enum status st;
    int code = CLI_NOT_RUNNING;

    if (!r) {
        cli_complain(env, "out of memory", "try again");
        return code;
    }
    r->env = *env;
    code = cli_parse(&cli_metrics_command, env, r, &r->service, argc, argv);
    if (code == CLI_PENDING) {
        st = http_client_get(&r->client, env->loop, &r->service.at, "/metrics",
                             r->service.timeout_ms, on_answer, r, &e);
        if (st != ST_OK)
            code = cli_service_failure(env, &r->service, st, &e);
    }
    if (code == CLI_PENDING)
        *run = r;
    else
        metrics_free(r);
    return code;
}

const struct cli_command cli_metrics_command = {
    .name = "metrics",
    .usage = "[--address ADDR] [--timeout TIME]",
    .summary = "what the service counts, as OpenMetrics",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .start = metrics_start,
    .free = metrics_free,
};
