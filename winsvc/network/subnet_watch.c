/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * The table of routes is read anew half a second after the system hinted at a change (it hints many
 * times for one), and every 30 s, because a hint may be lost. Whether anything changed is told by a
 * sum over all routes that does not depend on their order. Link-local ones are left out: they come
 * and go with every container and lead nowhere.
 *
 * An overlap is no reason to stop: the guest reaches everything else, and the other way round would
 * take its network away whenever somebody's VPN connects. It is said, and that is all.
 */
#include "network/subnet_watch.h"

#include "base/log.h"

#include <string.h>

struct look {
    const struct subnet_watch_config *config;
    uint64_t digest;
    bool has_overlap;
    struct route overlap;
};

/* FNV-1a: nobody chooses routes to make it collide. */
static uint64_t mix(uint64_t hash, const void *data, size_t len_bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len_bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3;
    return hash;
}

static uint64_t digest_of(const struct route *r)
{
    uint64_t hash = mix(0xcbf29ce484222325, r->net.b, sizeof r->net.b);

    hash = mix(hash, &r->prefix_bits, sizeof r->prefix_bits);
    return mix(hash, r->device, strlen(r->device));
}

static void on_route(void *ctx, const struct route *r)
{
    struct look *l = ctx;
    const struct subnet_watch_config *c = l->config;

    if (ip_addr_is_link_local(&r->net))
        return;
    l->digest += digest_of(r);
    if (l->has_overlap)
        return;
    l->has_overlap = route_overlaps(r, &c->net, c->prefix_bits) ||
                     (c->ip6 && route_overlaps(r, &c->net6, c->prefix6_bits));
    if (l->has_overlap)
        l->overlap = *r;
}

static bool take(struct subnet_watch *w, const struct look *l)
{
    bool changed = l->digest != w->digest || l->has_overlap != w->has_overlap;

    w->digest = l->digest;
    w->has_overlap = l->has_overlap;
    w->overlap = l->overlap;
    return changed;
}

/* False also when the table could not be read: then what was known stays. */
static bool look(struct subnet_watch *w)
{
    struct look l = { .config = &w->config };
    enum status st = w->routes->ops->each(w->routes, on_route, &l);
    bool had_overlap = w->has_overlap, changed;
    char text[ROUTE_TEXT_MAX];

    if (st) {
        log_warn_limited(LOG_SWITCH, "read this host's routes: %s", status_text(st));
        return false;
    }
    changed = take(w, &l);
    if (w->has_overlap && !had_overlap)
        log_warn(LOG_SWITCH, "this host reaches %s, which overlaps with the guest's network",
                 route_format(&w->overlap, text));
    return changed;
}

static void on_next_look(void *ctx)
{
    struct subnet_watch *w = ctx;

    w->settling = false;
    timer_start(&w->next_look, SUBNET_WATCH_EVERY_MS);
    if (look(w))
        w->on_change(w->ctx);
}

static void on_hint(void *ctx)
{
    struct subnet_watch *w = ctx;

    if (w->settling)
        return;
    w->settling = true;
    timer_start(&w->next_look, SUBNET_WATCH_SETTLE_MS);
}

void subnet_watch_start(struct subnet_watch *w, struct loop *loop, struct routes *routes,
                        const struct subnet_watch_config *config, subnet_watch_fn *on_change,
                        void *ctx)
{
    *w = (struct subnet_watch){ .routes = routes, .config = *config, .on_change = on_change };
    w->ctx = ctx;
    timer_init(&w->next_look, loop, on_next_look, w);
    routes->ops->watch(routes, on_hint, w);
    (void)look(w);
    timer_start(&w->next_look, SUBNET_WATCH_EVERY_MS);
}

void subnet_watch_stop(struct subnet_watch *w)
{
    if (!w->routes)
        return;
    w->routes->ops->watch(w->routes, NULL, NULL);
    timer_stop(&w->next_look);
    w->routes = NULL;
}

const struct route *subnet_watch_overlap(const struct subnet_watch *w)
{
    return w->has_overlap ? &w->overlap : NULL;
}
