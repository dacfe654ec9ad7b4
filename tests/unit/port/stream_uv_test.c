/* SPDX-License-Identifier: Apache-2.0
 * Every test runs over loopback TCP and, where the system has them, over a unix socket.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <stdlib.h>
#include <string.h>

static char unix_text[] = "unix:stream_uv_test.sock";
static char tcp_text[] = "tcp:127.0.0.1:%u";

static struct port_case c;
static struct recorder *a, *b; /* the two ends */

static const char *transport; /* of the running group */

static int setup_pair(void **state)
{
    port_case_init(&c);
    a = &c.dialled;
    b = &c.accepted[0];
    return port_case_pair(&c, transport) ? 0 : -1;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    return 0;
}

static void say(struct recorder *r, const char *text)
{
    assert_int_equal(stream_write(r->stream, text, strlen(text)), ST_OK);
}

static void heard(struct recorder *r, const char *text)
{
    port_case_wait(&c, r->bytes >= strlen(text));
    assert_int_equal(r->bytes, strlen(text));
    assert_memory_equal(r->data, text, strlen(text));
}

static void read_both(void)
{
    stream_read_start(a->stream);
    stream_read_start(b->stream);
}

/* Writes until the system takes no more and something is queued; returns all that was accepted. */
static uint64_t write_until_queued(struct recorder *r)
{
    static uint8_t chunk[64 * 1024];
    uint64_t total = 0;
    enum status st;

    do {
        st = stream_write(r->stream, chunk, sizeof chunk);
        assert_true(st == ST_OK || st == ST_QUEUED);
        total += sizeof chunk;
    } while (st == ST_OK);
    return total;
}

/* ---- data and ends --------------------------------------------------------------------- */

static void each_direction_ends_on_its_own(void **state)
{
    read_both();
    say(a, "request");
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    port_case_wait(&c, b->eofs == 1);
    heard(b, "request");
    assert_int_equal(a->eofs, 0);
    say(b, "answer");
    heard(a, "answer");
    say(b, " and more");
    heard(a, "answer and more");
    assert_int_equal(stream_shutdown(b->stream), ST_OK);
    port_case_wait(&c, a->eofs == 1);
    port_case_settle(&c);
    assert_int_equal(a->error, ST_OK);
    assert_int_equal(b->error, ST_OK);
    assert_int_equal(a->eofs, 1);
    assert_int_equal(b->eofs, 1);
}

static void the_accepting_side_may_end_first(void **state)
{
    read_both();
    assert_int_equal(stream_shutdown(b->stream), ST_OK);
    port_case_wait(&c, a->eofs == 1);
    say(a, "still here");
    heard(b, "still here");
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(a->error, ST_OK);
    assert_int_equal(b->error, ST_OK);
}

static void nothing_is_written_after_shutdown(void **state)
{
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_CLOSED);
    read_both();
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_CLOSED);
    assert_int_equal(b->bytes, 0);
}

static void an_empty_write_is_no_end(void **state)
{
    read_both();
    assert_int_equal(stream_write(a->stream, "", 0), ST_OK);
    say(a, "x");
    heard(b, "x");
    assert_int_equal(b->eofs, 0);
}

static void a_stopped_reader_hears_nothing_until_it_starts_again(void **state)
{
    say(a, "hello");
    port_case_settle(&c);
    assert_int_equal(b->calls, 0);
    stream_read_start(b->stream);
    heard(b, "hello");
    stream_read_stop(b->stream);
    say(a, ", you");
    port_case_settle(&c);
    assert_int_equal(b->calls, 1);
    stream_read_start(b->stream);
    heard(b, "hello, you");
}

/* ---- back-pressure --------------------------------------------------------------------- */

static void a_slow_reader_queues_then_refuses_and_loses_nothing(void **state)
{
    static uint8_t chunk[64 * 1024];
    uint64_t total = write_until_queued(a);
    enum status st;

    assert_true(stream_queued_bytes(a->stream) > 0);
    while ((st = stream_write(a->stream, chunk, sizeof chunk)) == ST_QUEUED)
        total += sizeof chunk;
    assert_int_equal(st, ST_FULL);
    assert_true(stream_queued_bytes(a->stream) <= STREAM_MAX_QUEUED);
    assert_true(stream_queued_bytes(a->stream) + sizeof chunk > STREAM_MAX_QUEUED);
    assert_int_equal(a->drains, 0);
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    stream_read_start(b->stream);
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(b->bytes, total);
    assert_int_equal(a->drains, 1);
    assert_int_equal(stream_queued_bytes(a->stream), 0);
}

