/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tcp_rig.h"

#include "base/util.h"
#include "switch/tcp_internal.h"
#include "wire/csum.h"

#include <stdlib.h>

/* One on its way. Its own allocation, so that a use beyond its time is seen. */
struct parcel {
    struct list link;
    struct tcp_guest *guest; /* who sent it, or NULL */
    struct ip_addr src, dst;
    uint64_t due_ms;
    size_t len_bytes;
    unsigned gso_size;
    uint8_t *l4;
};

static struct tcp_rig *current; /* the stand-ins have no context of their own */

uint32_t tcp_rig_random(struct tcp_rig *r, uint32_t below)
{
    r->rng = r->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((r->rng >> 33) % below);
}

static enum status rig_bytes(void *buf, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        ((uint8_t *)buf)[i] = (uint8_t)tcp_rig_random(current, 256);
    return ST_OK;
}

static void parcel_free(struct parcel *p)
{
    list_remove(&p->link);
    free(p->l4);
    free(p);
}

/* Into @to, with what the wire does on the way: lost, swapped with its neighbour, doubled. */
static void post(struct tcp_rig *r, struct list *to, const struct parcel *what)
{
    unsigned copies = tcp_rig_random(r, 1000) < r->wire.duplicate ? 2 : 1;

    if (tcp_rig_random(r, 1000) < r->wire.lose)
        return;
    while (copies-- > 0) {
        struct parcel *p = malloc(sizeof *p);
        struct list *at = to->prev;

        ASSERT(p);
        *p = *what;
        p->l4 = malloc(p->len_bytes);
        ASSERT(p->l4);
        memcpy(p->l4, what->l4, p->len_bytes);
        for (unsigned back = 0; back < 4 && at != to; back++) {
            if (tcp_rig_random(r, 1000) >= r->wire.reorder)
                break;
            at = at->prev;
        }
        list_insert_after(at, &p->link);
    }
}

/* ---- what the rest of the switch would be ------------------------------------------------ */

bool frame_link_is_writable(const struct frame_link *l)
{
    return l && !current->cut && current->down_bytes < current->link_bytes;
}

bool frame_link_has_offload(const struct frame_link *l)
{
    return l && current->offload;
}

bool out_begin(struct switch_ *s, struct out *o, struct ip_header *ip, size_t l4_bytes)
{
    ASSERT(l4_bytes + 60 < sizeof current->frame);
    if (!s->link || current->cut || current->down_bytes >= current->link_bytes) {
        current->was_full = true;
        return false;
    }
    o->frame = current->frame;
    o->l4 = current->frame;
    o->l4_bytes = l4_bytes;
    o->ip = *ip;
    return true;
}

static struct tcp_guest *guest_of(struct tcp_rig *r, const struct tcp_header *h)
{
    for (unsigned i = 0; i < r->guest_count; i++) {
        if (r->guests[i]->self.port == h->dst_port && r->guests[i]->remote.port == h->src_port)
            return r->guests[i];
    }
    return NULL;
}

/* A window once given is never taken back (RFC 9293 3.8.6). */
static void check_window(struct tcp_guest *g, const struct tcp_header *h)
{
    uint32_t edge = h->ack + ((uint32_t)h->window << (h->flags & TCP_SYN ? 0 : g->peer_scale));

    if (!(h->flags & TCP_ACK) || (h->flags & TCP_RST) ||
        (!(h->flags & TCP_SYN) && g->state != TG_OPEN))
        return;
    ASSERT(!g->was_told || (int32_t)(edge - g->told_edge) >= 0 || (h->flags & TCP_SYN));
    g->was_told = true;
    g->told_edge = edge;
}

void out_copy(struct out *o, uint8_t *to, const uint8_t *data, size_t len_bytes)
{
    memcpy(to, data, len_bytes);
}

void out_end(struct switch_ *s, struct out *o, size_t csum_offset, unsigned gso_size)
{
    struct tcp_rig *r = current;
    struct parcel p = { .src = o->ip.src,
                        .dst = o->ip.dst,
                        .len_bytes = o->l4_bytes,
                        .gso_size = gso_size,
                        .l4 = o->l4 };
    struct bytes b = bytes_of(o->l4, o->l4_bytes);

    ASSERT(csum_offset == 16);
    ASSERT(tcp_decode(&r->last, &b) == ST_OK);
    ASSERT(gso_size == 0 || (r->offload && b.left > gso_size));
    ASSERT(gso_size > 0 || b.left <= s->config.mtu);
    if (guest_of(r, &r->last))
        check_window(guest_of(r, &r->last), &r->last);
    r->segments++;
    r->largest = MAX(r->largest, b.left);
    r->resets += (r->last.flags & TCP_RST) != 0;
    r->down_bytes += o->l4_bytes;
    post(r, &r->down, &p);
    if (list_is_empty(&r->down))
        r->down_bytes = 0;
}

