/* SPDX-License-Identifier: Apache-2.0
 * sim_world_guest.c - the guest's kernel of a sim_world: frames of its connections, datagrams and
 * questions, and what it makes of the frames it gets.
 */
#include "base/util.h"
#include "support/frame_build.h"
#include "support/sim_world_internal.h"
#include "wire/csum.h"
#include "wire/dhcp.h"

#include <string.h>

enum { TCP_CSUM_AT = 16, GSO_OF_1000 = 300, DNS_CLIENT_PORT = 3999 };
enum { DHCP_COOKIE = 0x63825363, BOOTP_CHADDR_AT = 28 };

static struct frame out; /* frames are made one at a time */

/* ---- segments ----------------------------------------------------------------------------- */

struct made {
    uint8_t b[FRAME_MAX_BYTES];
    size_t len_bytes, l4;
};

static void put_be16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* A segment with its checksum; @partial: only the pseudo-header's, as a kernel with offload. */
static void make_segment(struct made *m, const struct ip_endpoint *from,
                         const struct ip_endpoint *to, const struct tcp_header *h,
                         const uint8_t *data, size_t len_bytes, bool partial)
{
    bool v4 = ip_addr_is_v4(&from->addr);
    struct bytes_out w = bytes_into(m->b, sizeof m->b);
    size_t header_bytes = TCP_HEADER_BYTES + 4 * ((size_t)h->has_mss + h->has_window_scale);
    struct ip_header ip = { .src = from->addr,
                            .dst = to->addr,
                            .proto = IP_PROTO_TCP,
                            .ttl = 64,
                            .dont_fragment = true,
                            .payload_bytes = (uint16_t)(header_bytes + len_bytes) };
    uint64_t sum;

    eth_put(&w, &(struct eth_header){ .dst = frame_gateway_mac,
                                      .src = frame_guest_mac,
                                      .type = v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6 });
    (v4 ? ip4_put : ip6_put)(&w, &ip);
    m->l4 = w.len_bytes;
    tcp_put(&w, h);
    ASSERT(w.len_bytes == m->l4 + header_bytes);
    if (len_bytes)
        bytes_put(&w, data, len_bytes);
    ASSERT(bytes_out_ok(&w));
    m->len_bytes = w.len_bytes;
    sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, ip.payload_bytes);
    put_be16(m->b + m->l4 + TCP_CSUM_AT,
             partial ? csum_fold(sum) : csum_finish(csum_add(sum, m->b + m->l4, ip.payload_bytes)));
}

void world_guest_segment(void *world, struct tcp_guest *g, const struct tcp_header *h,
                         const uint8_t *data, size_t len_bytes)
{
    static struct made m;
    struct sim_world *w = world;
    bool v4 = ip_addr_is_v4(&g->self.addr), large = len_bytes > g->peer_mss;
    bool offload =
        w->wire.protocol == FRAME_V2 && (large || sim_wire_chance(&w->wire, GSO_OF_1000));
    struct frame_offload off = { .needs_csum = true, .csum_offset = TCP_CSUM_AT };

    make_segment(&m, &g->self, &g->remote, h, data, len_bytes, offload);
    off.csum_start = (uint16_t)m.l4;
    if (large) {
        off.gso = v4 ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6;
        off.gso_size = g->peer_mss;
        off.header_bytes = (uint16_t)(m.len_bytes - len_bytes);
    }
    sim_wire_send(&w->wire, m.b, m.len_bytes, offload ? &off : NULL);
}

/* Nobody is there: RFC 9293 3.10.7.1. */
static void refuse(struct sim_world *w, const struct frame_view *v)
{
    static struct made m;
    const struct ip_endpoint from = { v->ip.dst, v->tcp.dst_port },
                             to = { v->ip.src, v->tcp.src_port };
    struct tcp_header rst = { .src_port = from.port, .dst_port = to.port, .flags = TCP_RST };

    if (v->tcp.flags & TCP_RST)
        return;
    if (v->tcp.flags & TCP_ACK) {
        rst.seq = v->tcp.ack;
    } else {
        rst.flags |= TCP_ACK;
        rst.ack = v->tcp.seq + (uint32_t)v->payload_bytes + !!(v->tcp.flags & TCP_SYN) +
                  !!(v->tcp.flags & TCP_FIN);
    }
    make_segment(&m, &from, &to, &rst, NULL, 0, false);
    sim_wire_send(&w->wire, m.b, m.len_bytes, NULL);
}

static bool is_of(const struct world_flow *f, const struct ip_addr *self, uint16_t port,
                  const struct ip_addr *remote, uint16_t remote_port)
{
    return f->g.self.port == port && ip_addr_equal(&f->g.self.addr, self) &&
           f->g.remote.port == remote_port && ip_addr_equal(&f->g.remote.addr, remote);
}

