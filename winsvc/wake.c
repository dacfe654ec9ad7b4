/* SPDX-License-Identifier: Apache-2.0 */
#include "wake.h"

#include "base/log.h"
#include "port/name_look.h"
#include "port/routes.h"
#include "port/sys.h"

#include <inttypes.h>

enum { NETWORK_SETTLE_MS = 250 };

static void on_look(void *ctx)
{
    struct wake *w = ctx;
    uint64_t away_ms, names = name_look();

    timer_start(&w->look, WAKE_LOOK_MS);
    if (names != w->names && !timer_is_running(&w->rerouted))
        timer_start(&w->rerouted, NETWORK_SETTLE_MS);
    w->names = names;
    if (!wake_watch_look(&w->watch, loop_now_ms(w->loop), sys_wall_ms(), &away_ms))
        return;
    log_warn(LOG_MAIN,
             "this computer slept, we were stopped or the clock was set (%" PRIu64 " s): "
             "every guest is looked at now",
             away_ms / 1000);
    w->fn(w->ctx);
}

static void on_network_settled(void *ctx)
{
    struct wake *w = ctx;

    log_info(LOG_MAIN, "this computer's network changed: every guest is looked at now");
    w->fn(w->ctx);
}

/* A VPN that connects changes dozens of routes: one look for all of them. */
static void on_routes_change(void *ctx)
{
    struct wake *w = ctx;

    if (!timer_is_running(&w->rerouted))
        timer_start(&w->rerouted, NETWORK_SETTLE_MS);
}

void wake_start(struct wake *w, struct loop *loop, wake_fn *fn, void *ctx)
{
    *w = (struct wake){ .loop = loop, .names = name_look(), .fn = fn, .ctx = ctx };
    timer_init(&w->look, loop, on_look, w);
    timer_init(&w->rerouted, loop, on_network_settled, w);
    timer_start(&w->look, 0);
}

void wake_watch_routes(struct wake *w, struct routes *routes)
{
    w->routes = routes;
    routes->ops->watch(routes, on_routes_change, w);
}

void wake_stop(struct wake *w)
{
    if (!w->loop)
        return;
    timer_stop(&w->look);
    timer_stop(&w->rerouted);
    if (w->routes)
        w->routes->ops->watch(w->routes, NULL, NULL);
}
