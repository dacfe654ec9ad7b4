/* SPDX-License-Identifier: Apache-2.0
 * `rdlink logs level [LEVELS] [--for TIME]`: what the service, its workers and the guests' agents
 * log from now on; without LEVELS what they log now.
 */
#include "cli/cli_log_level.h"

#include "base/log.h"
#include "base/util.h"
#include "cli/cli_order.h"
#include "cli/status_fields.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct level_run {
    struct cli_env env;
    struct cli_service service;
    uint32_t for_ms;
    struct cli_order *order; /* owned */
};

static const struct option options[] = {
    { .key = "for",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct level_run, for_ms),
      .value_name = "TIME",
      .help = "and then as before; without it until the service ends" },
    CLI_SERVICE_OPTIONS(struct level_run, service, "5s", "how long to wait for the answer"),
};

static void on_ordered(void *ctx, const char *body, int exit_code)
{
    struct level_run *r = ctx;
    cJSON *json = body ? cJSON_Parse(body) : NULL;
    const cJSON *left = cJSON_GetObjectItemCaseSensitive(json, "leftMs");
    unsigned left_s = cJSON_IsNumber(left) ? (unsigned)(left->valuedouble / 1000 + 0.999) : 0;

    if (body && left_s)
        cli_say(&r->env, "%s, for another %u s\n", status_text_in(json, "levels"), left_s);
    else if (body)
        cli_say(&r->env, "%s\n", status_text_in(json, "levels"));
    cJSON_Delete(json);
    r->env.finish(r->env.ctx, exit_code);
}

static void level_fini(void *run)
{
    struct level_run *r = run;

    cli_order_free(r->order);
}

/* "default" ends what was asked for. */
static int order(struct level_run *r, const char *levels)
{
    struct cli_order_request request = { "GET", "/v1/log/levels", NULL, "tell its levels" };
    struct log_levels unused;
    struct errmsg e = { "" };
    char body[LOG_LEVELS_MAX + 64];

    if (levels) {
        bool ends = !strcmp(levels, "default");

        log_get_levels(&unused);
        if (!ends && log_levels_parse(&unused, levels, &e) != ST_OK) {
            cli_complain(&r->env, e.text, "rdlink help logs");
            return CLI_USAGE;
        }
        snprintf(body, sizeof body, "{\"levels\":\"%.255s\",\"forMs\":%u}", ends ? "" : levels,
                 (unsigned)r->for_ms);
        request.method = "PUT";
        request.body = body;
        request.doing = "change its levels";
    }
    return cli_order_start(&r->order, &r->env, &r->service, &request, on_ordered, r);
}

static int level_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct level_run *r = run;
    const char *levels = NULL;
    int code;

    r->env = *env;
    code = cli_parse_word(&cli_log_level_command, env, r, &r->service, &levels, argc, argv);
    return code == CLI_PENDING ? order(r, levels) : code;
}

const struct cli_command cli_log_level_command = {
    .name = "logs level",
    .usage = "[LEVELS|default] [--for TIME]",
    .summary = "what is logged from now on",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct level_run),
    .start = level_start,
    .fini = level_fini,
};