static void one_write_above_the_limit_is_refused_whole(void **state)
{
    uint8_t *big = calloc(1, STREAM_MAX_QUEUED + 1);

    assert_non_null(big);
    read_both();
    assert_int_equal(stream_write(a->stream, big, STREAM_MAX_QUEUED + 1), ST_FULL);
    assert_int_equal(stream_queued_bytes(a->stream), 0);
    say(a, "x");
    heard(b, "x");
    free(big);
}

static void queued_bytes_are_dropped_by_close(void **state)
{
    write_until_queued(a);
    recorder_close(a);
    port_case_settle(&c);
    assert_int_equal(a->drains, 0);
}

/* ---- close within callbacks ------------------------------------------------------------ */

static void close_is_safe_in_on_data(void **state)
{
    b->close_on = RECORDER_CLOSE_DATA;
    write_until_queued(a); /* there is more than one read's worth */
    stream_read_start(b->stream);
    port_case_wait(&c, !b->stream);
    port_case_settle(&c);
    assert_int_equal(b->calls, 1);
}

static void close_is_safe_in_on_eof(void **state)
{
    b->close_on = RECORDER_CLOSE_EOF;
    stream_shutdown(a->stream);
    stream_read_start(b->stream);
    port_case_wait(&c, !b->stream);
}

static void close_is_safe_in_on_drained(void **state)
{
    a->close_on = RECORDER_CLOSE_DRAIN;
    write_until_queued(a);
    stream_read_start(b->stream);
    port_case_wait(&c, !a->stream);
    port_case_wait(&c, b->eofs == 1);
}

static void close_is_safe_in_on_error(void **state)
{
    a->close_on = RECORDER_CLOSE_ERROR;
    stream_read_start(a->stream);
    say(a, "never read");
    port_case_settle(&c);
    recorder_close(b);
    port_case_wait(&c, !a->stream);
    assert_int_equal(a->error, ST_RESET);
}

static void close_is_safe_while_unread_bytes_are_handed_over(void **state)
{
    b->close_on = RECORDER_CLOSE_DATA;
    assert_int_equal(stream_unread(b->stream, "x", 1), ST_OK);
    stream_read_start(b->stream);
    port_case_wait(&c, !b->stream);
}

static void close_drops_unread_bytes(void **state)
{
    assert_int_equal(stream_unread(b->stream, "x", 1), ST_OK);
    stream_read_start(b->stream);
    recorder_close(b);
    port_case_settle(&c);
    assert_int_equal(b->calls, 0);
}

/* ---- unread ---------------------------------------------------------------------------- */

static void unread_bytes_come_before_new_ones_and_not_at_once(void **state)
{
    say(a, " three");
    assert_int_equal(stream_unread(b->stream, " two", 4), ST_OK);
    assert_int_equal(stream_unread(b->stream, "one", 3), ST_OK);
    stream_read_start(b->stream);
    assert_int_equal(b->calls, 0);
    heard(b, "one two three");
}

static void unread_bytes_wait_for_a_stopped_reader(void **state)
{
    stream_read_start(b->stream);
    assert_int_equal(stream_unread(b->stream, "one", 3), ST_OK);
    stream_read_stop(b->stream);
    port_case_settle(&c);
    assert_int_equal(b->calls, 0);
    stream_read_start(b->stream);
    heard(b, "one");
    say(a, " two");
    heard(b, "one two");
}

static void a_reader_may_stop_after_the_unread_bytes(void **state)
{
    b->stop_after_calls = 1;
    say(a, " two");
    assert_int_equal(stream_unread(b->stream, "one", 3), ST_OK);
    stream_read_start(b->stream);
    heard(b, "one");
    port_case_settle(&c);
    assert_int_equal(b->calls, 1);
    stream_read_start(b->stream);
    heard(b, "one two");
}

