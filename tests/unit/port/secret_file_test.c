/* SPDX-License-Identifier: Apache-2.0
 * Whose file, and closed to whom; Linux. As root (CI) also files of others.
 */
#include "base/util.h"
#include "port/secret_file.h"
#include "support/cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUR_FILE "secret_file_test.tmp"

static int teardown(void **state)
{
    remove(OUR_FILE);
    return 0;
}

static enum status read_it(struct errmsg *e)
{
    char buf[16];
    size_t len_bytes = 0;

    return secret_file_read(OUR_FILE, buf, sizeof buf, &len_bytes, e);
}

static void a_made_file_is_its_owners_alone(void **state)
{
    struct stat s;

    umask(0);
    assert_int_equal(secret_file_create(OUR_FILE, "x", 1, NULL), ST_OK);
    assert_int_equal(stat(OUR_FILE, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(s.st_size, 1);
}

static void a_file_that_others_can_read_or_write_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        bool is_fine, only_of_roots_group;
    } rows[] = {
        { 0600, true, false },  { 0400, true, false },  { 0700, true, false },
        { 0640, false, true },  { 0440, false, true },  { 0620, false, false },
        { 0604, false, false }, { 0602, false, false }, { 0644, false, false },
        { 0666, false, false }, { 0601, false, false },
    };
    bool is_roots_group = getgid() == 0;
    struct errmsg e = { "" };

    assert_int_equal(secret_file_create(OUR_FILE, "x", 1, &e), ST_OK);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool is_fine = rows[i].is_fine || (rows[i].only_of_roots_group && is_roots_group);
        enum status st;

        assert_int_equal(chmod(OUR_FILE, rows[i].mode), 0);
        st = read_it(&e);
        if (st != (is_fine ? ST_OK : ST_DENIED))
            fail_msg("mode %03o: %s", (unsigned)rows[i].mode, status_name(st));
        if (!is_fine)
            assert_non_null(strstr(e.text, "chmod 600"));
    }
    if (!is_roots_group)
        return;
    assert_int_equal(chmod(OUR_FILE, 0640), 0);
    assert_int_equal(chown(OUR_FILE, 0, 4711), 0);
    assert_int_equal(read_it(&e), ST_DENIED);
}

static void a_file_of_somebody_else_is_refused(void **state)
{
    struct errmsg e = { "" };

    if (geteuid() != 0)
        skip(); /* nobody else can give a file away */
    assert_int_equal(secret_file_create(OUR_FILE, "x", 1, &e), ST_OK);
    assert_int_equal(chown(OUR_FILE, 4711, 4711), 0);
    assert_int_equal(read_it(&e), ST_DENIED);
    assert_non_null(strstr(e.text, "4711"));
}

static void only_a_plain_file_is_read_and_nothing_is_waited_for(void **state)
{
    char buf[16];
    size_t len_bytes = 0;

    assert_int_equal(mkfifo(OUR_FILE, 0600), 0);
    assert_int_equal(read_it(NULL), ST_INVAL);
    assert_int_equal(secret_file_read(".", buf, sizeof buf, &len_bytes, NULL), ST_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_made_file_is_its_owners_alone, teardown),
        cmocka_unit_test_teardown(a_file_that_others_can_read_or_write_is_refused, teardown),
        cmocka_unit_test_teardown(a_file_of_somebody_else_is_refused, teardown),
        cmocka_unit_test_teardown(only_a_plain_file_is_read_and_nothing_is_waited_for, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
