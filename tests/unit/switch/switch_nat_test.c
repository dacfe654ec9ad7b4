/* SPDX-License-Identifier: Apache-2.0
 * switch_nat_test.c - where each kind of address leads, and what may come back.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/sim_guest.h"
#include "switch/switch_internal.h"

static const struct {
    const char *name, *dst;
    uint16_t port;
    uint8_t proto;
    enum nat_verdict want;
    const char *to; /* NULL: not looked at */
} rows[] = {
    { "gateway", "192.168.127.1", 80, IP_PROTO_TCP, NAT_GATEWAY, NULL },
    { "gateway, IPv6", "fd00:72:64::1", 53, IP_PROTO_UDP, NAT_GATEWAY, NULL },
    { "gateway, link-local", "fe80::5894:efff:fee4:cdd", 53, IP_PROTO_UDP, NAT_GATEWAY, NULL },
    { "host alias", "192.168.127.254", 8080, IP_PROTO_TCP, NAT_HOST, "127.0.0.1" },
    { "host alias, IPv6", "fd00:72:64::254", 8080, IP_PROTO_TCP, NAT_HOST, "::1" },
    { "host alias, ping", "192.168.127.254", 0, IP_PROTO_ICMP, NAT_HOST, "127.0.0.1" },
    { "docker engine", "192.168.127.254", 2375, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "docker engine, TLS", "192.168.127.254", 2376, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "WinRM", "192.168.127.254", 5985, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "WinRM, TLS", "fd00:72:64::254", 5986, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "RPC", "192.168.127.254", 135, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "SMB", "192.168.127.254", 445, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "SMB over UDP", "192.168.127.254", 445, IP_PROTO_UDP, NAT_DENIED, NULL },
    { "SMB of another machine", "10.0.0.5", 445, IP_PROTO_TCP, NAT_OUTSIDE, "10.0.0.5" },
    { "the guest itself", "192.168.127.2", 80, IP_PROTO_TCP, NAT_GUEST_NET, NULL },
    { "another guest, IPv6", "fd00:72:64::77", 80, IP_PROTO_TCP, NAT_GUEST_NET, NULL },
    { "metadata service", "169.254.169.254", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "link-local, IPv6", "fe80::1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "loopback", "127.0.0.1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "loopback, IPv6", "::1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "this network", "0.0.0.1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "class E", "240.0.0.1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "broadcast", "255.255.255.255", 80, IP_PROTO_UDP, NAT_DENIED, NULL },
    { "multicast", "224.0.0.251", 5353, IP_PROTO_UDP, NAT_DENIED, NULL },
    { "multicast, IPv6", "ff02::fb", 5353, IP_PROTO_UDP, NAT_DENIED, NULL },
    { "IPv4-compatible", "::10.0.0.1", 80, IP_PROTO_TCP, NAT_DENIED, NULL },
    { "Internet", "1.1.1.1", 53, IP_PROTO_UDP, NAT_OUTSIDE, "1.1.1.1" },
    { "Internet, IPv6", "2606:4700::1111", 53, IP_PROTO_UDP, NAT_OUTSIDE, "2606:4700::1111" },
};

static void each_address_leads_where_it_should(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_endpoint dst = { .addr = frame_addr(rows[i].dst), .port = rows[i].port }, to;
        enum nat_verdict got = nat_outbound(g->sw, rows[i].proto, &dst, &to);

        if (got != rows[i].want)
            fail_msg("%s: %d, not %d", rows[i].name, (int)got, (int)rows[i].want);
        if (rows[i].to) {
            struct ip_addr want = frame_addr(rows[i].to);

            if (!ip_addr_equal(&want, &to.addr) || to.port != rows[i].port)
                fail_msg("%s: wrong endpoint", rows[i].name);
        }
    }
    sim_guest_free(g);
}

static const struct {
    const char *from, *seen; /* NULL: as nobody */
} back[] = {
    { "127.0.0.1", "192.168.127.254" },
    { "::1", "fd00:72:64::254" },
    { "1.1.1.1", "1.1.1.1" },
    { "2606:4700::1111", "2606:4700::1111" },
    { "127.0.0.2", NULL },
    { "192.168.127.2", NULL },
    { "192.168.127.1", NULL },
    { "169.254.1.1", NULL },
    { "fe80::1", NULL },
    { "224.0.0.1", NULL },
};

