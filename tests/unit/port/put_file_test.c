/* SPDX-License-Identifier: Apache-2.0
 * In the folder that the test is run in, with files of its own.
 */
#include "port/put_file.h"
#include "support/cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OUR_FILE "put_file_test.tmp"

static bool exists(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f)
        fclose(f);
    return f != NULL;
}

static void expect_contents(const char *want)
{
    FILE *f = fopen(OUR_FILE, "rb");
    char text[64];
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    assert_string_equal(text, want);
}

static int teardown(void **state)
{
    remove(OUR_FILE);
    remove(OUR_FILE ".new");
    return 0;
}

static void a_file_is_made_and_replaced_whole(void **state)
{
    assert_int_equal(put_file(OUR_FILE, "first, the longer", 17, 0600), ST_OK);
    expect_contents("first, the longer");
    assert_int_equal(put_file(OUR_FILE, "second", 6, 0600), ST_OK);
    expect_contents("second");
    assert_int_equal(put_file(OUR_FILE, "", 0, 0600), ST_OK);
    expect_contents("");
    assert_false(exists(OUR_FILE ".new"));
}

static void what_a_dead_writer_left_is_no_obstacle(void **state)
{
    FILE *f = fopen(OUR_FILE ".new", "wb");

    assert_non_null(f);
    fputs("half a sta", f);
    fclose(f);
    assert_int_equal(put_file(OUR_FILE, "whole", 5, 0600), ST_OK);
    expect_contents("whole");
}

static void failures_have_a_name(void **state)
{
    char longest[PUT_FILE_PATH_MAX + 1];

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(put_file(longest, "a", 1, 0600), ST_INVAL);
    assert_int_equal(put_file("no-such-folder/file", "a", 1, 0600), ST_NOTFOUND);
}

/* The target cannot be replaced: what was written beside it does not stay. */
static void a_failed_rename_leaves_nothing(void **state)
{
    assert_int_not_equal(put_file(".", "a", 1, 0600), ST_OK);
    assert_false(exists("..new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_is_made_and_replaced_whole, teardown),
        cmocka_unit_test_teardown(what_a_dead_writer_left_is_no_obstacle, teardown),
        cmocka_unit_test(failures_have_a_name),
        cmocka_unit_test(a_failed_rename_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
