/* SPDX-License-Identifier: Apache-2.0
 * THEORY: answers of the host's resolver reach the guest as they are, so no record is ever taken
 * apart or put together again. What is left for this file: one question, the OPT record, and a
 * walk over an answer's records that skips names and data and sees TTLs.
 *
 *   header 12 | question: name, type, class | records: name, type, class, ttl, rdlength, rdata
 *
 * A name is skipped, never followed: labels up to the root or up to a compression pointer, which
 * ends it. So there is no loop to guard against and nothing to decompress. In a question a pointer
 * is refused: there is nothing before it that it could point to.
 *
 * Why not a library: c-ares' record API, which the design names first, is in no Debian 12 package;
 * ldns allocates each label of each record (a dozen allocations a message, this path is allowed
 * none) and comes with OpenSSL, for Windows too, to decode types that pass here unread.
 */
#include "switch/dns_message.h"

#include "base/util.h"
#include "switch/dns_rebind.h"

#include <string.h>

enum {
    POINTER_BITS = 0xc0,
    LABEL_MAX = 63,
    OPT_DO = 0x8000,
    SOA_TAIL_BYTES = 20, /* serial, refresh, retry, expire, minimum */
    TTL_CEILING_S = 86400,
    NAME_OF_QUESTION = 0xc00c /* pointer to it */
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static void lower_name(uint8_t *out, const uint8_t *name, size_t n)
{
    /* Length bytes are below 'A'. */
    for (size_t i = 0; i < n; i++)
        out[i] = lower(name[i]);
}

static uint16_t peek16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void poke16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint32_t peek32(const uint8_t *p)
{
    return (uint32_t)peek16(p) << 16 | peek16(p + 2);
}

static void poke32(uint8_t *p, uint32_t v)
{
    poke16(p, (uint16_t)(v >> 16));
    poke16(p + 2, (uint16_t)v);
}

/* The length of the uncompressed name at @r, which then stands behind it; 0: it is none. */
static size_t take_name(struct bytes *r)
{
    size_t n = 0;

    for (;;) {
        uint8_t label = bytes_u8(r);

        n += 1u + label;
        if (!bytes_ok(r) || label > LABEL_MAX || n > DNS_NAME_MAX)
            return 0;
        if (!label)
            return n;
        bytes_take(r, label);
    }
}

static bool skip_name(struct bytes *r)
{
    for (size_t n = 0; n <= DNS_NAME_MAX;) {
        uint8_t label = bytes_u8(r);

        if (!bytes_ok(r))
            return false;
        if ((label & POINTER_BITS) == POINTER_BITS) {
            bytes_u8(r);
            return bytes_ok(r);
        }
        if (!label)
            return true;
        if (label > LABEL_MAX)
            return false;
        bytes_take(r, label);
        n += 1u + label;
    }
    return false;
}

struct record {
    uint16_t type, class;
    uint32_t ttl_s;
    const uint8_t *ttl, *data; /* within the message */
    uint16_t data_bytes;
};

static bool take_record(struct bytes *r, struct record *out)
{
    if (!skip_name(r))
        return false;
    out->type = bytes_be16(r);
    out->class = bytes_be16(r);
    out->ttl = r->p;
    out->ttl_s = bytes_be32(r);
    out->data_bytes = bytes_be16(r);
    out->data = bytes_take(r, out->data_bytes);
    return bytes_ok(r);
}

/* ---- questions --------------------------------------------------------------------------- */

/* Additional records up to OPT; answer and authority sections of a question are empty in every
 * sane one, and walked over in others. */
static enum status take_edns(struct dns_question *q, struct bytes *r, unsigned records)
{
    for (unsigned i = 0; i < records; i++) {
        struct record rec;

        if (!take_record(r, &rec))
            return ST_PROTO;
        if (rec.type != DNS_TYPE_OPT)
            continue;
        if (q->has_edns)
            return ST_PROTO; /* RFC 6891 6.1.1: at most one */
        q->has_edns = true;
        q->edns_version = (uint8_t)(rec.ttl_s >> 16);
        q->dnssec_ok = rec.ttl_s & OPT_DO;
        q->udp_bytes = MIN(MAX(rec.class, DNS_UDP_MIN), DNS_UDP_MAX);
    }
    return ST_OK;
}

enum status dns_question_decode(struct dns_question *out, const uint8_t *msg, size_t len_bytes,
                                enum dns_rcode *rcode)
{
    struct bytes r = bytes_of(msg, len_bytes);
    unsigned questions, records;
    const uint8_t *name;
    size_t n;

