/* SPDX-License-Identifier: Apache-2.0
 * The Event Log's sink and its texts, as the viewer finds them: in the program's own resources.
 */
#include "win/event_log.h"

#include "base/log.h"
#include "base/util.h"
#include "port/win/utf16.h"
#include "win/event_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <windows.h>

static const struct {
    const char *name;
    unsigned number;
} numbers[] = {
#define X(name, number) { #name, number },
    LOG_EVENT_LIST(X)
#undef X
        { "WARNING", EVENT_WARNING },
    { "ERROR", EVENT_ERROR },
};

/* What the viewer shows of an entry; "" = there is no text. */
static void text_of(unsigned number, const char *insertion, char *out, size_t cap)
{
    wchar_t insertion16[256], text[1024];
    DWORD_PTR arguments[] = { (DWORD_PTR)insertion16 };

    out[0] = '\0';
    assert_int_equal(utf8_to_utf16(insertion16, ARRAY_SIZE(insertion16), insertion), ST_OK);
    if (FormatMessageW(FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY,
                       GetModuleHandleW(NULL), number, 0, text, ARRAY_SIZE(text),
                       (va_list *)arguments))
        assert_int_equal(utf16_to_utf8(out, cap, text), ST_OK);
}

static void every_number_has_a_text_with_the_line_in_it(void **state)
{
    char text[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        text_of(numbers[i].number, "the line % 1 itself", text, sizeof text);
        if (!strstr(text, ".\r\n\r\nthe line % 1 itself\r\n"))
            fail_msg("%s: '%s'", numbers[i].name, text);
    }
}

static void another_number_has_none(void **state)
{
    char text[1024];

    (void)state;
    text_of(99, "x", text, sizeof text);
    assert_string_equal(text, "");
}

static void it_is_a_sink_until_it_is_closed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_MAX_SINKS + 1; i++) { /* more often than there is room at once */
        struct event_log *l = NULL;
        struct errmsg e = { "" };

        assert_int_equal(event_log_open(&l, &e), ST_OK);
        assert_string_equal(e.text, "");
        log_write_event(LOG_EVENT_STARTED, LOG_INFO, LOG_MAIN, "started");
        for (unsigned n = 0; n < 100; n++)
            log_warn(LOG_MAIN, "%%1 %%%%2 and %u more", n);
        event_log_close(l);
    }
    event_log_close(NULL);
    log_warn(LOG_MAIN, "to nobody");
}

static void with_no_room_for_a_sink_it_says_so(void **state)
{
    struct event_log *all[LOG_MAX_SINKS], *one_more = NULL;
    struct errmsg e = { "" };

    (void)state;
    for (unsigned i = 0; i < LOG_MAX_SINKS; i++)
        assert_int_equal(event_log_open(&all[i], &e), ST_OK);
    assert_int_equal(event_log_open(&one_more, &e), ST_FULL);
    assert_null(one_more);
    assert_non_null(strstr(e.text, "Event Log"));
    for (unsigned i = 0; i < LOG_MAX_SINKS; i++)
        event_log_close(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_has_a_text_with_the_line_in_it),
        cmocka_unit_test(another_number_has_none),
        cmocka_unit_test(it_is_a_sink_until_it_is_closed),
        cmocka_unit_test(with_no_room_for_a_sink_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