static void answers_are_seen_from_where_they_were_asked(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(back); i++) {
        struct ip_addr from = frame_addr(back[i].from), seen;

        if (nat_inbound(g->sw, &from, &seen) != (back[i].seen != NULL))
            fail_msg("%s", back[i].from);
        if (back[i].seen) {
            struct ip_addr want = frame_addr(back[i].seen);

            assert_memory_equal(&seen, &want, sizeof want);
        }
    }
    sim_guest_free(g);
}

static const struct {
    const char *address;
    bool is_guest;
} members[] = {
    { "192.168.127.2", true },    { "192.168.127.253", true },  { "fd00:72:64::2", true },
    { "fe80::1234", true },       { "192.168.127.0", false },   { "192.168.127.255", false },
    { "192.168.127.1", false },   { "192.168.127.254", false }, { "fd00:72:64::1", false },
    { "fd00:72:64::254", false }, { "192.168.128.2", false },   { "192.168.126.2", false },
    { "10.0.0.1", false },        { "255.255.255.255", false }, { "ff02::1", false },
    { "127.0.0.1", false },       { "2606:4700::1111", false },
};

static void a_guest_has_an_address_that_is_nobody_elses(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        struct ip_addr a = frame_addr(members[i].address);

        if (nat_is_guest(g->sw, &a) != members[i].is_guest)
            fail_msg("%s", members[i].address);
    }
    sim_guest_free(g);
}

static enum nat_verdict alias_says(struct sim_guest *g, const char *alias, uint8_t proto,
                                   uint16_t port)
{
    struct ip_endpoint dst = { .addr = frame_addr(alias), .port = port }, to;

    return nat_outbound(g->sw, proto, &dst, &to);
}

static void the_host_alias_leads_where_the_configuration_says(void **state)
{
    static const struct {
        const char *name, *policy, *denied;
        uint16_t port;
        enum nat_verdict want;
    } table[] = {
        { "open", "allow", "", 80, NAT_HOST },
        { "dangerous", "allow", "", 2375, NAT_DENIED },
        { "denied beside", "allow", "8080", 8080, NAT_DENIED },
        { "not denied", "allow", "8080", 8081, NAT_HOST },
        { "closed", "deny", "", 80, NAT_DENIED },
        { "listed", "80,8000-8999", "", 8999, NAT_HOST },
        { "below a range", "80,8000-8999", "", 7999, NAT_DENIED },
        { "above a range", "80,8000-8999", "", 9000, NAT_DENIED },
        { "dangerous and listed", "5985", "", 5985, NAT_HOST },
        { "listed and denied", "80,8000-8999", "8080", 8080, NAT_DENIED },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct switch_config c = { .ip6 = true };
        struct errmsg e = { "" };
        struct sim_guest *g;

        assert_int_equal(host_ports_parse(&c.host_ports, table[i].policy, &e), ST_OK);
        assert_int_equal(host_ports_parse_list(&c.host_ports.denied, table[i].denied, &e), ST_OK);
        g = sim_guest_new(&c, FRAME_QEMU);
        if (alias_says(g, "192.168.127.254", IP_PROTO_TCP, table[i].port) != table[i].want ||
            alias_says(g, "192.168.127.254", IP_PROTO_UDP, table[i].port) != table[i].want ||
            alias_says(g, "fd00:72:64::254", IP_PROTO_TCP, table[i].port) != table[i].want)
            fail_msg("%s", table[i].name);
        assert_int_equal(alias_says(g, "192.168.127.254", IP_PROTO_ICMP, 0), NAT_HOST);
        sim_guest_free(g);
    }
}

static void ports_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        ",",    "80,",      "0",           "65536",
        "80-",  "90-80",    "80 81",       "-80",
        "http", "80-81-82", "99999999999", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"
    };
    struct host_ports p;
    struct errmsg e;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (host_ports_parse_list(&p.denied, wrong[i], &e) != ST_INVAL)
            fail_msg("%s", wrong[i]);
        assert_int_equal(host_ports_parse(&p, wrong[i], &e), ST_INVAL);
    }
    assert_int_equal(host_ports_parse_list(&p.denied, "1-65535", &e), ST_OK);
    assert_int_equal(host_ports_parse(&p, "", &e), ST_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_leads_where_it_should),
        cmocka_unit_test(answers_are_seen_from_where_they_were_asked),
        cmocka_unit_test(a_guest_has_an_address_that_is_nobody_elses),
        cmocka_unit_test(the_host_alias_leads_where_the_configuration_says),
        cmocka_unit_test(ports_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
