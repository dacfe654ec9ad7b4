/* SPDX-License-Identifier: Apache-2.0
 * switch_udp_test.c - datagrams of the guest through the switch and back.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <stdio.h>
#include <string.h>

static struct frame f; /* too large for a stack under sanitizers */

static struct ip_endpoint at(const char *addr, uint16_t port)
{
    return (struct ip_endpoint){ .addr = frame_addr(addr), .port = port };
}

static void guest_sends_udp(struct sim_guest *g, const char *src, const char *dst,
                            uint16_t src_port, uint16_t dst_port, const void *data, size_t len)
{
    struct frame_path path = frame_path(src, dst);

    frame_udp(&f, &path, src_port, dst_port, data, len);
    guest_sends(g, &f);
}

static void expect_host_gets(struct sim_guest *g, struct net_sim_datagram *d, const char *to,
                             uint16_t port, const char *text)
{
    struct ip_endpoint want = at(to, port);

    if (!net_sim_take_datagram(g->net, d))
        fail_msg("the host gets nothing");
    assert_memory_equal(&d->to.addr, &want.addr, sizeof want.addr);
    assert_int_equal(d->to.port, port);
    assert_int_equal(d->len_bytes, strlen(text));
    assert_memory_equal(d->data, text, d->len_bytes);
}

static void a_datagram_goes_out_and_its_answer_comes_back(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "ping", 4);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "ping");
    assert_true(net_sim_udp_send(g->net, &d.to, &d.from, "pong", 4));
    expect_guest_gets(g, &v);
    frame_expect_path(&v, "10.1.2.3", "192.168.127.2");
    frame_expect_udp(&v, 7000, 4000);
    frame_expect_payload(&v, "pong", 4);
    assert_true(mac_equal(&v.eth.dst, &frame_guest_mac));
    assert_int_equal(guest_counters(g)->udp_sent, 1);
    assert_int_equal(guest_counters(g)->udp_received, 1);
    sim_guest_free(g);
}

static void ipv6_does_the_same(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    guest_sends_udp(g, "fd00:72:64::2", "2001:db8::7", 4000, 7000, "ping", 4);
    expect_host_gets(g, &d, "2001:db8::7", 7000, "ping");
    assert_true(net_sim_udp_send(g->net, &d.to, &d.from, "pong", 4));
    expect_guest_gets(g, &v);
    frame_expect_path(&v, "2001:db8::7", "fd00:72:64::2");
    frame_expect_payload(&v, "pong", 4);
    sim_guest_free(g);
}

static void the_host_alias_is_the_hosts_loopback(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "192.168.127.254", 4000, 7000, "a", 1);
    expect_host_gets(g, &d, "127.0.0.1", 7000, "a");
    net_sim_udp_send(g->net, &d.to, &d.from, "b", 1);
    expect_guest_gets(g, &v);
    frame_expect_path(&v, "192.168.127.254", "192.168.127.2");
    sim_guest_free(g);
}

static void one_socket_serves_every_destination_of_a_guest_port(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    char dst[16];

    (void)state;
    for (unsigned i = 1; i <= 50; i++) {
        snprintf(dst, sizeof dst, "10.0.0.%u", i);
        guest_sends_udp(g, "192.168.127.2", dst, 4000, 7000, "a", 1);
    }
    assert_int_equal(net_sim_open_udp(g->net), 1);
    guest_sends_udp(g, "192.168.127.2", "10.0.0.1", 4001, 7000, "a", 1);
    assert_int_equal(net_sim_open_udp(g->net), 2);
    sim_guest_free(g);
}

static void only_who_was_asked_may_answer(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_endpoint stranger = at("10.9.9.9", 7000), other_port = at("10.1.2.3", 9999);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a");
    net_sim_udp_send(g->net, &stranger, &d.from, "evil", 4);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_bad_source, 1);
    net_sim_udp_send(g->net, &other_port, &d.from, "fine", 4);
    expect_guest_gets(g, &v);
    frame_expect_udp(&v, 9999, 4000);
    sim_guest_free(g);
}

static void a_port_with_many_peers_takes_from_anybody(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_endpoint stranger = at("10.9.9.9", 7000);
    struct net_sim_datagram d;
    struct frame_view v;
    char dst[16];

    (void)state;
    for (unsigned i = 1; i <= 9; i++) {
        snprintf(dst, sizeof dst, "10.0.0.%u", i);
        guest_sends_udp(g, "192.168.127.2", dst, 4000, 7000, "a", 1);
    }
    expect_host_gets(g, &d, "10.0.0.1", 7000, "a");
    net_sim_udp_send(g->net, &stranger, &d.from, "hole", 4);
    expect_guest_gets(g, &v);
    frame_expect_path(&v, "10.9.9.9", "192.168.127.2");
    sim_guest_free(g);
}

