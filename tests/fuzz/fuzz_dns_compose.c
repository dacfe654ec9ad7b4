/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what stands between Windows' records and the guest: the first bytes are a question, the
 * rest says which records a resolver was given, with which names and data.
 *
 * Checked: a message within its size, which the switch's own reader takes for an answer to that
 * question, with as many records as were not taken back.
 */
#include "port/dns_compose.h"
#include "switch/dns_message.h"

#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

enum { PIECE_NAME, PIECE_STRING, PIECE_NUMBER, PIECE_BYTES, PIECE_END, PIECES };

static const char *text_of(struct bytes *r, char buf[static 256])
{
    unsigned wanted = bytes_u8(r);
    size_t n = MIN(wanted, r->left);
    const uint8_t *p = bytes_take(r, n);

    if (n)
        memcpy(buf, p, n);
    buf[n] = '\0';
    return buf;
}

/* Whether the record stayed. */
static bool put_record(struct dns_compose *c, struct bytes *r, enum dns_section section)
{
    char buf[256];
    const char *owner = text_of(r, buf);
    size_t before = c->w.len_bytes;
    unsigned kind;
    bool ok;

    dns_compose_record(c, section, owner, bytes_be16(r), bytes_be32(r));
    while (r->left && bytes_ok(r) && (kind = bytes_u8(r) % PIECES) != PIECE_END) {
        switch (kind) {
        case PIECE_NAME: dns_compose_name(c, text_of(r, buf)); break;
        case PIECE_STRING: dns_compose_string(c, text_of(r, buf)); break;
        case PIECE_NUMBER: dns_compose_be32(c, bytes_be32(r)); break;
        default: {
            const char *text = text_of(r, buf);

            dns_compose_bytes(c, text, strlen(text));
            break;
        }
        }
    }
    ok = dns_compose_record_end(c) == ST_OK;
    ASSERT(ok || c->w.len_bytes == before);
    return ok;
}

static void check(const uint8_t *question, size_t question_bytes, const uint8_t *answer, size_t n)
{
    struct dns_question q;
    struct dns_answer_info info;
    enum dns_rcode rcode;
    bool is_read = dns_question_decode(&q, question, question_bytes, &rcode) == ST_OK;

    ASSERT(n >= DNS_HEADER_BYTES && memcmp(question, answer, 2) == 0);
    if (is_read)
        ASSERT(dns_answer_check(&info, &q, q.id, answer, n) == ST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static uint8_t answer[65536];
    struct bytes r = bytes_of(data, len_bytes);
    size_t question_bytes = bytes_u8(&r), n;
    const uint8_t *question = bytes_take(&r, question_bytes);
    unsigned counts[3] = { 0 }, section = DNS_SECTION_ANSWER;
    struct dns_text_question q;
    struct dns_compose c;

    if (!question || dns_text_question_decode(&q, question, question_bytes) != ST_OK)
        return 0;
    ASSERT(q.name[0] && strlen(q.name) < sizeof q.name);
    dns_compose_begin(&c, answer, len_bytes & 1 ? sizeof answer : DNS_COMPOSE_MIN_BYTES, question,
                      &q);
    while (r.left && bytes_ok(&r)) {
        section = MIN(section + (bytes_u8(&r) & 1), (unsigned)DNS_SECTION_ADDITIONAL);
        counts[section] += put_record(&c, &r, (enum dns_section)section);
    }
    n = dns_compose_end(&c, 0);
    counts[DNS_SECTION_ADDITIONAL] += q.has_edns;
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        ASSERT((answer[6 + 2 * i] << 8 | answer[7 + 2 * i]) == (int)counts[i]);
    check(question, question_bytes, answer, n);
    return 0;
}
