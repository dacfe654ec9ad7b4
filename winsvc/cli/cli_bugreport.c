/* SPDX-License-Identifier: Apache-2.0
 * THEORY: `rdlink bugreport` collects what whoever looks for a fault asks for first, into one tar
 * that stays on this computer:
 *
 *   about.json, status.json, metrics.txt, check.json,
 * switches/NAME/{stats,cam,forwards,leases,dns}.json, and the files that were named:
 * status-file.json, config.txt, log.txt
 *
 * One request after the other: status -> metrics -> check -> each switch -> files -> list -> write.
 * Whatever cannot be had is in the report by its reason, because that is a finding too: a report of
 * a service that does not answer is one. Only a report that cannot be written fails.
 *
 * Limits: an answer's size (HTTP_CLIENT_BODY_MAX), the whole (BUNDLE_BYTES_MAX), the last LOG_MAX
 * bytes of the log, --timeout for each answer; a switch that once did not answer is not asked more.
 * Not here: captures and container names (a person's own data), and any way to send it.
 */
#include "cli/cli_control.h"

#include "base/text.h"
#include "base/util.h"
#include "base/version.h"
#include "cli/bundle.h"
#include "cli/cli_file.h"
#include "cli/cli_output.h"
#include "cli/http_client.h"
#include "cli/status_fields.h"
#include "port/loop.h"
#include "port/sys.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_MAX = 64, LOG_MAX = 1024 * 1024, FILE_MAX_BYTES = 4 * 1024 * 1024 };

enum stage { STAGE_STATUS, STAGE_METRICS, STAGE_CHECK, STAGE_SWITCHES, STAGE_FILES };

static const struct {
    const char *name, *target;
} questions[] = {
    { "stats", "/stats" },
    { "cam", "/cam" },
    { "forwards", "/services/forwarder/all" },
    { "leases", "/leases" },
    { "dns", "/services/dns/all" },
};

struct bugreport_run {
    struct cli_env env;
    struct cli_service service;
    char output[OPTION_VALUE_MAX], status_file[OPTION_VALUE_MAX], config_file[OPTION_VALUE_MAX],
        log_file[OPTION_VALUE_MAX];
    char folder[FOLDER_MAX];
    struct redact_names names;
    struct bundle *bundle; /* owned */
    enum stage stage;
    struct http_client *client; /* owned */
    char asked[128];            /* the file that @client's answer becomes */
    struct timer next;
    bool is_down; /* the status could not be had */
    struct cli_env check_env;
    void *check;         /* owned: a run of cli_check_command */
    struct text said[2]; /* by @check, by enum cli_out */
    struct control_place places[CONTROL_MAX];
    unsigned place_count, place, question;
};

static const struct option options[] = {
    { .key = "output",
      .kind = OPTION_STRING,
      .offset = offsetof(struct bugreport_run, output),
      .value_name = "FILE",
      .help = "where to, also -o; - is standard output. By default rdlink-bugreport-TIME.tar here; "
              "a file that exists is never overwritten" },
    { .key = "config",
      .kind = OPTION_STRING,
      .offset = offsetof(struct bugreport_run, config_file),
      .value_name = "FILE",
      .help =
          "the service's configuration, to be put in without its secrets; by default the file that "
          "its status names" },
    { .key = "status-file",
      .kind = OPTION_STRING,
      .offset = offsetof(struct bugreport_run, status_file),
      .value_name = "FILE",
      .help =
          "the service's --status-file FILE, for when the service does not answer. Default: the "
          "default service's own" },
    { .key = "log",
      .kind = OPTION_STRING,
      .offset = offsetof(struct bugreport_run, log_file),
      .value_name = "FILE",
      .help = "the service's log, of which the last MiB is put in. Default: where `rdlink logs` "
              "looks" },
    CLI_SERVICE_OPTIONS(struct bugreport_run, service, "5s", "how long to wait for each answer"),
};