void icmp_send_error(struct switch_ *s, const struct packet *p, enum icmp_error what, uint32_t rest)
{
    ASSERT(p->raw_bytes >= 28);
    current->icmp_errors++;
    current->last_icmp = what;
}

void switch_turn(struct switch_ *s)
{
    switch_want_flush(s);
}

void switch_want_flush(struct switch_ *s)
{
    current->want = true;
}

enum nat_verdict nat_outbound(const struct switch_ *s, uint8_t proto, const struct ip_endpoint *dst,
                              struct ip_endpoint *to)
{
    static const uint8_t gateway[4] = { 192, 168, 127, 1 };
    struct ip_addr at = ip_addr_of_v4(gateway);

    *to = *dst;
    return ip_addr_equal(&dst->addr, &at) ? NAT_GATEWAY : current->verdict;
}

/* ---- towards the switch ------------------------------------------------------------------ */

static void encode(struct tcp_rig *r, const struct tcp_guest *g, const struct tcp_header *h,
                   const uint8_t *data, size_t len_bytes)
{
    static uint8_t buf[70000];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct parcel p = { .src = g->self.addr, .dst = g->remote.addr, .l4 = buf };

    tcp_put(&w, h);
    if (len_bytes > 0)
        bytes_put(&w, data, len_bytes);
    ASSERT(bytes_out_ok(&w));
    p.len_bytes = w.len_bytes;
    post(r, &r->up, &p);
}

static void guest_sends(void *ctx, struct tcp_guest *g, const struct tcp_header *h,
                        const uint8_t *data, size_t len_bytes)
{
    encode(ctx, g, h, data, len_bytes);
}

void tcp_rig_inject(struct tcp_rig *r, const struct tcp_guest *g, const struct tcp_header *h,
                    const uint8_t *data, size_t len_bytes)
{
    struct tcp_header full = *h;

    full.src_port = g->self.port;
    full.dst_port = g->remote.port;
    encode(r, g, &full, data, len_bytes);
}

static void deliver_up(struct tcp_rig *r)
{
    struct list batch, *it, *tmp;
    unsigned left = 64;

    list_init(&batch);
    while (!list_is_empty(&r->up) && left-- > 0) {
        struct parcel *p = container_of(r->up.next, struct parcel, link);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in base/list.h */
        struct packet packet = { .ip = { .src = p->src, .dst = p->dst, .proto = IP_PROTO_TCP } };

        list_remove(&p->link);
        if (r->cut) {
            parcel_free(p);
            continue;
        }
        list_append(&batch, &p->link);
        packet.l4 = packet.raw = p->l4;
        packet.l4_bytes = p->len_bytes;
        packet.raw_bytes = p->len_bytes + 20;
        packet.csum_ok = true;
        packet.lasts = r->wire.lasts;
        tcp_input(&r->sw, &packet);
        if (!packet.lasts)
            memset(p->l4, 0xee, p->len_bytes);
    }
    tcp_batch_end(&r->sw);
    tcp_produce(&r->sw);
    list_for_each(it, tmp, &batch) parcel_free(container_of(it, struct parcel, link));
}

/* ---- towards the guests ------------------------------------------------------------------- */

/* As the guest's kernel cuts a super-segment. */
static void receive(struct tcp_rig *r, const struct parcel *p)
{
    struct bytes b = bytes_of(p->l4, p->len_bytes);
    struct tcp_header h;
    struct tcp_guest *g;
    uint64_t now = sim_now_ms(r->sim);
    uint8_t flags;

    ASSERT(tcp_decode(&h, &b) == ST_OK);
    g = guest_of(r, &h);
    if (!g)
        return;
    flags = h.flags;
    do {
        size_t n = p->gso_size ? MIN(b.left, p->gso_size) : b.left;
        const uint8_t *data = bytes_take(&b, n);

        h.flags = b.left > 0 ? flags & (uint8_t) ~(TCP_FIN | TCP_PSH) : flags;
        tcp_guest_input(g, &h, data, n, now);
        h.seq += (uint32_t)n;
    } while (b.left > 0);
}

static void deliver_down(struct tcp_rig *r)
{
    size_t left = r->rate_bytes_ms;

    while (!list_is_empty(&r->down) && left > 0) {
        struct parcel *p = container_of(r->down.next, struct parcel, link);

        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in base/list.h */
        left -= MIN(left, p->len_bytes);
        if (!r->cut)
            receive(r, p);
        r->down_bytes -= MIN(r->down_bytes, p->len_bytes);
        parcel_free(p);
    }
    if (list_is_empty(&r->down))
        r->down_bytes = 0;
    if (r->was_full && !r->cut && r->down_bytes < r->link_bytes) {
        r->was_full = false;
        tcp_produce(&r->sw);
    }
}

static void run_one_ms(struct tcp_rig *r)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        deliver_up(r);
        sim_run(r->sim);
        for (unsigned i = 0; i < 2 && r->want; i++) {
            r->want = false;
            tcp_produce(&r->sw);
        }
    }
    deliver_down(r);
    for (unsigned i = 0; i < r->guest_count; i++)
        tcp_guest_run(r->guests[i], sim_now_ms(r->sim));
    sim_advance_ms(r->sim, 1);
}

