/* SPDX-License-Identifier: Apache-2.0 */
#include "support/frame_build.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "wire/csum.h"

#include <stdio.h>
#include <string.h>

const struct mac frame_guest_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
const struct mac frame_gateway_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd } };
const struct mac frame_broadcast_mac = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

/* ---- who and what ------------------------------------------------------------------------- */

struct ip_addr frame_addr(const char *text)
{
    struct ip_addr a;

    if (ip_addr_parse(&a, text))
        fail_msg("\"%s\" is no address", text);
    return a;
}

struct frame_path frame_path(const char *src, const char *dst)
{
    return (struct frame_path){
        .src_mac = frame_guest_mac,
        .dst_mac = frame_gateway_mac,
        .src = frame_addr(src),
        .dst = frame_addr(dst),
        .ttl = 64,
    };
}

struct frame_path frame_path_back(const struct frame_path *p)
{
    struct frame_path back = *p;

    back.src_mac = p->dst_mac;
    back.dst_mac = p->src_mac;
    back.src = p->dst;
    back.dst = p->src;
    return back;
}

uint8_t frame_pattern(uint64_t at)
{
    return (uint8_t)(at % 251);
}

void frame_pattern_fill(void *buf, uint64_t at, size_t len_bytes)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < len_bytes; i++)
        p[i] = frame_pattern(at + i);
}

/* ---- layers ------------------------------------------------------------------------------- */

static void put_payload(struct bytes_out *w, const void *payload, size_t len_bytes)
{
    if (payload || len_bytes == 0) {
        bytes_put(w, payload, len_bytes);
    } else if (len_bytes <= w->cap_bytes - w->len_bytes) {
        frame_pattern_fill(w->p + w->len_bytes, 0, len_bytes);
        w->len_bytes += len_bytes;
    } else {
        w->failed = true;
    }
}

static struct bytes_out begin(struct frame *f, const struct mac *src, const struct mac *dst,
                              uint16_t type)
{
    struct bytes_out w = bytes_into(f->b, sizeof f->b);

    memset(f, 0, sizeof *f);
    eth_put(&w, &(struct eth_header){ .dst = *dst, .src = *src, .type = type });
    f->l3 = w.len_bytes;
    return w;
}

