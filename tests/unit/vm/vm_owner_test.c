/* SPDX-License-Identifier: Apache-2.0
 * Users and their distributions come from a script.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "vm/vm_owner.h"

#include <stdio.h>
#include <string.h>

#define ANNA "S-1-5-21-1-2-3-1001"
#define BERT "S-1-5-21-1-2-3-1002"

enum { REGISTRATIONS_MAX = 4 };

struct registration {
    const char *sid, *distribution;
};

struct script {
    struct vm_users base;
    const struct registration *registrations;
};

static void script_scan(struct vm_users *u, vm_registration_fn *fn, void *ctx)
{
    const struct script *s = container_of(u, struct script, base);

    for (unsigned i = 0; i < REGISTRATIONS_MAX && s->registrations[i].sid; i++)
        fn(ctx, s->registrations[i].sid, s->registrations[i].distribution);
}

static void script_name(struct vm_users *u, const char *sid, char *buf, size_t cap)
{
    snprintf(buf, cap, "PC\\%s", strcmp(sid, ANNA) ? "bert" : "anna");
}

static const struct vm_users_ops script_ops = { script_scan, script_name, NULL };

static const struct {
    const char *name;
    struct registration registrations[REGISTRATIONS_MAX];
    enum vm_owner_state state;
    const char *owner; /* name */
} rows[] = {
    { "nobody is logged on", { { NULL, NULL } }, VM_OWNER_NONE, "" },
    { "one user has it", { { ANNA, "rancher-desktop" } }, VM_OWNER_ONE, "PC\\anna" },
    { "its letters' case does not count",
      { { BERT, "Rancher-Desktop" } },
      VM_OWNER_ONE,
      "PC\\bert" },
    { "others have other distributions",
      { { ANNA, "Ubuntu" }, { BERT, "rancher-desktop" }, { ANNA, "rancher-desktop-data" } },
      VM_OWNER_ONE,
      "PC\\bert" },
    { "one user has both names of it",
      { { ANNA, "rancher-desktop" }, { ANNA, "lima-rd" } },
      VM_OWNER_ONE,
      "PC\\anna" },
    { "two users have it",
      { { ANNA, "rancher-desktop" }, { BERT, "lima-rd" } },
      VM_OWNER_SEVERAL,
      "" },
    { "two are not one again because the first comes twice",
      { { ANNA, "rancher-desktop" }, { BERT, "lima-rd" }, { ANNA, "lima-rd" } },
      VM_OWNER_SEVERAL,
      "" },
    { "a beginning of the name is not the name", { { ANNA, "rancher" } }, VM_OWNER_NONE, "" },
};

static const struct option_list distributions = { { "rancher-desktop", "lima-rd" }, 2 };

static void find(const struct registration *registrations, struct vm_owner *out)
{
    struct script script = { { &script_ops }, registrations };

    vm_owner_find(&script.base, &distributions, out);
}

static void owner_by_who_has_the_distribution(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vm_owner o;

        find(rows[i].registrations, &o);
        if (o.state != rows[i].state || strcmp(o.name, rows[i].owner) != 0)
            fail_msg("%s: state %d, owner '%s'", rows[i].name, (int)o.state, o.name);
        if ((o.state == VM_OWNER_ONE) != (o.sid[0] != '\0'))
            fail_msg("%s: SID '%s'", rows[i].name, o.sid);
    }
}

static void a_sid_that_is_too_long_is_nobody(void **state)
{
    char sid[VM_OWNER_SID_MAX + 1];
    const struct registration registrations[REGISTRATIONS_MAX] = { { sid, "rancher-desktop" } };
    struct vm_owner o;

    memset(sid, '1', sizeof sid - 1);
    sid[sizeof sid - 1] = '\0';
    find(registrations, &o);
    assert_int_equal(o.state, VM_OWNER_NONE);
}

static void with_an_owner_the_group_is_served_too(void **state)
{
    const struct registration registrations[REGISTRATIONS_MAX] = { { ANNA, "lima-rd" } };
    const struct option_list none = { .count = 0 };
    const char *names[VM_OWNER_GRANTS_MAX];
    struct vm_owner o;
    bool is_optional;

    find(registrations, &o);
    assert_int_equal(vm_owner_grants(&o, &none, names, &is_optional), 2);
    assert_string_equal(names[0], ANNA);
    assert_string_equal(names[1], "docker-users");
    assert_true(is_optional);
}

static void what_is_configured_replaces_the_group_and_not_the_owner(void **state)
{
    const struct registration registrations[REGISTRATIONS_MAX] = { { ANNA, "lima-rd" } };
    const struct option_list configured = { { "builders" }, 1 };
    const char *names[VM_OWNER_GRANTS_MAX];
    struct vm_owner o;
    bool is_optional;

    find(registrations, &o);
    assert_int_equal(vm_owner_grants(&o, &configured, names, &is_optional), 2);
    assert_string_equal(names[0], ANNA);
    assert_string_equal(names[1], "builders");
    assert_false(is_optional);
}

static void without_an_owner_only_what_is_configured_is_served(void **state)
{
    const struct registration several[REGISTRATIONS_MAX] = { { ANNA, "lima-rd" },
                                                             { BERT, "lima-rd" } };
    const struct registration nobody[REGISTRATIONS_MAX] = { { NULL, NULL } };
    const struct registration *const cases[] = { several, nobody };
    const struct option_list configured = { { "builders" }, 1 }, none = { .count = 0 };
    const char *names[VM_OWNER_GRANTS_MAX];
    struct vm_owner o;
    bool is_optional;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        find(cases[i], &o);
        assert_int_equal(vm_owner_grants(&o, &none, names, &is_optional), 0);
        assert_false(is_optional);
        assert_int_equal(vm_owner_grants(&o, &configured, names, &is_optional), 1);
        assert_string_equal(names[0], "builders");
    }
}

static void an_owner_has_a_place_however_many_are_configured(void **state)
{
    const struct registration registrations[REGISTRATIONS_MAX] = { { ANNA, "lima-rd" } };
    struct option_list configured = { .count = OPTION_LIST_MAX };
    const char *names[VM_OWNER_GRANTS_MAX];
    struct vm_owner o;
    bool is_optional;

    find(registrations, &o);
    assert_int_equal(vm_owner_grants(&o, &configured, names, &is_optional), VM_OWNER_GRANTS_MAX);
    assert_string_equal(names[0], ANNA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_by_who_has_the_distribution),
        cmocka_unit_test(a_sid_that_is_too_long_is_nobody),
        cmocka_unit_test(with_an_owner_the_group_is_served_too),
        cmocka_unit_test(what_is_configured_replaces_the_group_and_not_the_owner),
        cmocka_unit_test(without_an_owner_only_what_is_configured_is_served),
        cmocka_unit_test(an_owner_has_a_place_however_many_are_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
