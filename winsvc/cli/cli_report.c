/* SPDX-License-Identifier: Apache-2.0
 * THEORY: `rdlink report --html` saves the status page with data in it, a file that opens anywhere.
 *
 *   status_poll -- each status, or that there was none --> status_history -- at the end --> page
 *
 * The end is the first status, or with --for that time; at the latest --timeout without any answer.
 * Without an answer there is the last status that a service kept with --status-file, and the page
 * says that it is no more than that. What is saved was redacted as a bug report is: it is made to
 * be sent.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "cli/cli_file.h"
#include "cli/cli_output.h"
#include "cli/http_client.h"
#include "cli/redact.h"
#include "cli/status_history.h"
#include "cli/status_poll.h"
#include "port/loop.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct report_run {
    struct cli_env env;
    struct cli_service service;
    bool html;
    uint32_t for_ms;
    char output[OPTION_VALUE_MAX], status_file[OPTION_VALUE_MAX];
    struct status_poll *poll;       /* owned */
    struct status_history *history; /* owned */
    struct timer deadline;
    enum status why; /* of the last failure */
    struct errmsg why_text;
};

static const struct option options[] = {
    { .key = "html",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct report_run, html),
      .help = "the form: one page that opens in any browser and needs nothing else" },
    { .key = "output",
      .kind = OPTION_STRING,
      .offset = offsetof(struct report_run, output),
      .value_name = "FILE",
      .help = "where to, also -o; - is standard output. By default rdlink-report-TIME.html here; "
              "a file that exists is never overwritten" },
    { .key = "for",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct report_run, for_ms),
      .fallback = "0",
      .max = 86400000,
      .value_name = "TIME",
      .help = "gather for so long first, to show what changes and how fast; at most the last 600 "
              "changes are kept" },
    { .key = "status-file",
      .kind = OPTION_STRING,
      .offset = offsetof(struct report_run, status_file),
      .value_name = "FILE",
      .help =
          "the service's --status-file FILE, for when the service does not answer. Default: the "
          "default service's own" },
    CLI_SERVICE_OPTIONS(struct report_run, service, "5s", "how long to wait for the first answer"),
};

/* ---- gathering ----------------------------------------------------------------------------- */

static enum status keep(struct report_run *r, const char *text, size_t len_bytes)
{
    const struct redact_names names = { r->env.home, { r->env.users[0], r->env.users[1] } };
    size_t clean_len;
    char *clean = redact(text, len_bytes, &names, true, &clean_len);
    enum status st = ST_NOMEM;

    if (clean)
        st = status_history_add(r->history, r->env.wall_ms(), clean, clean_len);
    free(clean);
    return st;
}

static enum status keep_silence(struct report_run *r)
{
    return status_history_add(r->history, r->env.wall_ms(), NULL, 0);
}

/* How much of @text is one status, which may be followed by blanks only; 0: it is none. */
static size_t status_length(const char *text, size_t len_bytes)
{
    const char *end = text;
    cJSON *status = cJSON_ParseWithLengthOpts(text, len_bytes, &end, false);
    bool good = cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(status, "ready"));
    size_t used = (size_t)(end - text);

    cJSON_Delete(status);
    for (size_t i = used; good && i < len_bytes; i++)
        good = isspace((unsigned char)text[i]);
    return good ? used : 0;
}

/* False when there is none, which was explained unless none was named. */
static bool keep_file(struct report_run *r)
{
    const char *path = cli_status_file(&r->env, &r->service, r->status_file);
    char what[400], *text;
    size_t len_bytes;
    bool good;

    if (!path || !cli_read_tail(path, HTTP_CLIENT_BODY_MAX, &text, &len_bytes)) {
        if (r->status_file[0]) {
            snprintf(what, sizeof what, "%.250s cannot be read", r->status_file);
            cli_complain(&r->env, what, "name the file of the service's --status-file");
        }
        return false;
    }
    len_bytes = status_length(text, len_bytes);
    good = len_bytes > 0 && keep(r, text, len_bytes) == ST_OK && keep_silence(r) == ST_OK;
    free(text);
    if (!good) {
        snprintf(what, sizeof what, "%.250s is no status", path);
        cli_complain(&r->env, what, "name the file of the service's --status-file");
    }
    return good;
}

