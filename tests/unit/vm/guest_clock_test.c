/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "vm/guest_clock.h"

#define NOW INT64_C(1700000000000)

static const struct {
    const char *name;
    int64_t theirs_ms;
    bool moves;
    int64_t ahead_s;
} rows[] = {
    { "the same", NOW, true, 0 },
    { "a report that is old", NOW - 1400, false, 0 },
    { "behind", NOW - 1600, true, -2 },
    { "still behind", NOW - 2900, false, -2 },
    { "set right", NOW, true, 0 },
    { "eight hours behind", NOW - 28800000, true, -28800 },
    { "it does not say", 0, false, -28800 },
    { "no time at all", INT64_MIN, false, -28800 },
    { "ahead", NOW + 5400, true, 5 },
    { "as far as a number goes", INT64_MAX, true, GUEST_CLOCK_MOST_S },
    { "the year 1970", 1, true, -GUEST_CLOCK_MOST_S },
};

static void what_a_reader_sees_moves_by_whole_seconds(void **state)
{
    struct guest_clock c = { .is_known = false };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].name);
        assert_int_equal(guest_clock_look(&c, rows[i].theirs_ms, NOW), rows[i].moves);
        assert_true(c.is_known);
        assert_int_equal(c.ahead_s, rows[i].ahead_s);
    }
}

static void a_guest_that_does_not_say_is_not_known(void **state)
{
    struct guest_clock c = { .is_known = false };

    assert_false(guest_clock_look(&c, 0, NOW));
    assert_false(c.is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_reader_sees_moves_by_whole_seconds),
        cmocka_unit_test(a_guest_that_does_not_say_is_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
