/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a DHCP message is a BOOTP message of 236 fixed bytes, a magic cookie, and options as
 * type-length-value. Options may go on in the file and sname fields (RFC 2131 4.1, option 52), so
 * a decoder walks up to three areas. Everything is read through base/bytes: a message that is
 * shorter than the BOOTP part never gets as far as being a struct (CVE-2021-3592 was a server that
 * cast first and measured later).
 *
 * Of an option that occurs twice the first counts. RFC 3396 parts are joined only where a sane
 * message needs it, in a search list (dhcp_answer.c); encoding splits wherever it has to.
 *
 * This file has the walk, the writing, and a server's view; a client's is dhcp_answer.c.
 */
#include "wire/dhcp.h"

#include "wire/dhcp_internal.h"

#include <string.h>

enum {
    HTYPE_ETHERNET = 1,
    FLAG_BROADCAST = 0x8000,
    CHADDR_BYTES = 16,
    SNAME_BYTES = 64,
    FILE_BYTES = 128,
    OVERLOAD_FILE = 1,
    OVERLOAD_SNAME = 2
};
#define DHCP_MAGIC 0x63825363u

/* ---- the walk ----------------------------------------------------------------------------- */

struct walk {
    dhcp_option_fn *take;
    void *ctx;
    unsigned overload;
};

/* One area of options, up to its end option or its last byte. */
static enum status walk_options(struct walk *w, struct bytes r)
{
    while (r.left) {
        uint8_t code = bytes_u8(&r);
        uint8_t len;
        const uint8_t *data;

        if (code == 0)
            continue;
        if (code == DHCP_OPT_END)
            return ST_OK;
        len = bytes_u8(&r);
        data = bytes_take(&r, len);
        if (!bytes_ok(&r))
            return ST_PROTO;
        if (code == DHCP_OPT_OVERLOAD && len == 1)
            w->overload = data[0];
        w->take(w->ctx, code, data, len);
    }
    return ST_OK;
}

static struct ip_addr take_address(struct bytes *r)
{
    return ip_addr_v4(bytes_be32(r));
}

enum status dhcp_walk(struct dhcp_fixed *out, struct bytes *r, dhcp_option_fn *take, void *ctx)
{
    struct walk w = { take, ctx, 0 };
    const uint8_t *chaddr, *sname, *file;
    uint8_t htype, hlen;
    unsigned overload;

    out->op = bytes_u8(r);
    htype = bytes_u8(r);
    hlen = bytes_u8(r);
    bytes_u8(r); /* hops */
    out->xid = bytes_be32(r);
    out->secs = bytes_be16(r);
    out->broadcast = bytes_be16(r) & FLAG_BROADCAST;
    out->ciaddr = take_address(r);
    out->yiaddr = take_address(r);
    bytes_take(r, 4); /* siaddr: where to boot from */
    out->giaddr = take_address(r);
    chaddr = bytes_take(r, CHADDR_BYTES);
    sname = bytes_take(r, SNAME_BYTES);
    file = bytes_take(r, FILE_BYTES);
    if (bytes_be32(r) != DHCP_MAGIC || !bytes_ok(r))
        return ST_PROTO;
    if (htype != HTYPE_ETHERNET || hlen != sizeof out->chaddr.b)
        return ST_PROTO;
    memcpy(out->chaddr.b, chaddr, sizeof out->chaddr.b);
    if (walk_options(&w, *r))
        return ST_PROTO;
    overload = w.overload; /* within the two fields it says nothing any more */
    if ((overload & OVERLOAD_FILE) && walk_options(&w, bytes_of(file, FILE_BYTES)))
        return ST_PROTO;
    if ((overload & OVERLOAD_SNAME) && walk_options(&w, bytes_of(sname, SNAME_BYTES)))
        return ST_PROTO;
    return ST_OK;
}

enum dhcp_type dhcp_type_of(const uint8_t *data, uint8_t len_bytes)
{
    bool known = len_bytes == 1 && data[0] >= DHCP_DISCOVER && data[0] <= DHCP_INFORM;