static struct bytes_out begin_ip(struct frame *f, const struct frame_path *p, uint8_t proto,
                                 size_t l4_bytes)
{
    bool v4 = ip_addr_is_v4(&p->src);
    struct bytes_out w = begin(f, &p->src_mac, &p->dst_mac, v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
    struct ip_header h = {
        .src = p->src,
        .dst = p->dst,
        .proto = proto,
        .ttl = p->ttl,
        .traffic_class = p->traffic_class,
        .id = p->id,
        .payload_bytes = (uint16_t)l4_bytes,
    };

    assert_true(ip_addr_is_v4(&p->dst) == v4);
    assert_true(l4_bytes <= IP_MAX_BYTES);
    (v4 ? ip4_put : ip6_put)(&w, &h);
    f->l4 = w.len_bytes;
    return w;
}

static void end(struct frame *f, const struct bytes_out *w)
{
    assert_true(bytes_out_ok(w));
    f->len_bytes = w->len_bytes;
    frame_seal(f);
}

void frame_tcp(struct frame *f, const struct frame_path *p, const struct tcp_header *h,
               const void *payload, size_t len_bytes)
{
    size_t options = 4 * ((size_t)h->has_mss + h->has_window_scale + h->has_sack_permitted);
    struct bytes_out w = begin_ip(f, p, IP_PROTO_TCP, TCP_HEADER_BYTES + options + len_bytes);

    tcp_put(&w, h);
    put_payload(&w, payload, len_bytes);
    end(f, &w);
}

void frame_udp(struct frame *f, const struct frame_path *p, uint16_t src_port, uint16_t dst_port,
               const void *payload, size_t len_bytes)
{
    struct bytes_out w = begin_ip(f, p, IP_PROTO_UDP, UDP_HEADER_BYTES + len_bytes);

    udp_put(&w, &(struct udp_header){ .src_port = src_port,
                                      .dst_port = dst_port,
                                      .payload_bytes = (uint16_t)len_bytes });
    put_payload(&w, payload, len_bytes);
    end(f, &w);
}

void frame_icmp(struct frame *f, const struct frame_path *p, uint8_t type, uint8_t code,
                uint32_t rest, const void *body, size_t len_bytes)
{
    uint8_t proto = ip_addr_is_v4(&p->src) ? IP_PROTO_ICMP : IP_PROTO_ICMP6;
    struct bytes_out w = begin_ip(f, p, proto, ICMP_HEADER_BYTES + len_bytes);

    icmp_put(&w, &(struct icmp_header){ .type = type, .code = code, .rest = rest });
    put_payload(&w, body, len_bytes);
    end(f, &w);
}

void frame_ip(struct frame *f, const struct frame_path *p, uint8_t proto, const void *l4,
              size_t len_bytes)
{
    struct bytes_out w = begin_ip(f, p, proto, len_bytes);

    put_payload(&w, l4, len_bytes);
    assert_true(bytes_out_ok(&w));
    f->len_bytes = w.len_bytes;
}

void frame_fragment(struct frame *f, const struct frame *whole, size_t offset, size_t len_bytes)
{
    struct bytes r = bytes_of(whole->b, whole->len_bytes);
    struct bytes_out w = bytes_into(f->b, sizeof f->b);
    struct eth_header eth;
    struct ip_header ip;

    memset(f, 0, sizeof *f);
    assert_int_equal(eth_decode(&eth, &r), ST_OK);
    assert_int_equal((eth.type == ETH_TYPE_IP4 ? ip4_decode : ip6_decode)(&ip, &r), ST_OK);
    assert_true(offset + len_bytes <= r.left);
    ip.fragment_offset = (uint32_t)offset;
    ip.more_fragments = offset + len_bytes < r.left;
    ip.payload_bytes = (uint16_t)len_bytes;
    eth_put(&w, &eth);
    f->l3 = w.len_bytes;
    (eth.type == ETH_TYPE_IP4 ? ip4_put : ip6_put)(&w, &ip);
    f->l4 = w.len_bytes;
    bytes_put(&w, r.p + offset, len_bytes);
    assert_true(bytes_out_ok(&w));
    f->len_bytes = w.len_bytes;
}

static void put_arp(struct frame *f, const struct frame_path *p, const struct mac *to, uint16_t op)
{
    struct bytes_out w = begin(f, &p->src_mac, to, ETH_TYPE_ARP);
    struct arp_packet arp = {
        .op = op, .sender_mac = p->src_mac, .sender = p->src, .target = p->dst
    };

    if (op == ARP_REPLY)
        arp.target_mac = p->dst_mac;
    arp_put(&w, &arp);
    assert_true(bytes_out_ok(&w));
    f->len_bytes = w.len_bytes;
}

void frame_arp_request(struct frame *f, const struct frame_path *p)
{
    put_arp(f, p, &frame_broadcast_mac, ARP_REQUEST);
}

void frame_arp_reply(struct frame *f, const struct frame_path *p)
{
    put_arp(f, p, &p->dst_mac, ARP_REPLY);
}

void frame_ndp_solicit(struct frame *f, const struct frame_path *p, const char *target)
{
    struct ndp_neighbour n = { .target = frame_addr(target),
                               .has_link_address = true,
                               .link_address = p->src_mac };
    struct frame_path to = *p;
    uint8_t body[64];
    struct bytes_out w = bytes_into(body, sizeof body);

    /* RFC 4291 2.7.1, RFC 2464 7. */
    to.dst = frame_addr("ff02::1:ff00:0");
    memcpy(to.dst.b + 13, n.target.b + 13, 3);
    to.dst_mac = (struct mac){ { 0x33, 0x33 } };
    memcpy(to.dst_mac.b + 2, to.dst.b + 12, 4);
    to.ttl = 255;
    ndp_put(&w, ICMP6_NEIGHBOUR_SOLICIT, &n);
    frame_icmp(f, &to, ICMP6_NEIGHBOUR_SOLICIT, 0, 0, body, w.len_bytes);
}

void frame_hex(struct frame *f, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned nibbles = 0;

    memset(f, 0, sizeof *f);
    for (; *hex; hex++) {
        const char *at;

        if (*hex == ' ' || *hex == '\n')
            continue;
        at = strchr(digits, *hex);
        if (!at)
            fail_msg("'%c' is no hexadecimal digit", *hex);
        f->b[nibbles / 2] = (uint8_t)(f->b[nibbles / 2] << 4 | (at - digits));
        nibbles++;
    }
    assert_int_equal(nibbles % 2, 0);
    f->len_bytes = nibbles / 2;
    f->l3 = ETH_HEADER_BYTES;
}

/* ---- checksums ---------------------------------------------------------------------------- */

static void set_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* @at: of the checksum within layer 4. */
static void seal_l4(struct frame *f, const struct ip_header *ip, size_t at)
{
    size_t len_bytes = f->len_bytes - f->l4;
    uint64_t sum = 0;
    uint16_t checksum;

    if (len_bytes < at + 2)
        return;
    set_be16(f->b + f->l4 + at, 0);
    if (ip->proto != IP_PROTO_ICMP)
        sum = csum_pseudo(&ip->src, &ip->dst, ip->proto, (uint32_t)len_bytes);
    checksum = csum_finish(csum_add(sum, f->b + f->l4, len_bytes));
    set_be16(f->b + f->l4 + at, ip->proto == IP_PROTO_UDP && checksum == 0 ? 0xffff : checksum);
}

void frame_seal(struct frame *f)
{
    struct bytes r = bytes_of(f->b + f->l3, f->len_bytes - f->l3);
    uint8_t *ip4 = f->b + f->l3;
    struct ip_header ip;

    if ((ip4[0] >> 4) == 4) {
        size_t header_bytes = (size_t)(ip4[0] & 15) * 4;

        set_be16(ip4 + 10, 0);
        set_be16(ip4 + 10, csum_finish(csum_add(0, ip4, header_bytes)));
        if (ip4_decode(&ip, &r))
            return;
    } else if (ip6_decode(&ip, &r)) {
        return;
    }
    f->l4 = (size_t)(r.p - f->b);
    if (ip.more_fragments || ip.fragment_offset > 0)
        return;
    switch (ip.proto) {
    case IP_PROTO_TCP: seal_l4(f, &ip, 16); break;
    case IP_PROTO_UDP: seal_l4(f, &ip, 6); break;
    case IP_PROTO_ICMP:
    case IP_PROTO_ICMP6: seal_l4(f, &ip, 2); break;
    default: break;
    }
}

/* ---- links -------------------------------------------------------------------------------- */

size_t frame_wrap(uint8_t *out, enum frame_protocol protocol, const void *frame, size_t len_bytes)
{
    struct bytes_out w = bytes_into(out, len_bytes + 16);
    static const uint8_t no_offload[12];

    switch (protocol) {
    case FRAME_STDIO: bytes_put_le16(&w, (uint16_t)len_bytes); break;
    case FRAME_QEMU: bytes_put_be32(&w, (uint32_t)len_bytes); break;
    case FRAME_V2:
        bytes_put_le32(&w, (uint32_t)(len_bytes + sizeof no_offload));
        bytes_put(&w, no_offload, sizeof no_offload);
        break;
    default: break;
    }
    bytes_put(&w, frame, len_bytes);
    assert_true(bytes_out_ok(&w));
    return w.len_bytes;
}
