/* SPDX-License-Identifier: Apache-2.0
 * A question that this system cannot answer makes no row: what is not known is no finding.
 */
#include "cli/check_host.h"

#include "cli/status_fields.h"
#include "port/addr.h"
#include "port/host_look.h"
#include "port/port_ranges.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 400, NAME_MAX_BYTES = 96, CLOCK_GOOD_S = 2 };

struct host_check {
    const struct host_look *look;
    const cJSON *status;
    check_row_fn *row;
    void *ctx;
};

static void say(const struct host_check *h, enum check_result result, const char *name,
                const char *message, const char *next)
{
    h->row(h->ctx, result, name, message, next);
}

/* ---- whose the names are --------------------------------------------------------------------- */

static void check_owner(const struct host_check *h, const char *of, const struct addr *at)
{
    char name[NAME_MAX_BYTES], text[TEXT_MAX_BYTES], where[ADDR_TEXT_MAX];
    struct host_owner owner = { .account = "" };

    if (h->look->owner(at, &owner) != ST_OK)
        return;
    snprintf(name, sizeof name, "owner of %.60s", of);
    snprintf(text, sizeof text, "%.100s, at %.150s", owner.account[0] ? owner.account : "unknown",
             addr_format(at, where, sizeof where));
    if (owner.is_trusted)
        say(h, CHECK_PASS, name, text, NULL);
    else
        say(h, CHECK_FAIL, name, text,
            "it is neither the system's nor yours: end the program that holds the name");
}

static void check_owners(const struct host_check *h, const struct addr *status_at)
{
    const cJSON *endpoint;
    struct addr at;

    check_owner(h, "the status", status_at);
    cJSON_ArrayForEach(endpoint, cJSON_GetObjectItemCaseSensitive(h->status, "endpoints"))
    {
        if (addr_parse(&at, status_text_in(endpoint, "address"), NULL) == ST_OK)
            check_owner(h, status_text_in(endpoint, "name"), &at);
    }
}

/* Whether the caller may give orders; that it may use docker is asked by a request. */
static void check_orders(const struct host_check *h)
{
    const char *control = status_text_in(h->status, "control");
    struct host_owner owner = { .account = "" };
    enum status st;
    struct addr at;

    if (!control[0] || addr_parse(&at, control, NULL) != ST_OK)
        return;
    st = h->look->owner(&at, &owner);
    if (st == ST_OK && owner.may_open)
        say(h, CHECK_PASS, "orders", "you may give the service orders", NULL);
    else if (st == ST_OK || st == ST_DENIED)
        say(h, CHECK_WARN, "orders", "only the service's owner and administrators may give orders",
            "use sudo or an elevated command prompt for rdlink restart and its like");
}

/* ---- versions -------------------------------------------------------------------------------- */

static void check_agent(const struct host_check *h, const char *vm, const cJSON *instance,
                        const char *unit)
{
    const char *ours =
        status_text_in(cJSON_GetObjectItemCaseSensitive(h->status, "program"), "version");
    const char *its = status_text_in(cJSON_GetObjectItemCaseSensitive(instance, unit), "version");
    char name[NAME_MAX_BYTES], text[TEXT_MAX_BYTES];

    if (!its[0])
        return; /* a guest of Rancher Desktop's own, or one that has not reported */
    snprintf(name, sizeof name, "version of %.40s/%.20s", vm, unit);
    snprintf(text, sizeof text, "%.40s, the service is %.40s", its, ours);
    if (!strcmp(its, ours))
        say(h, CHECK_PASS, name, text, NULL);
    else
        say(h, CHECK_WARN, name, text, "install the same version in the guest, restart its units");
}

