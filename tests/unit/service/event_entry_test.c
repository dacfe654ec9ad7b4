/* SPDX-License-Identifier: Apache-2.0 */
#include "win/event_entry.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    enum log_level level;
    unsigned event, want; /* 0: not written */
} kinds[] = {
    { "a change of state", LOG_INFO, LOG_EVENT_READY, LOG_EVENT_READY },
    { "a change for the worse", LOG_WARN, LOG_EVENT_WORKER_ENDED, LOG_EVENT_WORKER_ENDED },
    { "a warning", LOG_WARN, LOG_EVENT_NONE, EVENT_WARNING },
    { "an error", LOG_ERROR, LOG_EVENT_NONE, EVENT_ERROR },
    { "plain information", LOG_INFO, LOG_EVENT_NONE, 0 },
    { "a flow", LOG_DEBUG, LOG_EVENT_NONE, 0 },
};

static struct log_record record_of(enum log_level level, unsigned event, const char *text)
{
    return (struct log_record){ .level = level,
                                .component = LOG_SUPERVISOR,
                                .event = event,
                                .pid = 812,
                                .process = "controller",
                                .text = text };
}

static void changes_warnings_and_errors_are_written_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct event_gate g = { 0 };
        struct log_record r = record_of(kinds[i].level, kinds[i].event, "text");
        struct event_entry out = { 0 };

        if (event_gate_pass(&g, &r, 1, &out) != (kinds[i].want != 0) || out.number != kinds[i].want)
            fail_msg("%s: number %u", kinds[i].name, out.number);
    }
}

static void an_entry_says_who_spoke(void **state)
{
    struct log_record r = record_of(LOG_WARN, LOG_EVENT_WORKER_ENDED, "worker=docker ended");
    struct event_gate g = { 0 };
    struct event_entry out;

    (void)state;
    assert_true(event_gate_pass(&g, &r, 1, &out));
    assert_int_equal(out.level, LOG_WARN);
    assert_string_equal(out.text,
                        "worker=docker ended (component=supervisor process=controller pid=812)");
}

static void what_the_viewer_would_expand_is_kept_apart(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = { { "fe80::1%12", "fe80::1% 12" },
                 { "%%1001", "% % 1001" },
                 { "%n%r%", "% n% r% " },
                 { "100 %", "100 % " } };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct log_record r = record_of(LOG_ERROR, LOG_EVENT_NONE, rows[i].text);
        struct event_gate g = { 0 };
        struct event_entry out;

        assert_true(event_gate_pass(&g, &r, 1, &out));
        assert_memory_equal(out.text, rows[i].want, strlen(rows[i].want));
    }
}

static void the_longest_text_fits_and_is_whole(void **state)
{
    char text[LOG_TEXT_MAX];
    struct log_record r = record_of(LOG_ERROR, LOG_EVENT_NONE, text);
    struct event_gate g = { 0 };
    struct event_entry out;

    (void)state;
    memset(text, '%', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(event_gate_pass(&g, &r, 1, &out));
    assert_true(strlen(out.text) < sizeof out.text);
    assert_non_null(strstr(out.text, "pid=812)"));
    assert_null(strstr(out.text, "%%"));
}

static unsigned pass(struct event_gate *g, unsigned event, unsigned count, uint64_t now_ms,
                     struct event_entry *last)
{
    struct log_record r = record_of(LOG_WARN, event, "again");
    unsigned passed = 0;

    while (count-- > 0)
        passed += event_gate_pass(g, &r, now_ms, last);
    return passed;
}

static void a_flood_is_bounded_and_counted(void **state)
{
    struct event_gate g = { 0 };
    struct event_entry out;
    uint64_t now_ms = 5000000;

    (void)state;
    assert_int_equal(pass(&g, LOG_EVENT_NONE, 1000, now_ms, &out), EVENT_BURST);
    assert_int_equal(pass(&g, LOG_EVENT_NONE, 10, now_ms + EVENT_REFILL_MS - 1, &out), 0);
    assert_int_equal(pass(&g, LOG_EVENT_NONE, 10, now_ms + EVENT_REFILL_MS, &out), 1);
    assert_non_null(strstr(out.text, " (970 before it were dropped)"));
    assert_int_equal(pass(&g, LOG_EVENT_NONE, 10, now_ms + 4 * EVENT_REFILL_MS, &out), 3);
    now_ms += 1000 * (uint64_t)EVENT_REFILL_MS;
    assert_int_equal(pass(&g, LOG_EVENT_NONE, 1000, now_ms, &out), EVENT_BURST);
}

static void a_flood_of_warnings_leaves_changes_of_state_alone(void **state)
{
    struct event_gate g = { 0 };
    struct event_entry out;

    (void)state;
    pass(&g, LOG_EVENT_NONE, 1000, 1, &out);
    assert_int_equal(pass(&g, LOG_EVENT_NOT_READY, 1, 1, &out), 1);
    assert_null(strstr(out.text, "dropped"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_warnings_and_errors_are_written_and_nothing_else),
        cmocka_unit_test(an_entry_says_who_spoke),
        cmocka_unit_test(what_the_viewer_would_expand_is_kept_apart),
        cmocka_unit_test(the_longest_text_fits_and_is_whole),
        cmocka_unit_test(a_flood_is_bounded_and_counted),
        cmocka_unit_test(a_flood_of_warnings_leaves_changes_of_state_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
