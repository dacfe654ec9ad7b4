/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: the guest's datagrams leave from sockets of the host, and what comes back finds its way.
 *
 *     guest 192.168.127.2:5353 --> flow --> one socket of the host's, any port --> anybody
 *                                  ^
 *                 keyed hash of the guest's address and port
 *
 * One socket per guest endpoint, not per pair of endpoints (RFC 4787 REQ-1, endpoint-independent
 * mapping): a resolver or a peer-to-peer program that talks to a thousand hosts from one port costs
 * one socket instead of a thousand (Windows has 16,384 ports in all), keeps one outside port (STUN,
 * QUIC migration), and needs one lookup. The price: answers from the host's own loopback and from
 * outside share a socket, which nat_inbound() tells apart by their source.
 * Who may answer (REQ-8): an address the flow has sent to, of which the last 8 are remembered. A
 * flow that sent to more addresses than that is a peer-to-peer one and takes from anybody.
 *
 * Life of a flow: made by the first datagram; used by each one; ends by idleness
 * (limits.udp_idle_ms, 10 s while it has only spoken to DNS and NTP), or when the table is full or
 * the host is out of descriptors and it is the least recently used (udp_evicted). Flows hang on one
 * of two lists, by their idle time, in order of use, so that the first of each is the next to end
 * and no list is ever searched; a timer looks at those two.
 *
 * Not forwarded: broadcast and multicast but for DHCP (ignored), link-local and denied ports
 * (drop_policy, and an ICMP error), port 0, a wrong checksum. Of the gateway only DHCP, DNS and the
 * answers to forwards are served, everything else gets a port unreachable: a scan finds nothing.
 * An unreachable that the host reports becomes an ICMP error; its quote is rebuilt from the
 * endpoints, which is what a kernel looks at.
 * The data path allocates nothing: flows are one table made at the start, a datagram goes from the
 * link's memory into the socket and back.
 */
#include "switch/switch_internal.h"
#include "wire/csum.h"

#include <stdlib.h>

enum { PORT_DNS = 53, PORT_DHCP = 67, PORT_NTP = 123 };
enum { SHORT_IDLE_MS = 10 * 1000, PEERS = 8 };
enum { IDLE_SHORT, IDLE_LONG, IDLE_CLASSES };

struct udp_flow {
    struct list link;      /* on table->lru[idle_class] or table->spare */
    struct udp_flow *next; /* in its bucket */
    struct switch_ *s;
    struct net_udp *socket; /* owned; NULL = spare */
    struct ip_endpoint guest;
    uint64_t used_ms;
    unsigned idle_class, bucket;
    unsigned peer_count;
    bool takes_from_anybody;
    struct ip_addr peers[PEERS];
};

struct udp_table {
    struct switch_ *s;
    struct timer expiry;
    struct udp_flow *flows;    /* owned, limits.udp_flows of them */
    struct udp_flow **buckets; /* owned */
    unsigned bucket_mask, used;
    struct list lru[IDLE_CLASSES], spare;
};

/* ---- the table --------------------------------------------------------------------------- */

static unsigned bucket_of(const struct udp_table *t, const struct ip_endpoint *guest)
{
    uint8_t key[sizeof guest->addr.b + 2];

    memcpy(key, guest->addr.b, sizeof guest->addr.b);
    key[sizeof key - 2] = (uint8_t)(guest->port >> 8);
    key[sizeof key - 1] = (uint8_t)guest->port;
    return (unsigned)hash_bytes(&t->s->hash_key, key, sizeof key) & t->bucket_mask;
}

static struct udp_flow *find(const struct udp_table *t, const struct ip_endpoint *guest,
                             unsigned bucket)
{
    struct udp_flow *f = t->buckets[bucket];

    while (f && (f->guest.port != guest->port || !ip_addr_equal(&f->guest.addr, &guest->addr)))
        f = f->next;
    return f;
}

static uint64_t idle_ms(const struct udp_flow *f)
{
    uint32_t longest = f->s->config.limits.udp_idle_ms;

    return f->idle_class == IDLE_SHORT ? MIN(longest, (uint32_t)SHORT_IDLE_MS) : longest;
}

