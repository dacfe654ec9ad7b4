/* SPDX-License-Identifier: Apache-2.0
 * THEORY: one row an address that was ever given out, at most limits.dhcp_leases, searched from the
 * front: a virtual network has one or two clients, and 256 rows are 10 KiB. Rows of static leases
 * come first, carry their MAC for life and can neither expire nor be set aside.
 *
 * The client is its hardware address, as in the wire protocol that this replaces: the key that
 * survives a guest whose client identifier changes with each boot. A row that is free keeps its
 * MAC, so that the same client gets the same address again even after its lease expired.
 *
 * Hostile clients: a DISCOVER with a made-up MAC costs a row for a minute (an offer), and such rows
 * are taken back, oldest first, when others want one; bound rows are not. DECLINE sets aside only
 * the address that this client was given, and static addresses never, or one container could talk
 * the guest out of its address.
 */
#include "switch/dhcp_leases.h"

#include <assert.h>
#include <string.h>

static bool is_expired(const struct dhcp_lease *r, uint64_t now_ms)
{
    return !r->is_static && r->expires_ms <= now_ms;
}

/* Nobody's right now. */
static bool is_free(const struct dhcp_lease *r, uint64_t now_ms)
{
    return r->state == DHCP_LEASE_FREE || is_expired(r, now_ms);
}

static void add_static(struct dhcp_leases *t, const struct mac *mac, const struct ip_addr *ip)
{
    struct dhcp_lease *r = &t->rows[t->static_count++];

    *r = (struct dhcp_lease){ .mac = *mac, .ip = ip_addr_to_v4(ip), .is_static = true };
}

void dhcp_leases_init(struct dhcp_leases *t, const struct switch_config *c)
{
    uint32_t hosts = 0xffffffffu >> c->prefix_bits;

    static_assert((int)DHCP_LEASES_MAX > (int)SWITCH_STATIC_LEASES_MAX, "room for all");
    memset(t, 0, sizeof *t);
    t->count = MAX(c->limits.dhcp_leases, c->static_lease_count + 1);
    t->net = ip_addr_to_v4(&c->net);
    t->prefix_bits = c->prefix_bits;
    t->first = t->net + 1;
    t->cursor = t->first;
    t->last = t->net + hosts - 1; /* the last of all is the broadcast address */
    t->reserved[0] = ip_addr_to_v4(&c->gateway);
    t->reserved[1] = ip_addr_to_v4(&c->host);
    t->reserved[2] = ip_addr_to_v4(&c->guest);
    add_static(t, &c->guest_mac, &c->guest);
    for (unsigned i = 0; i < c->static_lease_count; i++)
        add_static(t, &c->static_leases[i].mac, &c->static_leases[i].ip);
}

static bool is_in_pool(const struct dhcp_leases *t, uint32_t ip)
{
    if (ip < t->first || ip > t->last)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(t->reserved); i++) {
        if (t->reserved[i] == ip)
            return false;
    }
    return true;
}

static struct dhcp_lease *row_of_ip(struct dhcp_leases *t, uint32_t ip)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (ip && t->rows[i].ip == ip)
            return &t->rows[i];
    }
    return NULL;
}

/* The client's row: static ones come first and so win. */
static struct dhcp_lease *row_of_mac(struct dhcp_leases *t, const struct mac *mac)
{
    for (unsigned i = 0; i < t->count; i++) {
        struct dhcp_lease *r = &t->rows[i];

        if (r->ip && r->state != DHCP_LEASE_DECLINED && mac_equal(&r->mac, mac))
            return r;
    }
    return NULL;
}

/* A row that nobody relies on, the oldest of them, so an ended lease goes before an offer under
 * way; NULL when all are bound. */
static struct dhcp_lease *idle_row(struct dhcp_leases *t, uint64_t now_ms)
{
    struct dhcp_lease *best = NULL;

    for (unsigned i = t->static_count; i < t->count; i++) {
        struct dhcp_lease *r = &t->rows[i];

        if (!r->ip || (r->state == DHCP_LEASE_BOUND && !is_expired(r, now_ms)))
            continue;
        if (!best || r->expires_ms < best->expires_ms)
            best = r;
    }
    return best;
}

/* A row to put another address into: never used, else an idle one. */
static struct dhcp_lease *row_to_use(struct dhcp_leases *t, uint64_t now_ms)
{
    for (unsigned i = t->static_count; i < t->count; i++) {
        if (!t->rows[i].ip)
            return &t->rows[i];
    }
    return idle_row(t, now_ms);
}

