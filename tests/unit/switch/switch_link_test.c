/* SPDX-License-Identifier: Apache-2.0
 * switch_link_test.c - frames of every kind of link, batches, and links that come and go.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <string.h>

static struct frame f;

static void make_ping(const char *dst, uint16_t sequence)
{
    struct frame_path path = frame_path("192.168.127.2", dst);

    frame_icmp(&f, &path, ICMP4_ECHO, 0, sequence, NULL, 56);
}

static void make_udp(uint16_t src_port)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");

    frame_udp(&f, &path, src_port, 7000, "x", 1);
}

static void every_framing_carries_both_ways(void **state)
{
    static const enum frame_protocol protocols[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        struct sim_guest *g = sim_guest_new(NULL, protocols[i]);
        struct frame_view v;

        make_ping("192.168.127.1", 1);
        guest_sends(g, &f);
        expect_guest_gets(g, &v);
        frame_expect_icmp(&v, ICMP4_ECHO_REPLY, 0);
        sim_guest_free(g);
    }
}

static void v2_leaves_the_checksum_to_the_guest(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_V2);
    struct net_sim_datagram d;
    struct frame_view v;

    (void)state;
    make_udp(4000);
    guest_sends(g, &f);
    assert_true(net_sim_take_datagram(g->net, &d));
    net_sim_udp_send(g->net, &d.to, &d.from, "answer", 6);
    expect_guest_gets(g, &v);
    assert_true(g->last_offload.needs_csum);
    assert_int_equal(g->last_offload.csum_start, 34);
    assert_int_equal(g->last_offload.csum_offset, 6);
    sim_guest_free(g);
}

static void a_checksum_the_link_vouches_for_is_not_looked_at(void **state)
{
    struct frame_offload partial = { .needs_csum = true, .csum_start = 34, .csum_offset = 6 };
    struct frame_offload valid = { .csum_valid = true }, nothing = { 0 };
    struct sim_guest *g = sim_guest_new(NULL, FRAME_V2);

    (void)state;
    make_udp(4000);
    f.b[f.l4 + 6] ^= 0xff;
    guest_sends_offload(g, &f, &partial);
    guest_sends_offload(g, &f, &valid);
    assert_int_equal(guest_counters(g)->udp_sent, 2);
    guest_sends_offload(g, &f, &nothing);
    assert_int_equal(guest_counters(g)->drop_bad_checksum, 1);
    sim_guest_free(g);
}

static void a_read_of_many_frames_is_answered_by_one_write(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;
    size_t len, before;

    (void)state;
    expect_guest_gets_nothing(g);
    (void)sim_peer_data(g->link, &before);
    for (uint16_t i = 0; i < 50; i++) {
        make_ping("192.168.127.1", i);
        guest_queues(g, &f);
    }
    while (sim_step(g->sim)) { /* up to the first event after which anything was written */
        (void)sim_peer_data(g->link, &len);
        if (len != before)
            break;
    }
    assert_int_equal(len - before, 50 * (4 + f.len_bytes));
    for (uint16_t i = 0; i < 50; i++) {
        expect_guest_gets(g, &v);
        assert_int_equal(v.icmp.rest, i);
    }
    sim_guest_free(g);
}

static void state_outlives_the_link(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct net_sim_datagram d;
    struct frame_view v;
    uint64_t rx;

    (void)state;
    make_udp(4000);
    guest_sends(g, &f);
    assert_true(net_sim_take_datagram(g->net, &d));
    rx = guest_counters(g)->rx_frames;
    sim_guest_cut(g);
    assert_false(switch_has_link(g->sw));
    assert_int_equal(guest_counters(g)->rx_frames, rx);
    net_sim_udp_send(g->net, &d.to, &d.from, "lost", 4);
    clock_advance_ms(g, 1000);
    assert_int_equal(guest_counters(g)->drop_link_full, 1);
    sim_guest_attach(g);
    net_sim_udp_send(g->net, &d.to, &d.from, "kept", 4);
    expect_guest_gets(g, &v);
    frame_expect_payload(&v, "kept", 4);
    assert_true(guest_counters(g)->tx_frames > 0);
    sim_guest_free(g);
}

