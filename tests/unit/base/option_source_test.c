/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_source.h"

#include "base/option_value.h"
#include "support/cmocka_all.h"

#include <string.h>

struct config {
    bool flag;
    uint32_t number, time_ms;
    char text[OPTION_VALUE_MAX];
    struct option_list list;
};

#define AT(field) offsetof(struct config, field)
static const struct option table[] = {
    { "flag", OPTION_FLAG, AT(flag), NULL, 0, 0, NULL, NULL, "a flag" },
    { "number", OPTION_UINT, AT(number), "5", 1, 10, NULL, "N", "a number" },
    { "time", OPTION_DURATION, AT(time_ms), "1500ms", 0, 0, NULL, "TIME", "a time" },
    { "text", OPTION_STRING, AT(text), "t", 0, 0, NULL, "TEXT", "a text" },
    { "list", OPTION_LIST, AT(list), NULL, 0, 0, NULL, "X", "a list" },
};

struct overlay {
    struct config config;
    struct option_origin origins[ARRAY_SIZE(table)];
    unsigned mistakes;
    char told[4][256];
};

static struct option_source source(struct overlay *o, enum option_layer layer)
{
    return (struct option_source){ .table = table,
                                   .count = ARRAY_SIZE(table),
                                   .config = &o->config,
                                   .layer = layer,
                                   .origins = o->origins };
}

static void read_text(struct overlay *o, enum option_layer layer, const char *text)
{
    struct option_source s = source(o, layer);

    assert_int_equal(option_source_text(&s, "f", text, strlen(text), NULL), ST_OK);
}

static void a_later_source_wins_and_is_remembered(void **state)
{
    static struct overlay o;
    const char *const argv[] = { "--number=7" };
    struct option_source s = source(&o, OPTION_FROM_ARGV);
    int rest;

    options_defaults(table, ARRAY_SIZE(table), &o.config);
    read_text(&o, OPTION_FROM_FILE, "# x\nnumber = 6\ntext = file\n");
    assert_int_equal(option_source_argv(&s, 1, argv, &rest, NULL), ST_OK);
    read_text(&o, OPTION_FROM_POLICY, "\n\n\ntext = policy\n");
    assert_int_equal(o.config.number, 7);
    assert_int_equal(o.origins[1].layer, OPTION_FROM_ARGV);
    assert_int_equal(o.origins[1].line, 0);
    assert_string_equal(o.config.text, "policy");
    assert_int_equal(o.origins[3].layer, OPTION_FROM_POLICY);
    assert_int_equal(o.origins[3].line, 4);
    assert_int_equal(o.origins[3].layers, 1u << OPTION_FROM_FILE | 1u << OPTION_FROM_POLICY);
    assert_int_equal(o.origins[0].layer, OPTION_FROM_DEFAULT);
}

static void a_list_of_a_later_source_replaces_the_whole_list(void **state)
{
    static struct overlay o;
    struct option_source s = source(&o, OPTION_FROM_POLICY);

    read_text(&o, OPTION_FROM_FILE, "list = a\nlist = b\n");
    read_text(&o, OPTION_FROM_REGISTRY, "list = c\nlist = d\n");
    assert_int_equal(o.config.list.count, 2);
    assert_string_equal(o.config.list.items[0], "c");
    assert_int_equal(o.origins[4].line, 1); /* where it begins */
    option_source_set_empty(&s, &table[4]);
    assert_int_equal(o.config.list.count, 0);
    assert_int_equal(o.origins[4].layer, OPTION_FROM_POLICY);
}

static void tell(void *ctx, const char *text)
{
    struct overlay *o = ctx;

    assert_in_range(o->mistakes, 0, ARRAY_SIZE(o->told) - 1);
    strcpy(o->told[o->mistakes++], text);
}

static void all_mistakes_are_told_to_who_asks(void **state)
{
    static struct overlay o;
    static const char text[] = "nmber = 1\nnumber = 11\nflag\ntext = fine\n";
    struct option_source s = source(&o, OPTION_FROM_FILE);
    struct errmsg e = { "" };

    s.on_error = tell;
    s.error_ctx = &o;
    assert_int_equal(option_source_text(&s, "f", text, strlen(text), &e), ST_INVAL);
    assert_int_equal(o.mistakes, 3);
    assert_string_equal(o.told[0], "f:1:1: unknown option 'nmber': did you mean 'number'?");
    assert_string_equal(o.told[1], "f:2:10: number: 11 is outside 1 to 10");
    assert_string_equal(o.told[2], "f:3:5: expected '=' after 'flag'");
    assert_string_equal(e.text, o.told[0]);
    assert_string_equal(o.config.text, "fine");
}

static void values_are_shown_compared_and_copied(void **state)
{
    static struct overlay a, b;
    static const char *const shown[] = { "true", "6", "1500ms", "x", "p, q" };
    char text[64];

    options_defaults(table, ARRAY_SIZE(table), &a.config);
    options_defaults(table, ARRAY_SIZE(table), &b.config);
    read_text(&a, OPTION_FROM_FILE, "flag=on\nnumber=6\ntime=1500ms\ntext=x\nlist=p\nlist=q");
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(option_value_format(&table[i], &a.config, text, sizeof text),
                         strlen(shown[i]));
        assert_string_equal(text, shown[i]);
        if (i != 2) /* which is as its default */
            assert_false(option_value_equal(&table[i], &a.config, &b.config));
        option_value_copy(&table[i], &b.config, &a.config);
        assert_true(option_value_equal(&table[i], &a.config, &b.config));
    }
    assert_int_equal(option_value_format(&table[4], &a.config, text, 3), 4);
    assert_string_equal(text, "p,"); /* cut, and ended */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_source_wins_and_is_remembered),
        cmocka_unit_test(a_list_of_a_later_source_replaces_the_whole_list),
        cmocka_unit_test(all_mistakes_are_told_to_who_asks),
        cmocka_unit_test(values_are_shown_compared_and_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