static struct world_flow *find_flow(struct sim_world *w, const struct frame_view *v)
{
    for (unsigned i = 0; i < w->flow_count; i++) {
        struct world_flow *f = &w->flows[i];

        if (f->g.state == TG_LISTEN && (v->tcp.flags & TCP_SYN) &&
            f->g.self.port == v->tcp.dst_port && ip_addr_equal(&f->g.self.addr, &v->ip.dst))
            f->g.remote = (struct ip_endpoint){ v->ip.src, v->tcp.src_port };
        if (is_of(f, &v->ip.dst, v->tcp.dst_port, &v->ip.src, v->tcp.src_port))
            return f;
    }
    return NULL;
}

static bool is_dead(const struct tcp_guest *g)
{
    return g->state == TG_RESET || g->state == TG_CLOSED;
}

/* As the kernel cuts a super-segment. */
static void tcp_frame(struct sim_world *w, const struct frame_view *v,
                      const struct frame_offload *off)
{
    struct world_flow *f = find_flow(w, v);
    struct bytes b = bytes_of(v->payload, v->payload_bytes);
    struct tcp_header h = v->tcp;
    uint64_t now = sim_now_ms(w->sim);
    size_t most = off && off->gso ? off->gso_size : b.left;

    if (!f || is_dead(&f->g)) {
        refuse(w, v);
        return;
    }
    ASSERT(f->g.state != TG_OPEN || most <= f->g.mss);
    do {
        size_t n = MIN(b.left, most);
        const uint8_t *data = bytes_take(&b, n);

        h.flags = b.left > 0 ? v->tcp.flags & (uint8_t) ~(TCP_FIN | TCP_PSH) : v->tcp.flags;
        tcp_guest_input(&f->g, &h, data, n, now);
        h.seq += (uint32_t)n;
    } while (b.left > 0);
    f->was_open |= f->g.state == TG_OPEN;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void unreachable(struct sim_world *w, const struct frame_view *v)
{
    struct bytes r = bytes_of(v->payload, v->payload_bytes);
    struct ip_header ip;
    uint16_t src_port, dst_port;

    if ((v->is_ip6 ? ip6_decode : ip4_decode)(&ip, &r) || ip.proto != IP_PROTO_TCP)
        return;
    src_port = bytes_be16(&r);
    dst_port = bytes_be16(&r);
    ASSERT(bytes_ok(&r));
    for (unsigned i = 0; i < w->flow_count; i++) {
        struct world_flow *f = &w->flows[i];

        if (!is_of(f, &ip.src, src_port, &ip.dst, dst_port) || f->g.state != TG_SYN_SENT)
            continue;
        f->is_unreachable = true;
        f->g.state = TG_RESET;
    }
}

static void answer_solicit(struct sim_world *w, const struct frame_view *v)
{
    enum { SOLICITED_OVERRIDE = 0x60 };
    struct bytes r = bytes_of(v->payload, v->payload_bytes);
    struct ndp_neighbour n;
    uint8_t body[64];
    struct bytes_out b = bytes_into(body, sizeof body);
    struct frame_path path = { .src_mac = frame_guest_mac,
                               .dst_mac = v->eth.src,
                               .src = w->ip6,
                               .dst = v->ip.src,
                               .ttl = 255 };

    if (ndp_decode(&n, v->icmp.type, &r) || !ip_addr_equal(&n.target, &w->ip6))
        return;
    n.has_link_address = true;
    n.link_address = frame_guest_mac;
    ndp_put(&b, ICMP6_NEIGHBOUR_ADVERT, &n);
    frame_icmp(&out, &path, ICMP6_NEIGHBOUR_ADVERT, 0, (uint32_t)SOLICITED_OVERRIDE << 24, body,
               b.len_bytes);
    sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
}

static void icmp_frame(struct sim_world *w, const struct frame_view *v)
{
    if (v->icmp.type == (v->is_ip6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY))
        w->pings_answered++;
    else if (v->icmp.type == (v->is_ip6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE))
        unreachable(w, v);
    else if (v->is_ip6 && v->icmp.type == ICMP6_NEIGHBOUR_SOLICIT)
        answer_solicit(w, v);
}

static void udp_frame(struct sim_world *w, const struct frame_view *v)
{
    if (v->udp.dst_port == DHCP_CLIENT_PORT) {
        w->dhcp_answers++;
    } else if (v->udp.dst_port == WORLD_UDP_SERVICE_PORT) {
        world_udp_service(w, v);
    } else if (v->udp.dst_port == DNS_CLIENT_PORT) {
        ASSERT(v->udp.src_port == 53 && v->payload_bytes >= 12 && (v->payload[2] & 0x80));
        w->dns_answers++;
    } else {
        for (size_t i = 0; i < v->payload_bytes; i++)
            ASSERT(v->payload[i] == (v->udp.dst_port & 0xff));
        w->udp_answers++;
    }
}

static void arp_frame(struct sim_world *w, const struct frame_view *v)
{
    struct frame_path path = {
        .src_mac = frame_guest_mac, .dst_mac = v->eth.src, .src = w->ip4, .dst = v->arp.sender
    };

    if (v->arp.op != ARP_REQUEST || !ip_addr_equal(&v->arp.target, &w->ip4))
        return;
    frame_arp_reply(&out, &path);
    sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
}

void world_guest_frame(void *world, const struct frame_view *v, const struct frame_offload *off)
{
    struct sim_world *w = world;

    if (!mac_equal(&v->eth.dst, &frame_guest_mac) && !mac_is_multicast(&v->eth.dst))
        return; /* the switch was told of another neighbour */
    if (v->is_arp)
        arp_frame(w, v);
    else if (v->is_tcp)
        tcp_frame(w, v, off);
    else if (v->is_icmp)
        icmp_frame(w, v);
    else if (v->is_udp && !v->ip.more_fragments && !v->ip.fragment_offset)
        udp_frame(w, v);
}

/* ---- questions ---------------------------------------------------------------------------- */

static struct frame_path path_to(const struct sim_world *w, const struct ip_addr *to)
{
    return (struct frame_path){ .src_mac = frame_guest_mac,
                                .dst_mac = frame_gateway_mac,
                                .src = ip_addr_is_v4(to) ? w->ip4 : w->ip6,
                                .dst = *to,
                                .ttl = 64 };
}

void sim_world_udp(struct sim_world *w, uint16_t port, const struct ip_addr *to, size_t len_bytes)
{
    enum { PIECE_BYTES = 1200 };
    static struct frame piece;
    static uint8_t data[8192];
    struct frame_path path = path_to(w, to);
    size_t total = len_bytes + UDP_HEADER_BYTES, at = 0;

    ASSERT(len_bytes <= sizeof data);
    memset(data, port & 0xff, len_bytes);
    path.id = sim_wire_random(&w->wire, 16);
    frame_udp(&out, &path, port, 9000, data, len_bytes);
    if (total <= PIECE_BYTES) {
        sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
        return;
    }
    for (; at < total; at += PIECE_BYTES) {
        frame_fragment(&piece, &out, at, MIN(PIECE_BYTES, total - at));
        sim_wire_send(&w->wire, piece.b, piece.len_bytes, NULL);
    }
}

void sim_world_ping(struct sim_world *w, const struct ip_addr *to, size_t len_bytes)
{
    struct frame_path path = path_to(w, to);

    frame_icmp(&out, &path, ip_addr_is_v4(to) ? ICMP4_ECHO : ICMP6_ECHO, 0, 0x10001, NULL,
               len_bytes);
    sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
}

void world_put_question(struct bytes_out *b, uint16_t id, const char *name)
{
    bytes_put_be16(b, id);
    bytes_put_be16(b, 0x0100); /* recursion desired */
    bytes_put_be16(b, 1);
    for (unsigned i = 0; i < 3; i++)
        bytes_put_be16(b, 0);
    for (const char *label = name; *label; label += strcspn(label, ".") + 1) {
        size_t n = strcspn(label, ".");

        bytes_put_u8(b, (uint8_t)n);
        bytes_put(b, label, n);
        if (!label[n])
            break;
    }
    bytes_put_u8(b, 0);
    bytes_put_be16(b, 1); /* A, IN */
    bytes_put_be16(b, 1);
    ASSERT(bytes_out_ok(b));
}

void sim_world_ask_name(struct sim_world *w, uint16_t id, const char *name)
{
    uint8_t message[300];
    struct bytes_out b = bytes_into(message, sizeof message);
    struct frame_path path = path_to(w, &w->config.gateway);

    world_put_question(&b, id, name);
    frame_udp(&out, &path, DNS_CLIENT_PORT, 53, message, b.len_bytes);
    sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
}

void sim_world_ask_address(struct sim_world *w)
{
    static const uint8_t options[] = { 53, 1, DHCP_DISCOVER, 255 };
    uint8_t m[DHCP_MIN_BYTES] = { 1, 1, 6, 0, 1, 2, 3, 4 }; /* BOOTREQUEST, Ethernet; xid */
    struct frame_path path = { .src_mac = frame_guest_mac,
                               .dst_mac = frame_broadcast_mac,
                               .src = frame_addr("0.0.0.0"),
                               .dst = frame_addr("255.255.255.255"),
                               .ttl = 64 };

    memcpy(m + BOOTP_CHADDR_AT, frame_guest_mac.b, sizeof frame_guest_mac.b);
    put_be16(m + DHCP_FIXED_BYTES, DHCP_COOKIE >> 16);
    put_be16(m + DHCP_FIXED_BYTES + 2, DHCP_COOKIE & 0xffff);
    memcpy(m + DHCP_FIXED_BYTES + 4, options, sizeof options);
    frame_udp(&out, &path, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, m, sizeof m);
    sim_wire_send(&w->wire, out.b, out.len_bytes, NULL);
}
