/* SPDX-License-Identifier: Apache-2.0
 * What the copy is and whose, and that what lies in its folder leads nowhere; Linux. As root (CI)
 * also for a folder of somebody else.
 */
#include "guestagent/key_copy.h"
#include "ipc/key_file.h"
#include "ipc/proof.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "key_copy_test.d"
#define FROM   "key_copy_test.key"
#define TO     FOLDER "/agent.key"
#define BESIDE TO ".new"
#define OTHER  "key_copy_test.other"

static int setup(void **state)
{
    struct errmsg e = { "" };

    umask(077);
    if (mkdir(FOLDER, 0700) != 0 || key_file_create(FROM, &e) != ST_OK)
        return -1;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = { TO, BESIDE, FROM, OTHER };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        remove(files[i]);
    return remove(FOLDER);
}

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void expect_same_key(void)
{
    struct proof_key from, to;

    assert_int_equal(key_file_read(FROM, &from, NULL), ST_OK);
    assert_int_equal(key_file_read(TO, &to, NULL), ST_OK);
    assert_memory_equal(&from, &to, sizeof from);
}

static void expect_copied(void)
{
    struct errmsg e = { "" };

    if (key_copy(FROM, TO, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_not_equal(access(BESIDE, F_OK), 0);
}

static void expect_no_copy(void)
{
    assert_int_not_equal(access(TO, F_OK), 0);
    assert_int_not_equal(access(BESIDE, F_OK), 0);
}

static void the_copy_has_the_key_and_is_closed_to_others(void **state)
{
    struct stat s;

    umask(0);
    expect_copied();
    expect_same_key();
    assert_int_equal(lstat(TO, &s), 0);
    assert_int_equal(s.st_mode, S_IFREG | 0400);
}

static void it_belongs_to_whom_the_folder_does(void **state)
{
    struct stat s;

    if (geteuid() != 0)
        skip(); /* nobody else can give a file away */
    assert_int_equal(chown(FOLDER, 4711, 4711), 0);
    expect_copied();
    assert_int_equal(lstat(TO, &s), 0);
    assert_int_equal(s.st_uid, 4711);
    assert_int_equal(s.st_mode, S_IFREG | 0400);
}

static void another_key_takes_its_place(void **state)
{
    expect_copied();
    assert_int_equal(remove(FROM), 0);
    assert_int_equal(key_file_create(FROM, NULL), ST_OK);
    expect_copied();
    expect_same_key();
}

static void where_no_key_is_there_is_no_copy(void **state)
{
    expect_copied();
    put_text(FROM, "\n");
    expect_copied();
    expect_no_copy();
    assert_int_equal(remove(FROM), 0);
    expect_copied();
    expect_no_copy();
}

static void a_key_that_cannot_be_used_is_not_copied(void **state)
{
    struct errmsg e = { "" };

    expect_copied();
    assert_int_equal(chmod(FROM, 0604), 0);
    assert_int_equal(key_copy(FROM, TO, &e), ST_DENIED);
    assert_non_null(strstr(e.text, "chmod 600 it"));
    expect_no_copy();

    assert_int_equal(chmod(FROM, 0600), 0);
    expect_copied();
    put_text(FROM, "no key");
    assert_int_equal(key_copy(FROM, TO, &e), ST_INVAL);
    assert_non_null(strstr(e.text, FROM));
    expect_no_copy();
}

static void links_in_the_folder_are_replaced_and_not_followed(void **state)
{
    char text[16] = "";
    struct stat s;
    FILE *f;

    put_text(OTHER, "untouched");
    assert_int_equal(symlink("../" OTHER, TO), 0);
    assert_int_equal(symlink("../" OTHER, BESIDE), 0);
    expect_copied();
    expect_same_key();
    assert_int_equal(lstat(TO, &s), 0);
    assert_true(S_ISREG(s.st_mode));
    f = fopen(OTHER, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, "untouched");
}

static void a_place_that_cannot_be_is_an_error(void **state)
{
    char long_name[300];
    struct errmsg e = { "" };

    assert_int_equal(key_copy(FROM, "key_copy_test.nowhere/agent.key", &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, "key_copy_test.nowhere"));
    assert_int_equal(key_copy(FROM, FOLDER "/", &e), ST_INVAL);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(key_copy(FROM, long_name, &e), ST_INVAL);

    assert_int_equal(mkdir(TO, 0700), 0);
    assert_int_not_equal(key_copy(FROM, TO, &e), ST_OK);
    assert_int_not_equal(access(BESIDE, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_copy_has_the_key_and_is_closed_to_others),
        TEST(it_belongs_to_whom_the_folder_does),
        TEST(another_key_takes_its_place),
        TEST(where_no_key_is_there_is_no_copy),
        TEST(a_key_that_cannot_be_used_is_not_copied),
        TEST(links_in_the_folder_are_replaced_and_not_followed),
        TEST(a_place_that_cannot_be_is_an_error),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
