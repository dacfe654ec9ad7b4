/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"
#include "base/bytes.h"
#include "base/condition.h"
#include "base/guid.h"
#include "base/hex.h"
#include "base/list.h"
#include "base/log.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

/* ---- status -------------------------------------------------------------------------------- */

static void errmsg_wrap_puts_context_in_front(void **state)
{
    struct errmsg e;

    errmsg_set(&e, "port %d is taken", 80);
    errmsg_wrap(&e, "listen");
    errmsg_wrap(&e, "start %s", "endpoint");
    assert_string_equal(e.text, "start endpoint: listen: port 80 is taken");
}

static void errmsg_never_overflows(void **state)
{
    struct errmsg e;
    char longer[600];

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    errmsg_set(&e, "%s", longer);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    errmsg_wrap(&e, "%s", "context");
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_memory_equal(e.text, "context: xxx", 12);
    errmsg_set(NULL, "nobody wants to know");
    errmsg_wrap(NULL, "nobody wants to know");
}

static void every_status_has_a_name_and_a_text(void **state)
{
    for (int i = 0; i < ST_COUNT; i++) {
        assert_non_null(status_name((enum status)i));
        assert_true(strlen(status_text((enum status)i)) > 1);
    }
    assert_string_equal(status_name((enum status)9999), "UNKNOWN");
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void bytes_reads_both_byte_orders(void **state)
{
    const uint8_t in[] = { 1, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 0x12, 0x34, 1, 2, 3, 4 };
    struct bytes r = bytes_of(in, sizeof in);

    assert_int_equal(bytes_u8(&r), 1);
    assert_int_equal(bytes_le16(&r), 0x1234);
    assert_int_equal(bytes_le32(&r), 0x12345678);
    assert_int_equal(bytes_be16(&r), 0x1234);
    assert_int_equal(bytes_be32(&r), 0x01020304);
    assert_true(bytes_ok(&r));
    assert_int_equal(r.left, 0);
}

static void bytes_latches_the_first_access_beyond_the_end(void **state)
{
    const uint8_t in[] = { 1, 2, 3 };
    struct bytes r = bytes_of(in, sizeof in);

    assert_int_equal(bytes_le32(&r), 0);
    assert_int_equal(bytes_u8(&r), 0); /* there would be one, but the latch holds */
    assert_null(bytes_take(&r, 0));
    assert_false(bytes_ok(&r));
}

static void bytes_out_refuses_what_does_not_fit(void **state)
{
    uint8_t buf[7];
    struct bytes_out w = bytes_into(buf, sizeof buf);

    bytes_put_be32(&w, 0x01020304);
    bytes_put_le16(&w, 0x0605);
    assert_true(bytes_out_ok(&w));
    bytes_put_be16(&w, 1);
    assert_false(bytes_out_ok(&w));
    bytes_put_u8(&w, 1); /* would fit, but the latch holds */
    assert_int_equal(w.len_bytes, 6);
    assert_memory_equal(buf, "\1\2\3\4\5\6", 6);
}

/* ---- hex ----------------------------------------------------------------------------------- */

static void a_byte_is_two_digits_of_either_case(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    for (unsigned c = 0; c < 256; c++)
        if ((hex_digit((char)c) >= 0) != (c && strchr(digits, (int)c)))
            fail_msg("character %u", c);
    assert_int_equal(hex_byte("00"), 0);
    assert_int_equal(hex_byte("aF9"), 0xaf);
    assert_int_equal(hex_byte("9"), -1);
    assert_int_equal(hex_byte(""), -1);
    assert_int_equal(hex_byte("g0"), -1);
}

/* ---- guid ---------------------------------------------------------------------------------- */

static void guid_text_round_trips(void **state)
{
    struct guid g;
    char text[GUID_TEXT_MAX];

    assert_int_equal(guid_parse(&g, "00001a0d-facb-11e6-bd58-64006a7986d3"), ST_OK);
    /* The bytes of vsock port 6669's service id, as rancher's host has them in memory. */
    assert_memory_equal(g.bytes, "\x0d\x1a\x00\x00\xcb\xfa\xe6\x11\xbd\x58\x64\x00\x6a\x79\x86\xd3",
                        16);
    assert_string_equal(guid_format(&g, text), "00001a0d-facb-11e6-bd58-64006a7986d3");
    assert_int_equal(guid_parse(&g, "{00001A0D-FACB-11E6-BD58-64006A7986D3}"), ST_OK);
    assert_string_equal(guid_format(&g, text), "00001a0d-facb-11e6-bd58-64006a7986d3");
}

static void guid_refuses_junk(void **state)
{
    static const char *const rows[] = {
        "",
        "{}",
        "hello",
        "00001a0d-facb-11e6-bd58-64006a7986d",
        "00001a0d-facb-11e6-bd58-64006a7986d3a",
        "00001a0dxfacb-11e6-bd58-64006a7986d3",
        "00001a0g-facb-11e6-bd58-64006a7986d3",
        "{00001a0d-facb-11e6-bd58-64006a7986d3",
        "(00001a0d-facb-11e6-bd58-64006a7986d3)",
    };
    struct guid g;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (guid_parse(&g, rows[i]) != ST_INVAL)
            fail_msg("accepted '%s'", rows[i]);
}

/* ---- condition ----------------------------------------------------------------------------- */

static void condition_moves_transition_time_only_with_the_status(void **state)
{
    struct condition_set set = { 0 };
    const struct condition *c;

    assert_true(condition_update(&set, "Ready", COND_FALSE, "Starting", 100, "wait"));
    assert_false(condition_update(&set, "Ready", COND_FALSE, "Starting", 200, "wait"));
    assert_true(condition_update(&set, "Ready", COND_FALSE, "NoGuest", 300, "wait"));
    c = condition_find(&set, "Ready");
    assert_int_equal(c->last_transition_ms, 100);
    assert_string_equal(c->reason, "NoGuest");
    assert_true(condition_update(&set, "Ready", COND_TRUE, "Serving", 400, "%s", "on"));
    assert_int_equal(c->last_transition_ms, 400);
    assert_int_equal(c->observed_generation, 3);
    assert_int_equal(set.generation, 3);
    assert_null(condition_find(&set, "Other"));
}

/* ---- backoff ------------------------------------------------------------------------------- */

static void backoff_doubles_to_its_cap_and_resets_when_stable(void **state)
{
    static const uint32_t ceilings[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
    struct backoff b;

    backoff_init(&b, 100, 10000, 30000);
    for (unsigned i = 0; i < ARRAY_SIZE(ceilings); i++)
        assert_in_range(backoff_next_ms(&b, 0, UINT32_MAX), ceilings[i] - 1, ceilings[i]);
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(backoff_next_ms(&b, 29999, UINT32_MAX), 9999, 10000);
    assert_in_range(backoff_next_ms(&b, 30000, UINT32_MAX), 99, 100);
    assert_int_equal(backoff_next_ms(&b, 0, 0), 0);
}

/* ---- list ---------------------------------------------------------------------------------- */

static void list_survives_removal_while_walking(void **state)
{
    struct list head, nodes[3], *it, *tmp;
    unsigned seen = 0;

    list_init(&head);
    for (unsigned i = 0; i < 3; i++)
        list_append(&head, &nodes[i]);
    list_for_each(it, tmp, &head)
    {
        list_remove(it);
        list_remove(it); /* off the list already: no harm */
        seen++;
    }
    assert_int_equal(seen, 3);
    assert_true(list_is_empty(&head));
}

/* ---- log ----------------------------------------------------------------------------------- */

struct captured {
    unsigned lines;
    unsigned event;
    char last[1024];
};

static void capture(void *ctx, const struct log_record *r)
{
    struct captured *c = ctx;

    c->lines++;
    c->event = r->event;
    snprintf(c->last, sizeof c->last, "%s", r->text);
}

static void log_line_cannot_forge_another(void **state)
{
    struct captured c = { 0 };

    log_set_sink(capture, &c);
    log_info(LOG_MAIN, "peer says %s", "hi\nerror main: all is lost\x1b[2J");
    log_set_sink(NULL, NULL);
    assert_int_equal(c.lines, 1);
    assert_string_equal(c.last, "peer says hi\\x0aerror main: all is lost\\x1b[2J");
}

static void log_limited_site_says_one_line_a_second(void **state)
{
    struct captured c = { 0 };

    log_set_sink(capture, &c);
    for (unsigned i = 0; i < 1000; i++)
        log_warn_limited(LOG_MAIN, "again");
    log_set_sink(NULL, NULL);
    assert_in_range(c.lines, 1, 2);
}

static void log_limit_with_a_burst_lets_that_many_through(void **state)
{
    struct captured c = { 0 };
    struct log_limit site = { .burst = 5 };

    log_set_sink(capture, &c);
    for (unsigned i = 0; i < 1000; i++)
        log_write_limited(&site, LOG_WARN, LOG_MAIN, "again");
    log_set_sink(NULL, NULL);
    assert_in_range(c.lines, 5, 10);
}

static void log_of_a_flapping_state_is_bounded_and_keeps_its_event(void **state)
{
    struct captured c = { 0 };
    struct log_limit site = { .burst = 5 };

    (void)state;
    log_set_level(LOG_ERROR); /* an event is written at every level */
    log_set_sink(capture, &c);
    for (unsigned i = 0; i < 1000; i++)
        log_write_event_limited(&site, LOG_EVENT_NETWORK, LOG_INFO, LOG_MAIN, "again");
    assert_in_range(c.lines, 5, 10);
    assert_int_equal(c.event, LOG_EVENT_NETWORK);

    log_set_level(LOG_INFO);
    c.lines = 0;
    for (unsigned i = 0; i < 1000; i++)
        log_limited(LOG_INFO, LOG_MAIN, "again");
    assert_in_range(c.lines, LOG_BURST, 2 * LOG_BURST);
    assert_int_equal(c.event, LOG_EVENT_NONE);
    log_set_sink(NULL, NULL);
}

static void log_level_names_parse(void **state)
{
    enum log_level level;

    for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++) {
        assert_true(log_level_parse(&level, log_level_name((enum log_level)i)));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse(&level, "loud"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errmsg_wrap_puts_context_in_front),
        cmocka_unit_test(errmsg_never_overflows),
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(bytes_reads_both_byte_orders),
        cmocka_unit_test(bytes_latches_the_first_access_beyond_the_end),
        cmocka_unit_test(bytes_out_refuses_what_does_not_fit),
        cmocka_unit_test(a_byte_is_two_digits_of_either_case),
        cmocka_unit_test(guid_text_round_trips),
        cmocka_unit_test(guid_refuses_junk),
        cmocka_unit_test(condition_moves_transition_time_only_with_the_status),
        cmocka_unit_test(backoff_doubles_to_its_cap_and_resets_when_stable),
        cmocka_unit_test(list_survives_removal_while_walking),
        cmocka_unit_test(log_line_cannot_forge_another),
        cmocka_unit_test(log_limited_site_says_one_line_a_second),
        cmocka_unit_test(log_limit_with_a_burst_lets_that_many_through),
        cmocka_unit_test(log_of_a_flapping_state_is_bounded_and_keeps_its_event),
        cmocka_unit_test(log_level_names_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
