/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: compose packets for the guest in place, in the link's batch buffer.
 *
 *     out_begin():  reserve | Ethernet | IP | <- the caller writes l4_bytes here
 *     out_end():    the layer-4 checksum, commit, and somebody will flush
 *
 * Nothing is copied here but by out_datagram(), whose payload lies elsewhere. On a link with
 * offload a TCP or UDP checksum is left partial, as virtio-net wants it: the guest's kernel (or
 * nobody, when the packet stays inside the guest) completes it. ICMP is short and rare: computed.
 *
 * Invariant: between out_begin() and out_end() nothing else is reserved. A packet begun and not
 * ended costs nothing, the next reserve takes its place.
 * When the link takes no more, whoever can keep its data keeps it (TCP); a datagram is lost, as on
 * any network, and counted (drop_link_full).
 */
#include "switch/switch_internal.h"
#include "wire/csum.h"

#include <string.h>

enum { IP6_FRAGMENT_BYTES = 8, DEFAULT_TTL = 64 };

/* ---- frames ------------------------------------------------------------------------------ */

static void multicast_mac(const struct ip_addr *ip, struct mac *out)
{
    if (ip_addr_is_v4(ip)) {
        memset(out->b, 0xff, sizeof out->b);
    } else {
        out->b[0] = out->b[1] = 0x33;
        memcpy(out->b + 2, ip->b + 12, 4);
    }
}

static void find_mac(struct switch_ *s, const struct ip_addr *ip, struct mac *out)
{
    if (nat_is_broadcast(s, ip))
        multicast_mac(ip, out);
    else if (!neigh_find(s, ip, out))
        memset(out->b, 0xff, sizeof out->b);
}

static void commit(struct switch_ *s, const uint8_t *frame, size_t len_bytes,
                   const struct frame_offload *off)
{
    if (s->on_frame)
        s->on_frame(s->on_frame_ctx, true, frame, len_bytes,
                    frame_link_has_offload(s->link) ? off : NULL);
    frame_link_commit(s->link, len_bytes, off);
    if (!s->in_produce) /* else it follows at once */
        switch_want_flush(s);
}

uint8_t *out_raw(struct switch_ *s, size_t len_bytes)
{
    return s->link ? frame_link_reserve(s->link, len_bytes) : NULL;
}

void out_raw_end(struct switch_ *s, const uint8_t *frame, size_t len_bytes)
{
    commit(s, frame, len_bytes, NULL);
}

/* ---- IP packets -------------------------------------------------------------------------- */

static size_t ip_header_bytes(const struct ip_header *ip)
{
    if (ip_addr_is_v4(&ip->dst))
        return IP4_HEADER_BYTES;
    if (ip->more_fragments || ip->fragment_offset)
        return IP6_HEADER_BYTES + IP6_FRAGMENT_BYTES;
    return IP6_HEADER_BYTES;
}

bool out_begin(struct switch_ *s, struct out *o, struct ip_header *ip, size_t l4_bytes)
{
    bool is_v4 = ip_addr_is_v4(&ip->dst);
    size_t l4_offset = ETH_HEADER_BYTES + ip_header_bytes(ip);
    struct eth_header eth = { .src = s->config.gateway_mac,
                              .type = is_v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6 };
    struct bytes_out w;
    uint8_t *frame;

    find_mac(s, &ip->dst, &eth.dst);
    frame = out_raw(s, l4_offset + l4_bytes);
    if (!frame)
        return false;
    if (ip->ttl == 0)
        ip->ttl = DEFAULT_TTL;
    ip->payload_bytes = (uint16_t)l4_bytes;
    w = bytes_into(frame, l4_offset);
    eth_put(&w, &eth);
    if (is_v4)
        ip4_put(&w, ip);
    else
        ip6_put(&w, ip);
    if (!bytes_out_ok(&w)) {
        frame_link_commit(s->link, 0, NULL);
        return false;
    }
    *o = (struct out){ .frame = frame,
                       .l4 = frame + l4_offset,
                       .l4_offset = l4_offset,
                       .l4_bytes = l4_bytes,
                       .ip = *ip };
    return true;
}

static void set_be16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* ICMP (of IPv4) alone has no pseudo-header. */
static uint64_t pseudo_sum(const struct ip_header *ip, size_t l4_bytes)
{
    return ip->proto == IP_PROTO_ICMP
               ? 0
               : csum_pseudo(&ip->src, &ip->dst, ip->proto, (uint32_t)l4_bytes);
}

static uint16_t checksum(const struct ip_header *ip, uint64_t sum)
{
    uint16_t sum16 = csum_finish(sum);

    return sum16 == 0 && ip->proto == IP_PROTO_UDP ? 0xffff : sum16; /* RFC 768: 0 says none */
}

static void describe_gso(const struct out *o, unsigned gso_size, struct frame_offload *off)
{
    size_t header_bytes = UDP_HEADER_BYTES;

    if (gso_size == 0)
        return;
    off->gso = FRAME_GSO_UDP;
    if (o->ip.proto == IP_PROTO_TCP) {
        off->gso = ip_addr_is_v4(&o->ip.dst) ? FRAME_GSO_TCP4 : FRAME_GSO_TCP6;
        header_bytes = (size_t)(o->l4[12] >> 4) * 4;
    }
    off->gso_size = (uint16_t)gso_size;
    off->header_bytes = (uint16_t)(o->l4_offset + header_bytes);
}

