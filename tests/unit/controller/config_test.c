/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "config/config_names.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A folder that nobody makes: what this computer is configured to is not to be seen. */
#define NO_ROOT "--config-root=no-such-folder"

static enum status load_from(struct config *c, const char *const *argv,
                             const struct config_store *store, struct errmsg *e)
{
    const char *words[24] = { NO_ROOT };
    struct config_input in = { .argc = 1, .argv = words, .store = store };

    for (; argv[in.argc - 1]; in.argc++)
        words[in.argc] = argv[in.argc - 1];
    return config_load(c, &in, e);
}

static enum status load(struct config *c, const char *const *argv, struct errmsg *e)
{
    return load_from(c, argv, NULL, e);
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
                        config_default_endpoint());
    assert_string_equal(addr_format(&c.endpoint_fallback, text, sizeof text),
                        config_default_fallback());
    assert_string_equal(addr_format(&c.status, text, sizeof text), config_default_status());
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
                                        "--search-domain=a.example,b.example",
                                        "--static-lease=02-00-00-00-00-01=10.9.8.3",
                                        "--host-loopback=80,8000-8999",
                                        "--host-deny=8080",
                                        "--switch-control",
                                        "unix:/run/x",
                                        NULL };

    assert_int_equal(load(&c, none, NULL), ST_OK);
    assert_string_equal(c.network.subnet, "192.168.127.0/24");
    assert_int_equal(c.network.mtu, 1500);
    assert_false(c.network.no_ip6 || c.no_network);
    assert_int_equal(c.network.forwards.count, 0);
    assert_string_equal(c.text.switch_control, config_default_switch_control());
    assert_string_equal(c.text.status_file, config_default_status_file());
    assert_int_equal(load(&c, argv, NULL), ST_OK);
    assert_string_equal(c.network.subnet, "10.9.8.0/29");
    assert_int_equal(c.network.mtu, 9000);
    assert_true(c.network.no_ip6 && c.no_network && c.network.deny_lan);
    assert_string_equal(c.network.dns_rebind, "deny");
    assert_string_equal(c.network.forwards.items[0], "udp:[::1]:53=10.9.8.2:53");
    assert_string_equal(c.network.limits.items[0], "udp_flows=10");
    assert_string_equal(c.network.search_domains, "a.example,b.example");
    assert_int_equal(c.network.static_leases.count, 1);
    assert_string_equal(c.network.host_loopback, "80,8000-8999");
    assert_string_equal(c.network.host_deny, "8080");
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
        { { "--search-domain", "a..b" }, "'a..b' is no domain" },
        { { "--static-lease", "02:00=1" }, "is not MAC=ADDRESS" },
        { { "--static-lease", "02:00:00:00:00:01=10.0.0.1" }, "10.0.0.1 is outside the network" },
        { { "--host-loopback", "some" }, "none of allow, deny" },
        { { "--host-deny", "0" }, "is no list of ports" },
        { { "--dns-rebind", "maybe" }, "none of warn, off, deny" },
        { { "--switch-control", "nowhere" }, "switch-control: " },
        { { "--switch-control", "tcp:127.0.0.1:80" }, "unix:PATH or npipe:NAME only" },
        { { "--status", "tcp:127.0.0.1:80" }, "unix:PATH or npipe:NAME only" },
        { { "--control", "tcp:127.0.0.1:80" }, "unix:PATH or npipe:NAME only" },
        { { "--control", "fd:3" }, "unix:PATH or npipe:NAME only" },
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
    assert_string_equal(e.text,
                        "rdlink-config-nested.conf:1: 'config' belongs on the command line");
}

/* ---- registry and policy ------------------------------------------------------------------- */

struct script {
    const char *place;
    struct config_value value;
};

static enum status script_read(const struct config_store *s, const char *place, config_value_fn *fn,
                               void *ctx, struct errmsg *e)
{
    for (const struct script *line = s->ctx; line->place; line++)
        if (!strcmp(line->place, place))
            fn(ctx, &line->value);
    return ST_OK;
}

static struct config_store store_of(struct script *script)
{
    return (struct config_store){
        .read = script_read, .settings = "settings", .policy = "policy", .ctx = script
    };
}

static const struct option *option_of(const char *key)
{
    struct option_source s = { .table = config_options(&s.count) };

    return option_source_find(&s, key, NULL);
}