static void close_flow(struct udp_flow *f)
{
    struct udp_table *t = f->s->udp;
    struct udp_flow **at = &t->buckets[f->bucket];

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->s->env.net->ops->udp_close(f->socket);
    f->socket = NULL;
    list_remove(&f->link);
    list_append(&t->spare, &f->link);
    t->used--;
}

static struct udp_flow *first_of(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct udp_flow, link);
}

static bool evict(struct udp_table *t)
{
    struct udp_flow *a = first_of(&t->lru[IDLE_SHORT]), *b = first_of(&t->lru[IDLE_LONG]);
    struct udp_flow *victim = a && (!b || a->used_ms <= b->used_ms) ? a : b;

    if (!victim)
        return false;
    t->s->count.udp_evicted++;
    close_flow(victim);
    return true;
}

static void touch(struct udp_flow *f)
{
    struct udp_table *t = f->s->udp;

    f->used_ms = switch_now_ms(f->s);
    list_remove(&f->link);
    list_append(&t->lru[f->idle_class], &f->link);
    if (!timer_is_running(&t->expiry) || t->expiry.due_ms > f->used_ms + idle_ms(f))
        timer_start(&t->expiry, idle_ms(f));
}

static void expire(void *ctx)
{
    struct udp_table *t = ctx;
    uint64_t now = switch_now_ms(t->s), next = UINT64_MAX;

    for (unsigned i = 0; i < IDLE_CLASSES; i++) {
        struct udp_flow *f;

        while ((f = first_of(&t->lru[i])) != NULL && f->used_ms + idle_ms(f) <= now)
            close_flow(f);
        if (f)
            next = MIN(next, f->used_ms + idle_ms(f));
    }
    if (next != UINT64_MAX)
        timer_start(&t->expiry, next - now);
}

/* ---- peers ------------------------------------------------------------------------------- */

static bool is_peer(const struct udp_flow *f, const struct ip_addr *a)
{
    for (unsigned i = 0; i < f->peer_count; i++) {
        if (ip_addr_equal(&f->peers[i], a))
            return true;
    }
    return false;
}

static void add_peer(struct udp_flow *f, const struct ip_addr *a)
{
    if (f->takes_from_anybody || is_peer(f, a))
        return;
    if (f->peer_count == PEERS)
        f->takes_from_anybody = true;
    else
        f->peers[f->peer_count++] = *a;
}

/* ---- from the host ----------------------------------------------------------------------- */

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes)
{
    struct udp_flow *f = ctx;
    struct switch_ *s = f->s;
    struct ip_endpoint seen = *from;

    if (!nat_inbound(s, &from->addr, &seen.addr) ||
        (!f->takes_from_anybody && !is_peer(f, &from->addr))) {
        s->count.drop_bad_source++;
        return;
    }
    touch(f);
    s->count.udp_received++;
    out_udp(s, &seen, &f->guest, data, len_bytes);
}

static void on_batch_end(void *ctx)
{
    struct udp_flow *f = ctx;

    switch_flush(f->s);
}

/* The packet that cannot have arrived, as far as an ICMP error quotes it. */
static void rebuild(const struct udp_flow *f, const struct ip_endpoint *to, uint8_t *buf,
                    size_t len_bytes, struct packet *p)
{
    bool is_v4 = ip_addr_is_v4(&to->addr);
    struct ip_header ip = { .src = f->guest.addr,
                            .dst = to->addr,
                            .proto = IP_PROTO_UDP,
                            .ttl = 64,
                            .payload_bytes = UDP_HEADER_BYTES,
                            .header_bytes = is_v4 ? IP4_HEADER_BYTES : IP6_HEADER_BYTES };
    struct udp_header udp = { .src_port = f->guest.port, .dst_port = to->port };
    struct bytes_out w = bytes_into(buf, len_bytes);

    if (is_v4)
        ip4_put(&w, &ip);
    else
        ip6_put(&w, &ip);
    udp_put(&w, &udp);
    ASSERT(bytes_out_ok(&w));
    *p = (struct packet){ .ip = ip, .raw = buf, .raw_bytes = w.len_bytes };
}

