/* SPDX-License-Identifier: Apache-2.0
 * switch_neigh_test.c - ARP, neighbour discovery, router advertisements, and who is let in.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <stdio.h>
#include <string.h>

static struct frame f;

static struct sim_guest *open_case(void)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    g->shows_neighbours = true;
    expect_guest_gets(g, &v); /* the router's first word */
    frame_expect_icmp(&v, ICMP6_ROUTER_ADVERT, 0);
    return g;
}

static void guest_asks_arp(struct sim_guest *g, const char *src, const char *dst)
{
    struct frame_path path = frame_path(src, dst);

    frame_arp_request(&f, &path);
    guest_sends(g, &f);
}

static void arp_is_answered_for_the_gateway_and_the_host_alias_only(void **state)
{
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    guest_asks_arp(g, "192.168.127.2", "192.168.127.1");
    expect_guest_gets(g, &v);
    frame_expect_arp_reply(&v, "192.168.127.1");
    assert_true(mac_equal(&v.arp.sender_mac, &frame_gateway_mac));
    assert_true(mac_equal(&v.eth.dst, &frame_guest_mac));
    guest_asks_arp(g, "192.168.127.2", "192.168.127.254");
    expect_guest_gets(g, &v);
    frame_expect_arp_reply(&v, "192.168.127.254");
    guest_asks_arp(g, "192.168.127.2", "192.168.127.3");
    guest_asks_arp(g, "192.168.127.2", "10.0.0.1");
    guest_asks_arp(g, "192.168.127.2", "192.168.127.2");
    expect_guest_gets_nothing(g);
    sim_guest_free(g);
}

static void an_arp_probe_for_our_address_is_contradicted(void **state)
{
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    guest_asks_arp(g, "0.0.0.0", "192.168.127.1");
    expect_guest_gets(g, &v);
    frame_expect_arp_reply(&v, "192.168.127.1");
    sim_guest_free(g);
}

static void who_claims_our_address_is_dropped(void **state)
{
    struct sim_guest *g = open_case();

    (void)state;
    guest_asks_arp(g, "192.168.127.1", "192.168.127.254");
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_policy, 1);
    sim_guest_free(g);
}

static void arp_truncated(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct sim_guest *g = open_case();
    size_t whole;

    (void)state;
    frame_arp_request(&f, &path);
    whole = f.len_bytes;
    for (size_t len = ETH_HEADER_BYTES; len < ETH_HEADER_BYTES + ARP_BYTES; len++) {
        f.len_bytes = len;
        guest_sends(g, &f);
    }
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_malformed, ARP_BYTES);
    assert_true(whole >= ETH_HEADER_BYTES + ARP_BYTES);
    sim_guest_free(g);
}

static void a_solicit_for_ours_is_answered_and_for_others_is_not(void **state)
{
    static const char *const ours[] = { "fd00:72:64::1", "fd00:72:64::254",
                                        "fe80::5894:efff:fee4:cdd" };
    struct frame_path path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    path.ttl = 255;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        struct ip_addr target = frame_addr(ours[i]);

        frame_ndp_solicit(&f, &path, ours[i]);
        guest_sends(g, &f);
        expect_guest_gets(g, &v);
        frame_expect_icmp(&v, ICMP6_NEIGHBOUR_ADVERT, 0);
        frame_expect_path(&v, ours[i], "fd00:72:64::2");
        assert_int_equal(v.ip.ttl, 255);
        assert_int_equal(v.icmp.rest >> 29 & 3, 3); /* solicited, override */
        assert_memory_equal(v.payload, target.b, sizeof target.b);
    }
    frame_ndp_solicit(&f, &path, "fd00:72:64::77");
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    sim_guest_free(g);
}

