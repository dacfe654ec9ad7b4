/* SPDX-License-Identifier: Apache-2.0
 * The rows of `rdlink check` that come from this computer: each finding, and what a system that
 * cannot say makes of it.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "cli/check_host.h"
#include "port/addr.h"
#include "port/host_look.h"
#include "port/port_ranges.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <string.h>

#define STATUS(agent, message)                                                              \
    "{\"program\":{\"version\":\"1.2.0\"},\"control\":\"unix:/run/c.sock\",\"endpoints\":[" \
    "{\"name\":\"docker\",\"address\":\"unix:/run/d.sock\"}],\"instances\":[{\"vm\":"       \
    "\"vm1\",\"agent\":{\"version\":\"" agent                                               \
    "\",\"clockAhead\":1},\"netAgent\":null}],\"components\":["                             \
    "{\"name\":\"switch-vm1-v2\",\"conditions\":[{\"type\":\"ForwardsBound\",\"status\":"   \
    "\"False\",\"reason\":\"PortTaken\",\"message\":\"" message "\"}]}]}"

static struct host_owner answer;
static enum status owner_st, ports_st, list_st;
static char said[4096];

static enum status owner(const struct addr *at, struct host_owner *out)
{
    if (!owner_st)
        *out = answer;
    return owner_st;
}

static enum status reserved_ports(struct port_ranges *out)
{
    out->count = 0;
    port_ranges_add_list(out, "8080-8090,9000");
    return ports_st;
}

static enum status machine_list(void)
{
    return list_st;
}

static const struct host_look look = { owner, reserved_ports, machine_list };

static void on_row(void *ctx, enum check_result result, const char *name, const char *message,
                   const char *next)
{
    static const char *const names[] = { "PASS", "WARN", "FAIL" };
    size_t n = strlen(said);

    assert_int_equal(next == NULL, result == CHECK_PASS);
    assert_true(n + 512 < sizeof said);
    snprintf(said + n, sizeof said - n, "%s %s: %s\n", names[result], name, message);
}

static int setup(void **state)
{
    answer = (struct host_owner){ .account = "root", .is_trusted = true, .may_open = true };
    owner_st = ports_st = ST_OK;
    list_st = ST_UNSUPPORTED;
    return 0;
}

static const char *rows_of(const char *text)
{
    cJSON *status = cJSON_Parse(text);
    struct addr at;

    assert_non_null(status);
    assert_int_equal(addr_parse(&at, "unix:/run/s.sock", NULL), ST_OK);
    said[0] = '\0';
    check_host(&look, status, &at, on_row, NULL);
    cJSON_Delete(status);
    return said;
}

static void all_is_well(void **state)
{
    list_st = ST_OK;
    assert_string_equal(rows_of(STATUS("1.2.0", "")),
                        "PASS owner of the status: root, at unix:/run/s.sock\n"
                        "PASS owner of docker: root, at unix:/run/d.sock\n"
                        "PASS orders: you may give the service orders\n"
                        "PASS version of vm1/agent: 1.2.0, the service is 1.2.0\n"
                        "PASS clock of vm1: the guest's agrees with this computer's\n"
                        "PASS reserved ports: the system keeps 2 ranges of ports for itself\n"
                        "PASS registry: the list of virtual machines can be read\n");
}

static void a_socket_of_somebody_else_fails(void **state)
{
    answer = (struct host_owner){ .account = "uid 1001", .may_open = true };
    assert_non_null(
        strstr(rows_of(STATUS("", "")), "FAIL owner of docker: uid 1001, at unix:/run/d.sock\n"));
}

static void who_may_give_no_orders_is_told(void **state)
{
    answer.may_open = false;
    assert_non_null(strstr(rows_of(STATUS("", "")), "WARN orders: only the service's owner"));
    owner_st = ST_DENIED;
    assert_non_null(strstr(rows_of(STATUS("", "")), "WARN orders: only the service's owner"));
    owner_st = ST_NOTFOUND;
    assert_null(strstr(rows_of(STATUS("", "")), "orders"));
}

static void an_agent_of_another_version_is_a_warning(void **state)
{
    assert_non_null(strstr(rows_of(STATUS("1.1.9", "")),
                           "WARN version of vm1/agent: 1.1.9, the service is 1.2.0\n"));
    assert_null(strstr(rows_of(STATUS("", "")), "version"));
}

static void a_clock_that_is_off_is_a_warning(void **state)
{
    static const struct {
        const char *ahead, *want;
    } rows[] = {
        { "-3600", "WARN clock of vm1: the guest's is 3600 s behind\n" },
        { "3", "WARN clock of vm1: the guest's is 3 s ahead\n" },
        { "-2", "PASS clock of vm1: the guest's agrees with this computer's\n" },
        { "null", "" },
    };
    char status[128];

    owner_st = ports_st = ST_UNSUPPORTED;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        snprintf(status, sizeof status,
                 "{\"instances\":[{\"vm\":\"vm1\",\"agent\":{\"clockAhead\":%s}}]}", rows[i].ahead);
        assert_string_equal(rows_of(status), rows[i].want);
    }
}

static void a_forward_that_waits_for_a_reserved_port_fails(void **state)
{
    static const struct {
        const char *message;
        unsigned port; /* 0: no row */
    } rows[] = {
        { STATUS("", "1 of 2 forwards wait for their port; tcp/127.0.0.1:8085: access denied"),
          8085 },
        { STATUS("", "1 of 1 forwards wait for their port; tcp/:9000: access denied"), 9000 },
        { STATUS("", "1 of 1 forwards wait for their port; tcp/[::1]:8080: taken"), 8080 },
        { STATUS("", "1 of 1 forwards wait for their port; tcp/127.0.0.1:8091: taken"), 0 },
        { STATUS("", "1 of 1 forwards wait for their port; udp/127.0.0.1:8085: taken"), 0 },
        { STATUS("", "tcp/: "), 0 },
        { STATUS("", "tcp/x"), 0 },
        { STATUS("", "tcp/:99999999999999999999: "), 0 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = strstr(rows_of(rows[i].message), "FAIL reserved ports: ");
        char want[64];

        print_message("row: %u\n", i);
        snprintf(want, sizeof want, "FAIL reserved ports: port %u cannot be opened", rows[i].port);
        if (rows[i].port)
            assert_true(got && !strncmp(got, want, strlen(want)));
        else
            assert_null(got);
    }
}

static void the_registry_is_there_not_yet_or_closed(void **state)
{
    list_st = ST_NOTFOUND;
    assert_non_null(strstr(rows_of(STATUS("", "")), "WARN registry: "));
    list_st = ST_DENIED;
    assert_non_null(strstr(rows_of(STATUS("", "")), "FAIL registry: access denied\n"));
}

static void what_a_system_cannot_say_is_no_row(void **state)
{
    owner_st = ports_st = ST_UNSUPPORTED;
    assert_string_equal(rows_of("{}"), "");
    assert_string_equal(rows_of("[1]"), "");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_well),
        TEST(a_socket_of_somebody_else_fails),
        TEST(who_may_give_no_orders_is_told),
        TEST(an_agent_of_another_version_is_a_warning),
        TEST(a_clock_that_is_off_is_a_warning),
        TEST(a_forward_that_waits_for_a_reserved_port_fails),
        TEST(the_registry_is_there_not_yet_or_closed),
        TEST(what_a_system_cannot_say_is_no_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