static void a_flow_ends_when_it_was_idle(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    clock_advance_ms(g, 59999);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    clock_advance_ms(g, 59999);
    assert_int_equal(guest_census(g).udp_flows, 1);
    clock_advance_ms(g, 1);
    assert_int_equal(guest_census(g).udp_flows, 0);
    assert_int_equal(net_sim_open_udp(g->net), 0);
    sim_guest_free(g);
}

static void a_question_to_a_name_server_ends_sooner(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    guest_sends_udp(g, "192.168.127.2", "1.1.1.1", 4001, 53, "q", 1);
    guest_sends_udp(g, "192.168.127.2", "1.1.1.1", 4002, 123, "t", 1);
    guest_sends_udp(g, "192.168.127.2", "1.1.1.1", 4003, 53, "q", 1);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4003, 7000, "a", 1);
    clock_advance_ms(g, 10000);
    assert_int_equal(guest_census(g).udp_flows, 2);
    sim_guest_free(g);
}

static void answers_keep_a_flow(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a");
    for (int i = 0; i < 5; i++) {
        clock_advance_ms(g, 50000);
        assert_true(net_sim_udp_send(g->net, &d.to, &d.from, "tick", 4));
    }
    clock_advance_ms(g, 50000);
    assert_int_equal(guest_census(g).udp_flows, 1);
    sim_guest_free(g);
}

static void when_the_table_is_full_the_least_recently_used_goes(void **state)
{
    struct switch_config c = { .limits.udp_flows = 3 };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    for (uint16_t port = 1; port <= 3; port++) {
        guest_sends_udp(g, "192.168.127.2", "10.1.2.3", port, 7000, "a", 1);
        clock_advance_ms(g, 1);
    }
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 1, 7000, "b", 1);
    clock_advance_ms(g, 1);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4, 7000, "c", 1);
    assert_int_equal(guest_census(g).udp_flows, 3);
    assert_int_equal(net_sim_open_udp(g->net), 3);
    assert_int_equal(guest_counters(g)->udp_evicted, 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a"); /* port 1, used again since */
    assert_true(net_sim_udp_send(g->net, &d.to, &d.from, "r", 1));
    expect_guest_gets(g, &v);
    frame_expect_udp(&v, 7000, 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a"); /* port 2, the oldest */
    assert_false(net_sim_udp_send(g->net, &d.to, &d.from, "r", 1));
    sim_guest_free(g);
}

static void ten_times_the_table_is_no_leak(void **state)
{
    struct switch_config c = { .limits.udp_flows = 100 };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);

    (void)state;
    net_sim_udp_default(g->net, NET_SIM_UDP_ECHO);
    for (uint16_t port = 1; port <= 1000; port++)
        guest_sends_udp(g, "192.168.127.2", "10.1.2.3", port, 7000, "a", 1);
    assert_int_equal(guest_census(g).udp_flows, 100);
    assert_int_equal(guest_counters(g)->udp_evicted, 900);
    assert_int_equal(guest_counters(g)->udp_received, 1000);
    sim_guest_free(g);
}

static void out_of_descriptors_an_old_flow_makes_room(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 1, 7000, "a", 1);
    net_sim_next_udp_open_fails(g->net, ST_NOFILES);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 2, 7000, "b", 1);
    assert_int_equal(guest_counters(g)->udp_evicted, 1);
    assert_int_equal(guest_counters(g)->udp_sent, 2);
    net_sim_next_udp_open_fails(g->net, ST_NOMEM);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 3, 7000, "c", 1);
    assert_int_equal(guest_counters(g)->drop_no_memory, 1);
    assert_int_equal(guest_census(g).udp_flows, 1);
    sim_guest_free(g);
}

static void a_large_answer_comes_in_fragments(void **state)
{
    static uint8_t data[9000];
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;
    size_t got = 0;

    (void)state;
    frame_pattern_fill(data, 0, sizeof data);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a");
    assert_true(net_sim_udp_send(g->net, &d.to, &d.from, data, sizeof data));
    do {
        expect_guest_gets(g, &v);
        assert_true(v.len_bytes <= 1514);
        assert_int_equal(v.ip.fragment_offset, got);
        got += v.ip.payload_bytes;
    } while (v.ip.more_fragments);
    assert_int_equal(got, sizeof data + UDP_HEADER_BYTES);
    expect_guest_gets_nothing(g);
    sim_guest_free(g);
}