static void duplicate_address_detection_is_answered_to_all(void **state)
{
    struct frame_path path = frame_path("::", "fd00:72:64::1");
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    path.ttl = 255;
    frame_ndp_solicit(&f, &path, "fd00:72:64::1");
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    frame_expect_path(&v, "fd00:72:64::1", "ff02::1");
    frame_expect_icmp(&v, ICMP6_NEIGHBOUR_ADVERT, 0);
    assert_int_equal(v.icmp.rest >> 30 & 1, 0); /* not solicited */
    sim_guest_free(g);
}

static void a_routed_solicit_is_no_neighbours(void **state)
{
    struct frame_path path = frame_path("fd00:72:64::2", "fd00:72:64::1");
    struct sim_guest *g = open_case();

    (void)state;
    frame_ndp_solicit(&f, &path, "fd00:72:64::1");
    f.b[f.l3 + 7] = 254; /* hop limit */
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_malformed, 1);
    sim_guest_free(g);
}

static bool contains(const struct frame_view *v, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at + len <= v->payload_bytes; at++) {
        if (memcmp(v->payload + at, bytes, len) == 0)
            return true;
    }
    return false;
}

static void a_router_solicit_brings_prefix_mtu_and_dns(void **state)
{
    static const uint8_t prefix[8] = { 0xfd, 0x00, 0x00, 0x72, 0x00, 0x64 };
    static const uint8_t mtu[8] = { 5, 1, 0, 0, 0, 0, 0x05, 0xdc };
    struct frame_path path = frame_path("fe80::2", "ff02::2");
    struct sim_guest *g = open_case();
    struct ip_addr dns = frame_addr("fd00:72:64::1");
    struct frame_view v;

    (void)state;
    path.ttl = 255;
    frame_icmp(&f, &path, ICMP6_ROUTER_SOLICIT, 0, 0, NULL, 0);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    frame_expect_icmp(&v, ICMP6_ROUTER_ADVERT, 0);
    frame_expect_path(&v, "fe80::5894:efff:fee4:cdd", "ff02::1");
    assert_true(contains(&v, prefix, sizeof prefix));
    assert_true(contains(&v, mtu, sizeof mtu));
    assert_true(contains(&v, dns.b, sizeof dns.b));
    sim_guest_free(g);
}

static void the_router_speaks_up_by_itself_from_time_to_time(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    expect_guest_gets_nothing(g);
    assert_int_equal(g->adverts, 1);
    clock_advance_ms(g, 600 * 1000);
    expect_guest_gets_nothing(g);
    assert_int_equal(g->adverts, 4);
    sim_guest_cut(g);
    clock_advance_ms(g, 600 * 1000);
    sim_guest_attach(g);
    expect_guest_gets_nothing(g);
    assert_int_equal(g->adverts, 5);
    sim_guest_free(g);
}

static void a_foreign_router_is_ignored(void **state)
{
    struct frame_path path = frame_path("fe80::2", "ff02::1");
    struct sim_guest *g = open_case();

    (void)state;
    path.ttl = 255;
    frame_icmp(&f, &path, ICMP6_ROUTER_ADVERT, 0, 0, NULL, 8);
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->drop_policy, 1);
    sim_guest_free(g);
}

static void without_ipv6_nothing_of_it_is_spoken(void **state)
{
    struct frame_path path = frame_path("fe80::2", "ff02::2");
    struct switch_config c = { .ip6 = false };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);

    (void)state;
    g->shows_neighbours = true;
    path.ttl = 255;
    frame_icmp(&f, &path, ICMP6_ROUTER_SOLICIT, 0, 0, NULL, 0);
    guest_sends(g, &f);
    clock_advance_ms(g, 600 * 1000);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_not_for_us, 1);
    sim_guest_free(g);
}

/* ---- source MACs -------------------------------------------------------------------------- */

static void ping_gateway_from(struct sim_guest *g, const struct mac *mac, const char *src)
{
    struct frame_path path = frame_path(src, "192.168.127.1");

    path.src_mac = *mac;
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1 << 16 | 1, "x", 1);
    guest_sends(g, &f);
}

