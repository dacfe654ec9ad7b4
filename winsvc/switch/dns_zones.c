/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a zone is a name and a list of records with whole names in wire form and lower case, so
 * that looking one up is comparing bytes with the question's key. The zone whose name is the
 * longest suffix of the question answers; within it the first record of that name and family does,
 * then the zone's default address, else the name does not exist. The apex exists always. Types
 * other than A and AAAA of a name that exists are "no data", never asked upstream: a name of ours
 * that leaks out is a privacy bug and a second of waiting.
 *
 * TTL 0 as in the wire protocol, and no SOA with what is not there: nothing of ours is ever cached
 * by the guest, so a zone added at run time is seen at once.
 *
 * The built-in names have no IPv6 address, though the network has IPv6: most servers of a host
 * listen at 127.0.0.1 only, and a program that tries the first address alone would find them
 * refused.
 *
 * Reverse names of the virtual network are ours too, in both families: the gateway and the host
 * have names, the rest have none.
 *
 * Limits: 32 zones of 256 records, searched from the front; the built-in ones come first. A record
 * of the same name and family replaces the old one. Regular expressions in records (the form has a
 * "Regexp") are refused: the syntax would be Go's, and no engine for it is at hand.
 */
#include "switch/dns_zones.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dns_record {
    uint8_t name[DNS_NAME_MAX];
    uint8_t name_bytes;
    bool is_v4;
    struct ip_addr ip;
};

struct dns_zone {
    uint8_t name[DNS_NAME_MAX];
    uint8_t name_bytes;
    bool has_default;
    struct ip_addr default_ip;
    struct dns_record *records; /* owned */
    unsigned count;
};

struct dns_zones {
    struct dns_zone *zones; /* owned, room for @max */
    unsigned count, max;
    struct ip_addr net, gateway, host, gateway6, host6;
    bool ip6;
    unsigned prefix_bits;
    uint8_t gateway_name[DNS_NAME_MAX], host_name[DNS_NAME_MAX];
    size_t gateway_name_bytes, host_name_bytes;
};

/* ---- finding ----------------------------------------------------------------------------- */

static const struct dns_zone *zone_of(const struct dns_zones *z, const struct dns_question *q)
{
    const struct dns_zone *best = NULL;

    for (unsigned i = 0; i < z->count; i++) {
        const struct dns_zone *zone = &z->zones[i];

        if (dns_name_is_below(q->key, q->name_bytes, zone->name, zone->name_bytes) &&
            (!best || zone->name_bytes > best->name_bytes))
            best = zone;
    }
    return best;
}

static void find_in_zone(const struct dns_zone *zone, const struct dns_question *q,
                         struct dns_found *out)
{
    const struct ip_addr *v4 = NULL, *v6 = NULL;
    bool exists = q->name_bytes == zone->name_bytes;

    for (unsigned i = 0; i < zone->count; i++) {
        const struct dns_record *r = &zone->records[i];

        if (r->name_bytes != q->name_bytes || memcmp(r->name, q->key, q->name_bytes) != 0)
            continue;
        exists = true;
        if (r->is_v4 && !v4)
            v4 = &r->ip;
        if (!r->is_v4 && !v6)
            v6 = &r->ip;
    }
    if (!v4 && !v6 && zone->has_default) {
        exists = true;
        v4 = ip_addr_is_v4(&zone->default_ip) ? &zone->default_ip : NULL;
        v6 = v4 ? NULL : &zone->default_ip;
    }
    out->v4 = q->type == DNS_TYPE_A || q->type == DNS_TYPE_ANY ? v4 : NULL;
    out->v6 = q->type == DNS_TYPE_AAAA || q->type == DNS_TYPE_ANY ? v6 : NULL;
    out->what = out->v4 || out->v6 ? DNS_FOUND_ADDRESS
                : exists           ? DNS_FOUND_NO_DATA
                                   : DNS_FOUND_NO_NAME;
}