static void send_a_large_datagram(void **state, const char *src, const char *dst)
{
    static uint8_t data[60000];
    static struct frame whole, piece;
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_path path = frame_path(src, dst);
    struct net_sim_datagram d;

    (void)state;
    frame_pattern_fill(data, 0, sizeof data);
    frame_udp(&whole, &path, 4000, 7000, data, sizeof data);
    for (size_t sent = 0, total = sizeof data + UDP_HEADER_BYTES; sent < total; sent += 1400) {
        frame_fragment(&piece, &whole, sent, MIN(1400, total - sent));
        guest_sends(g, &piece);
    }
    assert_true(net_sim_take_datagram(g->net, &d));
    assert_int_equal(d.len_bytes, sizeof data);
    assert_memory_equal(d.data, data, sizeof data);
    sim_guest_free(g);
}

static void a_large_datagram_is_put_together(void **state)
{
    send_a_large_datagram(state, "192.168.127.2", "10.1.2.3");
}

static void a_large_datagram_is_put_together_ipv6(void **state)
{
    send_a_large_datagram(state, "fd00:72:64::2", "2001:db8::1");
}

static void expect_icmp_quoting(struct sim_guest *g, uint8_t type, uint8_t code, const char *from,
                                uint16_t src_port, uint16_t dst_port)
{
    struct frame_view v;
    struct ip_header ip;
    struct bytes r;

    expect_guest_gets(g, &v);
    frame_expect_icmp(&v, type, code);
    frame_expect_path(&v, from, "192.168.127.2");
    r = bytes_of(v.payload, v.payload_bytes);
    assert_int_equal(ip4_decode(&ip, &r), ST_OK);
    assert_int_equal(ip.proto, IP_PROTO_UDP);
    r = bytes_of(v.payload + ip.header_bytes, v.payload_bytes - ip.header_bytes);
    assert_int_equal(bytes_be16(&r), src_port);
    assert_int_equal(bytes_be16(&r), dst_port);
}

static void a_closed_port_of_the_host_is_told_as_such(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    net_sim_udp_default(g->net, NET_SIM_UDP_REFUSED);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    expect_icmp_quoting(g, ICMP4_UNREACHABLE, 3, "10.1.2.3", 4000, 7000);
    net_sim_udp_default(g->net, NET_SIM_UDP_UNREACHABLE);
    guest_sends_udp(g, "192.168.127.2", "192.168.127.254", 4000, 7000, "a", 1);
    expect_icmp_quoting(g, ICMP4_UNREACHABLE, 1, "192.168.127.1", 4000, 7000);
    sim_guest_free(g);
}

static void what_the_path_does_not_take_is_told_as_too_big(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    static const uint8_t data[1400];
    struct frame_view v;

    (void)state;
    net_sim_next_udp_send_fails(g->net, ST_INVAL);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, data, sizeof data);
    expect_guest_gets(g, &v);
    frame_expect_icmp(&v, ICMP4_UNREACHABLE, 4);
    assert_int_equal(v.icmp.rest, 1280);
    sim_guest_free(g);
}

static const struct {
    const char *name, *dst;
    uint16_t port;
    bool is_told;
} refused[] = {
    { "no service of the gateway's", "192.168.127.1", 69, true },
    { "docker engine", "192.168.127.254", 2375, true },
    { "metadata service", "169.254.169.254", 80, true },
    { "everybody", "255.255.255.255", 7000, false },
    { "everybody on this network", "192.168.127.255", 7000, false },
    { "mDNS", "224.0.0.251", 5353, false },
    { "another guest", "192.168.127.77", 7000, false },
};

static void what_is_not_for_outside_stays_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
        struct frame_view v;

        guest_sends_udp(g, "192.168.127.2", refused[i].dst, 4000, refused[i].port, "a", 1);
        assert_int_equal(net_sim_open_udp(g->net), 0);
        if (guest_gets(g, &v) != refused[i].is_told)
            fail_msg("%s: %s", refused[i].name, refused[i].is_told ? "silence" : "an answer");
        if (refused[i].is_told)
            assert_true(v.is_icmp && v.icmp.type == ICMP4_UNREACHABLE);
        sim_guest_free(g);
    }
}

