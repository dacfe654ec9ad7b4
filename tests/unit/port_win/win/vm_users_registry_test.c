/* SPDX-License-Identifier: Apache-2.0
 * With keys of the test's own in the place of HKEY_USERS.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "vm/vm_owner.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

struct seen {
    unsigned count;
    char text[512];
};

static void on_registration(void *ctx, const char *sid, const char *distribution)
{
    struct seen *s = ctx;
    size_t len = strlen(s->text);

    snprintf(s->text + len, sizeof s->text - len, "%s=%s;", sid, distribution);
    s->count++;
}

static void put(const char *root, const char *user, const char *guid, const char *name)
{
    char path[400];
    HKEY h;

    snprintf(path, sizeof path, "%s\\%s\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss\\%s",
             root, user, guid);
    assert_int_equal(RegCreateKeyExA(HKEY_LOCAL_MACHINE, path, 0, NULL, 0,
                                     KEY_ALL_ACCESS | KEY_WOW64_64KEY, NULL, &h, NULL),
                     ERROR_SUCCESS);
    if (name)
        assert_int_equal(RegSetValueExA(h, "DistributionName", 0, REG_SZ, (const BYTE *)name,
                                        (DWORD)strlen(name) + 1),
                         ERROR_SUCCESS);
    RegCloseKey(h);
}

static void only_persons_and_readable_names_are_told(void **state)
{
    char root[64], longest[600];
    struct vm_users *users;
    struct seen seen = { 0 };

    snprintf(root, sizeof root, "SOFTWARE\\rdl-users-%lu", GetCurrentProcessId());
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    put(root, "S-1-5-21-1-2-3-1001", "{a}", "rancher-desktop");
    put(root, "S-1-5-21-1-2-3-1001_Classes", "{a}", "rancher-desktop");
    put(root, "S-1-5-21-1-2-3-1001", "{b}", longest);
    put(root, "S-1-5-21-1-2-3-1001", "{c}", NULL);
    put(root, "S-1-5-18", "{a}", "rancher-desktop");
    put(root, ".DEFAULT", "{a}", "rancher-desktop");
    assert_int_equal(vm_users_open(&users, root, NULL), ST_OK);
    users->ops->scan(users, on_registration, &seen);
    users->ops->close(users);
    RegDeleteTreeA(HKEY_LOCAL_MACHINE, root);
    assert_string_equal(seen.text, "S-1-5-21-1-2-3-1001=rancher-desktop;");
}

static void a_key_that_is_absent_has_nobody(void **state)
{
    struct vm_users *users;
    struct seen seen = { 0 };

    assert_int_equal(vm_users_open(&users, "SOFTWARE\\rdl-no-such-key", NULL), ST_OK);
    users->ops->scan(users, on_registration, &seen);
    users->ops->close(users);
    assert_int_equal(seen.count, 0);
}

static void a_sid_without_a_name_is_told_as_itself(void **state)
{
    struct vm_users *users;
    char name[VM_OWNER_NAME_MAX];

    assert_int_equal(vm_users_open(&users, NULL, NULL), ST_OK);
    users->ops->name(users, "S-1-5-21-9-9-9-9999", name, sizeof name);
    assert_string_equal(name, "S-1-5-21-9-9-9-9999");
    users->ops->name(users, "no SID at all", name, sizeof name);
    assert_string_equal(name, "no SID at all");
    users->ops->name(users, "S-1-5-18", name, sizeof name);
    assert_non_null(strchr(name, '\\'));
    users->ops->close(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_persons_and_readable_names_are_told),
        cmocka_unit_test(a_key_that_is_absent_has_nobody),
        cmocka_unit_test(a_sid_without_a_name_is_told_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