/* A decimal label 0..255 at *@p, which moves behind it. */
static bool take_octet(const uint8_t **p, uint32_t *out)
{
    const uint8_t *label = *p;
    uint32_t v = 0;

    if (label[0] < 1 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
        return false;
    for (unsigned i = 1; i <= label[0]; i++) {
        if (label[i] < '0' || label[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(label[i] - '0');
    }
    *p = label + 1 + label[0];
    *out = v;
    return v <= 255;
}

/* d.c.b.a.in-addr.arpa. */
static bool parse_reverse(const struct dns_question *q, struct ip_addr *out)
{
    static const uint8_t suffix[] = "\7in-addr\4arpa";
    const uint8_t *p = q->key;
    uint32_t v = 0;

    if (!dns_name_is_below(q->key, q->name_bytes, suffix, sizeof suffix))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t octet;

        if (!take_octet(&p, &octet)) /* also when the suffix comes too early */
            return false;
        v |= octet << (8 * i);
    }
    *out = ip_addr_v4(v);
    return (size_t)(p - q->key) + sizeof suffix == q->name_bytes;
}

/* 32 nibbles, the last one of the address first, and ip6.arpa. */
static bool parse_reverse6(const struct dns_question *q, struct ip_addr *out)
{
    static const uint8_t suffix[] = "\3ip6\4arpa";
    enum { NIBBLES = 32 };
    uint8_t b[16] = { 0 };

    if (q->name_bytes != 2 * NIBBLES + sizeof suffix ||
        memcmp(q->key + 2 * NIBBLES, suffix, sizeof suffix) != 0)
        return false;
    for (unsigned i = 0; i < NIBBLES; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = strchr(digits, q->key[2 * i + 1]);

        if (q->key[2 * i] != 1 || !q->key[2 * i + 1] || !digit)
            return false;
        b[15 - i / 2] |= (uint8_t)((digit - digits) << (i % 2 ? 4 : 0));
    }
    *out = ip_addr_of_v6(b);
    return true;
}

static void find_reverse(const struct dns_zones *z, const struct ip_addr *ip,
                         const struct dns_question *q, struct dns_found *out)
{
    if (ip_addr_equal(ip, &z->gateway) || ip_addr_equal(ip, &z->gateway6)) {
        out->name = z->gateway_name;
        out->name_bytes = z->gateway_name_bytes;
    } else if (ip_addr_equal(ip, &z->host) || ip_addr_equal(ip, &z->host6)) {
        out->name = z->host_name;
        out->name_bytes = z->host_name_bytes;
    } else {
        out->what = DNS_FOUND_NO_NAME;
        return;
    }
    out->what =
        q->type == DNS_TYPE_PTR || q->type == DNS_TYPE_ANY ? DNS_FOUND_POINTER : DNS_FOUND_NO_DATA;
}

void dns_zones_find(const struct dns_zones *z, const struct dns_question *q, struct dns_found *out)
{
    const struct dns_zone *zone = zone_of(z, q);
    struct ip_addr ip;

    *out = (struct dns_found){ .what = DNS_FOUND_NOTHING };
    if (zone)
        find_in_zone(zone, q, out);
    else if (parse_reverse(q, &ip)
                 ? ip_addr_in_prefix(&ip, &z->net, z->prefix_bits)
                 : z->ip6 && parse_reverse6(q, &ip) && ip_addr_in_prefix(&ip, &z->gateway6, 64))
        find_reverse(z, &ip, q, out);
}

/* ---- changing ---------------------------------------------------------------------------- */

static bool same_name(const struct dns_record *a, const struct dns_record *b)
{
    return a->name_bytes == b->name_bytes && memcmp(a->name, b->name, a->name_bytes) == 0;
}

/* Zone @name with @added records in front of what it has. Takes @added. */
static enum status merge(struct dns_zones *z, struct dns_zone *added, struct errmsg *e)
{
    struct dns_zone *zone = NULL;

    for (unsigned i = 0; i < z->count; i++) {
        if (z->zones[i].name_bytes == added->name_bytes &&
            memcmp(z->zones[i].name, added->name, added->name_bytes) == 0)
            zone = &z->zones[i];
    }
    if (!zone && z->count == z->max) {
        errmsg_set(e, "there are %u zones already", z->count);
        return ST_FULL;
    }
    for (unsigned i = 0; zone && i < zone->count; i++) {
        const struct dns_record *old = &zone->records[i];
        bool is_replaced = false;

        for (unsigned k = 0; k < added->count && !is_replaced; k++)
            is_replaced =
                same_name(old, &added->records[k]) && old->is_v4 == added->records[k].is_v4;
        if (is_replaced)
            continue;
        if (added->count == DNS_RECORDS_MAX) {
            errmsg_set(e, "more than %d records in one zone", DNS_RECORDS_MAX);
            return ST_FULL;
        }
        added->records[added->count++] = *old;
    }
    if (zone)
        free(zone->records);
    else
        zone = &z->zones[z->count++];
    *zone = *added;
    return ST_OK;
}

static enum status add_record(struct dns_zone *zone, const char *name, const char *ip,
                              struct errmsg *e)
{
    struct dns_record *r = &zone->records[zone->count];
    size_t n;

    if (zone->count == DNS_RECORDS_MAX) {
        errmsg_set(e, "more than %d records in one zone", DNS_RECORDS_MAX);
        return ST_FULL;
    }
    n = dns_name_encode(r->name, name);
    if (n < 2 || n - 1 + zone->name_bytes > DNS_NAME_MAX) {
        errmsg_set(e, "\"%.64s\" is no name in that zone", name);
        return ST_INVAL;
    }
    if (ip_addr_parse(&r->ip, ip)) {
        errmsg_set(e, "\"%.64s\" is no address", ip);
        return ST_INVAL;
    }
    memcpy(r->name + n - 1, zone->name, zone->name_bytes);
    r->name_bytes = (uint8_t)(n - 1 + zone->name_bytes);
    r->is_v4 = ip_addr_is_v4(&r->ip);
    zone->count++;
    return ST_OK;
}

/* @zone: with its name and an array of DNS_RECORDS_MAX records, owned by the caller still. */
static enum status begin_zone(struct dns_zone *zone, const char *name, struct errmsg *e)
{
    size_t n = dns_name_encode(zone->name, name);

    if (n < 2) { /* the root would be everybody's names */
        errmsg_set(e, "\"%.64s\" is no name for a zone", name);
        return ST_INVAL;
    }
    zone->name_bytes = (uint8_t)n;
    zone->records = calloc(DNS_RECORDS_MAX, sizeof *zone->records);
    return zone->records ? ST_OK : ST_NOMEM;
}

/* Gives back what the array has too much. */
static void shrink(struct dns_zone *zone)
{
    size_t count = zone->count ? zone->count : 1;
    struct dns_record *r = realloc(zone->records, count * sizeof *r);

    if (r)
        zone->records = r;
}

static enum status finish_zone(struct dns_zones *z, struct dns_zone *zone, struct errmsg *e)
{
    enum status st = merge(z, zone, e);

    if (st) {
        free(zone->records);
        return st;
    }
    for (unsigned i = 0; i < z->count; i++) {
        if (z->zones[i].records == zone->records)
            shrink(&z->zones[i]);
    }
    return ST_OK;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key); /* any case, as Go reads it */

    return cJSON_IsString(item) ? item->valuestring : "";
}

static enum status read_records(struct dns_zone *zone, const cJSON *records, struct errmsg *e)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, records)
    {
        enum status st;

        if (*text_of(item, "Regexp")) {
            errmsg_set(e, "records by regular expression are not supported");
            return ST_UNSUPPORTED;
        }
        st = add_record(zone, text_of(item, "Name"), text_of(item, "IP"), e);
        if (st)
            return st;
    }
    return ST_OK;
}