static void answers_go_where_the_address_was_seen(void **state)
{
    static const struct mac other = { { 2, 0, 0, 0, 0, 9 } };
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    ping_gateway_from(g, &other, "192.168.127.9");
    expect_guest_gets(g, &v);
    assert_true(mac_equal(&v.eth.dst, &other));
    ping_gateway_from(g, &frame_guest_mac, "192.168.127.2");
    expect_guest_gets(g, &v);
    assert_true(mac_equal(&v.eth.dst, &frame_guest_mac));
    sim_guest_free(g);
}

static void a_flood_of_source_macs_stays_within_its_table(void **state)
{
    struct mac mac = { { 2, 0, 0, 0, 0, 0 } };
    struct sim_guest *g = open_case();
    struct frame_view v;

    (void)state;
    for (int i = 0; i < 500; i++) {
        mac.b[4] = (uint8_t)(i >> 8);
        mac.b[5] = (uint8_t)i;
        clock_advance_ms(g, 1);
        ping_gateway_from(g, &mac, "192.168.127.9");
        expect_guest_gets(g, &v);
    }
    assert_int_equal(guest_census(g).neighbours, 16);
    assert_int_equal(guest_counters(g)->neighbour_limit_hits, 500 - 16);
    ping_gateway_from(g, &frame_guest_mac, "192.168.127.2"); /* who is honest still gets through */
    expect_guest_gets(g, &v);
    assert_true(mac_equal(&v.eth.dst, &frame_guest_mac));
    clock_advance_ms(g, 300 * 1000);
    assert_int_equal(guest_census(g).neighbours, 0);
    sim_guest_free(g);
}

static void a_flood_of_addresses_leaves_the_guest_its_own(void **state)
{
    static const struct mac other = { { 2, 0, 0, 0, 0, 9 } };
    struct switch_config c = { .net = frame_addr("10.0.0.0"), .prefix_bits = 16 };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);
    struct frame_path path;
    struct frame_view v;
    char src[20];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(src, sizeof src, "10.0.%d.%d", 1 + i / 200, 1 + i % 200);
        guest_asks_arp(g, src, "10.0.0.1");
        expect_guest_gets(g, &v);
        clock_advance_ms(g, 1);
    }
    assert_true(guest_counters(g)->neighbour_limit_hits >= 300 - 64);
    path = frame_path("10.0.0.2", "10.0.0.1");
    path.src_mac = other;
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 0);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    assert_true(mac_equal(&v.eth.dst, &other));
    sim_guest_free(g);
}

static void both_tables_are_as_large_as_configured(void **state)
{
    static const struct mac other = { { 2, 0, 0, 0, 0, 9 } };
    struct switch_config c = {
        .limits = { .neighbours = 1, .neighbour_addresses = 1, .neighbour_ms = 1000 }
    };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);

    clock_advance_ms(g, 1);
    ping_gateway_from(g, &frame_guest_mac, "192.168.127.2");
    assert_int_equal(guest_counters(g)->neighbour_limit_hits, 0);
    ping_gateway_from(g, &frame_guest_mac, "192.168.127.3"); /* another address */
    assert_int_equal(guest_counters(g)->neighbour_limit_hits, 1);
    ping_gateway_from(g, &other, "192.168.127.3"); /* another MAC */
    assert_int_equal(guest_counters(g)->neighbour_limit_hits, 2);
    clock_advance_ms(g, 999);
    assert_int_equal(guest_census(g).neighbours, 1);
    clock_advance_ms(g, 1);
    assert_int_equal(guest_census(g).neighbours, 0);
    sim_guest_free(g);
}

