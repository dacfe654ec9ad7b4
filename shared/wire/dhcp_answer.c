/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a client's view of DHCP. Of what a server says only the first of everything is kept, and
 * nothing of it is believed that cannot be: a mask must be one, names are held against the letters
 * of names before they may get near a file.
 *
 * The search list (RFC 3397) is the one option that is joined when it comes in parts (RFC 3396):
 * DNS wire forms one after the other, compressed with pointers into the list itself. A pointer must
 * lead to before the place it stands at, so that every walk ends; a name that is none is left out
 * with all that follows it, because where the next one starts cannot be known.
 */
#include "wire/dhcp.h"

#include "wire/dhcp_internal.h"

#include <string.h>

enum { SEARCH_LIST_MAX = 512, POINTER_BITS = 0xc0, MESSAGE_SIZE_MAX = 1200 };

struct reading {
    struct dhcp_answer a;
    uint8_t list[SEARCH_LIST_MAX];
    size_t list_bytes;
    bool list_too_long;
    const uint8_t *domain; /* borrowed; NULL: none */
    uint8_t domain_bytes;
};

/* ---- names -------------------------------------------------------------------------------- */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool is_label(const uint8_t *p, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        if (!is_name_byte(p[i]))
            return false;
    }
    return len_bytes > 0 && len_bytes <= DHCP_LABEL_MAX;
}

/* The name at @at of the list as text. Returns where the next one starts; 0: this is no name. */
static size_t decode_name(char out[static DHCP_NAME_MAX_BYTES + 1], const uint8_t *list,
                          size_t len_bytes, size_t at)
{
    size_t used = 0, next = 0;

    while (at < len_bytes && list[at] != 0) {
        size_t label = list[at];

        if ((label & POINTER_BITS) == POINTER_BITS) {
            size_t to = at + 1 < len_bytes ? (label & ~(size_t)POINTER_BITS) << 8 | list[at + 1]
                                           : len_bytes;

            if (to >= at)
                return 0;
            next = next ? next : at + 2;
            at = to;
            continue;
        }
        if (label > len_bytes - at - 1 || !is_label(list + at + 1, label) ||
            used + label + 1 > DHCP_NAME_MAX_BYTES)
            return 0;
        if (used)
            out[used++] = '.';
        memcpy(out + used, list + at + 1, label);
        used += label;
        at += 1 + label;
    }
    if (at >= len_bytes || used == 0)
        return 0;
    out[used] = '\0';
    return next ? next : at + 1;
}

static void append_name(char *out, size_t cap, const char *name)
{
    size_t have = strlen(out), len = strlen(name);

    if (have + (have > 0) + len >= cap)
        return;
    if (have)
        out[have++] = ' ';
    memcpy(out + have, name, len + 1);
}

void dhcp_search_decode(char *out, size_t cap, const uint8_t *list, size_t len_bytes)
{
    char name[DHCP_NAME_MAX_BYTES + 1];
    size_t at = 0;

    out[0] = '\0';
    while (at < len_bytes && (at = decode_name(name, list, len_bytes, at)) != 0)
        append_name(out, cap, name);
}

/* Option 15 is plain text, by some servers with a terminator or a dot at its end. */
static void domain_decode(char *out, size_t cap, const uint8_t *p, size_t len_bytes)
{
    char name[UINT8_MAX + 1];
    size_t at = 0;

    while (len_bytes && (p[len_bytes - 1] == '\0' || p[len_bytes - 1] == '.'))
        len_bytes--;
    while (at < len_bytes) {
        const uint8_t *dot = memchr(p + at, '.', len_bytes - at);
        size_t label = dot ? (size_t)(dot - p) - at : len_bytes - at;

        if (!is_label(p + at, label))
            return;
        at += label + (dot != NULL);
    }
    memcpy(name, p, len_bytes);
    name[len_bytes] = '\0';
    append_name(out, cap, name);
}

/* ---- decoding ------------------------------------------------------------------------------ */

static void take_number(uint32_t *out, const uint8_t *data, uint8_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);

    if (len_bytes == 4 && *out == 0)
        *out = bytes_be32(&r);
}

static void take_mtu(struct dhcp_answer *a, const uint8_t *data, uint8_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);

    if (len_bytes == 2 && a->mtu == 0)
        a->mtu = bytes_be16(&r);
}

static void take_mask(struct dhcp_answer *a, const uint8_t *data, uint8_t len_bytes)
{
    struct ip_addr mask = ip_addr_v4(0);
    uint32_t hosts;

    dhcp_take_address(&mask, data, len_bytes);
    hosts = ~ip_addr_to_v4(&mask);
    if ((hosts & (hosts + 1)) == 0 && ip_addr_is_unspecified(&a->mask))
        a->mask = mask;
}

