/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: where frames come in, and the table of contents of the data path.
 *
 *     link: on_frame() --> Ethernet --> ARP --------------------------------> neigh.c
 *                             |
 *                             v
 *                         IPv4, IPv6 --> source? fragment? hops left? --> tcp.c  udp.c  icmp.c
 *                                                    |
 *                                              reassembly.c
 *     link: on_batch_end(), on_writable(), the flush timer --> tcp_produce() --> one write
 *
 * Life of a frame: it is looked at where the link read it. Its headers are decoded into one struct
 * packet on the stack, which the modules only read; what they keep they copy, but for TCP, which
 * may point into a packet that `lasts` until the end of the batch. Nothing is allocated.
 *
 * Who may send: a frame's source MAC is neither multicast nor ours, and it is for our MAC or for
 * everybody. A packet's source is an address of the virtual network that is not one of ours; an
 * unspecified source is somebody who has none yet. So an answer always has somewhere to go, and no
 * guest can speak for the gateway. Towards outside a packet needs a hop left (RFC 1812 5.3.1); the
 * gateway and the host alias are on the link.
 *
 * Flush: frames that are composed gather in the link's batch. At the end of a batch from the link,
 * and else once per turn of the loop by a timer that is due at once, TCP fills up what room is left
 * and everything leaves with one write.
 *
 * Links come and go, everything else stays: without a link nothing can be composed, so TCP keeps
 * what it has and retransmits, datagrams are lost. A new link replaces an old one at once.
 * Counters of a link are added to the switch's as they grow (absorb_stats()), so they outlive it.
 *
 * Runs on: one loop, entered from its link, its sockets and its timers, never recursively.
 */
#include "base/log.h"
#include "port/stream.h"
#include "switch/switch_internal.h"

#include <stdlib.h>
#include <string.h>

enum { LINK_BUFFER_BYTES = 1024 * 1024 };

/* ---- flushing ---------------------------------------------------------------------------- */

static void absorb_stats(struct switch_ *s)
{
    const struct frame_link_stats *now = frame_link_get_stats(s->link), *old = &s->link_seen;

    s->count.rx_frames += now->rx_frames - old->rx_frames;
    s->count.rx_bytes += now->rx_bytes - old->rx_bytes;
    s->count.tx_frames += now->tx_frames - old->tx_frames;
    s->count.tx_bytes += now->tx_bytes - old->tx_bytes;
    s->count.drop_runt += now->rx_runt - old->rx_runt;
    s->count.drop_oversized += now->rx_oversized - old->rx_oversized;
    s->link_seen = *now;
}

void switch_flush(struct switch_ *s)
{
    if (!s->link)
        return;
    frame_link_flush(s->link);
    absorb_stats(s);
}

void switch_want_flush(struct switch_ *s)
{
    if (!s->in_batch && !timer_is_running(&s->flush))
        timer_start(&s->flush, 0);
}

/* What TCP leaves for the next turn it asks for itself. */
static void produce_and_flush(struct switch_ *s)
{
    s->in_produce = true;
    tcp_produce(s);
    s->in_produce = false;
    switch_flush(s);
}

void switch_turn(struct switch_ *s)
{
    if (!s->in_batch && !s->in_produce)
        produce_and_flush(s);
}

static void flush_turn(void *ctx)
{
    produce_and_flush(ctx);
}

/* ---- frames ------------------------------------------------------------------------------ */

/* IPv6 neighbours speak from link-local addresses and from none; IPv4 only for DHCP from none. */
static bool source_is_right(const struct switch_ *s, const struct ip_header *ip)
{
    if (nat_is_guest(s, &ip->src))
        return true;
    return ip_addr_is_unspecified(&ip->src) &&
           ip->proto == (ip_addr_is_v4(&ip->src) ? IP_PROTO_UDP : IP_PROTO_ICMP6);
}

/* Neither we nor a socket of the host speaks it. IPv6 wants to know where in the packet that is
 * (RFC 4443 3.4), which behind extension headers is not known any more: silence. */
static void refuse_protocol(struct switch_ *s, const struct packet *p)
{
    enum { NO_NEXT_HEADER = 59, NEXT_HEADER_AT = 6 };
    bool is_v4 = ip_addr_is_v4(&p->ip.dst);

    s->count.drop_not_for_us++;
    if (is_v4)
        icmp_send_error(s, p, ICMP_ERROR_PROTOCOL, 0);
    else if (p->ip.header_bytes == IP6_HEADER_BYTES && p->ip.proto != NO_NEXT_HEADER)
        icmp_send_error(s, p, ICMP_ERROR_PROTOCOL, NEXT_HEADER_AT);
}

