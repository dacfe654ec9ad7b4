/* SPDX-License-Identifier: Apache-2.0
 * The code that Hyper-V sockets run through, driven with loopback TCP: Wine has no AF_HYPERV.
 */
#include "unit/port_win/win/ends.h"

#include "port/win/hvsock.h"
#include "port/win/socket_dial.h"
#include "port/win/socket_listener.h"

#include <ws2tcpip.h>

static const uint8_t loopback[4] = { 127, 0, 0, 1 };

static struct socket_name name_of(uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct socket_name name = { .len_bytes = sizeof(v4), .protocol = IPPROTO_TCP };
    memcpy(&v4.sin_addr, loopback, sizeof(loopback));
    memcpy(&name.sa, &v4, sizeof(v4));
    return name;
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
    struct socket_name name = name_of(0);
    struct sockaddr_in got;
    int len = sizeof(got);
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&name.sa, name.len_bytes), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&got, &len), 0);
    closesocket(s);
    return ntohs(got.sin_port);
}

static uint16_t listening(struct ends *t)
{
    uint16_t port;
    const struct listener_opts opts = { 0 };
    struct errmsg e = { "" };
    ends_setup(t);
    port = free_port();
    const struct socket_listener_spec spec = { .at = name_of(port), .peer = { .uid = -1 } };
    if (socket_listener_open(t->loop, &t->listener, &spec, &opts, &ends_listener, t, &e) != ST_OK)
        fail_msg("%s", e.text);
    return port;
}

static unsigned prepared;

static void prepare(SOCKET s, uint64_t timeout_ms)
{
    prepared++;
    assert_int_equal(timeout_ms, 5000);
}

static struct dial *dial(struct ends *t, uint16_t port)
{
    const struct socket_target target = { .to = name_of(port),
                                          .from = name_of(0),
                                          .prepare = prepare };
    struct dial *d;
    struct errmsg e = { "" };
    if (socket_dial_start(t->loop, &d, &target, 5000, ends_on_dial, t, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(t->dials_done, 0);
    return d;
}

static void connect_both(struct ends *t, uint16_t port)
{
    unsigned before = t->accepted_count;
    dial(t, port);
    ENDS_RUN_UNTIL(t, t->dials_done && t->accepted_count > before);
    assert_int_equal(t->dialled, ST_OK);
}

static void both_directions_end_on_their_own(void **state)
{
    struct ends t;
    uint16_t port = listening(&t);
    prepared = 0;
    connect_both(&t, port);
    assert_int_equal(prepared, 1);
    stream_read_start(t.client.s);
    stream_read_start(t.server.s);
    assert_int_equal(stream_write(t.client.s, "question", 8), ST_OK);
    assert_int_equal(stream_shutdown(t.client.s), ST_OK);
    ENDS_RUN_UNTIL(&t, t.server.eofs);
    assert_int_equal(t.server.len, 8);
    assert_int_equal(stream_write(t.server.s, "answer", 6), ST_OK);
    assert_int_equal(stream_shutdown(t.server.s), ST_OK);
    ENDS_RUN_UNTIL(&t, t.client.eofs);
    assert_memory_equal(t.client.got, "answer", 6);
    ends_teardown(&t);
}

static void thirty_clients_are_accepted(void **state)
{
    struct ends t;
    uint16_t port = listening(&t);
    for (unsigned i = 0; i < 30; i++) {
        t.dials_done = 0;
        connect_both(&t, port);
        stream_close(t.client.s);
    }
    t.client.s = NULL;
    assert_int_equal(t.listener->stats.accepted, 30);
    ends_teardown(&t);
}

static void a_paused_listener_keeps_clients_for_later(void **state)
{
    struct ends t;
    uint16_t port = listening(&t);
    listener_pause(t.listener);
    dial(&t, port);
    ENDS_RUN_UNTIL(&t, t.dials_done);
    assert_int_equal(t.accepted_count, 0);
    listener_resume(t.listener);
    ENDS_RUN_UNTIL(&t, t.accepted_count == 1);
    ends_teardown(&t);
}

static void nobody_listening_is_refused(void **state)
{
    struct ends t;
    ends_setup(&t);
    dial(&t, free_port());
    ENDS_RUN_UNTIL(&t, t.dials_done);
    assert_int_equal(t.dialled, ST_REFUSED);
    ends_teardown(&t);
}

static void a_cancelled_dial_is_not_heard_of_again(void **state)
{
    struct ends t;
    uint16_t port = listening(&t);
    dial_cancel(t.loop, dial(&t, port));
    dial_cancel(t.loop, dial(&t, free_port()));
    ends_teardown(&t); /* loop_uv_free() turns the loop until the kernel is done with both */
    assert_int_equal(t.dials_done, 0);
}

static void a_taken_port_is_refused(void **state)
{
    struct ends t;
    uint16_t port = listening(&t);
    struct listener *second;
    const struct listener_opts opts = { 0 };
    const struct socket_listener_spec spec = { .at = name_of(port), .peer = { .uid = -1 } };
    assert_int_equal(socket_listener_open(t.loop, &second, &spec, &opts, &ends_listener, &t, NULL),
                     ST_EXISTS);
    ends_teardown(&t);
}

static void a_hyper_v_name_is_36_bytes_with_the_port_in_the_service_id(void **state)
{
    static const uint8_t want[36] = { 34,   0,    0,    0,    0x1e, 0x5c, 0x6f, 0x6b, 0xcb,
                                      0xfa, 0xe6, 0x11, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79,
                                      0x86, 0xd3, 0x0d, 0x1a, 0x00, 0x00, 0xcb, 0xfa, 0xe6,
                                      0x11, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };
    struct guid vm;
    struct socket_name name;
    assert_int_equal(guid_parse(&vm, "6b6f5c1e-facb-11e6-bd58-64006a7986d3"), ST_OK);
    hvsock_name(&name, &vm, 6669);
    assert_int_equal(name.len_bytes, 36);
    assert_int_equal(name.protocol, 1);
    assert_memory_equal(&name.sa, want, sizeof(want));
}

static void a_machine_without_hyper_v_sockets_says_so(void **state)
{
    struct addr to = { .kind = ADDR_HVSOCK, .port = 6660 };
    struct dial *d;
    struct errmsg e = { "" };
    struct ends t;
    SOCKET s = socket(HVSOCK_AF_HYPERV, SOCK_STREAM, 1);
    ends_setup(&t); /* starts Winsock */
    if (s != INVALID_SOCKET) {
        closesocket(s);
        ends_teardown(&t);
        skip();
    }
    assert_int_equal(dial_start(t.loop, &d, &to, 100, ends_on_dial, &t, &e), ST_UNSUPPORTED);
    assert_true(strncmp(e.text, "socket: ", 8) == 0);
    to.port = ADDR_PORT_NONE;
    assert_int_equal(dial_start(t.loop, &d, &to, 100, ends_on_dial, &t, &e), ST_INVAL);
    ends_teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_end_on_their_own),
        cmocka_unit_test(thirty_clients_are_accepted),
        cmocka_unit_test(a_paused_listener_keeps_clients_for_later),
        cmocka_unit_test(nobody_listening_is_refused),
        cmocka_unit_test(a_cancelled_dial_is_not_heard_of_again),
        cmocka_unit_test(a_taken_port_is_refused),
        cmocka_unit_test(a_hyper_v_name_is_36_bytes_with_the_port_in_the_service_id),
        cmocka_unit_test(a_machine_without_hyper_v_sockets_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
