/* SPDX-License-Identifier: Apache-2.0
 * packet_stream_test.c - a stream that keeps messages apart, over real sockets.
 */
#include "port/linux/packet_stream.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char text[] = "unixpacket:packet_stream_test.sock";

static struct port_case c;
static struct recorder *a, *b; /* the two ends */

static int setup(void **state)
{
    port_case_init(&c);
    a = &c.dialled;
    b = &c.accepted[0];
    return port_case_pair(&c, text) ? 0 : -1;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    return 0;
}

static void say(struct recorder *r, const char *what)
{
    assert_int_equal(stream_write(r->stream, what, strlen(what)), ST_OK);
}

/* Writes messages of @len until one is queued; returns how many were accepted. */
static unsigned write_until_queued(struct recorder *r, size_t len)
{
    uint8_t *message = calloc(1, len);
    unsigned count = 0;
    enum status st;

    assert_non_null(message);
    do {
        st = stream_write(r->stream, message, len);
        assert_true(st == ST_OK || st == ST_QUEUED);
        count++;
    } while (st == ST_OK);
    free(message);
    return count;
}

static void messages_stay_apart(void **state)
{
    say(a, "one");
    say(a, "two");
    say(a, "three");
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == 3);
    assert_memory_equal(b->data, "onetwothree", 11);
    stream_read_start(a->stream);
    say(b, "answer");
    port_case_wait(&c, a->calls == 1);
    assert_int_equal(a->bytes, 6);
}

static void the_longest_frame_passes_whole(void **state)
{
    static uint8_t message[65549];

    assert_int_equal(stream_write(a->stream, message, sizeof message), ST_OK);
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == 1);
    assert_int_equal(b->bytes, sizeof message);
}

static void more_messages_than_slots_arrive(void **state)
{
    for (unsigned i = 0; i < 100; i++)
        say(a, "0123456789");
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == 100);
    assert_int_equal(b->bytes, 1000);
}

static void what_the_socket_does_not_take_follows(void **state)
{
    unsigned count = write_until_queued(a, 1500);

    assert_int_equal(stream_queued_bytes(a->stream), 1500);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(stream_write(a->stream, "late", 4), ST_QUEUED);
    assert_int_equal(a->drains, 0);
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == count + 100);
    assert_int_equal(b->bytes, (uint64_t)count * 1500 + 400);
    port_case_wait(&c, a->drains == 1);
    assert_int_equal(stream_queued_bytes(a->stream), 0);
}

static void the_queue_has_a_bound(void **state)
{
    static uint8_t message[60000];
    unsigned count = 0;

    (void)write_until_queued(a, sizeof message);
    while (stream_write(a->stream, message, sizeof message) == ST_QUEUED)
        count++;
    assert_in_range(count, 10, STREAM_MAX_QUEUED / sizeof message);
    assert_int_equal(stream_write(a->stream, message, sizeof message), ST_FULL);
}

static void a_reader_may_stop_between_two_messages(void **state)
{
    b->stop_after_calls = 2;
    for (unsigned i = 0; i < 5; i++)
        say(a, "x");
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == 2);
    port_case_settle(&c);
    assert_int_equal(b->calls, 2);
    b->stop_after_calls = 0;
    stream_read_start(b->stream);
    port_case_wait(&c, b->calls == 5);
}

static void each_direction_ends_on_its_own(void **state)
{
    stream_read_start(a->stream);
    stream_read_start(b->stream);
    say(a, "last");
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_CLOSED);
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(b->bytes, 4);
    say(b, "still here");
    port_case_wait(&c, a->calls == 1);
    assert_int_equal(a->eofs, 0);
}

static void an_end_waits_for_what_is_queued(void **state)
{
    unsigned count = write_until_queued(a, 1500);

    assert_int_equal(stream_shutdown(a->stream), ST_OK);
    stream_read_start(b->stream);
    port_case_wait(&c, b->eofs == 1);
    assert_int_equal(b->calls, count);
}

static void an_empty_write_is_no_end(void **state)
{
    stream_read_start(b->stream);
    assert_int_equal(stream_write(a->stream, "", 0), ST_OK);
    say(a, "x");
    port_case_wait(&c, b->calls == 1);
    assert_int_equal(b->eofs, 0);
}

static void nothing_can_be_put_back(void **state)
{
    assert_int_equal(stream_unread(a->stream, "x", 1), ST_UNSUPPORTED);
}

