/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/net/guest_net.h"

#include "support/cmocka_all.h"

static void there_is_no_guest_on_windows_and_it_says_so(void **state)
{
    struct guest_net_config config = { .netns = "host", .tap_name = "eth0" };
    struct guest_net *n = NULL;
    struct errmsg e = { .text = "" };

    assert_int_equal(guest_net_open(&n, NULL, &config, &e), ST_UNSUPPORTED);
    assert_null(n);
    assert_string_not_equal(e.text, "");
    guest_net_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_guest_on_windows_and_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
