/* SPDX-License-Identifier: Apache-2.0
 * `rdlink config` on a file of its own: it needs no service.
 */
#include "cli_fixture.h"

#include "port/sys.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char path[64];

/* Nothing of this computer's own configuration is read. */
#define ROOT "no-such-folder"

static int setup(void **state)
{
    snprintf(path, sizeof path, "cli-config-%lld.conf", (long long)sys_pid());
    return cli_fixture_setup(state);
}

static int teardown(void **state)
{
    remove(path);
    return cli_fixture_teardown(state);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_file(const char *want)
{
    char text[1024];
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, want);
}

/* `rdlink config WORDS` on the file. */
static int run(struct fixture *f, const char *const *words)
{
    const char *argv[16] = { "rdlink", "config", "--config", path, "--config-root", ROOT };
    int argc = 6;

    while (*words)
        argv[argc++] = *words++;
    f->out[0] = f->err[0] = '\0';
    return cli_start(&f->cli, &f->env, argc, argv);
}

#define RUN(f, ...) run(f, (const char *const[]){ __VA_ARGS__, NULL })

static void check_shows_every_mistake_with_its_place(void **state)
{
    struct fixture *f = *state;
    char want[256];

    write_file("mtu = 1400\nmax-conections = 3\nsubnet = x\n");
    assert_int_equal(RUN(f, "check"), CLI_DEGRADED);
    snprintf(want, sizeof want, "%s:2:1: unknown option 'max-conections'", path);
    assert_true(has(f->out, want));
    snprintf(want, sizeof want, "%s:3:10: subnet: 'x' is no IPv4 network", path);
    assert_true(has(f->out, want));
    assert_true(has(f->out, "2 mistakes\n"));
    write_file("mtu = 1400\n");
    assert_int_equal(RUN(f, "check"), CLI_READY);
    assert_true(has(f->out, "no mistakes"));
    remove(path);
    assert_int_equal(RUN(f, "check"), CLI_USAGE);
    assert_true(has(f->err, "not found"));
}

static void what_does_not_fit_together_has_a_place_too(void **state)
{
    struct fixture *f = *state;
    char want[256];

    write_file("# with IPv6\nmtu = 1000\n");
    assert_int_equal(RUN(f, "check"), CLI_DEGRADED);
    snprintf(want, sizeof want, "%s:2: MTU: 1000", path);
    assert_true(has(f->out, want));
}

static void set_and_unset_keep_the_rest_of_the_file(void **state)
{
    struct fixture *f = *state;

    write_file("# mine\n\nmtu = 1400 # why\n");
    assert_int_equal(RUN(f, "set", "mtu", "1300"), CLI_READY);
    assert_int_equal(RUN(f, "set", "forward", ":1=192.168.127.2:1", ":2=192.168.127.2:2"),
                     CLI_READY);
    assert_file("# mine\n\nmtu = 1300 # why\nforward = :1=192.168.127.2:1\n"
                "forward = :2=192.168.127.2:2\n");
    assert_int_equal(RUN(f, "unset", "forward"), CLI_READY);
    assert_int_equal(RUN(f, "set", "status-file", "/tmp/x"), CLI_READY);
    assert_true(has(f->out, "when the service starts next"));
    assert_file("# mine\n\nmtu = 1300 # why\nstatus-file = /tmp/x\n");
}

static void what_the_service_would_refuse_is_not_written(void **state)
{
    static const struct {
        const char *words[4];
        int code;
        const char *want;
    } rows[] = {
        { { "set", "mtu", "big" }, CLI_DEGRADED, ":1:7: mtu: 'big' is not a whole number" },
        { { "set", "mtu", "1000" }, CLI_DEGRADED, ":1: MTU: 1000" },
        { { "set", "mtuu", "1" }, CLI_USAGE, "did you mean 'mtu'?" },
        { { "set", "mtu", "1", "2" }, CLI_USAGE, "only a list" },
        { { "set", "config", "x" }, CLI_DEGRADED, "belongs on the command line" },
        { { "set", "mtu" }, CLI_USAGE, "takes a key and its value" },
        { { "unset" }, CLI_USAGE, "takes a key" },
        { { "change" }, CLI_USAGE, "'change' is none of check|show|set|unset" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *words[5] = { NULL };

        memcpy(words, rows[i].words, sizeof rows[i].words);
        write_file("mtu = 1400\n");
        assert_int_equal(run(f, words), rows[i].code);
        if (!has(f->err, rows[i].want))
            fail_msg("row %u: '%s' does not say '%s'", i, f->err, rows[i].want);
        assert_file("mtu = 1400\n");
    }
}

static void show_says_where_each_value_is_from(void **state)
{
    struct fixture *f = *state;
    char want[128];
    cJSON *root, *values, *mtu;

    write_file("\nmtu = 1400\n");
    assert_int_equal(RUN(f, "show"), CLI_READY);
    snprintf(want, sizeof want, "1400  (%s:2)\n", path);
    assert_true(has(f->out, want));
    assert_int_equal(RUN(f, "show", "--json"), CLI_READY);
    root = cJSON_Parse(f->out);
    values = cJSON_GetObjectItem(root, "values");
    mtu = cJSON_GetObjectItem(values, "mtu");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(mtu, "value")) == 1400);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(mtu, "source")), "file");
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(mtu, "locked")));
    assert_true(
        cJSON_IsArray(cJSON_GetObjectItem(cJSON_GetObjectItem(values, "forward"), "value")));
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_shows_every_mistake_with_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_together_has_a_place_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(set_and_unset_keep_the_rest_of_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_service_would_refuse_is_not_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(show_says_where_each_value_is_from, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