    out->id = bytes_be16(&r);
    out->flags = bytes_be16(&r);
    questions = bytes_be16(&r);
    records = bytes_be16(&r);
    records += bytes_be16(&r);
    records += bytes_be16(&r);
    if (!bytes_ok(&r) || (out->flags & DNS_FLAG_QR))
        return ST_EOF;
    out->name_bytes = 0;
    out->has_edns = out->dnssec_ok = false;
    out->edns_version = 0;
    out->udp_bytes = DNS_UDP_MIN;
    *rcode = DNS_NOTIMP;
    if (out->flags & DNS_OPCODE_MASK)
        return ST_UNSUPPORTED;
    *rcode = DNS_FORMERR;
    if (questions != 1)
        return ST_PROTO;
    name = r.p;
    n = take_name(&r);
    out->type = bytes_be16(&r);
    out->class = bytes_be16(&r);
    if (!n || !bytes_ok(&r))
        return ST_PROTO;
    if (take_edns(out, &r, records)) {
        out->has_edns = false;
        return ST_PROTO;
    }
    memcpy(out->name, name, n);
    lower_name(out->key, name, n);
    out->name_bytes = (uint8_t)n;
    return ST_OK;
}

bool dns_question_same(const struct dns_question *a, const struct dns_question *b)
{
    const uint16_t flags = DNS_FLAG_RD | DNS_FLAG_CD | DNS_FLAG_AD;

    return a->type == b->type && a->class == b->class && a->name_bytes == b->name_bytes &&
           ((a->flags ^ b->flags) & flags) == 0 && a->has_edns == b->has_edns &&
           a->dnssec_ok == b->dnssec_ok && memcmp(a->key, b->key, a->name_bytes) == 0;
}

static void put_header(struct bytes_out *w, uint16_t id, uint16_t flags,
                       const struct dns_question *q, unsigned answers)
{
    bytes_put_be16(w, id);
    bytes_put_be16(w, flags);
    bytes_put_be16(w, q->name_bytes ? 1 : 0);
    bytes_put_be16(w, (uint16_t)answers);
    bytes_put_be16(w, 0);
    bytes_put_be16(w, q->has_edns ? 1 : 0);
    if (q->name_bytes) {
        bytes_put(w, q->name, q->name_bytes);
        bytes_put_be16(w, q->type);
        bytes_put_be16(w, q->class);
    }
}

static void put_edns(struct bytes_out *w, const struct dns_question *q, enum dns_rcode rcode)
{
    if (!q->has_edns)
        return;
    bytes_put_u8(w, 0);
    bytes_put_be16(w, DNS_TYPE_OPT);
    bytes_put_be16(w, DNS_UDP_MAX);
    bytes_put_u8(w, (uint8_t)(rcode >> 4));
    bytes_put_u8(w, 0);
    bytes_put_be16(w, q->dnssec_ok ? OPT_DO : 0);
    bytes_put_be16(w, 0);
}

size_t dns_question_encode(const struct dns_question *q, uint16_t id,
                           uint8_t buf[static DNS_SMALL_MAX])
{
    struct bytes_out w = bytes_into(buf, DNS_SMALL_MAX);

    put_header(&w, id, q->flags & (DNS_FLAG_RD | DNS_FLAG_CD | DNS_FLAG_AD), q, 0);
    put_edns(&w, q, DNS_NOERROR);
    ASSERT(bytes_out_ok(&w));
    return w.len_bytes;
}

/* ---- answers of our own ------------------------------------------------------------------ */

static uint16_t answer_flags(const struct dns_question *q, enum dns_rcode rcode, bool authoritative)
{
    return (uint16_t)(DNS_FLAG_QR | DNS_FLAG_RA | (authoritative ? DNS_FLAG_AA : 0) |
                      (q->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD | DNS_FLAG_CD)) | (rcode & 15));
}

size_t dns_answer_empty(const struct dns_question *q, enum dns_rcode rcode, bool authoritative,
                        bool truncated, uint8_t buf[static DNS_SMALL_MAX])
{
    struct bytes_out w = bytes_into(buf, DNS_SMALL_MAX);
    uint16_t flags = answer_flags(q, rcode, authoritative);

    put_header(&w, q->id, (uint16_t)(flags | (truncated ? DNS_FLAG_TC : 0)), q, 0);
    put_edns(&w, q, rcode);
    ASSERT(bytes_out_ok(&w));
    return w.len_bytes;
}

