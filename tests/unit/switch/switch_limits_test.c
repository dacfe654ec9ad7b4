/* SPDX-License-Identifier: Apache-2.0
 * The names of the limits, and the page that explains them. What each does is shown where its table
 * is tested.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "switch/switch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_MAX = 64 * 1024 };

static void each_name_sets_its_own_and_only_that(void **state)
{
    uint64_t preset;
    const char *name;
    size_t count = 0;

    for (size_t i = 0; (name = switch_limits_name(i, &preset)) != NULL; i++, count++) {
        struct switch_limits before = { 0 }, after;
        struct errmsg e = { "" };
        char text[64];
        size_t changed = 0;

        assert_int_equal(switch_limits_finish(&before, &e), ST_OK);
        after = before;
        snprintf(text, sizeof text, "%s=7", name);
        assert_int_equal(switch_limits_set(&after, text, &e), ST_OK);
        for (size_t at = 0; at < sizeof after; at += sizeof(uint32_t))
            changed += memcmp((char *)&before + at, (char *)&after + at, sizeof(uint32_t)) != 0;
        if (changed != 1)
            fail_msg("%s changes %zu", name, changed);
        snprintf(text, sizeof text, "%s=%" PRIu64, name, preset);
        assert_int_equal(switch_limits_set(&after, text, &e), ST_OK);
        assert_memory_equal(&after, &before, sizeof after);
    }
    assert_in_range(count, 31, 100);
}

static void several_are_set_together_or_not_at_all(void **state)
{
    static const char *const wrong[] = { "pings=8,",         ",pings=8", "pings=8,none=1",
                                         "pings=8,,pings=9", "pings",    "=8",
                                         "pings=",           "pings=8 ", "ping=8",
                                         "pings=1025" };
    struct switch_limits l = { .pings = 3 };
    struct errmsg e = { "" };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (switch_limits_set(&l, wrong[i], &e) != ST_INVAL)
            fail_msg("%s", wrong[i]);
        assert_int_equal(l.pings, 3);
    }
    assert_int_equal(switch_limits_set(&l, "pings=8,udp_flows=9,total_buffer_bytes=4000000", &e),
                     ST_OK);
    assert_int_equal(l.pings, 8);
    assert_int_equal(l.udp_flows, 9);
    assert_int_equal(l.total_buffer_bytes, 4000000);
}

/* docs/control-api.md: "| `name` | default | when it is full | `counter` |" */
static void the_page_has_every_limit_and_the_counter_of_each(void **state)
{
    static const char *const counters[] = {
#define X(name) #name,
        SWITCH_COUNTER_LIST(X)
#undef X
    };
    char *page = calloc(1, PAGE_MAX), *table, *end_of_table;
    FILE *f = fopen(LIMITS_PAGE, "rb");
    const char *name;
    uint64_t preset;
    size_t rows = 0, limits = 0;

    assert_non_null(page);
    assert_non_null(f);
    assert_in_range(fread(page, 1, PAGE_MAX - 1, f), 1, PAGE_MAX - 2);
    fclose(f);
    table = strstr(page, "\n### Limits\n");
    assert_non_null(table);
    end_of_table = strstr(table, "\n## ");
    assert_non_null(end_of_table);
    *end_of_table = '\0';
    for (; (name = switch_limits_name(limits, &preset)) != NULL; limits++) {
        char row[80];

        snprintf(row, sizeof row, "\n| `%s` | %" PRIu64 " | ", name, preset);
        if (!strstr(table, row))
            fail_msg("the page lacks:%s", row);
    }
    for (const char *at = table; (at = strstr(at, "\n| `")) != NULL; at++) {
        const char *end = strchr(at + 1, '\n'), *tick = end - 4; /* "` |" ends the row */
        bool known = false;

        rows++;
        while (tick > at && *tick != '`')
            tick--;
        for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
            known |= strncmp(tick + 1, counters[i], strlen(counters[i])) == 0 &&
                     tick[1 + strlen(counters[i])] == '`';
        if (!known && strncmp(end - 4, "|  |", 4) != 0)
            fail_msg("no such counter:%.*s", (int)(end - at), at);
    }
    assert_int_equal(rows, limits);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_sets_its_own_and_only_that),
        cmocka_unit_test(several_are_set_together_or_not_at_all),
        cmocka_unit_test(the_page_has_every_limit_and_the_counter_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