static void the_registry_is_above_the_file_and_the_policy_above_all(void **state)
{
    static struct config c;
    static const char *const argv[] = { "--max-connections=7", "--mtu=2000", "--no-ip6", NULL };
    struct script script[] = {
        { "settings", { "max-connections", CONFIG_NUMBER, { "5" }, 1 } },
        { "settings", { "deny-lan", CONFIG_NUMBER, { "1" }, 1 } },
        { "settings",
          { "forward", CONFIG_LIST, { ":1=192.168.127.2:1", ":2=192.168.127.2:2" }, 2 } },
        { "settings", { "dial-timeout", CONFIG_NUMBER, { "2" }, 1 } },
        { "policy", { "mtu", CONFIG_NUMBER, { "3000" }, 1 } },
        { "policy", { "no-ip6", CONFIG_NUMBER, { "0" }, 1 } },
        { NULL, { NULL, CONFIG_TEXT, { NULL }, 0 } },
    };
    const struct config_store store = store_of(script);
    char text[300];

    assert_int_equal(load_from(&c, argv, &store, NULL), ST_OK);
    assert_int_equal(c.max_connections, 7);
    assert_true(c.network.deny_lan);
    assert_int_equal(c.network.forwards.count, 2);
    assert_int_equal(c.dial_timeout_ms, 2000); /* a plain number is seconds */
    assert_int_equal(c.network.mtu, 3000);
    assert_false(c.network.no_ip6);
    assert_true(config_is_locked(&c, option_of("mtu")));
    assert_false(config_is_locked(&c, option_of("max-connections")));
    assert_string_equal(config_origin_text(&c, option_of("mtu"), text, sizeof text),
                        "HKLM\\policy");
    assert_string_equal(config_origin_text(&c, option_of("deny-lan"), text, sizeof text),
                        "HKLM\\settings");
    assert_string_equal(config_origin_text(&c, option_of("max-connections"), text, sizeof text),
                        "command line");
    assert_string_equal(config_origin_text(&c, option_of("subnet"), text, sizeof text), "default");
}

static void an_empty_list_of_a_policy_takes_all_values_away(void **state)
{
    static struct config c;
    static const char *const argv[] = { "--forward", ":1=192.168.127.2:1", NULL };
    struct script script[] = {
        { "policy", { "forward", CONFIG_LIST, { NULL }, 0 } },
        { NULL, { NULL, CONFIG_TEXT, { NULL }, 0 } },
    };
    const struct config_store store = store_of(script);

    assert_int_equal(load_from(&c, argv, &store, NULL), ST_OK);
    assert_int_equal(c.network.forwards.count, 0);
}

static void a_registry_s_mistakes_say_where(void **state)
{
    static const struct {
        struct config_value value;
        const char *want;
    } rows[] = {
        { { "max-conections", CONFIG_NUMBER, { "1" }, 1 },
          "HKLM\\settings: unknown option 'max-conections': did you mean 'max-connections'?" },
        { { "mtu", CONFIG_NUMBER, { "5" }, 1 }, "HKLM\\settings: mtu: 5 is outside 576 to 65520" },
        { { "mtu", CONFIG_LIST, { "1500" }, 1 },
          "HKLM\\settings: mtu takes one value, not a list (REG_SZ or REG_DWORD)" },
        { { "deny-lan", CONFIG_NUMBER, { "2" }, 1 },
          "HKLM\\settings: deny-lan: '2' is neither true nor false" },
        { { "config", CONFIG_TEXT, { "x" }, 1 },
          "HKLM\\settings: 'config' belongs on the command line" },
    };
    static const char *const none[] = { NULL };
    static struct config c;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct script script[] = { { "settings", rows[i].value },
                                   { NULL, { NULL, CONFIG_TEXT, { NULL }, 0 } } };
        const struct config_store store = store_of(script);
        struct errmsg e = { "" };

        assert_int_equal(load_from(&c, none, &store, &e), ST_INVAL);
        assert_string_equal(e.text, rows[i].want);
    }
}

