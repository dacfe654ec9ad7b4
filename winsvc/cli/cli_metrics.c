/* SPDX-License-Identifier: Apache-2.0
 * `rdlink metrics`: the service's OpenMetrics text as it is, for a collector that runs commands.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/http_client.h"

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

static void metrics_fini(void *run)
{
    struct metrics_run *r = run;

    http_client_free(r->client);
}

static int metrics_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct metrics_run *r = run;
    int code;

    r->env = *env;
    code = cli_parse(&cli_metrics_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING ? cli_ask(&r->client, env, &r->service, "/metrics", on_answer, r)
                               : code;
}

const struct cli_command cli_metrics_command = {
    .name = "metrics",
    .usage = "[--address ADDR] [--timeout TIME]",
    .summary = "what the service counts, as OpenMetrics",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct metrics_run),
    .start = metrics_start,
    .fini = metrics_fini,
};
