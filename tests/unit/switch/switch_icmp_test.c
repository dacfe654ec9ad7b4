/* SPDX-License-Identifier: Apache-2.0
 * switch_icmp_test.c - echo here and beyond, and the errors the guest is told.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <string.h>

static struct frame f;

static void guest_pings(struct sim_guest *g, const char *src, const char *dst, uint16_t id,
                        uint16_t sequence, size_t len)
{
    struct frame_path path = frame_path(src, dst);
    bool six = !ip_addr_is_v4(&path.dst);

    frame_icmp(&f, &path, six ? ICMP6_ECHO : ICMP4_ECHO, 0, (uint32_t)id << 16 | sequence, NULL,
               len);
    guest_sends(g, &f);
}

static void expect_reply(struct sim_guest *g, const char *from, const char *to, uint16_t id,
                         uint16_t sequence, size_t len)
{
    struct frame_view v;

    expect_guest_gets(g, &v);
    frame_expect_icmp(&v, v.is_ip6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY, 0);
    frame_expect_path(&v, from, to);
    assert_int_equal(v.icmp.rest, (uint32_t)id << 16 | sequence);
    assert_int_equal(v.payload_bytes, len);
    frame_expect_pattern(&v, 0);
}

static void the_gateway_answers_by_itself(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_pings(g, "192.168.127.2", "192.168.127.1", 7, 1, 56);
    expect_reply(g, "192.168.127.1", "192.168.127.2", 7, 1, 56);
    guest_pings(g, "fd00:72:64::2", "fd00:72:64::1", 7, 2, 56);
    expect_reply(g, "fd00:72:64::1", "fd00:72:64::2", 7, 2, 56);
    guest_pings(g, "fe80::2", "fe80::5894:efff:fee4:cdd", 7, 3, 0);
    expect_reply(g, "fe80::5894:efff:fee4:cdd", "fe80::2", 7, 3, 0);
    assert_int_equal(net_sim_open_pings(g->net), 0);
    sim_guest_free(g);
}

static void a_real_host_is_asked_and_id_and_sequence_kept(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_addr want = frame_addr("10.1.2.3"), asked;

    (void)state;
    net_sim_next_ping(g->net, ST_OK, 30);
    guest_pings(g, "192.168.127.2", "10.1.2.3", 0xbeef, 9, 56);
    expect_guest_gets_nothing(g);
    asked = net_sim_last_ping(g->net);
    assert_true(ip_addr_equal(&asked, &want));
    assert_int_equal(guest_census(g).pings, 1);
    clock_advance_ms(g, 30);
    expect_reply(g, "10.1.2.3", "192.168.127.2", 0xbeef, 9, 56);
    assert_int_equal(guest_census(g).pings, 0);
    sim_guest_free(g);
}

static void the_host_alias_is_the_loopback_address(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_addr want = frame_addr("::1"), asked;

    (void)state;
    guest_pings(g, "fd00:72:64::2", "fd00:72:64::254", 1, 1, 8);
    asked = net_sim_last_ping(g->net);
    assert_true(ip_addr_equal(&asked, &want));
    expect_reply(g, "fd00:72:64::254", "fd00:72:64::2", 1, 1, 8);
    sim_guest_free(g);
}

static void a_large_ping_comes_back_in_fragments(void **state)
{
    static struct frame whole, piece;
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;
    size_t total = 8 + 5000, got = 0;

    (void)state;
    frame_icmp(&whole, &path, ICMP4_ECHO, 0, 1, NULL, 5000);
    for (size_t at = 0; at < total; at += 1480) {
        frame_fragment(&piece, &whole, at, MIN(1480, total - at));
        guest_sends(g, &piece);
    }
    while (got < total) {
        expect_guest_gets(g, &v);
        got += v.ip.payload_bytes;
    }
    assert_false(v.ip.more_fragments);
    assert_int_equal(got, total);
    sim_guest_free(g);
}

static void expect_error(struct sim_guest *g, struct frame_view *v, uint8_t type, uint8_t code)
{
    expect_guest_gets(g, v);
    frame_expect_icmp(v, type, code);
}

static void what_the_host_says_about_a_ping_is_passed_on(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    net_sim_next_ping(g->net, ST_UNREACHABLE, 10);
    guest_pings(g, "192.168.127.2", "10.1.2.3", 0x1234, 7, 500);
    clock_advance_ms(g, 10);
    expect_error(g, &v, ICMP4_UNREACHABLE, 1);
    frame_expect_path(&v, "192.168.127.1", "192.168.127.2");
    assert_memory_equal(v.payload, f.b + f.l3, 28); /* id and sequence are in the quote */
    net_sim_next_ping(g->net, ST_OK, SIM_NEVER);
    guest_pings(g, "192.168.127.2", "10.1.2.3", 1, 2, 8);
    clock_advance_ms(g, 4999);
    assert_int_equal(guest_census(g).pings, 1);
    clock_advance_ms(g, 1);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_census(g).pings, 0);
    net_sim_set_ping_fails(g->net, ST_UNSUPPORTED);
    guest_pings(g, "192.168.127.2", "10.1.2.3", 1, 3, 8);
    expect_error(g, &v, ICMP4_UNREACHABLE, 13);
    sim_guest_free(g);
}

