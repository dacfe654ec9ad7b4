/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/net/router_advert.h"
#include "wire/csum.h"

#include <string.h>

static const struct mac guest = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
static const struct mac gateway = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd } };

static struct ip_addr address(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return a;
}

/* What a test varies; the rest is as our switch says it. */
struct advert {
    const char *src, *prefix;
    unsigned hop_limit, bits, type, code, lifetime_s, prefix_lifetime_s;
    bool bad_checksum;
};

static const struct advert ours = { "fe80::1", "fd00:72:64::", 255,   64,   ICMP6_ROUTER_ADVERT,
                                    0,         1800,           86400, false };

static size_t compose(const struct advert *a, uint8_t frame[static 256])
{
    struct ndp_router router = { .hop_limit = 64,
                                 .lifetime_s = (uint16_t)a->lifetime_s,
                                 .prefix = address(a->prefix),
                                 .prefix_bits = (uint8_t)a->bits,
                                 .prefix_lifetime_s = a->prefix_lifetime_s,
                                 .mtu = 1500,
                                 .dns = address("fd00:72:64::1"),
                                 .link_address = gateway };
    struct icmp_header icmp = { .type = (uint8_t)a->type,
                                .code = (uint8_t)a->code,
                                .rest = ndp_router_rest(&router) };
    struct ip_header ip = { .src = address(a->src),
                            .dst = address("ff02::1"),
                            .proto = IP_PROTO_ICMP6,
                            .ttl = (uint8_t)a->hop_limit };
    struct bytes_out w = bytes_into(frame, 256), l4;
    uint8_t message[200];
    uint16_t sum;

    l4 = bytes_into(message, sizeof message);
    icmp_put(&l4, &icmp);
    ndp_put_router(&l4, &router);
    sum = csum_finish(csum_add(csum_pseudo(&ip.src, &ip.dst, ip.proto, (uint32_t)l4.len_bytes),
                               message, l4.len_bytes));
    message[2] = (uint8_t)(sum >> 8);
    message[3] = (uint8_t)(sum + a->bad_checksum);
    ip.payload_bytes = (uint32_t)l4.len_bytes;
    eth_put(&w, &(struct eth_header){ .src = gateway, .type = ETH_TYPE_IP6 });
    ip6_put(&w, &ip);
    bytes_put(&w, message, l4.len_bytes);
    assert_true(bytes_out_ok(&w));
    return w.len_bytes;
}

static void an_advertisement_gives_address_and_router(void **state)
{
    struct ip_addr ip = address("fd00:72:64:0:5894:efff:fee4:cee"), from = address("fe80::1");
    struct guest_router got = { .prefix_bits = 0 };
    uint8_t frame[256];
    size_t len = compose(&ours, frame);

    assert_true(router_advert_read(&got, &guest, frame, len));
    assert_true(ip_addr_equal(&got.ip, &ip));
    assert_true(ip_addr_equal(&got.gateway, &from));
    assert_int_equal(got.prefix_bits, 64);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(router_advert_read(&got, &guest, frame, cut));
}

static void what_is_no_routers_word_is_not_taken(void **state)
{
    struct advert wrong[9];

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        wrong[i] = ours;
    wrong[0].src = "fd00:72:64::1"; /* not of this link */
    wrong[1].hop_limit = 254;       /* it was routed */
    wrong[2].type = ICMP6_ECHO;
    wrong[3].code = 1;
    wrong[4].lifetime_s = 0; /* no router any more */
    wrong[5].prefix_lifetime_s = 0;
    wrong[6].bits = 48;
    wrong[7].prefix = "fe80::";
    wrong[8].bad_checksum = true;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct guest_router got;
        uint8_t frame[256];

        if (router_advert_read(&got, &guest, frame, compose(&wrong[i], frame)))
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_advertisement_gives_address_and_router),
        cmocka_unit_test(what_is_no_routers_word_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
