/* SPDX-License-Identifier: Apache-2.0
 * Keys in files, in the folder that the test is run in.
 */
#include "base/util.h"
#include "ipc/key_file.h"
#include "ipc/proof.h"
#include "port/put_file.h"
#include "port/secret_file.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define OUR_FILE "key_file_test.tmp"
#define HEX64    "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"

static int teardown(void **state)
{
    remove(OUR_FILE);
    return 0;
}

static void a_made_key_is_read_back_and_never_made_twice(void **state)
{
    struct proof_key key, again;
    struct errmsg e = { "" };

    assert_int_equal(key_file_create(OUR_FILE, &e), ST_OK);
    assert_int_equal(key_file_read(OUR_FILE, &key, &e), ST_OK);
    assert_int_equal(key_file_create(OUR_FILE, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, OUR_FILE));
    assert_int_equal(key_file_read(OUR_FILE, &again, &e), ST_OK);
    assert_memory_equal(&key, &again, sizeof key);
    remove(OUR_FILE);
    assert_int_equal(key_file_create(OUR_FILE, &e), ST_OK);
    assert_int_equal(key_file_read(OUR_FILE, &again, &e), ST_OK);
    assert_memory_not_equal(&key, &again, sizeof key);
}

static void what_is_no_key_is_said_without_being_shown(void **state)
{
    static const char secret[] = "hunter2hunter2";
    static char long_text[SECRET_FILE_MAX + 1];
    struct proof_key key;
    struct errmsg e = { "" };

    memset(long_text, '0', sizeof long_text);
    assert_int_equal(key_file_read("no/such/file", &key, &e), ST_NOTFOUND);
    assert_int_equal(key_file_read(OUR_FILE, &key, &e), ST_NOTFOUND);
    assert_int_equal(put_file(OUR_FILE, secret, sizeof secret - 1, 0600), ST_OK);
    assert_int_equal(key_file_read(OUR_FILE, &key, &e), ST_INVAL);
    assert_null(strstr(e.text, "hunter2"));
    assert_int_equal(put_file(OUR_FILE, "\n", 1, 0600), ST_OK);
    assert_int_equal(key_file_read(OUR_FILE, &key, &e), ST_NOTFOUND);
    assert_int_equal(put_file(OUR_FILE, long_text, sizeof long_text, 0600), ST_OK);
    assert_int_equal(key_file_read(OUR_FILE, &key, &e), ST_FULL);
    assert_int_equal(key_file_create("no/such/folder/key", &e), ST_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_made_key_is_read_back_and_never_made_twice, teardown),
        cmocka_unit_test_teardown(what_is_no_key_is_said_without_being_shown, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
