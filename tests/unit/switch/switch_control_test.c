/* SPDX-License-Identifier: Apache-2.0
 * switch_control_test.c - the control API of a whole switch: every route, tunnels, their ends.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include "http/api.h"

#include <stdio.h>
#include <string.h>

static struct sim_guest *guest;

static int setup(void **state)
{
    (void)state;
    guest = sim_guest_new(NULL, FRAME_STDIO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_guest_free(guest);
    return 0;
}

static struct sim_peer *connect_control(enum status want)
{
    struct stream *stream;
    struct sim_peer *p = sim_stream(guest->sim, &stream);

    assert_int_equal(switch_control_serve(guest->sw, stream), want);
    return p;
}

static struct sim_peer *ask(const char *method, const char *target, const char *body)
{
    struct sim_peer *p = connect_control(ST_OK);
    char text[2048];

    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: switch\r\nContent-Length: %zu\r\n\r\n%s",
             method, target, strlen(body), body);
    sim_peer_send_text(p, text);
    sim_run(guest->sim);
    return p;
}

/* One request on a connection of its own: "200 body". */
static const char *request(const char *method, const char *target, const char *body)
{
    static char result[8192];
    struct sim_peer *p = ask(method, target, body);
    const char *text = sim_peer_text(p), *end = strstr(text, "\r\n\r\n");

    if (!end)
        fail_msg("%s: no answer in \"%s\"", target, text);
    snprintf(result, sizeof result, "%.3s %s", text + 9, end + 4);
    sim_peer_end(p);
    sim_run(guest->sim);
    assert_true(sim_peer_is_closed(p));
    return result;
}

static const struct row {
    const char *name, *method, *target, *body, *want;
} rows[] = {
    { "no forwards", "GET", "/services/forwarder/all", "", "200 []\n" },
    { "expose", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:80\",\"remote\":\"192.168.127.2:80\"}", "200 " },
    { "expose to the guest", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:81\",\"remote\":\":81\"}", "200 " },
    { "all", "GET", "/services/forwarder/all", "",
      "200 [{\"local\":\"127.0.0.1:80\",\"remote\":\"192.168.127.2:80\",\"protocol\":\"tcp\","
      "\"state\":\"listening\",\"message\":\"\"},"
      "{\"local\":\"127.0.0.1:81\",\"remote\":\"192.168.127.2:81\",\"protocol\":\"tcp\","
      "\"state\":\"listening\",\"message\":\"\"}]\n" },
    { "unexpose", "POST", "/services/forwarder/unexpose", "{\"local\":\"127.0.0.1:80\"}", "200 " },
    { "add a zone", "POST", "/services/dns/add",
      "{\"Name\":\"test.internal.\",\"Records\":[{\"Name\":\"a\",\"IP\":\"192.168.127.2\"}]}",
      "200 " },
    { "no zone", "POST", "/services/dns/add", "[]", "400 not a JSON object\n" },
    { "no body", "POST", "/services/dns/add", "", "400 not a JSON object\n" },
    { "method of add", "GET", "/services/dns/add", "", "400 post only\n" },
    { "no leases", "GET", "/services/dhcp/leases", "", "200 {}\n" },
    { "no leases, shorter", "GET", "/leases", "", "200 {}\n" },
    { "tunnel: no ip", "POST", "/tunnel?port=1", "", "500 ip is mandatory\n" },
    { "tunnel: an empty ip", "POST", "/tunnel?ip=&port=1", "", "500 ip is mandatory\n" },
    { "tunnel: no query", "POST", "/tunnel", "", "500 ip is mandatory\n" },
    { "tunnel: a name", "POST", "/tunnel?ip=guest&port=1", "",
      "500 ip is no address of the virtual network\n" },
    { "tunnel: outside", "POST", "/tunnel?ip=10.0.0.1&port=1", "",
      "500 ip is no address of the virtual network\n" },
    { "tunnel: the host", "POST", "/tunnel?ip=192.168.127.254&port=1", "",
      "500 ip is no address of the virtual network\n" },
    { "tunnel: no port", "POST", "/tunnel?ip=192.168.127.2", "",
      "500 port is no number from 1 to 65535\n" },
    { "tunnel: port 0", "POST", "/tunnel?ip=192.168.127.2&port=0", "",
      "500 port is no number from 1 to 65535\n" },
    { "tunnel: port", "POST", "/tunnel?ip=192.168.127.2&port=65536", "",
      "500 port is no number from 1 to 65535\n" },
    { "tunnel: port with more", "POST", "/tunnel?ip=192.168.127.2&port=80x", "",
      "500 port is no number from 1 to 65535\n" },
    { "capture: filter", "GET", "/capture?filter=port+x", "", "400 filter: \"x\" is no port\n" },
    { "capture: half a character", "GET", "/capture?filter=%4", "",
      "400 filter is no text of less than 512 bytes\n" },
    { "capture: seconds", "GET", "/capture?seconds=0", "",
      "400 seconds is no number from 1 to 86400\n" },
    { "capture: bytes", "GET", "/capture?bytes=1", "", "400 bytes is no number from 4096 up\n" },
    { "capture: snaplen", "GET", "/capture?snaplen=70000", "",
      "400 snaplen is no number from 64 to 65549\n" },
    { "capture: number beyond", "GET", "/capture?bytes=99999999999999999999999", "",
      "400 bytes is no number from 4096 up\n" },
    { "elsewhere", "GET", "/connect", "", "404 404 page not found\n" },
};

