/* SPDX-License-Identifier: Apache-2.0
 * Finding, making and visiting network namespaces, with the kernel's own.
 */
#define _GNU_SOURCE
#include "guestagent/linux/netns.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "unit/guest_net/sandbox.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNIT "network-namespace.service"

static int forget_cgroups(void **state)
{
    sandbox_remove_cgroups();
    return 0;
}

static ino_t inside(const struct netns *n)
{
    ino_t there;

    assert_int_equal(netns_enter(n, NULL), ST_OK);
    there = sandbox_namespace();
    netns_leave(n);
    return there;
}

static void read_namespace(void *ctx)
{
    ino_t *out = ctx;

    *out = sandbox_namespace();
}

static ino_t namespace_of(pid_t pid)
{
    ino_t ino = 0;

    sandbox_in(pid, read_namespace, &ino);
    return ino;
}

static enum status open_spec(const char *spec)
{
    struct netns n;
    struct errmsg e = { .text = "" };
    enum status st = netns_open(&n, spec, &e);

    if (!st)
        netns_close(&n);
    else
        assert_string_not_equal(e.text, "");
    return st;
}

static void host_is_where_this_process_is(void **state)
{
    struct netns n;

    assert_int_equal(netns_open(&n, "host", NULL), ST_OK);
    assert_true(n.is_home);
    assert_int_equal(inside(&n), sandbox_namespace());
    assert_true(netns_is_current(&n));
    netns_close(&n);
}

static void a_visit_is_there_and_back(void **state)
{
    pid_t owner = sandbox_process(true);
    ino_t home = sandbox_namespace();
    struct netns n;

    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    assert_false(n.is_home);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(inside(&n), namespace_of(owner));
        assert_int_equal(sandbox_namespace(), home);
    }
    netns_close(&n);
    sandbox_kill(owner);
}

static void see_device(void *ctx)
{
    int *mtu = ctx;

    *mtu = sandbox_mtu("rdlink0");
}

static void looking_for_a_namespace_leaves_no_device(void **state)
{
    pid_t owner = sandbox_process(true);
    int there = 0;

    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_int_equal(open_spec("unit:" UNIT), ST_OK);
    sandbox_in(owner, see_device, &there);
    assert_int_equal(there, -1);
    assert_int_equal(sandbox_mtu("rdlink0"), -1);
    sandbox_kill(owner);
}

static void a_unit_is_found_wherever_systemd_keeps_its_cgroup(void **state)
{
    static const struct {
        const char *name, *folder, *spec;
    } rows[] = {
        { "cgroup v2", "system.slice/" UNIT, "unit:" UNIT },
        { "hybrid", "unified/system.slice/" UNIT, "unit:" UNIT },
        { "cgroup v1", "systemd/system.slice/" UNIT, "unit:" UNIT },
        { "another slice", "machine.slice/" UNIT, "unit:machine.slice/" UNIT },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        pid_t owner = sandbox_process(true);
        struct netns n;

        sandbox_cgroup(rows[i].folder, owner, 0);
        if (netns_open(&n, rows[i].spec, NULL) != ST_OK)
            fail_msg("%s", rows[i].name);
        assert_int_equal(inside(&n), namespace_of(owner));
        assert_true(netns_is_current(&n));
        netns_close(&n);
        sandbox_remove_cgroups();
        sandbox_kill(owner);
    }
}

static void an_empty_cgroup_of_one_hierarchy_does_not_hide_the_other(void **state)
{
    pid_t owner = sandbox_process(true);

    sandbox_cgroup("unified/system.slice/" UNIT, 0, 0);
    sandbox_cgroup("systemd/system.slice/" UNIT, owner, 0);
    assert_int_equal(open_spec("unit:" UNIT), ST_OK);
    sandbox_kill(owner);
}

static void a_unit_that_does_not_run_is_not_found(void **state)
{
    pid_t gone = sandbox_process(true);

    assert_int_equal(open_spec("unit:" UNIT), ST_NOTFOUND);
    sandbox_cgroup("system.slice/" UNIT, 0, 0);
    assert_int_equal(open_spec("unit:" UNIT), ST_NOTFOUND);
    sandbox_cgroup("system.slice/" UNIT, gone, 0);
    sandbox_kill(gone);
    assert_int_equal(open_spec("unit:" UNIT), ST_NOTFOUND);
}

static void a_unit_in_our_own_namespace_is_not_there_yet(void **state)
{
    pid_t owner = sandbox_process(false);
    struct netns n;
    struct errmsg e;

    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_int_equal(netns_open(&n, "unit:" UNIT, &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, "PrivateNetwork"));
    sandbox_kill(owner);
}

static void a_process_of_the_unit_that_is_not_there_yet_is_passed_over(void **state)
{
    pid_t early = sandbox_process(false);
    pid_t owner = sandbox_process(true);
    struct netns n;

    sandbox_cgroup("system.slice/" UNIT, early, owner);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    assert_int_equal(inside(&n), namespace_of(owner));
    netns_close(&n);
    sandbox_kill(early);
    sandbox_kill(owner);
}

static void a_restarted_unit_has_another_namespace(void **state)
{
    pid_t owner = sandbox_process(true);
    struct netns n;

    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    sandbox_kill(owner);
    assert_false(netns_is_current(&n));
    owner = sandbox_process(true);
    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_false(netns_is_current(&n));
    netns_close(&n);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    assert_true(netns_is_current(&n));
    netns_close(&n);
    sandbox_kill(owner);
}

