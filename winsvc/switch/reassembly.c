/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: put the fragments of a datagram together, with a bound on everything a guest can spend.
 *
 *     fragment -> datagram (source, destination, id, protocol) -> sorted list of pieces
 *                                                                  | complete
 *                                                 whole = header of the first + all pieces
 *
 * Life of a datagram: a slot is taken by its first fragment to arrive; every piece is kept apart,
 * byte for byte as it came, until no hole is left; only then the pieces are copied, each once, into
 * one buffer of fixed size, and the slot is free. So no arithmetic is ever done on a half-built
 * datagram (what CVE-2019-14378, CVE-2020-1983 and CVE-2018-11806 were about).
 *
 * Invariants: pieces of a datagram are sorted and do not touch each other's bytes; bytes_used is
 * the sum over all pieces of what they occupy; a spoiled slot has no pieces.
 *
 * Overlap: RFC 5722 and 8200, for IPv4 as well: the whole datagram is dropped, and what of it still
 * comes until its time is over. An exact repetition is ignored instead, as RFC 8200 allows: links
 * duplicate. So are a second end and bytes behind the end an overlap.
 * Limits: limits.fragments datagrams (the oldest goes), limits.fragment_bytes in pieces (the oldest
 * others go), limits.fragment_ms from the first fragment, 256 pieces a datagram, so that the search
 * among them stays short (64 KiB at the least MTU anybody has, 576, are 119). A piece is one
 * malloc(): fragments are rare on a link whose MTU both ends know, and a pool of the largest size
 * would be 4 MiB. A datagram whose time is over is told by ICMP if its first fragment is there to
 * be quoted (RFC 792, 4443 3.3).
 */
#include "switch/switch_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 256, LIMIT_PIECES = 256 };

struct piece {
    struct list link;
    uint32_t offset, len;
    uint8_t data[];
};

enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_SPOILED };

struct datagram {
    enum slot_state state;
    struct ip_addr src, dst;
    uint32_t id;
    uint8_t proto;
    uint64_t deadline_ms;
    struct list pieces;
    uint32_t have; /* bytes in pieces */
    uint32_t piece_count;
    uint32_t total;         /* 0 = the last fragment has not come */
    struct ip_header first; /* once the piece at 0 is there */
    uint16_t header_bytes;
    uint8_t header[MAX_HEADER_BYTES]; /* of the first fragment, as it came */
};

struct reassembly {
    struct switch_ *s;
    struct timer expiry;
    struct datagram *slots; /* owned, limits.fragments of them */
    unsigned used;
    size_t bytes_used;
    uint8_t whole[MAX_HEADER_BYTES + IP_MAX_BYTES];
};

/* ---- slots ------------------------------------------------------------------------------- */

static size_t cost_of(const struct piece *p)
{
    return sizeof *p + p->len;
}

static void drop_pieces(struct reassembly *r, struct datagram *d)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &d->pieces)
    {
        struct piece *p = container_of(it, struct piece, link);

        r->bytes_used -= cost_of(p);
        list_remove(it);
        free(p);
    }
}

static void free_slot(struct reassembly *r, struct datagram *d)
{
    drop_pieces(r, d);
    d->state = SLOT_FREE;
    r->used--;
}

/* The slot stays, so that what still comes of this datagram is known as part of it. */
static void spoil(struct reassembly *r, struct datagram *d)
{
    drop_pieces(r, d);
    d->state = SLOT_SPOILED;
    r->s->count.drop_fragment++;
}

static struct datagram *oldest(struct reassembly *r, const struct datagram *but)
{
    struct datagram *found = NULL;

    for (unsigned i = 0; i < r->s->config.limits.fragments; i++) {
        struct datagram *d = &r->slots[i];

        bool counts = d->state != SLOT_FREE && (!but || d != but);

        if (counts && (!found || d->deadline_ms < found->deadline_ms))
            found = d;
    }
    return found;
}

static void evict(struct reassembly *r, struct datagram *d)
{
    r->s->count.fragment_limit_hits++;
    if (d->state == SLOT_OPEN)
        r->s->count.drop_fragment++;
    free_slot(r, d);
}

static void arm(struct reassembly *r)
{
    struct datagram *d = oldest(r, NULL);
    uint64_t now = switch_now_ms(r->s);

    if (!d)
        timer_stop(&r->expiry);
    else
        timer_start(&r->expiry, d->deadline_ms > now ? d->deadline_ms - now : 0);
}

