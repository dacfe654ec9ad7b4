/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_control.h"

#include "cli/http_client.h"
#include "ipc/peer_text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control_list {
    const struct cli_env *env;         /* borrowed */
    const struct cli_service *service; /* borrowed */
    char wanted[64];
    control_list_fn *fn;
    void *ctx;
    struct http_client *client; /* owned */
    struct control_place places[CONTROL_MAX];
    unsigned count, switches;
};

static bool take(struct control_place *place, const cJSON *component, const char *wanted,
                 unsigned *switches)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(component, "name"));
    const char *at = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(component, "control"));

    if (!name || strncmp(name, "switch-", 7) != 0)
        return false;
    ++*switches;
    if (!at || (wanted[0] && strcmp(wanted, name) != 0) ||
        addr_parse(&place->at, at, NULL) != ST_OK)
        return false;
    peer_text_copy(place->name, sizeof place->name, name);
    return true;
}

unsigned control_places(const cJSON *status, const char *wanted,
                        struct control_place places[static CONTROL_MAX], unsigned *switches)
{
    const cJSON *component;
    unsigned count = 0;

    *switches = 0;
    cJSON_ArrayForEach(component, cJSON_GetObjectItemCaseSensitive(status, "components"))
    {
        if (count < CONTROL_MAX && take(&places[count], component, wanted, switches))
            count++;
    }
    return count;
}

/* Why there is no place. */
static int explain(const struct control_list *l)
{
    if (!l->switches)
        cli_complain(l->env, "no guest has a network now", "rdlink status");
    else if (l->wanted[0])
        cli_complain(l->env, "there is no such switch with a control socket", "rdlink status");
    else
        cli_complain(l->env, "the switches have no control sockets",
                     "start the service with --switch-control ADDR");
    return CLI_DEGRADED;
}

static void on_status(void *ctx, enum status st, const struct http_client_answer *answer,
                      const struct errmsg *why)
{
    struct control_list *l = ctx;
    cJSON *status = st == ST_OK && answer->status == 200
                        ? cJSON_ParseWithLength(answer->body, answer->len_bytes)
                        : NULL;
    int code = CLI_PENDING;

    l->count = control_places(status, l->wanted, l->places, &l->switches);
    if (!status)
        code = cli_service_failure(l->env, l->service, st ? st : ST_PROTO, why);
    else if (!l->count)
        code = explain(l);
    cJSON_Delete(status);
    l->fn(l->ctx, l->places, l->count, code);
}

int control_list_start(struct control_list **out, const struct cli_env *env,
                       const struct cli_service *service, const char *wanted, control_list_fn *fn,
                       void *ctx)
{
    struct control_list *l = calloc(1, sizeof *l);
    int code;

    if (!l)
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    l->env = env;
    l->service = service;
    l->fn = fn;
    l->ctx = ctx;
    snprintf(l->wanted, sizeof l->wanted, "%s", wanted);
    code = cli_ask(&l->client, env, service, "/v1/status", on_status, l);
    if (code == CLI_PENDING)
        *out = l;
    else
        free(l);
    return code;
}

void control_list_free(struct control_list *l)
{
    if (!l)
        return;
    http_client_free(l->client);
    free(l);
}