static void udp_len_field_lies(void **state)
{
    static const uint16_t lies[] = { 0, 7, 14, 0xffff };
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        frame_udp(&f, &path, 4000, 7000, "hello", 5);
        f.b[f.l4 + 4] = (uint8_t)(lies[i] >> 8);
        f.b[f.l4 + 5] = (uint8_t)lies[i];
        guest_sends(g, &f);
        assert_int_equal(guest_counters(g)->drop_malformed, i + 1);
    }
    assert_int_equal(net_sim_udp_sent(g->net), 0);
    sim_guest_free(g);
}

static void udp_sport_0(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 0, 7000, "a", 1);
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 0, "a", 1);
    assert_int_equal(guest_counters(g)->drop_malformed, 2);
    assert_int_equal(net_sim_open_udp(g->net), 0);
    sim_guest_free(g);
}

static void a_wrong_checksum_is_dropped_and_none_is_fine(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct frame_path path6 = frame_path("fd00:72:64::2", "2001:db8::1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    frame_udp(&f, &path, 4000, 7000, "hello", 5);
    f.b[f.l4 + 6] ^= 1;
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->drop_bad_checksum, 1);
    f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0;
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->udp_sent, 1);
    frame_udp(&f, &path6, 4000, 7000, "hello", 5);
    f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0; /* not over IPv6 */
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->drop_bad_checksum, 2);
    sim_guest_free(g);
}

static void a_super_datagram_of_v2_is_cut_as_it_says(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_V2);
    struct frame_offload off = { .needs_csum = true,
                                 .csum_start = 34,
                                 .csum_offset = 6,
                                 .gso = FRAME_GSO_UDP,
                                 .gso_size = 1000,
                                 .header_bytes = 42 };
    static uint8_t data[2500];
    struct net_sim_datagram d;
    size_t want[] = { 1000, 1000, 500 };

    (void)state;
    frame_udp(&f, &path, 4000, 7000, data, sizeof data);
    guest_sends_offload(g, &f, &off);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_true(net_sim_take_datagram(g->net, &d));
        assert_int_equal(d.len_bytes, want[i]);
    }
    assert_false(net_sim_take_datagram(g->net, &d));
    sim_guest_free(g);
}

static void udp_reply_after_flow_freed(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_endpoint from;
    struct net_sim_datagram d;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, "a", 1);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "a");
    from = d.from;
    clock_advance_ms(g, 60000);
    assert_false(net_sim_udp_send(g->net, &d.to, &from, "late", 4));
    expect_guest_gets_nothing(g);
    sim_guest_free(g);
}

static void an_empty_datagram_crosses(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    guest_sends_udp(g, "192.168.127.2", "10.1.2.3", 4000, 7000, NULL, 0);
    expect_host_gets(g, &d, "10.1.2.3", 7000, "");
    net_sim_udp_send(g->net, &d.to, &d.from, NULL, 0);
    expect_guest_gets(g, &v);
    assert_int_equal(v.udp.payload_bytes, 0);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_goes_out_and_its_answer_comes_back),
        cmocka_unit_test(ipv6_does_the_same),
        cmocka_unit_test(the_host_alias_is_the_hosts_loopback),
        cmocka_unit_test(one_socket_serves_every_destination_of_a_guest_port),
        cmocka_unit_test(only_who_was_asked_may_answer),
        cmocka_unit_test(a_port_with_many_peers_takes_from_anybody),
        cmocka_unit_test(a_flow_ends_when_it_was_idle),
        cmocka_unit_test(a_question_to_a_name_server_ends_sooner),
        cmocka_unit_test(answers_keep_a_flow),
        cmocka_unit_test(when_the_table_is_full_the_least_recently_used_goes),
        cmocka_unit_test(ten_times_the_table_is_no_leak),
        cmocka_unit_test(out_of_descriptors_an_old_flow_makes_room),
        cmocka_unit_test(a_large_answer_comes_in_fragments),
        cmocka_unit_test(a_large_datagram_is_put_together),
        cmocka_unit_test(a_large_datagram_is_put_together_ipv6),
        cmocka_unit_test(a_closed_port_of_the_host_is_told_as_such),
        cmocka_unit_test(what_the_path_does_not_take_is_told_as_too_big),
        cmocka_unit_test(what_is_not_for_outside_stays_inside),
        cmocka_unit_test(udp_len_field_lies),
        cmocka_unit_test(udp_sport_0),
        cmocka_unit_test(a_wrong_checksum_is_dropped_and_none_is_fine),
        cmocka_unit_test(a_super_datagram_of_v2_is_cut_as_it_says),
        cmocka_unit_test(udp_reply_after_flow_freed),
        cmocka_unit_test(an_empty_datagram_crosses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
