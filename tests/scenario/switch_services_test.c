/* SPDX-License-Identifier: Apache-2.0
 * The gateway's services in frames, through the whole switch: DHCP, DNS, the API and forwards.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include "wire/dhcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_guest *guest;

static int setup(void **state)
{
    guest = sim_guest_new(NULL, FRAME_STDIO);
    return guest ? 0 : -1;
}

static int teardown(void **state)
{
    sim_guest_free(guest);
    return 0;
}

static const uint8_t own_question[] =
    "\x12\x34\1\0\0\1\0\0\0\0\0\0\4Host\6docker\10internal\0\0\1\0\1";
static const uint8_t other_question[] = "\x12\x35\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(&e, text), ST_OK);
    return e;
}

/* ---- a TCP connection of the guest's to a service, one segment at a time ------------------ */

struct conn {
    struct frame_path path;
    uint16_t port, to_port;
    uint32_t seq, ack;
};

static void conn_send(struct conn *c, uint8_t flags, const void *data, size_t len_bytes)
{
    struct tcp_header h = { .src_port = c->port,
                            .dst_port = c->to_port,
                            .seq = c->seq,
                            .ack = c->ack,
                            .flags = flags,
                            .window = 65535 };
    struct frame f;

    frame_tcp(&f, &c->path, &h, data, len_bytes);
    c->seq += (uint32_t)len_bytes + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
    guest_sends(guest, &f);
}

static struct conn conn_open(uint16_t to_port)
{
    struct conn c = { frame_path("192.168.127.2", "192.168.127.1"), 40000, to_port, 1000, 0 };
    struct frame_view v;

    conn_send(&c, TCP_SYN, NULL, 0);
    expect_guest_gets(guest, &v);
    frame_expect_tcp(&v, TCP_SYN | TCP_ACK);
    c.ack = v.tcp.seq + 1;
    conn_send(&c, TCP_ACK, NULL, 0);
    return c;
}

/* Everything that comes, as a string. */
static const char *conn_read(struct conn *c, size_t *len_bytes)
{
    static char text[4096];
    struct frame_view v;
    size_t n = 0;

    while (guest_gets(guest, &v)) {
        if (!v.is_tcp || v.tcp.dst_port != c->port)
            continue;
        assert_true(n + v.payload_bytes < sizeof text);
        assert_true(v.payload_bytes == 0 || v.tcp.seq == c->ack);
        memcpy(text + n, v.payload, v.payload_bytes);
        n += v.payload_bytes;
        c->ack += (uint32_t)v.payload_bytes + (v.tcp.flags & TCP_FIN ? 1 : 0);
    }
    text[n] = '\0';
    *len_bytes = n;
    return text;
}

static void conn_reset(struct conn *c)
{
    conn_send(c, TCP_RST | TCP_ACK, NULL, 0);
}

