/* SPDX-License-Identifier: Apache-2.0
 * Ethernet and ARP. Packets are literal; l2_runt_0_to_13 and arp_truncated are the classes of
 * CVE-2020-29129 and 29130 (a read before the length was checked).
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"

#include <string.h>

#define GUEST   "5a94efe40cee"
#define GATEWAY "5a94efe40cdd"

static void l2_runt_0_to_13(void **state)
{
    static const uint8_t zeros[ETH_HEADER_BYTES];

    for (size_t n = 0; n <= ETH_HEADER_BYTES; n++) {
        struct bytes r = bytes_of(zeros, n);
        struct eth_header eth;

        assert_int_equal(eth_decode(&eth, &r), n < ETH_HEADER_BYTES ? ST_PROTO : ST_OK);
    }
}

static void ethernet_header_is_read_and_written(void **state)
{
    struct frame f;
    struct eth_header eth;
    uint8_t again[ETH_HEADER_BYTES];
    struct bytes_out w = bytes_into(again, sizeof again);
    struct bytes r;

    frame_hex(&f, GATEWAY GUEST "0806 ff");
    r = bytes_of(f.b, f.len_bytes);
    assert_int_equal(eth_decode(&eth, &r), ST_OK);
    assert_true(mac_equal(&eth.dst, &frame_gateway_mac));
    assert_true(mac_equal(&eth.src, &frame_guest_mac));
    assert_int_equal(eth.type, ETH_TYPE_ARP);
    assert_int_equal(r.left, 1);
    eth_put(&w, &eth);
    assert_true(bytes_out_ok(&w));
    assert_memory_equal(again, f.b, sizeof again);
}

static void mac_text_is_read_and_written(void **state)
{
    static const struct {
        const char *text, *canonical; /* NULL: refused */
    } rows[] = {
        { "5a:94:ef:e4:0c:ee", "5a:94:ef:e4:0c:ee" },
        { "5A-94-EF-E4-0C-EE", "5a:94:ef:e4:0c:ee" },
        { "", NULL },
        { "5a:94:ef:e4:0c", NULL },
        { "5a:94:ef:e4:0c:ee:", NULL },
        { "5a:94:ef:e4:0c:eeee", NULL },
        { "5a:94-ef:e4:0c:ee", NULL },
        { "5a.94.ef.e4.0c.ee", NULL },
        { "5g:94:ef:e4:0c:ee", NULL },
        { "5a:94:ef:e4:0c: e", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mac m;
        char buf[18];

        if (mac_parse(&m, rows[i].text) != (rows[i].canonical ? ST_OK : ST_INVAL))
            fail_msg("\"%s\"", rows[i].text);
        if (rows[i].canonical)
            assert_string_equal(mac_format(&m, buf), rows[i].canonical);
    }
}

static void group_addresses_are_told_apart(void **state)
{
    static const struct mac group = { { 0x33, 0x33, 0, 0, 0, 1 } };

    assert_true(mac_is_multicast(&group));
    assert_true(mac_is_multicast(&frame_broadcast_mac));
    assert_false(mac_is_multicast(&frame_guest_mac));
}

static void arp_is_taken_only_for_ethernet_and_ip4(void **state)
{
    static const struct {
        const char *name, *hex;
        enum status want;
    } rows[] = {
        { "request", "0001 0800 06 04 0001" GUEST "c0a87f02 000000000000 c0a87f01", ST_OK },
        { "reply", "0001 0800 06 04 0002" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_OK },
        { "padded to 60", "0001 0800 06 04 0001" GUEST "c0a87f02" GATEWAY "c0a87f01 00000000",
          ST_OK },
        { "token ring", "0004 0800 06 04 0001" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
        { "IPv6", "0001 86dd 06 04 0001" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
        { "hlen lies", "0001 0800 ff 04 0001" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
        { "plen lies", "0001 0800 06 10 0001" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
        { "RARP", "0001 0800 06 04 0003" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
        { "op 0", "0001 0800 06 04 0000" GUEST "c0a87f02" GATEWAY "c0a87f01", ST_PROTO },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t again[ARP_BYTES];
        struct bytes_out w = bytes_into(again, sizeof again);
        struct arp_packet arp;
        struct frame f;
        struct bytes r;

        frame_hex(&f, rows[i].hex);
        r = bytes_of(f.b, f.len_bytes);
        if (arp_decode(&arp, &r) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want)
            continue;
        assert_int_equal(ip_addr_to_v4(&arp.sender), 0xc0a87f02);
        assert_int_equal(ip_addr_to_v4(&arp.target), 0xc0a87f01);
        assert_true(mac_equal(&arp.sender_mac, &frame_guest_mac));
        arp_put(&w, &arp);
        assert_true(bytes_out_ok(&w));
        assert_memory_equal(again, f.b, sizeof again);
    }
}

static void arp_truncated(void **state)
{
    struct arp_packet arp = { .op = 99 };
    struct frame f;

    frame_hex(&f, "0001 0800 06 04 0001" GUEST "c0a87f02" GATEWAY "c0a87f01");
    for (size_t n = 0; n < ARP_BYTES; n++) {
        struct bytes r = bytes_of(f.b, n);

        assert_int_equal(arp_decode(&arp, &r), ST_PROTO);
        assert_int_equal(arp.op, 99);
    }
}

static void what_does_not_fit_latches_the_writer(void **state)
{
    uint8_t small[ETH_HEADER_BYTES - 1];
    struct bytes_out w = bytes_into(small, sizeof small);

    eth_put(&w, &(struct eth_header){ .type = ETH_TYPE_IP4 });
    assert_false(bytes_out_ok(&w));
    assert_int_equal(w.len_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l2_runt_0_to_13),
        cmocka_unit_test(ethernet_header_is_read_and_written),
        cmocka_unit_test(mac_text_is_read_and_written),
        cmocka_unit_test(group_addresses_are_told_apart),
        cmocka_unit_test(arp_is_taken_only_for_ethernet_and_ip4),
        cmocka_unit_test(arp_truncated),
        cmocka_unit_test(what_does_not_fit_latches_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
