/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "wire/dhcp.h"

#include <string.h>

/* A client's message with @options behind the cookie; @sname and @file may be NULL. */
static enum status decode(struct dhcp_message *m, const void *options, size_t len_bytes,
                          const char *file, const char *sname)
{
    static uint8_t buf[600];
    struct bytes r;

    memset(buf, 0, sizeof buf);
    memcpy(buf, "\1\1\6\0\xde\xad\xbe\xef\0\0\x80\0\xc0\xa8\x7f\3", 16);
    memcpy(buf + 28, "\2\0\0\0\0\1", 6);
    if (sname)
        memcpy(buf + 44, sname, 4);
    if (file)
        memcpy(buf + 108, file, 4);
    memcpy(buf + 236, "\x63\x82\x53\x63", 4);
    memcpy(buf + 240, options, len_bytes);
    r = bytes_of(buf, 240 + len_bytes);
    return dhcp_decode(m, &r);
}

#define DECODE(m, options) decode(m, options, sizeof options - 1, NULL, NULL)

static void fields_and_options_are_read(void **state)
{
    struct dhcp_message m;

    assert_int_equal(DECODE(&m, "\0\x35\1\3\x32\4\xc0\xa8\x7f\3\x36\4\xc0\xa8\x7f\1\x37\2\1\x0c"
                                "\x3d\3\1\2\3\xff\x35\1\1"),
                     ST_OK);
    assert_int_equal(m.type, DHCP_REQUEST);
    assert_int_equal(m.xid, 0xdeadbeef);
    assert_true(m.broadcast);
    assert_int_equal(ip_addr_to_v4(&m.ciaddr), 0xc0a87f03);
    assert_int_equal(ip_addr_to_v4(&m.requested), 0xc0a87f03);
    assert_int_equal(ip_addr_to_v4(&m.server_id), 0xc0a87f01);
    assert_true(dhcp_asks_for(&m, 12));
    assert_false(dhcp_asks_for(&m, 3));
    assert_int_equal(m.client_id_bytes, 3);
    assert_memory_equal(m.client_id, "\1\2\3", 3);
}

static void options_go_on_in_file_and_sname_when_overloaded(void **state)
{
    struct dhcp_message m;

    assert_int_equal(decode(&m, "\x34\1\1\xff", 4, "\x35\1\1\xff", "\x35\1\3\xff"), ST_OK);
    assert_int_equal(m.type, DHCP_DISCOVER);
    assert_int_equal(decode(&m, "\x34\1\2\xff", 4, "\x35\1\1\xff", "\x35\1\3\xff"), ST_OK);
    assert_int_equal(m.type, DHCP_REQUEST);
    assert_int_equal(decode(&m, "\xff", 1, "\x35\1\1\xff", NULL), ST_PROTO);
    /* Within the field a length may not reach beyond it. */
    assert_int_equal(decode(&m, "\x35\1\1\x34\1\1\xff", 7, "\x32\xff\0\0", NULL), ST_PROTO);
}

static void what_is_no_dhcp_of_an_ethernet_client_is_refused(void **state)
{
    struct dhcp_message m;

    assert_int_equal(DECODE(&m, "\xff"), ST_PROTO);             /* BOOTP */
    assert_int_equal(DECODE(&m, "\x35\1\x09\xff"), ST_PROTO);   /* unknown type */
    assert_int_equal(DECODE(&m, "\x35\2\1\1\xff"), ST_PROTO);   /* wrong length */
    assert_int_equal(DECODE(&m, "\x35\1\1\x32\4\1"), ST_PROTO); /* cut */
    assert_int_equal(DECODE(&m, "\x35\1\1\x32"), ST_PROTO);
    assert_int_equal(DECODE(&m, "\x35\1\1"), ST_OK); /* no end: as many clients write it */
}

static void search_lists_are_names_in_wire_form(void **state)
{
    static const struct {
        const char *names, *want;
        size_t len_bytes;
    } rows[] = {
        { "a.b", "\1a\1b", 5 }, { " a.b.,  c ", "\1a\1b\0\1c", 8 },
        { "a..b c", "\1c", 3 }, { ". c", "\1c", 3 },
        { "", "", 0 },          { ".a", "", 0 },
    };
    char longest[80];
    uint8_t buf[64];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t n = dhcp_search_encode(buf, sizeof buf, rows[i].names);

        if (n != rows[i].len_bytes || memcmp(buf, rows[i].want, n) != 0)
            fail_msg("\"%s\": %zu bytes", rows[i].names, n);
    }
    memset(longest, 'x', 64);
    longest[64] = '\0'; /* a label has at most 63 */
    assert_int_equal(dhcp_search_encode(buf, sizeof buf, longest), 0);
    longest[63] = '\0'; /* this one has, but 65 bytes are more than there is room */
    assert_int_equal(dhcp_search_encode(buf, sizeof buf, longest), 0);
    assert_int_equal(dhcp_search_encode(buf, 4, "a b c"), 3);
}

static void a_long_search_list_becomes_two_options(void **state)
{
    char names[300];
    uint8_t buf[DHCP_REPLY_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct dhcp_reply r = { .type = DHCP_ACK, .search = names };

    memset(names, 'a', sizeof names);
    for (size_t i = 20; i < sizeof names; i += 21)
        names[i] = ' ';
    names[280] = '\0';
    dhcp_put(&w, &r);
    assert_true(bytes_out_ok(&w));
    assert_memory_equal(buf + 243, "\x77\xff", 2);
    assert_memory_equal(buf + 243 + 2 + 255, "\x77", 1);
    assert_int_equal(buf[243 + 2 + 255 + 1], 13 * 22 + 8 + 1 - 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_options_are_read),
        cmocka_unit_test(options_go_on_in_file_and_sname_when_overloaded),
        cmocka_unit_test(what_is_no_dhcp_of_an_ethernet_client_is_refused),
        cmocka_unit_test(search_lists_are_names_in_wire_form),
        cmocka_unit_test(a_long_search_list_becomes_two_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
