/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/net/net_config.h"
#include "guestagent/net/relay_config.h"

#include <string.h>

enum { WORDS_MAX = 8 };

static enum status load(struct net_config *c, const char *const *words, struct errmsg *e)
{
    int argc = 0;

    while (argc < WORDS_MAX && words[argc])
        argc++;
    return net_config_load(c, argc, words, e);
}

static const char *text_of(const struct addr *a)
{
    static char text[ADDR_TEXT_MAX];

    return addr_format(a, text, sizeof text);
}

static const char *ip_of(const struct ip_addr *a)
{
    static char text[IP_ADDR_TEXT_MAX];

    return ip_addr_format(a, text);
}

static void defaults_are_those_of_a_rancher_guest(void **state)
{
    static const char *const none[] = { NULL };
    struct net_config c;
    char mac[18];
    struct addr data;

    assert_int_equal(load(&c, none, NULL), ST_OK);
    assert_true(c.has_control && c.answers_a && c.answers_b && c.by_dhcp);
    assert_false(c.has_link || c.no_veth);
    assert_string_equal(text_of(&c.control_at), "vsock:6681");
    assert_string_equal(text_of(&c.handshake_at[RANCHER_A]), "vsock:6669");
    assert_string_equal(text_of(&c.handshake_at[RANCHER_B]), "vsock:6670");
    assert_int_equal(addr_guest_to_host(&data, &c.host_at, 6656, NULL), ST_OK);
    assert_string_equal(text_of(&data), "vsock:6656");
    assert_string_equal(c.netns, "unit:network-namespace.service");
    assert_string_equal(c.tap_name, "eth0");
    assert_string_equal(mac_format(&c.mac, mac), "5a:94:ef:e4:0c:ee");
    assert_int_equal(c.mtu, 1500);
    assert_int_equal(c.legacy_after_ms, 2000);
    assert_string_equal(c.veth_inside_ip, "192.168.143.1/24");
    assert_string_equal(c.veth_outside_ip, "192.168.143.2/24");
    assert_string_equal(c.resolv_conf, "/etc/resolv.conf");
}

static void a_test_puts_other_transports_in_place_of_vsock(void **state)
{
    static const char *const hybrid[] = { "--control",
                                          "vsock-hybrid:/v",
                                          "--handshake-base",
                                          "vsock-hybrid:/v",
                                          "--host-base",
                                          "vsock-hybrid:/v",
                                          NULL };
    static const char *const behind[] = { "--control", "unix:/v-guest_6681", "--handshake-base",
                                          "unix:/v-guest", NULL };
    struct net_config c;
    struct addr data;

    assert_int_equal(load(&c, hybrid, NULL), ST_OK);
    assert_string_equal(text_of(&c.control_at), "vsock-hybrid:/v:6681");
    assert_string_equal(text_of(&c.handshake_at[RANCHER_A]), "vsock-hybrid:/v:6669");
    assert_int_equal(addr_guest_to_host(&data, &c.host_at, 6657, NULL), ST_OK);
    assert_string_equal(text_of(&data), "unix:/v_6657");
    assert_int_equal(load(&c, behind, NULL), ST_OK);
    assert_string_equal(text_of(&c.handshake_at[RANCHER_B]), "unix:/v-guest_6670");
}

static void a_fixed_link_leaves_the_other_ways_alone(void **state)
{
    static const char *const words[] = { "--link", "qemu:unix:/l", NULL };
    static const char *const both[] = { "--link=v2:tcp:127.0.0.1:99", "--control=unix:/c", NULL };
    struct net_config c;

    assert_int_equal(load(&c, words, NULL), ST_OK);
    assert_true(c.has_link);
    assert_int_equal(c.link_protocol, FRAME_QEMU);
    assert_string_equal(text_of(&c.link_at), "unix:/l");
    assert_false(c.has_control || c.answers_a || c.answers_b);
    assert_int_equal(load(&c, both, NULL), ST_OK);
    assert_int_equal(c.link_protocol, FRAME_V2);
    assert_true(c.has_control);
}

