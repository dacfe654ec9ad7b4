/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_network.h"

#include "base/util.h"
#include "support/cmocka_all.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static char said[1024];

static void on_row(void *ctx, enum check_result result, const char *name, const char *message,
                   const char *next)
{
    size_t n = strlen(said);

    assert_int_equal(next == NULL, result == CHECK_PASS);
    snprintf(said + n, sizeof said - n, "%s %s: %s\n", result == CHECK_PASS ? "PASS" : "WARN", name,
             message);
}

static void expect(const char *counters, const char *want)
{
    char text[512];
    cJSON *json;

    snprintf(text, sizeof text, "{\"name\":\"switch-vm1-v2\",\"counters\":{%s}}", counters);
    json = cJSON_Parse(text);
    assert_non_null(json);
    said[0] = '\0';
    check_network(json, on_row, NULL);
    assert_string_equal(said, want);
    cJSON_Delete(json);
}

static void a_network_in_use_passes(void **state)
{
    expect("\"dhcp_acks\":1,\"dns_own\":3,\"dns_forwarded\":100,\"dns_failed\":10,"
           "\"tcp_opened\":7,\"tcp_refused\":2",
           "PASS DHCP of switch-vm1-v2: the guest was given its address 1 times\n"
           "PASS DNS of switch-vm1-v2: 3 names of its own, 100 asked of this computer, 10 failed\n"
           "PASS NAT of switch-vm1-v2: 7 connections made, 2 refused, 0 above a limit\n");
}

static void what_fails_too_often_is_a_warning(void **state)
{
    expect("\"dhcp_acks\":0,\"dns_forwarded\":100,\"dns_failed\":11,\"tcp_limit_hits\":1,"
           "\"other_limit_hits\":2",
           "WARN DHCP of switch-vm1-v2: the guest was given its address 0 times\n"
           "WARN DNS of switch-vm1-v2: 0 names of its own, 100 asked of this computer, 11 failed\n"
           "WARN NAT of switch-vm1-v2: 0 connections made, 0 refused, 3 above a limit\n");
}

static void few_questions_are_not_judged(void **state)
{
    expect("\"dhcp_acks\":1,\"dns_forwarded\":9,\"dns_failed\":9",
           "PASS DHCP of switch-vm1-v2: the guest was given its address 1 times\n"
           "PASS DNS of switch-vm1-v2: 0 names of its own, 9 asked of this computer, 9 failed\n"
           "PASS NAT of switch-vm1-v2: 0 connections made, 0 refused, 0 above a limit\n");
}

static void who_is_no_switch_has_no_rows(void **state)
{
    expect("\"connections\":4", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_in_use_passes),
        cmocka_unit_test(what_fails_too_often_is_a_warning),
        cmocka_unit_test(few_questions_are_not_judged),
        cmocka_unit_test(who_is_no_switch_has_no_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
