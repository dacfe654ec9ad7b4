/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/config.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 12 };

struct given {
    const char *words[WORDS_MAX]; /* NULL-terminated */
};

static enum status load(struct config *c, const struct given *given, struct errmsg *e)
{
    int argc = 0;

    while (argc < WORDS_MAX && given->words[argc])
        argc++;
    return config_load(c, argc, given->words, e);
}

static void defaults_are_those_of_a_rancher_guest(void **state)
{
    struct config c;
    struct given none = { { NULL } };
    char text[ADDR_TEXT_MAX];

    assert_int_equal(load(&c, &none, NULL), ST_OK);
    assert_int_equal(c.listen_count, 1);
    assert_string_equal(addr_format(&c.listen_at[0], text, sizeof text), "vsock:6660");
    assert_true(c.has_control);
    assert_string_equal(addr_format(&c.control_at, text, sizeof text), "vsock:6680");
    assert_string_equal(addr_format(&c.target_at, text, sizeof text), "unix:/var/run/docker.sock");
    assert_int_equal(c.target_owner, 0);
    assert_int_equal(c.max_connections, 512);
    assert_int_equal(c.dial_timeout_ms, 800);
    assert_int_equal(c.drain_timeout_ms, 10000);
    assert_string_equal(c.log_level, "info");
}

static void ports_and_the_control_address_follow_from_the_first_listen_address(void **state)
{
    static const struct {
        const char *name;
        struct given given;
        const char *listen, *control; /* NULL = no control port */
    } rows[] = {
        { "hybrid without a port",
          { { "--listen", "vsock-hybrid:/v" } },
          "vsock-hybrid:/v:6660",
          "vsock-hybrid:/v:6680" },
        { "hybrid with a port",
          { { "--listen=vsock-hybrid:/v:7" } },
          "vsock-hybrid:/v:7",
          "vsock-hybrid:/v:6680" },
        { "unix", { { "--listen", "unix:/a" } }, "unix:/a", NULL },
        { "unix, control by hand",
          { { "--listen", "unix:/a", "--control", "unix:/c" } },
          "unix:/a",
          "unix:/c" },
        { "tcp", { { "--listen", "tcp:127.0.0.1:80" } }, "tcp:127.0.0.1:80", NULL },
        { "several: the first decides",
          { { "--listen", "vsock:5", "--listen", "unix:/a" } },
          "vsock:5",
          "vsock:6680" },
        { "control off", { { "--control", "none" } }, "vsock:6660", NULL },
        { "control without a port",
          { { "--control", "vsock-hybrid:/v" } },
          "vsock:6660",
          "vsock-hybrid:/v:6680" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[ADDR_TEXT_MAX];
        struct config c;

        print_message("row: %s\n", rows[i].name);
        assert_int_equal(load(&c, &rows[i].given, NULL), ST_OK);
        assert_string_equal(addr_format(&c.listen_at[0], text, sizeof text), rows[i].listen);
        assert_int_equal(c.has_control, rows[i].control != NULL);
        if (c.has_control)
            assert_string_equal(addr_format(&c.control_at, text, sizeof text), rows[i].control);
    }
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        struct given given;
        const char *says;
    } rows[] = {
        { { { "--listen", "carrier-pigeon" } }, "carrier-pigeon" },
        { { { "--log-level", "loud" } }, "'loud' is none of" },
        { { { "--max-connections", "0" } }, "max-connections" },
        { { { "--taget", "unix:/d" } }, "target" },
        { { { "--control", "vsock:6660" } }, "same address" },
        { { { "bridge" } }, "unexpected argument 'bridge'" },
        { { { "--config", "/nowhere/rdlink.conf" } }, "/nowhere/rdlink.conf" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errmsg e = { "" };
        struct config c;

        assert_int_not_equal(load(&c, &rows[i].given, &e), ST_OK);
        if (!strstr(e.text, rows[i].says))
            fail_msg("not said: %s, but: %s", rows[i].says, e.text);
    }
}

static void the_command_line_is_above_the_file(void **state)
{
    static const char path[] = "config_test.conf";
    struct given given = { { "--config", path, "--max-connections", "7", "--listen", "unix:/b" } };
    char text[ADDR_TEXT_MAX];
    struct config c;
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fprintf(file, "max-connections = 3\ndrain-timeout = 2s\nlisten = unix:/a\n");
    fclose(file);
    assert_int_equal(load(&c, &given, NULL), ST_OK);
    remove(path);
    assert_int_equal(c.max_connections, 7);
    assert_int_equal(c.drain_timeout_ms, 2000);
    assert_int_equal(c.listen_count, 1);
    assert_string_equal(addr_format(&c.listen_at[0], text, sizeof text), "unix:/b");
}

static void help_names_every_option_within_80_columns(void **state)
{
    static const char *const keys[] = { "--config",       "--listen",        "--control",
                                        "--target",       "--target-owner",  "--max-connections",
                                        "--dial-timeout", "--drain-timeout", "--log-level" };
    char text[8192];
    size_t column = 0;

    assert_true(config_help(text, sizeof text) < sizeof text);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_non_null(strstr(text, keys[i]));
    for (const char *p = text; *p; p++) {
        column = *p == '\n' ? 0 : column + 1;
        assert_true(column <= 80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_a_rancher_guest),
        cmocka_unit_test(ports_and_the_control_address_follow_from_the_first_listen_address),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_command_line_is_above_the_file),
        cmocka_unit_test(help_names_every_option_within_80_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
