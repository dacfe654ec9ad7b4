/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * An answer is header, the question's bytes as they came, records, and OPT if the question had one:
 *
 *   begin: header, question | record: owner type class ttl length | data ... | end: OPT, counts
 *                             ^ record_at                           ^ rdata_at
 *
 * A record that cannot be written is taken back as a whole by setting the length to record_at. Room
 * for OPT is held back from the beginning, so end() cannot fail. The only compression is the one
 * that nearly every record has: an owner equal to the question's name is a pointer to it.
 *
 * Text has no escapes: nobody says how Windows writes a dot within a label. So a question whose
 * labels hold anything but printable ASCII without dot and backslash is not text (ST_UNSUPPORTED),
 * and neither is an answer's name with a backslash.
 */
#include "port/dns_compose.h"

#include "base/util.h"

#include <string.h>

enum {
    HEADER_BYTES = 12,
    LABEL_MAX = 63,
    WIRE_NAME_MAX = 255,
    STRING_MAX = 255,
    COUNTS_AT = 6,
    OPT_BYTES = 11,
    OPT_UDP_BYTES = 1232,
    TYPE_OPT = 41,
    CLASS_IN = 1,
    POINTER_TO_QUESTION = 0xc000 | HEADER_BYTES,
    MESSAGE_MAX = 65535,
};
enum {
    FLAG_RESPONSE = 0x8000,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    /* What a plain question may say: RD, and AD (RFC 6840: the client knows it). */
    FLAGS_BUT_RD_AD = 0xffff & ~(0x0100 | 0x0020),
};

/* ---- the question ------------------------------------------------------------------------ */

/* False: a label does not go into text. */
static bool put_label(struct bytes_out *text, const uint8_t *label, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        if (label[i] <= ' ' || label[i] >= 0x7f || label[i] == '.' || label[i] == '\\')
            return false;
    bytes_put(text, label, len_bytes);
    bytes_put_u8(text, '.');
    return true;
}

static enum status decode_name(struct dns_text_question *out, struct bytes *r)
{
    struct bytes_out text = bytes_into(out->name, sizeof out->name - 1);
    size_t before = r->left;
    bool is_text = true;
    uint8_t len;

    while ((len = bytes_u8(r)) > 0) {
        const uint8_t *label = len <= LABEL_MAX ? bytes_take(r, len) : NULL;

        if (!label || before - r->left >= WIRE_NAME_MAX)
            return ST_PROTO;
        is_text = put_label(&text, label, len) && is_text;
    }
    if (!bytes_ok(r))
        return ST_PROTO;
    if (text.len_bytes == 0)
        bytes_put_u8(&text, '.');
    out->name[text.len_bytes] = '\0';
    out->name_bytes = before - r->left;
    return is_text ? ST_OK : ST_UNSUPPORTED;
}

/* One OPT without options, version 0, without DO. */
static bool is_plain_opt(struct bytes *r)
{
    bool is_opt = bytes_u8(r) == 0 && bytes_be16(r) == TYPE_OPT;

    (void)bytes_be16(r); /* how much the client takes: the switch's business */
    return bytes_be32(r) == 0 && bytes_be16(r) == 0 && is_opt;
}

enum status dns_text_question_decode(struct dns_text_question *out, const uint8_t *message,
                                     size_t len_bytes)
{
    struct bytes r = bytes_of(message, len_bytes);
    uint16_t flags, questions, answers, authorities, extra, class;
    enum status st;

    (void)bytes_be16(&r);
    flags = bytes_be16(&r);
    questions = bytes_be16(&r);
    answers = bytes_be16(&r);
    authorities = bytes_be16(&r);
    extra = bytes_be16(&r);
    if (!bytes_ok(&r) || questions != 1 || (flags & FLAG_RESPONSE))
        return ST_PROTO;
    st = decode_name(out, &r);
    if (st == ST_PROTO)
        return st;
    out->type = bytes_be16(&r);
    class = bytes_be16(&r);
    if (!bytes_ok(&r))
        return ST_PROTO;
    out->has_edns = extra == 1 && is_plain_opt(&r);
    if (st || class != CLASS_IN || !(flags & FLAG_RD) || (flags & FLAGS_BUT_RD_AD) || answers ||
        authorities || extra > 1 || (extra == 1 && !out->has_edns) || r.left || !bytes_ok(&r))
        return ST_UNSUPPORTED;
    return ST_OK;
}

/* ---- the answer -------------------------------------------------------------------------- */

static void patch_be16(struct dns_compose *c, size_t at, uint16_t v)
{
    c->w.p[at] = (uint8_t)(v >> 8);
    c->w.p[at + 1] = (uint8_t)v;
}