static void pings_are_bounded(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (uint16_t i = 0; i < 100; i++) {
        net_sim_next_ping(g->net, ST_OK, SIM_NEVER);
        guest_pings(g, "192.168.127.2", "10.1.2.3", 1, i, 8);
    }
    assert_int_equal(guest_census(g).pings, 64);
    assert_int_equal(net_sim_open_pings(g->net), 64);
    assert_int_equal(guest_counters(g)->ping_limit_hits, 36);
    guest_pings(g, "192.168.127.2", "192.168.127.1", 1, 1, 8); /* needs none of them */
    expect_reply(g, "192.168.127.1", "192.168.127.2", 1, 1, 8);
    sim_guest_free(g); /* with pings under way */
}

static void metadata_services_are_not_pinged(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    guest_pings(g, "192.168.127.2", "169.254.169.254", 1, 1, 8);
    expect_error(g, &v, ICMP4_UNREACHABLE, 13);
    guest_pings(g, "192.168.127.2", "192.168.127.255", 1, 1, 8);
    guest_pings(g, "192.168.127.2", "224.0.0.1", 1, 1, 8);
    expect_guest_gets_nothing(g);
    assert_int_equal(net_sim_open_pings(g->net), 0);
    sim_guest_free(g);
}

static void the_last_hop_is_told(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct frame_path path6 = frame_path("fd00:72:64::2", "2001:db8::1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    path.ttl = path6.ttl = 1;
    frame_udp(&f, &path, 4000, 33434, "x", 1);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP4_TIME_EXCEEDED, 0);
    frame_expect_path(&v, "192.168.127.1", "192.168.127.2");
    assert_memory_equal(v.payload, f.b + f.l3, v.payload_bytes);
    frame_udp(&f, &path6, 4000, 33434, "x", 1);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP6_TIME_EXCEEDED, 0);
    frame_expect_path(&v, "fd00:72:64::1", "fd00:72:64::2");
    assert_memory_equal(v.payload, f.b + f.l3, v.payload_bytes);
    assert_int_equal(guest_counters(g)->drop_ttl, 2);
    assert_int_equal(net_sim_udp_sent(g->net), 0);
    sim_guest_free(g);
}

static void the_gateway_and_the_host_are_on_the_link(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.254");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    path.ttl = 1;
    frame_udp(&f, &path, 4000, 7000, "x", 1);
    guest_sends(g, &f);
    assert_int_equal(net_sim_udp_sent(g->net), 1);
    sim_guest_free(g);
}

static void quotes_are_as_long_as_they_may_be(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct frame_path path6 = frame_path("fd00:72:64::2", "fd00:72:64::1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    frame_udp(&f, &path, 4000, 9, NULL, 1400);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP4_UNREACHABLE, 3);
    assert_int_equal(v.len_bytes, ETH_HEADER_BYTES + 576);
    frame_udp(&f, &path6, 4000, 9, NULL, 1400);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP6_UNREACHABLE, 4);
    assert_int_equal(v.len_bytes, ETH_HEADER_BYTES + 1280);
    frame_udp(&f, &path, 4000, 9, NULL, 10);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP4_UNREACHABLE, 3);
    assert_int_equal(v.payload_bytes, IP4_HEADER_BYTES + UDP_HEADER_BYTES + 10);
    sim_guest_free(g);
}