static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
    struct udp_flow *f = ctx;
    uint8_t raw[IP6_HEADER_BYTES + UDP_HEADER_BYTES];
    struct ip_endpoint seen = *to;
    struct packet p;

    if (!nat_inbound(f->s, &to->addr, &seen.addr))
        return;
    rebuild(f, &seen, raw, sizeof raw, &p);
    icmp_send_error(f->s, &p, why == ST_REFUSED ? ICMP_ERROR_PORT : ICMP_ERROR_HOST, 0);
}

static const struct net_udp_handler handler = { .on_datagram = on_datagram,
                                                .on_batch_end = on_batch_end,
                                                .on_unreachable = on_unreachable };

/* ---- from the guest ---------------------------------------------------------------------- */

static enum status open_socket(struct udp_table *t, struct udp_flow *f)
{
    struct ip_endpoint local = { .port = 0 };
    struct net *net = t->s->env.net;
    enum status st;

    if (ip_addr_is_v4(&f->guest.addr))
        local.addr = ip_addr_v4(0);
    st = net->ops->udp_open(net, &f->socket, &local, &handler, f);
    if (st == ST_NOFILES && evict(t))
        st = net->ops->udp_open(net, &f->socket, &local, &handler, f);
    return st;
}

static struct udp_flow *open_flow(struct udp_table *t, const struct ip_endpoint *guest,
                                  unsigned bucket)
{
    struct udp_flow *f;

    if (!open_rate_take(t->s, OPEN_UDP))
        return NULL;
    if (list_is_empty(&t->spare))
        evict(t);
    f = first_of(&t->spare);
    *f = (struct udp_flow){ .link = f->link, .s = t->s, .guest = *guest, .bucket = bucket };
    if (open_socket(t, f)) {
        f->socket = NULL;
        t->s->count.drop_no_memory++;
        return NULL;
    }
    f->next = t->buckets[bucket];
    t->buckets[bucket] = f;
    t->used++;
    t->s->count.udp_opened++;
    return f;
}

static void send_one(struct switch_ *s, const struct packet *p, struct udp_flow *f,
                     const struct ip_endpoint *to, const uint8_t *data, size_t len_bytes)
{
    enum status st = s->env.net->ops->udp_send(f->socket, to, data, len_bytes);

    switch (st) {
    case ST_OK: s->count.udp_sent++; break;
    case ST_REFUSED: icmp_send_error(s, p, ICMP_ERROR_PORT, 0); break;
    case ST_UNREACHABLE: icmp_send_error(s, p, ICMP_ERROR_HOST, 0); break;
    case ST_DENIED: icmp_send_error(s, p, ICMP_ERROR_ADMIN, 0); break;
    case ST_INVAL: /* larger than the path: smaller ones may pass */
        icmp_send_error(s, p, ICMP_ERROR_TOO_BIG, p->raw_bytes > 1280 ? 1280 : 576);
        break;
    default: s->count.drop_no_memory++; break;
    }
}

static void forward(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                    const struct ip_endpoint *to, const struct bytes *data)
{
    struct ip_endpoint guest = { .addr = p->ip.src, .port = h->src_port };
    unsigned bucket = bucket_of(s->udp, &guest);
    struct udp_flow *f = find(s->udp, &guest, bucket);
    size_t step = p->gso_size ? p->gso_size : MAX(data->left, 1);
    size_t at = 0;

    if (!f)
        f = open_flow(s->udp, &guest, bucket);
    if (!f)
        return;
    if (to->port != PORT_DNS && to->port != PORT_NTP)
        f->idle_class = IDLE_LONG;
    touch(f);
    add_peer(f, &to->addr);
    do {
        send_one(s, p, f, to, data->p + at, MIN(step, data->left - at));
        at += step;
    } while (at < data->left);
}

static void gateway_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                          const struct bytes *data)
{
    if (h->dst_port == PORT_DNS)
        dns_input(s, p, h, data->p, data->left);
    else if (h->dst_port == PORT_DHCP && ip_addr_is_v4(&p->ip.dst))
        dhcp_input(s, p, h, data->p, data->left);
    else if (!forward_udp_input(s, p, h, data->p, data->left)) {
        s->count.drop_no_flow++;
        icmp_send_error(s, p, ICMP_ERROR_PORT, 0);
    }
}

