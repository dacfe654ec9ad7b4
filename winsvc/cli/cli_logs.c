/* SPDX-License-Identifier: Apache-2.0
 * THEORY: `rdlink logs` reads the log's folder itself, so it works when the service is dead:
 *
 *   rdlinkd.log.99 ... .2 .1 rdlinkd.log --> log_view (filter, the last N) --> print
 *                                 --follow: every FOLLOW_MS what was added
 *
 * A file that is renamed while it is followed is read to its end first, then the new one.
 */
#include "cli/cli_command.h"

#include "base/log.h"
#include "base/util.h"
#include "cli/cli_log_level.h"
#include "cli/log_view.h"
#include "port/file_tail.h"
#include "port/loop.h"

#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 99, FOLLOW_MS = 200, CHUNK = 64 * 1024 };

struct logs_run {
    void *level_run; /* owned: it is `rdlink logs level`, and nothing below is used */
    struct cli_env env;
    char folder[OPTION_VALUE_MAX], component[OPTION_VALUE_MAX], level[OPTION_VALUE_MAX];
    uint32_t since_ms, lines;
    bool follow, json;
    char path[OPTION_VALUE_MAX + 16];
    struct log_view *view;  /* owned */
    struct file_tail *tail; /* owned: of the newest file; NULL = there is none now */
    struct timer next;
    char chunk[CHUNK];
};

static enum status check_level(const char *value, struct errmsg *e)
{
    enum log_level level;

    if (log_level_parse(&level, value))
        return ST_OK;
    errmsg_set(e, "'%.20s' is none of error, warn, info, debug, trace", value);
    return ST_INVAL;
}

static enum status check_component(const char *value, struct errmsg *e)
{
    enum log_component component;

    if (log_component_parse(&component, value))
        return ST_OK;
    errmsg_set(e, "there is no component '%.20s'", value);
    return ST_INVAL;
}

static const struct option options[] = {
    { .key = "follow",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct logs_run, follow),
      .help = "go on with what is added, until Ctrl-C" },
    { .key = "lines",
      .kind = OPTION_UINT,
      .offset = offsetof(struct logs_run, lines),
      .fallback = "200",
      .min = 1,
      .max = LOG_VIEW_LINES_MAX,
      .value_name = "N",
      .help = "the last N that fit the other options" },
    { .key = "component",
      .kind = OPTION_STRING,
      .offset = offsetof(struct logs_run, component),
      .check = check_component,
      .value_name = "NAME",
      .help = "only of that part of the service: main, docker, switch, vm, ..." },
    { .key = "level",
      .kind = OPTION_STRING,
      .offset = offsetof(struct logs_run, level),
      .fallback = "trace",
      .check = check_level,
      .value_name = "error|warn|info|debug|trace",
      .help = "only that level and what is more urgent" },
    { .key = "since",
      .kind = OPTION_DURATION,
      .offset = offsetof(struct logs_run, since_ms),
      .value_name = "TIME",
      .help = "only what is not older, such as 10m" },
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct logs_run, json),
      .help = "one JSON object a line" },
    { .key = "dir",
      .kind = OPTION_STRING,
      .offset = offsetof(struct logs_run, folder),
      .value_name = "DIR",
      .help = "the service's --log-dir. Default: /var/log/rdlink, on Windows "
              "%ProgramData%\\rdlink\\logs" },
};

/* ---- reading --------------------------------------------------------------------------------- */

static void print(void *ctx, const char *text)
{
    struct logs_run *r = ctx;

    r->env.print(r->env.ctx, CLI_STDOUT, text);
}

static void read_to_end(struct logs_run *r, struct file_tail *tail)
{
    size_t len;

    while (file_tail_read(tail, r->chunk, sizeof r->chunk, &len) == ST_OK && len)
        log_view_take(r->view, r->chunk, len);
}

/* A renamed file that is not there is no failure: the numbers may have a gap. */
static unsigned read_renamed(struct logs_run *r)
{
    char path[sizeof r->path + 8];
    unsigned count = 0;

    for (unsigned i = FILES_MAX; i > 0; i--) {
        struct file_tail *tail;

        snprintf(path, sizeof path, "%s.%u", r->path, i);
        if (file_tail_open(&tail, path) != ST_OK)
            continue;
        read_to_end(r, tail);
        log_view_cut(r->view);
        file_tail_close(tail);
        count++;
    }
    return count;
}

static void on_next(void *ctx)
{
    struct logs_run *r = ctx;

    timer_start(&r->next, FOLLOW_MS);
    if (r->tail) {
        bool is_replaced = file_tail_is_replaced(r->tail); /* asked first: nothing is missed */

        read_to_end(r, r->tail);
        if (!is_replaced)
            return;
        log_view_cut(r->view);
        file_tail_close(r->tail);
        r->tail = NULL;
    }
    if (file_tail_open(&r->tail, r->path) == ST_OK)
        read_to_end(r, r->tail);
}

/* ---- start ----------------------------------------------------------------------------------- */

static void logs_fini(void *run)
{
    struct logs_run *r = run;

    cli_run_free(&cli_log_level_command, r->level_run);
    timer_stop(&r->next);
    file_tail_close(r->tail);
    log_view_free(r->view);
}

static int explain(const struct logs_run *r, enum status st)
{
    char what[OPTION_VALUE_MAX + 160];

    snprintf(what, sizeof what, "no log at %s: %s", r->path, status_text(st));
    if (st == ST_DENIED) {
        cli_complain(&r->env, what, "run it as the owner of the service or an administrator");
        return CLI_NO_PERMISSION;
    }
    cli_complain(&r->env, what,
                 "name its folder with --dir; a service without log-dir writes standard error only "
                 "(journalctl -u rdlinkd)");
    return CLI_DEGRADED;
}

static int begin(struct logs_run *r)
{
    struct log_view_config config = {
        .level = LOG_TRACE, .last = r->lines, .json = r->json, .color = r->env.color && !r->json
    };
    enum status st;
    unsigned count;

    (void)log_level_parse(&config.level, r->level);
    config.has_component = log_component_parse(&config.component, r->component);
    if (r->since_ms)
        config.since_ms = r->env.wall_ms() - r->since_ms;
    st = log_view_new(&r->view, &config, print, r);
    if (st)
        return cli_out_of_memory(&r->env, CLI_NOT_RUNNING);
    count = read_renamed(r);
    st = file_tail_open(&r->tail, r->path);
    if (st && !count)
        return explain(r, st);
    if (r->tail)
        read_to_end(r, r->tail);
    log_view_flush(r->view);
    if (!r->follow)
        return CLI_READY;
    timer_start(&r->next, FOLLOW_MS);
    return CLI_PENDING;
}

static int logs_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct logs_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->next, env->loop, on_next, r);
    if (argc > 0 && !strcmp(argv[0], "level"))
        return cli_run_start(&r->level_run, &cli_log_level_command, env, argc - 1, argv + 1);
    code = cli_parse_options(&cli_logs_command, env, r, NULL, argc, argv);
    if (code != CLI_PENDING)
        return code;
    cli_log_path(env, r->folder, r->path, sizeof r->path);
    return begin(r);
}

const struct cli_command cli_logs_command = {
    .name = "logs",
    .usage = "[--follow] [--component NAME] [--level LEVEL] [--since TIME] [--lines N] [--json], "
             "or level [LEVELS|default] [--for TIME]",
    .summary = "what the service wrote down, also when it is not running",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct logs_run),
    .start = logs_start,
    .fini = logs_fini,
};
