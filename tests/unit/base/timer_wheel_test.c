/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timer_wheel.h"

#include "base/util.h"
#include "support/cmocka_all.h"

#include <string.h>

struct entry {
    struct wheel_timer timer;
    uint64_t due_ms;
    bool set;
};

/* Comes back exactly when the wheel asks for it, as its owner does. */
static uint64_t run_until_fired(struct timer_wheel *w, uint64_t now_ms, uint64_t limit_ms)
{
    while (now_ms <= limit_ms) {
        uint64_t next = wheel_next_ms(w);

        if (next == UINT64_MAX)
            return UINT64_MAX;
        now_ms = MAX(next, now_ms);
        if (wheel_expire(w, now_ms))
            return now_ms;
    }
    return UINT64_MAX;
}

static void a_timer_fires_in_time_however_far_away(void **state)
{
    static const uint64_t delays[] = { 0,     1,      15,      16,      17,       200,
                                       1023,  1024,   1040,    60000,   65536,    75000,
                                       99999, 600000, 4194304, 7200000, 86400000, 250000000 };

    for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
        for (uint64_t start = 0; start < 5000; start += 777) {
            struct timer_wheel w;
            struct wheel_timer t;
            uint64_t at;

            wheel_init(&w, start);
            wheel_timer_init(&t);
            wheel_set(&w, &t, start + delays[i]);
            at = run_until_fired(&w, start, UINT64_MAX - 1);
            assert_true(at >= start + delays[i]);
            assert_true(at <= start + delays[i] + WHEEL_TICK_MS);
            assert_false(wheel_is_set(&t));
            assert_true(wheel_next_ms(&w) == UINT64_MAX);
        }
    }
}

static void a_removed_timer_does_not_fire(void **state)
{
    struct timer_wheel w;
    struct wheel_timer a, b;

    wheel_init(&w, 0);
    wheel_timer_init(&a);
    wheel_timer_init(&b);
    wheel_set(&w, &a, 100);
    wheel_set(&w, &b, 100);
    wheel_remove(&w, &a);
    wheel_remove(&w, &a);
    assert_ptr_equal(wheel_expire(&w, 200), &b);
    assert_null(wheel_expire(&w, 200));
}

static void one_of_those_due_may_remove_the_others(void **state)
{
    struct timer_wheel w;
    struct wheel_timer a, b;

    wheel_init(&w, 0);
    wheel_timer_init(&a);
    wheel_timer_init(&b);
    wheel_set(&w, &a, 100);
    wheel_set(&w, &b, 100);
    assert_ptr_equal(wheel_expire(&w, 200), &a);
    wheel_remove(&w, &b);
    assert_null(wheel_expire(&w, 200));
    wheel_set(&w, &a, 0); /* late, but not before time goes on */
    assert_null(wheel_expire(&w, 200));
    assert_ptr_equal(wheel_expire(&w, 300), &a);
}

static void many_timers_fire_each_once_and_in_time(void **state)
{
    enum { N = 500 };
    static struct entry entries[N];
    struct timer_wheel w;
    uint64_t now = 123456;
    uint32_t rng = 7;

    wheel_init(&w, now);
    memset(entries, 0, sizeof entries);
    for (unsigned i = 0; i < N; i++)
        wheel_timer_init(&entries[i].timer);
    for (unsigned step = 0; step < 20000; step++) {
        struct entry *e;
        struct wheel_timer *t;

        rng = rng * 1664525 + 1013904223;
        e = &entries[(rng >> 8) % N];
        if (rng & 0x80) {
            e->due_ms = now + ((rng >> 3) & 0xffffff) % (UINT32_C(1) << (rng >> 28 | 4));
            e->set = true;
            wheel_set(&w, &e->timer, e->due_ms);
        } else if (rng & 0x40) {
            e->set = false;
            wheel_remove(&w, &e->timer);
        }
        now += (rng >> 20) % 40;
        while ((t = wheel_expire(&w, now)) != NULL) {
            e = container_of(t, struct entry, timer);
            assert_true(e->set && e->due_ms <= now);
            e->set = false;
        }
        for (unsigned i = 0; step % 50 == 0 && i < N; i++)
            assert_true(!entries[i].set || entries[i].due_ms + WHEEL_TICK_MS > now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_in_time_however_far_away),
        cmocka_unit_test(a_removed_timer_does_not_fire),
        cmocka_unit_test(one_of_those_due_may_remove_the_others),
        cmocka_unit_test(many_timers_fire_each_once_and_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