/* One that names somebody by its destination. */
static void unicast_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                          const struct bytes *data)
{
    struct ip_endpoint dst = { .addr = p->ip.dst, .port = h->dst_port }, to;

    switch (nat_outbound(s, IP_PROTO_UDP, &dst, &to)) {
    case NAT_GATEWAY: gateway_input(s, p, h, data); break;
    case NAT_HOST:
    case NAT_OUTSIDE: forward(s, p, h, &to, data); break;
    case NAT_GUEST_NET: s->count.drop_not_for_us++; break;
    case NAT_DENIED:
        s->count.drop_policy++;
        icmp_send_error(s, p, ICMP_ERROR_ADMIN, 0);
        break;
    }
}

/* Without a checksum only over IPv4 (RFC 8200 8.1). */
static bool checksum_is_right(const struct packet *p, const struct udp_header *h)
{
    uint64_t sum;

    if (p->csum_ok)
        return true;
    if (h->checksum == 0)
        return ip_addr_is_v4(&p->ip.dst);
    sum = csum_pseudo(&p->ip.src, &p->ip.dst, IP_PROTO_UDP, UDP_HEADER_BYTES + h->payload_bytes);
    return csum_finish(csum_add(sum, p->l4, UDP_HEADER_BYTES + (size_t)h->payload_bytes)) == 0;
}

void udp_input(struct switch_ *s, const struct packet *p)
{
    struct bytes r = bytes_of(p->l4, p->l4_bytes);
    struct udp_header h;

    if (udp_decode(&h, &r) || h.src_port == 0 || h.dst_port == 0) {
        s->count.drop_malformed++;
        return;
    }
    if (!checksum_is_right(p, &h)) {
        s->count.drop_bad_checksum++;
        return;
    }
    if (h.dst_port == PORT_DHCP && ip_addr_is_v4(&p->ip.dst) && nat_is_broadcast(s, &p->ip.dst))
        dhcp_input(s, p, &h, r.p, r.left);
    else if (nat_is_broadcast(s, &p->ip.dst) || ip_addr_is_unspecified(&p->ip.src))
        s->count.drop_not_for_us++;
    else
        unicast_input(s, p, &h, &r);
}

/* ---- life -------------------------------------------------------------------------------- */

static unsigned power_of_two(unsigned at_least)
{
    unsigned n = 1;

    while (n < at_least)
        n *= 2;
    return n;
}

enum status udp_new(struct switch_ *s)
{
    unsigned max = s->config.limits.udp_flows, buckets = power_of_two(max);
    struct udp_table *t = calloc(1, sizeof *t);

    if (t) {
        t->flows = calloc(max, sizeof *t->flows);
        t->buckets = calloc(buckets, sizeof(struct udp_flow *));
    }
    if (!t || !t->flows || !t->buckets) {
        if (t) {
            free(t->flows);
            free(t->buckets);
        }
        free(t);
        return ST_NOMEM;
    }
    t->s = s;
    t->bucket_mask = buckets - 1;
    list_init(&t->lru[IDLE_SHORT]);
    list_init(&t->lru[IDLE_LONG]);
    list_init(&t->spare);
    for (unsigned i = 0; i < max; i++)
        list_append(&t->spare, &t->flows[i].link);
    timer_init(&t->expiry, s->env.loop, expire, t);
    s->udp = t;
    return ST_OK;
}

void udp_free(struct switch_ *s)
{
    struct udp_table *t = s->udp;

    if (!t)
        return;
    for (unsigned i = 0; i < IDLE_CLASSES; i++) {
        while (!list_is_empty(&t->lru[i]))
            close_flow(first_of(&t->lru[i]));
    }
    timer_stop(&t->expiry);
    free(t->flows);
    free(t->buckets);
    free(t);
    s->udp = NULL;
}

unsigned udp_count(const struct switch_ *s)
{
    return s->udp->used;
}
