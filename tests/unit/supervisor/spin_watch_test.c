/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/spin_watch.h"

#include "base/util.h"
#include "ipc/health.h"
#include "support/cmocka_all.h"

/* A process that reports every second, @cpu_ms of each used; @progress is told by the caller. */
struct process {
    struct spin_watch watch;
    uint64_t now_ms, cpu_ms;
};

static unsigned run_s(struct process *p, unsigned seconds, unsigned cpu_ms, uint64_t progress)
{
    unsigned told = 0;

    for (unsigned i = 0; i < seconds; i++) {
        p->now_ms += 1000;
        p->cpu_ms += cpu_ms;
        told += spin_watch_look(&p->watch, SPIN_WATCH_MS, p->now_ms, p->cpu_ms, progress);
    }
    return told;
}

static void busy_with_nothing_is_told_after_its_time(void **state)
{
    struct process p = { .now_ms = 50000 };

    assert_int_equal(run_s(&p, 10, 1000, 7), 0);
    assert_int_equal(run_s(&p, 1, 1000, 7), 1);
    assert_int_equal(run_s(&p, 9, 1000, 7), 0);
    assert_int_equal(run_s(&p, 1, 1000, 7), 1);
}

static void who_moves_or_rests_does_not_spin(void **state)
{
    struct process p = { .now_ms = 50000 };

    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(run_s(&p, 9, 1000, i), 0);
    p = (struct process){ .now_ms = 50000 };
    assert_int_equal(run_s(&p, 100, 190, 7), 0);
}

static void it_begins_to_spin_after_a_rest(void **state)
{
    struct process p = { .now_ms = 50000 };

    assert_int_equal(run_s(&p, 10, 0, 7), 0);
    assert_int_equal(run_s(&p, 11, 1000, 7), 1);
}

static struct health_report report_of(const char *name, uint64_t value)
{
    static struct health_report r;
    struct health_component *c;

    r = (struct health_report){ .count = 0 };
    c = health_add(&r, "switch");
    health_count(c, name, value);
    health_count(c, "links", 1);
    return r;
}

static void a_counter_that_moves_is_progress_and_an_age_is_none(void **state)
{
    struct health_report a = report_of("rx_frames", 1), b = report_of("rx_frames", 2);

    assert_true(spin_watch_progress(&a) != spin_watch_progress(&b));
    a = report_of("last_rx_age_ms", 1000);
    b = report_of("last_rx_age_ms", 2000);
    assert_true(spin_watch_progress(&a) == spin_watch_progress(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_with_nothing_is_told_after_its_time),
        cmocka_unit_test(who_moves_or_rests_does_not_spin),
        cmocka_unit_test(it_begins_to_spin_after_a_rest),
        cmocka_unit_test(a_counter_that_moves_is_progress_and_an_age_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