static void the_next_reader_hears_the_end_too(void **state)
{
    struct recorder next = { 0 };

    stream_read_start(b->stream);
    say(a, "all");
    stream_shutdown(a->stream);
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(stream_unread(b->stream, b->data, (size_t)b->bytes), ST_OK);
    recorder_attach(&next, b->stream);
    stream_read_start(next.stream);
    port_case_wait(&c, next.eofs == 1);
    assert_int_equal(next.bytes, 3);
    port_case_settle(&c);
    assert_int_equal(next.eofs, 1);
}

static void unread_is_bounded(void **state)
{
    uint8_t *big = calloc(1, STREAM_MAX_QUEUED);

    assert_non_null(big);
    assert_int_equal(stream_unread(b->stream, "", 0), ST_OK);
    assert_int_equal(stream_unread(b->stream, big, STREAM_MAX_QUEUED), ST_OK);
    assert_int_equal(stream_unread(b->stream, "x", 1), ST_FULL);
    free(big);
}

/* ---- death ----------------------------------------------------------------------------- */

static void a_peer_that_closes_with_data_unread_is_a_reset(void **state)
{
    stream_read_start(a->stream);
    say(a, "never read");
    port_case_settle(&c);
    recorder_close(b);
    port_case_wait(&c, a->error != ST_OK);
    assert_int_equal(a->error, ST_RESET);
    assert_int_equal(a->eofs, 0);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_RESET);
    port_case_settle(&c);
}

static void a_failed_write_is_told_once_and_not_at_once(void **state)
{
    recorder_close(b);
    port_case_settle(&c);
    /* TCP takes the first write and only then learns that nobody is there. */
    while (stream_write(a->stream, "x", 1) == ST_OK)
        port_case_settle(&c);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_RESET);
    assert_int_equal(stream_shutdown(a->stream), ST_RESET);
    assert_int_equal(a->error, ST_OK);
    port_case_wait(&c, a->error != ST_OK);
    assert_int_equal(a->error, ST_RESET);
    port_case_settle(&c);
}

static void the_last_words_of_a_peer_arrive_before_the_failure(void **state)
{
    stream_read_start(a->stream);
    say(b, "507 no space");
    recorder_close(b);
    /* Only a unix socket knows at once. */
    if (stream_write(a->stream, "upload", 6) != ST_RESET)
        skip();
    heard(a, "507 no space");
    port_case_wait(&c, a->error != ST_OK);
    assert_int_equal(a->error, ST_RESET);
    assert_int_equal(a->eofs, 0);
}

static bool has_unix_sockets(void)
{
    bool has;

    port_case_init(&c);
    has = port_case_listen(&c, unix_text);
    port_case_fini(&c);
    return has;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup_pair, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(each_direction_ends_on_its_own),
        ROW(the_accepting_side_may_end_first),
        ROW(nothing_is_written_after_shutdown),
        ROW(an_empty_write_is_no_end),
        ROW(a_stopped_reader_hears_nothing_until_it_starts_again),
        ROW(a_slow_reader_queues_then_refuses_and_loses_nothing),
        ROW(one_write_above_the_limit_is_refused_whole),
        ROW(queued_bytes_are_dropped_by_close),
        ROW(close_is_safe_in_on_data),
        ROW(close_is_safe_in_on_eof),
        ROW(close_is_safe_in_on_drained),
        ROW(close_is_safe_in_on_error),
        ROW(close_is_safe_while_unread_bytes_are_handed_over),
        ROW(close_drops_unread_bytes),
        ROW(unread_bytes_come_before_new_ones_and_not_at_once),
        ROW(unread_bytes_wait_for_a_stopped_reader),
        ROW(a_reader_may_stop_after_the_unread_bytes),
        ROW(the_next_reader_hears_the_end_too),
        ROW(unread_is_bounded),
        ROW(a_peer_that_closes_with_data_unread_is_a_reset),
        ROW(a_failed_write_is_told_once_and_not_at_once),
        ROW(the_last_words_of_a_peer_arrive_before_the_failure),
    };
    int failed;

    transport = tcp_text;
    failed = cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
    transport = unix_text;
    if (has_unix_sockets())
        failed += cmocka_run_group_tests_name("unix", tests, NULL, NULL);
    return failed;
}
