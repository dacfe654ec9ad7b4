/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_edit.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text, *key;
    const char *values[4];
    const char *want;
} rows[] = {
    { "a value is replaced where it stands",
      "# mine\n\na = 1\nb=2\n",
      "a",
      { "3" },
      "# mine\n\na = 3\nb=2\n" },
    { "its comment and its blanks stay",
      "  a  =\t1   # why\n",
      "a",
      { "22" },
      "  a  =\t22   # why\n" },
    { "a new key comes last", "a = 1\n", "b", { "2" }, "a = 1\nb = 2\n" },
    { "an unfinished last line is finished first", "a = 1", "b", { "2" }, "a = 1\nb = 2\n" },
    { "an empty file gets its first line", "", "a", { "1" }, "a = 1\n" },
    { "a key is taken out", "a = 1\n# b\nb = 2\nc = 3\n", "b", { NULL }, "a = 1\n# b\nc = 3\n" },
    { "what is not there is taken out of nothing", "a = 1\n", "b", { NULL }, "a = 1\n" },
    { "a commented key is no key", "# a = 1\n", "a", { "2" }, "# a = 1\na = 2\n" },
    { "a list stays together",
      "l = x # 1\nz = 0\nl = y\nb = 2\n",
      "l",
      { "p", "q", "r" },
      "l = p # 1\nz = 0\nl = q\nl = r\nb = 2\n" },
    { "a list gets shorter", "l = x\nl = y\nl = z\nb = 2\n", "l", { "p" }, "l = p\nb = 2\n" },
    { "line ends stay", "a = 1\r\n", "b", { "2" }, "a = 1\r\nb = 2\r\n" },
    { "the value's own line end stays", "a = 1\r\nb = 2\r\n", "a", { "3" }, "a = 3\r\nb = 2\r\n" },
    { "quotes where they are needed", "a = 1\n", "a", { "with # sign" }, "a = \"with # sign\"\n" },
    { "quotes are replaced with the value",
      "a = \"x # y\" # why\n",
      "a",
      { "z" },
      "a = z # why\n" },
    { "a broken line of the key is mended", "a \"1\nb = 2\n", "a", { "3" }, "a = 3\nb = 2\n" },
    { "a broken line of another key is kept", "b \"1\n", "a", { "3" }, "b \"1\na = 3\n" },
    { "a longer key is another one", "ab = 1\n", "a", { "3" }, "ab = 1\na = 3\n" },
};

static void an_edit_changes_one_setting(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned count = 0;
        size_t len = 0;
        char *out = NULL;

        while (rows[i].values[count])
            count++;
        assert_int_equal(option_edit(rows[i].text, strlen(rows[i].text), rows[i].key,
                                     rows[i].values, count, &out, &len, NULL),
                         ST_OK);
        if (strcmp(out, rows[i].want) != 0)
            print_error("row: %s\n", rows[i].name);
        assert_string_equal(out, rows[i].want);
        assert_int_equal(len, strlen(rows[i].want));
        free(out);
    }
}

static void what_cannot_be_written_is_refused(void **state)
{
    const char *const two_lines[] = { "a\nb" }, *const quotes[] = { "#\"" };
    struct errmsg e = { "" };
    char *out = NULL;
    size_t len;

    assert_int_equal(option_edit("", 0, "a", two_lines, 1, &out, &len, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "more than one line"));
    assert_int_equal(option_edit("", 0, "a", quotes, 1, &out, &len, &e), ST_INVAL);
    assert_null(out);
}

static void a_file_does_not_outgrow_its_reader(void **state)
{
    const char *const values[] = { "1" };
    struct errmsg e = { "" };
    char *text = malloc(OPTION_FILE_MAX), *out = NULL;
    size_t len;

    assert_non_null(text);
    memset(text, '#', OPTION_FILE_MAX);
    assert_int_equal(option_edit(text, OPTION_FILE_MAX - 3, "a", values, 1, &out, &len, &e),
                     ST_FULL);
    assert_null(out);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_changes_one_setting),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_file_does_not_outgrow_its_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
