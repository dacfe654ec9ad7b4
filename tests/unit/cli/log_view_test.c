/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/log_view.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define LINE(second, level, component, msg)                                       \
    "time=2026-11-22T10:15:0" second ".000Z level=" level " component=" component \
    " process=controller pid=7 msg=\"" msg "\"\n"

static const char sample[] = LINE("0", "info", "main", "one") LINE("1", "warn", "switch", "two")
    LINE("2", "debug", "switch", "three") LINE("3", "error", "docker", "four");
static const int64_t first_ms = INT64_C(1795342500000);

struct printed {
    unsigned lines;
    char text[8192];
};

static void keep(void *ctx, const char *text)
{
    struct printed *p = ctx;

    p->lines++;
    strncat(p->text, text, sizeof p->text - strlen(p->text) - 1);
}

static struct log_view *view(struct printed *p, struct log_view_config config)
{
    struct log_view *v = NULL;

    *p = (struct printed){ .lines = 0 };
    if (!config.last)
        config.last = 100;
    assert_int_equal(log_view_new(&v, &config, keep, p), ST_OK);
    return v;
}

static void expect(struct log_view_config config, const char *input, const char *want)
{
    struct printed p;
    struct log_view *v = view(&p, config);

    log_view_take(v, input, strlen(input));
    log_view_cut(v);
    assert_int_equal(p.lines, 0);
    log_view_flush(v);
    assert_string_equal(p.text, want);
    log_view_free(v);
}

static void a_person_reads_time_level_who_and_what(void **state)
{
    expect((struct log_view_config){ .level = LOG_INFO }, sample,
           "2026-11-22T10:15:00.000Z info  controller/main: one\n"
           "2026-11-22T10:15:01.000Z warn  controller/switch: two\n"
           "2026-11-22T10:15:03.000Z error controller/docker: four\n");
}

static void the_options_choose(void **state)
{
    static const char two[] = "2026-11-22T10:15:01.000Z warn  controller/switch: two\n";
    static const char four[] = "2026-11-22T10:15:03.000Z error controller/docker: four\n";

    expect((struct log_view_config){ .level = LOG_INFO,
                                     .has_component = true,
                                     .component = LOG_SWITCH },
           sample, two);
    expect((struct log_view_config){ .level = LOG_ERROR }, sample, four);
    expect((struct log_view_config){ .level = LOG_TRACE, .since_ms = first_ms + 3000 }, sample,
           four);
    expect((struct log_view_config){ .level = LOG_TRACE, .last = 1 }, sample, four);
}

static void color_is_there_only_when_asked_for(void **state)
{
    expect((struct log_view_config){ .level = LOG_ERROR, .color = true }, sample,
           "2026-11-22T10:15:03.000Z \x1b[31merror controller/docker: four\x1b[0m\n");
}

static void json_has_every_field(void **state)
{
    expect((struct log_view_config){ .level = LOG_ERROR, .json = true }, sample,
           "{\"time\":\"2026-11-22T10:15:03.000Z\",\"level\":\"error\",\"component\":\"docker\","
           "\"process\":\"controller\",\"pid\":7,\"event\":0,\"msg\":\"four\"}\n");
}

static void what_others_wrote_is_shown_harmless_when_nothing_is_filtered(void **state)
{
    static const char input[] = "\x1b[2Jboo\n" LINE("3", "error", "docker", "four") "no end";

    expect((struct log_view_config){ .level = LOG_TRACE }, input,
           "\\x1b[2Jboo\n2026-11-22T10:15:03.000Z error controller/docker: four\nno end\n");
    expect((struct log_view_config){ .level = LOG_ERROR }, input,
           "2026-11-22T10:15:03.000Z error controller/docker: four\n");
}

static void what_follows_is_printed_as_it_comes_in_any_pieces(void **state)
{
    struct printed p;
    struct log_view *v = view(&p, (struct log_view_config){ .level = LOG_INFO });

    log_view_flush(v);
    for (const char *c = sample; *c; c++)
        log_view_take(v, c, 1);
    assert_int_equal(p.lines, 3);
    log_view_free(v);
}

static void an_endless_line_costs_one_line_of_memory(void **state)
{
    struct printed p;
    struct log_view *v = view(&p, (struct log_view_config){ .level = LOG_INFO });

    for (unsigned i = 0; i < 100000; i++)
        log_view_take(v, "xxxxxxxxxx", 10);
    log_view_take(v, "\n", 1);
    log_view_take(v, sample, strlen(sample));
    log_view_flush(v);
    assert_int_equal(p.lines, 3);
    log_view_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_reads_time_level_who_and_what),
        cmocka_unit_test(the_options_choose),
        cmocka_unit_test(color_is_there_only_when_asked_for),
        cmocka_unit_test(json_has_every_field),
        cmocka_unit_test(what_others_wrote_is_shown_harmless_when_nothing_is_filtered),
        cmocka_unit_test(what_follows_is_printed_as_it_comes_in_any_pieces),
        cmocka_unit_test(an_endless_line_costs_one_line_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
