/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"
#include "base/wall_time.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static const struct log_record sample = {
    .time_ms = INT64_C(1795342500125),
    .level = LOG_WARN,
    .component = LOG_SWITCH,
    .event = LOG_EVENT_NETWORK,
    .pid = 812,
    .process = "switch-vm1-v2",
    .text = "name=\"x\" C:\\temp",
};

static const char sample_line[] =
    "time=2026-11-22T10:15:00.125Z level=warn component=switch process=switch-vm1-v2 pid=812 "
    "event=12 msg=\"name=\\\"x\\\" C:\\\\temp\"\n";

static void a_record_is_one_line_with_the_keys_in_order(void **state)
{
    char line[LOG_LINE_MAX];

    assert_int_equal(log_line_format(line, &sample), strlen(sample_line));
    assert_string_equal(line, sample_line);
}

static void a_line_reads_back_as_the_record(void **state)
{
    struct log_line l;

    assert_true(log_line_parse(&l, sample_line, strlen(sample_line) - 1));
    assert_int_equal(l.record.time_ms, sample.time_ms);
    assert_int_equal(l.record.level, sample.level);
    assert_int_equal(l.record.component, sample.component);
    assert_int_equal(l.record.event, sample.event);
    assert_int_equal(l.record.pid, sample.pid);
    assert_string_equal(l.record.process, sample.process);
    assert_string_equal(l.record.text, sample.text);
}

static void the_longest_record_fits(void **state)
{
    char line[LOG_LINE_MAX], text[LOG_TEXT_MAX], process[LOG_PROCESS_MAX];
    struct log_record r = sample;

    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(process, '"', sizeof process - 1);
    process[sizeof process - 1] = '\0';
    r.text = text;
    r.process = process;
    r.pid = INT64_MAX;
    r.event = UINT16_MAX;
    assert_in_range(log_line_format(line, &r), 2 * (LOG_TEXT_MAX - 1), LOG_LINE_MAX - 1);
}

