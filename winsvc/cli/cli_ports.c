/* SPDX-License-Identifier: Apache-2.0
 * `rdlink ports`: the host's ports that lead into guests, by each switch's own word, and those that
 * should and wait for their port, with the reason.
 */
#include "cli/cli_control.h"

#include "base/util.h"
#include "cli/http_client.h"
#include "cli/status_fields.h"
#include "ipc/peer_text.h"
#include "port/loop.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct ports_run {
    struct cli_env env;
    struct cli_service service;
    bool json;
    struct control_list *list; /* owned */
    struct control_place places[CONTROL_MAX];
    unsigned count, asked;
    struct http_client *client; /* owned */
    struct timer next;
    cJSON *ports; /* owned: an array of {switch, protocol, local, remote, state, message} */
};

static const struct option options[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct ports_run, json),
      .help = "print an array of {switch, protocol, local, remote, state, message}" },
    CLI_SERVICE_OPTIONS(struct ports_run, service, "5s", "how long to wait for each answer"),
};

/* ---- showing ----------------------------------------------------------------------------- */

/* A port that waits for its turn leads nowhere yet: why is what one wants to know of it. */
static void print_why(const struct ports_run *r, const cJSON *port)
{
    char line[512], why[300];

    if (strcmp(status_text_in(port, "state"), "waiting") != 0)
        return;
    peer_text_copy(why, sizeof why, status_text_in(port, "message"));
    snprintf(line, sizeof line, "      waits: %s\n", why);
    r->env.print(r->env.ctx, CLI_STDOUT, line);
}

static void print_port(const struct ports_run *r, const cJSON *port)
{
    static const char *const columns[] = { "protocol", "local", "remote", "switch" };
    static const int widths[] = { 5, 28, 28, 0 };
    char line[512] = "", cell[128];
    size_t len = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(columns); i++) {
        peer_text_copy(cell, sizeof cell,
                       cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(port, columns[i])));
        len += (size_t)snprintf(line + len, sizeof line - len, "%-*s ", widths[i], cell);
        ASSERT(len < sizeof line);
    }
    while (len && line[len - 1] == ' ')
        len--;
    snprintf(line + len, sizeof line - len, "\n");
    r->env.print(r->env.ctx, CLI_STDOUT, line);
    print_why(r, port);
}

static int show(const struct ports_run *r)
{
    const cJSON *port;
    char *text;

    if (!r->json) {
        cJSON_ArrayForEach(port, r->ports)
        {
            print_port(r, port);
        }
        if (!cJSON_GetArraySize(r->ports))
            r->env.print(r->env.ctx, CLI_STDOUT, "no port leads into a guest\n");
        return CLI_READY;
    }
    text = cJSON_Print(r->ports);
    if (!text)
        return cli_service_failure(&r->env, &r->service, ST_NOMEM, NULL);
    r->env.print(r->env.ctx, CLI_STDOUT, text);
    r->env.print(r->env.ctx, CLI_STDOUT, "\n");
    cJSON_free(text);
    return CLI_READY;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool add_all(struct ports_run *r, const char *of, const struct http_client_answer *answer)
{
    cJSON *list = cJSON_ParseWithLength(answer->body, answer->len_bytes);
    bool good = answer->status == 200 && cJSON_IsArray(list);
    cJSON *port;

    while (good && (port = cJSON_DetachItemFromArray(list, 0))) {
        cJSON_AddStringToObject(port, "switch", of);
        cJSON_AddItemToArray(r->ports, port);
    }
    cJSON_Delete(list);
    return good;
}

static void on_answer(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct ports_run *r = ctx;
    const struct control_place *place = &r->places[r->asked++];
    char what[400];

    if (st == ST_OK && add_all(r, place->name, answer)) {
        timer_start(&r->next, 0);
        return;
    }
    snprintf(what, sizeof what, "%s does not say its ports: %.250s", place->name,
             st ? why->text : "not the answer of a switch");
    cli_complain(&r->env, what, "rdlink status");
    r->env.finish(r->env.ctx, st == ST_DENIED ? CLI_NO_PERMISSION : CLI_DEGRADED);
}

static void on_next(void *ctx)
{
    struct ports_run *r = ctx;
    struct errmsg e = { "" };
    enum status st;

    http_client_free(r->client);
    r->client = NULL;
    if (r->asked == r->count) {
        r->env.finish(r->env.ctx, show(r));
        return;
    }
    st = http_client_get(&r->client, r->env.loop, &r->places[r->asked].at,
                         "/services/forwarder/all", r->service.timeout_ms, on_answer, r, &e);
    if (st != ST_OK)
        on_answer(r, st, NULL, &e);
}

static void on_places(void *ctx, const struct control_place *places, unsigned count, int exit_code)
{
    struct ports_run *r = ctx;

    if (exit_code != CLI_PENDING) {
        r->env.finish(r->env.ctx, exit_code);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        r->places[i] = places[i];
    r->count = count;
    timer_start(&r->next, 0);
}

/* ---- start ------------------------------------------------------------------------------- */

static void ports_fini(void *run)
{
    struct ports_run *r = run;

    timer_stop(&r->next);
    control_list_free(r->list);
    http_client_free(r->client);
    cJSON_Delete(r->ports);
}

static int ports_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct ports_run *r = run;
    int code;

    r->env = *env;
    timer_init(&r->next, env->loop, on_next, r);
    r->ports = cJSON_CreateArray();
    if (!r->ports)
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    code = cli_parse(&cli_ports_command, env, r, &r->service, argc, argv);
    if (code != CLI_PENDING)
        return code;
    return control_list_start(&r->list, &r->env, &r->service, "", on_places, r);
}

const struct cli_command cli_ports_command = {
    .name = "ports",
    .usage = "[--json] [--address ADDR] [--timeout TIME]",
    .summary = "which ports of this computer lead into a guest",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct ports_run),
    .start = ports_start,
    .fini = ports_fini,
};
