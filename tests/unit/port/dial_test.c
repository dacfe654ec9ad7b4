/* SPDX-License-Identifier: Apache-2.0
 * Dials over loopback TCP and, where the system has them, unix sockets; hybrid dials against a
 * server that says what the test wants.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <string.h>

enum { GUEST_PORT = 6660 };

static struct port_case c;

static int setup(void **state)
{
    port_case_init(&c);
    return 0;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    return 0;
}

static void dial_reaches_a_listener(void **state)
{
    assert_true(port_case_pair(&c, "tcp:127.0.0.1:%u"));
    assert_false(c.accepted[0].peer.is_vsock);
    assert_false(c.accepted[0].peer.has_cid);
    assert_int_equal(stream_write(c.dialled.stream, "x", 1), ST_OK);
    stream_read_start(c.accepted[0].stream);
    port_case_wait(&c, c.accepted[0].bytes == 1);
}

static void dial_to_a_port_without_listener_is_refused(void **state)
{
    assert_true(port_case_listen(&c, "tcp:127.0.0.1:%u"));
    listener_close(c.listener);
    c.listener = NULL;
    port_case_dial(&c, NULL, 8000);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_REFUSED);
    assert_non_null(strstr(c.dial_why, "connect to tcp:127.0.0.1:"));
    assert_non_null(strstr(c.dial_why, "refused"));
}

static void dial_to_a_missing_unix_socket_is_not_found(void **state)
{
    struct addr to;

    if (!port_case_listen(&c, "unix:dial_test.sock"))
        skip();
    assert_int_equal(addr_parse(&to, "unix:no/such/folder/x.sock", NULL), ST_OK);
    port_case_dial(&c, &to, 5000);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_NOTFOUND);
}

static void a_cancelled_dial_says_nothing(void **state)
{
    struct dial *d;

    assert_true(port_case_listen(&c, "tcp:127.0.0.1:%u"));
    d = port_case_dial(&c, NULL, 5000);
    dial_cancel(c.loop, d);
    port_case_settle(&c);
    assert_int_equal(c.dials_done, 0);
    dial_cancel(c.loop, NULL);
}

static void dial_of_a_kind_that_cannot_be_dialled_is_unsupported(void **state)
{
    struct addr to;
    struct dial *d;
    struct errmsg e = { "" };

    assert_int_equal(addr_parse(&to, "fd:3", NULL), ST_OK);
    assert_int_equal(dial_start(c.loop, &d, &to, 10, NULL, NULL, &e), ST_UNSUPPORTED);
    assert_true(e.text[0]);
}

static void dial_waits_for_a_full_backlog_until_its_time_is_over(void **state)
{
    struct listener_opts opts = { .adopt_fd = -1, .backlog = 1 };
    struct port_case waiting[3];
    struct errmsg e;
    enum status st;

    assert_int_equal(addr_parse(&c.at, "unix:dial_full_test.sock", NULL), ST_OK);
    /* Nobody accepts: the listener of another loop that is never turned. */
    port_case_init(&waiting[0]);
    st = listener_open(waiting[0].loop, &waiting[0].listener, &c.at, &opts, NULL, NULL, &e);
    if (st == ST_UNSUPPORTED) {
        port_case_fini(&waiting[0]);
        skip();
    }
    assert_int_equal(st, ST_OK);
    listener_pause(waiting[0].listener);
    for (int i = 1; i <= 2; i++) {
        port_case_init(&waiting[i]);
        port_case_dial(&waiting[i], &c.at, 5000);
        port_case_wait(&waiting[i], waiting[i].dials_done == 1);
        assert_int_equal(waiting[i].dial_status, ST_OK);
    }
    port_case_dial(&c, NULL, 30);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_TIMEOUT);
    dial_cancel(c.loop, port_case_dial(&c, NULL, 5000));
    port_case_settle(&c);
    assert_int_equal(c.dials_done, 1);
    for (int i = 2; i >= 0; i--)
        port_case_fini(&waiting[i]);
}

/* ---- hybrid: the server end is played by the test ----------------------------------------- */

/* Dials port 6660 of a hybrid socket whose server does nothing yet, and waits for the greeting. */
static struct dial *hybrid_dial(uint64_t timeout_ms)
{
    struct addr to;
    struct dial *d;