void out_copy(struct out *o, uint8_t *to, const uint8_t *data, size_t len_bytes)
{
    o->sum = csum_join(o->sum, o->summed_bytes, csum_copy(0, to, data, len_bytes));
    o->summed_bytes += len_bytes;
}

void out_end(struct switch_ *s, struct out *o, size_t csum_offset, unsigned gso_size)
{
    size_t len_bytes = o->l4_offset + o->l4_bytes, head_bytes = o->l4_bytes - o->summed_bytes;
    bool can_be_partial = o->ip.proto == IP_PROTO_TCP || o->ip.proto == IP_PROTO_UDP;
    struct frame_offload off = { 0 };
    uint64_t sum;

    if (csum_offset == OUT_NO_CSUM) {
        commit(s, o->frame, len_bytes, NULL);
        return;
    }
    sum = pseudo_sum(&o->ip, o->l4_bytes);
    if (can_be_partial && frame_link_has_offload(s->link)) {
        set_be16(o->l4 + csum_offset, csum_fold(sum));
        off.needs_csum = true;
        off.csum_start = (uint16_t)o->l4_offset;
        off.csum_offset = (uint16_t)csum_offset;
        describe_gso(o, gso_size, &off);
    } else {
        set_be16(o->l4 + csum_offset, 0);
        sum = csum_join(csum_add(sum, o->l4, head_bytes), head_bytes, o->sum);
        set_be16(o->l4 + csum_offset, checksum(&o->ip, sum));
    }
    commit(s, o->frame, len_bytes, &off);
}

/* ---- datagrams --------------------------------------------------------------------------- */

enum { L4_HEADER_BYTES = 8 };

/* One fragment: bytes [@offset, @offset + @len) of @header and @payload taken as one. */
static bool send_fragment(struct switch_ *s, struct ip_header *ip, size_t offset, size_t len,
                          const uint8_t *header, const uint8_t *payload)
{
    struct out o;
    size_t skip = L4_HEADER_BYTES;

    ip->fragment_offset = (uint32_t)offset;
    if (!out_begin(s, &o, ip, len))
        return false;
    if (offset == 0) {
        memcpy(o.l4, header, L4_HEADER_BYTES);
        memcpy(o.l4 + L4_HEADER_BYTES, payload, len - L4_HEADER_BYTES);
    } else {
        memcpy(o.l4, payload + offset - skip, len);
    }
    out_end(s, &o, OUT_NO_CSUM, 0);
    return true;
}

static bool send_fragments(struct switch_ *s, struct ip_header *ip, const uint8_t *header_in,
                           size_t csum_offset, const uint8_t *payload, size_t len_bytes)
{
    size_t total = L4_HEADER_BYTES + len_bytes, step;
    uint8_t header[L4_HEADER_BYTES];
    uint64_t sum = pseudo_sum(ip, total);

    memcpy(header, header_in, sizeof header);
    set_be16(header + csum_offset, 0);
    sum = csum_add(csum_add(sum, header, sizeof header), payload, len_bytes);
    set_be16(header + csum_offset, checksum(ip, sum));
    ip->id = s->next_ip_id++;
    ip->dont_fragment = false;
    ip->more_fragments = true;
    step = (s->config.mtu - ip_header_bytes(ip)) & ~(size_t)7;
    for (size_t at = 0; at < total; at += step) {
        ip->more_fragments = total - at > step;
        if (!send_fragment(s, ip, at, MIN(step, total - at), header, payload))
            return false;
    }
    return true;
}

static bool send_whole(struct switch_ *s, struct ip_header *ip, const uint8_t *header,
                       size_t csum_offset, const uint8_t *payload, size_t len_bytes)
{
    struct out o;

    if (!out_begin(s, &o, ip, L4_HEADER_BYTES + len_bytes))
        return false;
    memcpy(o.l4, header, L4_HEADER_BYTES);
    if (len_bytes)
        memcpy(o.l4 + L4_HEADER_BYTES, payload, len_bytes);
    out_end(s, &o, csum_offset, 0);
    return true;
}

bool out_datagram(struct switch_ *s, struct ip_header *ip, const uint8_t header[static 8],
                  size_t csum_offset, const uint8_t *payload, size_t len_bytes)
{
    bool fits = ip_header_bytes(ip) + L4_HEADER_BYTES + len_bytes <= s->config.mtu;
    bool sent = false;

    if (len_bytes <= IP_MAX_BYTES - IP4_HEADER_BYTES - L4_HEADER_BYTES)
        sent = fits ? send_whole(s, ip, header, csum_offset, payload, len_bytes)
                    : send_fragments(s, ip, header, csum_offset, payload, len_bytes);
    if (!sent)
        s->count.drop_link_full++;
    return sent;
}

void out_udp(struct switch_ *s, const struct ip_endpoint *from, const struct ip_endpoint *to,
             const uint8_t *payload, size_t len_bytes)
{
    struct ip_header ip = { .src = from->addr, .dst = to->addr, .proto = IP_PROTO_UDP };
    struct udp_header udp = { .src_port = from->port,
                              .dst_port = to->port,
                              .payload_bytes = (uint16_t)len_bytes };
    uint8_t header[UDP_HEADER_BYTES];
    struct bytes_out w = bytes_into(header, sizeof header);

    udp_put(&w, &udp);
    out_datagram(s, &ip, header, 6, payload, len_bytes);
}
