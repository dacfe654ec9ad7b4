/* SPDX-License-Identifier: Apache-2.0
 * switch_reassembly_test.c - fragments in every order, hostile ones, and the bounds.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <string.h>

enum { SIZE = 4000 };

static struct frame whole, piece;
static uint8_t data[65535];

/* A datagram of SIZE bytes with the identification @id, in @whole. */
static void make_whole(uint32_t id)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");

    path.id = id;
    frame_pattern_fill(data, 0, SIZE);
    frame_udp(&whole, &path, 4000, 7000, data, SIZE);
}

static void guest_sends_piece(struct sim_guest *g, size_t offset, size_t len)
{
    size_t total = SIZE + UDP_HEADER_BYTES;

    frame_fragment(&piece, &whole, offset, MIN(len, total - offset));
    guest_sends(g, &piece);
}

static void expect_whole(struct sim_guest *g)
{
    struct net_sim_datagram d;

    if (!net_sim_take_datagram(g->net, &d))
        fail_msg("nothing arrived");
    assert_int_equal(d.len_bytes, SIZE);
    assert_memory_equal(d.data, data, SIZE);
    assert_false(net_sim_take_datagram(g->net, &d));
}

static void expect_nothing(struct sim_guest *g)
{
    struct net_sim_datagram d;

    assert_false(net_sim_take_datagram(g->net, &d));
}

static void every_order_of_three_gives_the_same(void **state)
{
    static const size_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                         { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        make_whole(i);
        for (int k = 0; k < 3; k++)
            guest_sends_piece(g, orders[i][k] * 1480, 1480);
        expect_whole(g);
    }
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void a_repeated_fragment_is_ignored(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    make_whole(1);
    guest_sends_piece(g, 0, 1480);
    guest_sends_piece(g, 0, 1480);
    guest_sends_piece(g, 2960, 1480);
    guest_sends_piece(g, 2960, 1480);
    guest_sends_piece(g, 1480, 1480);
    expect_whole(g);
    sim_guest_free(g);
}

static void datagrams_with_different_ids_do_not_mix(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    make_whole(1);
    guest_sends_piece(g, 0, 1480);
    make_whole(2);
    guest_sends_piece(g, 1480, 1480);
    guest_sends_piece(g, 2960, 1480);
    expect_nothing(g);
    assert_int_equal(guest_census(g).fragments, 2);
    guest_sends_piece(g, 0, 1480);
    expect_whole(g);
    sim_guest_free(g);
}

static void an_overlap_drops_the_datagram_and_all_that_follows(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    make_whole(1);
    guest_sends_piece(g, 0, 1480);
    guest_sends_piece(g, 1472, 1480); /* RFC 5722 */
    assert_int_equal(guest_counters(g)->drop_fragment, 1);
    guest_sends_piece(g, 0, 1480);
    guest_sends_piece(g, 1480, 1480);
    guest_sends_piece(g, 2960, 1480);
    expect_nothing(g);
    make_whole(2);
    guest_sends_piece(g, 0, 1480);
    frame_fragment(&piece, &whole, 0, 1480);
    piece.b[piece.l4 + 100] ^= 1; /* the same place, other bytes */
    guest_sends(g, &piece);
    assert_int_equal(guest_counters(g)->drop_fragment, 2);
    sim_guest_free(g);
}

static void reass_overlap_then_timeout(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    make_whole(1);
    guest_sends_piece(g, 0, 1480);
    guest_sends_piece(g, 8, 1480);
    assert_int_equal(guest_census(g).fragments, 1);
    clock_advance_ms(g, 29999);
    assert_int_equal(guest_census(g).fragments, 1);
    clock_advance_ms(g, 1);
    assert_int_equal(guest_census(g).fragments, 0);
    for (size_t at = 0; at < SIZE; at += 1480)
        guest_sends_piece(g, at, 1480);
    expect_whole(g);
    sim_guest_free(g);
}

static void a_datagram_that_stays_incomplete_is_told_by_its_first_fragment(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    make_whole(1);
    guest_sends_piece(g, 1480, 1480); /* without a first one nothing can be quoted */
    clock_advance_ms(g, 31 * 1000);
    expect_guest_gets_nothing(g);
    make_whole(2);
    guest_sends_piece(g, 2960, 1480);
    guest_sends_piece(g, 0, 1480);
    clock_advance_ms(g, 29 * 1000);
    expect_guest_gets_nothing(g);
    clock_advance_ms(g, 2 * 1000);
    expect_guest_gets(g, &v);
    frame_expect_icmp(&v, ICMP4_TIME_EXCEEDED, 1);
    assert_memory_equal(v.payload, piece.b + piece.l3, 28); /* its header and the first 8 bytes */
    assert_int_equal(guest_counters(g)->drop_fragment, 2);
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void reass_first_fragment_huge(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct switch_config c = { .mtu = 65520 };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);
    struct net_sim_datagram d;

    (void)state;
    frame_pattern_fill(data, 0, 65000);
    frame_udp(&whole, &path, 4000, 7000, data, 65000);
    frame_fragment(&piece, &whole, 64000, 65008 - 64000);
    guest_sends(g, &piece);
    frame_fragment(&piece, &whole, 0, 64000);
    guest_sends(g, &piece);
    assert_true(net_sim_take_datagram(g->net, &d));
    assert_int_equal(d.len_bytes, 65000);
    assert_memory_equal(d.data, data, 65000);
    sim_guest_free(g);
}

/* A fragment header by hand: what frame_fragment() would not make. */
static void guest_sends_crafted(struct sim_guest *g, uint16_t id, size_t offset, bool more,
                                size_t len)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    size_t field = offset / 8 | (more ? 0x2000 : 0);
    static const uint8_t zeros[2000];

    path.id = id;
    frame_ip(&piece, &path, IP_PROTO_UDP, zeros, len);
    piece.b[piece.l3 + 6] = (uint8_t)(field >> 8);
    piece.b[piece.l3 + 7] = (uint8_t)field;
    frame_seal(&piece);
    guest_sends(g, &piece);
}