/* Quotes the first fragment, if it came. */
static void tell_expired(struct reassembly *r, const struct datagram *d)
{
    const struct piece *first = container_of(d->pieces.next, struct piece, link);
    struct packet p = { .ip = d->first, .raw = r->whole };

    r->s->count.drop_fragment++;
    if (list_is_empty(&d->pieces) || first->offset != 0)
        return;
    memcpy(r->whole, d->header, d->header_bytes);
    memcpy(r->whole + d->header_bytes, first->data, first->len);
    p.raw_bytes = d->header_bytes + first->len;
    icmp_send_error(r->s, &p, ICMP_ERROR_REASSEMBLY, 0);
}

static void expire(void *ctx)
{
    struct reassembly *r = ctx;
    uint64_t now = switch_now_ms(r->s);

    for (unsigned i = 0; i < r->s->config.limits.fragments; i++) {
        struct datagram *d = &r->slots[i];

        if (d->state == SLOT_FREE || d->deadline_ms > now)
            continue;
        if (d->state == SLOT_OPEN)
            tell_expired(r, d);
        free_slot(r, d);
    }
    arm(r);
}

static bool is_of(const struct datagram *d, const struct ip_header *ip)
{
    return d->state != SLOT_FREE && d->id == ip->id && d->proto == ip->proto &&
           ip_addr_equal(&d->src, &ip->src) && ip_addr_equal(&d->dst, &ip->dst);
}

static struct datagram *take_slot(struct reassembly *r, const struct ip_header *ip)
{
    unsigned max = r->s->config.limits.fragments, i = 0;
    struct datagram *d;

    if (r->used == max)
        evict(r, oldest(r, NULL));
    while (r->slots[i].state != SLOT_FREE)
        i++;
    d = &r->slots[i];
    *d = (struct datagram){ .state = SLOT_OPEN,
                            .src = ip->src,
                            .dst = ip->dst,
                            .id = ip->id,
                            .proto = ip->proto,
                            .deadline_ms = switch_now_ms(r->s) + r->s->config.limits.fragment_ms };
    list_init(&d->pieces);
    r->used++;
    if (!timer_is_running(&r->expiry))
        timer_start(&r->expiry, r->s->config.limits.fragment_ms);
    return d;
}

static struct datagram *find_slot(struct reassembly *r, const struct ip_header *ip)
{
    for (unsigned i = 0; i < r->s->config.limits.fragments; i++) {
        if (is_of(&r->slots[i], ip))
            return &r->slots[i];
    }
    return take_slot(r, ip);
}

/* ---- pieces ------------------------------------------------------------------------------ */

enum fit { FITS, REPEATED, OVERLAPS };

/* Where the piece belongs: behind *@after. */
static enum fit find_place(struct datagram *d, const struct packet *f, struct list **after)
{
    uint32_t from = f->ip.fragment_offset, to = from + (uint32_t)f->l4_bytes;

    *after = &d->pieces;
    for (struct list *it = d->pieces.next; it != &d->pieces; it = it->next) {
        struct piece *p = container_of(it, struct piece, link);

        if (p->offset == from && p->len == f->l4_bytes)
            return memcmp(p->data, f->l4, p->len) == 0 ? REPEATED : OVERLAPS;
        if (p->offset < to && from < p->offset + p->len)
            return OVERLAPS;
        if (p->offset > from)
            break;
        *after = it;
    }
    return FITS;
}

/* Whether the end that @f tells, or reaches, agrees with what is known. */
static bool end_agrees(const struct datagram *d, const struct packet *f)
{
    uint32_t to = f->ip.fragment_offset + (uint32_t)f->l4_bytes;
    const struct piece *last;

    if (d->total)
        return f->ip.more_fragments ? to <= d->total : to == d->total;
    if (f->ip.more_fragments || list_is_empty(&d->pieces))
        return true;
    last = container_of(d->pieces.prev, struct piece, link);
    return last->offset + last->len <= to;
}

static bool keep_piece(struct reassembly *r, struct datagram *d, const struct packet *f,
                       struct list *after)
{
    size_t cost = sizeof(struct piece) + f->l4_bytes;
    struct datagram *victim;
    struct piece *p;

