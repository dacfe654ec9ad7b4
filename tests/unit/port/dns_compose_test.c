/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dns_compose.h"

#include "base/util.h"
#include "support/cmocka_all.h"

#include <string.h>

#define HEAD(flags, extra) "\x12\x34" flags "\0\1\0\0\0\0\0" extra
#define NAME               "\3wWw\7example\0"
#define OPT                "\0\0\x29\4\xd0\0\0\0\0\0\0"
#define ROW(bytes)         bytes, sizeof(bytes) - 1

static const struct {
    const char *name, *message;
    size_t len_bytes;
    enum status want;
    const char *text;
} questions[] = {
    { "plain", ROW(HEAD("\1\0", "\0") NAME "\0\1\0\1"), ST_OK, "wWw.example." },
    { "with EDNS", ROW(HEAD("\1\0", "\1") NAME "\0\1\0\1" OPT), ST_OK, "wWw.example." },
    { "AD is allowed", ROW(HEAD("\1\x20", "\0") NAME "\0\1\0\1"), ST_OK, "wWw.example." },
    { "the root", ROW(HEAD("\1\0", "\0") "\0\0\2\0\1"), ST_OK, "." },
    { "DNSSEC wanted", ROW(HEAD("\1\0", "\1") NAME "\0\1\0\1\0\0\x29\4\xd0\0\0\x80\0\0\0"),
      ST_UNSUPPORTED, NULL },
    { "EDNS option", ROW(HEAD("\1\0", "\1") NAME "\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0\4\0\12\0\0"),
      ST_UNSUPPORTED, NULL },
    { "checking disabled", ROW(HEAD("\1\x10", "\0") NAME "\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "no recursion", ROW(HEAD("\0\0", "\0") NAME "\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "opcode", ROW(HEAD("\x11\0", "\0") NAME "\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "class chaos", ROW(HEAD("\1\0", "\0") NAME "\0\1\0\3"), ST_UNSUPPORTED, NULL },
    { "something behind", ROW(HEAD("\1\0", "\0") NAME "\0\1\0\1x"), ST_UNSUPPORTED, NULL },
    { "dot in a label", ROW(HEAD("\1\0", "\0") "\3a.b\0\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "backslash", ROW(HEAD("\1\0", "\0") "\2a\\\0\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "byte beyond ASCII", ROW(HEAD("\1\0", "\0") "\1\xe4\0\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "zero in a label", ROW(HEAD("\1\0", "\0") "\2a\0\0\0\1\0\1"), ST_UNSUPPORTED, NULL },
    { "an answer", ROW(HEAD("\x81\0", "\0") NAME "\0\1\0\1"), ST_PROTO, NULL },
    { "pointer", ROW(HEAD("\1\0", "\0") "\xc0\x0c\0\1\0\1"), ST_PROTO, NULL },
    { "cut in the name", ROW(HEAD("\1\0", "\0") "\3wW"), ST_PROTO, NULL },
    { "cut in the type", ROW(HEAD("\1\0", "\0") NAME "\0\1\0"), ST_PROTO, NULL },
    { "nothing", ROW(""), ST_PROTO, NULL },
};

static void only_plain_questions_become_text(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(questions); i++) {
        struct dns_text_question q;
        enum status st = dns_text_question_decode(&q, (const uint8_t *)questions[i].message,
                                                  questions[i].len_bytes);

        if (st != questions[i].want || (questions[i].text && strcmp(q.name, questions[i].text)))
            fail_msg("%s: %s", questions[i].name, status_name(st));
    }
}

static void a_name_may_have_255_bytes_and_no_more(void **state)
{
    uint8_t m[400] = { 0, 0, 1, 0, 0, 1 };
    struct dns_text_question q;
    size_t at = 12;

    for (unsigned i = 0; i < 127; i++, at += 2)
        memcpy(m + at, "\1a", 2);
    memcpy(m + at, "\0\0\1\0\1", 5);
    assert_int_equal(dns_text_question_decode(&q, m, at + 5), ST_OK);
    assert_int_equal(q.name_bytes, 255);
    assert_int_equal(strlen(q.name), 254);
    memcpy(m + at, "\1a\0\0\1\0\1", 7);
    assert_int_equal(dns_text_question_decode(&q, m, at + 7), ST_PROTO);
}

/* ---- answers ----------------------------------------------------------------------------- */

static const uint8_t asked[] = HEAD("\1\0", "\1") NAME "\0\1\0\1" OPT;
static struct dns_text_question question;
static struct dns_compose c;
static uint8_t message[65535];

static int begin(void **state)
{
    assert_int_equal(dns_text_question_decode(&question, asked, sizeof asked - 1), ST_OK);
    dns_compose_begin(&c, message, sizeof message, asked, &question);
    return 0;
}

static void ends_as(unsigned rcode, const char *want, size_t want_bytes)
{
    size_t n = dns_compose_end(&c, rcode);

    assert_int_equal(n, want_bytes);
    assert_memory_equal(message, want, want_bytes);
}

static void records_follow_the_question_in_their_sections(void **state)
{
    dns_compose_record(&c, DNS_SECTION_ANSWER, "www.EXAMPLE", 5, 0x01020304);
    dns_compose_name(&c, "b.c.");
    assert_int_equal(dns_compose_record_end(&c), ST_OK);
    dns_compose_record(&c, DNS_SECTION_AUTHORITY, ".", 2, 7);
    dns_compose_name(&c, ".");
    assert_int_equal(dns_compose_record_end(&c), ST_OK);
    dns_compose_record(&c, DNS_SECTION_ADDITIONAL, "b.c", 16, 0);
    dns_compose_string(&c, "");
    dns_compose_string(&c, "hi");
    assert_int_equal(dns_compose_record_end(&c), ST_OK);
#define WANT                                           \
    "\x12\x34\x81\x80\0\1\0\1\0\1\0\2" NAME "\0\1\0\1" \
    "\xc0\x0c\0\5\0\1\1\2\3\4\0\5\1b\1c\0"             \
    "\0\0\2\0\1\0\0\0\7\0\1\0"                         \
    "\1b\1c\0\0\x10\0\1\0\0\0\0\0\4\0\2hi" OPT
    ends_as(0, WANT, sizeof WANT - 1);
#undef WANT
}

static void a_refusal_has_a_code_and_no_records(void **state)
{
#define WANT "\x12\x34\x81\x83\0\1\0\0\0\0\0\1" NAME "\0\1\0\1" OPT
    ends_as(3, WANT, sizeof WANT - 1);
#undef WANT
}

static void one_that_had_no_edns_gets_none(void **state)
{
    question.has_edns = false;
#define WANT "\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\1\0\1"
    ends_as(0, WANT, sizeof WANT - 1);
#undef WANT
}

static void names_that_dns_cannot_have_take_their_record_back(void **state)
{
    char label64[64 + 2 + 1];
    char names[256 + 1];
    const char *bad[] = { "a..b", ".a", "a\\.b", label64, names };

    memset(label64, 'a', 64);
    memcpy(label64 + 64, ".b", 3);
    for (unsigned i = 0; i < 256; i++)
        names[i] = i % 2 ? '.' : 'a';
    names[256] = '\0';
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        dns_compose_record(&c, DNS_SECTION_ANSWER, "www.example.", 5, 1);
        dns_compose_name(&c, bad[i]);
        assert_int_equal(dns_compose_record_end(&c), ST_UNSUPPORTED);
        dns_compose_record(&c, DNS_SECTION_ANSWER, bad[i], 1, 1);
        assert_int_equal(dns_compose_record_end(&c), ST_UNSUPPORTED);
    }
    names[254] = '\0'; /* 127 labels: 255 bytes */
    dns_compose_record(&c, DNS_SECTION_ANSWER, "www.example.", 5, 1);
    dns_compose_name(&c, names);
    assert_int_equal(dns_compose_record_end(&c), ST_OK);
    assert_int_equal(c.w.len_bytes, 12 + 13 + 4 + 12 + 255);
}

static void strings_have_255_bytes_at_most(void **state)
{
    char text[257];

    memset(text, 'x', 256);
    text[256] = '\0';
    dns_compose_record(&c, DNS_SECTION_ANSWER, "www.example.", 16, 1);
    dns_compose_string(&c, text);
    assert_int_equal(dns_compose_record_end(&c), ST_UNSUPPORTED);
    dns_compose_record(&c, DNS_SECTION_ANSWER, "www.example.", 16, 1);
    dns_compose_string(&c, text + 1);
    assert_int_equal(dns_compose_record_end(&c), ST_OK);
}

/* Room for OPT is left whatever is written, and what does not fit is gone as a whole. */
static void a_full_message_still_ends_right(void **state)
{
    unsigned records = 0;
    enum status st;
    size_t n;

    do {
        dns_compose_record(&c, DNS_SECTION_ANSWER, "www.example.", 28, 1);
        dns_compose_bytes(&c, "0123456789abcdef", 16);
        st = dns_compose_record_end(&c);
        records += st == ST_OK;
    } while (st == ST_OK);
    assert_int_equal(st, ST_FULL);
    n = dns_compose_end(&c, 0);
    assert_int_equal(n, 12 + 13 + 4 + records * 28 + 11);
    assert_true(n <= 65535 && n + 28 > 65535);
    assert_int_equal(message[6] << 8 | message[7], records);
    assert_memory_equal(message + n - 11, OPT, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, begin)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_plain_questions_become_text),
        cmocka_unit_test(a_name_may_have_255_bytes_and_no_more),
        T(records_follow_the_question_in_their_sections),
        T(a_refusal_has_a_code_and_no_records),
        T(one_that_had_no_edns_gets_none),
        T(names_that_dns_cannot_have_take_their_record_back),
        T(strings_have_255_bytes_at_most),
        T(a_full_message_still_ends_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
