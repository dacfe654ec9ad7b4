/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * RFC 8200. The fixed header is followed by a chain of extension headers; the walk below ends at
 * the first thing that is not one of the four it knows, which then is the payload's protocol.
 *
 *   IPv6 | hop-by-hop? | destination, routing, destination ... | fragment? | TCP, UDP, ICMPv6
 *        '------------------- header_bytes ---------------------------------'
 *
 * - A fragment ends the walk: what follows belongs to the datagram it is a piece of, and only the
 *   whole can be walked on. An atomic fragment (RFC 6946) is a whole datagram and is walked on.
 * - A packet that still is to be routed elsewhere, and an option that says "drop me if you do not
 *   know me", cannot be served (RFC 5095, RFC 8200 4.2).
 * - An IPv4-mapped address on the wire would pass for IPv4 in a struct ip_addr, and with that get
 *   around every rule about IPv6 and IPv4 addresses: never from here.
 * The chain is bounded (EXTENSIONS_MAX) so that its length cannot be used as work for nothing.
 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

#include <string.h>

enum { EXTENSIONS_MAX = 8, FRAGMENT_BYTES = 8 };
enum { NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44, NEXT_DESTINATION = 60 };
enum { OPTION_PAD1 = 0, OPTION_ACTION_MASK = 0xc0 };

/* @r is the options of one header, to its end. */
static bool options_are_possible(struct bytes r)
{
    while (r.left > 0) {
        uint8_t type = bytes_u8(&r);
        uint8_t len;

        if (type == OPTION_PAD1)
            continue;
        len = bytes_u8(&r);
        if (!bytes_ok(&r) || !bytes_take(&r, len))
            return false;
        if (type & OPTION_ACTION_MASK)
            return false;
    }
    return true;
}

/* Hop-by-hop, destination or routing header: type of the next, length beyond 8 in units of 8. */
static bool walk_extension(uint8_t *next, struct bytes *r)
{
    uint8_t kind = *next;
    const uint8_t *p = r->p;
    size_t len_bytes;

    *next = bytes_u8(r);
    len_bytes = 8 + (size_t)bytes_u8(r) * 8;
    if (!bytes_take(r, len_bytes - 2))
        return false;
    if (kind == NEXT_ROUTING)
        return p[3] == 0; /* segments left */
    return options_are_possible(bytes_of(p + 2, len_bytes - 2));
}

static bool walk_fragment(struct ip_header *h, uint8_t *next, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, FRAGMENT_BYTES);
    uint16_t offset;

    if (!p)
        return false;
    *next = p[0];
    offset = field_be16(p + 2);
    h->fragment_offset = offset & 0xfff8;
    h->more_fragments = offset & 1;
    if (h->more_fragments && (r->left == 0 || r->left % 8 != 0))
        return false;
    if (h->more_fragments || h->fragment_offset > 0)
        h->id = field_be32(p + 4);
    return h->fragment_offset + r->left <= IP_MAX_BYTES;
}

static bool walk_chain(struct ip_header *h, uint8_t next, struct bytes *r)
{
    for (unsigned n = 0;; n++) {
        bool ok;

        switch (next) {
        case NEXT_HOP_BY_HOP: ok = n == 0 && walk_extension(&next, r); break;
        case NEXT_ROUTING:
        case NEXT_DESTINATION: ok = walk_extension(&next, r); break;
        case NEXT_FRAGMENT: ok = walk_fragment(h, &next, r); break;
        default: h->proto = next; return true;
        }
        if (!ok || n == EXTENSIONS_MAX)
            return false;
        if (h->more_fragments || h->fragment_offset > 0) {
            h->proto = next;
            return true;
        }
    }
}

enum status ip6_decode(struct ip_header *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, IP6_HEADER_BYTES);
    size_t payload_bytes;

    if (!p || p[0] >> 4 != 6)
        return ST_PROTO;
    payload_bytes = field_be16(p + 4);
    if (payload_bytes > r->left)
        return ST_PROTO;
    *out = (struct ip_header){
        .src = ip_addr_of_v6(p + 8),
        .dst = ip_addr_of_v6(p + 24),
        .ttl = p[7],
        .traffic_class = (uint8_t)(p[0] << 4 | p[1] >> 4),
        .dont_fragment = true,
    };
    if (ip_addr_is_v4(&out->src) || ip_addr_is_v4(&out->dst))
        return ST_PROTO;
    r->left = payload_bytes;
    if (!walk_chain(out, p[6], r))
        return ST_PROTO;
    out->payload_bytes = (uint16_t)r->left;
    out->header_bytes = (uint16_t)(IP6_HEADER_BYTES + payload_bytes - r->left);
    return ST_OK;
}

void ip6_put(struct bytes_out *w, const struct ip_header *h)
{
    uint8_t b[IP6_HEADER_BYTES + FRAGMENT_BYTES] = { 0 };
    bool fragment = h->more_fragments || h->fragment_offset > 0;
    size_t extra = fragment ? FRAGMENT_BYTES : 0;

    if (h->payload_bytes + extra > IP_MAX_BYTES) {
        w->failed = true;
        return;
    }
    b[0] = (uint8_t)(0x60 | h->traffic_class >> 4);
    b[1] = (uint8_t)(h->traffic_class << 4);
    field_set_be16(b + 4, (uint16_t)(h->payload_bytes + extra));
    b[6] = fragment ? NEXT_FRAGMENT : h->proto;
    b[7] = h->ttl;
    memcpy(b + 8, h->src.b, 16);
    memcpy(b + 24, h->dst.b, 16);
    if (fragment) {
        b[40] = h->proto;
        field_set_be16(b + 42, (uint16_t)((h->fragment_offset & 0xfff8) | h->more_fragments));
        field_set_be32(b + 44, h->id);
    }
    bytes_put(w, b, IP6_HEADER_BYTES + extra);
}