static void every_route_answers_as_gvisor_tap_vsock_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = request(rows[i].method, rows[i].target, rows[i].body);

        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, got, rows[i].want);
    }
    assert_non_null(strstr(request("GET", "/services/dns/all", ""),
                           "{\"Name\":\"test.internal.\",\"Records\":[{\"Name\":\"a\","
                           "\"IP\":\"192.168.127.2\"}],\"DefaultIP\":\"\"}"));
}

static void the_token_is_for_the_virtual_network_only(void **state)
{
    struct switch_config config = { .api_token = "s3cret" };

    (void)state;
    sim_guest_free(guest);
    guest = sim_guest_new(&config, FRAME_STDIO);
    assert_string_equal(request("POST", "/services/forwarder/expose",
                                "{\"local\":\":80\",\"remote\":\"192.168.127.2:80\"}"),
                        "200 ");
}

static void a_query_that_is_too_long_is_refused(void **state)
{
    char target[API_QUERY_MAX + 64] = "/capture?filter=";

    (void)state;
    memset(target + strlen(target), 'a', API_QUERY_MAX);
    struct sim_peer *p = connect_control(ST_OK);

    sim_peer_send_text(p, "GET ");
    sim_peer_send_text(p, target);
    sim_peer_send_text(p, " HTTP/1.1\r\nHost: a\r\n\r\n");
    sim_run(guest->sim);
    assert_non_null(strstr(sim_peer_text(p), "the query is too long\n"));
    sim_peer_end(p);
    sim_run(guest->sim);
}

static void numbers_and_neighbours_are_told(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct frame f;
    const char *text;
    char want[64];

    (void)state;
    clock_advance_ms(guest, 5);
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 56);
    guest_sends(guest, &f);
    text = request("GET", "/stats", "");
    snprintf(want, sizeof want, "\"BytesReceived\":%llu,",
             (unsigned long long)guest_counters(guest)->rx_bytes);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "\"BytesSent\":"));
    assert_non_null(strstr(text, "\"icmp_echo\":"));
    assert_non_null(strstr(text, "\"now\":{\"tcp_flows\":0,"));
    assert_string_equal(request("GET", "/cam", ""), "200 {\"5a:94:ef:e4:0c:ee\":1}\n");
}

/* ---- tunnels ----------------------------------------------------------------------------- */

static void guest_sends_tcp(const struct frame_view *to, uint8_t flags, uint32_t seq,
                            const char *text)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct tcp_header h = { .src_port = to->tcp.dst_port,
                            .dst_port = to->tcp.src_port,
                            .seq = seq,
                            .ack = to->tcp.seq + (uint32_t)to->payload_bytes +
                                   (to->tcp.flags & (TCP_SYN | TCP_FIN) ? 1 : 0),
                            .flags = flags,
                            .window = 65535 };
    struct frame f;

    frame_tcp(&f, &path, &h, text, strlen(text));
    guest_sends(guest, &f);
}

/* The next TCP segment that has data or any of @flags. */
static void expect_segment(struct frame_view *v, uint8_t flags)
{
    do {
        expect_guest_gets(guest, v);
    } while (!v->is_tcp || !(v->payload_bytes || (v->tcp.flags & flags)));
}

static struct sim_peer *open_tunnel(struct frame_view *syn, const char *body)
{
    struct sim_peer *p = ask("POST", "/tunnel?ip=192.168.127.2&port=8080", body);

    assert_string_equal(sim_peer_text(p), "OK"); /* before the guest has answered */
    sim_peer_drop_received(p);
    expect_segment(syn, TCP_SYN);
    assert_int_equal(syn->tcp.dst_port, 8080);
    return p;
}

