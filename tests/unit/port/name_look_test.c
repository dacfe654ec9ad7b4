/* SPDX-License-Identifier: Apache-2.0
 * That a change is seen: tests/system/linux/supervision_test.py, which makes one.
 */
#include "port/name_look.h"

#include "support/cmocka_all.h"

static void without_a_change_it_is_the_same_number(void **state)
{
    uint64_t first = name_look();

    for (unsigned i = 0; i < 100; i++)
        assert_true(name_look() == first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_change_it_is_the_same_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
