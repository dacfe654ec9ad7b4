/* SPDX-License-Identifier: Apache-2.0
 * switch_config_test.c - what is derived from a network, and what is refused.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "switch/switch.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *net;
    unsigned prefix_bits;
    const char *want_net, *gateway, *guest, *host; /* NULL: refused */
} rows[] = {
    { "default", NULL, 0, "192.168.127.0", "192.168.127.1", "192.168.127.2", "192.168.127.254" },
    { "inside of a /24", "10.9.8.77", 24, "10.9.8.0", "10.9.8.1", "10.9.8.2", "10.9.8.254" },
    { "/16", "172.20.0.0", 16, "172.20.0.0", "172.20.0.1", "172.20.0.2", "172.20.0.254" },
    { "/8", "10.0.0.0", 8, "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.254" },
    { "/23", "10.1.2.0", 23, "10.1.2.0", "10.1.2.1", "10.1.2.2", "10.1.2.254" },
    { "lower /25", "10.1.2.0", 25, "10.1.2.0", "10.1.2.1", "10.1.2.2", "10.1.2.126" },
    { "upper /25", "10.1.2.128", 25, "10.1.2.128", "10.1.2.129", "10.1.2.130", "10.1.2.254" },
    { "/29", "10.1.2.8", 29, "10.1.2.8", "10.1.2.9", "10.1.2.10", "10.1.2.14" },
    { "/30 has no room", "10.1.2.8", 30, NULL, NULL, NULL, NULL },
    { "/7 is too large", "10.0.0.0", 7, NULL, NULL, NULL, NULL },
    { "/33", "10.0.0.0", 33, NULL, NULL, NULL, NULL },
    { "loopback", "127.0.0.0", 24, NULL, NULL, NULL, NULL },
    { "link-local", "169.254.0.0", 16, NULL, NULL, NULL, NULL },
    { "multicast", "224.0.1.0", 24, NULL, NULL, NULL, NULL },
    { "class E", "240.0.0.0", 24, NULL, NULL, NULL, NULL },
    { "zero", "0.1.2.0", 24, NULL, NULL, NULL, NULL },
    { "IPv6 for IPv4", "fd00::", 24, NULL, NULL, NULL, NULL },
};

static struct ip_addr addr(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return a;
}

static void expect_addr(const char *row, const struct ip_addr *got, const char *want)
{
    struct ip_addr w = addr(want);
    char text[IP_ADDR_TEXT_MAX];

    if (!ip_addr_equal(got, &w))
        fail_msg("%s: %s, not %s", row, ip_addr_format(got, text), want);
}

static void addresses_follow_the_network(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct switch_config c = { .prefix_bits = rows[i].prefix_bits };
        struct errmsg e = { "" };
        enum status st;

        if (rows[i].net)
            c.net = addr(rows[i].net);
        st = switch_config_finish(&c, &e);
        if (st != (rows[i].want_net ? ST_OK : ST_INVAL))
            fail_msg("%s: %s (%s)", rows[i].name, status_name(st), e.text);
        if (st) {
            assert_true(e.text[0] != '\0');
            continue;
        }
        expect_addr(rows[i].name, &c.net, rows[i].want_net);
        expect_addr(rows[i].name, &c.gateway, rows[i].gateway);
        expect_addr(rows[i].name, &c.guest, rows[i].guest);
        expect_addr(rows[i].name, &c.host, rows[i].host);
    }
}

static void the_rest_has_defaults(void **state)
{
    static const struct mac gateway = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd } };
    static const struct mac guest = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
    struct switch_config c = { .ip6 = true };
    struct switch_config again;
    struct errmsg e;

    (void)state;
    assert_int_equal(switch_config_finish(&c, &e), ST_OK);
    assert_true(mac_equal(&c.gateway_mac, &gateway));
    assert_true(mac_equal(&c.guest_mac, &guest));
    expect_addr("IPv6", &c.net6, "fd00:72:64::");
    assert_int_equal(c.mtu, 1500);
    assert_int_equal(c.limits.tcp_flows, 8192);
    assert_int_equal(c.limits.neighbours, 16);
    assert_int_equal(c.limits.udp_idle_ms, 60000);
    assert_int_equal(c.limits.total_buffer_bytes, 192ull << 20);
    again = c;
    assert_int_equal(switch_config_finish(&again, &e), ST_OK);
    assert_memory_equal(&again, &c, sizeof c);
}

