/* SPDX-License-Identifier: Apache-2.0 */
#include "status/status_route.h"

#include "base/options.h"
#include "base/util.h"
#include "http/api.h"
#include "http/http_message.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 24 };

/* "25s", "500ms"; more than the maximum waits for the maximum. */
static bool take_wait(struct status_request *r, const char *value)
{
    uint64_t ms;

    if (option_duration_parse(value, &ms) != ST_OK)
        return false;
    r->wait_ms = (uint32_t)MIN(ms, (uint64_t)STATUS_WAIT_MAX_MS);
    return true;
}

static bool take_since(struct status_request *r, const char *value)
{
    if (!value[0] || strspn(value, "0123456789") != strlen(value) || strlen(value) > 19)
        return false;
    r->has_since = true;
    r->since = strtoull(value, NULL, 10);
    return true;
}

/* "wait=25s&since=4"; what we do not know is ignored. */
static bool take_query(struct status_request *r, const char *query)
{
    while (query && *query) {
        size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
        char value[VALUE_MAX] = "";
        bool good = true;

        if (name < len) {
            good = len - name - 1 < sizeof value;
            snprintf(value, sizeof value, "%.*s", (int)(len - name - 1), query + name + 1);
        }
        if (name == 4 && !memcmp(query, "wait", 4))
            good = good && take_wait(r, value);
        else if (name == 5 && !memcmp(query, "since", 5))
            good = good && take_since(r, value);
        else
            good = true;
        if (!good)
            return false;
        query += len + (query[len] == '&');
    }
    return true;
}

static bool find_resource(struct status_request *r, const char *target, const char **query)
{
    static const char *const paths[] = {
        [STATUS_RESOURCE_STATUS] = "/v1/status",
        [STATUS_RESOURCE_EVENTS] = "/v1/events",
        [STATUS_RESOURCE_METRICS] = "/metrics",
        [STATUS_RESOURCE_HEALTHZ] = "/healthz",
        [STATUS_RESOURCE_READYZ] = "/readyz",
        [STATUS_RESOURCE_PAGE] = "/",
        [STATUS_RESOURCE_DIAGNOSTICS] = "/v1/diagnostics",
        [STATUS_RESOURCE_HEALTH] = "/v1/health",
        [STATUS_RESOURCE_HEALTH_WATCH] = "/v1/health/watch",
    };
    size_t len = http_target_path(target, query);

    static_assert(ARRAY_SIZE(paths) == STATUS_RESOURCE_COUNT, "a path for each");
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        if (strlen(paths[i]) != len || memcmp(paths[i], target, len))
            continue;
        r->resource = i;
        return true;
    }
    return false;
}

/* A tag that does not fit cannot be ours: ours are short, and lists are not for pollers. */
static void take_tag(struct status_request *r, const struct http_head *head)
{
    bool events = r->resource == STATUS_RESOURCE_EVENTS;
    const char *tag = http_head_find(head, events ? "Last-Event-ID" : "If-None-Match");

    if (tag && strlen(tag) < sizeof r->tag)
        snprintf(r->tag, sizeof r->tag, "%s", tag);
}

unsigned status_route(struct status_request *out, const struct http_head *head)
{
    const char *query;

    memset(out, 0, sizeof *out);
    out->head_only = !strcmp(head->method, "HEAD");
    out->keep_alive = head->keep_alive && !head->upgrade;
    if (!find_resource(out, head->target, &query))
        return 404;
    if (!out->head_only && strcmp(head->method, "GET") != 0)
        return 405;
    take_tag(out, head);
    if (query && api_query_find(query, "service", out->service, sizeof out->service) == ST_INVAL)
        return 400;
    return take_query(out, query) ? 200 : 400;
}