static void a_fixed_address_has_the_first_of_its_network_as_gateway(void **state)
{
    static const char *const words[] = { "--address", "10.9.8.70/26", "--mtu=9000", NULL };
    static const char *const other[] = { "--address=10.9.8.70/26", "--gateway=10.9.8.99", NULL };
    struct net_config c;

    assert_int_equal(load(&c, words, NULL), ST_OK);
    assert_false(c.by_dhcp);
    assert_string_equal(ip_of(&c.fixed_lease.ip), "10.9.8.70");
    assert_int_equal(c.fixed_lease.prefix_bits, 26);
    assert_string_equal(ip_of(&c.fixed_lease.gateway), "10.9.8.65");
    assert_string_equal(ip_of(&c.fixed_lease.dns), "10.9.8.65");
    assert_int_equal(c.fixed_lease.mtu, 9000);
    assert_int_equal(load(&c, other, NULL), ST_OK);
    assert_string_equal(ip_of(&c.fixed_lease.gateway), "10.9.8.99");
}

static void one_generation_may_be_answered(void **state)
{
    static const char *const words[] = { "--handshake", "B", NULL };
    struct net_config c;

    assert_int_equal(load(&c, words, NULL), ST_OK);
    assert_false(c.answers_a);
    assert_true(c.answers_b);
}

static void what_cannot_be_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *words[WORDS_MAX], *message;
    } rows[] = {
        { { "--handshake", "A,C" }, "A, B, A,B or none" },
        { { "--handshake", "A," }, "A, B, A,B or none" },
        { { "--link", "bess:unix:/x" }, "stdio: qemu: or v2:" },
        { { "--link", "v2:nowhere" }, "nowhere" },
        { { "--control", "none", "--handshake", "none" }, "no way to a host" },
        { { "--netns", "unit:" }, "host, unit:NAME" },
        { { "--netns", "red" }, "host, unit:NAME" },
        { { "--tap-interface", "sixteen-long-one" }, "no name for an interface" },
        { { "--tap-interface", "a/b" }, "no name for an interface" },
        { { "--tap-mac-address", "01:00:5e:00:00:01" }, "no address of one interface" },
        { { "--mtu", "100" }, "576" },
        { { "--address", "192.168.127.2" }, "mask bits" },
        { { "--address", "192.168.127.2/31" }, "mask bits" },
        { { "--address", "192.168.127.2/24x" }, "mask bits" },
        { { "--gateway", "192.168.127.1" }, "needs a fixed --address" },
        { { "--veth-subnet", "fd00::/64" }, "mask bits" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct net_config c;
        struct errmsg e = { "" };

        if (load(&c, rows[i].words, &e) != ST_INVAL || !strstr(e.text, rows[i].message))
            fail_msg("%s %s: \"%s\"", rows[i].words[0], rows[i].words[1], e.text);
    }
}

static void the_relays_interface_is_judged_alike(void **state)
{
    static const char *const names[] = { "", "a/b", "sixteen-long-one" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *const argv[] = { "--tap-interface", names[i] };
        struct relay_config c;
        struct errmsg e = { "" };

        assert_int_equal(relay_config_load(&c, 2, argv, &e), ST_INVAL);
        assert_non_null(strstr(e.text, "no name for an interface"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_a_rancher_guest),
        cmocka_unit_test(a_test_puts_other_transports_in_place_of_vsock),
        cmocka_unit_test(a_fixed_link_leaves_the_other_ways_alone),
        cmocka_unit_test(a_fixed_address_has_the_first_of_its_network_as_gateway),
        cmocka_unit_test(one_generation_may_be_answered),
        cmocka_unit_test(what_cannot_be_is_refused_with_the_reason),
        cmocka_unit_test(the_relays_interface_is_judged_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
