/* SPDX-License-Identifier: Apache-2.0
 * THEORY: `rdlink check` goes the way that a docker client's bytes go, and says of each step PASS,
 * WARN or FAIL and what to do.
 *
 *   service -> its version -> endpoints (who has the name) -> virtual machines and what is in them
 *   -> workers and what switches have counted -> the whole -> this computer (check_host.c) -> and
 * at last one request of our own through each endpoint
 *
 * Most come from one status; the requests are made as the person who runs the command, so
 * it finds what the service cannot know: that this person may not open the pipe. A condition that
 * is True passes, one that is False fails, or warns where docker works without it; Unknown says
 * that it does not apply.
 */
#include "cli/check_host.h"
#include "cli/check_network.h"
#include "cli/cli_command.h"

#include "base/util.h"
#include "base/version.h"
#include "cli/http_client.h"
#include "cli/status_fields.h"
#include "ipc/peer_text.h"
#include "port/loop.h"
#include "status/hints.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ENDPOINTS_MAX = 8, NAME_MAX_BYTES = 96, TEXT_MAX_BYTES = 400, NAME_COLUMNS = 34 };

static const char *const result_names[] = { "PASS", "WARN", "FAIL" };

struct check_run {
    struct cli_env env;
    struct cli_service service;
    bool json;
    struct http_client *client; /* owned */
    struct timer next;          /* begins the next request when the last is over */
    cJSON *rows;                /* owned, with --json */
    unsigned counts[CHECK_RESULT_COUNT];
    char endpoints[ENDPOINTS_MAX][ADDR_TEXT_MAX]; /* to be asked */
    unsigned endpoint_count, asked;
    uint64_t asked_ms;
};

static const struct option options[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct check_run, json),
      .help = "print an array of {name, result, message, next}" },
    CLI_SERVICE_OPTIONS(struct check_run, service, "5s", "how long to wait for each answer"),
};

/* ---- rows -------------------------------------------------------------------------------- */

static void print(const struct check_run *r, const char *text)
{
    r->env.print(r->env.ctx, CLI_STDOUT, text);
}

static void row_as_text(const struct check_run *r, enum check_result result, const char *name,
                        const char *message, const char *next)
{
    static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };
    char line[NAME_MAX_BYTES + 2 * TEXT_MAX_BYTES + 64];

    snprintf(line, sizeof line, "%s%s%s  %-*s  %s\n", r->env.color ? colors[result] : "",
             result_names[result], r->env.color ? "\033[0m" : "", NAME_COLUMNS, name, message);
    print(r, line);
    if (!next[0])
        return;
    snprintf(line, sizeof line, "        next  %s\n", next);
    print(r, line);
}

/* @next NULL: nothing to do. Texts come from the status: they are made safe for a terminal here. */
static void row(struct check_run *r, enum check_result result, const char *name,
                const char *message, const char *next)
{
    char safe_name[NAME_MAX_BYTES], safe_message[TEXT_MAX_BYTES], safe_next[TEXT_MAX_BYTES];
    cJSON *object;

    peer_text_copy(safe_name, sizeof safe_name, name);
    peer_text_copy(safe_message, sizeof safe_message, message);
    peer_text_copy(safe_next, sizeof safe_next, next);
    r->counts[result]++;
    if (!r->json) {
        row_as_text(r, result, safe_name, safe_message, safe_next);
        return;
    }
    object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", safe_name);
    cJSON_AddStringToObject(object, "result", result_names[result]);
    cJSON_AddStringToObject(object, "message", safe_message);
    if (next)
        cJSON_AddStringToObject(object, "next", safe_next);
    else
        cJSON_AddNullToObject(object, "next");
    cJSON_AddItemToArray(r->rows, object);
}