static void a_peer_that_closed_is_an_end_to_the_reader(void **state)
{
    stream_read_start(a->stream);
    say(b, "last words");
    recorder_close(b);
    port_case_wait(&c, a->eofs == 1 || a->error);
    assert_int_equal(a->bytes, 10);
}

static void a_peer_that_left_messages_unread_is_a_reset(void **state)
{
    stream_read_start(a->stream);
    say(a, "unread");
    recorder_close(b);
    port_case_wait(&c, a->error);
    assert_int_equal(a->error, ST_RESET);
    assert_int_equal(stream_write(a->stream, "x", 1), ST_RESET);
}

static void a_writer_hears_that_its_peer_closed(void **state)
{
    recorder_close(b);
    port_case_settle(&c);
    assert_true(stream_write(a->stream, "x", 1) != ST_OK);
    assert_int_equal(a->error, ST_OK); /* not from within the call */
    port_case_wait(&c, a->error);
}

static void a_queue_whose_peer_closed_is_told(void **state)
{
    (void)write_until_queued(a, 1500);
    recorder_close(b);
    port_case_wait(&c, a->error);
    assert_int_equal(a->drains, 0);
    assert_int_equal(stream_queued_bytes(a->stream), 0);
}

static void what_came_before_a_failed_write_is_read_first(void **state)
{
    say(b, "last words");
    recorder_close(b);
    port_case_settle(&c);
    stream_read_start(a->stream);
    assert_true(stream_write(a->stream, "x", 1) != ST_OK);
    port_case_wait(&c, a->error);
    assert_int_equal(a->bytes, 10);
    assert_int_equal(a->eofs, 0);
}

static void a_message_that_no_socket_takes_is_an_error(void **state)
{
    static uint8_t huge[STREAM_MAX_QUEUED];

    stream_read_start(a->stream);
    assert_int_equal(stream_write(a->stream, huge, sizeof huge), ST_IO);
    port_case_wait(&c, a->error);
}

static void it_may_be_closed_in_every_callback(void **state)
{
    static const unsigned whens[] = { RECORDER_CLOSE_DATA, RECORDER_CLOSE_EOF };

    for (unsigned i = 0; i < ARRAY_SIZE(whens); i++) {
        if (i > 0)
            assert_int_equal(setup(state), 0);
        b->close_on = whens[i];
        stream_read_start(b->stream);
        say(a, "one");
        say(a, "two");
        assert_int_equal(stream_shutdown(a->stream), ST_OK);
        port_case_wait(&c, !b->stream);
        assert_int_equal(b->calls, whens[i] == RECORDER_CLOSE_DATA ? 1 : 2);
        if (i + 1 < ARRAY_SIZE(whens))
            port_case_fini(&c);
    }
}

/* A stream of the other type does not get in. */
static void a_listener_of_messages_takes_nothing_else(void **state)
{
    struct addr other;

    assert_int_equal(addr_parse(&other, "unix:packet_stream_test.sock", NULL), ST_OK);
    recorder_close(a);
    c.dials_done = 0;
    port_case_dial(&c, &other, 1000);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_not_equal(c.dial_status, ST_OK);
}

/* What a process that was killed leaves behind. */
static void a_leftover_of_the_same_type_is_replaced(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "packet_stream_left.sock" };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct port_case other;

    assert_true(fd >= 0);
    (void)unlink(at.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    port_case_init(&other);
    assert_true(port_case_pair(&other, "unixpacket:packet_stream_left.sock"));
    port_case_fini(&other);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_stay_apart),
        T(the_longest_frame_passes_whole),
        T(more_messages_than_slots_arrive),
        T(what_the_socket_does_not_take_follows),
        T(the_queue_has_a_bound),
        T(a_reader_may_stop_between_two_messages),
        T(each_direction_ends_on_its_own),
        T(an_end_waits_for_what_is_queued),
        T(an_empty_write_is_no_end),
        T(nothing_can_be_put_back),
        T(a_peer_that_closed_is_an_end_to_the_reader),
        T(a_peer_that_left_messages_unread_is_a_reset),
        T(a_writer_hears_that_its_peer_closed),
        T(a_queue_whose_peer_closed_is_told),
        T(what_came_before_a_failed_write_is_read_first),
        T(a_message_that_no_socket_takes_is_an_error),
        T(it_may_be_closed_in_every_callback),
        T(a_listener_of_messages_takes_nothing_else),
        cmocka_unit_test(a_leftover_of_the_same_type_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