static void reass_total_gt_65535(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_crafted(g, 1, 65528, false, 8);
    guest_sends_crafted(g, 1, 64800, true, 1480);
    expect_nothing(g);
    assert_int_equal(guest_counters(g)->drop_malformed + guest_counters(g)->drop_fragment, 2);
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void a_fragment_of_odd_size_that_is_not_the_last_is_dropped(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_crafted(g, 1, 0, true, 1001);
    guest_sends_crafted(g, 1, 0, true, 0);
    assert_int_equal(guest_counters(g)->drop_malformed + guest_counters(g)->drop_fragment, 2);
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void a_second_end_is_an_overlap(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    guest_sends_crafted(g, 1, 800, false, 80);
    guest_sends_crafted(g, 1, 880, false, 80); /* behind the end */
    guest_sends_crafted(g, 2, 800, true, 80);
    guest_sends_crafted(g, 2, 400, false, 80); /* an end before bytes that are there */
    assert_int_equal(guest_counters(g)->drop_fragment, 2);
    sim_guest_free(g);
}

/* CVE-2019-15890: the memory of a datagram went while its last piece was being joined. Here pieces
 * join, spoil and evict each other in a table of two. */
static void reass_free_during_merge(void **state)
{
    struct switch_config c = { .limits = { .fragments = 2 } };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);

    (void)state;
    for (uint16_t round = 0; round < 50; round++) {
        guest_sends_crafted(g, round, 0, true, 1480);
        guest_sends_crafted(g, (uint16_t)(round + 1000), 1480, true, 1480);
        guest_sends_crafted(g, (uint16_t)(round + 2000), 0, true, 1480);  /* evicts the first */
        guest_sends_crafted(g, round, 1480, false, 8);                    /* its end, evicts */
        guest_sends_crafted(g, (uint16_t)(round + 2000), 720, true, 800); /* overlaps: spoilt */
        make_whole((uint32_t)(round + 3000));
        for (size_t at = 0; at < SIZE; at += 1480)
            guest_sends_piece(g, at, 1480);
        expect_whole(g);
        assert_in_range(guest_census(g).fragments, 0, 2);
        clock_advance_ms(g, round % 3 ? 10 : 31000);
    }
    sim_guest_free(g);
}

static void a_flood_of_half_datagrams_stays_within_its_bounds(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (uint16_t id = 0; id < 2000; id++) {
        guest_sends_crafted(g, id, 0, true, 1480);
        clock_advance_ms(g, 1);
    }
    assert_int_equal(guest_census(g).fragments, 64);
    assert_int_equal(guest_counters(g)->fragment_limit_hits, 2000 - 64);
    make_whole(5000);
    for (size_t at = 0; at < SIZE; at += 1480)
        guest_sends_piece(g, at, 1480); /* who is honest gets through */
    expect_whole(g);
    clock_advance_ms(g, 30000);
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void the_oldest_half_datagram_gives_way(void **state)
{
    enum { SLOTS = 64 };
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    for (uint16_t id = 1; id <= 2; id++) {
        make_whole(id);
        guest_sends_piece(g, 0, 1480);
        clock_advance_ms(g, 1);
    }
    for (unsigned id = 0; id < SLOTS - 1; id++) { /* one too many */
        guest_sends_crafted(g, (uint16_t)(100 + id), 0, true, 1480);
        clock_advance_ms(g, 1);
    }
    assert_int_equal(guest_counters(g)->fragment_limit_hits, 1);
    make_whole(2);
    guest_sends_piece(g, 1480, 1480);
    guest_sends_piece(g, 2960, 1480);
    expect_whole(g);
    make_whole(1);
    guest_sends_piece(g, 1480, 1480);
    guest_sends_piece(g, 2960, 1480);
    expect_nothing(g);
    sim_guest_free(g);
}

static void a_mebibyte_of_fragments_is_all(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (uint16_t id = 1; id <= 32; id++) {
        for (size_t at = 0; at + 1480 < 60000; at += 1480)
            guest_sends_crafted(g, id, at, true, 1480);
        clock_advance_ms(g, 1);
    }
    assert_true(guest_census(g).fragments >= 16 && guest_census(g).fragments <= 18);
    assert_int_equal(guest_counters(g)->fragment_limit_hits, 32 - guest_census(g).fragments);
    sim_guest_free(g);
}

static void memory_and_time_are_as_configured(void **state)
{
    struct switch_config c = { .limits = { .fragment_bytes = 4000, .fragment_ms = 100 } };
    struct sim_guest *g = sim_guest_new(&c, FRAME_QEMU);

    guest_sends_crafted(g, 1, 0, true, 1480);
    guest_sends_crafted(g, 1, 1480, true, 1480);
    assert_int_equal(guest_counters(g)->fragment_limit_hits, 0);
    guest_sends_crafted(g, 2, 0, true, 1480);
    assert_int_equal(guest_counters(g)->fragment_limit_hits, 1);
    assert_int_equal(guest_census(g).fragments, 1);
    clock_advance_ms(g, 99);
    assert_int_equal(guest_census(g).fragments, 1);
    clock_advance_ms(g, 1);
    assert_int_equal(guest_census(g).fragments, 0);
    sim_guest_free(g);
}

static void crumbs_are_limited_in_number(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (size_t i = 0; i < 256; i++)
        guest_sends_crafted(g, 1, i * 8, true, 8);
    assert_int_equal(guest_counters(g)->drop_fragment, 0);
    guest_sends_crafted(g, 1, 256 * 8, true, 8);
    assert_int_equal(guest_counters(g)->drop_fragment, 1);
    sim_guest_free(g);
}

static void a_switch_goes_with_fragments_under_way(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (uint16_t id = 0; id < 10; id++)
        guest_sends_crafted(g, id, 8, true, 80);
    assert_int_equal(guest_census(g).fragments, 10);
    sim_guest_free(g);
}

/* Random pieces of random datagrams: whatever is put together must be what was sent. */
static void random_pieces_never_give_a_wrong_datagram(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    uint32_t seed = 12345, wholes = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct net_sim_datagram d;
        bool overlaps;
        size_t at;

        seed = seed * 1664525 + 1013904223;
        make_whole(seed >> 28);
        at = (seed >> 8) % 4 * 1000;
        overlaps = (seed >> 16) % 100 == 0;
        guest_sends_piece(g, at, at == 3000 || overlaps ? 1008 : 1000);
        while (net_sim_take_datagram(g->net, &d)) {
            assert_int_equal(d.len_bytes, SIZE);
            assert_memory_equal(d.data, data, SIZE);
            wholes++;
        }
        clock_advance_ms(g, 50);
    }
    assert_true(wholes > 100);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_three_gives_the_same),
        cmocka_unit_test(a_repeated_fragment_is_ignored),
        cmocka_unit_test(datagrams_with_different_ids_do_not_mix),
        cmocka_unit_test(an_overlap_drops_the_datagram_and_all_that_follows),
        cmocka_unit_test(reass_overlap_then_timeout),
        cmocka_unit_test(a_datagram_that_stays_incomplete_is_told_by_its_first_fragment),
        cmocka_unit_test(reass_first_fragment_huge),
        cmocka_unit_test(reass_total_gt_65535),
        cmocka_unit_test(a_fragment_of_odd_size_that_is_not_the_last_is_dropped),
        cmocka_unit_test(a_second_end_is_an_overlap),
        cmocka_unit_test(reass_free_during_merge),
        cmocka_unit_test(a_flood_of_half_datagrams_stays_within_its_bounds),
        cmocka_unit_test(the_oldest_half_datagram_gives_way),
        cmocka_unit_test(a_mebibyte_of_fragments_is_all),
        cmocka_unit_test(memory_and_time_are_as_configured),
        cmocka_unit_test(crumbs_are_limited_in_number),
        cmocka_unit_test(a_switch_goes_with_fragments_under_way),
        cmocka_unit_test(random_pieces_never_give_a_wrong_datagram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
