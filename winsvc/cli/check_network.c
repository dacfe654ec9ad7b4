/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: counters since the switch's start cannot say how it is now, but they say what never
 * worked (no address was ever asked for) and what fails more often than it should (names, tables
 * that are full). So nothing here fails, it warns; what is broken now is told by conditions.
 *
 * A tenth of the names failing is much: a browser's background asks for many that do not exist, but
 * those are answers, not failures. Below FEW questions nothing is judged.
 */
#include "cli/check_network.h"

#include "cli/status_fields.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FEW = 10, NAME_MAX_BYTES = 96, TEXT_MAX_BYTES = 200 };

static double counter(const cJSON *component, const char *name)
{
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(component, "counters");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(counters, name);

    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void say(const cJSON *component, const char *what, bool is_well, const char *message,
                const char *next, check_row_fn *row, void *ctx)
{
    char name[NAME_MAX_BYTES];

    snprintf(name, sizeof name, "%s of %.60s", what, status_text_in(component, "name"));
    row(ctx, is_well ? CHECK_PASS : CHECK_WARN, name, message, is_well ? NULL : next);
}

static void check_dhcp(const cJSON *component, check_row_fn *row, void *ctx)
{
    double leases = counter(component, "dhcp_acks");
    char text[TEXT_MAX_BYTES];

    snprintf(text, sizeof text, "the guest was given its address %.0f times", leases);
    say(component, "DHCP", leases > 0, text,
        "a guest with a fixed address needs none; else look at its DHCP client's log", row, ctx);
}

static void check_dns(const cJSON *component, check_row_fn *row, void *ctx)
{
    double own = counter(component, "dns_own"), asked = counter(component, "dns_forwarded"),
           failed = counter(component, "dns_failed");
    char text[TEXT_MAX_BYTES];

    snprintf(text, sizeof text, "%.0f names of its own, %.0f asked of this computer, %.0f failed",
             own, asked, failed);
    say(component, "DNS", asked < FEW || failed * 10 <= asked, text,
        "look up the same names on this computer: its name servers are asked", row, ctx);
}

static void check_nat(const cJSON *component, check_row_fn *row, void *ctx)
{
    double opened = counter(component, "tcp_opened"), refused = counter(component, "tcp_refused"),
           limited = counter(component, "tcp_limit_hits") + counter(component, "other_limit_hits");
    char text[TEXT_MAX_BYTES];

    snprintf(text, sizeof text, "%.0f connections made, %.0f refused, %.0f above a limit", opened,
             refused, limited);
    say(component, "NAT", limited == 0, text,
        "find what in the guest opens so many, or raise the limit: switch-limit", row, ctx);
}

void check_network(const struct cJSON *component, check_row_fn *row, void *ctx)
{
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(component, "counters");

    if (!cJSON_HasObjectItem(counters, "dhcp_acks"))
        return;
    check_dhcp(component, row, ctx);
    check_dns(component, row, ctx);
    check_nat(component, row, ctx);
}