    return known ? (enum dhcp_type)data[0] : (enum dhcp_type)0;
}

void dhcp_take_address(struct ip_addr *out, const uint8_t *data, uint8_t len_bytes)
{
    if (len_bytes == 4 && ip_addr_is_unspecified(out))
        *out = ip_addr_of_v4(data);
}

/* ---- a client's message, decoded ------------------------------------------------------------ */

static void take_option(void *ctx, uint8_t code, const uint8_t *data, uint8_t len)
{
    struct dhcp_message *m = ctx;

    switch (code) {
    case DHCP_OPT_TYPE:
        if (!m->type)
            m->type = dhcp_type_of(data, len);
        break;
    case DHCP_OPT_REQUESTED: dhcp_take_address(&m->requested, data, len); break;
    case DHCP_OPT_SERVER_ID: dhcp_take_address(&m->server_id, data, len); break;
    case DHCP_OPT_PARAMETERS:
        if (!m->parameters) {
            m->parameters = data;
            m->parameters_bytes = len;
        }
        break;
    case DHCP_OPT_CLIENT_ID:
        if (!m->client_id && len) {
            m->client_id = data;
            m->client_id_bytes = len;
        }
        break;
    default: break;
    }
}

enum status dhcp_decode(struct dhcp_message *out, struct bytes *r)
{
    struct dhcp_message m = { .requested = ip_addr_v4(0), .server_id = ip_addr_v4(0) };
    struct dhcp_fixed f;

    if (dhcp_walk(&f, r, take_option, &m) || f.op != DHCP_OP_REQUEST || !m.type)
        return ST_PROTO;
    m.xid = f.xid;
    m.broadcast = f.broadcast;
    m.ciaddr = f.ciaddr;
    m.giaddr = f.giaddr;
    m.chaddr = f.chaddr;
    *out = m;
    return ST_OK;
}

bool dhcp_asks_for(const struct dhcp_message *m, uint8_t option)
{
    return m->parameters && memchr(m->parameters, option, m->parameters_bytes);
}

/* ---- encoding ---------------------------------------------------------------------------- */

static void put_address(struct bytes_out *w, const struct ip_addr *a)
{
    bytes_put_be32(w, ip_addr_is_v4(a) ? ip_addr_to_v4(a) : 0);
}

void dhcp_put_option(struct bytes_out *w, uint8_t code, const void *data, size_t len_bytes)
{
    const uint8_t *p = data;

    while (len_bytes) {
        size_t n = MIN(len_bytes, 255u);

        bytes_put_u8(w, code);
        bytes_put_u8(w, (uint8_t)n);
        bytes_put(w, p, n);
        p += n;
        len_bytes -= n;
    }
}

void dhcp_put_address_option(struct bytes_out *w, uint8_t code, const struct ip_addr *a)
{
    if (ip_addr_is_v4(a) && !ip_addr_is_unspecified(a))
        dhcp_put_option(w, code, a->b + 12, 4);
}

static void put_text_option(struct bytes_out *w, uint8_t code, const char *text)
{
    if (text && *text)
        dhcp_put_option(w, code, text, MIN(strlen(text), 255u));
}

/* The wire form of one name; 0: it is none. */
static size_t encode_name(uint8_t out[static DHCP_NAME_MAX_BYTES], const char *name, size_t len)
{
    size_t at = 0;

    if (len && name[len - 1] == '.')
        len--;
    while (len) {
        const char *dot = memchr(name, '.', len);
        size_t label = dot ? (size_t)(dot - name) : len;

        if (label == 0 || label > DHCP_LABEL_MAX || at + 1 + label + 1 > DHCP_NAME_MAX_BYTES)
            return 0;
        out[at++] = (uint8_t)label;
        memcpy(out + at, name, label);
        at += label;
        name += label;
        len -= label;
        if (dot && len == 1)
            return 0;
        if (dot) {
            name++;
            len--;
        }
    }
    if (at)
        out[at++] = 0;
    return at;
}

