/* SPDX-License-Identifier: Apache-2.0 */
#include "win/service_plan.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PROGRAM "C:\\Program Files\\rdlink\\rdlinkd.exe"
#define HEAD    "\"" PROGRAM "\" service"

static const struct {
    const char *name, *program;
    const char *argv[3];
    const char *want; /* NULL: refused */
} rows[] = {
    { "without options", PROGRAM, { NULL }, HEAD },
    { "plain words stay as they are",
      PROGRAM,
      { "--status", "npipe:rdlink_status" },
      HEAD " --status npipe:rdlink_status" },
    { "a blank", PROGRAM, { "--config", "C:\\a b.conf" }, HEAD " --config \"C:\\a b.conf\"" },
    { "backslashes before the closing quote", PROGRAM, { "C:\\a b\\" }, HEAD " \"C:\\a b\\\\\"" },
    { "a quote inside", PROGRAM, { "a\"b" }, HEAD " \"a\\\"b\"" },
    { "backslashes before a quote", PROGRAM, { "a\\\"b" }, HEAD " \"a\\\\\\\"b\"" },
    { "an empty word", PROGRAM, { "" }, HEAD " \"\"" },
    { "a path without blanks is quoted too",
      "D:\\rdlinkd.exe",
      { NULL },
      "\"D:\\rdlinkd.exe\" service" },
    { "a path of another computer", "\\\\h\\s\\x.exe", { NULL }, "\"\\\\h\\s\\x.exe\" service" },
    { "a relative path", "rdlinkd.exe", { NULL }, NULL },
    { "a path of the present drive", "\\rdlinkd.exe", { NULL }, NULL },
    { "a quote in the path", "C:\\a\" service --x \"b.exe", { NULL }, NULL },
};

static int count_words(const char *const *argv)
{
    int n = 0;

    while (n < 3 && argv[n])
        n++;
    return n;
}

static void command_line_of_each_kind_of_word(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[SERVICE_COMMAND_MAX];
        struct errmsg e = { "" };
        enum status st = service_command(text, sizeof text, rows[i].program,
                                         count_words(rows[i].argv), rows[i].argv, &e);

        if ((st == ST_OK) != (rows[i].want != NULL))
            fail_msg("%s: %s (%s)", rows[i].name, status_name(st), e.text);
        if (rows[i].want && strcmp(text, rows[i].want) != 0)
            fail_msg("%s: got %s", rows[i].name, text);
    }
}

static void a_command_line_that_does_not_fit_is_refused_at_every_length(void **state)
{
    const char *const argv[] = { "--config", "C:\\a b\\" };
    char whole[SERVICE_COMMAND_MAX], part[SERVICE_COMMAND_MAX];

    assert_int_equal(service_command(whole, sizeof whole, PROGRAM, 2, argv, NULL), ST_OK);
    for (size_t cap = 1; cap <= strlen(whole); cap++)
        assert_int_equal(service_command(part, cap, PROGRAM, 2, argv, NULL), ST_FULL);
    assert_int_equal(service_command(part, strlen(whole) + 1, PROGRAM, 2, argv, NULL), ST_OK);
}

static void restarts_begin_at_a_second_grow_and_end_at_a_minute(void **state)
{
    assert_int_equal(service_restart_ms[0], 1000);
    for (unsigned i = 1; i < SERVICE_RESTARTS; i++) {
        assert_true(service_restart_ms[i] > service_restart_ms[i - 1]);
        assert_true(service_restart_ms[i] <= 2 * service_restart_ms[i - 1]);
    }
    assert_int_equal(service_restart_ms[SERVICE_RESTARTS - 1], 60000);
    assert_true(SERVICE_RESET_S * 1000 > 4 * 60000); /* or the longest delay would reset itself */
}

static void only_two_privileges_are_kept(void **state)
{
    assert_string_equal(service_privileges[0], "SeChangeNotifyPrivilege");
    assert_string_equal(service_privileges[1], "SeImpersonatePrivilege");
    assert_null(service_privileges[2]);
}

/* Rights come in pairs of letters. */
static int has_right(const char *rights, size_t len, const char *right)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        if (!memcmp(rights + i, right, 2))
            return 1;
    return 0;
}

static void a_logged_on_user_may_look_and_nothing_else(void **state)
{
    static const char *const never[] = { "DC", "RP", "WP", "DT", "CR", "SD", "WD", "WO" };
    const char *end = strstr(service_sddl, ";;;IU)"), *rights = end;

    assert_non_null(end);
    while (rights[-1] != ';')
        rights--;
    assert_true(has_right(rights, (size_t)(end - rights), "LC"));
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        assert_false(has_right(rights, (size_t)(end - rights), never[i]));
    assert_null(strstr(service_sddl, ";;;WD)"));
    assert_null(strstr(service_sddl, ";;;AU)"));
}

static void keys_are_nobody_elses(void **state)
{
    assert_string_equal(service_keys_sddl, "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)");
    assert_int_equal(strncmp(service_folder_sddl, "D:P", 3), 0);
    /* What users may with the folder is not inherited by what is in it. */
    assert_non_null(strstr(service_folder_sddl, "(A;;0x1200a9;;;BU)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_line_of_each_kind_of_word),
        cmocka_unit_test(a_command_line_that_does_not_fit_is_refused_at_every_length),
        cmocka_unit_test(restarts_begin_at_a_second_grow_and_end_at_a_minute),
        cmocka_unit_test(only_two_privileges_are_kept),
        cmocka_unit_test(a_logged_on_user_may_look_and_nothing_else),
        cmocka_unit_test(keys_are_nobody_elses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
