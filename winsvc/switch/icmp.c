/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: echo requests of the guest, and telling the guest why something cannot be reached.
 *
 *     echo to the gateway        answered here
 *     echo to the host or beyond net ping --> answer, with the guest's own id and sequence
 *     neighbour discovery        neigh.c
 *     anything else              dropped and counted; errors of the guest about our packets too
 *
 * Life of a ping: a slot of the table (limits.pings; a request that finds none free is dropped, as
 * a busy network would) remembers who asked whom and the head of the request, and is free again
 * when the host says what happened: a reply, nothing for 5 s (silence), or unreachable (an ICMP
 * error that quotes the request). The data of a reply is what the host gives, not what we kept.
 *
 * Errors towards the guest follow RFC 1812 4.3.2 and RFC 4443 2.4: never about an error, a
 * fragment behind the first, something sent to or from more than one; at most 100 in any second.
 * They quote the packet as the guest sent it, to 576 bytes (IPv4) or 1280 (IPv6), because the
 * guest's kernel finds its socket by that quote. Port and protocol unreachable come from the
 * address that was asked, everything else from the gateway.
 */
#include "switch/switch_internal.h"
#include "wire/csum.h"

#include <stdlib.h>
#include <string.h>

enum { PING_TIMEOUT_MS = 5000, QUOTE_BYTES = 128, ERRORS_A_SECOND = 100 };
enum { MAX_ERROR4_BYTES = 576, MAX_ERROR6_BYTES = 1280, CSUM_OFFSET = 2 };

struct ping {
    struct switch_ *s;
    struct net_ping *net; /* borrowed; NULL = free */
    struct packet quote;  /* its raw points to raw */
    uint16_t id;
    uint8_t raw[QUOTE_BYTES];
};

struct icmp_table {
    struct ping *pings; /* owned, limits.pings of them */
    unsigned used;
    uint64_t errors_ms[ERRORS_A_SECOND]; /* when the last ones were sent; a ring */
    unsigned next_error;
};

static bool is_v6(const struct ip_header *ip)
{
    return !ip_addr_is_v4(&ip->dst);
}

/* ---- echo -------------------------------------------------------------------------------- */

static void send_reply(struct switch_ *s, const struct ip_addr *from, const struct ip_addr *to,
                       uint32_t rest, const uint8_t *data, size_t len_bytes)
{
    bool six = !ip_addr_is_v4(from);
    struct ip_header ip = { .src = *from,
                            .dst = *to,
                            .proto = six ? IP_PROTO_ICMP6 : IP_PROTO_ICMP };
    struct icmp_header h = { .type = six ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY, .rest = rest };
    uint8_t header[ICMP_HEADER_BYTES];
    struct bytes_out w = bytes_into(header, sizeof header);

    icmp_put(&w, &h);
    out_datagram(s, &ip, header, CSUM_OFFSET, data, len_bytes);
}

static void ping_ends(void *ctx, enum status st, uint16_t sequence, const uint8_t *data,
                      size_t len_bytes)
{
    struct ping *p = ctx;
    struct switch_ *s = p->s;

    p->net = NULL;
    s->icmp->used--;
    if (st == ST_OK)
        send_reply(s, &p->quote.ip.dst, &p->quote.ip.src, (uint32_t)p->id << 16 | sequence, data,
                   len_bytes);
    else if (st == ST_UNREACHABLE)
        icmp_send_error(s, &p->quote, ICMP_ERROR_HOST, 0);
}

static struct ping *find_free(struct icmp_table *t, unsigned max)
{
    if (t->used == max)
        return NULL;
    for (unsigned i = 0; i < max; i++) {
        if (!t->pings[i].net)
            return &t->pings[i];
    }
    return NULL;
}

static void remember(struct ping *slot, const struct packet *p)
{
    size_t len = MIN(p->raw_bytes, sizeof slot->raw);

    memcpy(slot->raw, p->raw, len);
    slot->quote = *p;
    slot->quote.raw = slot->raw;
    slot->quote.raw_bytes = len;
    slot->quote.l4 = NULL; /* the link's memory does not last */
    slot->quote.l4_bytes = 0;
}