size_t dhcp_search_encode(uint8_t *buf, size_t cap, const char *names)
{
    uint8_t name[DHCP_NAME_MAX_BYTES];
    size_t used = 0;

    for (;;) {
        size_t len, n;

        names += strspn(names, " ,");
        len = strcspn(names, " ,");
        if (!len)
            return used;
        n = encode_name(name, names, len);
        names += len;
        if (n > cap - used)
            continue;
        memcpy(buf + used, name, n);
        used += n;
    }
}

static void put_options(struct bytes_out *w, const struct dhcp_reply *m)
{
    uint8_t search[512];
    uint8_t type = (uint8_t)m->type;
    uint8_t seconds[4] = { (uint8_t)(m->lease_s >> 24), (uint8_t)(m->lease_s >> 16),
                           (uint8_t)(m->lease_s >> 8), (uint8_t)m->lease_s };
    uint8_t mtu[2] = { (uint8_t)(m->mtu >> 8), (uint8_t)m->mtu };

    dhcp_put_option(w, DHCP_OPT_TYPE, &type, 1);
    dhcp_put_address_option(w, DHCP_OPT_SERVER_ID, &m->server_id);
    if (m->lease_s)
        dhcp_put_option(w, DHCP_OPT_LEASE, seconds, sizeof seconds);
    dhcp_put_address_option(w, DHCP_OPT_MASK, &m->mask);
    dhcp_put_address_option(w, DHCP_OPT_ROUTER, &m->router);
    dhcp_put_address_option(w, DHCP_OPT_DNS, &m->dns);
    if (m->mtu)
        dhcp_put_option(w, DHCP_OPT_MTU, mtu, sizeof mtu);
    put_text_option(w, DHCP_OPT_DOMAIN, m->domain);
    if (m->search)
        dhcp_put_option(w, DHCP_OPT_SEARCH, search,
                        dhcp_search_encode(search, sizeof search, m->search));
    if (m->client_id)
        dhcp_put_option(w, DHCP_OPT_CLIENT_ID, m->client_id, m->client_id_bytes);
}

void dhcp_put_fixed(struct bytes_out *w, const struct dhcp_fixed *f)
{
    static const uint8_t zeros[CHADDR_BYTES + SNAME_BYTES + FILE_BYTES];

    bytes_put_u8(w, f->op);
    bytes_put_u8(w, HTYPE_ETHERNET);
    bytes_put_u8(w, sizeof f->chaddr.b);
    bytes_put_u8(w, 0);
    bytes_put_be32(w, f->xid);
    bytes_put_be16(w, f->secs);
    bytes_put_be16(w, f->broadcast ? FLAG_BROADCAST : 0);
    put_address(w, &f->ciaddr);
    put_address(w, &f->yiaddr);
    bytes_put_be32(w, 0); /* siaddr: nothing to boot from */
    put_address(w, &f->giaddr);
    bytes_put(w, f->chaddr.b, sizeof f->chaddr.b);
    bytes_put(w, zeros, sizeof zeros - sizeof f->chaddr.b);
    bytes_put_be32(w, DHCP_MAGIC);
}

void dhcp_put_end(struct bytes_out *w, size_t start)
{
    static const uint8_t zeros[DHCP_MIN_BYTES];

    bytes_put_u8(w, DHCP_OPT_END);
    if (bytes_out_ok(w) && w->len_bytes - start < DHCP_MIN_BYTES)
        bytes_put(w, zeros, DHCP_MIN_BYTES - (w->len_bytes - start));
}

void dhcp_put(struct bytes_out *w, const struct dhcp_reply *m)
{
    const struct dhcp_fixed f = { .op = DHCP_OP_REPLY,
                                  .xid = m->xid,
                                  .broadcast = m->broadcast,
                                  .ciaddr = m->ciaddr,
                                  .yiaddr = m->yiaddr,
                                  .giaddr = m->giaddr,
                                  .chaddr = m->chaddr };
    size_t start = w->len_bytes;

    dhcp_put_fixed(w, &f);
    put_options(w, m);
    dhcp_put_end(w, start);
}
