/* SPDX-License-Identifier: Apache-2.0
 * `rdlink wait`: until a condition has the status (or the reason) that is asked for.
 *
 *   --for Ready                  of the whole (the default)
 *   --for NetworkReady=Unknown   another status
 *   --for Ready=NoGuest          a reason
 *   --for docker/DockerReachable a component's, or a virtual machine's: vm1/LinkUp
 *
 * A service that does not run yet is waited for too, so that a script may start it and wait.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/status_fields.h"
#include "cli/status_poll.h"
#include "port/loop.h"
#include "status/hints.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct wait_run {
    struct cli_env env;
    struct cli_service service;
    char wanted[OPTION_VALUE_MAX];
    /* of @wanted */
    char part[OPTION_VALUE_MAX]; /* component or machine; "" = the whole */
    char type[OPTION_VALUE_MAX], value[OPTION_VALUE_MAX];
    struct status_poll *poll; /* owned */
    struct timer deadline;
    bool answered; /* by the service, the last time */
    enum status why;
    struct errmsg why_text;
    char found[512]; /* the condition, as it was the last time */
    char reason[64];
};

static enum status check_wanted(const char *value, struct errmsg *e)
{
    const char *type = strrchr(value, '/');

    type = type ? type + 1 : value;
    if (type[0] && type[0] != '=' && value[0] != '/')
        return ST_OK;
    errmsg_set(e, "'%.80s' is no condition such as Ready, NetworkReady=False or docker/Serving",
               value);
    return ST_INVAL;
}

static const struct option options[] = {
    { .key = "for",
      .kind = OPTION_STRING,
      .offset = offsetof(struct wait_run, wanted),
      .fallback = "Ready",
      .check = check_wanted,
      .value_name = "[PART/]CONDITION[=VALUE]",
      .help = "VALUE: True (the default), False, Unknown or a reason" },
    CLI_SERVICE_OPTIONS(struct wait_run, service, "60s", "how long to wait at most"),
};

/* "docker/DockerReachable=False" into its three parts. */
static void split(struct wait_run *r)
{
    char *equals, *slash;

    snprintf(r->type, sizeof r->type, "%s", r->wanted);
    equals = strchr(r->type, '=');
    snprintf(r->value, sizeof r->value, "%s", equals ? equals + 1 : "True");
    if (equals)
        *equals = '\0';
    slash = strrchr(r->type, '/');
    if (!slash)
        return;
    *slash = '\0';
    memcpy(r->part, r->type, sizeof r->part);
    memmove(r->type, slash + 1, strlen(slash + 1) + 1);
}

/* ---- looking ----------------------------------------------------------------------------- */

static const cJSON *find_condition(const struct wait_run *r, const cJSON *status)
{
    const cJSON *part = status;

    if (r->part[0]) {
        part = status_find(status, "components", "name", r->part);
        if (!part)
            part = status_find(status, "instances", "vm", r->part);
    }
    return status_find(part, "conditions", "type", r->type);
}

static void finish(struct wait_run *r, int code)
{
    timer_stop(&r->deadline);
    status_poll_free(r->poll);
    r->poll = NULL;
    r->env.finish(r->env.ctx, code);
}

static void on_status(void *ctx, enum status st, const cJSON *status, const struct errmsg *why)
{
    struct wait_run *r = ctx;
    const cJSON *c;

    r->answered = st == ST_OK;
    if (st != ST_OK) {
        r->why = st;
        errmsg_set(&r->why_text, "%s", why ? why->text : status_text(st));
        if (st == ST_DENIED)
            finish(r, cli_service_failure(&r->env, &r->service, st, &r->why_text));
        return;
    }
    c = find_condition(r, status);
    snprintf(r->reason, sizeof r->reason, "%s", status_text_in(c, "reason"));
    if (!c) {
        snprintf(r->found, sizeof r->found, "there is no such condition now");
        return;
    }
    snprintf(r->found, sizeof r->found, "%.20s, %.60s: %.300s", status_text_in(c, "status"),
             r->reason, status_text_in(c, "message"));
    if (!strcmp(status_text_in(c, "status"), r->value) || !strcmp(r->reason, r->value))
        finish(r, CLI_READY);
}

static void on_deadline(void *ctx)
{
    struct wait_run *r = ctx;
    const char *hint = hint_find(r->reason);
    char what[1024];

    if (!r->answered) {
        finish(r, cli_service_failure(&r->env, &r->service, r->why ? r->why : ST_TIMEOUT,
                                      &r->why_text));
        return;
    }
    snprintf(what, sizeof what, "%.200s did not come within %u s; it is %.400s", r->wanted,
             (unsigned)((r->service.timeout_ms + 999) / 1000), r->found);
    cli_complain(&r->env, what, hint ? hint : "rdlink status");
    finish(r, CLI_DEGRADED);
}

/* ---- start ------------------------------------------------------------------------------- */

static void wait_fini(void *run)
{
    struct wait_run *r = run;

    timer_stop(&r->deadline);
    status_poll_free(r->poll);
}

static int wait_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct wait_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->deadline, env->loop, on_deadline, r);
    code = cli_parse(&cli_wait_command, env, r, &r->service, argc, argv);
    if (code != CLI_PENDING)
        return code;
    split(r);
    timer_start(&r->deadline, r->service.timeout_ms);
    if (status_poll_start(&r->poll, env->loop, &r->service.at, on_status, r) != ST_OK)
        return cli_service_failure(env, &r->service, ST_NOMEM, NULL);
    return CLI_PENDING;
}

const struct cli_command cli_wait_command = {
    .name = "wait",
    .usage = "[--for [PART/]CONDITION[=VALUE]] [--timeout TIME] ...",
    .summary = "until a condition is true; Ready by default",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct wait_run),
    .start = wait_start,
    .fini = wait_fini,
};