static enum status read_zone(struct dns_zone *zone, const cJSON *json, struct errmsg *e)
{
    const char *default_ip = text_of(json, "DefaultIP");
    enum status st = begin_zone(zone, text_of(json, "Name"), e);

    if (!st)
        st = read_records(zone, cJSON_GetObjectItem(json, "Records"), e);
    if (!st && *default_ip) {
        zone->has_default = true;
        st = ip_addr_parse(&zone->default_ip, default_ip);
        if (st)
            errmsg_set(e, "\"%.64s\" is no address", default_ip);
    }
    return st;
}

enum status dns_zones_add_json(struct dns_zones *z, const char *json, size_t len_bytes,
                               struct errmsg *e)
{
    cJSON *root = cJSON_ParseWithLength(json, len_bytes);
    struct dns_zone zone = { .count = 0 };
    enum status st;

    if (!cJSON_IsObject(root)) {
        cJSON_Delete(root);
        errmsg_set(e, "not a JSON object");
        return ST_INVAL;
    }
    st = read_zone(&zone, root, e);
    cJSON_Delete(root);
    if (st) {
        free(zone.records);
        return st;
    }
    return finish_zone(z, &zone, e);
}

/* "a.b" of a.b.zone. */
static void format_relative(const struct dns_zone *zone, const struct dns_record *r,
                            char buf[static DNS_NAME_TEXT_MAX])
{
    dns_name_format(r->name, (size_t)r->name_bytes - zone->name_bytes, buf);
    buf[strlen(buf) - 1] = '\0';
}