/* ---- files ------------------------------------------------------------------------------- */

static void add_file(struct bugreport_run *r, const char *name, const char *path, size_t max,
                     const char *option)
{
    char why[400], *data;
    size_t len_bytes;

    if (!path[0]) {
        snprintf(why, sizeof why, "where it is was not said: name it with %s FILE", option);
        bundle_add_missing(r->bundle, name, why);
    } else if (cli_read_tail(path, max, &data, &len_bytes)) {
        bundle_add(r->bundle, name, data, len_bytes);
        free(data);
    } else {
        snprintf(why, sizeof why, "%.250s cannot be read", path);
        bundle_add_missing(r->bundle, name, why);
    }
}

static void add_files(struct bugreport_run *r)
{
    const char *last = cli_status_file(&r->env, &r->service, r->status_file);

    if (r->is_down)
        add_file(r, "status-file.json", last ? last : "", FILE_MAX_BYTES, "--status-file");
    add_file(r, "config.txt", r->config_file, FILE_MAX_BYTES, "--config");
    if (!r->log_file[0] && r->env.default_logs)
        cli_log_path(&r->env, "", r->log_file, sizeof r->log_file);
    add_file(r, "log.txt", r->log_file, LOG_MAX, "--log");
}

static void add_about(struct bugreport_run *r)
{
    struct sys_facts facts;
    char digits[32], *text = NULL;
    cJSON *about = cJSON_CreateObject(), *system;

    r->env.describe(&facts);
    cJSON_AddStringToObject(about, "name", "rdlink");
    cJSON_AddStringToObject(about, "version", rdlink_version());
    cJSON_AddStringToObject(about, "commit", r->env.commit);
    cJSON_AddStringToObject(about, "build", r->env.build);
    cJSON_AddStringToObject(about, "apiVersion", CLI_API_VERSION);
    cJSON_AddStringToObject(about, "statusAddress", r->service.address);
    system = cJSON_AddObjectToObject(about, "system");
    cJSON_AddStringToObject(system, "name", facts.system);
    cJSON_AddStringToObject(system, "release", facts.release);
    cJSON_AddStringToObject(system, "version", facts.version);
    cJSON_AddStringToObject(system, "machine", facts.machine);
    cJSON_AddNumberToObject(system, "processors", facts.cpus);
    snprintf(digits, sizeof digits, "%" PRIu64, facts.memory_bytes);
    cJSON_AddRawToObject(system, "memoryBytes", digits);
    snprintf(digits, sizeof digits, "%" PRIu64, facts.uptime_s);
    cJSON_AddRawToObject(system, "uptimeSeconds", digits);
    text = cJSON_Print(about);
    if (text)
        bundle_add(r->bundle, "about.json", text, strlen(text));
    else
        bundle_add_missing(r->bundle, "about.json", "out of memory");
    cJSON_free(text);
    cJSON_Delete(about);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void tell(const struct bugreport_run *r, const char *text)
{
    r->env.print(r->env.ctx, strcmp(r->output, "-") ? CLI_STDOUT : CLI_STDERR, text);
}

static char *contents_of(const struct bugreport_run *r, const char *list)
{
    static const char format[] =
        "A report of rdlink %s, which stays on this computer until somebody sends it.\n"
        "Secrets, names of users and home directories were taken out, as far as a program can\n"
        "know them: read it before you send it.\n\n"
        "%s%s";
    const char *down =
        r->is_down ? "The service did not answer: status.json.missing.txt says why.\n\n" : "";
    size_t cap = sizeof format + 64 + strlen(down) + strlen(list);
    char *text = malloc(cap);

    if (text)
        snprintf(text, cap, format, rdlink_version(), down, list);
    return text;
}

static int write_report(struct bugreport_run *r)
{
    char *list = bundle_list(r->bundle), *contents = list ? contents_of(r, list) : NULL;
    int code = CLI_READY;
    enum status st;

    if (!contents) {
        free(list);
        return cli_out_of_memory(&r->env, CLI_DEGRADED);
    }
    tell(r, contents);
    st = r->env.create_output(r->env.ctx, r->output);
    if (st != ST_OK) {
        code = cli_output_failure(&r->env, r->output, st);
    } else if (bundle_write(r->bundle, contents, r->env.write_output, r->env.ctx)) {
        tell(r, "\nwritten to ");
        tell(r, strcmp(r->output, "-") ? r->output : "standard output");
        tell(r, "\n");
    } else {
        r->env.discard_output(r->env.ctx);
        code = cli_output_failure(&r->env, r->output, ST_IO);
    }
    free(contents);
    free(list);
    return code;
}

/* ---- asking ------------------------------------------------------------------------------ */

static void proceed(struct bugreport_run *r, enum stage stage)
{
    r->stage = stage;
    timer_start(&r->next, 0);
}

/* What comes after an answer, good or not. */
static void answered(struct bugreport_run *r, bool is_good)
{
    if (r->stage == STAGE_STATUS) {
        proceed(r, r->is_down ? STAGE_FILES : STAGE_METRICS);
    } else if (r->stage == STAGE_METRICS) {
        proceed(r, STAGE_CHECK);
    } else {
        r->question++;
        if (!is_good || r->question == ARRAY_SIZE(questions)) {
            r->question = 0;
            r->place++;
        }
        proceed(r, STAGE_SWITCHES);
    }
}

/* The service knows its file, where nobody named another. */
static void take_config_file(struct bugreport_run *r, const cJSON *status)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(status, "config");
    const char *file = status_text_in(config, "file");

    if (!r->config_file[0] && file &&
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "fileExists")))
        snprintf(r->config_file, sizeof r->config_file, "%s", file);
}