static void refuse_ping(struct switch_ *s, const struct packet *p, enum status st)
{
    if (st == ST_UNREACHABLE)
        icmp_send_error(s, p, ICMP_ERROR_HOST, 0);
    else if (st == ST_UNSUPPORTED || st == ST_DENIED)
        icmp_send_error(s, p, ICMP_ERROR_ADMIN, 0);
    else
        s->count.drop_no_memory++;
}

static void start_ping(struct switch_ *s, const struct packet *p, const struct ip_addr *to,
                       uint32_t rest, const struct bytes *data)
{
    struct ping *slot = find_free(s->icmp, s->config.limits.pings);
    enum status st;

    if (!slot) {
        s->count.ping_limit_hits++;
        return;
    }
    slot->s = s;
    slot->id = (uint16_t)(rest >> 16);
    remember(slot, p);
    st = s->env.net->ops->ping(s->env.net, &slot->net, to, (uint16_t)rest, data->p, data->left,
                               PING_TIMEOUT_MS, ping_ends, slot);
    if (st) {
        slot->net = NULL;
        refuse_ping(s, p, st);
        return;
    }
    s->icmp->used++;
}

static void echo(struct switch_ *s, const struct packet *p, const struct icmp_header *h,
                 const struct bytes *data)
{
    struct ip_endpoint dst = { .addr = p->ip.dst }, to;

    s->count.icmp_echo++;
    switch (nat_outbound(s, p->ip.proto, &dst, &to)) {
    case NAT_GATEWAY: send_reply(s, &p->ip.dst, &p->ip.src, h->rest, data->p, data->left); break;
    case NAT_HOST:
    case NAT_OUTSIDE: start_ping(s, p, &to.addr, h->rest, data); break;
    case NAT_GUEST_NET: s->count.drop_not_for_us++; break;
    case NAT_DENIED:
        s->count.drop_policy++;
        icmp_send_error(s, p, ICMP_ERROR_ADMIN, 0);
        break;
    }
}

/* ---- input ------------------------------------------------------------------------------- */

static bool checksum_is_right(const struct packet *p)
{
    uint64_t sum =
        is_v6(&p->ip) ? csum_pseudo(&p->ip.src, &p->ip.dst, p->ip.proto, (uint32_t)p->l4_bytes) : 0;

    return p->csum_ok || csum_finish(csum_add(sum, p->l4, p->l4_bytes)) == 0;
}

static bool is_ndp(const struct packet *p, uint8_t type)
{
    return is_v6(&p->ip) && type >= ICMP6_ROUTER_SOLICIT && type <= ICMP6_NEIGHBOUR_ADVERT;
}

void icmp_input(struct switch_ *s, const struct packet *p)
{
    struct bytes r = bytes_of(p->l4, p->l4_bytes);
    struct icmp_header h;

    if (is_v6(&p->ip) != (p->ip.proto == IP_PROTO_ICMP6) || icmp_decode(&h, &r)) {
        s->count.drop_malformed++;
        return;
    }
    if (!checksum_is_right(p)) {
        s->count.drop_bad_checksum++;
        return;
    }
    if (is_ndp(p, h.type))
        neigh_ndp_input(s, p, &h, &r);
    else if (h.type == (is_v6(&p->ip) ? ICMP6_ECHO : ICMP4_ECHO) && h.code == 0 &&
             !nat_is_broadcast(s, &p->ip.dst) && !ip_addr_is_unspecified(&p->ip.src))
        echo(s, p, &h, &r);
    else
        s->count.drop_not_for_us++;
}

/* ---- errors towards the guest ------------------------------------------------------------ */