static void a_tunnel_carries_bytes_both_ways_and_ends_both_ways(void **state)
{
    struct sim_peer *p = connect_control(ST_OK);
    struct frame_view v;

    (void)state;
    sim_peer_send_text(p, "POST /tunnel?ip=192.168.127.2&port=8080 HTTP/1.1\r\nHost: a\r\n"
                          "Content-Length: 0\r\n\r\nearly"); /* behind the request */
    sim_run(guest->sim);
    assert_string_equal(sim_peer_text(p), "OK");
    expect_segment(&v, TCP_SYN);
    guest_sends_tcp(&v, TCP_SYN | TCP_ACK, 7000, "");
    expect_segment(&v, 0);
    frame_expect_payload(&v, "early", 5);
    guest_sends_tcp(&v, TCP_ACK, 7001, "hello");
    assert_string_equal(sim_peer_text(p), "OKhello");
    sim_peer_end(p);
    sim_run(guest->sim);
    expect_segment(&v, TCP_FIN);
    assert_false(sim_peer_saw_end(p)); /* the other direction goes on */
    guest_sends_tcp(&v, TCP_ACK, 7006, "last");
    guest_sends_tcp(&v, TCP_ACK | TCP_FIN, 7010, "");
    assert_string_equal(sim_peer_text(p), "OKhellolast");
    assert_true(sim_peer_is_closed(p));
}

static void a_tunnel_that_the_guest_refuses_is_closed(void **state)
{
    struct frame_view v;
    struct sim_peer *p = open_tunnel(&v, "");

    (void)state;
    guest_sends_tcp(&v, TCP_RST | TCP_ACK, 0, "");
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(guest_census(guest).tcp_flows, 0);
}

static void a_tunnel_to_a_silent_guest_ends(void **state)
{
    struct frame_view v;
    struct sim_peer *p = open_tunnel(&v, "");

    (void)state;
    clock_advance_ms(guest, 300 * 1000);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(guest_census(guest).tcp_flows, 0);
}

static void a_client_may_go_before_the_guest_has_answered(void **state)
{
    struct frame_view v;
    struct sim_peer *p = open_tunnel(&v, "");

    (void)state;
    sim_peer_send_text(p, "x");
    sim_peer_reset(p, ST_RESET);
    sim_run(guest->sim);
    assert_true(sim_peer_is_closed(p));
    clock_advance_ms(guest, 1000);
    assert_int_equal(guest_census(guest).tcp_flows, 0);
}

static void tunnels_are_bounded_and_end_with_the_switch(void **state)
{
    unsigned open = 0;
    struct sim_peer *p;

    (void)state;
    do {
        p = ask("POST", "/tunnel?ip=192.168.127.2&port=8080", "");
        open += strcmp(sim_peer_text(p), "OK") == 0;
    } while (strcmp(sim_peer_text(p), "OK") == 0);
    assert_int_equal(open, 64);
    assert_int_equal(guest_counters(guest)->tunnel_limit_hits, 1);
    assert_memory_equal(sim_peer_text(p), "HTTP/1.1 500", 12);
}

static void a_tunnel_reaches_ipv6_too(void **state)
{
    struct ip_addr to;
    struct frame_view v;

    (void)state;
    assert_int_equal(ip_addr_parse(&to, "fd00:72:64::2"), ST_OK);
    (void)ask("POST", "/tunnel?ip=fd00:72:64::2&port=80", "");
    expect_segment(&v, TCP_SYN);
    assert_true(ip_addr_equal(&v.ip.dst, &to));
}

static void connections_are_bounded(void **state)
{
    struct sim_peer *p;

    (void)state;
    for (unsigned i = 0; i < API_CONNS_MAX; i++)
        connect_control(ST_OK);
    p = connect_control(ST_FULL);
    assert_true(sim_peer_is_closed(p));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_route_answers_as_gvisor_tap_vsock_does),
        T(the_token_is_for_the_virtual_network_only),
        T(a_query_that_is_too_long_is_refused),
        T(numbers_and_neighbours_are_told),
        T(a_tunnel_carries_bytes_both_ways_and_ends_both_ways),
        T(a_tunnel_that_the_guest_refuses_is_closed),
        T(a_tunnel_to_a_silent_guest_ends),
        T(a_client_may_go_before_the_guest_has_answered),
        T(tunnels_are_bounded_and_end_with_the_switch),
        T(a_tunnel_reaches_ipv6_too),
        T(connections_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
