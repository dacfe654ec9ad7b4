/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "platform.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static enum status load(struct config *c, const char *const *argv, struct errmsg *e)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return config_load(c, argc, argv, e);
}

static void nothing_configured_means_the_platform_s_names(void **state)
{
    static struct config c;
    static const char *const argv[] = { NULL };
    char text[ADDR_TEXT_MAX];

    assert_int_equal(load(&c, argv, NULL), ST_OK);
    assert_int_equal(c.endpoint_count, 1);
    assert_string_equal(c.endpoints[0].vm, "");
    assert_string_equal(addr_format(&c.endpoints[0].at, text, sizeof text),
                        platform_default_endpoint());
    assert_string_equal(addr_format(&c.endpoint_fallback, text, sizeof text),
                        platform_default_fallback());
    assert_string_equal(addr_format(&c.status, text, sizeof text), platform_default_status());
    assert_int_equal(c.dial_timeout_ms, 800);
    assert_int_equal(c.vm_via.kind, ADDR_NONE);
}

static void endpoints_and_machines_are_parsed(void **state)
{
    static struct config c;
    static const char *const argv[] = { "--endpoint", "vm1@unix:/a",         "--endpoint=unix:/b@c",
                                        "--vm",       "vm1=vsock-hybrid:/x", NULL };

    assert_int_equal(load(&c, argv, NULL), ST_OK);
    assert_int_equal(c.endpoint_count, 2);
    assert_string_equal(c.endpoints[0].vm, "vm1");
    assert_string_equal(c.endpoints[0].at.path, "/a");
    assert_string_equal(c.endpoints[1].vm, "");
    assert_string_equal(c.endpoints[1].at.path, "/b@c");   /* an @ in a path is no machine */
    assert_int_equal(c.endpoint_fallback.kind, ADDR_NONE); /* a chosen name has no default twin */
    assert_int_equal(c.vm_count, 1);
    assert_string_equal(c.vms[0].id, "vm1");
    assert_int_equal(c.vms[0].addr.kind, ADDR_VSOCK_HYBRID);
}

static void the_network_has_rancher_s_defaults_and_options(void **state)
{
    static struct config c;
    static const char *const none[] = { NULL };
    static const char *const argv[] = { "--subnet",
                                        "10.9.8.0/29",
                                        "--mtu=9000",
                                        "--no-ip6",
                                        "--no-network",
                                        "--forward",
                                        "udp:[::1]:53=10.9.8.2:53",
                                        "--switch-limit=udp_flows=10",
                                        "--deny-lan",
                                        "--dns-rebind=deny",
                                        "--switch-control",
                                        "unix:/run/x",
                                        NULL };

    assert_int_equal(load(&c, none, NULL), ST_OK);
    assert_string_equal(c.network.subnet, "192.168.127.0/24");
    assert_int_equal(c.network.mtu, 1500);
    assert_false(c.network.no_ip6 || c.no_network);
    assert_int_equal(c.network.forwards.count, 0);
    assert_string_equal(c.text.switch_control, "");
    assert_int_equal(load(&c, argv, NULL), ST_OK);
    assert_string_equal(c.network.subnet, "10.9.8.0/29");
    assert_int_equal(c.network.mtu, 9000);
    assert_true(c.network.no_ip6 && c.no_network && c.network.deny_lan);
    assert_string_equal(c.network.dns_rebind, "deny");
    assert_string_equal(c.network.forwards.items[0], "udp:[::1]:53=10.9.8.2:53");
    assert_string_equal(c.network.limits.items[0], "udp_flows=10");
    assert_string_equal(c.text.switch_control, "unix:/run/x");
}

static void wrong_options_are_explained(void **state)
{
    static const struct {
        const char *argv[5];
        const char *want;
    } rows[] = {
        { { "--vm", "novalue" }, "is not NAME=ADDR" },
        { { "--vm", "a=nowhere" }, "vm: " },
        { { "--vm", "a=unix:/x" }, "is no virtual machine" },
        { { "--vm", "a=vsock:3" }, "has a port" }, /* CID 3 is "vsock:3:" */
        { { "--vm", "a=vsock-hybrid:/x:6660" }, "has a port" },
        { { "--vm", "a=vsock-hybrid:/x", "--vm", "a=vsock-hybrid:/y" }, "two machines named 'a'" },
        { { "--endpoint", "@unix:/x" }, "the name before '@' is empty" },
        { { "--status", "tcp:10.0.0.1:80" }, "status: " },
        { { "--log-level", "loud" }, "none of error, warn, info" },
        { { "--subnet", "192.168.127.0/30" }, "prefix /30 is not between" },
        { { "--subnet", "fd00::/64" }, "is no IPv4 network" },
        { { "--mtu", "1000" }, "MTU: 1000" }, /* with IPv6 */
        { { "--forward", "8080" }, "not [udp:]HOST:PORT=GUEST:PORT" },
        { { "--forward", ":80=10.0.0.2:80" }, "is not in its network 192.168.127.0/24" },
        { { "--switch-limit", "none=1" }, "none" },
        { { "--dns-rebind", "maybe" }, "none of warn, off, deny" },
        { { "--switch-control", "nowhere" }, "switch-control: " },
        { { "extra" }, "unexpected argument 'extra'" },
        { { "--config", "no/such/file" }, "no/such/file: not found" },
        { { "--endpont", "unix:/x" }, "did you mean 'endpoint'?" },
    };
    static struct config c;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errmsg e = { "" };

        assert_int_not_equal(load(&c, rows[i].argv, &e), ST_OK);
        if (!strstr(e.text, rows[i].want))
            fail_msg("row %u: '%s' does not say '%s'", i, e.text, rows[i].want);
    }
}

