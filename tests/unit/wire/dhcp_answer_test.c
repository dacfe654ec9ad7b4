/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "wire/dhcp.h"

#include <string.h>

/* A server's ACK with @options behind the cookie. */
static enum status decode(struct dhcp_answer *a, const void *options, size_t len_bytes)
{
    static uint8_t buf[1600];
    struct bytes r;

    memset(buf, 0, sizeof buf);
    memcpy(buf, "\2\1\6\0\xde\xad\xbe\xef", 8);
    memcpy(buf + 16, "\xc0\xa8\x7f\2", 4);
    memcpy(buf + 28, "\2\0\0\0\0\1", 6);
    memcpy(buf + 236, "\x63\x82\x53\x63\x35\1\5", 7);
    memcpy(buf + 243, options, len_bytes);
    r = bytes_of(buf, 243 + len_bytes);
    return dhcp_decode_answer(a, &r);
}

#define DECODE(a, options) decode(a, options, sizeof options - 1)

static void everything_a_lease_needs_is_read(void **state)
{
    struct dhcp_answer a;

    assert_int_equal(DECODE(&a, "\1\4\xff\xff\xff\0\3\4\xc0\xa8\x7f\1\6\x08\xc0\xa8\x7f\1\1\1\1\1"
                                "\x1a\2\5\xdc\x33\4\0\0\x0e\x10\x3a\4\0\0\0\5\x3b\4\0\0\0\6"
                                "\x36\4\xc0\xa8\x7f\1\xff"),
                     ST_OK);
    assert_int_equal(a.type, DHCP_ACK);
    assert_int_equal(a.xid, 0xdeadbeef);
    assert_int_equal(ip_addr_to_v4(&a.yiaddr), 0xc0a87f02);
    assert_int_equal(ip_addr_to_v4(&a.mask), 0xffffff00);
    assert_int_equal(ip_addr_to_v4(&a.router), 0xc0a87f01);
    assert_int_equal(ip_addr_to_v4(&a.dns), 0xc0a87f01);
    assert_int_equal(ip_addr_to_v4(&a.server_id), 0xc0a87f01);
    assert_int_equal(a.mtu, 1500);
    assert_int_equal(a.lease_s, 3600);
    assert_int_equal(a.renew_s, 5);
    assert_int_equal(a.rebind_s, 6);
    assert_string_equal(a.search, "");
}

