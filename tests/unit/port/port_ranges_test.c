/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "port/port_ranges.h"

#include <stdio.h>
#include <string.h>

/* "80-80 9000-9010 " */
static const char *shown(const struct port_ranges *r)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < r->count && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%u-%u ", (unsigned)r->items[i].first,
                              (unsigned)r->items[i].last);
    return text;
}

static void a_list_is_read_as_the_kernel_writes_it(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "", "" },
        { "\n", "" },
        { "8080\n", "8080-8080 " },
        { "8080,9000-9010\n", "8080-8080 9000-9010 " },
        { "1-65535", "1-65535 " },
        { "0", "" },
        { "9010-9000,80", "80-80 " },
        { "65536,80", "80-80 " },
        { "80-,81-x,x,-5,82-83-84,99999999999999999999,443", "443-443 " },
        { ",,80,,", "80-80 " },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct port_ranges r = { .count = 0 };

        print_message("row: %s\n", rows[i].text);
        port_ranges_add_list(&r, rows[i].text);
        assert_string_equal(shown(&r), rows[i].want);
    }
}

static void a_table_is_read_in_any_language(void **state)
{
    static const char table[] = "\r\n"
                                "Portausschlussbereiche f\xc3\xbcr das Protokoll \"tcp\"\r\n"
                                "\r\n"
                                "Startport    Endport      \r\n"
                                "----------    --------      \r\n"
                                "        80          80      \r\n"
                                "     50000       50059     *\r\n"
                                "     70000       70001      \r\n"
                                "      5000  4 Zeilen\r\n"
                                "\r\n"
                                "* - Verwaltete Portausschl\xc3\xbcsse.\r\n";
    struct port_ranges r = { .count = 0 };

    port_ranges_add_table(&r, table);
    assert_string_equal(shown(&r), "80-80 50000-50059 ");
    r.count = 0;
    port_ranges_add_table(&r, "1 2x\n3x 4\n5\n\n6 7");
    assert_string_equal(shown(&r), "6-7 ");
}

static void a_port_is_found_in_its_range(void **state)
{
    struct port_ranges r = { .count = 0 };

    port_ranges_add_list(&r, "80,9000-9010");
    assert_null(port_ranges_find(&r, 79));
    assert_int_equal(port_ranges_find(&r, 80)->last, 80);
    assert_null(port_ranges_find(&r, 8999));
    assert_int_equal(port_ranges_find(&r, 9000)->first, 9000);
    assert_int_equal(port_ranges_find(&r, 9010)->first, 9000);
    assert_null(port_ranges_find(&r, 9011));
}

static void what_has_no_room_is_left_out(void **state)
{
    struct port_ranges r = { .count = 0 };

    for (unsigned i = 0; i < PORT_RANGES_MAX; i++)
        port_ranges_add_list(&r, "80");
    port_ranges_add_list(&r, "443");
    assert_int_equal(r.count, PORT_RANGES_MAX);
    assert_null(port_ranges_find(&r, 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_as_the_kernel_writes_it),
        cmocka_unit_test(a_table_is_read_in_any_language),
        cmocka_unit_test(a_port_is_found_in_its_range),
        cmocka_unit_test(what_has_no_room_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
