/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a DHCP message is a BOOTP message of 236 fixed bytes, a magic cookie, and options as
 * type-length-value. Options may go on in the file and sname fields (RFC 2131 4.1, option 52), so
 * a decoder walks up to three areas. Everything is read through base/bytes: a message that is
 * shorter than the BOOTP part never gets as far as being a struct (CVE-2021-3592 was a server that
 * cast first and measured later).
 *
 * Of an option that occurs twice the first counts, except that RFC 3396 parts are not joined: no
 * option that is read here is longer than 255 bytes in a sane message. Encoding does split, because
 * a search list may be long.
 */
#include "wire/dhcp.h"

#include <string.h>

enum {
    OP_REQUEST = 1,
    OP_REPLY = 2,
    HTYPE_ETHERNET = 1,
    FLAG_BROADCAST = 0x8000,
    SNAME_BYTES = 64,
    FILE_BYTES = 128,
    OVERLOAD_FILE = 1,
    OVERLOAD_SNAME = 2,
    LABEL_MAX = 63,
    NAME_MAX_BYTES = 255
};
#define DHCP_MAGIC 0x63825363u

static void address_option(struct ip_addr *out, const uint8_t *data, uint8_t len)
{
    if (len == 4 && ip_addr_is_unspecified(out))
        *out = ip_addr_of_v4(data);
}

static void take_option(struct dhcp_message *m, unsigned *overload, uint8_t code,
                        const uint8_t *data, uint8_t len)
{
    switch (code) {
    case DHCP_OPT_TYPE:
        if (len == 1 && !m->type && data[0] >= DHCP_DISCOVER && data[0] <= DHCP_INFORM)
            m->type = (enum dhcp_type)data[0];
        break;
    case DHCP_OPT_REQUESTED: address_option(&m->requested, data, len); break;
    case DHCP_OPT_SERVER_ID: address_option(&m->server_id, data, len); break;
    case DHCP_OPT_OVERLOAD:
        if (len == 1)
            *overload = data[0];
        break;
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

/* One area of options, up to its end option or its last byte. */
static enum status take_options(struct dhcp_message *m, unsigned *overload, struct bytes r)
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
        take_option(m, overload, code, data, len);
    }
    return ST_OK;
}

static struct ip_addr take_address(struct bytes *r)
{
    return ip_addr_v4(bytes_be32(r));
}

enum status dhcp_decode(struct dhcp_message *out, struct bytes *r)
{
    struct dhcp_message m = { .requested = ip_addr_v4(0), .server_id = ip_addr_v4(0) };
    const uint8_t *chaddr, *sname, *file;
    uint8_t op, htype, hlen;
    unsigned overload = 0, ignored = 0;

    op = bytes_u8(r);
    htype = bytes_u8(r);
    hlen = bytes_u8(r);
    bytes_u8(r); /* hops */
    m.xid = bytes_be32(r);
    bytes_be16(r); /* secs */
    m.broadcast = bytes_be16(r) & FLAG_BROADCAST;
    m.ciaddr = take_address(r);
    bytes_take(r, 8); /* yiaddr, siaddr: a server's */
    m.giaddr = take_address(r);
    chaddr = bytes_take(r, 16);
    sname = bytes_take(r, SNAME_BYTES);
    file = bytes_take(r, FILE_BYTES);
    if (bytes_be32(r) != DHCP_MAGIC || !bytes_ok(r))
        return ST_PROTO;
    if (op != OP_REQUEST || htype != HTYPE_ETHERNET || hlen != sizeof m.chaddr.b)
        return ST_PROTO;
    memcpy(m.chaddr.b, chaddr, sizeof m.chaddr.b);
    if (take_options(&m, &overload, *r))
        return ST_PROTO;
    if ((overload & OVERLOAD_FILE) && take_options(&m, &ignored, bytes_of(file, FILE_BYTES)))
        return ST_PROTO;
    if ((overload & OVERLOAD_SNAME) && take_options(&m, &ignored, bytes_of(sname, SNAME_BYTES)))
        return ST_PROTO;
    if (!m.type)
        return ST_PROTO;
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

/* Longer than 255 bytes: the same option again with the rest (RFC 3396). */
static void put_option(struct bytes_out *w, uint8_t code, const void *data, size_t len_bytes)
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

static void put_address_option(struct bytes_out *w, uint8_t code, const struct ip_addr *a)
{
    if (ip_addr_is_v4(a) && !ip_addr_is_unspecified(a))
        put_option(w, code, a->b + 12, 4);
}

static void put_text_option(struct bytes_out *w, uint8_t code, const char *text)
{
    if (text && *text)
        put_option(w, code, text, MIN(strlen(text), 255u));
}

/* The wire form of one name; 0: it is none. */
static size_t encode_name(uint8_t out[static NAME_MAX_BYTES], const char *name, size_t len)
{
    size_t at = 0;

    if (len && name[len - 1] == '.')
        len--;
    while (len) {
        const char *dot = memchr(name, '.', len);
        size_t label = dot ? (size_t)(dot - name) : len;

        if (label == 0 || label > LABEL_MAX || at + 1 + label + 1 > NAME_MAX_BYTES)
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
    uint8_t name[NAME_MAX_BYTES];
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

    put_option(w, DHCP_OPT_TYPE, &type, 1);
    put_address_option(w, DHCP_OPT_SERVER_ID, &m->server_id);
    if (m->lease_s)
        put_option(w, DHCP_OPT_LEASE, seconds, sizeof seconds);
    put_address_option(w, DHCP_OPT_MASK, &m->mask);
    put_address_option(w, DHCP_OPT_ROUTER, &m->router);
    put_address_option(w, DHCP_OPT_DNS, &m->dns);
    if (m->mtu)
        put_option(w, DHCP_OPT_MTU, mtu, sizeof mtu);
    put_text_option(w, DHCP_OPT_HOSTNAME, m->hostname);
    put_text_option(w, DHCP_OPT_DOMAIN, m->domain);
    if (m->search)
        put_option(w, DHCP_OPT_SEARCH, search,
                   dhcp_search_encode(search, sizeof search, m->search));
    if (m->client_id)
        put_option(w, DHCP_OPT_CLIENT_ID, m->client_id, m->client_id_bytes);
    bytes_put_u8(w, DHCP_OPT_END);
}

void dhcp_put(struct bytes_out *w, const struct dhcp_reply *m)
{
    static const uint8_t zeros[SNAME_BYTES + FILE_BYTES];
    size_t start = w->len_bytes;

    bytes_put_u8(w, OP_REPLY);
    bytes_put_u8(w, HTYPE_ETHERNET);
    bytes_put_u8(w, sizeof m->chaddr.b);
    bytes_put_u8(w, 0);
    bytes_put_be32(w, m->xid);
    bytes_put_be16(w, 0);
    bytes_put_be16(w, m->broadcast ? FLAG_BROADCAST : 0);
    put_address(w, &m->ciaddr);
    put_address(w, &m->yiaddr);
    bytes_put_be32(w, 0); /* siaddr: nothing to boot from */
    put_address(w, &m->giaddr);
    bytes_put(w, m->chaddr.b, sizeof m->chaddr.b);
    bytes_put(w, zeros, 10);
    bytes_put(w, zeros, SNAME_BYTES + FILE_BYTES);
    bytes_put_be32(w, DHCP_MAGIC);
    put_options(w, m);
    if (bytes_out_ok(w) && w->len_bytes - start < DHCP_MIN_BYTES)
        bytes_put(w, zeros, DHCP_MIN_BYTES - (w->len_bytes - start));
}
