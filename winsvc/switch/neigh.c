/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: know who is on the guest's side, and be the neighbour the guest expects.
 *
 *     every frame --> neigh_seen():  table of source MACs      (limits.neighbours, 16)
 *     ARP, NDP, IP source --> neigh_learn():  address -> MAC   (limits.neighbour_addresses, 64)
 *     ARP request, neighbour solicit for .1 .254 ::1 ::254 fe80::… --> answered: our MAC
 *     router solicit, a new link, every 200 s --> router advertisement
 *
 * Both tables age: an entry not renewed for limits.neighbour_ms is free. When a table is full the
 * oldest entry goes, and neighbour_limit_hits counts it; so a flood of invented addresses costs
 * itself, and the guest's own address never depends on an entry: it falls back to the configured
 * MAC. Never learnt: multicast MACs and our own (such frames are dropped), our own addresses,
 * addresses outside the virtual network. So nobody on the link can take the gateway's place at the
 * gateway.
 *
 * The data path asks for the same pair frame after frame: both tables remember the entry that was
 * hit last and compare with it first.
 *
 * Towards an address nobody was seen at: the packet is broadcast, as the caller cannot wait, and we
 * ask for the address (once a second at most), because a kernel takes no TCP from a broadcast.
 * Not done: proxy ARP for anything else. Outside addresses are reached through the gateway, other
 * guests answer for themselves.
 */
#include "switch/switch_internal.h"
#include "wire/csum.h"

#include <stdlib.h>
#include <string.h>

enum { ASK_EVERY_MS = 1000 };
enum { ADVERT_EVERY_MS = 200 * 1000, ADVERT_LIFETIME_S = 1800, PREFIX_LIFETIME_S = 86400 };
enum { NDP_HOP_LIMIT = 255, NDP_FLAG_ROUTER = 0x80, NDP_FLAG_SOLICITED = 0x40 };
enum { NDP_FLAG_OVERRIDE = 0x20, NDP_MAX_BYTES = 128 };

struct seen_mac {
    struct mac mac;
    uint64_t seen_ms; /* 0 = free */
};

struct seen_ip {
    struct ip_addr ip;
    struct mac mac;
    uint64_t seen_ms; /* 0 = free */
};

struct neigh_table {
    struct switch_ *s;
    struct timer advert;
    struct seen_mac *macs;     /* owned, limits.neighbours of them */
    struct seen_ip *ips;       /* owned, limits.neighbour_addresses of them */
    struct seen_mac *last_mac; /* never NULL */
    struct seen_ip *last_ip;   /* never NULL */
    uint64_t asked_ms;
};

/* ---- source MACs ------------------------------------------------------------------------- */

static bool is_aged(const struct switch_ *s, uint64_t seen_ms, uint64_t now)
{
    return seen_ms == 0 || now - seen_ms >= s->config.limits.neighbour_ms;
}

static void learn_mac(struct neigh_table *t, const struct mac *mac, uint64_t now)
{
    struct seen_mac *oldest = &t->macs[0];

    for (unsigned i = 0; i < t->s->config.limits.neighbours; i++) {
        struct seen_mac *m = &t->macs[i];

        if (m->seen_ms && mac_equal(&m->mac, mac)) {
            oldest = m;
            break;
        }
        if (m->seen_ms < oldest->seen_ms)
            oldest = m;
    }
    if (!mac_equal(&oldest->mac, mac) && !is_aged(t->s, oldest->seen_ms, now))
        t->s->count.neighbour_limit_hits++;
    oldest->mac = *mac;
    oldest->seen_ms = now;
    t->last_mac = oldest;
}

bool neigh_seen(struct switch_ *s, const struct mac *mac)
{
    struct neigh_table *t = s->neigh;

    if (mac_equal(&t->last_mac->mac, mac) && t->last_mac->seen_ms) {
        t->last_mac->seen_ms = s->last_rx_ms;
        return true;
    }
    if (mac_is_multicast(mac) || mac_equal(mac, &s->config.gateway_mac))
        return false;
    learn_mac(t, mac, s->last_rx_ms);
    return true;
}

