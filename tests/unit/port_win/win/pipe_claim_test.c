/* SPDX-License-Identifier: Apache-2.0
 * Against a system that refuses a second first instance, which Wine does not.
 */
#include "port/win/pipe_claim.h"

#include "port/win/utf16.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <cmocka.h>
#include <sddl.h> /* needs windows.h */

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

#define BEFORE "S-1-5-21-1-2-3-1001"
#define AFTER  "S-1-5-21-1-2-3-1002"

/* Who may do what with the pipe, as an instance that serves it sees it. */
static void dacl_of(const wchar_t *path, char *out, size_t cap)
{
    BYTE sd[4096];
    wchar_t *text;
    DWORD need;
    HANDLE h;

    assert_int_equal(pipe_create(&h, path, PIPE_JOIN, true, NULL, NULL), ST_OK);
    assert_true(GetKernelObjectSecurity(h, DACL_SECURITY_INFORMATION, sd, sizeof sd, &need));
    CloseHandle(h);
    assert_true(ConvertSecurityDescriptorToStringSecurityDescriptorW(sd, SDDL_REVISION_1,
                                                                     DACL_SECURITY_INFORMATION,
                                                                     &text, NULL));
    assert_int_equal(utf16_to_utf8(out, cap, text), ST_OK);
    LocalFree(text);
}

static void a_claim_that_is_held_may_be_for_others_than_before(void **state)
{
    const struct claim_opts opts = { .byte_mode = true,
                                     .sddl = "D:P(A;;GA;;;WD)(A;;0x12019b;;;" BEFORE ")" };
    struct claim *c = NULL;
    wchar_t path[PIPE_PATH_MAX];
    char name[64], text[1024];

    snprintf(name, sizeof name, "rdl-regrant-%lu", GetCurrentProcessId());
    assert_int_equal(pipe_path(path, name, NULL), ST_OK);
    assert_int_equal(pipe_claim_open(name, &opts, &c, NULL, NULL), ST_OK);
    dacl_of(path, text, sizeof text);
    assert_non_null(strstr(text, BEFORE));
    assert_int_equal(claim_regrant(c, "D:P(A;;GA;;;WD)(A;;0x12019b;;;" AFTER ")", NULL), ST_OK);
    dacl_of(path, text, sizeof text);
    assert_null(strstr(text, BEFORE));
    assert_non_null(strstr(text, AFTER));
    assert_int_equal(claim_regrant(c, "D:P(A;;nonsense", NULL), ST_INVAL);
    dacl_of(path, text, sizeof text);
    assert_non_null(strstr(text, AFTER));
    claim_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taken_name_is_reported_with_pid_and_program),
        cmocka_unit_test(another_failure_names_nobody),
        cmocka_unit_test(a_name_that_was_freed_is_taken_by_the_next_try),
        cmocka_unit_test(a_bad_name_never_reaches_the_system),
        cmocka_unit_test(an_unknown_owner_is_called_unknown),
        cmocka_unit_test(a_claim_that_is_held_may_be_for_others_than_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
