/* SPDX-License-Identifier: Apache-2.0
 * `rdlink key new`: it needs no service.
 */
#include "cli_fixture.h"

#include "ipc/key_file.h"
#include "ipc/proof.h"

#include <stdio.h>
#include <string.h>

#define OUR_FILE "cli-key-test.tmp"

static int teardown(void **state)
{
    remove(OUR_FILE);
    return cli_fixture_teardown(state);
}

/* `rdlink key WORDS` */
static int run(struct fixture *f, const char *const *words)
{
    const char *argv[16] = { "rdlink", "key" };
    int argc = 2;

    while (*words)
        argv[argc++] = *words++;
    f->out[0] = f->err[0] = '\0';
    return cli_start(&f->cli, &f->env, argc, argv);
}

#define RUN(f, ...) run(f, (const char *const[]){ __VA_ARGS__, NULL })

static void a_new_key_is_written_and_not_shown(void **state)
{
    struct fixture *f = *state;
    char digits[2 * PROOF_KEY_BYTES + 1];
    struct proof_key key;

    assert_int_equal(RUN(f, "new", "guest1", "-o", OUR_FILE), CLI_READY);
    assert_int_equal(key_file_read(OUR_FILE, &key, NULL), ST_OK);
    proof_key_format(&key, digits);
    assert_false(has(f->out, digits));
    assert_true(has(f->out, "instance = guest1"));
    assert_true(has(f->out, "/etc/rdlink/agent.key"));
    assert_true(has(f->out, OUR_FILE));
}

static void a_key_that_is_there_is_not_replaced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(RUN(f, "new", "guest1", "--output", OUR_FILE), CLI_READY);
    assert_int_equal(RUN(f, "new", "guest1", "--output", OUR_FILE), CLI_USAGE);
    assert_true(has(f->err, "remove it first"));
}

static void wrong_usage_is_explained(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f, (const char *const[]){ NULL }), CLI_USAGE);
    assert_true(has(f->err, "new INSTANCE"));
    assert_int_equal(RUN(f, "new"), CLI_USAGE);
    assert_int_equal(RUN(f, "old", "guest1"), CLI_USAGE);
    assert_int_equal(RUN(f, "new", "--output", OUR_FILE), CLI_USAGE);
    assert_true(has(f->err, "which INSTANCE"));
    assert_int_equal(RUN(f, "new", "../guest1"), CLI_USAGE);
    assert_true(has(f->err, "letters, digits"));
    assert_int_equal(RUN(f, "new", "guest1", "guest2"), CLI_USAGE);
    assert_int_equal(RUN(f, "new", "guest1", "--output", "no/such/folder/key"), CLI_USAGE);
    assert_true(has(f->err, "make its folder first"));
}

static void without_a_file_it_goes_to_the_services_folder(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(RUN(f, "new", "guest1", "--config-root", "no-such-folder"), CLI_USAGE);
    assert_true(has(f->err, "no-such-folder"));
    assert_true(has(f->err, "keys/guest1.key"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, cli_fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_key_is_written_and_not_shown),
        T(a_key_that_is_there_is_not_replaced),
        T(wrong_usage_is_explained),
        T(without_a_file_it_goes_to_the_services_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