static void what_is_no_line_of_ours_is_refused(void **state)
{
#define HEAD "time=2026-11-22T10:15:00.125Z level=warn component=switch "
    static const struct {
        const char *name, *line;
    } rows[] = {
        { "nothing", "" },
        { "a crash report", "==12==ERROR: AddressSanitizer: heap-use-after-free" },
        { "no text", HEAD "pid=1" },
        { "no time", "level=warn component=switch msg=\"x\"" },
        { "a level of others", "time=2026-11-22T10:15:00.125Z level=fatal component=vm msg=\"\"" },
        { "a component of others",
          "time=2026-11-22T10:15:00.125Z level=warn component=x msg=\"\"" },
        { "a time of others", "time=2026-11-22 level=warn component=switch msg=\"\"" },
        { "a day that is none", "time=2026-02-30T10:15:00.125Z level=warn component=vm msg=\"\"" },
        { "an open quote", HEAD "msg=\"x" },
        { "a backslash at the end", HEAD "msg=\"x\\" },
        { "words behind the quote", HEAD "msg=\"x\"y" },
        { "a number that is none", HEAD "pid=1x msg=\"x\"" },
        { "a number that is too long", HEAD "pid=1234567890123456 msg=\"x\"" },
        { "a key that is too long", HEAD "abcdefghijklmnopq=1 msg=\"x\"" },
        { "a key without a value", HEAD "msg" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct log_line l;

        if (log_line_parse(&l, rows[i].line, strlen(rows[i].line)))
            fail_msg("%s was taken", rows[i].name);
    }
#undef HEAD
}

static void keys_of_later_versions_are_passed_over(void **state)
{
    static const char line[] = "time=2026-11-22T10:15:00.125Z level=info flow=12 where=\"a b\" "
                               "component=vm msg=\"x\"";
    struct log_line l;

    assert_true(log_line_parse(&l, line, sizeof line - 1));
    assert_string_equal(l.record.text, "x");
}

static void hostile_text_comes_out_printable(void **state)
{
    static const struct {
        const char *name, *raw, *clean;
    } rows[] = {
        { "plain", "peer says hi", "peer says hi" },
        { "UTF-8", "na\xc3\xafve \xe2\x82\xac", "na\xc3\xafve \xe2\x82\xac" },
        { "a second line", "a\nb\r", "a\\x0ab\\x0d" },
        { "a terminal's command", "\x1b[2J\x7f", "\\x1b[2J\\x7f" },
        { "C1", "\xc2\x9b", "\\xc2\\x9b" },
        { "the other direction", "\xe2\x80\x8fx", "\\xe2\\x80\\x8fx" },
        { "no UTF-8", "\xff\xc3(", "\\xff\\xc3(" },
        { "an overlong slash", "\xc0\xaf", "\\xc0\\xaf" },
        { "cut UTF-8", "\xe2\x82", "\\xe2\\x82" },
        { "half a surrogate pair", "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    };
    char out[64];

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        log_text_clean(out, sizeof out, rows[i].raw);
        if (strcmp(out, rows[i].clean) != 0)
            fail_msg("%s: %s", rows[i].name, out);
    }
}

static void text_that_is_too_long_says_that_it_was_cut(void **state)
{
    char out[12];

    log_text_clean(out, sizeof out, "12345678901");
    assert_string_equal(out, "12345678901");
    log_text_clean(out, sizeof out, "123456789012");
    assert_string_equal(out, "12345678...");
    log_text_clean(out, sizeof out, "123456\xe2\x82\xac\xe2\x82\xac"); /* not within a letter */
    assert_string_equal(out, "123456...");
}

/* ---- levels ---------------------------------------------------------------------------------- */

static void levels_are_one_for_all_and_others_for_some(void **state)
{
    struct log_levels l = { { 0 } };
    char text[LOG_LEVELS_MAX];

    assert_int_equal(log_levels_parse(&l, "info,switch=debug,docker=trace", NULL), ST_OK);
    assert_int_equal(l.of[LOG_VM], LOG_INFO);
    assert_int_equal(l.of[LOG_SWITCH], LOG_DEBUG);
    assert_int_equal(l.of[LOG_DOCKER], LOG_TRACE);
    assert_string_equal(log_levels_text(&l, text), "info,docker=trace,switch=debug");
    assert_int_equal(log_levels_parse(&l, "docker=info", NULL), ST_OK);
    assert_string_equal(log_levels_text(&l, text), "info,switch=debug");
}

static void levels_that_are_none_are_named_and_change_nothing(void **state)
{
    static const char *const rows[] = { "", "loud", "info,", "switch=", "tcp=debug", "=debug" };
    struct log_levels l = { { 0 } };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errmsg e = { "" };

        assert_int_equal(log_levels_parse(&l, rows[i], &e), ST_INVAL);
        assert_non_null(strstr(e.text, "is none of"));
        assert_int_equal(l.of[LOG_SWITCH], LOG_ERROR);
    }
}

struct counted {
    unsigned lines, event;
    char process[LOG_PROCESS_MAX];
};

static void count(void *ctx, const struct log_record *r)
{
    struct counted *c = ctx;

    c->lines++;
    c->event = r->event;
    snprintf(c->process, sizeof c->process, "%s", r->process);
}

static void a_component_is_heard_at_its_own_level(void **state)
{
    struct counted c = { 0 };

    log_set_sink(count, &c);
    log_set_levels_text("warn,switch=debug");
    log_debug(LOG_SWITCH, "heard");
    log_info(LOG_DOCKER, "not heard");
    assert_int_equal(c.lines, 1);
    log_write_event(LOG_EVENT_READY, LOG_INFO, LOG_MAIN, "a change of state is always heard");
    assert_int_equal(c.lines, 2);
    assert_int_equal(c.event, LOG_EVENT_READY);
    log_set_level(LOG_INFO);
    log_set_sink(NULL, NULL);
}

static void every_sink_gets_what_another_process_said_as_it_is(void **state)
{
    struct counted first = { 0 }, second = { 0 };

    log_set_sink(count, &first);
    assert_int_equal(log_add_sink(count, &second), ST_OK);
    log_forward(&sample);
    log_remove_sink(count, &second);
    log_forward(&sample);
    log_set_sink(NULL, NULL);
    assert_int_equal(first.lines, 2);
    assert_int_equal(second.lines, 1);
    assert_string_equal(second.process, "switch-vm1-v2");
}

/* ---- times ----------------------------------------------------------------------------------- */

static void a_time_reads_back(void **state)
{
    static const int64_t rows[] = { 0,
                                    1,
                                    INT64_C(951782399999),
                                    INT64_C(951782400000),
                                    INT64_C(1795342500125),
                                    INT64_C(253402300799999) };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[WALL_TIME_MAX];
        int64_t ms = -1;

        wall_time_text(rows[i], text);
        assert_true(wall_time_parse(text, strlen(text), &ms));
        assert_int_equal(ms, rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_one_line_with_the_keys_in_order),
        cmocka_unit_test(a_line_reads_back_as_the_record),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(what_is_no_line_of_ours_is_refused),
        cmocka_unit_test(keys_of_later_versions_are_passed_over),
        cmocka_unit_test(hostile_text_comes_out_printable),
        cmocka_unit_test(text_that_is_too_long_says_that_it_was_cut),
        cmocka_unit_test(levels_are_one_for_all_and_others_for_some),
        cmocka_unit_test(levels_that_are_none_are_named_and_change_nothing),
        cmocka_unit_test(a_component_is_heard_at_its_own_level),
        cmocka_unit_test(every_sink_gets_what_another_process_said_as_it_is),
        cmocka_unit_test(a_time_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
