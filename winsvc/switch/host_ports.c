/* SPDX-License-Identifier: Apache-2.0
 * THEORY: the host alias reaches what listens on the host's loopback, which many services take for
 * "only this user". host.docker.internal needs it, so it is open unless somebody says otherwise,
 * but for ports whose service gives the machine away: the docker engine (2375, 2376), WinRM (5985,
 * 5986), RPC (135) and SMB (445).
 *
 * Who lists ports means exactly those: an administrator who wants 5985 in reach of containers has
 * said so by name. What is denied is denied in every case: it is how rdlinkd keeps its own status
 * page out of their reach.
 */
#include "switch/host_ports.h"

#include "base/util.h"

#include <string.h>

static const uint16_t dangerous[] = { 135, 445, 2375, 2376, 5985, 5986 };

static bool has(const struct host_ports_list *l, uint16_t port)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (port >= l->ranges[i].first && port <= l->ranges[i].last)
            return true;
    }
    return false;
}

static bool is_dangerous(uint16_t port)
{
    for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++) {
        if (dangerous[i] == port)
            return true;
    }
    return false;
}

void host_ports_deny(struct host_ports *p, uint16_t port)
{
    struct host_ports_list *l = &p->denied;

    ASSERT(l->count < ARRAY_SIZE(l->ranges));
    l->ranges[l->count].first = l->ranges[l->count].last = port;
    l->count++;
}

bool host_ports_allow(const struct host_ports *p, uint16_t port)
{
    if (has(&p->denied, port))
        return false;
    switch (p->policy) {
    case HOST_PORTS_ALLOW: return !is_dangerous(port);
    case HOST_PORTS_LIST: return has(&p->listed, port);
    case HOST_PORTS_DENY: break;
    }
    return false;
}

/* Digits of a port that is not 0; moves *text behind them. */
static bool take_port(const char **text, uint16_t *out)
{
    unsigned value = 0;
    const char *p = *text;

    for (; *p >= '0' && *p <= '9' && value <= UINT16_MAX; p++)
        value = value * 10 + (unsigned)(*p - '0');
    if (p == *text || value == 0 || value > UINT16_MAX)
        return false;
    *text = p;
    *out = (uint16_t)value;
    return true;
}

static bool take_range(const char **text, uint16_t *first, uint16_t *last)
{
    if (!take_port(text, first))
        return false;
    *last = *first;
    if (**text != '-')
        return true;
    ++*text;
    return take_port(text, last) && *last >= *first;
}

enum status host_ports_parse_list(struct host_ports_list *out, const char *text, struct errmsg *e)
{
    struct host_ports_list list = { .count = 0 };
    const char *p = text;

    for (bool more = *p != '\0'; more; p++) {
        if (list.count == HOST_PORTS_RANGES) {
            errmsg_set(e, "more than %d ports or ranges", HOST_PORTS_RANGES);
            return ST_INVAL;
        }
        if (!take_range(&p, &list.ranges[list.count].first, &list.ranges[list.count].last) ||
            (*p && *p != ',')) {
            errmsg_set(e, "'%.60s' is no list of ports such as 80,8000-8999", text);
            return ST_INVAL;
        }
        list.count++;
        more = *p == ',';
    }
    *out = list;
    return ST_OK;
}

enum status host_ports_parse(struct host_ports *out, const char *text, struct errmsg *e)
{
    struct host_ports_list listed = { .count = 0 };

    if (strcmp(text, "allow") == 0) {
        out->policy = HOST_PORTS_ALLOW;
    } else if (strcmp(text, "deny") == 0) {
        out->policy = HOST_PORTS_DENY;
    } else {
        if (!*text || host_ports_parse_list(&listed, text, e) != ST_OK) {
            errmsg_set(e, "'%.60s' is none of allow, deny and a list of ports such as 80,8000-8999",
                       text);
            return ST_INVAL;
        }
        out->policy = HOST_PORTS_LIST;
    }
    out->listed = listed;
    return ST_OK;
}
