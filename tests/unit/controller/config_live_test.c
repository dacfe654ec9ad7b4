/* SPDX-License-Identifier: Apache-2.0
 * A folder of its own for each test, and the real loop: what is tested is that a written file comes
 * into force.
 */
#include "config/config_live.h"

#include "port/put_file.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 10000 };

struct fixture {
    struct loop *loop;
    struct config_live *live;
    struct config config;
    struct config_input in;
    const char *argv[2];
    char file[64];
    unsigned applied, effects, changes;
    struct timer deadline;
};

static void on_applied(void *ctx, unsigned effects)
{
    struct fixture *f = ctx;

    f->applied++;
    f->effects = effects;
}

static void on_change(void *ctx)
{
    struct fixture *f = ctx;

    f->changes++;
}

static const struct config_live_ops ops = { .on_applied = on_applied, .on_change = on_change };

static void write_file(struct fixture *f, const char *text)
{
    assert_int_equal(put_file(f->file, text, strlen(text), 0600), ST_OK);
}

static void on_deadline(void *ctx)
{
    fail_msg("nothing changed in time");
}

/* Until on_change() was called once more. */
static void wait_for_change(struct fixture *f)
{
    unsigned before = f->changes;

    timer_start(&f->deadline, WAIT_MS);
    while (f->changes == before)
        loop_uv_run_once(f->loop);
    timer_stop(&f->deadline);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    static unsigned number;

    assert_non_null(f);
    *state = f;
    snprintf(f->file, sizeof f->file, "config-live-%lld-%u.conf", (long long)sys_pid(), number++);
    f->argv[0] = "--config";
    f->argv[1] = f->file;
    f->in = (struct config_input){ .argc = 2, .argv = f->argv };
    write_file(f, "mtu = 1400\nstatus = unix:/s1\n");
    assert_int_equal(loop_uv_new(&f->loop, NULL), ST_OK);
    timer_init(&f->deadline, f->loop, on_deadline, f);
    assert_int_equal(config_load(&f->config, &f->in, NULL), ST_OK);
    assert_int_equal(config_live_new(&f->live, f->loop, &f->config, &f->in, &ops, f), ST_OK);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    config_live_free(f->live);
    timer_stop(&f->deadline);
    loop_uv_free(f->loop);
    remove(f->file);
    free(f);
    return 0;
}

static void a_written_value_comes_into_force(void **state)
{
    struct fixture *f = *state;
    struct config_view view;

    write_file(f, "mtu = 1300\nmax-connections = 5\nstatus = unix:/s1\n");
    wait_for_change(f);
    assert_int_equal(f->config.network.mtu, 1300);
    assert_int_equal(f->config.max_connections, 5);
    assert_int_equal(f->applied, 1);
    assert_int_equal(f->effects, 1u << CONFIG_NETWORK | 1u << CONFIG_DOCKER);
    config_live_view(f->live, &view);
    assert_true(view.valid);
    assert_int_equal(view.generation, 2);
    assert_int_equal(view.pending_count, 0);
}

static void what_was_written_before_the_watch_began_is_seen(void **state)
{
    struct fixture *f = *state;

    config_live_free(f->live);
    write_file(f, "mtu = 1300\nstatus = unix:/s1\n"); /* after @config was loaded */
    assert_int_equal(config_live_new(&f->live, f->loop, &f->config, &f->in, &ops, f), ST_OK);
    wait_for_change(f);
    assert_int_equal(f->config.network.mtu, 1300);
}

static void a_mistake_leaves_everything_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct config_view view;
    char want[128];

    write_file(f, "mtu = 1300\nmax-conections = 5\n");
    wait_for_change(f);
    assert_int_equal(f->config.network.mtu, 1400);
    assert_int_equal(f->applied, 0);
    config_live_view(f->live, &view);
    assert_false(view.valid);
    assert_int_equal(view.generation, 1);
    snprintf(want, sizeof want, "%s:2:1: unknown option 'max-conections'", f->file);
    assert_memory_equal(view.message, want, strlen(want));

    write_file(f, "mtu = 1300\nstatus = unix:/s1\n");
    wait_for_change(f);
    config_live_view(f->live, &view);
    assert_true(view.valid);
    assert_string_equal(view.message, "");
    assert_int_equal(f->config.network.mtu, 1300);
}

static void what_cannot_change_now_is_pending(void **state)
{
    struct fixture *f = *state;
    struct config_view view;
    char text[ADDR_TEXT_MAX];

    write_file(f, "mtu = 1400\nstatus = unix:/s2\n");
    wait_for_change(f);
    assert_int_equal(f->applied, 0);
    assert_string_equal(f->config.text.status, "unix:/s1");
    assert_string_equal(addr_format(&f->config.status, text, sizeof text), "unix:/s1");
    config_live_view(f->live, &view);
    assert_true(view.valid);
    assert_int_equal(view.generation, 2);
    assert_int_equal(view.pending_count, 1);
    assert_string_equal(view.pending[0], "status");

    write_file(f, "mtu = 1400\nstatus = unix:/s1\n");
    wait_for_change(f);
    config_live_view(f->live, &view);
    assert_int_equal(view.pending_count, 0);
}

static void who_asks_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    struct errmsg e = { "" };

    assert_int_equal(config_live_reload(f->live, &e), ST_OK);
    assert_int_equal(f->applied, 0);
    write_file(f, "mtu = many\n");
    assert_int_equal(config_live_reload(f->live, &e), ST_INVAL);
    assert_non_null(strstr(e.text, ":1:7: mtu: 'many' is not a whole number"));
    remove(f->file);
    assert_int_equal(config_live_reload(f->live, &e), ST_NOTFOUND); /* it was named */
    assert_int_equal(f->config.network.mtu, 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_written_value_comes_into_force, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_written_before_the_watch_began_is_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_mistake_leaves_everything_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_change_now_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_is_told_at_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
