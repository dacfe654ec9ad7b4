/* SPDX-License-Identifier: Apache-2.0
 * The half of pipe_acl that asks Windows; the text is pipe_acl_text_test's.
 */
#include "port/win/pipe_acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <windows.h>

#include <sddl.h> /* needs windows.h */

#include <cmocka.h>

static void windows_takes_the_descriptor_of_the_current_account(void **state)
{
    char text[PIPE_ACL_TEXT_MAX];
    struct pipe_acl_report report;
    PSECURITY_DESCRIPTOR sd = NULL;
    struct errmsg e = { "" };
    if (pipe_acl_build(text, sizeof(text), NULL, 0, &report, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(report.unresolved, 0);
    assert_true(
        ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, &sd, NULL));
    LocalFree(sd);
}

static void names_become_grants_and_unknown_ones_are_reported(void **state)
{
    const char *const names[] = { "S-1-5-32-545", "no such group", "S-1-5-21-1-2-3-1001",
                                  "nor this one" };
    char text[PIPE_ACL_TEXT_MAX];
    struct pipe_acl_report report;
    assert_int_equal(pipe_acl_build(text, sizeof(text), names, 4, &report, NULL), ST_OK);
    assert_non_null(strstr(text, "(A;;0x12019b;;;S-1-5-32-545)"));
    assert_non_null(strstr(text, "(A;;0x12019b;;;S-1-5-21-1-2-3-1001)"));
    assert_int_equal(report.unresolved, 2);
    assert_string_equal(report.names.text, "no such group, nor this one");
}

static void a_known_account_is_looked_up_by_name(void **state)
{
    const char *const names[] = { "SYSTEM" };
    char text[PIPE_ACL_TEXT_MAX];
    struct pipe_acl_report report;
    assert_int_equal(pipe_acl_build(text, sizeof(text), names, 1, &report, NULL), ST_OK);
    assert_int_equal(report.unresolved, 0);
    assert_non_null(strstr(text, "(A;;0x12019b;;;S-1-5-18)"));
}

static void too_many_names_are_refused(void **state)
{
    const char *names[PIPE_ACL_MAX_CLIENTS + 1];
    char text[PIPE_ACL_TEXT_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        names[i] = "S-1-5-18";
    assert_int_equal(pipe_acl_build(text, sizeof(text), names, PIPE_ACL_MAX_CLIENTS + 1, NULL,
                                    NULL),
                     ST_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_takes_the_descriptor_of_the_current_account),
        cmocka_unit_test(names_become_grants_and_unknown_ones_are_reported),
        cmocka_unit_test(a_known_account_is_looked_up_by_name),
        cmocka_unit_test(too_many_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