static void impossible_sources_are_dropped(void **state)
{
    static const struct mac multicast = { { 3, 0, 0, 0, 0, 1 } };
    static const char *const wrong[] = { "192.168.127.1",   "192.168.127.254", "192.168.127.255",
                                         "192.168.127.0",   "10.0.0.1",        "127.0.0.1",
                                         "255.255.255.255", "0.0.0.0" };
    struct sim_guest *g = open_case();

    (void)state;
    ping_gateway_from(g, &multicast, "192.168.127.2");
    ping_gateway_from(g, &frame_broadcast_mac, "192.168.127.2");
    ping_gateway_from(g, &frame_gateway_mac, "192.168.127.2");
    assert_int_equal(guest_counters(g)->drop_bad_source, 3);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        ping_gateway_from(g, &frame_guest_mac, wrong[i]);
    assert_int_equal(guest_counters(g)->drop_bad_source, 3 + ARRAY_SIZE(wrong));
    expect_guest_gets_nothing(g);
    sim_guest_free(g);
}

static void frames_for_another_mac_are_not_ours(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct sim_guest *g = open_case();

    (void)state;
    path.dst_mac.b[5] ^= 1;
    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 0);
    guest_sends(g, &f);
    expect_guest_gets_nothing(g);
    assert_int_equal(guest_counters(g)->drop_not_for_us, 1);
    sim_guest_free(g);
}

static void expect_question_for(struct sim_guest *g, const char *address)
{
    struct ip_addr want = frame_addr(address);
    struct frame_view v;

    switch_ask_guest(g->sw);
    clock_advance_ms(g, 1);
    expect_guest_gets(g, &v);
    assert_true(v.is_arp);
    assert_int_equal(v.arp.op, ARP_REQUEST);
    assert_true(ip_addr_equal(&v.arp.target, &want));
    expect_guest_gets_nothing(g);
}

static void the_guest_is_asked_for_the_address_it_speaks_from(void **state)
{
    struct sim_guest *g = open_case();
    struct ip_addr seen, want = frame_addr("192.168.127.7");

    (void)state;
    assert_false(switch_guest_address(g->sw, &seen));
    expect_question_for(g, "192.168.127.2"); /* the configured one */
    guest_asks_arp(g, "192.168.127.2", "10.0.0.1");
    clock_advance_ms(g, 1);
    guest_asks_arp(g, "192.168.127.7", "10.0.0.1");
    assert_true(switch_guest_address(g->sw, &seen));
    assert_true(ip_addr_equal(&seen, &want));
    expect_question_for(g, "192.168.127.7");
    clock_advance_ms(g, 300 * 1000);
    assert_false(switch_guest_address(g->sw, &seen));
    sim_guest_cut(g);
    switch_ask_guest(g->sw); /* nobody is there: nothing happens */
    assert_int_equal(guest_counters(g)->drop_link_full, 0);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arp_is_answered_for_the_gateway_and_the_host_alias_only),
        cmocka_unit_test(an_arp_probe_for_our_address_is_contradicted),
        cmocka_unit_test(who_claims_our_address_is_dropped),
        cmocka_unit_test(arp_truncated),
        cmocka_unit_test(a_solicit_for_ours_is_answered_and_for_others_is_not),
        cmocka_unit_test(duplicate_address_detection_is_answered_to_all),
        cmocka_unit_test(a_routed_solicit_is_no_neighbours),
        cmocka_unit_test(a_router_solicit_brings_prefix_mtu_and_dns),
        cmocka_unit_test(the_router_speaks_up_by_itself_from_time_to_time),
        cmocka_unit_test(a_foreign_router_is_ignored),
        cmocka_unit_test(without_ipv6_nothing_of_it_is_spoken),
        cmocka_unit_test(answers_go_where_the_address_was_seen),
        cmocka_unit_test(a_flood_of_source_macs_stays_within_its_table),
        cmocka_unit_test(a_flood_of_addresses_leaves_the_guest_its_own),
        cmocka_unit_test(both_tables_are_as_large_as_configured),
        cmocka_unit_test(impossible_sources_are_dropped),
        cmocka_unit_test(frames_for_another_mac_are_not_ours),
        cmocka_unit_test(the_guest_is_asked_for_the_address_it_speaks_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
