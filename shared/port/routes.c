/* SPDX-License-Identifier: Apache-2.0 */
#include "port/routes.h"

#include "base/util.h"

#include <stdio.h>

enum { SHORTEST_PREFIX_BITS = 8 };

bool route_overlaps(const struct route *r, const struct ip_addr *net, unsigned prefix_bits)
{
    if (r->prefix_bits < SHORTEST_PREFIX_BITS)
        return false;
    if (ip_addr_is_loopback(&r->net) || ip_addr_is_link_local(&r->net))
        return false;
    return ip_addr_in_prefix(&r->net, net, MIN(prefix_bits, r->prefix_bits));
}

struct search {
    const struct ip_addr *net;
    unsigned prefix_bits;
    struct route *out;
    bool found;
};

static void look_at(void *ctx, const struct route *r)
{
    struct search *s = ctx;

    if (s->found || !route_overlaps(r, s->net, s->prefix_bits))
        return;
    *s->out = *r;
    s->found = true;
}

enum status routes_find_overlap(struct routes *routes, const struct ip_addr *net,
                                unsigned prefix_bits, struct route *out)
{
    struct search s = { .net = net, .prefix_bits = prefix_bits, .out = out };
    enum status st = routes->ops->each(routes, look_at, &s);

    if (s.found)
        return ST_OK;
    return st ? st : ST_NOTFOUND;
}

const char *route_format(const struct route *r, char buf[static ROUTE_TEXT_MAX])
{
    char net[IP_ADDR_TEXT_MAX];

    snprintf(buf, ROUTE_TEXT_MAX, "%s/%u%s%s%s", ip_addr_format(&r->net, net), r->prefix_bits,
             r->device[0] ? " (" : "", r->device, r->device[0] ? ")" : "");
    return buf;
}
