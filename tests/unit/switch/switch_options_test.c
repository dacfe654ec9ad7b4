/* SPDX-License-Identifier: Apache-2.0 */
#include "switch/switch_options.h"

#include "base/util.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 8 };

static enum status parse(struct switch_options *o, const char *const *words, struct errmsg *e)
{
    int count = 0;

    while (words[count])
        count++;
    return switch_options_parse(o, count, words, e);
}

static void what_is_left_out_has_its_default(void **state)
{
    static const char *const words[] = { "--link", "qemu:unix:/run/vm.sock", NULL };
    static struct switch_options o;
    static struct switch_config c;
    struct errmsg e = { "" };
    char text[IP_ADDR_TEXT_MAX];

    assert_int_equal(parse(&o, words, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_OK);
    assert_string_equal(ip_addr_format(&c.gateway, text), "192.168.127.1");
    assert_string_equal(ip_addr_format(&c.host, text), "192.168.127.254");
    assert_int_equal(c.mtu, 1500);
    assert_true(c.ip6);
    assert_false(o.dial);
    assert_int_equal(o.forwards.count, 0);
}

static void what_is_given_counts(void **state)
{
    static const char *const words[] = { "--link=v2:tcp:127.0.0.1:4000",
                                         "--subnet=10.9.8.0/29",
                                         "--mtu=65520",
                                         "--no-ip6",
                                         "--dial",
                                         "--forward=127.0.0.1:80=10.9.8.2:80",
                                         "--forward=udp:127.0.0.1:53=10.9.8.2:53",
                                         "--limit=tcp_flows=12000",
                                         "--limit=total_buffer_bytes=1000000",
                                         NULL };
    static struct switch_options o;
    static struct switch_config c;
    enum frame_protocol protocol;
    struct errmsg e = { "" };
    char text[IP_ADDR_TEXT_MAX];
    struct addr at;

    assert_int_equal(parse(&o, words, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_OK);
    assert_int_equal(switch_options_link(o.link, &protocol, &at, &e), ST_OK);
    assert_int_equal(protocol, FRAME_V2);
    assert_int_equal(at.kind, ADDR_TCP);
    assert_int_equal(at.tcp_port, 4000);
    assert_string_equal(ip_addr_format(&c.guest, text), "10.9.8.2");
    assert_int_equal(c.mtu, 65520);
    assert_false(c.ip6);
    assert_true(o.dial);
    assert_int_equal(o.forwards.count, 2);
    assert_string_equal(o.forwards.items[1], "udp:127.0.0.1:53=10.9.8.2:53");
    assert_int_equal(c.limits.tcp_flows, 12000);
    assert_int_equal(c.limits.total_buffer_bytes, 1000000);
    assert_int_equal(c.limits.udp_flows, 2048);
}

static const struct {
    const char *name;
    const char *words[WORDS_MAX];
    const char *says;
} bad[] = {
    { "no link", { "--mtu", "1500" }, "--link is missing" },
    { "no protocol", { "--link", "unix:/run/vm.sock" }, "stdio, qemu, v2" },
    { "messages on a stream", { "--link", "bess:unix:/run/vm.sock" }, "unixpacket:PATH" },
    { "a stream of messages", { "--link", "qemu:unixpacket:/run/vm.sock" }, "only bess:" },
    { "part of a protocol's name", { "--link", "qem:unix:/x" }, "stdio, qemu, v2" },
    { "no address", { "--link", "qemu:" }, "link" },
    { "network without a length",
      { "--link", "qemu:unix:/x", "--subnet", "10.0.0.0" },
      "10.0.0.0" },
    { "length that is none",
      { "--link", "qemu:unix:/x", "--subnet", "10.0.0.0/+8" },
      "10.0.0.0/+8" },
    { "length and more", { "--link", "qemu:unix:/x", "--subnet", "10.0.0.0/24x" }, "10.0.0.0/24x" },
    { "IPv6 network", { "--link", "qemu:unix:/x", "--subnet", "fd00::/24" }, "fd00::/24" },
    { "MTU that is too small", { "--link", "qemu:unix:/x", "--mtu", "575" }, "mtu" },
    { "limit without a number", { "--limit", "tcp_flows" }, "NAME=N" },
    { "limit of nothing", { "--limit", "tcp_flows=0" }, "NAME=N" },
    { "limit and more", { "--limit", "tcp_flows=1k" }, "NAME=N" },
    { "limit beyond all numbers", { "--limit", "udp_flows=4294967296000" }, "udp_flows" },
    { "limit that is too large", { "--limit", "tcp_flows=12001" }, "12001 is more than 12000" },
    { "limit that does not exist", { "--limit", "tcp=5" }, "no limit of that name" },
    { "word that is no option", { "--link", "qemu:unix:/x", "now" }, "'now'" },
    { "unknown level", { "--link", "qemu:unix:/x", "--log-level", "loud" }, "loud" },
};

static void what_is_wrong_is_named(void **state)
{
    static struct switch_options o;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct errmsg e = { "" };

        if (parse(&o, bad[i].words, &e) != ST_INVAL || !strstr(e.text, bad[i].says))
            fail_msg("%s: \"%s\"", bad[i].name, e.text);
    }
}

#define TOKEN_FILE "switch_options_test.tmp"

static enum status with_token(const char *contents, struct switch_config *c, struct errmsg *e)
{
    static const char *const words[] = { "--link=qemu:unix:/x", "--api-token-file=" TOKEN_FILE,
                                         NULL };
    static struct switch_options o;
    FILE *f = contents ? fopen(TOKEN_FILE, "wb") : NULL;
    enum status st;

    if (f) {
        fputs(contents, f);
        fclose(f);
    }
    assert_int_equal(parse(&o, words, e), ST_OK);
    st = switch_options_config(&o, c, e);
    remove(TOKEN_FILE);
    return st;
}

static void the_token_is_one_line_of_a_file(void **state)
{
    static const char *const wrong[] = { "", "\n", "two words\n", "two\nlines\n", "tab\t", NULL };
    static struct switch_config c;
    struct errmsg e = { "" };
    char longest[130];

    assert_int_equal(with_token("s3cret~\r\n", &c, &e), ST_OK);
    assert_string_equal(c.api_token, "s3cret~");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(with_token(longest, &c, &e), ST_INVAL);
    longest[sizeof longest - 2] = '\0';
    assert_int_equal(with_token(longest, &c, &e), ST_OK);
    assert_string_equal(c.api_token, longest);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(with_token(wrong[i], &c, &e), ST_INVAL);
        assert_non_null(strstr(e.text, TOKEN_FILE));
    }
}