static void put_record(struct bytes_out *w, uint16_t type, uint32_t ttl_s, const void *data,
                       size_t len_bytes)
{
    bytes_put_be16(w, NAME_OF_QUESTION);
    bytes_put_be16(w, type);
    bytes_put_be16(w, DNS_CLASS_IN);
    bytes_put_be32(w, ttl_s);
    bytes_put_be16(w, (uint16_t)len_bytes);
    bytes_put(w, data, len_bytes);
}

size_t dns_answer_addresses(const struct dns_question *q, const struct ip_addr *v4,
                            const struct ip_addr *v6, uint32_t ttl_s,
                            uint8_t buf[static DNS_SMALL_MAX])
{
    struct bytes_out w = bytes_into(buf, DNS_SMALL_MAX);

    put_header(&w, q->id, answer_flags(q, DNS_NOERROR, true), q, (v4 != NULL) + (v6 != NULL));
    if (v4)
        put_record(&w, DNS_TYPE_A, ttl_s, v4->b + 12, 4);
    if (v6)
        put_record(&w, DNS_TYPE_AAAA, ttl_s, v6->b, 16);
    put_edns(&w, q, DNS_NOERROR);
    ASSERT(bytes_out_ok(&w));
    return w.len_bytes;
}

size_t dns_answer_pointer(const struct dns_question *q, const uint8_t *name, size_t name_bytes,
                          uint32_t ttl_s, uint8_t *buf, size_t cap_bytes)
{
    struct bytes_out w = bytes_into(buf, cap_bytes);

    put_header(&w, q->id, answer_flags(q, DNS_NOERROR, true), q, 1);
    put_record(&w, DNS_TYPE_PTR, ttl_s, name, name_bytes);
    put_edns(&w, q, DNS_NOERROR);
    return bytes_out_ok(&w) ? w.len_bytes : 0;
}

/* ---- answers from upstream --------------------------------------------------------------- */

/* How long the absence that this SOA proves may be remembered (RFC 2308 5). */
static uint32_t negative_ttl_s(const struct record *soa)
{
    uint32_t minimum_s = 0;

    if (soa->data_bytes > SOA_TAIL_BYTES)
        minimum_s = peek32(soa->data + soa->data_bytes - 4);
    return MIN(minimum_s, soa->ttl_s);
}

static bool is_private(const struct record *rec)
{
    struct ip_addr a;

    if (rec->type == DNS_TYPE_A && rec->data_bytes == 4)
        a = ip_addr_of_v4(rec->data);
    else if (rec->type == DNS_TYPE_AAAA && rec->data_bytes == 16)
        a = ip_addr_of_v6(rec->data); /* ::ffff:10.0.0.1 is 10.0.0.1 in this form */
    else
        return false;
    return dns_rebind_is_private(&a);
}

/* Walks the records of all sections behind the question. */
static enum status walk(struct dns_answer_info *out, struct bytes *r, unsigned answers,
                        unsigned authorities, unsigned additionals)
{
    bool has_soa = false;

    for (unsigned i = 0; i < answers + authorities + additionals; i++) {
        bool is_authority = i >= answers && i < answers + authorities;
        struct record rec;
        uint32_t ttl_s;

        if (!take_record(r, &rec))
            return ST_PROTO;
        if (rec.type == DNS_TYPE_OPT) {
            if (rec.ttl_s >> 24)
                out->rcode = 0xff; /* extended: none that may be remembered */
            continue;
        }
        out->has_private |= is_private(&rec);
        ttl_s = rec.ttl_s;
        if (rec.type == DNS_TYPE_SOA && is_authority) {
            has_soa = true;
            ttl_s = negative_ttl_s(&rec);
        }
        out->ttl_s = MIN(out->ttl_s, ttl_s & 0x80000000u ? 0 : ttl_s); /* RFC 2181 8 */
    }
    out->is_cacheable = !out->truncated && out->ttl_s > 0 &&
                        ((out->rcode == DNS_NOERROR && (answers || has_soa)) ||
                         (out->rcode == DNS_NXDOMAIN && has_soa));
    return ST_OK;
}