static const cJSON *list_in(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* ---- what the status says ---------------------------------------------------------------- */

static bool is_minor(const char *type)
{
    static const char *const minor[] = { "SubnetClear", "ForwardsBound", "AgentHealthy",
                                         "NetAgentHealthy", "Authenticated" };

    for (unsigned i = 0; i < ARRAY_SIZE(minor); i++)
        if (!strcmp(minor[i], type))
            return true;
    return false;
}

static void check_conditions(struct check_run *r, const char *of, const cJSON *list)
{
    const cJSON *c;

    cJSON_ArrayForEach(c, list)
    {
        const char *type = status_text_in(c, "type"), *status = status_text_in(c, "status");
        const char *reason = status_text_in(c, "reason"), *hint = hint_find(reason);
        char name[NAME_MAX_BYTES], message[TEXT_MAX_BYTES];
        bool holds = !strcmp(status, "True");

        if (!holds && strcmp(status, "False") != 0)
            continue;
        snprintf(name, sizeof name, "%.50s%s%.40s", of, of[0] ? "/" : "", type);
        snprintf(message, sizeof message, "%.60s: %.300s", reason, status_text_in(c, "message"));
        if (holds)
            row(r, CHECK_PASS, name, message, NULL);
        else
            row(r, is_minor(type) ? CHECK_WARN : CHECK_FAIL, name, message,
                hint ? hint : "see the reason's entry in docs/troubleshooting.md");
    }
}

static void check_program(struct check_run *r, const cJSON *status)
{
    const cJSON *program = list_in(status, "program");
    const char *version = status_text_in(program, "version");
    char message[TEXT_MAX_BYTES];

    snprintf(message, sizeof message, "%.40s %.40s answers at %.200s",
             status_text_in(program, "name"), version, r->service.address);
    row(r, CHECK_PASS, "service", message, NULL);
    if (!strcmp(version, rdlink_version()))
        return;
    snprintf(message, sizeof message, "the service is %.40s, this command %s", version,
             rdlink_version());
    row(r, CHECK_WARN, "version", message, "install one version of both, restart the service");
}

static void check_endpoint(struct check_run *r, const cJSON *endpoint)
{
    const char *state = status_text_in(endpoint, "state"),
               *address = status_text_in(endpoint, "address");
    const cJSON *owner = list_in(endpoint, "owner");
    char name[NAME_MAX_BYTES], message[TEXT_MAX_BYTES];
    enum check_result result = !strcmp(state, "listening")  ? CHECK_PASS
                               : !strcmp(state, "fallback") ? CHECK_WARN
                                                            : CHECK_FAIL;

    snprintf(name, sizeof name, "endpoint/%.40s", status_text_in(endpoint, "name"));
    snprintf(message, sizeof message, "%.20s %.120s%s%.120s%s%.120s", state,
             address[0] ? address : status_text_in(endpoint, "requested"),
             status_text_in(endpoint, "message")[0] ? ": " : "",
             status_text_in(endpoint, "message"),
             status_text_in(owner, "image")[0] ? ", held by " : "", status_text_in(owner, "image"));
    row(r, result, name, message,
        result == CHECK_PASS ? NULL : "end the program that holds the name, or use another name");
    if (address[0] && r->endpoint_count < ENDPOINTS_MAX)
        snprintf(r->endpoints[r->endpoint_count++], ADDR_TEXT_MAX, "%s", address);
}

static void check_instance(struct check_run *r, const cJSON *instance)
{
    const char *vm = status_text_in(instance, "vm");

    check_conditions(r, vm, list_in(instance, "conditions"));
    check_conditions(r, vm, list_in(list_in(instance, "agent"), "conditions"));
    check_conditions(r, vm, list_in(list_in(instance, "netAgent"), "conditions"));
}

static void on_row(void *ctx, enum check_result result, const char *name, const char *message,
                   const char *next)
{
    row(ctx, result, name, message, next);
}

static void check_component(struct check_run *r, const cJSON *component)
{
    const char *name = status_text_in(component, "name");
    const cJSON *restarts = list_in(component, "restarts");
    bool serves = !strcmp(status_text_in(component, "state"), "SERVING");
    char message[TEXT_MAX_BYTES];

    snprintf(message, sizeof message, "%.40s, started again %.0f times",
             status_text_in(component, "state"),
             cJSON_IsNumber(restarts) ? restarts->valuedouble : 0.0);
    if (cJSON_IsTrue(list_in(component, "crashLoop")))
        row(r, CHECK_FAIL, name, message, hint_find("ComponentCrashLoop"));
    else
        row(r, serves ? CHECK_PASS : CHECK_FAIL, name, message,
            serves ? NULL : hint_find("ComponentNotServing"));
    check_conditions(r, name, list_in(component, "conditions"));
    check_network(component, on_row, r);
}

static void check_status(struct check_run *r, const cJSON *status)
{
    const cJSON *part, *instances = list_in(status, "instances");

    check_program(r, status);
    cJSON_ArrayForEach(part, list_in(status, "endpoints"))
    {
        check_endpoint(r, part);
    }
    if (!cJSON_GetArraySize(instances))
        row(r, CHECK_FAIL, "virtual machine", "none is running", hint_find("NoVirtualMachine"));
    cJSON_ArrayForEach(part, instances)
    {
        check_instance(r, part);
    }
    cJSON_ArrayForEach(part, list_in(status, "components"))
    {
        check_component(r, part);
    }
    check_conditions(r, "", list_in(status, "conditions"));
    if (r->env.look)
        check_host(r->env.look, status, &r->service.at, on_row, r);
}

/* ---- our own requests -------------------------------------------------------------------- */

static void finish(struct check_run *r)
{
    char line[128];
    char *text;

    if (r->json) {
        text = cJSON_Print(r->rows);
        print(r, text ? text : "[]");
        print(r, "\n");
        cJSON_free(text);
    } else {
        snprintf(line, sizeof line, "\n%u passed, %u warned, %u failed\n", r->counts[CHECK_PASS],
                 r->counts[CHECK_WARN], r->counts[CHECK_FAIL]);
        print(r, line);
    }
    r->env.finish(r->env.ctx, r->counts[CHECK_FAIL] ? CLI_DEGRADED : CLI_READY);
}

static void on_ping(void *ctx, enum status st, const struct http_client_answer *answer,
                    const struct errmsg *why)
{
    struct check_run *r = ctx;
    const char *at = r->endpoints[r->asked++];
    char name[NAME_MAX_BYTES], message[TEXT_MAX_BYTES];

    snprintf(name, sizeof name, "request to %.60s", at);
    if (st == ST_OK && answer->status == 200) {
        snprintf(message, sizeof message, "the engine answers after %" PRIu64 " ms",
                 loop_now_ms(r->env.loop) - r->asked_ms);
        row(r, CHECK_PASS, name, message, NULL);
    } else if (st == ST_OK) {
        snprintf(message, sizeof message, "answer %u: %.300s", answer->status, answer->body);
        row(r, CHECK_FAIL, name, message, "see what fails above");
    } else if (st == ST_DENIED) {
        row(r, CHECK_FAIL, name, "you may not use it",
            "ask an administrator for the group docker-users, then sign in again");
    } else {
        snprintf(message, sizeof message, "%.300s", why ? why->text : status_text(st));
        row(r, CHECK_FAIL, name, message, "see what fails above");
    }
    timer_start(&r->next, 0);
}

static void on_next(void *ctx)
{
    struct check_run *r = ctx;
    struct errmsg e = { "" };
    struct addr at;
    enum status st;

    http_client_free(r->client);
    r->client = NULL;
    if (r->asked == r->endpoint_count) {
        finish(r);
        return;
    }
    r->asked_ms = loop_now_ms(r->env.loop);
    st = addr_parse(&at, r->endpoints[r->asked], &e);
    if (st == ST_OK)
        st = http_client_get(&r->client, r->env.loop, &at, "/_ping", r->service.timeout_ms, on_ping,
                             r, &e);
    if (st != ST_OK)
        on_ping(r, st, NULL, &e);
}

static void on_status(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct check_run *r = ctx;
    struct errmsg e = { "" };
    cJSON *status = NULL;

    if (st == ST_OK) {
        if (answer->status == 200)
            status = cJSON_ParseWithLength(answer->body, answer->len_bytes);
        if (!cJSON_IsBool(list_in(status, "ready"))) {
            errmsg_set(&e, "answer %u, not a status", answer->status);
            st = ST_PROTO;
            why = &e;
        }
    }
    if (st == ST_OK) {
        check_status(r, status);
        timer_start(&r->next, 0);
    } else {
        r->env.finish(r->env.ctx, cli_service_failure(&r->env, &r->service, st, why));
    }
    cJSON_Delete(status);
}

/* ---- start ------------------------------------------------------------------------------- */

static void check_fini(void *run)
{
    struct check_run *r = run;

    timer_stop(&r->next);
    http_client_free(r->client);
    cJSON_Delete(r->rows);
}

static int check_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct check_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->next, env->loop, on_next, r);
    r->rows = cJSON_CreateArray();
    if (!r->rows)
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    code = cli_parse(&cli_check_command, env, r, &r->service, argc, argv);
    if (code != CLI_PENDING)
        return code;
    return cli_ask(&r->client, env, &r->service, "/v1/status", on_status, r);
}

const struct cli_command cli_check_command = {
    .name = "check",
    .usage = "[--json] [--address ADDR] [--timeout TIME]",
    .summary = "each step to the engine: PASS, WARN or FAIL, and the fix",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct check_run),
    .start = check_start,
    .fini = check_fini,
};