static void network_without_room_is_refused(void **state)
{
    static const char *const words[] = { "--link=qemu:unix:/x", "--subnet=10.0.0.0/30", NULL };
    static struct switch_options o;
    static struct switch_config c;
    struct errmsg e = { "" };

    assert_int_equal(parse(&o, words, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_INVAL);
    assert_true(e.text[0] != '\0');
}

static void policies_are_open_unless_said(void **state)
{
    static const char *const none[] = { "--link=qemu:unix:/x", NULL };
    static const char *const both[] = { "--link=qemu:unix:/x", "--deny-lan", "--dns-rebind=deny",
                                        NULL };
    static const char *const wrong[] = { "--link=qemu:unix:/x", "--dns-rebind=no", NULL };
    static struct switch_options o;
    static struct switch_config c;
    struct errmsg e = { "" };

    assert_int_equal(parse(&o, none, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_OK);
    assert_false(c.deny_lan);
    assert_int_equal(c.dns_rebind, SWITCH_DNS_REBIND_WARN);
    assert_int_equal(parse(&o, both, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_OK);
    assert_true(c.deny_lan);
    assert_int_equal(c.dns_rebind, SWITCH_DNS_REBIND_DENY);
    assert_int_equal(parse(&o, wrong, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "warn, off, deny"));
}

static void dhcp_and_the_hosts_ports_are_as_given(void **state)
{
    static const char *const words[] = { "--link=qemu:unix:/x",
                                         "--search-domain=corp.example, lab.example",
                                         "--static-lease=02:00:00:00:00:01=192.168.127.10",
                                         "--static-lease=02:00:00:00:00:02=192.168.127.11",
                                         "--host-loopback=8000-8010",
                                         "--host-deny=8005",
                                         "--page-port=8006",
                                         NULL };
    static struct switch_options o;
    static struct switch_config c;
    struct errmsg e = { "" };
    char text[IP_ADDR_TEXT_MAX];

    assert_int_equal(switch_options_parse_worker(&o, 7, words, &e), ST_OK);
    assert_int_equal(switch_options_config(&o, &c, &e), ST_OK);
    assert_string_equal(c.search_domains, "corp.example, lab.example");
    assert_int_equal(c.static_lease_count, 2);
    assert_string_equal(ip_addr_format(&c.static_leases[1].ip, text), "192.168.127.11");
    assert_int_equal(c.static_leases[1].mac.b[5], 2);
    assert_true(host_ports_allow(&c.host_ports, 8004));
    assert_false(host_ports_allow(&c.host_ports, 8005));
    assert_false(host_ports_allow(&c.host_ports, 8006));
    assert_false(host_ports_allow(&c.host_ports, 80));
}

static void only_a_worker_has_an_instance(void **state)
{
    static const char *const words[] = { "--link=v2:vsock:6658", "--instance=vm1", "--peer-cid=7",
                                         "--control=unix:/run/c.sock" };
    static struct switch_options o;
    struct errmsg e = { "" };

    assert_int_equal(switch_options_parse_worker(&o, 4, words, &e), ST_OK);
    assert_string_equal(o.instance, "vm1");
    assert_string_equal(o.control, "unix:/run/c.sock");
    assert_int_equal(o.peer_cid, 7);
    assert_int_equal(switch_options_parse(&o, 4, words, &e), ST_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(what_is_given_counts),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_token_is_one_line_of_a_file),
        cmocka_unit_test(network_without_room_is_refused),
        cmocka_unit_test(policies_are_open_unless_said),
        cmocka_unit_test(dhcp_and_the_hosts_ports_are_as_given),
        cmocka_unit_test(only_a_worker_has_an_instance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
