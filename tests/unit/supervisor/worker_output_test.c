/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "supervisor/worker_output.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define HEAD "time=2026-11-22T10:15:00.125Z "
#define LINE HEAD "level=info component=switch process=forged pid=1 event=3 msg=\"a line\"\n"

struct seen {
    unsigned count;
    enum log_component component;
    int64_t pid;
    unsigned event;
    char process[LOG_PROCESS_MAX], text[LOG_TEXT_MAX];
};

static struct seen seen;
static struct worker_output output;

static void keep(void *ctx, const struct log_record *r)
{
    seen.count++;
    seen.component = r->component;
    seen.pid = r->pid;
    seen.event = r->event;
    snprintf(seen.process, sizeof seen.process, "%s", r->process);
    snprintf(seen.text, sizeof seen.text, "%s", r->text);
}

static int setup(void **state)
{
    memset(&seen, 0, sizeof seen);
    worker_output_init(&output, "docker", 812);
    log_set_sink(keep, NULL);
    return 0;
}

static int teardown(void **state)
{
    log_set_sink(NULL, NULL);
    return 0;
}

static void take(const char *text)
{
    worker_output_take(&output, (const uint8_t *)text, strlen(text));
}

static void a_line_of_its_log_gets_the_worker_s_name_and_number(void **state)
{
    take(LINE);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.process, "docker");
    assert_int_equal(seen.pid, 812);
    assert_int_equal(seen.event, LOG_EVENT_NONE); /* a worker cannot say that the service stopped */
    assert_int_equal(seen.component, LOG_SWITCH);
    assert_string_equal(seen.text, "a line");
    assert_string_equal(output.words, "");
}

static void lines_may_come_in_any_pieces(void **state)
{
    for (const char *p = LINE LINE; *p; p++)
        worker_output_take(&output, (const uint8_t *)p, 1);
    assert_int_equal(seen.count, 2);
    take(LINE LINE LINE);
    assert_int_equal(seen.count, 5);
}

static void what_is_no_line_of_a_log_is_told_with_who_said_it(void **state)
{
    take("/lib/x.so: \x1b[1mwarning\r\n");
    assert_int_equal(seen.component, LOG_OUTPUT);
    assert_string_equal(seen.text, "worker=docker pid=812 said: /lib/x.so: \\x1b[1mwarning");
    assert_string_equal(output.words, "/lib/x.so: \\x1b[1mwarning");
}

static void a_line_without_an_end_counts_at_the_end(void **state)
{
    take("killed by a bug");
    assert_int_equal(seen.count, 0);
    worker_output_end(&output);
    assert_int_equal(seen.count, 1);
    assert_string_equal(output.words, "killed by a bug");
}

static void of_a_crash_report_the_first_line_is_kept(void **state)
{
    take("=====\n==12==ERROR: AddressSanitizer: heap-use-after-free\n    #0 in main\n");
    assert_string_equal(output.words, "==12==ERROR: AddressSanitizer: heap-use-after-free");
    assert_int_equal(seen.count, 3);
}

static void the_last_error_of_its_log_is_what_it_may_have_died_of(void **state)
{
    take(HEAD "level=error component=main msg=\"first\"\n");
    take(HEAD "level=error component=main msg=\"no such address\"\n");
    take(LINE);
    assert_string_equal(output.words, "no such address");
}

static void an_endless_line_is_cut_and_what_follows_is_read_again(void **state)
{
    for (unsigned i = 0; i < 3 * LOG_LINE_MAX; i++)
        take("x");
    assert_int_equal(seen.count, 1);
    take("\n" LINE);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.text, "a line");
}

static void a_flood_of_output_is_bounded(void **state)
{
    for (unsigned i = 0; i < 10000; i++)
        take("noise\n");
    assert_in_range(seen.count, 100, 1000);
}

static void a_zero_byte_hides_nothing(void **state)
{
    static const uint8_t bytes[] = "a\0b\n";

    worker_output_take(&output, bytes, sizeof bytes - 1);
    assert_string_equal(seen.text, "worker=docker pid=812 said: a?b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_of_its_log_gets_the_worker_s_name_and_number),
        TEST(lines_may_come_in_any_pieces),
        TEST(what_is_no_line_of_a_log_is_told_with_who_said_it),
        TEST(a_line_without_an_end_counts_at_the_end),
        TEST(of_a_crash_report_the_first_line_is_kept),
        TEST(the_last_error_of_its_log_is_what_it_may_have_died_of),
        TEST(an_endless_line_is_cut_and_what_follows_is_read_again),
        TEST(a_flood_of_output_is_bounded),
        TEST(a_zero_byte_hides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