unsigned neigh_count(const struct switch_ *s)
{
    uint64_t now = loop_now_ms(s->env.loop);
    unsigned count = 0;

    for (unsigned i = 0; i < s->config.limits.neighbours; i++)
        count += !is_aged(s, s->neigh->macs[i].seen_ms, now);
    return count;
}

void switch_neighbour_each(const struct switch_ *s, switch_neighbour_fn *fn, void *ctx)
{
    uint64_t now = loop_now_ms(s->env.loop);

    for (unsigned i = 0; i < s->config.limits.neighbours; i++) {
        const struct seen_mac *m = &s->neigh->macs[i];
        struct switch_neighbour n = { .mac = m->mac, .seen_ms = m->seen_ms };

        if (!is_aged(s, m->seen_ms, now))
            fn(ctx, &n);
    }
}

/* ---- addresses --------------------------------------------------------------------------- */

static struct seen_ip *find_ip(struct neigh_table *t, const struct ip_addr *ip)
{
    if (ip_addr_equal(&t->last_ip->ip, ip) && t->last_ip->seen_ms)
        return t->last_ip;
    for (unsigned i = 0; i < t->s->config.limits.neighbour_addresses; i++) {
        if (t->ips[i].seen_ms && ip_addr_equal(&t->ips[i].ip, ip))
            return &t->ips[i];
    }
    return NULL;
}

static struct seen_ip *oldest_ip(struct neigh_table *t)
{
    struct seen_ip *oldest = &t->ips[0];

    for (unsigned i = 1; i < t->s->config.limits.neighbour_addresses; i++) {
        if (t->ips[i].seen_ms < oldest->seen_ms)
            oldest = &t->ips[i];
    }
    return oldest;
}

bool neigh_is_known(struct switch_ *s, const struct mac *mac, const struct ip_addr *ip)
{
    struct seen_ip *e = s->neigh->last_ip;

    if (!ip_addr_equal(&e->ip, ip) || !mac_equal(&e->mac, mac) || e->seen_ms == 0)
        return false;
    e->seen_ms = s->last_rx_ms;
    return true;
}

void neigh_learn(struct switch_ *s, const struct mac *mac, const struct ip_addr *ip)
{
    struct neigh_table *t = s->neigh;
    uint64_t now = switch_now_ms(s);
    struct seen_ip *e = find_ip(t, ip);

    if (!e) {
        if (!nat_is_guest(s, ip) || mac_is_multicast(mac))
            return;
        e = oldest_ip(t);
        if (!is_aged(s, e->seen_ms, now))
            s->count.neighbour_limit_hits++;
        e->ip = *ip;
    }
    e->mac = *mac;
    e->seen_ms = now;
    t->last_ip = e;
}

/* ---- asking ------------------------------------------------------------------------------ */

static void send_arp(struct switch_ *s, uint16_t op, const struct mac *to, const struct ip_addr *as,
                     const struct mac *target_mac, const struct ip_addr *target)
{
    struct eth_header eth = { .dst = *to, .src = s->config.gateway_mac, .type = ETH_TYPE_ARP };
    struct arp_packet arp = { .op = op,
                              .sender_mac = s->config.gateway_mac,
                              .sender = *as,
                              .target_mac = *target_mac,
                              .target = *target };
    uint8_t *frame = out_raw(s, ETH_HEADER_BYTES + ARP_BYTES);
    struct bytes_out w = bytes_into(frame, ETH_HEADER_BYTES + ARP_BYTES);

    if (!frame) {
        s->count.drop_link_full++;
        return;
    }
    eth_put(&w, &eth);
    arp_put(&w, &arp);
    out_raw_end(s, frame, w.len_bytes);
}

/* An ICMPv6 message of neighbour discovery: always with hop limit 255. */
static void send_ndp(struct switch_ *s, const struct ip_addr *from, const struct ip_addr *to,
                     const struct bytes_out *message)
{
    struct ip_header ip = {
        .src = *from, .dst = *to, .proto = IP_PROTO_ICMP6, .ttl = NDP_HOP_LIMIT
    };
    struct out o;

    ASSERT(bytes_out_ok(message));
    if (!out_begin(s, &o, &ip, message->len_bytes)) {
        s->count.drop_link_full++;
        return;
    }
    memcpy(o.l4, message->p, message->len_bytes);
    out_end(s, &o, 2, 0);
}