static void dispatch(struct switch_ *s, const struct packet *p)
{
    switch (p->ip.proto) {
    case IP_PROTO_TCP:
        if (nat_is_broadcast(s, &p->ip.dst))
            s->count.drop_not_for_us++;
        else
            tcp_input(s, p);
        break;
    case IP_PROTO_UDP: udp_input(s, p); break;
    case IP_PROTO_ICMP:
    case IP_PROTO_ICMP6: icmp_input(s, p); break;
    default: refuse_protocol(s, p); break;
    }
}

static bool has_hops_left(struct switch_ *s, const struct packet *p)
{
    if (p->ip.ttl > 1 || nat_is_own(s, &p->ip.dst) || nat_is_broadcast(s, &p->ip.dst))
        return true;
    s->count.drop_ttl++;
    icmp_send_error(s, p, ICMP_ERROR_TTL, 0);
    return false;
}

static void ip_input(struct switch_ *s, struct packet *p)
{
    struct packet whole;

    if (!neigh_is_known(s, &p->from, &p->ip.src)) {
        if (!source_is_right(s, &p->ip)) {
            s->count.drop_bad_source++;
            return;
        }
        neigh_learn(s, &p->from, &p->ip.src);
    }
    if (!has_hops_left(s, p))
        return;
    if (p->ip.more_fragments || p->ip.fragment_offset) {
        if (reassembly_add(s, p, &whole))
            dispatch(s, &whole);
        return;
    }
    dispatch(s, p);
}

static void ip_frame(struct switch_ *s, const struct eth_header *eth, struct bytes *r,
                     const struct frame_offload *off)
{
    struct packet p = { .from = eth->src, .raw = r->p, .lasts = true };
    enum status st = eth->type == ETH_TYPE_IP4 ? ip4_decode(&p.ip, r) : ip6_decode(&p.ip, r);

    if (st) {
        s->count.drop_malformed++;
        return;
    }
    p.l4 = r->p;
    p.l4_bytes = r->left;
    p.raw_bytes = (size_t)(r->p - p.raw) + r->left;
    if (off) {
        p.csum_ok = off->needs_csum || off->csum_valid;
        p.gso_size = off->gso == FRAME_GSO_NONE ? 0 : off->gso_size;
    }
    ip_input(s, &p);
}

static void on_frame(void *ctx, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct switch_ *s = ctx;
    struct bytes r = bytes_of(frame, len_bytes);
    struct eth_header eth;

    if (!s->in_batch) {
        s->in_batch = true;
        s->last_rx_ms = switch_now_ms(s);
    }
    if (s->on_frame)
        s->on_frame(s->on_frame_ctx, false, frame, len_bytes, off);
    if (eth_decode(&eth, &r)) {
        s->count.drop_malformed++;
        return;
    }
    if (!neigh_seen(s, &eth.src)) {
        s->count.drop_bad_source++;
        return;
    }
    if (!mac_equal(&eth.dst, &s->config.gateway_mac) && !mac_is_multicast(&eth.dst))
        s->count.drop_not_for_us++;
    else if (eth.type == ETH_TYPE_IP4 || (eth.type == ETH_TYPE_IP6 && s->config.ip6))
        ip_frame(s, &eth, &r, off);
    else if (eth.type == ETH_TYPE_ARP)
        neigh_arp_input(s, &eth, &r);
    else
        s->count.drop_not_for_us++;
}

static void on_batch_end(void *ctx)
{
    struct switch_ *s = ctx;

    tcp_batch_end(s);
    s->in_batch = false;
    produce_and_flush(s);
}

static void on_writable(void *ctx)
{
    produce_and_flush(ctx);
}

/* ---- links ------------------------------------------------------------------------------- */

static void drop_link(struct switch_ *s)
{
    if (!s->link)
        return;
    absorb_stats(s);
    frame_link_free(s->link);
    s->link = NULL;
    s->in_batch = false;
    memset(&s->link_seen, 0, sizeof s->link_seen);
}

static void on_end(void *ctx, enum status why)
{
    struct switch_ *s = ctx;

    log_write_limited(&s->link_log, LOG_INFO, LOG_SWITCH,
                      "link ended: %s; flows are kept for the next one", status_text(why));
    drop_link(s);
    if (s->on_link_end)
        s->on_link_end(s->on_link_end_ctx, why);
}

static const struct frame_link_handler link_handler = {
    .on_frame = on_frame,
    .on_batch_end = on_batch_end,
    .on_writable = on_writable,
    .on_end = on_end,
};

/* Super-segments of v2 are as large as IP can be; otherwise a frame has the network's MTU. */
static struct frame_link_config link_config(const struct switch_ *s, int protocol)
{
    struct frame_link_config c = { .protocol = (enum frame_protocol)protocol };

    if (protocol != FRAME_V2)
        c.max_frame_bytes = ETH_HEADER_BYTES + s->config.mtu;
    return c;
}

enum status switch_attach(struct switch_ *s, struct stream *stream, int frame_protocol)
{
    struct frame_link_config config = link_config(s, frame_protocol);
    struct frame_link *link = NULL;
    enum status st = frame_link_new(&link, stream, &config, &link_handler, s);