static void take_search(struct reading *g, const uint8_t *data, uint8_t len_bytes)
{
    if (len_bytes > sizeof g->list - g->list_bytes) {
        g->list_too_long = true;
        return;
    }
    memcpy(g->list + g->list_bytes, data, len_bytes);
    g->list_bytes += len_bytes;
}

static void take_option(void *ctx, uint8_t code, const uint8_t *data, uint8_t len)
{
    struct reading *g = ctx;
    struct dhcp_answer *a = &g->a;

    switch (code) {
    case DHCP_OPT_TYPE:
        if (!a->type)
            a->type = dhcp_type_of(data, len);
        break;
    case DHCP_OPT_SERVER_ID: dhcp_take_address(&a->server_id, data, len); break;
    case DHCP_OPT_MASK: take_mask(a, data, len); break;
    case DHCP_OPT_ROUTER: dhcp_take_address(&a->router, data, MIN(len, 4)); break;
    case DHCP_OPT_DNS: dhcp_take_address(&a->dns, data, MIN(len, 4)); break;
    case DHCP_OPT_LEASE: take_number(&a->lease_s, data, len); break;
    case DHCP_OPT_RENEW: take_number(&a->renew_s, data, len); break;
    case DHCP_OPT_REBIND: take_number(&a->rebind_s, data, len); break;
    case DHCP_OPT_MTU: take_mtu(a, data, len); break;
    case DHCP_OPT_SEARCH: take_search(g, data, len); break;
    case DHCP_OPT_DOMAIN:
        if (!g->domain) {
            g->domain = data;
            g->domain_bytes = len;
        }
        break;
    default: break;
    }
}

enum status dhcp_decode_answer(struct dhcp_answer *out, struct bytes *r)
{
    struct reading g = { .a = { .server_id = ip_addr_v4(0),
                                .mask = ip_addr_v4(0),
                                .router = ip_addr_v4(0),
                                .dns = ip_addr_v4(0) } };
    struct dhcp_fixed f;

    if (dhcp_walk(&f, r, take_option, &g) || f.op != DHCP_OP_REPLY)
        return ST_PROTO;
    if (g.a.type != DHCP_OFFER && g.a.type != DHCP_ACK && g.a.type != DHCP_NAK)
        return ST_PROTO;
    g.a.xid = f.xid;
    g.a.chaddr = f.chaddr;
    g.a.yiaddr = f.yiaddr;
    if (!g.list_too_long)
        dhcp_search_decode(g.a.search, sizeof g.a.search, g.list, g.list_bytes);
    if (!g.a.search[0] && g.domain)
        domain_decode(g.a.search, sizeof g.a.search, g.domain, g.domain_bytes);
    *out = g.a;
    return ST_OK;
}

/* ---- encoding ------------------------------------------------------------------------------ */

void dhcp_put_query(struct bytes_out *w, const struct dhcp_query *q)
{
    static const uint8_t wanted[] = { DHCP_OPT_MASK,   DHCP_OPT_ROUTER, DHCP_OPT_DNS,
                                      DHCP_OPT_DOMAIN, DHCP_OPT_MTU,    DHCP_OPT_LEASE,
                                      DHCP_OPT_RENEW,  DHCP_OPT_REBIND, DHCP_OPT_SEARCH };
    static const uint8_t max_size[] = { MESSAGE_SIZE_MAX >> 8, MESSAGE_SIZE_MAX & 0xff };
    const struct dhcp_fixed f = { .op = DHCP_OP_REQUEST,
                                  .xid = q->xid,
                                  .secs = q->secs,
                                  .broadcast = q->broadcast,
                                  .ciaddr = q->ciaddr,
                                  .yiaddr = ip_addr_v4(0),
                                  .giaddr = ip_addr_v4(0),
                                  .chaddr = q->chaddr };
    size_t start = w->len_bytes;
    uint8_t type = (uint8_t)q->type;

    dhcp_put_fixed(w, &f);
    dhcp_put_option(w, DHCP_OPT_TYPE, &type, 1);
    dhcp_put_address_option(w, DHCP_OPT_REQUESTED, &q->requested);
    dhcp_put_address_option(w, DHCP_OPT_SERVER_ID, &q->server_id);
    dhcp_put_option(w, DHCP_OPT_MAX_SIZE, max_size, sizeof max_size);
    dhcp_put_option(w, DHCP_OPT_PARAMETERS, wanted, sizeof wanted);
    dhcp_put_end(w, start);
}