void dns_compose_begin(struct dns_compose *c, void *buf, size_t cap_bytes, const uint8_t *message,
                       const struct dns_text_question *q)
{
    size_t cap = MIN(cap_bytes, (size_t)MESSAGE_MAX);

    ASSERT(cap >= DNS_COMPOSE_MIN_BYTES);
    *c = (struct dns_compose){ .w = bytes_into(buf, cap - OPT_BYTES), .q = q };
    bytes_put(&c->w, message, HEADER_BYTES + q->name_bytes + 4);
    memset(c->w.p + COUNTS_AT, 0, HEADER_BYTES - COUNTS_AT);
    ASSERT(bytes_out_ok(&c->w));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Equal but for the case of letters and a final dot. */
static bool same_name(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return (!*a || !strcmp(a, ".")) && (!*b || !strcmp(b, "."));
}

static void put_owner(struct dns_compose *c, const char *owner)
{
    if (same_name(owner, c->q->name))
        bytes_put_be16(&c->w, POINTER_TO_QUESTION);
    else
        dns_compose_name(c, owner);
}

void dns_compose_record(struct dns_compose *c, enum dns_section section, const char *owner,
                        uint16_t type, uint32_t ttl_s)
{
    ASSERT(c->record_at == 0 && section >= c->section);
    c->section = section;
    c->record_at = c->w.len_bytes;
    c->why = ST_OK;
    put_owner(c, owner);
    bytes_put_be16(&c->w, type);
    bytes_put_be16(&c->w, CLASS_IN);
    bytes_put_be32(&c->w, ttl_s);
    bytes_put_be16(&c->w, 0);
    c->rdata_at = c->w.len_bytes;
}

void dns_compose_name(struct dns_compose *c, const char *name)
{
    size_t wire_bytes = 1;

    if (!strcmp(name, "."))
        name = "";
    while (*name) {
        size_t n = strcspn(name, ".\\");

        wire_bytes += n + 1;
        if (n == 0 || n > LABEL_MAX || name[n] == '\\' || wire_bytes > WIRE_NAME_MAX) {
            dns_compose_give_up(c);
            return;
        }
        bytes_put_u8(&c->w, (uint8_t)n);
        bytes_put(&c->w, name, n);
        name += n + (name[n] == '.');
    }
    bytes_put_u8(&c->w, 0);
}

void dns_compose_string(struct dns_compose *c, const char *text)
{
    size_t n = strlen(text);

    if (n > STRING_MAX) {
        dns_compose_give_up(c);
        return;
    }
    bytes_put_u8(&c->w, (uint8_t)n);
    bytes_put(&c->w, text, n);
}

void dns_compose_be16(struct dns_compose *c, uint16_t v)
{
    bytes_put_be16(&c->w, v);
}

void dns_compose_be32(struct dns_compose *c, uint32_t v)
{
    bytes_put_be32(&c->w, v);
}

void dns_compose_bytes(struct dns_compose *c, const void *data, size_t len_bytes)
{
    bytes_put(&c->w, data, len_bytes);
}

void dns_compose_give_up(struct dns_compose *c)
{
    c->why = ST_UNSUPPORTED;
}

enum status dns_compose_record_end(struct dns_compose *c)
{
    enum status st = c->why ? c->why : bytes_out_ok(&c->w) ? ST_OK : ST_FULL;

    if (st) {
        c->w.len_bytes = c->record_at;
        c->w.failed = false;
    } else {
        patch_be16(c, c->rdata_at - 2, (uint16_t)(c->w.len_bytes - c->rdata_at));
        c->counts[c->section]++;
    }
    c->record_at = 0;
    return st;
}

static void put_opt(struct dns_compose *c)
{
    c->w.cap_bytes += OPT_BYTES;
    bytes_put_u8(&c->w, 0);
    bytes_put_be16(&c->w, TYPE_OPT);
    bytes_put_be16(&c->w, OPT_UDP_BYTES);
    bytes_put_be32(&c->w, 0);
    bytes_put_be16(&c->w, 0);
    c->counts[DNS_SECTION_ADDITIONAL]++;
}

size_t dns_compose_end(struct dns_compose *c, unsigned rcode)
{
    ASSERT(c->record_at == 0);
    if (c->q->has_edns)
        put_opt(c);
    ASSERT(bytes_out_ok(&c->w));
    patch_be16(c, 2, (uint16_t)(FLAG_RESPONSE | FLAG_RD | FLAG_RA | (rcode & 15)));
    for (unsigned i = 0; i < ARRAY_SIZE(c->counts); i++)
        patch_be16(c, COUNTS_AT + 2 * i, c->counts[i]);
    return c->w.len_bytes;
}
