/* SPDX-License-Identifier: Apache-2.0
 * `rdlink status`: ask once, show it, say by exit code how it is; or, with --watch, show it again
 * at each change until Ctrl-C. On a terminal the page is drawn in place and its clocks go on.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/cli_file.h"
#include "cli/http_client.h"
#include "cli/render.h"
#include "cli/status_fields.h"
#include "cli/status_poll.h"
#include "ipc/peer_text.h"
#include "port/loop.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDRAW_MS = 1000 };

struct status_run {
    struct cli_env env;
    struct cli_service service;
    bool json, is_short, watch;
    struct http_client *client; /* owned, once */
    struct status_poll *poll;   /* owned, with --watch */
    cJSON *shown;               /* owned: of --watch on a terminal, for the next redraw */
    bool was_lost;
    struct timer redraw;
};

static const struct option options[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct status_run, json),
      .help = "print the service's JSON as it came; with --watch one line each" },
    { .key = "short",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct status_run, is_short),
      .help = "one line: the phase, and the reason when it is not Ready" },
    { .key = "watch",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct status_run, watch),
      .help = "go on, and show every change" },
    CLI_SERVICE_OPTIONS(struct status_run, service, "5s", "how long to wait for the answer"),
};

/* ---- showing ----------------------------------------------------------------------------- */

static void show_short(const struct cli_env *env, const cJSON *status)
{
    const cJSON *ready = status_find(status, "conditions", "type", "Ready");
    char line[512];

    if (!ready || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "ready")))
        snprintf(line, sizeof line, "%.100s\n", status_text_in(status, "phase"));
    else
        snprintf(line, sizeof line, "%.100s: %.60s: %.300s\n", status_text_in(status, "phase"),
                 status_text_in(ready, "reason"), status_text_in(ready, "message"));
    env->print(env->ctx, CLI_STDOUT, line);
}

static bool show_page(const struct cli_env *env, const cJSON *status)
{
    struct render_opts opts = { .color = env->color, .now_ms = env->wall_ms() };
    char *text = render_status(status, &opts);

    if (!text)
        return false;
    env->print(env->ctx, CLI_STDOUT, text);
    free(text);
    return true;
}

static void show_json(const struct cli_env *env, const char *text, size_t len_bytes)
{
    env->print(env->ctx, CLI_STDOUT, text);
    if (!len_bytes || text[len_bytes - 1] != '\n')
        env->print(env->ctx, CLI_STDOUT, "\n");
}

/* ---- once -------------------------------------------------------------------------------- */

static int show_answer(const struct status_run *r, const struct http_client_answer *answer)
{
    cJSON *status =
        answer->status == 200 ? cJSON_ParseWithLength(answer->body, answer->len_bytes) : NULL;
    const cJSON *ready = cJSON_GetObjectItemCaseSensitive(status, "ready");
    int code = cJSON_IsTrue(ready) ? CLI_READY : CLI_DEGRADED;
    struct errmsg why;

    if (!cJSON_IsBool(ready)) {
        errmsg_set(&why, "answer %u, not a status", answer->status);
        code = cli_service_failure(&r->env, &r->service, ST_PROTO, &why);
    } else if (r->json) {
        show_json(&r->env, answer->body, answer->len_bytes);
    } else if (r->is_short) {
        show_short(&r->env, status);
    } else if (!show_page(&r->env, status)) {
        code = cli_service_failure(&r->env, &r->service, ST_NOMEM, NULL);
    }
    cJSON_Delete(status);
    return code;
}

