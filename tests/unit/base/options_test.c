/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_source.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

struct config {
    bool verbose;
    uint32_t max;
    uint32_t timeout_ms;
    char target[OPTION_VALUE_MAX];
    struct option_list listen;
};

static enum status check_target(const char *value, struct errmsg *e)
{
    if (!strncmp(value, "unix:", 5))
        return ST_OK;
    errmsg_set(e, "'%s' is no address", value);
    return ST_INVAL;
}

#define AT(field) offsetof(struct config, field)
static const struct option table[] = {
    { "verbose", OPTION_FLAG, AT(verbose), NULL, 0, 0, NULL, NULL, "say more" },
    { "max-connections", OPTION_UINT, AT(max), "512", 1, 1000, NULL, "N", "how many at a time" },
    { "timeout", OPTION_DURATION, AT(timeout_ms), "5s", 10, 60000, NULL, "TIME", "how long" },
    { "target", OPTION_STRING, AT(target), "unix:/d", 0, 0, check_target, "ADDR", "where to" },
    { "listen", OPTION_LIST, AT(listen), "vsock:1", 0, 0, NULL, "ADDR", "where from" },
};

static struct config defaults(void)
{
    struct config c;

    memset(&c, 0, sizeof c);
    options_defaults(table, ARRAY_SIZE(table), &c);
    return c;
}

static void defaults_come_from_the_table(void **state)
{
    struct config c = defaults();

    assert_false(c.verbose);
    assert_int_equal(c.max, 512);
    assert_int_equal(c.timeout_ms, 5000);
    assert_string_equal(c.target, "unix:/d");
    assert_int_equal(c.listen.count, 1);
}

static void command_line_takes_both_spellings(void **state)
{
    const char *argv[] = { "--verbose", "--max-connections", "7",   "--timeout=250ms", "--listen",
                           "a",         "--listen=b",        "verb" };
    struct config c = defaults();
    int rest = 0;

    assert_int_equal(options_parse_argv(table, ARRAY_SIZE(table), &c, (int)ARRAY_SIZE(argv), argv,
                                        &rest, NULL),
                     ST_OK);
    assert_int_equal(rest, 7);
    assert_true(c.verbose);
    assert_int_equal(c.max, 7);
    assert_int_equal(c.timeout_ms, 250);
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[0], "a"); /* replaced the default */
    assert_string_equal(c.listen.items[1], "b");
}

static void command_line_errors_are_clear(void **state)
{
    static const struct {
        const char *argv[2];
        const char *want;
    } rows[] = {
        { { "--max-conections", "1" },
          "unknown option 'max-conections': did you mean 'max-connections'?" },
        { { "--zzzzzzzzzzz", "1" }, "unknown option 'zzzzzzzzzzz'" },
        { { "--max-connections", "0" }, "max-connections: 0 is outside 1 to 1000" },
        { { "--max-connections", "7x" }, "max-connections: '7x' is not a whole number" },
        { { "--max-connections", "-1" }, "max-connections: '-1' is not a whole number" },
        { { "--max-connections", "99999999999999999999" },
          "max-connections: '99999999999999999999' is not a whole number" },
        { { "--timeout", "5 parsecs" },
          "timeout: '5 parsecs' is not a duration such as 250ms, 5s or 2m" },
        { { "--timeout", "1193047h" },
          "timeout: '1193047h' is not a duration such as 250ms, 5s or 2m" },
        { { "--target", "nowhere" }, "target: 'nowhere' is no address" },
        { { "--verbose=maybe", "x" }, "verbose: 'maybe' is neither true nor false" },
        { { "x", "--target" }, "--target needs a value (ADDR)" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config c = defaults();
        struct errmsg e = { "" };
        bool second_only = !strcmp(rows[i].argv[0], "x");
        int rest = 0;
        enum status st = options_parse_argv(table, ARRAY_SIZE(table), &c, second_only ? 1 : 2,
                                            rows[i].argv + second_only, &rest, &e);

        assert_int_equal(st, ST_INVAL);
        assert_string_equal(e.text, rows[i].want);
    }
}

static enum status parse_bytes(struct config *c, const char *text, size_t len_bytes,
                               struct errmsg *e)
{
    struct option_source s = { .table = table, .count = ARRAY_SIZE(table), .config = c };

    return option_source_text(&s, "f", text, len_bytes, e);
}

static enum status parse(struct config *c, const char *text, struct errmsg *e)
{
    return parse_bytes(c, text, strlen(text), e);
}

static void file_takes_comments_quotes_and_lists(void **state)
{
    struct config c = defaults();

    assert_int_equal(parse(&c,
                           "# a comment\n\n  max-connections=9 # and one more\r\n"
                           "target = \"unix:/with # and space \"\nlisten = a\nlisten=b\n"
                           "verbose = yes",
                           NULL),
                     ST_OK);
    assert_int_equal(c.max, 9);
    assert_string_equal(c.target, "unix:/with # and space ");
    assert_int_equal(c.listen.count, 2);
    assert_true(c.verbose);
}

static void file_errors_say_line_and_column(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "max-connections 9", "f:1:17: expected '=' after 'max-connections'" },
        { "\n\n  verbos = on", "f:3:3: unknown option 'verbos': did you mean 'verbose'?" },
        { "target = \"unix:", "f:1:16: missing closing quote" },
        { "target = \"unix:/a\" b", "f:1:20: unexpected text after the value of 'target'" },
        { "timeout = 1h", "f:1:11: timeout: 1h is outside 10 to 60000 ms" },
        { "= 4", "f:1:1: expected a key of letters, digits and '-'" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config c = defaults();
        struct errmsg e = { "" };

        assert_int_equal(parse(&c, rows[i].text, &e), ST_INVAL);
        assert_string_equal(e.text, rows[i].want);
    }
}