static void take_status(struct bugreport_run *r, const struct http_client_answer *answer)
{
    cJSON *status = cJSON_ParseWithLength(answer->body, answer->len_bytes);
    unsigned switches;

    take_config_file(r, status);
    r->place_count = control_places(status, "", r->places, &switches);
    cJSON_Delete(status);
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct bugreport_run *r = ctx;
    bool is_good = answer && answer->status == 200;
    struct errmsg e;

    if (is_good) {
        bundle_add(r->bundle, r->asked, answer->body, answer->len_bytes);
        if (r->stage == STAGE_STATUS)
            take_status(r, answer);
    } else {
        if (answer)
            errmsg_set(&e, "answer %u: %.200s", answer->status, answer->body);
        else
            errmsg_set(&e, "%s", why && why->text[0] ? why->text : status_text(st));
        bundle_add_missing(r->bundle, r->asked, e.text);
        r->is_down = r->is_down || r->stage == STAGE_STATUS;
    }
    answered(r, is_good);
}

static void ask(struct bugreport_run *r, const char *name, const struct addr *at,
                const char *target)
{
    struct errmsg e = { "" };
    enum status st;

    snprintf(r->asked, sizeof r->asked, "%s", name);
    st = http_client_get(&r->client, r->env.loop, at, target, r->service.timeout_ms, on_answer, r,
                         &e);
    if (st != ST_OK)
        on_answer(r, st, NULL, &e);
}

