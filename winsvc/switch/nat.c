/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: the one place that says where an address of the virtual network leads, and whether.
 *
 *     guest sends to                      verdict      host side
 *     gateway (.1, ::1, fe80::)           GATEWAY      answered here, or nothing is
 *     host alias (.254, ::254)            HOST         127.0.0.1, ::1; DENIED by policy
 *     another address of the network      GUEST_NET    nobody; guests reach each other directly
 *     169.254.0.0/16, fe80::/10           DENIED       cloud metadata services live there
 *     loopback, 0.0.0.0/8, 240.0.0.0/4,
 *     ::/96, multicast                    DENIED       nothing a router may forward
 *     anything else                       OUTSIDE      as it is
 *
 * Which ports of the host alias lead anywhere is the configuration's: host_ports.c.
 * Not done: the host's own LAN addresses are ordinary destinations; what the host's firewall lets
 * a local program reach, a guest reaches.
 */
#include "switch/switch_internal.h"

/* An echo has no port: that the host is there is no secret. */
static bool is_denied_port(const struct switch_ *s, uint8_t proto, uint16_t port)
{
    return (proto == IP_PROTO_TCP || proto == IP_PROTO_UDP) &&
           !host_ports_allow(&s->config.host_ports, port);
}

static bool is_unroutable(const struct ip_addr *a)
{
    static const uint8_t zero[12];

    if (ip_addr_is_link_local(a) || ip_addr_is_loopback(a) || ip_addr_is_multicast(a))
        return true;
    if (ip_addr_is_v4(a))
        return a->b[12] == 0 || a->b[12] >= 240;
    return memcmp(a->b, zero, sizeof zero) == 0;
}

static struct ip_addr loopback_of(const struct ip_addr *family)
{
    static const uint8_t one[16] = { [15] = 1 };

    return ip_addr_is_v4(family) ? ip_addr_v4(0x7f000001) : ip_addr_of_v6(one);
}

static bool is_gateway(const struct switch_ *s, const struct ip_addr *a)
{
    return ip_addr_equal(a, &s->config.gateway) || ip_addr_equal(a, &s->gateway6) ||
           ip_addr_equal(a, &s->gateway_link_local);
}

static bool is_host(const struct switch_ *s, const struct ip_addr *a)
{
    return ip_addr_equal(a, &s->config.host) || ip_addr_equal(a, &s->host6);
}

static bool is_in_net(const struct switch_ *s, const struct ip_addr *a)
{
    return ip_addr_in_prefix(a, &s->config.net, s->config.prefix_bits) ||
           ip_addr_in_prefix(a, &s->config.net6, 64);
}

enum nat_verdict nat_outbound(const struct switch_ *s, uint8_t proto, const struct ip_endpoint *dst,
                              struct ip_endpoint *to)
{
    *to = *dst;
    if (is_gateway(s, &dst->addr))
        return NAT_GATEWAY;
    if (is_host(s, &dst->addr)) {
        to->addr = loopback_of(&dst->addr);
        return is_denied_port(s, proto, dst->port) ? NAT_DENIED : NAT_HOST;
    }
    if (is_in_net(s, &dst->addr))
        return NAT_GUEST_NET;
    return is_unroutable(&dst->addr) ? NAT_DENIED : NAT_OUTSIDE;
}

bool nat_inbound(const struct switch_ *s, const struct ip_addr *from, struct ip_addr *seen)
{
    struct ip_addr loopback = loopback_of(from);

    *seen = *from;
    if (ip_addr_equal(from, &loopback))
        *seen = ip_addr_is_v4(from) ? s->config.host : s->host6;
    else if (is_unroutable(from) || is_in_net(s, from))
        return false;
    return true;
}

bool nat_is_own(const struct switch_ *s, const struct ip_addr *a)
{
    return is_gateway(s, a) || is_host(s, a);
}

bool nat_is_broadcast(const struct switch_ *s, const struct ip_addr *a)
{
    uint32_t host_mask;

    if (ip_addr_is_multicast(a))
        return true;
    if (!ip_addr_in_prefix(a, &s->config.net, s->config.prefix_bits))
        return false;
    host_mask = UINT32_MAX >> s->config.prefix_bits;
    return (ip_addr_to_v4(a) & host_mask) == host_mask;
}

bool nat_is_guest(const struct switch_ *s, const struct ip_addr *a)
{
    if (nat_is_own(s, a) || nat_is_broadcast(s, a) || ip_addr_equal(a, &s->config.net))
        return false;
    return is_in_net(s, a) || (!ip_addr_is_v4(a) && ip_addr_is_link_local(a));
}
