/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "port/accept_policy.h"
#include "support/cmocka_all.h"

static void accept_policy_answers_each_error(void **state)
{
    static const struct {
        enum accept_error err;
        enum accept_action want;
    } rows[] = {
        { ACCEPT_ERR_WOULD_BLOCK, ACCEPT_DO_WAIT },   { ACCEPT_ERR_INTERRUPTED, ACCEPT_DO_NEXT },
        { ACCEPT_ERR_PEER_GONE, ACCEPT_DO_NEXT },     { ACCEPT_ERR_NO_FILES, ACCEPT_DO_SHED },
        { ACCEPT_ERR_NO_MEMORY, ACCEPT_DO_BACK_OFF }, { ACCEPT_ERR_SOCKET_DEAD, ACCEPT_DO_REOPEN },
        { ACCEPT_ERR_OTHER, ACCEPT_DO_BACK_OFF },
    };

    assert_int_equal(ARRAY_SIZE(rows), ACCEPT_ERR_COUNT);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(accept_policy(rows[i].err), rows[i].want);
    assert_int_equal(accept_policy(ACCEPT_ERR_COUNT), ACCEPT_DO_BACK_OFF);
}

static void accept_backoff_doubles_from_10_ms_to_1_s(void **state)
{
    static const uint32_t want[] = { 10, 20, 40, 80, 160, 320, 640, 1000, 1000 };
    uint32_t delay = 0;

    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        delay = accept_backoff_next_ms(delay);
        assert_int_equal(delay, want[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_policy_answers_each_error),
        cmocka_unit_test(accept_backoff_doubles_from_10_ms_to_1_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
