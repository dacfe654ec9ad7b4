/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "wire/csum.h"

#include <string.h>

/* RFC 1071 word by word, as slow and as plain as it gets. */
static uint16_t reference(const uint8_t *p, size_t len_bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* 0 and 0xffff are the same number in this arithmetic. */
static uint16_t folded(uint16_t v)
{
    return v == 0xffff ? 0 : v;
}

static uint32_t next_random(uint32_t *state)
{
    return *state = *state * 1664525 + 1013904223;
}

static void example_of_rfc_1071_comes_out_right(void **state)
{
    static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

    assert_int_equal(csum_fold(csum_add(0, bytes, sizeof bytes)), 0xddf2);
    assert_int_equal(csum_finish(csum_add(0, bytes, sizeof bytes)), 0x220d);
}

static void nothing_sums_to_nothing(void **state)
{
    assert_int_equal(csum_fold(csum_add(0, "", 0)), 0);
    assert_int_equal(csum_finish(0), 0xffff);
}

static void every_length_and_alignment_agrees_with_the_plain_sum(void **state)
{
    uint8_t buf[1100]; /* several blocks of the widest vectors, and what is left of one */
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(next_random(&seed) >> 24);
    for (size_t at = 0; at < 16; at++)
        for (size_t len = 0; len + at <= sizeof buf; len++)
            if (folded(csum_fold(csum_add(0, buf + at, len))) != folded(reference(buf + at, len)))
                fail_msg("offset %zu, %zu bytes", at, len);
}

static void a_copy_is_whole_and_has_the_sum_of_what_it_copied(void **state)
{
    uint8_t from[1100], to[1100];
    uint32_t seed = 3;

    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (uint8_t)(next_random(&seed) >> 24);
    for (size_t len = 0; len + 3 < sizeof from; len++) {
        memset(to, 0, sizeof to);
        if (folded(csum_fold(csum_copy(0, to + 1, from + 2, len))) !=
                folded(reference(from + 2, len)) ||
            memcmp(to + 1, from + 2, len) != 0 || to[0] != 0 || to[len + 1] != 0)
            fail_msg("%zu bytes", len);
    }
}

static void two_pieces_join_at_any_byte(void **state)
{
    uint8_t buf[400];
    uint32_t seed = 5;

    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(next_random(&seed) >> 24);
    for (size_t cut = 0; cut <= sizeof buf; cut++) {
        uint64_t sum =
            csum_join(csum_add(0, buf, cut), cut, csum_add(0, buf + cut, sizeof buf - cut));

        if (folded(csum_fold(sum)) != folded(reference(buf, sizeof buf)))
            fail_msg("cut at %zu", cut);
    }
}

static void carries_are_never_lost(void **state)
{
    static uint8_t ones[65535];

    memset(ones, 0xff, sizeof ones);
    assert_int_equal(folded(csum_fold(csum_add(0, ones, 65534))), 0);
    assert_int_equal(csum_fold(csum_add(0, ones, 65535)), 0xff00);
    assert_int_equal(csum_fold(csum_add(UINT64_MAX, ones, 7)), 0xff00);
    ones[0] = 0;
    assert_int_equal(csum_fold(csum_add(UINT64_MAX, ones, 8)), 0x00ff);
    assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
}

static void pieces_of_even_length_may_come_in_any_order(void **state)
{
    uint8_t buf[100];
    uint32_t seed = 7;

    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(next_random(&seed) >> 24);
    for (size_t cut = 0; cut < sizeof buf; cut += 2) {
        uint64_t sum = csum_add(csum_add(0, buf + cut, 99 - cut), buf, cut);

        assert_int_equal(folded(csum_fold(sum)), folded(reference(buf, 99)));
    }
}

/* UDP from 10.0.0.1:1000 to 10.0.0.2:2000, "hi", summed by hand: addresses 0a00+0001+0a00+0002,
 * protocol and length 0011+000a, header 03e8+07d0+000a, data 6869 = 8849. From fd00::1 to fd00::2
 * fd00 stands twice for 0a00: e600 and a carry more. */
static void pseudo_header_of_both_families_counts(void **state)
{
    static const uint8_t udp[] = { 0x03, 0xe8, 0x07, 0xd0, 0x00, 0x0a, 0x00, 0x00, 'h', 'i' };
    struct ip_addr a4 = ip_addr_v4(0x0a000001), b4 = ip_addr_v4(0x0a000002);
    struct ip_addr a6 = { { 0xfd, [15] = 1 } }, b6 = { { 0xfd, [15] = 2 } };
    uint64_t sum4 = csum_pseudo(&a4, &b4, 17, sizeof udp);
    uint64_t sum6 = csum_pseudo(&a6, &b6, 17, sizeof udp);

    assert_int_equal(csum_finish(csum_add(sum4, udp, sizeof udp)), 0x77b6);
    assert_int_equal(csum_finish(csum_add(sum6, udp, sizeof udp)), 0x91b4);
}

static void pseudo_header_takes_lengths_above_16_bits(void **state)
{
    struct ip_addr a = { { 0xfd, [15] = 1 } };
    struct ip_addr none = { { 0 } };

    assert_int_equal(csum_fold(csum_pseudo(&a, &none, 6, 0x10002)), 0xfd00 + 1 + 6 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_rfc_1071_comes_out_right),
        cmocka_unit_test(nothing_sums_to_nothing),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_plain_sum),
        cmocka_unit_test(a_copy_is_whole_and_has_the_sum_of_what_it_copied),
        cmocka_unit_test(two_pieces_join_at_any_byte),
        cmocka_unit_test(carries_are_never_lost),
        cmocka_unit_test(pieces_of_even_length_may_come_in_any_order),
        cmocka_unit_test(pseudo_header_of_both_families_counts),
        cmocka_unit_test(pseudo_header_takes_lengths_above_16_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