static cJSON *zone_to_json(const struct dns_zone *zone)
{
    cJSON *json = cJSON_CreateObject();
    char text[DNS_NAME_TEXT_MAX], ip[IP_ADDR_TEXT_MAX];
    cJSON *records;

    cJSON_AddStringToObject(json, "Name", dns_name_format(zone->name, zone->name_bytes, text));
    records = cJSON_AddArrayToObject(json, "Records");
    for (unsigned i = 0; i < zone->count; i++) {
        cJSON *r = cJSON_CreateObject();

        format_relative(zone, &zone->records[i], text);
        cJSON_AddStringToObject(r, "Name", text);
        cJSON_AddStringToObject(r, "IP", ip_addr_format(&zone->records[i].ip, ip));
        cJSON_AddItemToArray(records, r);
    }
    cJSON_AddStringToObject(json, "DefaultIP",
                            zone->has_default ? ip_addr_format(&zone->default_ip, ip) : "");
    return json;
}

char *dns_zones_to_json(const struct dns_zones *z)
{
    cJSON *array = cJSON_CreateArray();
    char *text;

    for (unsigned i = 0; i < z->count; i++)
        cJSON_AddItemToArray(array, zone_to_json(&z->zones[i]));
    text = cJSON_PrintUnformatted(array);
    cJSON_Delete(array);
    return text;
}

/* ---- life -------------------------------------------------------------------------------- */

static enum status add_built_in(struct dns_zones *z, const struct switch_ *s, const char *name)
{
    const struct {
        const char *name;
        const struct ip_addr *ip;
    } rows[] = { { "gateway", &s->config.gateway }, { "host", &s->config.host } };
    struct dns_zone zone = { .count = 0 };
    enum status st = begin_zone(&zone, name, NULL);

    for (size_t i = 0; i < ARRAY_SIZE(rows) && !st; i++) {
        char text[IP_ADDR_TEXT_MAX];

        st = add_record(&zone, rows[i].name, ip_addr_format(rows[i].ip, text), NULL);
    }
    if (st) {
        free(zone.records);
        return st;
    }
    return finish_zone(z, &zone, NULL);
}

enum status dns_zones_new(struct dns_zones **out, const struct switch_ *s)
{
    static const char *const names[] = { "rancher-desktop.internal.", "docker.internal.",
                                         "containers.internal." };
    struct dns_zones *z = calloc(1, sizeof *z);

    if (!z)
        return ST_NOMEM;
    z->max = MAX(s->config.limits.dns_zones, ARRAY_SIZE(names));
    z->zones = calloc(z->max, sizeof *z->zones);
    if (!z->zones) {
        free(z);
        return ST_NOMEM;
    }
    z->net = s->config.net;
    z->prefix_bits = s->config.prefix_bits;
    z->gateway = s->config.gateway;
    z->host = s->config.host;
    z->ip6 = s->config.ip6;
    z->gateway6 = s->gateway6;
    z->host6 = s->host6;
    z->gateway_name_bytes = dns_name_encode(z->gateway_name, "gateway.rancher-desktop.internal.");
    z->host_name_bytes = dns_name_encode(z->host_name, "host.rancher-desktop.internal.");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        enum status st = add_built_in(z, s, names[i]);

        if (st) {
            dns_zones_free(z);
            return st;
        }
    }
    *out = z;
    return ST_OK;
}

void dns_zones_free(struct dns_zones *z)
{
    if (!z)
        return;
    for (unsigned i = 0; i < z->count; i++)
        free(z->zones[i].records);
    free(z->zones);
    free(z);
}