static void the_command_line_overrides_the_file(void **state)
{
    static struct config c;
    char name[] = "rdlink-config-test.conf";
    const char *const argv[] = { "--config", name, "--max-connections", "7", NULL };
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    fputs("# test\nmax-connections = 5\ndial-timeout = 300ms\nendpoint = unix:/from-file\n", f);
    fclose(f);
    assert_int_equal(load(&c, argv, NULL), ST_OK);
    remove(name);
    assert_int_equal(c.max_connections, 7);
    assert_int_equal(c.dial_timeout_ms, 300);
    assert_string_equal(c.endpoints[0].at.path, "/from-file");
}

static void a_file_does_not_name_a_file(void **state)
{
    static struct config c;
    char name[] = "rdlink-config-nested.conf";
    const char *const argv[] = { "--config", name, NULL };
    struct errmsg e = { "" };
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    fputs("config = other.conf\n", f);
    fclose(f);
    assert_int_equal(load(&c, argv, &e), ST_INVAL);
    remove(name);
    assert_string_equal(e.text, "rdlink-config-nested.conf: 'config' belongs on the command line");
}

static void help_names_every_option(void **state)
{
    static char text[8192];

    assert_in_range(config_help(text, sizeof text), 100, sizeof text - 1);
    assert_non_null(strstr(text, "--endpoint [VM@]ADDR"));
    assert_non_null(strstr(text, "--vm-folder DIR"));
}

static void a_page_is_for_this_computer_and_has_a_token(void **state)
{
    static struct config c;
    static const struct {
        const char *argv[5];
        enum status want;
        const char *says; /* the token's file, or what the error must name */
    } rows[] = {
        { { "--page=tcp:127.0.0.1:8080", "--page-token-file=/x/t", NULL }, ST_OK, "/x/t" },
        { { "--page=tcp:[::1]:80", "--status-file=/v/s.json", NULL }, ST_OK, "/v/page-token" },
        { { "--page=tcp:[::1]:80", "--status-file=C:\\r\\s", NULL }, ST_OK, "C:\\r\\page-token" },
        { { "--page=tcp:[::1]:80", "--status-file=s.json", NULL }, ST_OK, "page-token" },
        { { "--page=tcp:127.0.0.1:8080", NULL }, ST_INVAL, "page-token-file" },
        { { "--page=tcp:0.0.0.0:8080", "--page-token-file=t", NULL }, ST_INVAL, "loopback" },
        { { "--page=tcp:10.0.0.1:8080", "--page-token-file=t", NULL }, ST_INVAL, "loopback" },
        { { "--page=tcp:127.0.0.2:80", "--page-token-file=t", NULL }, ST_INVAL, "127.0.0.1:PORT" },
        { { "--page=unix:/run/page", "--page-token-file=t", NULL }, ST_INVAL, "127.0.0.1:PORT" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errmsg e = { "" };

        print_message("row: %s\n", rows[i].argv[0]);
        assert_int_equal(load(&c, rows[i].argv, &e), rows[i].want);
        if (!strstr(rows[i].want == ST_OK ? c.text.page_token_file : e.text, rows[i].says))
            fail_msg("'%s' and '%s' have no '%s'", c.text.page_token_file, e.text, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_configured_means_the_platform_s_names),
        cmocka_unit_test(endpoints_and_machines_are_parsed),
        cmocka_unit_test(the_network_has_rancher_s_defaults_and_options),
        cmocka_unit_test(wrong_options_are_explained),
        cmocka_unit_test(the_command_line_overrides_the_file),
        cmocka_unit_test(a_file_does_not_name_a_file),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(a_page_is_for_this_computer_and_has_a_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
