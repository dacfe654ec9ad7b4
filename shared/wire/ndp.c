/* SPDX-License-Identifier: Apache-2.0
 * RFC 4861 4.1 to 4.6, RFC 8106 (DNS server option).
 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

#include <string.h>

/* Options: type, length in units of 8 bytes (never 0), body. */
enum {
    OPTION_SOURCE_LINK = 1,
    OPTION_TARGET_LINK = 2,
    OPTION_PREFIX = 3,
    OPTION_MTU = 5,
    OPTION_DNS = 25
};
enum { PREFIX_ON_LINK = 0x80, PREFIX_AUTONOMOUS = 0x40 };

static uint8_t link_option_of(uint8_t type)
{
    return type == ICMP6_NEIGHBOUR_ADVERT ? OPTION_TARGET_LINK : OPTION_SOURCE_LINK;
}

struct option {
    uint8_t type;
    size_t len_bytes;    /* of all of it: 8 at least */
    const uint8_t *body; /* borrowed from what is read */
};

static bool take_option(struct option *o, struct bytes *r)
{
    o->type = bytes_u8(r);
    o->len_bytes = (size_t)bytes_u8(r) * 8;
    o->body = o->len_bytes > 0 ? bytes_take(r, o->len_bytes - 2) : NULL;
    return o->body != NULL;
}

static bool take_options(struct ndp_neighbour *n, uint8_t wanted, struct bytes *r)
{
    struct option o;

    while (r->left > 0) {
        if (!take_option(&o, r))
            return false;
        if (o.type != wanted)
            continue;
        if (o.len_bytes != 8)
            return false;
        n->has_link_address = true;
        memcpy(n->link_address.b, o.body, sizeof n->link_address.b);
    }
    return true;
}

enum status ndp_decode(struct ndp_neighbour *out, uint8_t type, struct bytes *r)
{
    struct ndp_neighbour n = { .has_link_address = false };

    if (type == ICMP6_NEIGHBOUR_SOLICIT || type == ICMP6_NEIGHBOUR_ADVERT) {
        const uint8_t *target = bytes_take(r, 16);

        if (!target)
            return ST_PROTO;
        n.target = ip_addr_of_v6(target);
        if (ip_addr_is_multicast(&n.target) || ip_addr_is_v4(&n.target))
            return ST_PROTO;
    } else if (type != ICMP6_ROUTER_SOLICIT) {
        return ST_PROTO;
    }
    if (!take_options(&n, link_option_of(type), r))
        return ST_PROTO;
    *out = n;
    return ST_OK;
}

static void put_link_option(struct bytes_out *w, uint8_t type, const struct mac *m)
{
    bytes_put_u8(w, type);
    bytes_put_u8(w, 1);
    bytes_put(w, m->b, sizeof m->b);
}

void ndp_put(struct bytes_out *w, uint8_t type, const struct ndp_neighbour *n)
{
    if (type != ICMP6_ROUTER_SOLICIT)
        bytes_put(w, n->target.b, sizeof n->target.b);
    if (n->has_link_address)
        put_link_option(w, link_option_of(type), &n->link_address);
}

/* The body of a prefix option, behind its type and length. */
static void take_prefix(struct ndp_router *n, const uint8_t *body)
{
    const uint8_t flags = PREFIX_ON_LINK | PREFIX_AUTONOMOUS;
    struct ip_addr prefix = ip_addr_of_v6(body + 14);

    if (!ip_addr_is_unspecified(&n->prefix) || (body[1] & flags) != flags || body[0] > 128 ||
        ip_addr_is_v4(&prefix) || ip_addr_is_multicast(&prefix) || ip_addr_is_link_local(&prefix))
        return;
    n->prefix = prefix;
    n->prefix_bits = body[0];
    n->prefix_lifetime_s = field_be32(body + 2);
}

/* The first server of the option; one that is no IPv6 address is none. */
static void take_dns(struct ndp_router *n, const uint8_t *body)
{
    struct ip_addr dns = ip_addr_of_v6(body + 6);

    if (!ip_addr_is_v4(&dns) && !ip_addr_is_multicast(&dns))
        n->dns = dns;
}

static bool take_router_options(struct ndp_router *n, struct bytes *r)
{
    struct option o;

    while (r->left > 0) {
        if (!take_option(&o, r))
            return false;
        if (o.type == OPTION_SOURCE_LINK && o.len_bytes == 8)
            memcpy(n->link_address.b, o.body, sizeof n->link_address.b);
        else if (o.type == OPTION_MTU && o.len_bytes == 8)
            n->mtu = field_be32(o.body + 2);
        else if (o.type == OPTION_PREFIX && o.len_bytes == 32)
            take_prefix(n, o.body);
        else if (o.type == OPTION_DNS && o.len_bytes >= 24)
            take_dns(n, o.body);
    }
    return true;
}

enum status ndp_router_decode(struct ndp_router *out, uint32_t rest, struct bytes *r)
{
    struct ndp_router n = { .hop_limit = (uint8_t)(rest >> 24), .lifetime_s = (uint16_t)rest };

    if (!bytes_take(r, 8) || !take_router_options(&n, r))
        return ST_PROTO;
    *out = n;
    return ST_OK;
}

uint32_t ndp_router_rest(const struct ndp_router *n)
{
    return (uint32_t)n->hop_limit << 24 | n->lifetime_s;
}

static void put_prefix_option(struct bytes_out *w, const struct ndp_router *n)
{
    bytes_put(w,
              (uint8_t[]){ OPTION_PREFIX, 4, n->prefix_bits, PREFIX_ON_LINK | PREFIX_AUTONOMOUS },
              4);
    bytes_put_be32(w, n->prefix_lifetime_s); /* valid */
    bytes_put_be32(w, n->prefix_lifetime_s); /* preferred */
    bytes_put_be32(w, 0);
    bytes_put(w, n->prefix.b, sizeof n->prefix.b);
}

void ndp_put_router(struct bytes_out *w, const struct ndp_router *n)
{
    bytes_put_be32(w, 0); /* reachable time: unspecified */
    bytes_put_be32(w, 0); /* retransmission timer: unspecified */
    put_link_option(w, OPTION_SOURCE_LINK, &n->link_address);
    if (n->mtu > 0) {
        bytes_put(w, (uint8_t[]){ OPTION_MTU, 1, 0, 0 }, 4);
        bytes_put_be32(w, n->mtu);
    }
    put_prefix_option(w, n);
    if (!ip_addr_is_unspecified(&n->dns)) {
        bytes_put(w, (uint8_t[]){ OPTION_DNS, 3, 0, 0 }, 4);
        bytes_put_be32(w, n->prefix_lifetime_s);
        bytes_put(w, n->dns.b, sizeof n->dns.b);
    }
}