static void solicit(struct switch_ *s, const struct ip_addr *ip)
{
    static const uint8_t group[16] = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };
    struct icmp_header h = { .type = ICMP6_NEIGHBOUR_SOLICIT };
    struct ndp_neighbour n = { .target = *ip,
                               .has_link_address = true,
                               .link_address = s->config.gateway_mac };
    struct ip_addr to = ip_addr_of_v6(group);
    uint8_t message[NDP_MAX_BYTES];
    struct bytes_out w = bytes_into(message, sizeof message);

    memcpy(to.b + 13, ip->b + 13, 3);
    icmp_put(&w, &h);
    ndp_put(&w, ICMP6_NEIGHBOUR_SOLICIT, &n);
    send_ndp(s, &s->gateway_link_local, &to, &w);
}

static void ask(struct switch_ *s, const struct ip_addr *ip)
{
    static const struct mac nobody, all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
    uint64_t now = switch_now_ms(s);

    if (!nat_is_guest(s, ip) || (s->neigh->asked_ms && now - s->neigh->asked_ms < ASK_EVERY_MS))
        return;
    s->neigh->asked_ms = now;
    if (ip_addr_is_v4(ip))
        send_arp(s, ARP_REQUEST, &all, &s->config.gateway, &nobody, ip);
    else
        solicit(s, ip);
}

bool switch_guest_address(const struct switch_ *s, struct ip_addr *out)
{
    uint64_t now = loop_now_ms(s->env.loop);
    const struct seen_ip *newest = NULL;

    for (unsigned i = 0; i < s->config.limits.neighbour_addresses; i++) {
        const struct seen_ip *e = &s->neigh->ips[i];

        if (!is_aged(s, e->seen_ms, now) && ip_addr_is_v4(&e->ip) &&
            (!newest || e->seen_ms > newest->seen_ms))
            newest = e;
    }
    if (newest)
        *out = newest->ip;
    return newest != NULL;
}

void switch_ask_guest(struct switch_ *s)
{
    static const struct mac nobody, all = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
    struct ip_addr ip = s->config.guest;

    if (!s->link)
        return;
    (void)switch_guest_address(s, &ip);
    send_arp(s, ARP_REQUEST, &all, &s->config.gateway, &nobody, &ip);
    switch_want_flush(s);
}

bool neigh_find(struct switch_ *s, const struct ip_addr *ip, struct mac *out)
{
    struct seen_ip *e = find_ip(s->neigh, ip);

    if (e) {
        s->neigh->last_ip = e;
        *out = e->mac;
        return true;
    }
    if (ip_addr_equal(ip, &s->config.guest)) {
        *out = s->config.guest_mac;
        return true;
    }
    ask(s, ip);
    return false;
}

/* ---- answering --------------------------------------------------------------------------- */

void neigh_arp_input(struct switch_ *s, const struct eth_header *eth, struct bytes *r)
{
    struct arp_packet arp;

    if (arp_decode(&arp, r)) {
        s->count.drop_malformed++;
        return;
    }
    if (nat_is_own(s, &arp.sender)) { /* somebody claims to be us */
        s->count.drop_policy++;
        return;
    }
    neigh_learn(s, &arp.sender_mac, &arp.sender);
    if (arp.op == ARP_REQUEST && nat_is_own(s, &arp.target))
        send_arp(s, ARP_REPLY, &eth->src, &arp.target, &arp.sender_mac, &arp.sender);
}

