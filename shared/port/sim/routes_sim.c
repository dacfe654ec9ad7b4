/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sim/routes_sim.h"

#include "base/util.h"
#include "port/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct routes_sim {
    struct routes routes;
    struct route table[ROUTES_SIM_MAX];
    unsigned count, looks;
    enum status fails;
    routes_change_fn *on_change;
    void *ctx;
};

static struct routes_sim *routes_sim_of(struct routes *r)
{
    return container_of(r, struct routes_sim, routes);
}

static enum status routes_sim_each(struct routes *r, route_fn *fn, void *ctx)
{
    struct routes_sim *self = routes_sim_of(r);

    self->looks++;
    if (self->fails)
        return self->fails;
    for (unsigned i = 0; i < self->count; i++)
        fn(ctx, &self->table[i]);
    return ST_OK;
}

static void routes_sim_watch(struct routes *r, routes_change_fn *fn, void *ctx)
{
    struct routes_sim *self = routes_sim_of(r);

    self->on_change = fn;
    self->ctx = ctx;
}

static void routes_sim_close(struct routes *r)
{
}

static const struct routes_ops routes_sim_ops = {
    .each = routes_sim_each,
    .watch = routes_sim_watch,
    .close = routes_sim_close,
};

struct routes_sim *routes_sim_new(void)
{
    struct routes_sim *self = sim_alloc(sizeof *self);

    self->routes.ops = &routes_sim_ops;
    return self;
}

struct routes *routes_sim_routes(struct routes_sim *r)
{
    return &r->routes;
}

void routes_sim_free(struct routes_sim *r)
{
    ASSERT(!r || !r->on_change);
    free(r);
}

void routes_sim_add(struct routes_sim *r, const char *net, unsigned prefix_bits, const char *device)
{
    struct route *added = &r->table[r->count];

    ASSERT(r->count < ROUTES_SIM_MAX);
    ASSERT(ip_addr_parse(&added->net, net) == ST_OK);
    added->prefix_bits = prefix_bits;
    snprintf(added->device, sizeof added->device, "%s", device);
    r->count++;
}

void routes_sim_clear(struct routes_sim *r)
{
    r->count = 0;
}

void routes_sim_hint(struct routes_sim *r)
{
    if (r->on_change)
        r->on_change(r->ctx);
}

void routes_sim_set_fails(struct routes_sim *r, enum status st)
{
    r->fails = st;
}

unsigned routes_sim_looks(const struct routes_sim *r)
{
    return r->looks;
}