static void expose(const char *body)
{
    struct conn c = conn_open(80);
    char text[512];
    size_t n;

    snprintf(text, sizeof text,
             "POST /services/forwarder/expose HTTP/1.1\r\nHost: gateway\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    conn_send(&c, TCP_ACK | TCP_PSH, text, strlen(text));
    assert_memory_equal(conn_read(&c, &n), "HTTP/1.1 200 OK\r\n", 17);
    conn_send(&c, TCP_ACK, NULL, 0);
    conn_reset(&c);
}

/* ---- the tests --------------------------------------------------------------------------- */

static void a_guest_without_an_address_gets_one(void **state)
{
    struct frame_path p = frame_path("0.0.0.0", "255.255.255.255");
    uint8_t msg[300] = { 1, 1, 6, 0, 1, 2, 3, 4 };
    struct frame f;
    struct frame_view v;

    p.dst_mac = frame_broadcast_mac;
    memcpy(msg + 28, frame_guest_mac.b, 6);
    memcpy(msg + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
    frame_udp(&f, &p, 68, 67, msg, sizeof msg);
    guest_sends(guest, &f);
    expect_guest_gets(guest, &v);
    frame_expect_udp(&v, 67, 68);
    frame_expect_path(&v, "192.168.127.1", "192.168.127.2");
    assert_memory_equal(v.eth.dst.b, frame_guest_mac.b, 6);
    assert_int_equal(v.payload[242], DHCP_OFFER);
    assert_false(guest_census(guest).guest_has_address);
    memcpy(msg + 236, "\x63\x82\x53\x63\x35\1\3\x32\4\xc0\xa8\x7f\2\xff", 14);
    frame_udp(&f, &p, 68, 67, msg, sizeof msg);
    guest_sends(guest, &f);
    expect_guest_gets(guest, &v);
    assert_int_equal(v.payload[242], DHCP_ACK);
    assert_true(guest_census(guest).guest_has_address);
}

static void names_resolve_by_udp(void **state)
{
    struct frame_path p = frame_path("192.168.127.2", "192.168.127.1");
    struct frame f;
    struct frame_view v;
    uint8_t answer[512];
    size_t len;
    const uint8_t *q;

    frame_udp(&f, &p, 5000, 53, own_question, sizeof own_question - 1);
    guest_sends(guest, &f);
    expect_guest_gets(guest, &v);
    frame_expect_udp(&v, 53, 5000);
    assert_memory_equal(v.payload + v.payload_bytes - 4, "\xc0\xa8\x7f\xfe", 4);
    frame_udp(&f, &p, 5000, 53, other_question, sizeof other_question - 1);
    guest_sends(guest, &f);
    expect_guest_gets_nothing(guest);
    q = resolver_sim_question(guest->resolver, 0, &len);
    memcpy(answer, q, len);
    answer[2] |= 0x80;
    answer[3] = 3;
    resolver_sim_answer(guest->resolver, 0, ST_OK, answer, len);
    clock_advance_ms(guest, 0);
    expect_guest_gets(guest, &v);
    frame_expect_udp(&v, 53, 5000);
    assert_memory_equal(v.payload, "\x12\x35\x81\3", 4);
}

static void names_resolve_by_tcp(void **state)
{
    uint8_t framed[2 + sizeof own_question - 1] = { 0, sizeof own_question - 1 };
    struct conn c = conn_open(53);
    const char *answer;
    size_t n;

    memcpy(framed + 2, own_question, sizeof own_question - 1);
    conn_send(&c, TCP_ACK | TCP_PSH, framed, sizeof framed);
    answer = conn_read(&c, &n);
    assert_int_equal(n, sizeof framed + 16);
    assert_memory_equal(answer + n - 4, "\xc0\xa8\x7f\xfe", 4);
    conn_reset(&c);
}

static void an_exposed_port_reaches_the_guest(void **state)
{
    struct ip_endpoint at = endpoint("127.0.0.1:8080"), from = endpoint("127.0.0.1:50000");
    struct frame_view v;

    expose("{\"local\":\"127.0.0.1:8080\",\"remote\":\"192.168.127.2:80\"}");
    assert_true(net_sim_is_listening(guest->net, &at));
    assert_int_equal(guest_census(guest).forwards, 1);
    assert_non_null(net_sim_connect(guest->net, &at, &from));
    clock_advance_ms(guest, 1);
    expect_guest_gets(guest, &v);
    frame_expect_tcp(&v, TCP_SYN);
    frame_expect_path(&v, "192.168.127.1", "192.168.127.2");
    assert_int_equal(v.tcp.dst_port, 80);
}

static void an_exposed_udp_port_answers_its_client(void **state)
{
    struct ip_endpoint at = endpoint("0.0.0.0:5353"), from = endpoint("10.0.0.9:777");
    struct frame_path p = frame_path("192.168.127.2", "192.168.127.1");
    struct net_sim_datagram d;
    struct frame_view v;
    struct frame f;

    expose("{\"local\":\"0.0.0.0:5353\",\"remote\":\"192.168.127.2:53\",\"protocol\":\"udp\"}");
    assert_true(net_sim_udp_send(guest->net, &from, &at, "ping", 4));
    clock_advance_ms(guest, 0);
    expect_guest_gets(guest, &v);
    frame_expect_path(&v, "192.168.127.1", "192.168.127.2");
    frame_expect_payload(&v, "ping", 4);
    assert_int_equal(v.udp.dst_port, 53);
    frame_udp(&f, &p, 53, v.udp.src_port, "pong", 4);
    guest_sends(guest, &f);
    expect_guest_gets_nothing(guest);
    assert_true(net_sim_take_datagram(guest->net, &d));
    assert_int_equal(d.to.port, 777);
    assert_memory_equal(d.data, "pong", 4);
    frame_udp(&f, &p, 54, v.udp.src_port, "pong", 4); /* another port of the guest's is nobody */
    guest_sends(guest, &f);
    expect_guest_gets(guest, &v);
    frame_expect_icmp(&v, ICMP4_UNREACHABLE, 3);
}

static void closing_all_frees_the_hosts_ports(void **state)
{
    struct ip_endpoint at = endpoint("127.0.0.1:8080");

    assert_int_equal(switch_forward_add_spec(guest->sw, "127.0.0.1:8080=192.168.127.2:80", NULL),
                     ST_OK);
    assert_true(net_sim_is_listening(guest->net, &at));
    switch_forward_close_all(guest->sw);
    assert_false(net_sim_is_listening(guest->net, &at));
    assert_int_equal(guest_census(guest).forwards, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_guest_without_an_address_gets_one),
        T(names_resolve_by_udp),
        T(names_resolve_by_tcp),
        T(an_exposed_port_reaches_the_guest),
        T(an_exposed_udp_port_answers_its_client),
        T(closing_all_frees_the_hosts_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
