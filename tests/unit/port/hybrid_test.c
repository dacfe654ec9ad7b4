/* SPDX-License-Identifier: Apache-2.0
 * The listening end of hybrid sockets, over loopback TCP: the same code as over unix sockets.
 */
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <string.h>

static struct port_case c;

static struct {
    struct listener *listener;
    struct recorder got;
    unsigned accepted;
    bool close_in_accept;
} ports[2]; /* 6660 and 6680 */

static void on_port_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    unsigned i = (unsigned)(uintptr_t)ctx;

    assert_true(peer->is_vsock);
    assert_true(peer->has_cid);
    assert_int_equal(peer->cid, ADDR_CID_HOST);
    ports[i].accepted++;
    recorder_attach(&ports[i].got, s);
    if (ports[i].close_in_accept) {
        listener_close(ports[i].listener);
        ports[i].listener = NULL;
    }
}

static const struct listener_handler port_handler = { .on_accept = on_port_accept };

static enum status open_port(unsigned i, const struct addr *at)
{
    static const struct listener_opts opts = { .adopt_fd = -1 };
    struct errmsg e;

    return listener_open(c.loop, &ports[i].listener, at, &opts, &port_handler, (void *)(uintptr_t)i,
                         &e);
}

static int setup(void **state)
{
    struct addr at;

    memset(ports, 0, sizeof ports);
    port_case_init(&c);
    /* Finds a free TCP port; then the hub listens there instead. */
    assert_true(port_case_listen(&c, "tcp:127.0.0.1:%u"));
    listener_close(c.listener);
    c.listener = NULL;
    at = addr_at_port(&c.at, 6660);
    at.kind = ADDR_TCP_HYBRID;
    assert_int_equal(open_port(0, &at), ST_OK);
    at.port = 6680;
    assert_int_equal(open_port(1, &at), ST_OK);
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        listener_close(ports[i].listener);
        recorder_close(&ports[i].got);
    }
    port_case_fini(&c);
    return 0;
}

/* A client that speaks the first line itself. */
static void connect_and_say(const char *text)
{
    port_case_dial(&c, NULL, 5000);
    port_case_wait(&c, c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_OK);
    stream_read_start(c.dialled.stream);
    assert_int_equal(stream_write(c.dialled.stream, text, strlen(text)), ST_OK);
}

static bool client_sees_end(void)
{
    return c.dialled.eofs > 0 || c.dialled.error != ST_OK;
}

static void each_port_gets_its_clients(void **state)
{
    struct addr to = addr_at_port(&c.at, 6680);

    to.kind = ADDR_TCP_HYBRID;
    port_case_dial(&c, &to, 5000);
    port_case_wait(&c, ports[1].accepted == 1 && c.dials_done == 1);
    assert_int_equal(c.dial_status, ST_OK);
    assert_int_equal(ports[0].accepted, 0);
    assert_int_equal(ports[1].listener->stats.accepted, 1);
}

static void bytes_after_the_line_are_kept(void **state)
{
    connect_and_say("CONNECT 6660\nearly");
    port_case_wait(&c, ports[0].accepted == 1);
    assert_int_equal(stream_write(c.dialled.stream, " late", 5), ST_OK);
    stream_read_start(ports[0].got.stream);
    port_case_wait(&c, ports[0].got.bytes == 10);
    assert_memory_equal(ports[0].got.data, "early late", 10);
    port_case_wait(&c, c.dialled.bytes > 3);
    assert_memory_equal(c.dialled.data, "OK ", 3);
}

static void the_line_may_come_in_pieces(void **state)
{
    const char *rest = "ONNECT 6660\nx";

    connect_and_say("C");
    for (size_t i = 0; i < strlen(rest); i++) {
        port_case_settle(&c);
        assert_int_equal(stream_write(c.dialled.stream, rest + i, 1), ST_OK);
    }
    port_case_wait(&c, ports[0].accepted == 1);
    stream_read_start(ports[0].got.stream);
    port_case_wait(&c, ports[0].got.bytes == 1);
}

