/* SPDX-License-Identifier: Apache-2.0
 * Text and error numbers at the border to Windows.
 */
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <windows.h>

#include <cmocka.h>

static void text_beyond_ascii_goes_both_ways(void **state)
{
    static const char text[] = "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xb3";
    wchar_t wide[16];
    char back[32];
    assert_int_equal(utf8_to_utf16(wide, 16, text), ST_OK);
    assert_int_equal(wcslen(wide), 7); /* the whale is a pair */
    assert_int_equal(utf16_to_utf8(back, sizeof(back), wide), ST_OK);
    assert_string_equal(back, text);
}

static void invalid_text_is_an_error_and_leaves_nothing(void **state)
{
    static const wchar_t lone[] = { 'a', 0xd800, 0 };
    wchar_t wide[16] = L"old";
    char out[16] = "old";
    assert_int_equal(utf8_to_utf16(wide, 16, "a\xff"), ST_INVAL);
    assert_int_equal(wide[0], 0);
    assert_int_equal(utf16_to_utf8(out, sizeof(out), lone), ST_INVAL);
    assert_int_equal(out[0], 0);
}

static void text_that_does_not_fit_is_refused(void **state)
{
    wchar_t wide[4];
    char out[4];
    assert_int_equal(utf8_to_utf16(wide, 4, "abc"), ST_OK);
    assert_int_equal(utf8_to_utf16(wide, 4, "abcd"), ST_FULL);
    assert_int_equal(utf16_to_utf8(out, 4, L"abcd"), ST_FULL);
}

static void errors_map_to_statuses(void **state)
{
    assert_int_equal(win_error_status(ERROR_SUCCESS), ST_OK);
    assert_int_equal(win_error_status(ERROR_ACCESS_DENIED), ST_DENIED);
    assert_int_equal(win_error_status(10061), ST_REFUSED);
    assert_int_equal(win_error_status(ERROR_BROKEN_PIPE), ST_RESET);
    assert_int_equal(win_error_status(123456), ST_IO);
}

static void a_message_names_the_action_and_the_number(void **state)
{
    struct errmsg e;
    assert_int_equal(win_error_set(&e, "open pipe", ERROR_ACCESS_DENIED), ST_DENIED);
    assert_true(strncmp(e.text, "open pipe: ", 11) == 0);
    assert_non_null(strstr(e.text, " (5)"));
    assert_null(strchr(e.text, '\n'));
    assert_int_equal(win_error_set(&e, "x", 123456789), ST_IO);
    assert_non_null(strstr(e.text, "(123456789)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_beyond_ascii_goes_both_ways),
        cmocka_unit_test(invalid_text_is_an_error_and_leaves_nothing),
        cmocka_unit_test(text_that_does_not_fit_is_refused),
        cmocka_unit_test(errors_map_to_statuses),
        cmocka_unit_test(a_message_names_the_action_and_the_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
