/* SPDX-License-Identifier: Apache-2.0 */
#include "port/vigil.h"
#include "support/cmocka_all.h"

enum { US = 1000, LONG_US = 1000 };

/* What is expected comes after @took_us, looked for each microsecond until the vigil ends. How long
 * it was awake. */
static unsigned wait_awake(struct vigil *v, enum loop_expectation kind, uint64_t *now_ns,
                           unsigned took_us)
{
    unsigned awake_us = 0;

    if (vigil_begin(v, kind, *now_ns)) {
        while (awake_us < took_us && vigil_goes_on(v, *now_ns + (awake_us + 1) * US, 0))
            awake_us++;
    }
    *now_ns += took_us * US;
    return awake_us;
}

static void who_is_answered_at_once_is_always_waited_for_awake(void **state)
{
    struct vigil v = { 0 };
    uint64_t now_ns = 1;

    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(wait_awake(&v, LOOP_ANSWER, &now_ns, 20), 20);
        assert_int_equal(wait_awake(&v, LOOP_QUESTION, &now_ns, 30), 30);
    }
}

static void who_is_slow_costs_next_to_nothing(void **state)
{
    struct vigil v = { 0 };
    uint64_t now_ns = 1, awake_us = 0;

    for (unsigned i = 0; i < 10000; i++)
        awake_us += wait_awake(&v, LOOP_ANSWER, &now_ns, LONG_US);
    assert_in_range(awake_us, 50, 20 * 60);
}

static void a_slow_guest_does_not_spoil_the_hosts_answers(void **state)
{
    struct vigil v = { 0 };
    uint64_t now_ns = 1, answers_us = 0, questions_us = 0;

    for (unsigned i = 0; i < 1000; i++) {
        answers_us += wait_awake(&v, LOOP_ANSWER, &now_ns, 20);
        questions_us += wait_awake(&v, LOOP_QUESTION, &now_ns, LONG_US);
    }
    assert_int_equal(answers_us, 1000 * 20);
    assert_in_range(questions_us, 50, 20 * 60);
}

static void one_that_comes_true_again_is_believed_again(void **state)
{
    struct vigil v = { 0 };
    uint64_t now_ns = 1;
    unsigned asleep = 0;

    for (unsigned i = 0; i < 6; i++) /* doubt of 1, 3 */
        wait_awake(&v, LOOP_ANSWER, &now_ns, LONG_US);
    while (wait_awake(&v, LOOP_ANSWER, &now_ns, 20) == 0)
        asleep++;
    assert_in_range(asleep, 0, 7);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(wait_awake(&v, LOOP_ANSWER, &now_ns, 20), 20);
}

static void a_core_that_others_need_is_left_to_them(void **state)
{
    struct vigil v = { 0 };
    uint64_t now_ns = 1;

    assert_true(vigil_begin(&v, LOOP_ANSWER, now_ns));
    assert_true(vigil_goes_on(&v, now_ns + 30 * US, 30 * US)); /* those who are to answer, maybe */
    assert_false(vigil_goes_on(&v, now_ns + 3000 * US, 2970 * US));
    for (unsigned i = 0; i < 2970; i++)
        assert_false(vigil_begin(&v, i % 2 ? LOOP_ANSWER : LOOP_QUESTION, now_ns));
    assert_true(vigil_begin(&v, LOOP_ANSWER, now_ns));
}

static void nobody_is_awake_who_expects_nothing(void **state)
{
    struct vigil v = { 0 };

    assert_false(vigil_goes_on(&v, 5, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_answered_at_once_is_always_waited_for_awake),
        cmocka_unit_test(who_is_slow_costs_next_to_nothing),
        cmocka_unit_test(a_slow_guest_does_not_spoil_the_hosts_answers),
        cmocka_unit_test(one_that_comes_true_again_is_believed_again),
        cmocka_unit_test(a_core_that_others_need_is_left_to_them),
        cmocka_unit_test(nobody_is_awake_who_expects_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