static void another_process_in_the_same_namespace_changes_nothing(void **state)
{
    pid_t first = sandbox_process(true);
    pid_t second = sandbox_process_beside(first);
    struct netns n;

    sandbox_cgroup("system.slice/" UNIT, first, second);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    sandbox_kill(first);
    sandbox_cgroup("system.slice/" UNIT, second, 0);
    assert_true(netns_is_current(&n));
    netns_close(&n);
    sandbox_kill(second);
}

static void a_path_names_a_namespace_until_it_names_another(void **state)
{
    pid_t owner = sandbox_process(true);
    char path[64];
    struct netns n;

    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)owner);
    sandbox_write("/run/named", "");
    assert_int_equal(open_spec("path:/run/named"), ST_NOTFOUND);
    assert_int_equal(open_spec("path:/run/missing"), ST_NOTFOUND);
    assert_int_equal(mount(path, "/run/named", NULL, MS_BIND, NULL), 0);
    assert_int_equal(netns_open(&n, "path:/run/named", NULL), ST_OK);
    assert_int_equal(inside(&n), namespace_of(owner));
    assert_true(netns_is_current(&n));
    assert_int_equal(umount2("/run/named", MNT_DETACH), 0);
    assert_false(netns_is_current(&n));
    netns_close(&n);
    sandbox_kill(owner);
}

static void a_new_namespace_is_kept_and_found_again(void **state)
{
    ino_t home = sandbox_namespace();
    struct netns n;
    ino_t made;

    assert_int_equal(netns_open(&n, "new:rdlink", NULL), ST_OK);
    assert_int_equal(sandbox_namespace(), home);
    assert_false(n.is_home);
    made = inside(&n);
    netns_close(&n);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(netns_open(&n, i ? "path:/run/netns/rdlink" : "new:rdlink", NULL), ST_OK);
        assert_int_equal(inside(&n), made);
        assert_true(netns_is_current(&n));
        netns_close(&n);
    }
    assert_int_equal(umount2("/run/netns/rdlink", MNT_DETACH), 0);
    assert_int_equal(netns_open(&n, "new:rdlink", NULL), ST_OK);
    assert_int_not_equal(inside(&n), home);
    netns_close(&n);
}

static void what_is_no_spec_is_refused(void **state)
{
    static const char *const rows[] = {
        "", "hosts", "unit:", "path:", "new:", "new:a/b", "new:..", "unit:../x", "netns:x",
    };
    char longest[NETNS_SPEC_MAX + 16];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (open_spec(rows[i]) != ST_INVAL)
            fail_msg("\"%s\" was taken", rows[i]);
    }
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "path:", 5);
    assert_int_equal(open_spec(longest), ST_INVAL);
}

/* In a child: 0 when a visit is refused and says what is missing. */
static int visit_without_capabilities(const struct netns *n)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    struct errmsg e = { .text = "" };

    if (syscall(SYS_capset, &head, none) != 0)
        return 1;
    if (netns_enter(n, &e) != ST_DENIED)
        return 2;
    return strstr(e.text, "CAP_SYS_ADMIN") ? 0 : 3;
}

static void without_the_capability_a_visit_is_denied(void **state)
{
    pid_t owner = sandbox_process(true);
    struct netns n;
    int code = -1;
    pid_t child;

    sandbox_cgroup("system.slice/" UNIT, owner, 0);
    assert_int_equal(netns_open(&n, "unit:" UNIT, NULL), ST_OK);
    child = fork();
    if (child == 0)
        _exit(visit_without_capabilities(&n));
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    netns_close(&n);
    sandbox_kill(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_is_where_this_process_is),
        cmocka_unit_test_teardown(a_visit_is_there_and_back, forget_cgroups),
        cmocka_unit_test_teardown(looking_for_a_namespace_leaves_no_device, forget_cgroups),
        cmocka_unit_test_teardown(a_unit_is_found_wherever_systemd_keeps_its_cgroup,
                                  forget_cgroups),
        cmocka_unit_test_teardown(an_empty_cgroup_of_one_hierarchy_does_not_hide_the_other,
                                  forget_cgroups),
        cmocka_unit_test_teardown(a_unit_that_does_not_run_is_not_found, forget_cgroups),
        cmocka_unit_test_teardown(a_unit_in_our_own_namespace_is_not_there_yet, forget_cgroups),
        cmocka_unit_test_teardown(a_process_of_the_unit_that_is_not_there_yet_is_passed_over,
                                  forget_cgroups),
        cmocka_unit_test_teardown(a_restarted_unit_has_another_namespace, forget_cgroups),
        cmocka_unit_test_teardown(another_process_in_the_same_namespace_changes_nothing,
                                  forget_cgroups),
        cmocka_unit_test(a_path_names_a_namespace_until_it_names_another),
        cmocka_unit_test(a_new_namespace_is_kept_and_found_again),
        cmocka_unit_test(what_is_no_spec_is_refused),
        cmocka_unit_test_teardown(without_the_capability_a_visit_is_denied, forget_cgroups),
    };

    if (!sandbox_enter() || !sandbox_has_tun())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