/* The first address of the pool that has no row. 0: none; the pool may be larger than the table,
 * so at most one step more than there are rows and reserved addresses is needed. */
static uint32_t unused_address(struct dhcp_leases *t)
{
    unsigned steps = t->count + ARRAY_SIZE(t->reserved) + 1;

    for (; steps && t->cursor <= t->last; t->cursor++, steps--) {
        if (is_in_pool(t, t->cursor) && !row_of_ip(t, t->cursor))
            return t->cursor;
    }
    return 0;
}

/* The row for @mac at @ip, which is free or its own; NULL: it is another's. */
static struct dhcp_lease *claim(struct dhcp_leases *t, const struct mac *mac, uint32_t ip,
                                uint64_t now_ms)
{
    struct dhcp_lease *r = row_of_ip(t, ip);

    if (r && r->is_static)
        return mac_equal(&r->mac, mac) ? r : NULL;
    if (!is_in_pool(t, ip))
        return NULL;
    if (r) {
        bool is_own = r->state != DHCP_LEASE_DECLINED && mac_equal(&r->mac, mac);

        return is_own || is_free(r, now_ms) ? r : NULL;
    }
    r = row_to_use(t, now_ms);
    if (r && r->ip)
        t->cursor = t->first; /* its old address has no row any more */
    if (r)
        *r = (struct dhcp_lease){ .ip = ip };
    return r;
}

static void reserve(struct dhcp_lease *r, const struct mac *mac, uint64_t now_ms)
{
    r->mac = *mac;
    if (r->state == DHCP_LEASE_BOUND && !is_expired(r, now_ms))
        return;
    r->state = DHCP_LEASE_OFFERED;
    r->expires_ms = now_ms + DHCP_OFFER_MS;
}

enum status dhcp_leases_offer(struct dhcp_leases *t, const struct mac *mac, uint32_t wanted,
                              uint64_t now_ms, uint32_t *ip)
{
    struct dhcp_lease *r = row_of_mac(t, mac);

    if (!r && wanted)
        r = claim(t, mac, wanted, now_ms);
    if (!r) {
        uint32_t unused = unused_address(t);

        /* Without an address that was never used, one that nobody uses now. */
        r = unused ? claim(t, mac, unused, now_ms) : idle_row(t, now_ms);
    }
    if (!r)
        return ST_FULL;
    reserve(r, mac, now_ms);
    *ip = r->ip;
    return ST_OK;
}

bool dhcp_leases_bind(struct dhcp_leases *t, const struct mac *mac, uint32_t ip, uint64_t now_ms)
{
    struct dhcp_lease *own = row_of_mac(t, mac);
    struct dhcp_lease *r;

    if (own && own->ip != ip && (own->is_static || !is_free(own, now_ms)))
        return false; /* one address a client */
    r = claim(t, mac, ip, now_ms);
    if (!r)
        return false;
    if (own && own != r)
        own->mac = (struct mac){ { 0 } };
    r->mac = *mac;
    r->state = DHCP_LEASE_BOUND;
    r->expires_ms = now_ms + DHCP_LEASE_S * 1000ull;
    return true;
}

static struct dhcp_lease *own_row(struct dhcp_leases *t, const struct mac *mac, uint32_t ip)
{
    struct dhcp_lease *r = row_of_mac(t, mac);

    return r && r->ip == ip && r->state != DHCP_LEASE_FREE ? r : NULL;
}

void dhcp_leases_release(struct dhcp_leases *t, const struct mac *mac, uint32_t ip)
{
    struct dhcp_lease *r = own_row(t, mac, ip);

    if (r)
        r->state = DHCP_LEASE_FREE;
}

bool dhcp_leases_decline(struct dhcp_leases *t, const struct mac *mac, uint32_t ip, uint64_t now_ms)
{
    struct dhcp_lease *r = own_row(t, mac, ip);

    if (!r || r->is_static)
        return false;
    r->state = DHCP_LEASE_DECLINED;
    r->expires_ms = now_ms + DHCP_DECLINED_MS;
    return true;
}

void dhcp_leases_forget_offer(struct dhcp_leases *t, const struct mac *mac)
{
    struct dhcp_lease *r = row_of_mac(t, mac);

    if (r && r->state == DHCP_LEASE_OFFERED)
        r->state = DHCP_LEASE_FREE;
}

bool dhcp_leases_is_bound(const struct dhcp_leases *t, uint32_t ip, uint64_t now_ms)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct dhcp_lease *r = &t->rows[i];

        if (r->ip == ip && r->state == DHCP_LEASE_BOUND)
            return r->expires_ms > now_ms;
    }
    return false;
}