static void a_new_link_replaces_an_old_one(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct sim_peer *old = g->link;
    struct frame_view v;

    (void)state;
    sim_guest_attach(g);
    assert_true(sim_peer_is_closed(old));
    make_ping("192.168.127.1", 1);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    sim_guest_free(g);
}

static void a_length_that_cannot_be_ends_the_link_not_the_switch(void **state)
{
    static const uint8_t huge[8] = { 0xff, 0xff, 0xff, 0xff };
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    sim_peer_send(g->link, huge, sizeof huge);
    sim_run(g->sim);
    assert_false(switch_has_link(g->sw));
    g->link = NULL;
    sim_guest_attach(g);
    make_ping("192.168.127.1", 1);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    sim_guest_free(g);
}

static void l2_runt_0_to_13(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    for (size_t len = 1; len < ETH_HEADER_BYTES; len++) {
        make_ping("192.168.127.1", 1);
        f.len_bytes = len;
        guest_sends(g, &f);
    }
    assert_int_equal(guest_counters(g)->drop_runt, ETH_HEADER_BYTES - 1);
    make_ping("192.168.127.1", 1);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    sim_guest_free(g);
}

static void a_frame_above_the_mtu_is_dropped_and_counted(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    frame_udp(&f, &path, 4000, 7000, NULL, 1472);
    guest_sends(g, &f);
    frame_udp(&f, &path, 4000, 7000, NULL, 1473);
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->udp_sent, 1);
    assert_int_equal(guest_counters(g)->drop_oversized, 1);
    sim_guest_free(g);
}

/* Every header cut everywhere: nothing is sent on, nothing is read that is not there (ASan). */
static void a_packet_cut_anywhere_is_dropped(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    size_t whole;

    (void)state;
    make_udp(4000);
    whole = f.len_bytes;
    for (size_t len = ETH_HEADER_BYTES; len < whole; len++) {
        f.len_bytes = len;
        guest_sends(g, &f);
    }
    assert_int_equal(guest_counters(g)->drop_malformed, whole - ETH_HEADER_BYTES);
    assert_int_equal(net_sim_udp_sent(g->net), 0);
    sim_guest_free(g);
}

static void unknown_protocols_are_not_for_us(void **state)
{
    static const uint8_t bytes[40] = { 1, 2, 3 };
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    frame_ip(&f, &path, 47, bytes, sizeof bytes);
    guest_sends(g, &f);
    f.b[12] = 0x88;
    f.b[13] = 0xcc; /* LLDP */
    guest_sends(g, &f);
    assert_int_equal(guest_counters(g)->drop_not_for_us, 2);
    sim_guest_free(g);
}

static void a_link_that_takes_nothing_costs_datagrams_only(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;
    unsigned got = 0;

    (void)state;
    expect_guest_gets_nothing(g);
    sim_peer_set_room(g->link, 0);
    for (uint16_t i = 0; i < 4000; i++) {
        make_ping("192.168.127.1", i);
        guest_sends(g, &f);
    }
    assert_true(guest_counters(g)->drop_link_full > 0);
    sim_peer_set_room(g->link, SIZE_MAX);
    while (guest_gets(g, &v))
        got++;
    assert_true(got > 0 && got < 4000);
    make_ping("192.168.127.1", 7);
    guest_sends(g, &f);
    expect_guest_gets(g, &v);
    assert_int_equal(v.icmp.rest, 7);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_framing_carries_both_ways),
        cmocka_unit_test(v2_leaves_the_checksum_to_the_guest),
        cmocka_unit_test(a_checksum_the_link_vouches_for_is_not_looked_at),
        cmocka_unit_test(a_read_of_many_frames_is_answered_by_one_write),
        cmocka_unit_test(state_outlives_the_link),
        cmocka_unit_test(a_new_link_replaces_an_old_one),
        cmocka_unit_test(a_length_that_cannot_be_ends_the_link_not_the_switch),
        cmocka_unit_test(l2_runt_0_to_13),
        cmocka_unit_test(a_frame_above_the_mtu_is_dropped_and_counted),
        cmocka_unit_test(a_packet_cut_anywhere_is_dropped),
        cmocka_unit_test(unknown_protocols_are_not_for_us),
        cmocka_unit_test(a_link_that_takes_nothing_costs_datagrams_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
