/* SPDX-License-Identifier: Apache-2.0
 * dhcp_leases.h - who has which address of the virtual network: the table, without messages.
 *
 * Pure: @now_ms comes in. Owned by the DHCP server. Bounded: when no entry is free the oldest
 * expired, offered or set-aside one is used again; when all are bound, ST_FULL.
 */
#ifndef WINSVC_SWITCH_DHCP_LEASES_H
#define WINSVC_SWITCH_DHCP_LEASES_H

#include "base/ip_addr.h"
#include "switch/switch.h"
#include "wire/wire.h"

enum {
    DHCP_LEASES_MAX = 1024,
    DHCP_LEASE_S = 3600,
    DHCP_OFFER_MS = 60 * 1000,
    DHCP_DECLINED_MS = 600 * 1000
};

enum dhcp_lease_state {
    DHCP_LEASE_FREE,    /* may remember whose it was last: that client gets it again */
    DHCP_LEASE_OFFERED, /* reserved until expires_ms, waiting for a REQUEST */
    DHCP_LEASE_BOUND,
    DHCP_LEASE_DECLINED /* somebody else was found to use it: nobody's until expires_ms */
};

struct dhcp_lease {
    struct mac mac;
    uint32_t ip; /* host order; 0 = the entry was never used */
    enum dhcp_lease_state state;
    bool is_static;
    uint64_t expires_ms;
};

struct dhcp_leases {
    uint32_t net, first, last; /* of the pool, host order, inclusive */
    unsigned prefix_bits;
    uint32_t reserved[3]; /* gateway, host alias, guest */
    uint32_t cursor;      /* addresses of the pool below it all have a row */
    unsigned static_count, count;
    struct dhcp_lease rows[DHCP_LEASES_MAX]; /* static ones first; @count of them are used */
};

void dhcp_leases_init(struct dhcp_leases *t, const struct switch_config *c);
/* The address for @mac: its static one, the one it has or had, @wanted (0 = none) when that is
 * free, or any free one; reserved for it as an offer. ST_FULL. */
enum status dhcp_leases_offer(struct dhcp_leases *t, const struct mac *mac, uint32_t wanted,
                              uint64_t now_ms, uint32_t *ip);
/* Binds @ip to @mac when it is or may become that client's; false: it is not (NAK). */
bool dhcp_leases_bind(struct dhcp_leases *t, const struct mac *mac, uint32_t ip, uint64_t now_ms);
/* The client gives @ip back, or found it in use; nothing when it is not its own. */
void dhcp_leases_release(struct dhcp_leases *t, const struct mac *mac, uint32_t ip);
bool dhcp_leases_decline(struct dhcp_leases *t, const struct mac *mac, uint32_t ip,
                         uint64_t now_ms);
/* The client took another server's offer. */
void dhcp_leases_forget_offer(struct dhcp_leases *t, const struct mac *mac);
bool dhcp_leases_is_bound(const struct dhcp_leases *t, uint32_t ip, uint64_t now_ms);

#endif
