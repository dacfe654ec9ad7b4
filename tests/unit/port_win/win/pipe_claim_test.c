/* SPDX-License-Identifier: Apache-2.0
 * Against a system that refuses a second first instance, which Wine does not.
 */
#include "port/win/pipe_claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <windows.h>

#include <cmocka.h>

static enum status create_result;
static unsigned creates;

static enum status fake_create(HANDLE *out, const wchar_t *path, enum pipe_create how,
                               bool byte_mode, const char *sddl, struct errmsg *e)
{
    creates++;
    assert_int_equal(how, PIPE_CLAIM);
    assert_int_equal(wcscmp(path, L"\\\\.\\pipe\\docker_engine"), 0);
    if (create_result) {
        errmsg_set(e, "create pipe: Access is denied (5)");
        return create_result;
    }
    *out = CreateEventW(NULL, TRUE, FALSE, NULL); /* any handle that can be closed */
    return ST_OK;
}

static void fake_owner(const wchar_t *path, struct claim_owner *owner)
{
    *owner = (struct claim_owner){ .pid = 4711, .image = "C:\\other\\engine.exe" };
}

static const struct pipe_claim_sys fake = { .create = fake_create, .find_owner = fake_owner };

static void a_taken_name_is_reported_with_pid_and_program(void **state)
{
    struct claim *c = NULL;
    struct claim_owner owner;
    struct errmsg e = { "" };
    create_result = ST_EXISTS;
    assert_int_equal(pipe_claim_open_on(&fake, "docker_engine", NULL, &c, &owner, &e), ST_EXISTS);
    assert_null(c);
    assert_int_equal(owner.pid, 4711);
    assert_string_equal(owner.image, "C:\\other\\engine.exe");
    assert_string_equal(e.text, "already taken by pid 4711 (C:\\other\\engine.exe)");
}

static void another_failure_names_nobody(void **state)
{
    struct claim *c = NULL;
    struct claim_owner owner = { .pid = 1 };
    struct errmsg e = { "" };
    create_result = ST_DENIED;
    assert_int_equal(pipe_claim_open_on(&fake, "docker_engine", NULL, &c, &owner, &e), ST_DENIED);
    assert_int_equal(owner.pid, 0);
    assert_string_equal(e.text, "create pipe: Access is denied (5)");
}

static void a_name_that_was_freed_is_taken_by_the_next_try(void **state)
{
    struct claim *c = NULL;
    create_result = ST_EXISTS;
    assert_int_equal(pipe_claim_open_on(&fake, "docker_engine", NULL, &c, NULL, NULL), ST_EXISTS);
    create_result = ST_OK;
    assert_int_equal(pipe_claim_open_on(&fake, "docker_engine", NULL, &c, NULL, NULL), ST_OK);
    assert_non_null(c);
    claim_close(c);
}

static void a_bad_name_never_reaches_the_system(void **state)
{
    struct claim *c = NULL;
    creates = 0;
    assert_int_equal(pipe_claim_open_on(&fake, "a\\b", NULL, &c, NULL, NULL), ST_INVAL);
    assert_int_equal(creates, 0);
}

static void an_unknown_owner_is_called_unknown(void **state)
{
    const struct claim_owner nobody = { .pid = 0 }, hidden = { .pid = 4 };
    struct errmsg e;
    pipe_owner_message(&e, &nobody);
    assert_string_equal(e.text, "already taken, by whom is unknown");
    pipe_owner_message(&e, &hidden);
    assert_string_equal(e.text, "already taken by pid 4 (program unknown)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taken_name_is_reported_with_pid_and_program),
        cmocka_unit_test(another_failure_names_nobody),
        cmocka_unit_test(a_name_that_was_freed_is_taken_by_the_next_try),
        cmocka_unit_test(a_bad_name_never_reaches_the_system),
        cmocka_unit_test(an_unknown_owner_is_called_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
