/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "network/worker_command.h"
#include "switch/switch_options.h"

#include <stdio.h>
#include <string.h>

static struct switch_options options;
static struct worker_command command;

/* What follows the link, for a machine of which only the host's end knows. */
static const char *built(uint16_t page_port)
{
    static char text[2048], program[] = "rdlinkd", level[] = "info";
    const struct worker_command_input in = { .program = program,
                                             .log_level = level,
                                             .control = "",
                                             .page_port = page_port,
                                             .options = &options };
    const struct addr vm = { .kind = ADDR_VSOCK_HYBRID };
    size_t len = 0;

    worker_command_name(&command, "one", GUEST_V2, 1);
    snprintf(command.link, sizeof command.link, "v2:vsock:6658");
    worker_command_build(&command, &in, &vm);
    for (unsigned i = 7; command.argv[i]; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i > 7 ? " " : "",
                                command.argv[i]);
    return text;
}

static void what_is_not_set_is_not_said(void **state)
{
    options = (struct switch_options){ .subnet = "10.1.2.0/24", .dns_rebind = "off", .mtu = 1400 };
    assert_string_equal(built(0),
                        "--subnet 10.1.2.0/24 --mtu 1400 --dns-rebind off --log-level info");
    assert_string_equal(command.argv[4], "switch-one-v2");
}

static void all_that_can_be_set_is_said_and_understood(void **state)
{
    static struct switch_options got;
    struct errmsg e = { "" };
    int argc = 0;

    options = (struct switch_options){
        .subnet = "10.1.2.0/24",
        .dns_rebind = "deny",
        .mtu = 1400,
        .no_ip6 = true,
        .deny_lan = true,
        .api_token_file = "/etc/token",
        .search_domains = "a.example,b.example",
        .host_loopback = "80,8000-8999",
        .host_deny = "8080",
        .static_leases = { .items = { "02:00:00:00:00:01=10.1.2.9" }, .count = 1 },
        .forwards = { .items = { ":80=10.1.2.2:80", ":81=10.1.2.2:81" }, .count = 2 },
        .limits = { .items = { "udp_flows=9" }, .count = 1 },
    };
    assert_string_equal(built(4000),
                        "--subnet 10.1.2.0/24 --mtu 1400 --no-ip6 --deny-lan --dns-rebind deny "
                        "--api-token-file /etc/token --search-domain a.example,b.example "
                        "--host-loopback 80,8000-8999 --host-deny 8080 --page-port 4000 "
                        "--log-level info --forward :80=10.1.2.2:80 --forward :81=10.1.2.2:81 "
                        "--static-lease 02:00:00:00:00:01=10.1.2.9 --limit udp_flows=9");
    while (command.argv[argc])
        argc++;
    assert_int_equal(switch_options_parse_worker(&got, argc - 3,
                                                 (const char *const *)command.argv + 3, &e),
                     ST_OK);
    assert_string_equal(got.instance, "switch-one-v2");
    assert_int_equal(got.page_port, 4000);
    assert_string_equal(got.host_deny, "8080");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_set_is_not_said),
        cmocka_unit_test(all_that_can_be_set_is_said_and_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