static void check_versions(const struct host_check *h)
{
    const cJSON *instance;

    cJSON_ArrayForEach(instance, cJSON_GetObjectItemCaseSensitive(h->status, "instances"))
    {
        const char *vm = status_text_in(instance, "vm");

        check_agent(h, vm, instance, "agent");
        check_agent(h, vm, instance, "netAgent");
    }
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void check_clock(const struct host_check *h, const char *vm, const cJSON *instance)
{
    const cJSON *agent = cJSON_GetObjectItemCaseSensitive(instance, "agent");
    const cJSON *ahead = cJSON_GetObjectItemCaseSensitive(agent, "clockAhead");
    char name[NAME_MAX_BYTES], text[TEXT_MAX_BYTES];
    double seconds;

    if (!cJSON_IsNumber(ahead))
        return;
    seconds = ahead->valuedouble;
    snprintf(name, sizeof name, "clock of %.60s", vm);
    if (seconds >= -CLOCK_GOOD_S && seconds <= CLOCK_GOOD_S) {
        say(h, CHECK_PASS, name, "the guest's agrees with this computer's", NULL);
        return;
    }
    snprintf(text, sizeof text, "the guest's is %.0f s %s", seconds < 0 ? -seconds : seconds,
             seconds < 0 ? "behind" : "ahead");
    say(h, CHECK_WARN, name, text, "in the guest: hwclock --hctosys; or wsl --shutdown");
}

static void check_clocks(const struct host_check *h)
{
    const cJSON *instance;

    cJSON_ArrayForEach(instance, cJSON_GetObjectItemCaseSensitive(h->status, "instances"))
    {
        check_clock(h, status_text_in(instance, "vm"), instance);
    }
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* The port of "tcp/127.0.0.1:8080: access denied" in a condition's message, which tells of the
 * first forward that waits; 0: there is none. */
static uint16_t waiting_port(const char *message)
{
    const char *at = strstr(message, "tcp/");
    const char *end = at ? strstr(at, ": ") : NULL;
    unsigned long port;

    if (!end)
        return 0;
    while (end > at && end[-1] >= '0' && end[-1] <= '9')
        end--;
    port = end[-1] == ':' ? strtoul(end, NULL, 10) : 0;
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void check_waiting(const struct host_check *h, const struct port_ranges *reserved,
                          uint16_t port)
{
    const struct port_range *range = port_ranges_find(reserved, port);
    char text[TEXT_MAX_BYTES];

    if (!range)
        return;
    snprintf(text, sizeof text, "port %u cannot be opened: the system keeps %u to %u for itself",
             (unsigned)port, (unsigned)range->first, (unsigned)range->last);
    say(h, CHECK_FAIL, "reserved ports", text,
        "publish another port; on Windows `net stop winnat` and `net start winnat` draw new ones");
}

static void check_ports(const struct host_check *h)
{
    static struct port_ranges reserved; /* some kilobytes, and Windows' stacks are small */
    const cJSON *component;
    char text[TEXT_MAX_BYTES];

    if (h->look->reserved_ports(&reserved) != ST_OK)
        return;
    snprintf(text, sizeof text, "the system keeps %u %s of ports for itself", reserved.count,
             reserved.count == 1 ? "range" : "ranges");
    say(h, CHECK_PASS, "reserved ports", text, NULL);
    cJSON_ArrayForEach(component, cJSON_GetObjectItemCaseSensitive(h->status, "components"))
    {
        const cJSON *bound = status_find(component, "conditions", "type", "ForwardsBound");

        if (!strcmp(status_text_in(bound, "status"), "False"))
            check_waiting(h, &reserved, waiting_port(status_text_in(bound, "message")));
    }
}

/* ---- the list of virtual machines ------------------------------------------------------------ */

static void check_list(const struct host_check *h)
{
    enum status st = h->look->machine_list();

    if (st == ST_OK)
        say(h, CHECK_PASS, "registry", "the list of virtual machines can be read", NULL);
    else if (st == ST_NOTFOUND)
        say(h, CHECK_WARN, "registry", "Windows has no list of virtual machines: WSL has not run",
            "start Rancher Desktop or its WSL distribution");
    else if (st != ST_UNSUPPORTED)
        say(h, CHECK_FAIL, "registry", status_text(st),
            "ask an administrator why HostComputeService's key cannot be read");
}

void check_host(const struct host_look *look, const struct cJSON *status,
                const struct addr *status_at, check_row_fn *row, void *ctx)
{
    const struct host_check h = { look, status, row, ctx };

    check_owners(&h, status_at);
    check_orders(&h);
    check_versions(&h);
    check_clocks(&h);
    check_ports(&h);
    check_list(&h);
}