    assert_true(port_case_listen(&c, "tcp:127.0.0.1:%u"));
    to = addr_at_port(&c.at, GUEST_PORT);
    to.kind = ADDR_TCP_HYBRID;
    d = port_case_dial(&c, &to, timeout_ms);
    port_case_wait(&c, c.accepted_count == 1);
    stream_read_start(c.accepted[0].stream);
    port_case_wait(&c, c.accepted[0].bytes == strlen("CONNECT 6660\n"));
    assert_memory_equal(c.accepted[0].data, "CONNECT 6660\n", 13);
    return d;
}

static void server_says(const char *text)
{
    assert_int_equal(stream_write(c.accepted[0].stream, text, strlen(text)), ST_OK);
}

static void hybrid_dial_ends_with_ok(void **state)
{
    hybrid_dial(5000);
    port_case_settle(&c);
    assert_int_equal(c.dials_done, 0);
    server_says("OK 1073741824\n");
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_OK);
    stream_read_start(c.dialled.stream);
    server_says("hello");
    port_case_wait(&c, c.dialled.bytes == 5);
    assert_memory_equal(c.dialled.data, "hello", 5);
}

static void hybrid_dial_takes_ok_in_one_byte_pieces(void **state)
{
    const char *ok = "OK 5\n";

    hybrid_dial(5000);
    for (size_t i = 0; i < strlen(ok); i++) {
        char piece[2] = { ok[i], '\0' };

        assert_int_equal(c.dials_done, 0);
        server_says(piece);
        port_case_settle(&c);
    }
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_OK);
}

static void hybrid_dial_keeps_data_that_is_glued_to_ok(void **state)
{
    hybrid_dial(5000);
    server_says("OK 5\nfirst");
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_OK);
    server_says(" second");
    port_case_settle(&c);
    assert_int_equal(c.dialled.calls, 0);
    stream_read_start(c.dialled.stream);
    port_case_wait(&c, c.dialled.bytes == 12);
    assert_memory_equal(c.dialled.data, "first second", 12);
}

static void hybrid_dial_is_refused_by_anything_else(void **state)
{
    static const char *const answers[] = { "NO\n", "OK\n", "OK x\n", "HTTP/1.1 400 Bad Request\r\n",
                                           "OK 000000000000000000000000000000000000000001\n" };

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        if (i > 0) {
            port_case_fini(&c);
            port_case_init(&c);
        }
        hybrid_dial(5000);
        server_says(answers[i]);
        port_case_wait(&c, c.dials_done == 1);
        assert_int_equal(c.dial_status, ST_REFUSED);
    }
}

static void hybrid_dial_is_refused_by_an_end(void **state)
{
    hybrid_dial(5000);
    recorder_close(&c.accepted[0]);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_REFUSED);
}

static void hybrid_dial_gives_up_on_a_silent_server(void **state)
{
    hybrid_dial(100);
    server_says("OK ");
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_TIMEOUT);
    port_case_wait(&c, c.accepted[0].eofs == 1);
}

static void hybrid_dial_can_be_cancelled_while_it_waits(void **state)
{
    dial_cancel(c.loop, hybrid_dial(5000));
    port_case_wait(&c, c.accepted[0].eofs == 1);
    assert_int_equal(c.dials_done, 0);
}

static void hybrid_dial_without_a_port_is_invalid(void **state)
{
    struct addr to;
    struct dial *d;
    struct errmsg e = { "" };

    assert_int_equal(addr_parse(&to, "vsock-hybrid:/x", NULL), ST_OK);
    assert_int_equal(dial_start(c.loop, &d, &to, 10, NULL, NULL, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "port"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(dial_reaches_a_listener),
        CASE(dial_to_a_port_without_listener_is_refused),
        CASE(dial_to_a_missing_unix_socket_is_not_found),
        CASE(a_cancelled_dial_says_nothing),
        CASE(dial_of_a_kind_that_cannot_be_dialled_is_unsupported),
        CASE(dial_waits_for_a_full_backlog_until_its_time_is_over),
        CASE(hybrid_dial_ends_with_ok),
        CASE(hybrid_dial_takes_ok_in_one_byte_pieces),
        CASE(hybrid_dial_keeps_data_that_is_glued_to_ok),
        CASE(hybrid_dial_is_refused_by_anything_else),
        CASE(hybrid_dial_is_refused_by_an_end),
        CASE(hybrid_dial_gives_up_on_a_silent_server),
        CASE(hybrid_dial_can_be_cancelled_while_it_waits),
        CASE(hybrid_dial_without_a_port_is_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
