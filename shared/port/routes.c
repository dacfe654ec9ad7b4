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

const char *route_format(const struct route *r, char buf[static ROUTE_TEXT_MAX])
{
    char net[IP_ADDR_TEXT_MAX];

    snprintf(buf, ROUTE_TEXT_MAX, "%s/%u%s%s%s", ip_addr_format(&r->net, net), r->prefix_bits,
             r->device[0] ? " (" : "", r->device, r->device[0] ? ")" : "");
    return buf;
}