static void an_unknown_port_is_closed_without_ok(void **state)
{
    connect_and_say("CONNECT 1\n");
    port_case_wait(&c, client_sees_end());
    assert_int_equal(c.dialled.bytes, 0);
}

static void anything_else_is_closed(void **state)
{
    connect_and_say("GET / HTTP/1.1\r\n\r\n");
    port_case_wait(&c, client_sees_end());
    assert_int_equal(c.dialled.bytes, 0);
    assert_int_equal(ports[0].accepted + ports[1].accepted, 0);
}

static void a_silent_client_is_closed_at_the_deadline(void **state)
{
    uint64_t start = loop_now_ms(c.loop);

    connect_and_say("CONNECT 66");
    port_case_wait(&c, client_sees_end());
    assert_true(loop_now_ms(c.loop) - start >= 1900);
}

static void a_port_can_be_opened_once(void **state)
{
    struct addr at = addr_at_port(&c.at, 6660);
    struct listener *second;
    struct errmsg e = { "" };
    struct listener_opts opts = { .adopt_fd = -1 };

    at.kind = ADDR_TCP_HYBRID;
    assert_int_equal(listener_open(c.loop, &second, &at, &opts, &port_handler, NULL, &e),
                     ST_EXISTS);
    assert_non_null(strstr(e.text, "6660"));
    at.port = ADDR_PORT_NONE;
    assert_int_equal(listener_open(c.loop, &second, &at, &opts, &port_handler, NULL, &e), ST_INVAL);
}

static void the_socket_lives_as_long_as_a_port(void **state)
{
    listener_close(ports[0].listener);
    ports[0].listener = NULL;
    connect_and_say("CONNECT 6660\n");
    port_case_wait(&c, client_sees_end());
    recorder_close(&c.dialled);
    listener_close(ports[1].listener);
    ports[1].listener = NULL;
    port_case_dial(&c, NULL, 8000);
    port_case_wait(&c, c.dials_done == 2);
    assert_int_equal(c.dial_status, ST_REFUSED);
}

static void closing_the_last_port_drops_half_said_lines(void **state)
{
    connect_and_say("CONNECT 66");
    port_case_settle(&c);
    for (unsigned i = 0; i < 2; i++) {
        listener_close(ports[i].listener);
        ports[i].listener = NULL;
    }
    port_case_wait(&c, client_sees_end());
}

static void a_port_may_be_closed_while_it_accepts(void **state)
{
    listener_close(ports[1].listener);
    ports[1].listener = NULL;
    ports[0].close_in_accept = true;
    connect_and_say("CONNECT 6660\nx");
    port_case_wait(&c, ports[0].accepted == 1);
    stream_read_start(ports[0].got.stream);
    port_case_wait(&c, ports[0].got.bytes == 1);
}

static void a_paused_port_is_closed_to_clients_and_all_paused_ports_make_them_wait(void **state)
{
    listener_pause(ports[0].listener);
    connect_and_say("CONNECT 6660\n");
    port_case_wait(&c, client_sees_end());
    recorder_close(&c.dialled);
    memset(&c.dialled, 0, sizeof c.dialled);
    listener_pause(ports[1].listener);
    c.dials_done = 0;
    connect_and_say("CONNECT 6680\n");
    port_case_settle(&c);
    assert_int_equal(ports[1].accepted, 0);
    listener_resume(ports[1].listener);
    port_case_wait(&c, ports[1].accepted == 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_port_gets_its_clients),
        CASE(bytes_after_the_line_are_kept),
        CASE(the_line_may_come_in_pieces),
        CASE(an_unknown_port_is_closed_without_ok),
        CASE(anything_else_is_closed),
        CASE(a_silent_client_is_closed_at_the_deadline),
        CASE(a_port_can_be_opened_once),
        CASE(the_socket_lives_as_long_as_a_port),
        CASE(closing_the_last_port_drops_half_said_lines),
        CASE(a_port_may_be_closed_while_it_accepts),
        CASE(a_paused_port_is_closed_to_clients_and_all_paused_ports_make_them_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
