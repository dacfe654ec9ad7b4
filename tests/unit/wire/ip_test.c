/* SPDX-License-Identifier: Apache-2.0
 * IPv4 and IPv6 headers. Every packet is literal, from 192.168.127.2 to 10.1.2.3 with a right
 * header checksum unless its name says otherwise, or from fd00::2 to 2001:db8::1.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"

#include <string.h>

/* ---- IPv4 --------------------------------------------------------------------------------- */

static void ip4_lengths_are_believed_only_as_far_as_bytes_are_there(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        size_t payload_bytes, header_bytes;
    } rows[] = {
        { "plain", "450000180001000040112f26c0a87f020a010203 00000000", ST_OK, 4, 20 },
        { "padded", "450000180001000040112f26c0a87f020a010203 00000000 000000000000", ST_OK, 4,
          20 },
        { "no payload", "45b800140001400001062d7dc0a87f020a010203", ST_OK, 0, 20 },
        { "total above frame", "4500001d0001000040112f21c0a87f020a010203 0000000000000000",
          ST_PROTO, 0, 0 },
        { "total below header", "450000130001000040112f2bc0a87f020a010203 0000000000000000",
          ST_PROTO, 0, 0 },
        { "total 0", "450000000001000040112f3ec0a87f020a010203 0000000000000000", ST_PROTO, 0, 0 },
        { "total 65535", "4500ffff0001000040112f3ec0a87f020a010203 0000000000000000", ST_PROTO, 0,
          0 },
        { "header of 16", "4400001c0001000040113c26c0a87f020a010203 0000000000000000", ST_PROTO, 0,
          0 },
        { "header of 0", "4000001c0001000040117fd1c0a87f020a010203 0000000000000000", ST_PROTO, 0,
          0 },
        { "header of 60 in 24", "4f0000180001000040112526c0a87f020a010203 00000000", ST_PROTO, 0,
          0 },
        { "header above total", "460000140001000040112e2ac0a87f020a010203 0000000000000000",
          ST_PROTO, 0, 0 },
        { "version 6", "6500001c0001000040110f22c0a87f020a010203 0000000000000000", ST_PROTO, 0,
          0 },
        { "wrong checksum", "450000180001000040112f27c0a87f020a010203 00000000", ST_PROTO, 0, 0 },
        { "no checksum", "4500001800010000401100 00c0a87f020a010203 00000000", ST_PROTO, 0, 0 },
        { "options", "460000180001000040112c25c0a87f020a010203 01010100", ST_OK, 0, 24 },
        { "record route", "470000200001000040112055c0a87f020a010203 070704c000020100 61626364",
          ST_OK, 4, 28 },
        { "option of length 1", "460000180001000040112725c0a87f020a010203 07010000", ST_PROTO, 0,
          0 },
        { "option past the end", "460000180001000040112721c0a87f020a010203 07050000", ST_PROTO, 0,
          0 },
        { "option without length", "460000180001000040112c1ec0a87f020a010203 01010107", ST_PROTO, 0,
          0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_header ip;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (ip4_decode(&ip, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        assert_int_equal(ip.payload_bytes, rows[i].payload_bytes);
        assert_int_equal(ip.header_bytes, rows[i].header_bytes);
        assert_int_equal(r.left, rows[i].payload_bytes);
        assert_ptr_equal(r.p, f.b + rows[i].header_bytes);
        assert_int_equal(ip_addr_to_v4(&ip.src), 0xc0a87f02);
        assert_int_equal(ip_addr_to_v4(&ip.dst), 0x0a010203);
    }
}

static void ip4_cut_short_anywhere_is_refused(void **state)
{
    struct frame f;

    frame_hex(&f, "470000200001000040112055c0a87f020a010203 070704c000020100 61626364");
    for (size_t n = 0; n < f.len_bytes; n++) {
        struct bytes r = bytes_of(f.b, n);
        struct ip_header ip;

        assert_int_equal(ip4_decode(&ip, &r), ST_PROTO);
    }
}

/* reass_total_gt_65535 is CVE-2018-11806's class: stopped before reassembly sees it. */
static void ip4_fragments_that_no_datagram_has_are_refused(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        uint32_t offset;
        bool more;
    } rows[] = {
        { "first", "4500001c123420004011fceec0a87f020a010203 0000000000000000", ST_OK, 0, true },
        { "last", "45000017000100b940112e6ec0a87f020a010203 000000", ST_OK, 1480, false },
        { "last of the largest", "4500001700011ffd40110f2ac0a87f020a010203 000000", ST_OK, 65512,
          false },
        { "one byte beyond", "4500001800011ffd40110f29c0a87f020a010203 00000000", ST_PROTO, 0, 0 },
        { "far beyond", "4500001c00011fff40110f23c0a87f020a010203 0000000000000000", ST_PROTO, 0,
          0 },
        { "first of odd size", "4500001b0001200040110f23c0a87f020a010203 00000000000000", ST_PROTO,
          0, 0 },
        { "first and empty", "450000140001200040110f2ac0a87f020a010203", ST_PROTO, 0, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_header ip;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (ip4_decode(&ip, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        assert_int_equal(ip.fragment_offset, rows[i].offset);
        assert_int_equal(ip.more_fragments, rows[i].more);
    }
}

/* The example every textbook has: its checksum is b861. */
static void ip4_header_is_written_as_it_was_read(void **state)
{
    uint8_t again[IP4_HEADER_BYTES];
    struct bytes_out w = bytes_into(again, sizeof again);
    struct ip_header ip;
    struct frame f;
    struct bytes r;

    frame_hex(&f, "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
    f.len_bytes = 0x73;
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(ip4_decode(&ip, &r), ST_OK);
    assert_true(ip.dont_fragment);
    assert_int_equal(ip.ttl, 64);
    assert_int_equal(ip.proto, IP_PROTO_UDP);
    ip4_put(&w, &ip);
    assert_memory_equal(again, f.b, sizeof again);
}

static void ip4_traffic_class_id_and_ttl_are_read(void **state)
{
    struct ip_header ip;
    struct frame f;
    struct bytes r;

    frame_hex(&f, "45b800140001400001062d7dc0a87f020a010203");
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(ip4_decode(&ip, &r), ST_OK);
    assert_int_equal(ip.traffic_class, 0xb8);
    assert_int_equal(ip.id, 1);
    assert_int_equal(ip.ttl, 1);
    assert_int_equal(ip.proto, IP_PROTO_TCP);
}

/* ---- IPv6 --------------------------------------------------------------------------------- */

#define A6 "fd000000000000000000000000000002"
#define B6 "20010db8000000000000000000000001"
#define M6 "00000000000000000000ffff7f000001"

static void ip6_chain_of_extension_headers_is_walked(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        uint8_t proto;
        size_t payload_bytes, header_bytes;
    } rows[] = {
        { "plain", "60000000 0004 11 40" A6 B6 "01020304", ST_OK, 17, 4, 40 },
        { "padded", "60000000 0004 11 40" A6 B6 "01020304 0000", ST_OK, 17, 4, 40 },
        { "no payload", "60000000 0000 3b 40" A6 B6, ST_OK, 59, 0, 40 },
        { "payload above frame", "60000000 0005 11 40" A6 B6 "01020304", ST_PROTO, 0, 0, 0 },
        { "version 4", "40000000 0004 11 40" A6 B6 "01020304", ST_PROTO, 0, 0, 0 },
        { "source mapped", "60000000 0004 11 40" M6 B6 "01020304", ST_PROTO, 0, 0, 0 },
        { "destination mapped", "60000000 0004 11 40" A6 M6 "01020304", ST_PROTO, 0, 0, 0 },
        { "hop-by-hop", "60000000 000c 00 40" A6 B6 "1100 050200000100 01020304", ST_OK, 17, 4,
          48 },
        { "destination of 16",
          "60000000 0014 3c 40" A6 B6 "1101 010c000000000000000000000000 01020304", ST_OK, 17, 4,
          56 },
        { "destination twice",
          "60000000 0014 3c 40" A6 B6 "3c00 010400000000 1100 010400000000 01020304", ST_OK, 17, 4,
          56 },
        { "routing, done", "60000000 000c 2b 40" A6 B6 "1100 040000000000 01020304", ST_OK, 17, 4,
          48 },
        { "routing, to go on", "60000000 000c 2b 40" A6 B6 "1100 000100000000 01020304", ST_PROTO,
          0, 0, 0 },
        { "hop-by-hop not first",
          "60000000 0014 3c 40" A6 B6 "0000 010400000000 1100 010400000000 01020304", ST_PROTO, 0,
          0, 0 },
        { "header past the end", "60000000 000c 3c 40" A6 B6 "1101 010400000000 01020304", ST_PROTO,
          0, 0, 0 },
        { "header of 2048", "60000000 000c 3c 40" A6 B6 "11ff 010400000000 01020304", ST_PROTO, 0,
          0, 0 },
        { "header cut", "60000000 0004 3c 40" A6 B6 "11000104", ST_PROTO, 0, 0, 0 },
        { "header missing", "60000000 0000 00 40" A6 B6, ST_PROTO, 0, 0, 0 },
        { "option past the end", "60000000 000c 3c 40" A6 B6 "1100 010500000000 01020304", ST_PROTO,
          0, 0, 0 },
        { "option without length", "60000000 000c 3c 40" A6 B6 "1100 010300000001 01020304",
          ST_PROTO, 0, 0, 0 },
        { "option to be refused", "60000000 000c 3c 40" A6 B6 "1100 c20400010000 01020304",
          ST_PROTO, 0, 0, 0 },
        { "eight of them",
          "60000000 0044 3c 40" A6 B6
          "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
          "3c00010400000000 3c00010400000000 3c00010400000000 1100010400000000 01020304",
          ST_OK, 17, 4, 104 },
        { "nine of them",
          "60000000 004c 3c 40" A6 B6
          "3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000 3c00010400000000"
          "3c00010400000000 3c00010400000000 3c00010400000000 1100010400000000 01020304",
          ST_PROTO, 0, 0, 0 },
        { "authentication is not walked",
          "60000000 0010 33 40" A6 B6 "1102000000000000 0000000000000000", ST_OK, 51, 16, 40 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_header ip;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (ip6_decode(&ip, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        if (ip.proto != rows[i].proto || ip.payload_bytes != rows[i].payload_bytes ||
            ip.header_bytes != rows[i].header_bytes)
            fail_msg("%s: proto %u payload %u header %u", rows[i].name, ip.proto, ip.payload_bytes,
                     ip.header_bytes);
        assert_ptr_equal(r.p, f.b + ip.header_bytes);
        assert_int_equal(r.left, ip.payload_bytes);
    }
}

static void ip6_fragment_ends_the_walk(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        uint8_t proto;
        uint32_t offset, id;
        bool more;
        size_t payload_bytes;
    } rows[] = {
        { "first", "60000000 0010 2c 40" A6 B6 "1100 0001 12345678 0102030405060708", ST_OK, 17, 0,
          0x12345678, true, 8 },
        { "last", "60000000 000b 2c 40" A6 B6 "1100 05a8 12345678 010203", ST_OK, 17, 1448,
          0x12345678, false, 3 },
        { "atomic", "60000000 000b 2c 40" A6 B6 "1100 0000 12345678 010203", ST_OK, 17, 0, 0, false,
          3 },
        { "atomic with options behind",
          "60000000 0014 2c 40" A6 B6 "3c00 0000 12345678 1100010400000000 01020304", ST_OK, 17, 0,
          0, false, 4 },
        { "first with options behind",
          "60000000 0018 2c 40" A6 B6 "3c00 0001 12345678 1100010400000000 0102030405060708", ST_OK,
          60, 0, 0x12345678, true, 16 },
        { "first of odd size", "60000000 000b 2c 40" A6 B6 "1100 0001 12345678 010203", ST_PROTO, 0,
          0, 0, 0, 0 },
        { "first and empty", "60000000 0008 2c 40" A6 B6 "1100 0001 12345678", ST_PROTO, 0, 0, 0, 0,
          0 },
        { "beyond 65535", "60000000 0010 2c 40" A6 B6 "1100 fff8 12345678 0102030405060708",
          ST_PROTO, 0, 0, 0, 0, 0 },
        { "header cut", "60000000 0007 2c 40" A6 B6 "1100 0001 123456", ST_PROTO, 0, 0, 0, 0, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t again[64];
        struct bytes_out w = bytes_into(again, sizeof again);
        struct ip_header ip;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (ip6_decode(&ip, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        if (ip.proto != rows[i].proto || ip.fragment_offset != rows[i].offset ||
            ip.id != rows[i].id || ip.more_fragments != rows[i].more ||
            ip.payload_bytes != rows[i].payload_bytes)
            fail_msg("%s: proto %u offset %u payload %u", rows[i].name, ip.proto,
                     (unsigned)ip.fragment_offset, ip.payload_bytes);
        ip6_put(&w, &ip);
        assert_true(bytes_out_ok(&w));
        if (ip.more_fragments || ip.fragment_offset > 0)
            assert_memory_equal(again, f.b, 48);
        else
            assert_int_equal(w.len_bytes, IP6_HEADER_BYTES);
    }
}

static void ip6_header_is_written_as_it_was_read(void **state)
{
    uint8_t again[IP6_HEADER_BYTES];
    struct bytes_out w = bytes_into(again, sizeof again);
    struct ip_header ip;
    struct frame f;
    struct bytes r;

    frame_hex(&f, "6b800000 0004 11 ff" A6 B6 "01020304");
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(ip6_decode(&ip, &r), ST_OK);
    assert_int_equal(ip.traffic_class, 0xb8);
    assert_int_equal(ip.ttl, 255);
    ip6_put(&w, &ip);
    assert_memory_equal(again, f.b, sizeof again);
}

static void payload_that_no_packet_can_have_latches_the_writer(void **state)
{
    struct ip_header ip4 = { .src = ip_addr_v4(1), .dst = ip_addr_v4(2), .payload_bytes = 65516 };
    struct ip_header ip6 = { .payload_bytes = 65528, .fragment_offset = 8 };
    uint8_t buf[64];
    struct bytes_out w4 = bytes_into(buf, sizeof buf), w6 = bytes_into(buf, sizeof buf);

    ip4_put(&w4, &ip4);
    assert_false(bytes_out_ok(&w4));
    ip6_put(&w6, &ip6);
    assert_false(bytes_out_ok(&w6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip4_lengths_are_believed_only_as_far_as_bytes_are_there),
        cmocka_unit_test(ip4_cut_short_anywhere_is_refused),
        cmocka_unit_test(ip4_fragments_that_no_datagram_has_are_refused),
        cmocka_unit_test(ip4_header_is_written_as_it_was_read),
        cmocka_unit_test(ip4_traffic_class_id_and_ttl_are_read),
        cmocka_unit_test(ip6_chain_of_extension_headers_is_walked),
        cmocka_unit_test(ip6_fragment_ends_the_walk),
        cmocka_unit_test(ip6_header_is_written_as_it_was_read),
        cmocka_unit_test(payload_that_no_packet_can_have_latches_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