static void another_value_is_another_fingerprint(void **state)
{
    static struct config c;
    static const char *const none[] = { NULL };
    struct script script[] = {
        { "settings", { "mtu", CONFIG_NUMBER, { "1500" }, 1 } },
        { NULL, { NULL, CONFIG_TEXT, { NULL }, 0 } },
    };
    const struct config_store store = store_of(script);
    uint64_t before, moved, other;

    assert_int_equal(load_from(&c, none, &store, NULL), ST_OK);
    before = config_fingerprint(&c);
    assert_true(config_fingerprint(&c) == before);
    script[0].place = "policy";
    moved = config_fingerprint(&c);
    assert_true(moved != before);
    script[0].value.items[0] = "1501";
    other = config_fingerprint(&c);
    assert_true(other != before && other != moved);
}

static void every_option_has_the_effect_that_its_part_can_have(void **state)
{
    static const char *const at_start[] = {
        "config", "config-root", "endpoint",   "endpoint-fallback",
        "status", "status-file", "no-network",
    };
    size_t count;
    const struct option *table = config_options(&count);

    assert_true(count <= OPTIONS_MAX);
    for (unsigned i = 0; i < ARRAY_SIZE(at_start); i++)
        assert_int_equal(config_effect(option_of(at_start[i])), CONFIG_NEXT_START);
    assert_int_equal(config_effect(option_of("endpoint-grant")), CONFIG_CONTROLLER);
    assert_int_equal(config_effect(option_of("max-connections")), CONFIG_DOCKER);
    assert_int_equal(config_effect(option_of("forward")), CONFIG_FORWARDS);
    for (size_t i = 0; i < count; i++)
        assert_in_range(config_effect(&table[i]), 0, CONFIG_EFFECT_COUNT - 1);
}

/* ---- the page ------------------------------------------------------------------------------ */

static char *read_page(void)
{
    FILE *f = fopen(CONFIG_PAGE, "rb");
    char *text = calloc(1, OPTION_FILE_MAX);

    assert_non_null(text);
    assert_non_null(f);
    assert_in_range(fread(text, 1, OPTION_FILE_MAX - 1, f), 1, OPTION_FILE_MAX - 2);
    fclose(f);
    return text;
}

static void make_row(const struct option *o, char *buf, size_t cap)
{
    static const char *const kinds[] = {
        [OPTION_FLAG] = "flag",   [OPTION_UINT] = "number", [OPTION_DURATION] = "time",
        [OPTION_STRING] = "text", [OPTION_LIST] = "list",
    };
    static const char *const effects[] = {
        [CONFIG_NEXT_START] = "next start", [CONFIG_CONTROLLER] = "at once",
        [CONFIG_LOG] = "at once",           [CONFIG_DOCKER] = "at once",
        [CONFIG_FORWARDS] = "at once",      [CONFIG_NETWORK] = "switches",
        [CONFIG_MACHINES] = "machines",
    };
    const char *fallback = o->fallback ? o->fallback : "", *tick = fallback[0] ? "`" : "";

    snprintf(buf, cap, "\n| `%s` | %s | %s%s%s | %s | %s |\n", o->key, kinds[o->kind], tick,
             fallback, tick, effects[config_effect(o)], o->help);
}

static void the_page_has_a_row_for_every_option(void **state)
{
    size_t count, rows = 0, missing = 0;
    const struct option *table = config_options(&count);
    char *page = read_page(), *keys = strstr(page, "\n## Keys\n");

    assert_non_null(keys);
    for (size_t i = 0; i < count; i++) {
        char row[1024];

        make_row(&table[i], row, sizeof row);
        if (!strstr(keys, row)) {
            print_error("docs/configuration.md lacks:%s", row);
            missing++;
        }
    }
    for (const char *at = keys; (at = strstr(at, "\n| `")); at++)
        rows++;
    assert_int_equal(missing, 0);
    assert_int_equal(rows, count);
    free(page);
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
        { { "--page=tcp:127.0.0.1:8080", NULL }, ST_OK, "page-token" },
        { { "--page=tcp:127.0.0.1:8080", "--status=unix:/s" }, ST_INVAL, "page-token-file" },
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
        cmocka_unit_test(the_registry_is_above_the_file_and_the_policy_above_all),
        cmocka_unit_test(an_empty_list_of_a_policy_takes_all_values_away),
        cmocka_unit_test(a_registry_s_mistakes_say_where),
        cmocka_unit_test(another_value_is_another_fingerprint),
        cmocka_unit_test(every_option_has_the_effect_that_its_part_can_have),
        cmocka_unit_test(the_page_has_a_row_for_every_option),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(a_page_is_for_this_computer_and_has_a_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