static void expect_refused(struct switch_config c, const char *in_message)
{
    struct switch_config before = c;
    struct errmsg e = { "" };

    assert_int_equal(switch_config_finish(&c, &e), ST_INVAL);
    if (!strstr(e.text, in_message))
        fail_msg("\"%s\" does not say \"%s\"", e.text, in_message);
    assert_memory_equal(&before, &c, sizeof c);
}

static void what_is_given_is_checked(void **state)
{
    static const struct mac multicast = { { 1 } }, one = { { 2, 0, 0, 0, 0, 1 } };

    (void)state;
    expect_refused((struct switch_config){ .gateway = addr("192.168.126.1") },
                   "gateway: 192.168.126.1");
    expect_refused((struct switch_config){ .host = addr("192.168.127.255") }, "last address");
    expect_refused((struct switch_config){ .guest = addr("192.168.127.0") }, "guest");
    expect_refused((struct switch_config){ .guest = addr("192.168.127.1") }, "different");
    expect_refused((struct switch_config){ .guest_mac = multicast }, "MAC");
    expect_refused((struct switch_config){ .guest_mac = one, .gateway_mac = one }, "MAC");
    expect_refused((struct switch_config){ .mtu = 575 }, "MTU: 575");
    expect_refused((struct switch_config){ .mtu = 1279, .ip6 = true }, "MTU: 1279");
    expect_refused((struct switch_config){ .mtu = 65521 }, "MTU: 65521");
    expect_refused((struct switch_config){ .net6 = addr("fe80::") }, "IPv6 network");
    expect_refused((struct switch_config){ .net6 = addr("ff02::1") }, "IPv6 network");
    expect_refused((struct switch_config){ .limits.tcp_flows = 12001 }, "tcp_flows: 12001");
}

static struct switch_config with_lease(const char *mac, const char *ip)
{
    struct switch_config c = { .static_lease_count = 2 };

    assert_int_equal(mac_parse(&c.static_leases[0].mac, "02:00:00:00:00:01"), ST_OK);
    c.static_leases[0].ip = addr("192.168.127.10");
    assert_int_equal(mac_parse(&c.static_leases[1].mac, mac), ST_OK);
    c.static_leases[1].ip = addr(ip);
    return c;
}

static void a_static_lease_is_nobody_elses(void **state)
{
    static const struct {
        const char *mac, *ip, *says;
    } wrong[] = {
        { "02:00:00:00:00:02", "192.168.128.10", "outside the network" },
        { "02:00:00:00:00:02", "192.168.127.255", "last address" },
        { "02:00:00:00:00:02", "192.168.127.1", "somebody else's" },
        { "02:00:00:00:00:02", "192.168.127.2", "somebody else's" },
        { "02:00:00:00:00:02", "192.168.127.254", "somebody else's" },
        { "02:00:00:00:00:02", "192.168.127.10", "somebody else's" },
        { "02:00:00:00:00:01", "192.168.127.11", "somebody else's" },
        { "5a:94:ef:e4:0c:ee", "192.168.127.11", "somebody else's" },
        { "5a:94:ef:e4:0c:dd", "192.168.127.11", "somebody else's" },
        { "ff:ff:ff:ff:ff:ff", "192.168.127.11", "somebody else's" },
        { "00:00:00:00:00:00", "192.168.127.11", "somebody else's" },
    };
    struct switch_config c = with_lease("02:00:00:00:00:02", "192.168.127.11");
    struct errmsg e = { "" };

    assert_int_equal(switch_config_finish(&c, &e), ST_OK);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        expect_refused(with_lease(wrong[i].mac, wrong[i].ip), wrong[i].says);
}

static void search_domains_are_names(void **state)
{
    static const char long_label[] =
        "a123456789012345678901234567890123456789012345678901234567890123.example";
    static const char *const good[] = { "", " , ", "a", "a.b,c", "corp-1.example  _x.y" };
    static const char *const wrong[] = { "a..b", ".a", "a.", "a b\nnameserver", "a;b", long_label };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct errmsg e = { "" };

        if (switch_config_check_search(good[i], &e) != ST_OK)
            fail_msg("%s", e.text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct switch_config c = { .ip6 = false };

        snprintf(c.search_domains, sizeof c.search_domains, "%s", wrong[i]);
        expect_refused(c, "is no domain");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_follow_the_network),
        cmocka_unit_test(the_rest_has_defaults),
        cmocka_unit_test(what_is_given_is_checked),
        cmocka_unit_test(a_static_lease_is_nobody_elses),
        cmocka_unit_test(search_domains_are_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