    if (st)
        return st;
    drop_link(s);
    s->link = link;
    if (switch_has_large_mtu(s)) /* as it is, it holds three frames */
        stream_want_send_buffer(stream, LINK_BUFFER_BYTES);
    log_write_limited(&s->link_log, LOG_INFO, LOG_SWITCH, "link attached: protocol=%s",
                      frame_protocol_name(config.protocol));
    neigh_link_up(s);
    tcp_link_attached(s);
    switch_want_flush(s);
    return ST_OK;
}

void switch_detach(struct switch_ *s)
{
    if (!s->link)
        return;
    drop_link(s);
    if (s->on_link_end)
        s->on_link_end(s->on_link_end_ctx, ST_DENIED);
}

bool switch_has_link(const struct switch_ *s)
{
    return s->link != NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

/* The low half of @net with @host as its last byte. */
static struct ip_addr in_net6(const struct ip_addr *net, uint16_t host)
{
    struct ip_addr a = *net;

    a.b[14] = (uint8_t)(host >> 8);
    a.b[15] = (uint8_t)host;
    return a;
}

/* fe80:: with the modified EUI-64 of @mac (RFC 4291, appendix A). */
static struct ip_addr link_local_of(const struct mac *mac)
{
    struct ip_addr a = { { 0xfe, 0x80, [11] = 0xff, [12] = 0xfe } };

    memcpy(a.b + 8, mac->b, 3);
    memcpy(a.b + 13, mac->b + 3, 3);
    a.b[8] ^= 2;
    return a;
}

static void derive(struct switch_ *s)
{
    s->gateway6 = in_net6(&s->config.net6, 0x1);
    s->host6 = in_net6(&s->config.net6, 0x254);
    s->gateway_link_local = link_local_of(&s->config.gateway_mac);
}

static enum status new_parts(struct switch_ *s)
{
    static enum status (*const parts[])(struct switch_ *) = {
        neigh_new, reassembly_new, icmp_new,    udp_new,     tcp_new,
        dhcp_new,  dns_new,        forward_new, control_new,
    };
    enum status st = ST_OK;

    for (size_t i = 0; i < ARRAY_SIZE(parts) && !st; i++)
        st = parts[i](s);
    return st;
}

enum status switch_new(struct switch_ **out, const struct switch_env *env,
                       const struct switch_config *config, struct errmsg *e)
{
    struct switch_ *s = calloc(1, sizeof *s);
    enum status st = ST_NOMEM;

    if (!s)
        goto failed;
    s->env = *env;
    s->config = *config;
    s->link_log.burst = LOG_BURST;
    timer_init(&s->flush, env->loop, flush_turn, s);
    st = switch_config_finish(&s->config, e);
    if (st)
        goto free_it; /* the message is there */
    derive(s);
    st = env->random(&s->hash_key, sizeof s->hash_key);
    if (!st)
        st = env->random(&s->next_ip_id, sizeof s->next_ip_id);
    if (!st)
        st = new_parts(s);
    if (st)
        goto failed;
    *out = s;
    return ST_OK;
failed:
    errmsg_set(e, "start the switch: %s", status_text(st));
free_it:
    switch_free(s);
    return st;
}

/* In reverse; each part says its last word while the link is there. */
void switch_free(struct switch_ *s)
{
    if (!s)
        return;
    control_free(s);
    forward_free(s);
    dns_free(s);
    dhcp_free(s);
    tcp_free(s);
    udp_free(s);
    icmp_free(s);
    reassembly_free(s);
    neigh_free(s);
    switch_flush(s);
    drop_link(s);
    timer_stop(&s->flush);
    free(s);
}

/* ---- for others to look at --------------------------------------------------------------- */

void switch_watch_frames(struct switch_ *s, switch_frame_fn *fn, void *ctx)
{
    s->on_frame = fn;
    s->on_frame_ctx = ctx;
}

void switch_on_link_end(struct switch_ *s, switch_link_end_fn *fn, void *ctx)
{
    s->on_link_end = fn;
    s->on_link_end_ctx = ctx;
}

void switch_network_changed(struct switch_ *s)
{
    dns_network_changed(s);
    forward_network_changed(s);
}

const struct switch_counters *switch_get_counters(struct switch_ *s)
{
    if (s->link)
        absorb_stats(s);
    return &s->count;
}

void switch_get_census(const struct switch_ *s, struct switch_census *out)
{
    *out = (struct switch_census){
        .udp_flows = udp_count(s),
        .pings = icmp_count(s),
        .fragments = reassembly_count(s),
        .neighbours = neigh_count(s),
        .forwards = forward_count(s),
        .last_rx_ms = s->last_rx_ms,
        .guest_has_address = dhcp_guest_has_address(s),
    };
    tcp_census(s, out);
}
