/* SPDX-License-Identifier: Apache-2.0
 * A route answers at once. What takes time (a worker that drains) is started here and watched in
 * the status by whoever asked.
 */
#include "app_control.h"

#include "app.h"
#include "base/util.h"
#include "control/control_server.h"
#include "port/addr.h"

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

static const struct api_route routes[] = {
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
