/* SPDX-License-Identifier: Apache-2.0
 * Against the real registry, below a key of our own in HKLM (Wine; on Windows: as administrator).
 */
#include "unit/port_win/win/ends.h"

#include "vm/vm_source.h"

#include <windows.h>

#define VM1 "6b6f5c1e-facb-11e6-bd58-64006a7986d3"
#define VM2 "00000000-0000-4000-8000-0000000000aa"

struct seen {
    struct ends ends; /* the loop and its guard */
    struct vm_source *source;
    char root[96], key[128];
    struct vm_snapshot last;
    unsigned calls;
};

static void on_snapshot(void *ctx, const struct vm_snapshot *snap)
{
    struct seen *s = ctx;
    s->last = *snap;
    s->calls++;
}

static void make_key(const char *path)
{
    HKEY h;
    assert_int_equal(RegCreateKeyExA(HKEY_LOCAL_MACHINE, path, 0, NULL, 0,
                                     KEY_ALL_ACCESS | KEY_WOW64_64KEY, NULL, &h, NULL),
                     ERROR_SUCCESS);
    RegCloseKey(h);
}

static void drop_key(const char *path)
{
    RegDeleteTreeA(HKEY_LOCAL_MACHINE, path);
}

static void add_vm(const struct seen *s, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s\\%s", s->key, name);
    make_key(path);
}

static int setup(void **state)
{
    static unsigned count;
    struct seen *s = calloc(1, sizeof(*s));
    ends_setup(&s->ends);
    snprintf(s->root, sizeof(s->root), "SOFTWARE\\rdl-test-%lu-%u", GetCurrentProcessId(), ++count);
    snprintf(s->key, sizeof(s->key), "%s\\Store\\ComputeSystem", s->root);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct seen *s = *state;
    vm_source_close(s->source);
    drop_key(s->root);
    ends_teardown(&s->ends);
    free(s);
    return 0;
}

static void watch(struct seen *s, const struct addr *via)
{
    assert_int_equal(vm_source_registry_open(&s->source, s->ends.loop, s->key, via, on_snapshot, s,
                                             NULL),
                     ST_OK);
    ENDS_RUN_UNTIL(&s->ends, s->calls == 1); /* the first one always, and soon */
}

static void an_absent_key_is_an_empty_snapshot(void **state)
{
    struct seen *s = *state;
    watch(s, NULL);
    assert_false(s->last.source_exists);
    assert_int_equal(s->last.count, 0);
}

static void machines_are_found_and_junk_is_counted(void **state)
{
    struct seen *s = *state;
    add_vm(s, VM1);
    add_vm(s, "junk");
    add_vm(s, "00000000-0000-4000-8000-0000000000aaff-and-longer-than-any-guid-could-ever-be");
    watch(s, NULL);
    assert_true(s->last.source_exists);
    assert_int_equal(s->last.count, 1);
    assert_int_equal(s->last.ignored, 2);
    assert_string_equal(s->last.vms[0].id, VM1);
    assert_int_equal(s->last.vms[0].addr.kind, ADDR_HVSOCK);
    assert_int_equal(s->last.vms[0].addr.port, ADDR_PORT_NONE);
}

static void a_key_that_appears_late_is_seen(void **state)
{
    struct seen *s = *state;
    watch(s, NULL);
    add_vm(s, VM1);
    ENDS_RUN_UNTIL(&s->ends, s->last.count == 1);
    add_vm(s, VM2);
    ENDS_RUN_UNTIL(&s->ends, s->last.count == 2);
}

static void a_key_that_vanishes_and_comes_back_is_seen(void **state)
{
    struct seen *s = *state;
    add_vm(s, VM1);
    watch(s, NULL);
    drop_key(s->root);
    ENDS_RUN_UNTIL(&s->ends, !s->last.source_exists);
    assert_int_equal(s->last.count, 0);
    add_vm(s, VM2);
    ENDS_RUN_UNTIL(&s->ends, s->last.count == 1);
    assert_string_equal(s->last.vms[0].id, VM2);
}

static void a_stand_in_address_replaces_the_hyper_v_socket(void **state)
{
    struct seen *s = *state;
    const struct addr via = { .kind = ADDR_TCP_HYBRID, .path = "127.0.0.1", .tcp_port = 9 };
    add_vm(s, VM1);
    watch(s, &via);
    assert_true(addr_equal(&s->last.vms[0].addr, &via));
}

static void nothing_new_is_not_told_again(void **state)
{
    struct seen *s = *state;
    add_vm(s, VM1);
    watch(s, NULL);
    for (unsigned i = 0; i < 3; i++)
        vm_source_rescan(s->source);
    assert_int_equal(s->calls, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_absent_key_is_an_empty_snapshot),
        T(machines_are_found_and_junk_is_counted),
        T(a_key_that_appears_late_is_seen),
        T(a_key_that_vanishes_and_comes_back_is_seen),
        T(a_stand_in_address_replaces_the_hyper_v_socket),
        T(nothing_new_is_not_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
