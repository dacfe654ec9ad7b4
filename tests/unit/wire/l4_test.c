/* SPDX-License-Identifier: Apache-2.0
 * UDP, TCP, ICMP and neighbour discovery. udp_len_field_lies is the class of CVE-2021-3593 and
 * 3594, icmp6_len_gt_frame that of CVE-2020-10756.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/frame_expect.h"

#include <stdio.h>
#include <string.h>

/* ---- UDP ---------------------------------------------------------------------------------- */

static void udp_len_field_lies(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        size_t payload_bytes;
    } rows[] = {
        { "right", "03e8 07d0 000c 77b6 01020304", ST_OK, 4 },
        { "no payload", "03e8 07d0 0008 77b6", ST_OK, 0 },
        { "shorter than the packet", "03e8 07d0 000a 77b6 01020304", ST_OK, 2 },
        { "longer by one", "03e8 07d0 000d 77b6 01020304", ST_PROTO, 0 },
        { "65535", "03e8 07d0 ffff 77b6 01020304", ST_PROTO, 0 },
        { "0", "03e8 07d0 0000 77b6 01020304", ST_PROTO, 0 },
        { "7", "03e8 07d0 0007 77b6 01020304", ST_PROTO, 0 },
        { "header cut", "03e8 07d0 0008 77", ST_PROTO, 0 },
        { "nothing", "", ST_PROTO, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t again[UDP_HEADER_BYTES];
        struct bytes_out w = bytes_into(again, sizeof again);
        struct udp_header udp;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (udp_decode(&udp, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        assert_int_equal(udp.src_port, 1000);
        assert_int_equal(udp.dst_port, 2000);
        assert_int_equal(udp.checksum, 0x77b6);
        assert_int_equal(udp.payload_bytes, rows[i].payload_bytes);
        assert_int_equal(r.left, rows[i].payload_bytes);
        udp_put(&w, &udp);
        assert_memory_equal(again, f.b, sizeof again);
    }
}

static void udp_payload_above_16_bits_latches_the_writer(void **state)
{
    struct udp_header udp = { .payload_bytes = 65528 };
    uint8_t buf[16];
    struct bytes_out w = bytes_into(buf, sizeof buf);

    udp_put(&w, &udp);
    assert_false(bytes_out_ok(&w));
}

/* ---- TCP ---------------------------------------------------------------------------------- */

/* Ports 80 and 4000, sequence 1, acknowledgement 2, window 1024, checksum abcd. */
#define TCP(offset_and_flags) "0050 0fa0 00000001 00000002" offset_and_flags "0400 abcd 0000"

static void tcp_options_are_read_within_their_bounds(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
        int mss, scale; /* -1 = absent */
        bool sack;
        size_t payload_bytes;
    } rows[] = {
        { "none", TCP("5010") "6162", ST_OK, -1, -1, false, 2 },
        { "Linux SYN", TCP("a002") "020405b4 0402 080a0000000100000000 01 030307", ST_OK, 1460, 7,
          true, 0 },
        { "MSS", TCP("6002") "02040218 61", ST_OK, 536, -1, false, 1 },
        { "MSS of 0", TCP("6002") "02040000", ST_OK, 0, -1, false, 0 },
        { "scale 15 counts as 14", TCP("6002") "01030 30f", ST_OK, -1, 14, false, 0 },
        { "end, then garbage", TCP("6002") "00ff0000", ST_OK, -1, -1, false, 0 },
        { "unknown option", TCP("6010") "fd04abcd", ST_OK, -1, -1, false, 0 },
        { "all padding", TCP("6010") "01010101", ST_OK, -1, -1, false, 0 },
        { "offset 4", TCP("4010") "6162", ST_PROTO, 0, 0, false, 0 },
        { "offset 0", TCP("0010") "6162", ST_PROTO, 0, 0, false, 0 },
        { "offset past the segment", TCP("6010") "6162", ST_PROTO, 0, 0, false, 0 },
        { "offset 15 without options", TCP("f010"), ST_PROTO, 0, 0, false, 0 },
        { "option of length 0", TCP("6002") "02000000", ST_PROTO, 0, 0, false, 0 },
        { "option of length 1", TCP("6002") "fd010000", ST_PROTO, 0, 0, false, 0 },
        { "option past the end", TCP("6002") "fd050000 00", ST_PROTO, 0, 0, false, 0 },
        { "option without length", TCP("6002") "010101fd", ST_PROTO, 0, 0, false, 0 },
        { "MSS of 3 bytes", TCP("6002") "02030500", ST_PROTO, 0, 0, false, 0 },
        { "scale of 4 bytes", TCP("6002") "03040700", ST_PROTO, 0, 0, false, 0 },
        { "SACK permitted of 4 bytes", TCP("6002") "04040000", ST_PROTO, 0, 0, false, 0 },
        { "header cut", "0050 0fa0 00000001 00000002 5010 0400 abcd 00", ST_PROTO, 0, 0, false, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tcp_header tcp;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (tcp_decode(&tcp, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        if ((tcp.has_mss ? tcp.mss : -1) != rows[i].mss ||
            (tcp.has_window_scale ? tcp.window_scale : -1) != rows[i].scale ||
            tcp.has_sack_permitted != rows[i].sack)
            fail_msg("%s: mss %d scale %d", rows[i].name, tcp.mss, tcp.window_scale);
        assert_int_equal(tcp.src_port, 80);
        assert_int_equal(tcp.dst_port, 4000);
        assert_int_equal(tcp.seq, 1);
        assert_int_equal(tcp.ack, 2);
        assert_int_equal(tcp.window, 1024);
        assert_int_equal(tcp.checksum, 0xabcd);
        assert_int_equal(r.left, rows[i].payload_bytes);
        assert_ptr_equal(r.p, f.b + tcp.header_bytes);
    }
}

static void tcp_header_is_written_as_it_is_read(void **state)
{
    static const struct tcp_header rows[] = {
        { .src_port = 1, .dst_port = 65535, .seq = 0xfffffffe, .flags = TCP_SYN },
        { .ack = 0x80000000, .flags = TCP_ACK | TCP_PSH | TCP_FIN, .window = 65535 },
        { .flags = TCP_RST | TCP_URG | TCP_ECE | TCP_CWR, .checksum = 0x1234 },
        { .flags = TCP_SYN | TCP_ACK, .has_mss = true, .mss = 65480 },
        { .flags = TCP_SYN, .has_window_scale = true, .window_scale = 14 },
        { .flags = TCP_SYN, .has_sack_permitted = true },
        { .flags = TCP_SYN,
          .has_mss = true,
          .mss = 536,
          .has_window_scale = true,
          .window_scale = 3,
          .has_sack_permitted = true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t buf[60], again[60];
        struct bytes_out w = bytes_into(buf, sizeof buf), w2 = bytes_into(again, sizeof again);
        struct tcp_header got;
        struct bytes r;

        tcp_put(&w, &rows[i]);
        assert_true(bytes_out_ok(&w));
        r = bytes_of(buf, w.len_bytes);
        assert_int_equal(tcp_decode(&got, &r), ST_OK);
        assert_int_equal(r.left, 0);
        assert_int_equal(got.header_bytes, w.len_bytes);
        assert_int_equal(got.seq, rows[i].seq);
        assert_int_equal(got.flags, rows[i].flags);
        assert_int_equal(got.mss, rows[i].mss);
        assert_int_equal(got.window_scale, rows[i].window_scale);
        tcp_put(&w2, &got);
        assert_int_equal(w2.len_bytes, w.len_bytes);
        assert_memory_equal(again, buf, w.len_bytes);
    }
}

/* ---- ICMP and neighbour discovery --------------------------------------------------------- */

static void icmp_header_is_read_and_written(void **state)
{
    uint8_t again[ICMP_HEADER_BYTES];
    struct bytes_out w = bytes_into(again, sizeof again);
    struct icmp_header icmp;
    struct frame f;
    struct bytes r;

    frame_hex(&f, "08 00 f7fd 1234 0001 61");
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(icmp_decode(&icmp, &r), ST_OK);
    assert_int_equal(icmp.type, ICMP4_ECHO);
    assert_int_equal(icmp.code, 0);
    assert_int_equal(icmp.checksum, 0xf7fd);
    assert_int_equal(icmp.rest, 0x12340001);
    assert_int_equal(r.left, 1);
    icmp_put(&w, &icmp);
    assert_memory_equal(again, f.b, sizeof again);
    r = bytes_of(f.b, ICMP_HEADER_BYTES - 1);
    assert_int_equal(icmp_decode(&icmp, &r), ST_PROTO);
}

/* An echo request whose IPv6 header promises more than the frame has. */
static void icmp6_len_gt_frame(void **state)
{
    struct frame_path p = frame_path("fd00::2", "fd00::1");
    struct frame_view v;
    struct frame f;

    frame_icmp(&f, &p, ICMP6_ECHO, 0, 0x10001, NULL, 8);
    assert_null(frame_check(&v, f.b, f.len_bytes, NULL));
    assert_int_equal(v.payload_bytes, 8);
    for (unsigned lie = 17; lie < 65536; lie += 1021) {
        f.b[f.l3 + 4] = (uint8_t)(lie >> 8);
        f.b[f.l3 + 5] = (uint8_t)lie;
        assert_string_equal(frame_check(&v, f.b, f.len_bytes, NULL), "malformed IP header");
    }
}

#define TARGET "fd000000000000000000000000000001"

static void neighbour_messages_are_read_within_their_bounds(void **state)
{
    enum { NS = ICMP6_NEIGHBOUR_SOLICIT, NA = ICMP6_NEIGHBOUR_ADVERT, RS = ICMP6_ROUTER_SOLICIT };
    static const struct {
        const char *name, *hex;
        uint8_t type;
        enum status want;
        bool link;
    } rows[] = {
        { "solicit", TARGET "01015a94efe40cee", NS, ST_OK, true },
        { "solicit without option", TARGET, NS, ST_OK, false },
        { "solicit with nonce", TARGET "0e01010203040506 01015a94efe40cee", NS, ST_OK, true },
        { "solicit with the other option", TARGET "02015a94efe40cee", NS, ST_OK, false },
        { "advert", TARGET "02015a94efe40cee", NA, ST_OK, true },
        { "router solicit", "01015a94efe40cee", RS, ST_OK, true },
        { "router solicit without option", "", RS, ST_OK, false },
        { "target cut", "fd0000000000000000000000000000", NS, ST_PROTO, false },
        { "target multicast", "ff020000000000000000000000000001", NS, ST_PROTO, false },
        { "target mapped", "00000000000000000000ffff7f000001", NS, ST_PROTO, false },
        { "option of length 0", TARGET "01005a94efe40cee", NS, ST_PROTO, false },
        { "option past the end", TARGET "01025a94efe40cee", NS, ST_PROTO, false },
        { "option cut", TARGET "01015a94efe4", NS, ST_PROTO, false },
        { "option without length", TARGET "01", NS, ST_PROTO, false },
        { "link address of 14", TARGET "01025a94efe40cee0000000000000000", NS, ST_PROTO, false },
        { "redirect", TARGET, 137, ST_PROTO, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ndp_neighbour n;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (ndp_decode(&n, rows[i].type, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        if (n.has_link_address != rows[i].link)
            fail_msg("%s: link address", rows[i].name);
        if (n.has_link_address)
            assert_true(mac_equal(&n.link_address, &frame_guest_mac));
    }
}

static void neighbour_messages_are_written_as_they_are_read(void **state)
{
    static const uint8_t types[] = { ICMP6_NEIGHBOUR_SOLICIT, ICMP6_NEIGHBOUR_ADVERT };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct ndp_neighbour want = { .target = frame_addr("fe80::1"),
                                      .has_link_address = true,
                                      .link_address = frame_gateway_mac };
        struct ndp_neighbour got;
        uint8_t buf[64];
        struct bytes_out w = bytes_into(buf, sizeof buf);
        struct bytes r;

        ndp_put(&w, types[i], &want);
        r = bytes_of(buf, w.len_bytes);
        assert_int_equal(ndp_decode(&got, types[i], &r), ST_OK);
        assert_true(ip_addr_equal(&got.target, &want.target));
        assert_true(got.has_link_address && mac_equal(&got.link_address, &want.link_address));
    }
}

static void router_advert_has_its_options(void **state)
{
    struct ndp_router router = {
        .hop_limit = 64,
        .lifetime_s = 1800,
        .prefix = frame_addr("fd00:72:64::"),
        .prefix_bits = 64,
        .prefix_lifetime_s = 0x15180,
        .mtu = 1500,
        .dns = frame_addr("fd00:72:64::1"),
        .link_address = frame_gateway_mac,
    };
    uint8_t buf[128];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct frame want;

    ndp_put_router(&w, &router);
    frame_hex(&want, "00000000 00000000"
                     "0101 5a94efe40cdd"
                     "0501 0000 000005dc"
                     "0304 40c0 00015180 00015180 00000000 fd000072006400000000000000000000"
                     "1903 0000 00015180 fd000072006400000000000000000001");
    assert_int_equal(w.len_bytes, want.len_bytes);
    assert_memory_equal(buf, want.b, want.len_bytes);
    assert_int_equal(ndp_router_rest(&router), 0x40000708);
}

static void router_advert_is_read(void **state)
{
    static const char *const none[] = { "00000000000000000000ffff00000000",
                                        "00000000000000000000ffffc0a87f01",
                                        "ff020000000000000000000000000001" };
    char text[IP_ADDR_TEXT_MAX];
    struct ndp_router router;
    struct frame f;
    struct bytes r;

    frame_hex(&f, "00000000 00000000"
                  "0501 0000 000005dc"
                  "1903 0000 00015180 fd000072006400000000000000000001");
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(ndp_router_decode(&router, 0x40000708, &r), ST_OK);
    assert_int_equal(router.lifetime_s, 1800);
    assert_int_equal(router.mtu, 1500);
    assert_string_equal(ip_addr_format(&router.dns, text), "fd00:72:64::1");
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        char option[80];

        snprintf(option, sizeof option, "00000000 00000000 1903 0000 00015180 %s", none[i]);
        frame_hex(&f, option);
        r = bytes_of(f.b, f.len_bytes);
        assert_int_equal(ndp_router_decode(&router, 0, &r), ST_OK);
        assert_true(ip_addr_equal(&router.dns, &(struct ip_addr){ 0 }));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_len_field_lies),
        cmocka_unit_test(udp_payload_above_16_bits_latches_the_writer),
        cmocka_unit_test(tcp_options_are_read_within_their_bounds),
        cmocka_unit_test(tcp_header_is_written_as_it_is_read),
        cmocka_unit_test(icmp_header_is_read_and_written),
        cmocka_unit_test(icmp6_len_gt_frame),
        cmocka_unit_test(neighbour_messages_are_read_within_their_bounds),
        cmocka_unit_test(neighbour_messages_are_written_as_they_are_read),
        cmocka_unit_test(router_advert_has_its_options),
        cmocka_unit_test(router_advert_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
