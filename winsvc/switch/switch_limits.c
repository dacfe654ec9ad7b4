/* SPDX-License-Identifier: Apache-2.0
 * switch_limits.c - the bound of every table by its name. What happens when one is full is beside
 * its member in switch.h.
 */
#include "switch/switch.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(struct switch_limits, field)
/* The largest values keep every table within what a small machine can give, and a search of those
 * that are searched from end to end short. */
static const struct limit {
    const char *name;
    size_t at; /* an unsigned */
    unsigned preset, max;
} limits[] = {
    { "tcp_flows", AT(tcp_flows), 8192, 12000 },
    { "tcp_half_open", AT(tcp_half_open), 2048, 12000 },
    { "tcp_half_open_dest", AT(tcp_half_open_dest), 1024, 12000 },
    { "udp_flows", AT(udp_flows), 2048, 16000 },
    { "pings", AT(pings), 64, 1024 },
    { "fragments", AT(fragments), 64, 1024 },
    { "fragment_bytes", AT(fragment_bytes), 1 << 20, 64 << 20 },
    { "fragment_ms", AT(fragment_ms), 30000, 120000 },
    { "neighbours", AT(neighbours), 16, 1024 },
    { "neighbour_addresses", AT(neighbour_addresses), 64, 1024 },
    { "neighbour_ms", AT(neighbour_ms), 300000, 86400000 },
    { "dhcp_leases", AT(dhcp_leases), 256, 1024 },
    { "forwards", AT(forwards), 1024, 16000 },
    { "forward_udp_clients", AT(forward_udp_clients), 1024, 16000 },
    { "dns_queries", AT(dns_queries), 64, 1024 },
    { "dns_clients", AT(dns_clients), 32, 1024 },
    { "dns_rate", AT(dns_rate), 200, 1000000 },
    { "dns_connections", AT(dns_connections), 32, 1024 },
    { "dns_cache_entries", AT(dns_cache_entries), 1024, 65536 },
    { "dns_cache_bytes", AT(dns_cache_bytes), 1 << 20, 64 << 20 },
    { "dns_zones", AT(dns_zones), 32, 1024 },
    { "api_connections", AT(api_connections), 32, 1024 },
    { "api_head_ms", AT(api_head_ms), 5000, 60000 },
    { "api_body_bytes", AT(api_body_bytes), 64 << 10, 1 << 20 },
    { "tunnels", AT(tunnels), 64, 1024 },
    { "captures", AT(captures), 4, 16 },
    { "opens_beside_bulk", AT(opens_beside_bulk), 1000, 1000000 },
    { "tcp_dial_ms", AT(tcp_dial_ms), 10000, 600000 },
    { "udp_idle_ms", AT(udp_idle_ms), 60000, 86400000 },
    { "flow_buffer_bytes", AT(flow_buffer_bytes), 524288, 16777216 },
};
static const char total_name[] = "total_buffer_bytes"; /* the one with 64 bits */

static unsigned *limit_of(struct switch_limits *l, const struct limit *row)
{
    return (unsigned *)((char *)l + row->at);
}

static enum status check_limit(const struct limit *row, uint64_t value, struct errmsg *e)
{
    if (value <= row->max)
        return ST_OK;
    errmsg_set(e, "limit %s: %" PRIu64 " is more than %u", row->name, value, row->max);
    return ST_INVAL;
}

enum status switch_limits_finish(struct switch_limits *l, struct errmsg *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        unsigned *value = limit_of(l, &limits[i]);
        enum status st;

        if (*value == 0)
            *value = limits[i].preset;
        st = check_limit(&limits[i], *value, e);
        if (st)
            return st;
    }
    if (l->total_buffer_bytes == 0)
        l->total_buffer_bytes = 192ull << 20;
    return ST_OK;
}

/* @len digits alone that are not 0, which would mean the default. */
static bool parse_value(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > UINT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = value;
    return value > 0;
}

static bool is_name(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && memcmp(name, text, len) == 0;
}

/* One "NAME=N" of @len letters. */
static enum status set_one(struct switch_limits *l, const char *text, size_t len, struct errmsg *e)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : 0;
    int shown = (int)MIN(len, 60u);
    uint64_t value;

    if (!equals || !parse_value(equals + 1, len - name_len - 1, &value)) {
        errmsg_set(e, "'%.*s' is not NAME=N with a number above 0", shown, text);
        return ST_INVAL;
    }
    if (is_name(total_name, text, name_len)) {
        l->total_buffer_bytes = value;
        return ST_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        enum status st;

        if (!is_name(limits[i].name, text, name_len))
            continue;
        st = check_limit(&limits[i], value, e);
        if (st == ST_OK)
            *limit_of(l, &limits[i]) = (unsigned)value;
        return st;
    }
    errmsg_set(e, "'%.*s': there is no limit of that name", shown, text);
    return ST_INVAL;
}

enum status switch_limits_set(struct switch_limits *l, const char *text, struct errmsg *e)
{
    struct switch_limits done = *l;

    for (bool more = true; more;) {
        size_t len = strcspn(text, ",");
        enum status st = set_one(&done, text, len, e);

        if (st)
            return st;
        more = text[len] == ',';
        text += len + 1;
    }
    *l = done;
    return ST_OK;
}

const char *switch_limits_name(size_t at, uint64_t *preset)
{
    if (at < ARRAY_SIZE(limits))
        *preset = limits[at].preset;
    else
        *preset = 192ull << 20;
    return at < ARRAY_SIZE(limits) ? limits[at].name : at == ARRAY_SIZE(limits) ? total_name : NULL;
}
