/* SPDX-License-Identifier: Apache-2.0
 * capture_filter_test.c - what each expression wants of a row of frames, and what is no expression.
 */
#include "support/cmocka_all.h"
#include "support/frame_build.h"

#include "switch/capture_filter.h"

#include <stdio.h>
#include <string.h>

/* Each frame has a letter; an expression is judged by the letters of those it wants. */
enum { FRAMES = 8 };
static struct frame_facts facts[FRAMES + 1];

static void make_tcp(struct frame *f, const char *src, const char *dst, uint16_t from, uint16_t to)
{
    struct frame_path path = frame_path(src, dst);
    struct tcp_header h = { .src_port = from, .dst_port = to, .flags = TCP_SYN };

    frame_tcp(f, &path, &h, NULL, 0);
}

static int make_frames(void **state)
{
    static struct frame f, whole;
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    unsigned n = 0;

    (void)state;
#define FACTS() frame_facts_get(&facts[n++], f.b, f.len_bytes)
    frame_arp_request(&f, &path); /* a */
    FACTS();
    make_tcp(&f, "192.168.127.2", "10.1.2.3", 40000, 443); /* b */
    FACTS();
    make_tcp(&f, "fd00:72:64::2", "2001:db8::1", 40001, 80); /* c */
    FACTS();
    frame_udp(&f, &path, 5353, 53, "x", 1); /* d */
    FACTS();
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 8); /* e */
    FACTS();
    path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    frame_icmp(&f, &path, 128, 0, 1, NULL, 8); /* f */
    FACTS();
    path = frame_path("192.168.127.2", "192.168.127.1");
    frame_udp(&whole, &path, 5353, 53, NULL, 100);
    frame_fragment(&f, &whole, 64, 44); /* g: a later fragment of UDP */
    FACTS();
    make_tcp(&f, "192.168.127.2", "10.1.2.3", 40000, 443);
    frame_facts_get(&facts[n++], f.b, 30); /* h: cut in IP */
#undef FACTS
    assert_int_equal(n, FRAMES);
    return 0;
}

static const char *wanted(const char *text)
{
    static char letters[FRAMES + 1];
    struct capture_filter f;
    struct errmsg e = { "" };
    size_t n = 0;

    if (capture_filter_parse(&f, text, &e))
        fail_msg("\"%s\": %s", text, e.text);
    for (unsigned i = 0; i < FRAMES; i++) {
        if (capture_filter_wants(&f, &facts[i]))
            letters[n++] = (char)('a' + i);
    }
    letters[n] = '\0';
    return letters;
}

static const struct {
    const char *text, *want;
} rows[] = {
    { "", "abcdefgh" },
    { "  ", "abcdefgh" },
    { "arp", "a" },
    { "ip", "bdegh" },
    { "ip6", "cf" },
    { "tcp", "bc" },
    { "udp", "dg" },
    { "icmp", "e" },
    { "icmp6", "f" },
    { "host 192.168.127.1", "adeg" },
    { "host 10.1.2.3", "b" },
    { "dst host 192.168.127.2", "" },
    { "src 192.168.127.2", "abdeg" },
    { "dst fd00:72:64::1", "f" },
    { "net 10.0.0.0/8", "b" },
    { "src net 192.168.127.0/24", "abdeg" },
    { "net 0.0.0.0/0", "abdeg" },
    { "net fd00:72:64::/64", "cf" },
    { "port 53", "d" },
    { "port 40000", "b" },
    { "dst port 40000", "" },
    { "src port 40000", "b" },
    { "tcp port 53", "" },
    { "udp port 53", "d" },
    { "udp dst port 53", "d" },
    { "tcp portrange 80-443", "bc" },
    { "portrange 1-65535", "bcd" },
    { "ether host 5a:94:ef:e4:0c:ee", "abcdefgh" },
    { "ether src 5a:94:ef:e4:0c:dd", "" },
    { "ether dst ff:ff:ff:ff:ff:ff", "a" },
    { "not tcp", "adefgh" },
    { "!tcp", "adefgh" },
    { "not not tcp", "bc" },
    { "tcp and port 80", "c" },
    { "tcp && port 80", "c" },
    { "tcp or udp", "bcdg" },
    { "arp||icmp", "ae" },
    { "arp or tcp and port 80", "ac" },
    { "(arp or tcp) and ip6", "c" },
    { "not (tcp or udp)", "aefh" },
    { "not tcp and not udp", "aefh" },
    { "((((tcp))))", "bc" },
    { "tcp and not (port 22 or host 10.1.2.3)", "c" },
};

static void each_expression_wants_what_tcpdump_would(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = wanted(rows[i].text);

        if (strcmp(got, rows[i].want) != 0)
            fail_msg("\"%s\" wants \"%s\", not \"%s\"", rows[i].text, got, rows[i].want);
    }
}

static const char *const bad[] = {
    "foo",
    "tcp tcp",
    "tcp and",
    "and tcp",
    "or",
    "not",
    "(",
    ")",
    "()",
    "(tcp",
    "tcp)",
    "host",
    "host 1.2.3",
    "host 1.2.3.4/8",
    "net 1.2.3.4",
    "net 1.2.3.4/33",
    "net 1.2.3.4/",
    "net fd00::/129",
    "net /8",
    "port",
    "port x",
    "port 65536",
    "port 99999999999999999999",
    "port 1-2",
    "portrange 1",
    "portrange 2-1",
    "portrange 1-65536",
    "src",
    "src tcp",
    "ether 1:2",
    "ether",
    "tcp & udp",
    "tcp | udp",
    "\"tcp\"",
    "host 1111111111111111111111111111111111111111111111111111111111111111111111111111.1.1.1",
    "((((((((((((((((((tcp))))))))))))))))))",
};

static void what_is_no_expression_is_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct capture_filter f;
        struct errmsg e = { "" };

        if (capture_filter_parse(&f, bad[i], &e) != ST_INVAL || strncmp(e.text, "filter: ", 8) != 0)
            fail_msg("\"%s\" was taken: \"%s\"", bad[i], e.text);
    }
}

static void conditions_are_bounded(void **state)
{
    struct capture_filter f;
    struct errmsg e;
    char text[1024] = "tcp";

    (void)state;
    for (unsigned i = 1; i < CAPTURE_FILTER_NODES / 2; i++)
        strcat(text, " or tcp");
    assert_int_equal(capture_filter_parse(&f, text, &e), ST_OK);
    assert_string_equal(wanted(text), "bc");
    strcat(text, " or tcp");
    assert_int_equal(capture_filter_parse(&f, text, &e), ST_INVAL);
    assert_string_equal(e.text, "filter: more than 64 conditions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_expression_wants_what_tcpdump_would),
        cmocka_unit_test(what_is_no_expression_is_refused_with_a_reason),
        cmocka_unit_test(conditions_are_bounded),
    };

    return cmocka_run_group_tests(tests, make_frames, NULL);
}
