/* SPDX-License-Identifier: Apache-2.0
 * The owner's routes with GET /v1 before them, behind a listener. What is asked gets to the owner;
 * GET /v1 finds the table by its own row, which is the first.
 */
#include "control/control_server.h"

#include "base/log.h"
#include "base/util.h"
#include "port/addr.h"
#include "port/listener.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

struct control_server {
    struct api_route routes[CONTROL_ROUTES_MAX]; /* ours first; the last one has no path */
    struct api *api;                             /* owned */
    struct listener *listener;                   /* owned */
};

/* ---- GET /v1 --------------------------------------------------------------------------------- */

static void serve_list(struct api_conn *c, const struct api_request *r)
{
    const struct api_route *all = r->route; /* the first of the table */
    cJSON *json = cJSON_CreateObject(), *list;

    (void)cJSON_AddStringToObject(json, "apiVersion", "rdlink.v1");
    list = cJSON_AddArrayToObject(json, "routes");
    for (const struct api_route *at = all; at->path; at++) {
        cJSON *row = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(row, "method", at->method);
        (void)cJSON_AddStringToObject(row, "path", at->path);
        (void)cJSON_AddStringToObject(row, "what", at->what);
        if (!cJSON_AddItemToArray(list, row))
            cJSON_Delete(row);
    }
    api_respond_json(c, json);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_accept(void *ctx, struct stream *stream, const struct peer *peer)
{
    struct control_server *s = ctx;
    enum status st = api_accept(s->api, stream, NULL);

    if (st)
        log_warn_limited(LOG_MAIN, "control connection refused: %s", status_text(st));
}

static void on_state(void *ctx, enum status st, const struct errmsg *why)
{
    if (st)
        log_warn_limited(LOG_MAIN, "control socket: %s", why->text);
}

static const struct listener_handler listener_handler = { on_accept, on_state };

enum status control_server_new(struct control_server **out, struct loop *loop,
                               const struct addr *at, const struct api_route *routes,
                               size_t route_count, void *owner, struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1, .unix_mode = 0600, .byte_mode = true };
    struct control_server *s = calloc(1, sizeof *s);
    struct api_config config = { .loop = loop, .owner = owner, .is_control = true };
    enum status st = route_count + 2 <= CONTROL_ROUTES_MAX ? ST_NOMEM : ST_FULL;

    if (!s || st == ST_FULL)
        goto out;
    s->routes[0] = (struct api_route){ "/v1", serve_list, "GET", "this list" };
    memcpy(s->routes + 1, routes, route_count * sizeof *routes);
    config.routes = s->routes;
    config.route_count = route_count + 1;
    st = api_new(&s->api, &config);
    if (st)
        goto out;
    st = listener_open(loop, &s->listener, at, &opts, &listener_handler, s, e);
    if (st == ST_OK) {
        *out = s;
        return ST_OK;
    }
out:
    if (st == ST_NOMEM || st == ST_FULL)
        errmsg_set(e, "%s", status_text(st));
    control_server_free(s);
    return st;
}

void control_server_free(struct control_server *s)
{
    if (!s)
        return;
    listener_close(s->listener);
    api_free(s->api);
    free(s);
}
