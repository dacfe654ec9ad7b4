/* SPDX-License-Identifier: Apache-2.0
 * dns_zones.h - the names that the virtual network answers itself. Pure; bounded.
 *
 * Three zones are there from the start, each with "gateway" and "host"; more come at run time in
 * gvisor-tap-vsock's form (switch.h). Finding a name allocates nothing.
 */
#ifndef WINSVC_SWITCH_DNS_ZONES_H
#define WINSVC_SWITCH_DNS_ZONES_H

#include "switch/dns_message.h"
#include "switch/switch_internal.h"

enum { DNS_RECORDS_MAX = 256 /* of a zone */ };

struct dns_zones;

struct dns_found {
    enum {
        DNS_FOUND_NOTHING, /* no zone of ours: ask the host */
        DNS_FOUND_ADDRESS, /* v4, v6: of the type asked for, NULL = no such */
        DNS_FOUND_POINTER, /* name */
        DNS_FOUND_NO_DATA, /* the name is there, records of this type are not */
        DNS_FOUND_NO_NAME
    } what;
    const struct ip_addr *v4, *v6; /* borrowed until the zones change */
    const uint8_t *name;
    size_t name_bytes;
};

/* @s: for its addresses. ST_NOMEM. */
enum status dns_zones_new(struct dns_zones **out, const struct switch_ *s);
void dns_zones_free(struct dns_zones *z);
void dns_zones_find(const struct dns_zones *z, const struct dns_question *q, struct dns_found *out);
/* See switch_dns_zone_add(); nothing is changed on failure. */
enum status dns_zones_add_json(struct dns_zones *z, const char *json, size_t len_bytes,
                               struct errmsg *e);
char *dns_zones_to_json(const struct dns_zones *z);

#endif
