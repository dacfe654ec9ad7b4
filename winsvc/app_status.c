/* SPDX-License-Identifier: Apache-2.0
 * What a reader of the status sees: each part fills in its own, and what concerns several (the
 * network of the guests that are behind an endpoint, readiness) is concluded here.
 */
#include "app_internal.h"

#include "access.h"
#include "app_config.h"
#include "base/log.h"
#include "base/version.h"
#include "docker/docker_service.h"
#include "log_service.h"
#include "network/network_service.h"
#include "port/loop.h"
#include "port/sys.h"
#include "status/status_page.h"
#include "vm/vm_manager.h"

#include <stdio.h>
#include <stdlib.h>

const char *app_source_text(const struct app *a)
{
    const struct config_text *t = &a->config->text;

    if (a->config->vm_count)
        return "configuration";
    return t->vm_folder[0] ? t->vm_folder : "registry";
}

static void fill_sessions(struct app *a, struct snapshot *out)
{
    struct session_view *view = calloc(1, sizeof *view);

    if (!view)
        return;
    for (unsigned i = 0; i < vm_manager_count(a->manager); i++) {
        vm_manager_view(a->manager, i, view);
        snapshot_add_session(out, view, &a->clock);
    }
    free(view);
}

static bool is_worse(const struct condition *a, const struct condition *b)
{
    return a->status != COND_TRUE && b->status == COND_TRUE;
}

/* The networks of the guests behind the endpoints, the worst of them. False: none of them has one
 * or wants one. */
static bool find_network(const struct app *a, struct condition *out)
{
    bool any = false;

    for (unsigned i = 0; a->network && i < a->endpoint_count; i++) {
        struct condition c;

        if (!a->endpoints[i].chosen[0] ||
            !network_service_condition(a->network, a->endpoints[i].chosen, &c))
            continue;
        if (!any || is_worse(&c, out))
            *out = c;
        any = true;
    }
    return any;
}

static bool has_guest(const struct app *a)
{
    for (unsigned i = 0; i < a->endpoint_count; i++)
        if (a->endpoints[i].chosen[0])
            return true;
    return false;
}

static void set_network(struct app *a, enum condition_status status, const char *reason,
                        const char *text)
{
    if (condition_update(&a->conditions, "NetworkReady", status, reason, sys_wall_ms(), "%s", text))
        log_write_event_limited(&a->changes_log, LOG_EVENT_NETWORK, LOG_INFO, LOG_MAIN,
                                "NetworkReady=%s reason=%s: %s", condition_status_name(status),
                                reason, text);
}

static void fill_network(struct app *a, struct snapshot *out)
{
    struct condition found, *c = &found;

    out->needs_network = find_network(a, c);
    if (out->needs_network)
        set_network(a, c->status, c->reason, c->message);
    else if (!a->network)
        set_network(a, COND_UNKNOWN, "NetworkDisabled", "no-network is set: guests get no switch");
    else if (has_guest(a))
        set_network(a, COND_UNKNOWN, "ControlOnly",
                    "the guest has only rdlink-agent's bridge, which needs no network from us");
    else
        set_network(a, COND_UNKNOWN, "NoGuest", "no guest has answered");
}

static void fill_page(const struct app *a, struct snapshot *out)
{
    struct snapshot_page *to = &out->page;
    struct status_page_view view;

    if (!a->page)
        return;
    view = status_page_view(a->page);
    to->is_wanted = true;
    to->is_served = view.is_served;
    snprintf(to->url, sizeof to->url, "%s", view.url);
    snprintf(to->token_file, sizeof to->token_file, "%s", view.token_file);
    snprintf(to->message, sizeof to->message, "%s", view.why);
}

void app_fill(void *ctx, struct snapshot *out)
{
    struct app *a = ctx;

    snapshot_clock_update(&a->clock, sys_wall_ms(), loop_now_ms(a->loop));
    snapshot_init(out, "rdlinkd", rdlink_version(), sys_pid(), a->started_ms);
    out->identity = a->identity;
    out->stopping = a->stopping;
    snprintf(out->source, sizeof out->source, "%s", app_source_text(a));
    if (a->control)
        snprintf(out->control, sizeof out->control, "%s", a->config->text.control);
    out->source_exists = vm_manager_source_exists(a->manager);
    fill_sessions(a, out);
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_fill(a->endpoints[i].service, out, &a->clock);
    if (a->network)
        network_service_fill(a->network, out, &a->clock);
    fill_network(a, out);
    fill_page(a, out);
    app_config_fill(a->live, &a->conditions, out);
    log_service_fill(a->logs, &a->conditions, out);
    access_fill(a->access, &a->conditions, out);
    if (snapshot_conclude(out, &a->conditions, sys_wall_ms())) {
        const struct condition *c = condition_find(&a->conditions, "Ready");

        log_write_event_limited(&a->changes_log,
                                c->status == COND_TRUE ? LOG_EVENT_READY : LOG_EVENT_NOT_READY,
                                LOG_INFO, LOG_MAIN, "phase=%s Ready=%s reason=%s: %s",
                                snapshot_phase_name(out->phase), condition_status_name(c->status),
                                c->reason, c->message);
    }
}