static void what_follows_the_longest_value_is_no_part_of_it(void **state)
{
    static const char *const ends[] = { "", "\r\n", " \t\r\n", " # and why", "#" };
    char text[OPTION_VALUE_MAX + 64], value[OPTION_VALUE_MAX];

    memset(value, 'u', sizeof value - 1);
    memcpy(value, "unix:", 5);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
        struct config c = defaults();

        snprintf(text, sizeof text, "target = %s%s", value, ends[i]);
        assert_int_equal(parse(&c, text, NULL), ST_OK);
        assert_string_equal(c.target, value);
    }
}

static void values_are_bounded(void **state)
{
    char text[OPTION_VALUE_MAX + 64];
    struct config c = defaults();
    struct errmsg e = { "" };

    memset(text, 'u', sizeof text);
    memcpy(text, "listen = ", 9);
    text[sizeof text - 1] = '\0';
    assert_int_equal(parse(&c, text, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "value longer than 255 bytes"));
    assert_int_equal(parse_bytes(&c, "listen = a\0b", 12, &e), ST_INVAL);
    for (unsigned i = 0; i < OPTION_LIST_MAX; i++)
        snprintf(text + (size_t)i * 9, 10, "listen=a\n");
    assert_int_equal(parse(&c, text, &e), ST_OK);
    snprintf(text + (size_t)OPTION_LIST_MAX * 9, 10, "listen=a\n");
    assert_int_equal(parse(&c, text, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "more than 16 values"));
}

static void help_fits_eighty_columns(void **state)
{
    char buf[4096];
    size_t n = options_help(table, ARRAY_SIZE(table), buf, sizeof buf);
    char tiny[8];

    assert_in_range(n, 1, sizeof buf - 1);
    assert_non_null(strstr(buf, "--max-connections N   [512]\n"));
    for (const char *line = buf; *line;) {
        const char *end = strchr(line, '\n');

        assert_non_null(end);
        assert_in_range(end - line, 1, 79);
        line = end + 1;
    }
    assert_int_equal(options_help(table, ARRAY_SIZE(table), tiny, sizeof tiny), n);
    assert_int_equal(strlen(tiny), sizeof tiny - 1);
}

static void missing_file_is_not_found(void **state)
{
    struct config c = defaults();
    struct errmsg e;

    assert_int_equal(options_load_file(table, ARRAY_SIZE(table), &c, "no/such/file", &e),
                     ST_NOTFOUND);
    assert_string_equal(e.text, "no/such/file: not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(command_line_takes_both_spellings),
        cmocka_unit_test(command_line_errors_are_clear),
        cmocka_unit_test(file_takes_comments_quotes_and_lists),
        cmocka_unit_test(file_errors_say_line_and_column),
        cmocka_unit_test(what_follows_the_longest_value_is_no_part_of_it),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(help_fits_eighty_columns),
        cmocka_unit_test(missing_file_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