/* What a service that is gone said last, where it keeps that. */
static void show_last(const struct status_run *r)
{
    const char *path = cli_status_file(&r->env, &r->service, "");
    const cJSON *ready;
    char *text, said[400], safe[400];
    size_t len_bytes;
    cJSON *status;

    if (!path || !cli_read_tail(path, HTTP_CLIENT_BODY_MAX, &text, &len_bytes))
        return;
    status = cJSON_ParseWithLength(text, len_bytes);
    free(text);
    ready = status_find(status, "conditions", "type", "Ready");
    if (ready) {
        snprintf(said, sizeof said, "%.30s: %.60s: %.250s", status_text_in(status, "phase"),
                 status_text_in(ready, "reason"), status_text_in(ready, "message"));
        peer_text_copy(safe, sizeof safe, said);
        snprintf(said, sizeof said, "  last  %.350s\n", safe);
        r->env.print(r->env.ctx, CLI_STDERR, said);
        r->env.print(r->env.ctx, CLI_STDERR, "        all of it: rdlink report --html\n");
    }
    cJSON_Delete(status);
}

static int show_failure(const struct status_run *r, enum status st, const struct errmsg *why)
{
    int code = cli_service_failure(&r->env, &r->service, st, why);

    if (code == CLI_NOT_RUNNING)
        show_last(r);
    return code;
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct status_run *r = ctx;

    r->env.finish(r->env.ctx, st == ST_OK ? show_answer(r, answer) : show_failure(r, st, why));
}

/* ---- --watch ----------------------------------------------------------------------------- */

/* Draws from the top over what was there, and clears what is left of it. */
static void draw(struct status_run *r)
{
    r->env.print(r->env.ctx, CLI_STDOUT, "\033[H\033[2J");
    show_page(&r->env, r->shown);
    timer_start(&r->redraw, REDRAW_MS);
}

static void on_redraw(void *ctx)
{
    draw(ctx);
}

static void show_change(struct status_run *r, const cJSON *status)
{
    const char *text;
    size_t len_bytes;

    if (r->json) {
        text = status_poll_text(r->poll, &len_bytes);
        show_json(&r->env, text, len_bytes);
    } else if (r->is_short) {
        show_short(&r->env, status);
    } else if (r->env.terminal) {
        cJSON_Delete(r->shown);
        r->shown = cJSON_Duplicate(status, true);
        draw(r);
    } else {
        show_page(&r->env, status);
        r->env.print(r->env.ctx, CLI_STDOUT, "\n");
    }
}

/* A service that is not there is said once, and waited for. */
static void on_status(void *ctx, enum status st, const cJSON *status, const struct errmsg *why)
{
    struct status_run *r = ctx;

    if (st == ST_OK) {
        r->was_lost = false;
        show_change(r, status);
        return;
    }
    timer_stop(&r->redraw);
    if (st == ST_DENIED) {
        r->env.finish(r->env.ctx, cli_service_failure(&r->env, &r->service, st, why));
    } else if (!r->was_lost) {
        r->was_lost = true;
        cli_service_failure(&r->env, &r->service, st, why);
    }
}

/* ---- start ------------------------------------------------------------------------------- */

static void status_fini(void *run)
{
    struct status_run *r = run;

    timer_stop(&r->redraw);
    http_client_free(r->client);
    status_poll_free(r->poll);
    cJSON_Delete(r->shown);
}

static int begin(struct status_run *r)
{
    struct errmsg e = { "" };
    enum status st;

    if (r->watch)
        st = status_poll_start(&r->poll, r->env.loop, &r->service.at, on_status, r);
    else
        st = http_client_get(&r->client, r->env.loop, &r->service.at, "/v1/status",
                             r->service.timeout_ms, on_answer, r, &e);
    return st ? show_failure(r, st, &e) : CLI_PENDING;
}

static int status_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct status_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->redraw, env->loop, on_redraw, r);
    code = cli_parse(&cli_status_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING ? begin(r) : code;
}

const struct cli_command cli_status_command = {
    .name = "status",
    .usage = "[--json|--short] [--watch] [--address ADDR] [--timeout TIME]",
    .summary = "a line for each part, how long it is so, and what to do",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct status_run),
    .start = status_start,
    .fini = status_fini,
};
