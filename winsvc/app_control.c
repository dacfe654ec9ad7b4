/* SPDX-License-Identifier: Apache-2.0
 * A route answers at once. What takes time (a worker that drains) is started here and watched in
 * the status by whoever asked.
 */
#include "app_control.h"

#include "app.h"
#include "base/log.h"
#include "base/util.h"
#include "control/control_server.h"
#include "log_service.h"
#include "port/addr.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static void serve_restart(struct api_conn *c, const struct api_request *r)
{
    struct app *a = r->owner;
    char text[sizeof((struct errmsg *)0)->text], names[160];
    uint64_t restarts = 0;
    enum status st = app_restart(a, r->name, &restarts);
    int len;

    if (st == ST_NOTFOUND) {
        app_component_names(a, names, sizeof names);
        snprintf(text, sizeof text, "no component '%.60s'; there are: %s", r->name,
                 names[0] ? names : "none now");
        api_respond_text(c, 404, text);
        return;
    }
    if (st) {
        api_respond_text(c, 503, "the service is stopping");
        return;
    }
    len = snprintf(text, sizeof text, "{\"restarts\":%" PRIu64 "}\n", restarts);
    api_respond(c, 202, "application/json", text, (size_t)len);
}

static void serve_reprobe(struct api_conn *c, const struct api_request *r)
{
    app_probe_now(r->owner);
    api_respond(c, 202, "application/json", "{}\n", 3);
}

static void serve_reload(struct api_conn *c, const struct api_request *r)
{
    struct errmsg e = { "" };

    if (app_reload(r->owner, &e) == ST_OK)
        api_respond(c, 200, "application/json", "{}\n", 3);
    else
        api_respond_text(c, 422, e.text);
}

static void answer_levels(struct api_conn *c, const struct api_request *r)
{
    struct log_levels levels;
    char text[LOG_LEVELS_MAX];
    cJSON *json = cJSON_CreateObject();

    log_get_levels(&levels);
    cJSON_AddStringToObject(json, "levels", log_levels_text(&levels, text));
    cJSON_AddStringToObject(json, "override", log_override());
    cJSON_AddNumberToObject(json, "leftMs",
                            (double)log_service_override_left_ms(app_logs(r->owner)));
    api_respond_json(c, json);
}

/* {"levels": "switch=debug", "forMs": 600000}; "" ends what was there. */
static void serve_set_levels(struct api_conn *c, const struct api_request *r)
{
    cJSON *json = cJSON_ParseWithLength((const char *)r->body, r->body ? r->body_bytes : 0);
    const char *levels = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "levels"));
    const cJSON *for_ms = cJSON_GetObjectItemCaseSensitive(json, "forMs");
    double ms = cJSON_IsNumber(for_ms) ? for_ms->valuedouble : 0;
    struct errmsg e = { "not {\"levels\": \"switch=debug\", \"forMs\": 600000}" };

    if (!levels || !(ms >= 0 && ms <= UINT32_MAX) ||
        log_service_override(app_logs(r->owner), levels, (uint32_t)ms, &e) != ST_OK)
        api_respond_text(c, 422, e.text);
    else
        answer_levels(c, r);
    cJSON_Delete(json);
}

static const struct api_route routes[] = {
    { "/v1/log/levels", serve_set_levels, "PUT", "what is logged, for a time" },
    { "/v1/log/levels", answer_levels, "GET", "what is logged" },
    { "/v1/config/reload", serve_reload, "POST", "read the configuration now" },
    { "/v1/components/*/restart", serve_restart, "POST", "drain that worker, start it again" },
    { "/v1/reprobe", serve_reprobe, "POST", "look at every guest now" },
};

enum status app_control_open(struct control_server **out, struct loop *loop, const struct addr *at,
                             struct app *a, struct errmsg *e)
{
    char text[ADDR_TEXT_MAX];
    enum status st = control_server_new(out, loop, at, routes, ARRAY_SIZE(routes), a, e);

    if (st)
        errmsg_wrap(e, "control socket %s", addr_format(at, text, sizeof text));
    return st;
}