/* ---- writing ----------------------------------------------------------------------------- */

static int write_report(struct report_run *r, const char *from)
{
    enum status st = r->env.create_output(r->env.ctx, r->output);

    if (st != ST_OK)
        return cli_output_failure(&r->env, r->output, st);
    if (!status_history_save(r->history, r->env.wall_ms(), from, r->env.write_output, r->env.ctx)) {
        r->env.discard_output(r->env.ctx);
        return cli_output_failure(&r->env, r->output, ST_IO);
    }
    if (strcmp(r->output, "-") != 0)
        cli_say(&r->env, "written to %.250s: open it in a browser\n", r->output);
    return CLI_READY;
}

static void finish(struct report_run *r)
{
    int code;

    timer_stop(&r->deadline);
    status_poll_free(r->poll);
    r->poll = NULL;
    if (status_history_answers(r->history))
        code = write_report(r, "service");
    else if (keep_file(r))
        code = write_report(r, "file");
    else
        code =
            cli_service_failure(&r->env, &r->service, r->why ? r->why : ST_TIMEOUT, &r->why_text);
    r->env.finish(r->env.ctx, code);
}

/* ---- events ------------------------------------------------------------------------------ */

static void on_status(void *ctx, enum status st, const struct cJSON *status,
                      const struct errmsg *why)
{
    struct report_run *r = ctx;
    const char *text;
    size_t len_bytes;

    if (st == ST_OK) {
        text = status_poll_text(r->poll, &len_bytes);
        st = keep(r, text, len_bytes);
    } else {
        r->why = st;
        errmsg_set(&r->why_text, "%s", why ? why->text : status_text(st));
        (void)keep_silence(r);
    }
    if (!r->for_ms || st == ST_DENIED)
        finish(r);
}

static void on_deadline(void *ctx)
{
    finish(ctx);
}

/* ---- start ------------------------------------------------------------------------------- */

static void report_fini(void *run)
{
    struct report_run *r = run;

    timer_stop(&r->deadline);
    status_poll_free(r->poll);
    status_history_free(r->history);
}

static int check_usage(struct report_run *r)
{
    char stamp[CLI_STAMP_MAX];

    if (!r->html) {
        cli_complain(&r->env, "say in which form", "rdlink report --html");
        return CLI_USAGE;
    }
    if (!strcmp(r->output, "-") && r->env.terminal) {
        cli_complain(&r->env, "a page is nothing for a terminal", "name a file with --output");
        return CLI_USAGE;
    }
    cli_output_stamp(&r->env, stamp);
    if (!r->output[0])
        snprintf(r->output, sizeof r->output, "rdlink-report-%s.html", stamp);
    return CLI_PENDING;
}

static int begin(struct report_run *r)
{
    int code = check_usage(r);

    if (code != CLI_PENDING)
        return code;
    r->history = status_history_new();
    if (!r->history || status_poll_start(&r->poll, r->env.loop, &r->service.at, on_status, r))
        return cli_service_failure(&r->env, &r->service, ST_NOMEM, NULL);
    timer_start(&r->deadline, r->for_ms ? r->for_ms : r->service.timeout_ms);
    return CLI_PENDING;
}

static int report_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct report_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->deadline, env->loop, on_deadline, r);
    code = cli_parse(&cli_report_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING ? begin(r) : code;
}

const struct cli_command cli_report_command = {
    .name = "report",
    .usage = "--html [-o FILE] [--for TIME] [--status-file FILE]",
    .summary = "the status page as a file, with all that it shows in it",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct report_run),
    .start = report_start,
    .fini = report_fini,
};