void tcp_rig_run_ms(struct tcp_rig *r, unsigned ms)
{
    while (ms-- > 0)
        run_one_ms(r);
}

/* ---- life --------------------------------------------------------------------------------- */

struct tcp_rig *tcp_rig_new(uint64_t seed, const struct switch_limits *limits)
{
    static const struct switch_limits defaults = { .tcp_flows = 64,
                                                   .tcp_half_open = 32,
                                                   .tcp_half_open_dest = 32,
                                                   .tcp_dial_ms = 10000,
                                                   .opens_beside_bulk = 2000,
                                                   .flow_buffer_bytes = 262144,
                                                   .total_buffer_bytes = 192U << 20 };
    struct tcp_rig *r = calloc(1, sizeof *r);

    ASSERT(r);
    current = r;
    r->rng = seed * 2 + 1;
    r->sim = sim_new();
    r->net = net_sim_new(r->sim);
    list_init(&r->up);
    list_init(&r->down);
    r->link_bytes = 512 * 1024;
    r->rate_bytes_ms = 1024 * 1024;
    r->wire.lasts = true;
    r->verdict = NAT_OUTSIDE;
    r->sw.env = (struct switch_env){ .loop = sim_loop(r->sim),
                                     .net = net_sim_net(r->net),
                                     .random = rig_bytes };
    r->sw.config.mtu = 1500;
    r->sw.config.limits = limits ? *limits : defaults;
    r->sw.link = (struct frame_link *)(void *)r->frame;
    ASSERT(tcp_new(&r->sw) == ST_OK);
    return r;
}

void tcp_rig_free(struct tcp_rig *r)
{
    struct list *it, *tmp;

    tcp_free(&r->sw);
    list_for_each(it, tmp, &r->up) parcel_free(container_of(it, struct parcel, link));
    list_for_each(it, tmp, &r->down) parcel_free(container_of(it, struct parcel, link));
    for (unsigned i = 0; i < r->guest_count; i++)
        free(r->guests[i]);
    net_sim_free(r->net);
    sim_free(r->sim);
    free(r);
    current = NULL;
}

struct tcp_guest *tcp_rig_guest(struct tcp_rig *r, uint16_t port, uint16_t to_port)
{
    struct tcp_guest *g = malloc(sizeof *g);

    ASSERT(g && r->guest_count < RIG_GUESTS_MAX);
    tcp_guest_init(g, r->guest_count, guest_sends, r);
    g->self = (struct ip_endpoint){ ip_addr_v4(0xc0a87f02), port };
    g->remote = (struct ip_endpoint){ ip_addr_v4(0x0a000001), to_port };
    r->guests[r->guest_count++] = g;
    return g;
}

struct tcp_guest *tcp_rig_open(struct tcp_rig *r, uint16_t port, struct net_sim_peer **host)
{
    struct tcp_guest *g = tcp_rig_guest(r, port, 80);

    net_sim_next_connect(r->net, ST_OK, 1);
    tcp_guest_connect(g, tcp_rig_random(r, 1U << 30) * 4, sim_now_ms(r->sim));
    for (unsigned ms = 0; ms < 60000 && g->state != TG_OPEN; ms++)
        tcp_rig_run_ms(r, 1);
    ASSERT(g->state == TG_OPEN);
    tcp_rig_run_ms(r, 2);
    *host = net_sim_take_connected(r->net);
    ASSERT(*host);
    return g;
}

/* ---- what tests ask ------------------------------------------------------------------------ */

const struct switch_limits tcp_rig_tight = { .tcp_flows = 8,
                                             .tcp_half_open = 4,
                                             .tcp_half_open_dest = 3,
                                             .tcp_dial_ms = 10000,
                                             .opens_beside_bulk = 2000,
                                             .flow_buffer_bytes = 65536,
                                             .total_buffer_bytes = 256 * 1024 };

struct switch_census tcp_rig_census(struct tcp_rig *r)
{
    struct switch_census c = { 0 };

    tcp_census(&r->sw, &c);
    return c;
}

struct tcp_flow *tcp_rig_flow(struct tcp_rig *r, const struct tcp_guest *g)
{
    struct tcp_key key = { g->self.addr, g->remote.addr, g->self.port, g->remote.port };

    return tcp_find(r->sw.tcp, &key);
}

void tcp_rig_expect(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t len)
{
    size_t have;
    const uint8_t *data = net_sim_peer_data(host, &have);

    ASSERT(have == len);
    tcp_guest_check(data, g->id * 2 + 1, 0, have);
}

void tcp_rig_host_sends(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t from,
                        size_t len)
{
    uint8_t *data = malloc(len);

    ASSERT(data);
    tcp_guest_fill(data, g->id * 2, from, len);
    net_sim_peer_send(host, data, len);
    free(data);
}
