/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip_addr.h"
#include "base/util.h"
#include "support/cmocka_all.h"

#include <string.h>

static struct ip_addr parsed(const char *text)
{
    struct ip_addr a;

    if (ip_addr_parse(&a, text))
        fail_msg("\"%s\" was refused", text);
    return a;
}

static void address_text_is_read_and_written_in_its_one_form(void **state)
{
    static const struct {
        const char *text, *canonical;
    } rows[] = {
        { "0.0.0.0", "0.0.0.0" },
        { "192.168.127.2", "192.168.127.2" },
        { "255.255.255.255", "255.255.255.255" },
        { "::", "::" },
        { "::1", "::1" },
        { "1::", "1::" },
        { "fd00:72:64::FE", "fd00:72:64::fe" },
        { "2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1" },
        { "2001:db8:0:0:0:1:0:0", "2001:db8::1:0:0" },
        { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
        { "0:0:1::", "0:0:1::" },
        { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
        { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
        { "::ffff:1.2.3.4", "1.2.3.4" },
        { "::ffff:102:304", "1.2.3.4" },
        { "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
        { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_addr a = parsed(rows[i].text), again;
        char buf[IP_ADDR_TEXT_MAX];

        assert_string_equal(ip_addr_format(&a, buf), rows[i].canonical);
        again = parsed(buf);
        assert_true(ip_addr_equal(&a, &again));
    }
}

static void text_that_is_no_address_is_refused_and_changes_nothing(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.",
        "1.2.3.4.5",
        ".1.2.3",
        "1..2.3",
        "256.1.1.1",
        "1.2.3.04",
        "01.2.3.4",
        "1.2.3.4 ",
        "+1.2.3.4",
        "0x1.2.3.4",
        "1.2.3.1000",
        ":",
        ":::",
        "1:",
        ":1",
        "1:2",
        "1::2::3",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3",
        "::1.2.3.4:5",
        "[::1]",
        "localhost",
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_addr a = ip_addr_v4(0x01020304);

        if (ip_addr_parse(&a, rows[i]) != ST_INVAL)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(ip_addr_to_v4(&a), 0x01020304);
    }
}

static void endpoint_text_is_read_and_written(void **state)
{
    static const struct {
        const char *text, *canonical; /* NULL: refused */
    } rows[] = {
        { "1.2.3.4:80", "1.2.3.4:80" },
        { ":80", "0.0.0.0:80" },
        { "[::1]:65535", "[::1]:65535" },
        { "[::]:0", "[::]:0" },
        { "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
        { "", NULL },
        { "80", NULL },
        { "1.2.3.4", NULL },
        { "1.2.3.4:", NULL },
        { "1.2.3.4:65536", NULL },
        { "1.2.3.4:000080", NULL },
        { "1.2.3.4:8 0", NULL },
        { "1.2.3.4:-1", NULL },
        { "::1:80", NULL },
        { "[::1]", NULL },
        { "[::1:80", NULL },
        { "[1.2.3.4]:80", NULL },
        { "[]:80", NULL },
        { "[:80", NULL },
        { "name:80", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_endpoint e = { .port = 7 };
        enum status st = ip_endpoint_parse(&e, rows[i].text);
        char buf[IP_ENDPOINT_TEXT_MAX];

        if (st != (rows[i].canonical ? ST_OK : ST_INVAL))
            fail_msg("\"%s\": %s", rows[i].text, status_name(st));
        if (rows[i].canonical)
            assert_string_equal(ip_endpoint_format(&e, buf), rows[i].canonical);
        else
            assert_int_equal(e.port, 7);
    }
}

static void kinds_of_addresses_are_told_apart(void **state)
{
    enum { NOTHING = 0, UNSPECIFIED = 1, LOOPBACK = 2, LINK_LOCAL = 4, MULTICAST = 8 };
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        { "0.0.0.0", UNSPECIFIED },
        { "::", UNSPECIFIED },
        { "127.0.0.1", LOOPBACK },
        { "127.255.255.255", LOOPBACK },
        { "::1", LOOPBACK },
        { "128.0.0.1", NOTHING },
        { "169.254.0.1", LINK_LOCAL },
        { "169.255.0.1", NOTHING },
        { "fe80::1", LINK_LOCAL },
        { "febf::1", LINK_LOCAL },
        { "fec0::1", NOTHING },
        { "224.0.0.1", MULTICAST },
        { "239.255.255.255", MULTICAST },
        { "240.0.0.1", NOTHING },
        { "ff02::1", MULTICAST },
        { "255.255.255.255", MULTICAST },
        { "223.255.255.255", NOTHING },
        { "fd00::1", NOTHING },
        { "::2", NOTHING },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_addr a = parsed(rows[i].text);
        int got = (ip_addr_is_unspecified(&a) ? UNSPECIFIED : 0) |
                  (ip_addr_is_loopback(&a) ? LOOPBACK : 0) |
                  (ip_addr_is_link_local(&a) ? LINK_LOCAL : 0) |
                  (ip_addr_is_multicast(&a) ? MULTICAST : 0);

        if (got != rows[i].want)
            fail_msg("%s: %d", rows[i].text, got);
    }
}

static void prefixes_match_by_bits_and_within_a_family(void **state)
{
    static const struct {
        const char *addr, *net;
        unsigned bits;
        bool want;
    } rows[] = {
        { "192.168.127.200", "192.168.127.0", 24, true },
        { "192.168.128.1", "192.168.127.0", 24, false },
        { "192.168.127.7", "192.168.127.0", 29, true },
        { "192.168.127.8", "192.168.127.0", 29, false },
        { "10.0.0.1", "192.168.127.0", 0, true },
        { "10.0.0.1", "10.0.0.1", 32, true },
        { "10.0.0.2", "10.0.0.1", 32, false },
        { "10.0.0.2", "10.0.0.1", 99, false },
        { "172.31.255.255", "172.16.0.0", 12, true },
        { "172.32.0.0", "172.16.0.0", 12, false },
        { "fd00:72:64::5", "fd00:72:64::", 64, true },
        { "fd00:72:64:1::5", "fd00:72:64::", 64, false },
        { "fd00:72:64::5", "fd00:72:64::4", 127, true },
        { "fd00:72:64::5", "fd00:72:64::4", 128, false },
        { "1.2.3.4", "::", 0, false },
        { "::1", "0.0.0.0", 0, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_addr a = parsed(rows[i].addr), net = parsed(rows[i].net);

        if (ip_addr_in_prefix(&a, &net, rows[i].bits) != rows[i].want)
            fail_msg("%s in %s/%u", rows[i].addr, rows[i].net, rows[i].bits);
    }
}

static void bytes_and_numbers_give_the_same_address(void **state)
{
    const uint8_t b4[4] = { 127, 0, 0, 1 };
    const uint8_t b6[16] = { 0xfd, [15] = 2 };
    struct ip_addr a = ip_addr_of_v4(b4), b = ip_addr_v4(0x7f000001), c = ip_addr_of_v6(b6),
                   d = parsed("fd00::2");

    assert_true(ip_addr_equal(&a, &b));
    assert_true(ip_addr_is_v4(&a));
    assert_int_equal(ip_addr_to_v4(&b), 0x7f000001);
    assert_true(ip_addr_equal(&c, &d));
    assert_false(ip_addr_is_v4(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_text_is_read_and_written_in_its_one_form),
        cmocka_unit_test(text_that_is_no_address_is_refused_and_changes_nothing),
        cmocka_unit_test(endpoint_text_is_read_and_written),
        cmocka_unit_test(kinds_of_addresses_are_told_apart),
        cmocka_unit_test(prefixes_match_by_bits_and_within_a_family),
        cmocka_unit_test(bytes_and_numbers_give_the_same_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