static void answer_solicit(struct switch_ *s, const struct packet *p, const struct ip_addr *target)
{
    static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
    bool is_probe = ip_addr_is_unspecified(&p->ip.src); /* duplicate address detection */
    struct ip_addr to = is_probe ? ip_addr_of_v6(all_nodes) : p->ip.src;
    uint32_t flags = NDP_FLAG_OVERRIDE | (is_probe ? 0 : NDP_FLAG_SOLICITED) |
                     (ip_addr_equal(target, &s->host6) ? 0 : NDP_FLAG_ROUTER);
    struct icmp_header h = { .type = ICMP6_NEIGHBOUR_ADVERT, .rest = flags << 24 };
    struct ndp_neighbour n = { .target = *target,
                               .has_link_address = true,
                               .link_address = s->config.gateway_mac };
    uint8_t message[NDP_MAX_BYTES];
    struct bytes_out w = bytes_into(message, sizeof message);

    icmp_put(&w, &h);
    ndp_put(&w, ICMP6_NEIGHBOUR_ADVERT, &n);
    send_ndp(s, target, &to, &w);
}

static void send_advert(struct switch_ *s)
{
    static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
    struct ip_addr to = ip_addr_of_v6(all_nodes);
    struct ndp_router router = { .hop_limit = 64,
                                 .lifetime_s = ADVERT_LIFETIME_S,
                                 .prefix = s->config.net6,
                                 .prefix_bits = 64,
                                 .prefix_lifetime_s = PREFIX_LIFETIME_S,
                                 .mtu = s->config.mtu,
                                 .dns = s->gateway6,
                                 .link_address = s->config.gateway_mac };
    struct icmp_header h = { .type = ICMP6_ROUTER_ADVERT, .rest = ndp_router_rest(&router) };
    uint8_t message[NDP_MAX_BYTES];
    struct bytes_out w = bytes_into(message, sizeof message);

    icmp_put(&w, &h);
    ndp_put_router(&w, &router);
    send_ndp(s, &s->gateway_link_local, &to, &w);
}

static void advertise(void *ctx)
{
    struct neigh_table *t = ctx;

    timer_start(&t->advert, ADVERT_EVERY_MS);
    if (t->s->link)
        send_advert(t->s);
}

void neigh_link_up(struct switch_ *s)
{
    if (s->config.ip6)
        advertise(s->neigh);
}

/* RFC 4861 6.1, 7.1: nothing that was routed to us is neighbour discovery. */
void neigh_ndp_input(struct switch_ *s, const struct packet *p, const struct icmp_header *h,
                     struct bytes *r)
{
    struct ndp_neighbour n = { 0 };

    if (h->type == ICMP6_ROUTER_ADVERT) { /* there is one router here */
        s->count.drop_policy++;
        return;
    }
    if (p->ip.ttl != NDP_HOP_LIMIT || h->code != 0 || ndp_decode(&n, h->type, r)) {
        s->count.drop_malformed++;
        return;
    }
    if (h->type == ICMP6_NEIGHBOUR_ADVERT) {
        neigh_learn(s, n.has_link_address ? &n.link_address : &p->from, &n.target);
        return;
    }
    neigh_learn(s, n.has_link_address ? &n.link_address : &p->from, &p->ip.src);
    if (h->type == ICMP6_ROUTER_SOLICIT)
        send_advert(s);
    else if (nat_is_own(s, &n.target))
        answer_solicit(s, p, &n.target);
}

/* ---- life -------------------------------------------------------------------------------- */

enum status neigh_new(struct switch_ *s)
{
    struct neigh_table *t = calloc(1, sizeof *t);

    if (!t)
        return ST_NOMEM;
    t->macs = calloc(s->config.limits.neighbours, sizeof *t->macs);
    t->ips = calloc(s->config.limits.neighbour_addresses, sizeof *t->ips);
    if (!t->macs || !t->ips) {
        free(t->macs);
        free(t->ips);
        free(t);
        return ST_NOMEM;
    }
    t->s = s;
    t->last_mac = &t->macs[0];
    t->last_ip = &t->ips[0];
    timer_init(&t->advert, s->env.loop, advertise, t);
    s->neigh = t;
    return ST_OK;
}

void neigh_free(struct switch_ *s)
{
    struct neigh_table *t = s->neigh;

    if (!t)
        return;
    timer_stop(&t->advert);
    free(t->macs);
    free(t->ips);
    free(t);
    s->neigh = NULL;
}
