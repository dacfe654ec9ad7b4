/* SPDX-License-Identifier: Apache-2.0 */
#include "network/forward_list.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct forward_text text(const char *protocol, const char *local, const char *remote)
{
    struct forward_text f;

    snprintf(f.protocol, sizeof f.protocol, "%s", protocol);
    snprintf(f.local, sizeof f.local, "%s", local);
    snprintf(f.remote, sizeof f.remote, "%s", remote);
    return f;
}

static void protocol_and_local_address_are_the_key(void **state)
{
    struct forward_list l = { NULL, 0, 0 };
    const struct forward_text tcp = text("tcp", ":1", "a:1"), udp = text("udp", ":1", "a:1"),
                              other = text("tcp", ":1", "b:2");

    assert_int_equal(forward_list_put(&l, &tcp), ST_OK);
    assert_int_equal(forward_list_put(&l, &udp), ST_OK);
    assert_int_equal(forward_list_put(&l, &other), ST_OK);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.items[0].remote, "b:2");
    forward_list_remove(&l, &tcp);
    assert_int_equal(l.count, 1);
    assert_string_equal(l.items[0].protocol, "udp");
    forward_list_remove(&l, &tcp); /* is not there */
    assert_int_equal(l.count, 1);
    forward_list_clear(&l);
    assert_int_equal(l.count, 0);
}

static void there_is_a_bound(void **state)
{
    struct forward_list l = { NULL, 0, 0 };
    struct forward_text f = text("tcp", "", "a:1");

    for (unsigned i = 0; i < FORWARD_LIST_MAX; i++) {
        snprintf(f.local, sizeof f.local, ":%u", i);
        assert_int_equal(forward_list_put(&l, &f), ST_OK);
    }
    snprintf(f.local, sizeof f.local, ":70000");
    assert_int_equal(forward_list_put(&l, &f), ST_FULL);
    snprintf(f.local, sizeof f.local, ":5");
    assert_int_equal(forward_list_put(&l, &f), ST_OK); /* in the place of its own */
    forward_list_clear(&l);
}

struct told {
    char text[512];
    unsigned left; /* until it fails */
};

static enum status tell(void *ctx, const struct forward_text *f, bool removed)
{
    struct told *t = ctx;
    size_t len = strlen(t->text);

    snprintf(t->text + len, sizeof t->text - len, "%s%s %s %s;", removed ? "-" : "+", f->protocol,
             f->local, f->remote);
    return t->left-- ? ST_OK : ST_CLOSED;
}

static void a_changed_list_is_what_goes_and_then_what_comes(void **state)
{
    const struct option_list before = { { ":1=10.0.0.2:1", "udp:[::1]:2=10.0.0.2:2" }, 2 },
                             after = { { ":1=10.0.0.2:9", "udp:[::1]:2=10.0.0.2:2", ":3=x:3" }, 3 };
    struct told all = { "", 9 }, few = { "", 0 };

    assert_int_equal(forward_specs_diff(&before, &before, tell, &all), ST_OK);
    assert_string_equal(all.text, "");
    assert_int_equal(forward_specs_diff(&before, &after, tell, &all), ST_OK);
    assert_string_equal(all.text, "-tcp :1 10.0.0.2:1;+tcp :1 10.0.0.2:9;+tcp :3 x:3;");
    assert_int_equal(forward_specs_diff(&before, &after, tell, &few), ST_CLOSED);
    assert_string_equal(few.text, "-tcp :1 10.0.0.2:1;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_and_local_address_are_the_key),
        cmocka_unit_test(there_is_a_bound),
        cmocka_unit_test(a_changed_list_is_what_goes_and_then_what_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