    while (r->bytes_used + cost > r->s->config.limits.fragment_bytes &&
           (victim = oldest(r, d)) != NULL)
        evict(r, victim);
    p = malloc(cost);
    if (!p) {
        r->s->count.drop_no_memory++;
        return false;
    }
    p->offset = f->ip.fragment_offset;
    p->len = (uint32_t)f->l4_bytes;
    memcpy(p->data, f->l4, f->l4_bytes);
    list_insert_after(after, &p->link);
    r->bytes_used += cost;
    d->have += p->len;
    d->piece_count++;
    return true;
}

static void keep_header(struct datagram *d, const struct packet *f)
{
    d->first = f->ip;
    d->header_bytes = f->ip.header_bytes;
    memcpy(d->header, f->raw, f->ip.header_bytes);
}

/* ---- the whole datagram ------------------------------------------------------------------ */

static void assemble(struct reassembly *r, struct datagram *d, struct mac from,
                     struct packet *whole)
{
    uint8_t *l4 = r->whole + d->header_bytes;

    memcpy(r->whole, d->header, d->header_bytes);
    for (struct list *it = d->pieces.next; it != &d->pieces; it = it->next) {
        struct piece *p = container_of(it, struct piece, link);

        memcpy(l4 + p->offset, p->data, p->len);
    }
    *whole = (struct packet){ .from = from,
                              .ip = d->first,
                              .raw = r->whole,
                              .raw_bytes = d->header_bytes + d->total,
                              .l4 = l4,
                              .l4_bytes = d->total };
    whole->ip.more_fragments = false;
    whole->ip.payload_bytes = (uint16_t)d->total;
}

static bool is_sane(const struct packet *f)
{
    size_t end = f->ip.fragment_offset + f->l4_bytes;

    return f->l4_bytes > 0 && end + f->ip.header_bytes <= IP_MAX_BYTES &&
           f->ip.header_bytes <= MAX_HEADER_BYTES &&
           (!f->ip.more_fragments || f->l4_bytes % 8 == 0);
}

bool reassembly_add(struct switch_ *s, const struct packet *f, struct packet *whole)
{
    struct reassembly *r = s->reassembly;
    struct datagram *d;
    struct list *after;
    enum fit fit;

    if (!is_sane(f)) {
        s->count.drop_fragment++;
        return false;
    }
    d = find_slot(r, &f->ip);
    if (d->state == SLOT_SPOILED)
        return false;
    fit = find_place(d, f, &after);
    if (fit == REPEATED)
        return false;
    if (fit == OVERLAPS || !end_agrees(d, f) || d->piece_count == LIMIT_PIECES) {
        spoil(r, d);
        return false;
    }
    if (!keep_piece(r, d, f, after))
        return false;
    if (f->ip.fragment_offset == 0)
        keep_header(d, f);
    if (!f->ip.more_fragments)
        d->total = f->ip.fragment_offset + (uint32_t)f->l4_bytes;
    if (d->total == 0 || d->have < d->total)
        return false;
    if (d->header_bytes + d->total > IP_MAX_BYTES) { /* the first one's header was longer */
        spoil(r, d);
        return false;
    }
    assemble(r, d, f->from, whole);
    free_slot(r, d);
    return true;
}

/* ---- life -------------------------------------------------------------------------------- */

enum status reassembly_new(struct switch_ *s)
{
    struct reassembly *r = calloc(1, sizeof *r);

    if (r)
        r->slots = calloc(s->config.limits.fragments, sizeof *r->slots);
    if (!r || !r->slots) {
        free(r);
        return ST_NOMEM;
    }
    r->s = s;
    timer_init(&r->expiry, s->env.loop, expire, r);
    s->reassembly = r;
    return ST_OK;
}

void reassembly_free(struct switch_ *s)
{
    struct reassembly *r = s->reassembly;

    if (!r)
        return;
    for (unsigned i = 0; i < s->config.limits.fragments; i++) {
        if (r->slots[i].state != SLOT_FREE)
            free_slot(r, &r->slots[i]);
    }
    timer_stop(&r->expiry);
    free(r->slots);
    free(r);
    s->reassembly = NULL;
}

unsigned reassembly_count(const struct switch_ *s)
{
    return s->reassembly->used;
}