enum status dns_answer_check(struct dns_answer_info *out, const struct dns_question *q, uint16_t id,
                             const uint8_t *msg, size_t len_bytes)
{
    struct bytes r = bytes_of(msg, len_bytes);
    struct dns_answer_info info = { .ttl_s = TTL_CEILING_S };
    uint16_t msg_id = bytes_be16(&r);
    uint16_t flags = bytes_be16(&r);
    uint16_t questions = bytes_be16(&r);
    uint16_t answers = bytes_be16(&r);
    uint16_t authorities = bytes_be16(&r);
    uint16_t additionals = bytes_be16(&r);
    uint8_t key[DNS_NAME_MAX];
    const uint8_t *name;

    if (!bytes_ok(&r) || msg_id != id || !(flags & DNS_FLAG_QR) || (flags & DNS_OPCODE_MASK) ||
        questions != 1)
        return ST_PROTO;
    name = r.p;
    if (take_name(&r) != q->name_bytes)
        return ST_PROTO;
    lower_name(key, name, q->name_bytes);
    if (memcmp(key, q->key, q->name_bytes) != 0 || bytes_be16(&r) != q->type ||
        bytes_be16(&r) != q->class || !bytes_ok(&r))
        return ST_PROTO;
    info.rcode = flags & 15;
    info.truncated = flags & DNS_FLAG_TC;
    if (walk(&info, &r, answers, authorities, additionals))
        return ST_PROTO;
    *out = info;
    return ST_OK;
}

void dns_answer_fit(uint8_t *msg, size_t len_bytes, const struct dns_question *q, uint32_t age_s)
{
    struct bytes r = bytes_of(msg, len_bytes);
    unsigned records;
    struct record rec;

    ASSERT(len_bytes >= DNS_HEADER_BYTES + q->name_bytes + 4u);
    poke16(msg, q->id);
    poke16(msg + 2, (uint16_t)((peek16(msg + 2) & ~DNS_FLAG_RD) | (q->flags & DNS_FLAG_RD)));
    memcpy(msg + DNS_HEADER_BYTES, q->name, q->name_bytes);
    if (!age_s)
        return;
    records = peek16(msg + 6) + (unsigned)peek16(msg + 8) + peek16(msg + 10);
    bytes_take(&r, DNS_HEADER_BYTES + q->name_bytes + 4u);
    while (records-- && take_record(&r, &rec)) {
        if (rec.type != DNS_TYPE_OPT)
            poke32(msg + (rec.ttl - msg), rec.ttl_s > age_s ? rec.ttl_s - age_s : 0);
    }
}

/* ---- names ------------------------------------------------------------------------------- */

bool dns_name_is_below(const uint8_t *name, size_t name_bytes, const uint8_t *suffix,
                       size_t suffix_bytes)
{
    size_t at = 0;

    while (at < name_bytes && name_bytes - at > suffix_bytes)
        at += 1u + name[at];
    return at < name_bytes && name_bytes - at == suffix_bytes &&
           memcmp(name + at, suffix, suffix_bytes) == 0;
}

size_t dns_name_encode(uint8_t out[static DNS_NAME_MAX], const char *text)
{
    size_t at = 0;

    if (strcmp(text, ".") == 0)
        text = "";
    while (*text) {
        size_t label = strcspn(text, ".");

        if (!label || label > LABEL_MAX || at + 1 + label + 1 > DNS_NAME_MAX)
            return 0;
        out[at] = (uint8_t)label;
        lower_name(out + at + 1, (const uint8_t *)text, label);
        at += 1 + label;
        text += label;
        if (*text)
            text++;
    }
    out[at++] = 0;
    return at;
}

const char *dns_name_format(const uint8_t *name, size_t name_bytes,
                            char buf[static DNS_NAME_TEXT_MAX])
{
    static const char digits[] = "0123456789";
    size_t at = 0;

    for (size_t i = 0; i < name_bytes && name[i]; i += 1u + name[i]) {
        for (size_t k = i + 1; k <= i + name[i] && k < name_bytes; k++) {
            uint8_t c = name[k];

            if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
                buf[at++] = (char)c;
                continue;
            }
            buf[at++] = '\\'; /* RFC 1035 5.1 */
            buf[at++] = digits[c / 100];
            buf[at++] = digits[c / 10 % 10];
            buf[at++] = digits[c % 10];
        }
        buf[at++] = '.';
    }
    if (!at)
        buf[at++] = '.';
    buf[at] = '\0';
    return buf;
}
