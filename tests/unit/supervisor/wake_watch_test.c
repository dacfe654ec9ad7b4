/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "supervisor/wake_watch.h"

static const struct {
    const char *name;
    int64_t ran_ms, passed_ms;
    bool want;
    uint64_t away_ms;
} rows[] = {
    { "as it should be", 500, 500, false, 0 },
    { "a little late", 1800, 1800, false, 0 },
    { "busy for long", 5499, 5499, false, 0 },
    { "stopped for six seconds", 6000, 6000, true, 6000 },
    { "slept for eight hours, with a clock that stood still", 500, 28800000, true, 28800000 },
    { "slept for eight hours, with a clock that went on", 28800000, 28800000, true, 28800000 },
    { "the clock was set forward a second", 500, 1500, false, 0 },
    { "the clock was set back a second", 500, -500, false, 0 },
    { "the clock was set back an hour", 500, -3600000, true, 0 },
    { "stopped, and the clock set back meanwhile", 6000, -3600000, true, 6000 },
};

static void away_is_seen_by_either_clock(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct wake_watch w = { .has_looked = false };
        uint64_t away_ms = 0, now_ms = 7000;
        int64_t wall_ms = 1700000000000;

        print_message("row: %s\n", rows[i].name);
        assert_false(wake_watch_look(&w, now_ms, wall_ms, &away_ms));
        now_ms += (uint64_t)rows[i].ran_ms;
        wall_ms += rows[i].passed_ms;
        assert_int_equal(wake_watch_look(&w, now_ms, wall_ms, &away_ms), rows[i].want);
        assert_int_equal(away_ms, rows[i].away_ms);
        /* It is told once. */
        assert_false(wake_watch_look(&w, now_ms + 500, wall_ms + 500, &away_ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(away_is_seen_by_either_clock) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