static void what_no_server_sends_is_refused(void **state)
{
    uint8_t request[300] = { 1, 1, 6 };
    struct dhcp_answer a;
    struct bytes r = bytes_of(request, sizeof request);

    memcpy(request + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
    assert_int_equal(dhcp_decode_answer(&a, &r), ST_PROTO);
    assert_int_equal(DECODE(&a, "\3\4\1\2"), ST_PROTO); /* runs past the end */
    assert_int_equal(DECODE(&a, "\3"), ST_PROTO);
}

static void values_of_the_wrong_size_or_kind_do_not_count(void **state)
{
    struct dhcp_answer a;

    assert_int_equal(DECODE(&a, "\1\4\xff\0\xff\0\3\2\1\2\x1a\3\5\xdc\0\x33\3\0\0\1\xff"), ST_OK);
    assert_true(ip_addr_is_unspecified(&a.mask));
    assert_true(ip_addr_is_unspecified(&a.router));
    assert_int_equal(a.mtu, 0);
    assert_int_equal(a.lease_s, 0);
}

static void search_lists_become_text(void **state)
{
    static const struct {
        const char *name, *list;
        size_t len_bytes;
        const char *want;
    } rows[] = {
#define LIST(text) text, sizeof text - 1
        { "one", LIST("\3eng\5apple\3com\0"), "eng.apple.com" },
        { "compressed", LIST("\3eng\5apple\3com\0\x09marketing\xc0\x04"),
          "eng.apple.com marketing.apple.com" },
        { "whole pointer", LIST("\1a\0\xc0\0\1b\0"), "a a b" },
        { "pointer to itself", LIST("\xc0\0"), "" },
        { "pointer ahead", LIST("\1a\xc0\4\1b\0"), "" },
        { "cut label", LIST("\1a\0\5ab"), "a" },
        { "cut pointer", LIST("\1a\xc0"), "" },
        { "no end", LIST("\1a\1b"), "" },
        { "empty name", LIST("\0\1a\0"), "" },
        { "a newline", LIST("\1a\0\7b\nnames\0"), "a" },
        { "a space", LIST("\3a b\0"), "" },
        { "long label bits", LIST("\x41x\0"), "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[DHCP_SEARCH_TEXT_MAX];

        dhcp_search_decode(text, sizeof text, (const uint8_t *)rows[i].list, rows[i].len_bytes);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, text);
    }
}

static void what_was_encoded_comes_back(void **state)
{
    uint8_t list[256];
    char text[DHCP_SEARCH_TEXT_MAX], small[8];
    size_t n = dhcp_search_encode(list, sizeof list, "a.example, b.example. c_d");

    dhcp_search_decode(text, sizeof text, list, n);
    assert_string_equal(text, "a.example b.example c_d");
    dhcp_search_decode(small, sizeof small, list, n);
    assert_string_equal(small, "c_d"); /* those that fit */
}

static void a_list_in_two_options_is_joined_and_goes_before_the_domain(void **state)
{
    struct dhcp_answer a;

    assert_int_equal(DECODE(&a, "\x0f\3xyz\x77\2\3a\x77\4-b\1c\x77\1\0\xff"), ST_OK);
    assert_string_equal(a.search, "a-b.c");
}

static void the_domain_counts_where_there_is_no_list(void **state)
{
    static const struct {
        const char *options;
        size_t len_bytes;
        const char *want;
    } rows[] = {
        { LIST("\x0f\7lan.org"), "lan.org" }, { LIST("\x0f\x09lan.org.\0"), "lan.org" },
        { LIST("\x0f\7lan\norg"), "" },       { LIST("\x0f\7a..bcde"), "" },
        { LIST("\x0f\7.abcdef"), "" },        { LIST("\x0f\1."), "" },
        { LIST("\x0f\0\x0f\1a"), "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct dhcp_answer a;

        assert_int_equal(decode(&a, rows[i].options, rows[i].len_bytes), ST_OK);
        if (strcmp(a.search, rows[i].want) != 0)
            fail_msg("row %zu: \"%s\"", i, a.search);
    }
}

static void a_list_that_is_too_long_is_none(void **state)
{
    uint8_t options[3 * 257];
    struct dhcp_answer a;

    for (size_t i = 0; i < 3; i++) {
        options[i * 257] = DHCP_OPT_SEARCH;
        options[i * 257 + 1] = 255;
        memset(options + i * 257 + 2, 1, 255);
    }
    assert_int_equal(decode(&a, options, sizeof options), ST_OK);
    assert_string_equal(a.search, "");
}

static void a_server_reads_what_a_client_writes(void **state)
{
    const struct dhcp_query q = { .type = DHCP_REQUEST,
                                  .xid = 7,
                                  .broadcast = true,
                                  .requested = ip_addr_v4(0xc0a87f02),
                                  .server_id = ip_addr_v4(0xc0a87f01),
                                  .chaddr = { { 2, 0, 0, 0, 0, 1 } } };
    uint8_t buf[DHCP_QUERY_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct dhcp_message m;
    struct bytes r;

    dhcp_put_query(&w, &q);
    assert_true(bytes_out_ok(&w));
    assert_true(w.len_bytes >= DHCP_MIN_BYTES);
    r = bytes_of(buf, w.len_bytes);
    assert_int_equal(dhcp_decode(&m, &r), ST_OK);
    assert_int_equal(m.type, DHCP_REQUEST);
    assert_int_equal(m.xid, 7);
    assert_true(m.broadcast);
    assert_int_equal(ip_addr_to_v4(&m.requested), 0xc0a87f02);
    assert_int_equal(ip_addr_to_v4(&m.server_id), 0xc0a87f01);
    assert_true(ip_addr_is_unspecified(&m.ciaddr));
    assert_true(mac_equal(&m.chaddr, &q.chaddr));
    assert_true(dhcp_asks_for(&m, DHCP_OPT_SEARCH) && dhcp_asks_for(&m, DHCP_OPT_DOMAIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_a_lease_needs_is_read),
        cmocka_unit_test(what_no_server_sends_is_refused),
        cmocka_unit_test(values_of_the_wrong_size_or_kind_do_not_count),
        cmocka_unit_test(search_lists_become_text),
        cmocka_unit_test(what_was_encoded_comes_back),
        cmocka_unit_test(a_list_in_two_options_is_joined_and_goes_before_the_domain),
        cmocka_unit_test(the_domain_counts_where_there_is_no_list),
        cmocka_unit_test(a_list_that_is_too_long_is_none),
        cmocka_unit_test(a_server_reads_what_a_client_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