static void errors_are_limited_to_a_hundred_a_second(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;
    unsigned got = 0;

    (void)state;
    for (uint16_t port = 1000; port < 2000; port++) {
        frame_udp(&f, &path, 4000, port, "x", 1);
        guest_sends(g, &f);
        clock_advance_ms(g, 1);
    }
    while (guest_gets(g, &v))
        got++;
    assert_int_equal(got, 100);
    assert_int_equal(guest_counters(g)->icmp_errors, 100);
    assert_int_equal(guest_counters(g)->icmp_error_limit_hits, 900);
    frame_udp(&f, &path, 4000, 2000, "x", 1);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP4_UNREACHABLE, 3);
    sim_guest_free(g);
}

static void a_protocol_nobody_speaks_is_told(void **state)
{
    static const uint8_t bytes[16] = { 1 };
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    expect_guest_gets_nothing(g);
    frame_ip(&f, &path, 132, bytes, sizeof bytes);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP4_UNREACHABLE, 2);
    frame_expect_path(&v, "10.1.2.3", "192.168.127.2");
    path = frame_path("fd00:72:64::2", "2001:db8::1");
    frame_ip(&f, &path, 132, bytes, sizeof bytes);
    guest_sends(g, &f);
    expect_error(g, &v, ICMP6_PARAMETER, 1);
    assert_int_equal(v.icmp.rest, 6);
    frame_ip(&f, &path, 59, bytes, 8);
    guest_sends(g, &f);
    path = frame_path("192.168.127.2", "224.0.0.22");
    frame_ip(&f, &path, 2, bytes, sizeof bytes); /* IGMP, to many */
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_not_for_us, 4);
    sim_guest_free(g);
}

static void no_error_is_sent_about_an_error(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    path.ttl = 1;
    frame_icmp(&f, &path, ICMP4_UNREACHABLE, 3, 0, NULL, 28);
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_ttl, 1);
    sim_guest_free(g);
}

static void icmp6_len_gt_frame(void **state)
{
    struct frame_path path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    frame_icmp(&f, &path, ICMP6_ECHO, 0, 1, NULL, 16);
    f.b[f.l3 + 4] = 0x40; /* the payload length */
    guest_sends(g, &f);
    frame_icmp(&f, &path, ICMP6_ECHO, 0, 1, NULL, 16);
    f.b[f.l3 + 5] = 7; /* less than an ICMP header */
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_malformed, 2);
    sim_guest_free(g);
}

static void a_wrong_checksum_is_dropped(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 16);
    f.b[f.l4 + 2] ^= 1;
    guest_sends(g, &f);
    path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    frame_icmp(&f, &path, ICMP6_ECHO, 0, 1, NULL, 16);
    f.b[f.l4 + 2] ^= 1;
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_bad_checksum, 2);
    sim_guest_free(g);
}

static void icmp_of_the_wrong_family_is_malformed(void **state)
{
    struct frame_path path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    static const uint8_t echo[16] = { ICMP4_ECHO };

    (void)state;
    frame_ip(&f, &path, IP_PROTO_ICMP, echo, sizeof echo);
    guest_sends(g, &f);
    path = frame_path("192.168.127.2", "192.168.127.1");
    frame_ip(&f, &path, IP_PROTO_ICMP6, echo, sizeof echo);
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_malformed, 2);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gateway_answers_by_itself),
        cmocka_unit_test(a_real_host_is_asked_and_id_and_sequence_kept),
        cmocka_unit_test(the_host_alias_is_the_loopback_address),
        cmocka_unit_test(a_large_ping_comes_back_in_fragments),
        cmocka_unit_test(what_the_host_says_about_a_ping_is_passed_on),
        cmocka_unit_test(pings_are_bounded),
        cmocka_unit_test(metadata_services_are_not_pinged),
        cmocka_unit_test(the_last_hop_is_told),
        cmocka_unit_test(the_gateway_and_the_host_are_on_the_link),
        cmocka_unit_test(quotes_are_as_long_as_they_may_be),
        cmocka_unit_test(errors_are_limited_to_a_hundred_a_second),
        cmocka_unit_test(a_protocol_nobody_speaks_is_told),
        cmocka_unit_test(no_error_is_sent_about_an_error),
        cmocka_unit_test(icmp6_len_gt_frame),
        cmocka_unit_test(a_wrong_checksum_is_dropped),
        cmocka_unit_test(icmp_of_the_wrong_family_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