/* A name of a switch has a guest's name in it, which may have any letters. */
static void ask_switch(struct bugreport_run *r)
{
    const struct control_place *place = &r->places[r->place];
    char folder[sizeof place->name], name[128];
    size_t n;

    snprintf(folder, sizeof folder, "%s", place->name);
    for (n = 0; folder[n]; n++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", folder[n]))
            folder[n] = '_';
    snprintf(name, sizeof name, "switches/%s/%s.json", folder, questions[r->question].name);
    ask(r, name, &place->at, questions[r->question].target);
}

/* ---- rdlink check, within ------------------------------------------------------------------ */

static void on_check_print(void *ctx, enum cli_out to, const char *text)
{
    struct bugreport_run *r = ctx;

    text_add(&r->said[to], text, strlen(text));
}

static void on_check_finish(void *ctx, int exit_code)
{
    struct bugreport_run *r = ctx;
    const struct text *out = &r->said[CLI_STDOUT], *err = &r->said[CLI_STDERR];

    if (out->chars && !out->failed)
        bundle_add(r->bundle, "check.json", out->chars, out->len_bytes);
    else
        bundle_add_missing(r->bundle, "check.json", err->chars ? err->chars : "out of memory");
    proceed(r, STAGE_SWITCHES);
}

static void run_check(struct bugreport_run *r)
{
    char timeout[32];
    const char *argv[] = { "--json", "--address", r->service.address, "--timeout", timeout };
    int code;

    snprintf(timeout, sizeof timeout, "%ums", r->service.timeout_ms);
    r->check_env = r->env;
    r->check_env.print = on_check_print;
    r->check_env.finish = on_check_finish;
    r->check_env.ctx = r;
    code = cli_run_start(&r->check, &cli_check_command, &r->check_env, ARRAY_SIZE(argv), argv);
    if (code != CLI_PENDING)
        on_check_finish(r, code);
}

/* ---- one step after the other ------------------------------------------------------------ */

static void on_next(void *ctx)
{
    struct bugreport_run *r = ctx;

    http_client_free(r->client);
    r->client = NULL;
    switch (r->stage) {
    case STAGE_STATUS: ask(r, "status.json", &r->service.at, "/v1/status"); break;
    case STAGE_METRICS: ask(r, "metrics.txt", &r->service.at, "/metrics"); break;
    case STAGE_CHECK: run_check(r); break;
    case STAGE_SWITCHES:
        if (r->place < r->place_count)
            ask_switch(r);
        else
            proceed(r, STAGE_FILES);
        break;
    case STAGE_FILES:
        add_files(r);
        r->env.finish(r->env.ctx, write_report(r));
        break;
    }
}

/* ---- start ------------------------------------------------------------------------------- */

static void bugreport_fini(void *run)
{
    struct bugreport_run *r = run;

    timer_stop(&r->next);
    http_client_free(r->client);
    cli_run_free(&cli_check_command, r->check);
    text_fini(&r->said[CLI_STDOUT]);
    text_fini(&r->said[CLI_STDERR]);
    bundle_free(r->bundle);
}

static int begin(struct bugreport_run *r)
{
    char stamp[CLI_STAMP_MAX];

    if (!strcmp(r->output, "-") && r->env.terminal) {
        cli_complain(&r->env, "a tar is nothing for a terminal", "name a file with --output");
        return CLI_USAGE;
    }
    cli_output_stamp(&r->env, stamp);
    snprintf(r->folder, sizeof r->folder, "rdlink-bugreport-%s", stamp);
    if (!r->output[0])
        snprintf(r->output, sizeof r->output, "%s.tar", r->folder);
    r->names = (struct redact_names){ r->env.home, { r->env.users[0], r->env.users[1] } };
    r->bundle = bundle_new(r->folder, r->env.wall_ms(), &r->names);
    if (!r->bundle)
        return cli_service_failure(&r->env, &r->service, ST_NOMEM, NULL);
    add_about(r);
    timer_start(&r->next, 0);
    return CLI_PENDING;
}

static int bugreport_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct bugreport_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->next, env->loop, on_next, r);
    code = cli_parse(&cli_bugreport_command, env, r, &r->service, argc, argv);
    return code == CLI_PENDING ? begin(r) : code;
}

const struct cli_command cli_bugreport_command = {
    .name = "bugreport",
    .usage = "[-o FILE] [--config FILE] [--log FILE] [--status-file FILE]",
    .summary = "what is needed to find a fault, in a tar of your own",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct bugreport_run),
    .start = bugreport_start,
    .fini = bugreport_fini,
};