/* The types and codes of both families. */
static const struct {
    uint8_t type4, code4, type6, code6;
} errors[] = {
    [ICMP_ERROR_PORT] = { ICMP4_UNREACHABLE, 3, ICMP6_UNREACHABLE, 4 },
    [ICMP_ERROR_HOST] = { ICMP4_UNREACHABLE, 1, ICMP6_UNREACHABLE, 3 },
    [ICMP_ERROR_NET] = { ICMP4_UNREACHABLE, 0, ICMP6_UNREACHABLE, 0 },
    [ICMP_ERROR_ADMIN] = { ICMP4_UNREACHABLE, 13, ICMP6_UNREACHABLE, 1 },
    [ICMP_ERROR_TOO_BIG] = { ICMP4_UNREACHABLE, 4, ICMP6_TOO_BIG, 0 },
    [ICMP_ERROR_TTL] = { ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0 },
    [ICMP_ERROR_REASSEMBLY] = { ICMP4_TIME_EXCEEDED, 1, ICMP6_TIME_EXCEEDED, 1 },
    [ICMP_ERROR_PROTOCOL] = { ICMP4_UNREACHABLE, 2, ICMP6_PARAMETER, 1 },
};

/* Echo requests are the only ICMP an error may be about: everything else either is an error or is
 * not forwarded. */
static bool is_error_message(const struct packet *p)
{
    uint8_t type = p->raw_bytes > p->ip.header_bytes ? p->raw[p->ip.header_bytes] : 0;

    if (p->ip.proto == IP_PROTO_ICMP)
        return type != ICMP4_ECHO;
    return p->ip.proto == IP_PROTO_ICMP6 && type != ICMP6_ECHO;
}

static bool may_answer(const struct switch_ *s, const struct packet *p)
{
    return !is_error_message(p) && p->ip.fragment_offset == 0 && !nat_is_broadcast(s, &p->ip.dst) &&
           nat_is_guest(s, &p->ip.src);
}

/* The error 100 before this one must be a second old. */
static bool may_send_now(struct switch_ *s)
{
    struct icmp_table *t = s->icmp;
    uint64_t now = switch_now_ms(s), *oldest = &t->errors_ms[t->next_error];

    if (*oldest && now - *oldest < 1000) {
        s->count.icmp_error_limit_hits++;
        return false;
    }
    *oldest = now;
    t->next_error = (t->next_error + 1) % ERRORS_A_SECOND;
    return true;
}

void icmp_send_error(struct switch_ *s, const struct packet *p, enum icmp_error what, uint32_t rest)
{
    bool six = is_v6(&p->ip);
    size_t room = six ? MAX_ERROR6_BYTES - IP6_HEADER_BYTES : MAX_ERROR4_BYTES - IP4_HEADER_BYTES;
    size_t quoted = MIN(p->raw_bytes, room - ICMP_HEADER_BYTES);
    struct ip_header ip = { .src = six ? s->gateway6 : s->config.gateway,
                            .dst = p->ip.src,
                            .proto = six ? IP_PROTO_ICMP6 : IP_PROTO_ICMP };
    struct icmp_header h = { .type = six ? errors[what].type6 : errors[what].type4,
                             .code = six ? errors[what].code6 : errors[what].code4,
                             .rest = rest };
    uint8_t header[ICMP_HEADER_BYTES];
    struct bytes_out w = bytes_into(header, sizeof header);

    if (!may_answer(s, p) || !may_send_now(s))
        return;
    if (what == ICMP_ERROR_PORT || what == ICMP_ERROR_PROTOCOL)
        ip.src = p->ip.dst;
    icmp_put(&w, &h);
    if (out_datagram(s, &ip, header, CSUM_OFFSET, p->raw, quoted))
        s->count.icmp_errors++;
}

/* ---- life -------------------------------------------------------------------------------- */

enum status icmp_new(struct switch_ *s)
{
    struct icmp_table *t = calloc(1, sizeof *t);

    if (t)
        t->pings = calloc(s->config.limits.pings, sizeof *t->pings);
    if (!t || !t->pings) {
        free(t);
        return ST_NOMEM;
    }
    s->icmp = t;
    return ST_OK;
}

void icmp_free(struct switch_ *s)
{
    struct icmp_table *t = s->icmp;

    if (!t)
        return;
    for (unsigned i = 0; i < s->config.limits.pings; i++) {
        if (t->pings[i].net)
            s->env.net->ops->ping_cancel(t->pings[i].net);
    }
    free(t->pings);
    free(t);
    s->icmp = NULL;
}

unsigned icmp_count(const struct switch_ *s)
{
    return s->icmp->used;
}
