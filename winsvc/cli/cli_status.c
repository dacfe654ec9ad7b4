/* SPDX-License-Identifier: Apache-2.0
 * Options -> one GET -> text or JSON -> exit code. Whatever fails is told in two lines on standard
 * error: what, and what to do next.
 */
#include "cli/cli_status.h"

#include "base/options.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/http_client.h"
#include "cli/render.h"
#include "port/addr.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct status_options {
    bool json;
    char address[OPTION_VALUE_MAX];
    uint32_t timeout_ms;
};

struct cli_status {
    struct cli_env env;
    struct status_options options;
    struct http_client *client; /* owned */
};

static enum status check_address(const char *value, struct errmsg *e)
{
    struct addr a;

    return addr_parse(&a, value, e);
}

static const struct option table[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct status_options, json),
      .help = "print the service's JSON as it came" },
    { .key = "address",
      .kind = OPTION_STRING,
      .offset = offsetof(struct status_options, address),
      .check = check_address,
      .value_name = "ADDR",
      .help = "where the service's status is (see: rdlink help address)" },
    { .key = "timeout",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct status_options, timeout_ms),
      .fallback = "5s",
      .min = 1,
      .max = 600000,
      .value_name = "TIME",
      .help = "how long to wait for the answer" },
};

size_t cli_status_help(char *buf, size_t cap)
{
    return options_help(table, ARRAY_SIZE(table), buf, cap);
}

/* ---- ends ------------------------------------------------------------------------------ */

static void complain(const struct cli_env *env, const char *what, const char *next)
{
    char text[1024];

    snprintf(text, sizeof text, "rdlink: %s\n  next  %s\n", what, next);
    env->print(env->ctx, CLI_STDERR, text);
}

/* No answer: is it not there, not allowed, or not well? */
static int explain_failure(const struct cli_status *s, enum status st, const struct errmsg *why)
{
    char what[600];

    if (st == ST_DENIED) {
        snprintf(what, sizeof what, "no permission to read the status at %s", s->options.address);
        complain(&s->env, what, "run it as the owner of the service or an administrator");
        return CLI_NO_PERMISSION;
    }
    if (st == ST_NOTFOUND || st == ST_REFUSED) {
        snprintf(what, sizeof what, "the service is not running: nobody answers at %s",
                 s->options.address);
        complain(&s->env, what,
                 "start it: systemctl start rdlinkd, sc start RancherDesktopLink, or rdlinkd run");
        return CLI_NOT_RUNNING;
    }
    snprintf(what, sizeof what, "no status from %s: %.250s", s->options.address,
             why && why->text[0] ? why->text : status_text(st));
    complain(&s->env, what,
             st == ST_TIMEOUT ? "the service hangs or is very busy: read its log, restart it"
                              : "check that --address is rdlink's status and not another socket");
    return CLI_NOT_RUNNING;
}

static int show_json(const struct cli_status *s, const struct http_client_answer *answer)
{
    const struct cli_env *env = &s->env;

    env->print(env->ctx, CLI_STDOUT, answer->body);
    if (answer->len_bytes && answer->body[answer->len_bytes - 1] != '\n')
        env->print(env->ctx, CLI_STDOUT, "\n");
    return 0;
}

static int show_page(const struct cli_status *s, const cJSON *status)
{
    const struct cli_env *env = &s->env;
    struct render_opts opts = { .color = env->color, .now_ms = env->wall_ms() };
    char *text = render_status(status, &opts);

    if (!text)
        return -1;
    env->print(env->ctx, CLI_STDOUT, text);
    free(text);
    return 0;
}

static int show(const struct cli_status *s, const struct http_client_answer *answer)
{
    cJSON *status =
        answer->status == 200 ? cJSON_ParseWithLength(answer->body, answer->len_bytes) : NULL;
    const cJSON *ready = cJSON_GetObjectItemCaseSensitive(status, "ready");
    int code = cJSON_IsTrue(ready) ? CLI_READY : CLI_DEGRADED;
    struct errmsg why;

    if (!cJSON_IsBool(ready)) {
        errmsg_set(&why, "answer %u, not a status", answer->status);
        code = explain_failure(s, ST_PROTO, &why);
    } else if (s->options.json ? show_json(s, answer) : show_page(s, status)) {
        errmsg_set(&why, "out of memory");
        code = explain_failure(s, ST_NOMEM, &why);
    }
    cJSON_Delete(status);
    return code;
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct cli_status *s = ctx;
    int code = st == ST_OK ? show(s, answer) : explain_failure(s, st, why);

    s->env.finish(s->env.ctx, code);
}

/* ---- start ----------------------------------------------------------------------------- */

static int usage(const struct cli_env *env, const char *what)
{
    complain(env, what, "rdlink help status");
    return CLI_USAGE;
}

/* --address, then RDLINK_STATUS, then the system's default. */
static enum status choose_address(struct cli_status *s, struct addr *to, struct errmsg *e)
{
    const struct cli_env *env = &s->env;
    bool from_env = !s->options.address[0] && env->status_address && env->status_address[0];
    enum status st;

    if (!s->options.address[0])
        snprintf(s->options.address, sizeof s->options.address, "%s",
                 from_env ? env->status_address : env->default_address);
    st = addr_parse(to, s->options.address, e);
    if (st && from_env)
        errmsg_wrap(e, "RDLINK_STATUS");
    return st;
}

static int start(struct cli_status *s, int argc, const char *const *argv)
{
    struct errmsg e = { .text = "" };
    struct addr to;
    enum status st;
    int used;

    options_defaults(table, ARRAY_SIZE(table), &s->options);
    if (options_parse_argv(table, ARRAY_SIZE(table), &s->options, argc, argv, &used, &e))
        return usage(&s->env, e.text);
    if (used < argc) {
        errmsg_set(&e, "status takes no argument '%.100s'", argv[used]);
        return usage(&s->env, e.text);
    }
    if (choose_address(s, &to, &e))
        return usage(&s->env, e.text);
    st = http_client_get(&s->client, s->env.loop, &to, "/v1/status", s->options.timeout_ms,
                         on_answer, s, &e);
    return st ? explain_failure(s, st, &e) : CLI_PENDING;
}

int cli_status_start(struct cli_status **out, const struct cli_env *env, int argc,
                     const char *const *argv)
{
    struct cli_status *s = calloc(1, sizeof *s);
    int code;

    if (!s) {
        complain(env, "out of memory", "try again");
        return CLI_NOT_RUNNING;
    }
    s->env = *env;
    code = start(s, argc, argv);
    if (code == CLI_PENDING)
        *out = s;
    else
        cli_status_free(s);
    return code;
}

void cli_status_free(struct cli_status *s)
{
    if (!s)
        return;
    http_client_free(s->client);
    free(s);
}
