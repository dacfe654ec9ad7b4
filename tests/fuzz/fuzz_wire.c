/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes every packet decoder; the first byte chooses which. IPv4 is tried as it is and again with
 * its checksum set right, so that what is behind the checksum is reached.
 *
 * Checked: what was accepted lies within the input, has the bounds its header file promises, and is
 * the same after encode and decode.
 */
#include "base/util.h"
#include "wire/csum.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

enum { ENCODED_MAX = 128 };

/* The reader stands within [data, data + len], and its rest ends there or before. */
static void check_within(const struct bytes *r, const uint8_t *data, size_t len_bytes)
{
    ASSERT(r->p >= data && r->p + r->left <= data + len_bytes);
}

/* ---- link layer --------------------------------------------------------------------------- */

static void fuzz_eth(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct eth_header h;

    if (eth_decode(&h, &r))
        return;
    check_within(&r, data, len_bytes);
    eth_put(&w, &h);
    ASSERT(bytes_out_ok(&w) && memcmp(buf, data, w.len_bytes) == 0);
}

static void fuzz_arp(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct arp_packet p;

    if (arp_decode(&p, &r))
        return;
    check_within(&r, data, len_bytes);
    ASSERT(ip_addr_is_v4(&p.sender) && ip_addr_is_v4(&p.target));
    arp_put(&w, &p);
    ASSERT(bytes_out_ok(&w) && memcmp(buf, data, w.len_bytes) == 0);
}

/* ---- IP ----------------------------------------------------------------------------------- */

static void check_same_ip(const struct ip_header *a, const struct ip_header *b)
{
    ASSERT(ip_addr_equal(&a->src, &b->src) && ip_addr_equal(&a->dst, &b->dst));
    ASSERT(a->proto == b->proto && a->ttl == b->ttl && a->traffic_class == b->traffic_class);
    ASSERT(a->id == b->id && a->dont_fragment == b->dont_fragment);
    ASSERT(a->more_fragments == b->more_fragments && a->fragment_offset == b->fragment_offset);
    ASSERT(a->payload_bytes == b->payload_bytes);
}

typedef enum status ip_decode_fn(struct ip_header *, struct bytes *);
typedef void ip_put_fn(struct bytes_out *, const struct ip_header *);

static void fuzz_ip(ip_decode_fn *decode, ip_put_fn *put, const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes), again;
    struct ip_header h, h2;
    struct bytes_out w;
    uint8_t *copy;

    if (decode(&h, &r))
        return;
    check_within(&r, data, len_bytes);
    ASSERT(r.left == h.payload_bytes && r.p == data + h.header_bytes);
    ASSERT(h.fragment_offset + h.payload_bytes <= IP_MAX_BYTES && h.fragment_offset % 8 == 0);
    ASSERT(ip_addr_is_v4(&h.src) == (decode == ip4_decode));
    ASSERT(ip_addr_is_v4(&h.dst) == (decode == ip4_decode));
    copy = malloc(ENCODED_MAX + r.left);
    ASSERT(copy);
    w = bytes_into(copy, ENCODED_MAX + r.left);
    put(&w, &h);
    bytes_put(&w, r.p, r.left);
    ASSERT(bytes_out_ok(&w));
    again = bytes_of(copy, w.len_bytes);
    /* What follows a whole datagram's headers may look like one more of them to IPv6 only when it
     * was reached by a chain, which the walk has taken to its end. */
    ASSERT(decode(&h2, &again) == ST_OK);
    check_same_ip(&h, &h2);
    ASSERT(again.left == r.left);
    free(copy);
}

static void fuzz_ip4(const uint8_t *data, size_t len_bytes)
{
    uint8_t *copy;
    size_t header_bytes;

    fuzz_ip(ip4_decode, ip4_put, data, len_bytes);
    if (len_bytes < IP4_HEADER_BYTES)
        return;
    header_bytes = MIN((size_t)(data[0] & 15) * 4, len_bytes);
    copy = malloc(len_bytes);
    ASSERT(copy);
    memcpy(copy, data, len_bytes);
    if (header_bytes >= IP4_HEADER_BYTES) {
        uint16_t checksum;

        copy[10] = copy[11] = 0;
        checksum = csum_finish(csum_add(0, copy, header_bytes));
        copy[10] = (uint8_t)(checksum >> 8);
        copy[11] = (uint8_t)checksum;
        fuzz_ip(ip4_decode, ip4_put, copy, len_bytes);
    }
    free(copy);
}

static void fuzz_ip6(const uint8_t *data, size_t len_bytes)
{
    fuzz_ip(ip6_decode, ip6_put, data, len_bytes);
}

/* ---- above IP ----------------------------------------------------------------------------- */

static void fuzz_udp(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct udp_header h;

    if (udp_decode(&h, &r))
        return;
    check_within(&r, data, len_bytes);
    ASSERT(r.left == h.payload_bytes);
    udp_put(&w, &h);
    ASSERT(bytes_out_ok(&w) && memcmp(buf, data, w.len_bytes) == 0);
}

static void fuzz_tcp(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes), again;
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct tcp_header h, h2;

    if (tcp_decode(&h, &r))
        return;
    check_within(&r, data, len_bytes);
    ASSERT(r.p == data + h.header_bytes && h.header_bytes >= TCP_HEADER_BYTES);
    ASSERT(h.window_scale <= 14);
    tcp_put(&w, &h);
    ASSERT(bytes_out_ok(&w));
    again = bytes_of(buf, w.len_bytes);
    ASSERT(tcp_decode(&h2, &again) == ST_OK && again.left == 0);
    ASSERT(h.seq == h2.seq && h.ack == h2.ack && h.flags == h2.flags && h.window == h2.window);
    ASSERT(h.src_port == h2.src_port && h.dst_port == h2.dst_port && h.checksum == h2.checksum);
    ASSERT(h.has_mss == h2.has_mss && h.mss == h2.mss);
    ASSERT(h.has_window_scale == h2.has_window_scale && h.window_scale == h2.window_scale);
    ASSERT(h.has_sack_permitted == h2.has_sack_permitted);
}

static void fuzz_router(uint32_t rest, const struct bytes *from)
{
    struct bytes r = *from, again;
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct ndp_router n, n2;

    if (ndp_router_decode(&n, rest, &r))
        return;
    ASSERT(r.left == 0 && !ip_addr_is_multicast(&n.prefix) && n.prefix_bits <= 128);
    ASSERT(ip_addr_is_unspecified(&n.prefix) || !ip_addr_is_v4(&n.prefix));
    if (ip_addr_is_unspecified(&n.prefix))
        return; /* what we send has one */
    ndp_put_router(&w, &n);
    ASSERT(bytes_out_ok(&w));
    again = bytes_of(buf, w.len_bytes);
    ASSERT(ndp_router_decode(&n2, ndp_router_rest(&n), &again) == ST_OK);
    ASSERT(ip_addr_equal(&n.prefix, &n2.prefix) && n.prefix_bits == n2.prefix_bits);
    ASSERT(n.mtu == n2.mtu && n.lifetime_s == n2.lifetime_s && n.hop_limit == n2.hop_limit);
    ASSERT(ip_addr_equal(&n.dns, &n2.dns) && mac_equal(&n.link_address, &n2.link_address));
}

static void fuzz_ndp(uint8_t type, const struct bytes *from)
{
    struct bytes r = *from, again;
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct ndp_neighbour n, n2;

    if (ndp_decode(&n, type, &r))
        return;
    check_within(&r, from->p, from->left);
    ASSERT(!ip_addr_is_v4(&n.target) && !ip_addr_is_multicast(&n.target));
    ndp_put(&w, type, &n);
    ASSERT(bytes_out_ok(&w));
    again = bytes_of(buf, w.len_bytes);
    ASSERT(ndp_decode(&n2, type, &again) == ST_OK);
    ASSERT(ip_addr_equal(&n.target, &n2.target) && n.has_link_address == n2.has_link_address);
    ASSERT(mac_equal(&n.link_address, &n2.link_address));
}

static void fuzz_icmp(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    uint8_t buf[ENCODED_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct icmp_header h;

    if (icmp_decode(&h, &r))
        return;
    check_within(&r, data, len_bytes);
    icmp_put(&w, &h);
    ASSERT(bytes_out_ok(&w) && memcmp(buf, data, w.len_bytes) == 0);
    fuzz_ndp(h.type, &r);
    if (h.type == ICMP6_ROUTER_ADVERT)
        fuzz_router(h.rest, &r);
}

/* ---- numbers and text --------------------------------------------------------------------- */

/* The sum does not depend on alignment, nor on where it is cut at an even place. */
static void fuzz_csum(const uint8_t *data, size_t len_bytes)
{
    uint8_t *shifted = malloc(len_bytes + 1);
    uint16_t whole = csum_fold(csum_add(0, data, len_bytes));
    uint16_t cut;
    size_t half = len_bytes / 2 & ~(size_t)1;

    ASSERT(shifted);
    if (len_bytes > 0)
        memcpy(shifted + 1, data, len_bytes);
    cut = csum_fold(csum_add(csum_add(0, shifted + 1, half), shifted + 1 + half, len_bytes - half));
    ASSERT(whole % 0xffff == cut % 0xffff);
    free(shifted);
}

static void fuzz_text(const uint8_t *data, size_t len_bytes)
{
    char text[128], buf[IP_ENDPOINT_TEXT_MAX], mac_buf[18];
    struct ip_addr a, a2;
    struct ip_endpoint e, e2;
    struct mac m, m2;

    if (len_bytes >= sizeof text)
        return;
    if (len_bytes > 0)
        memcpy(text, data, len_bytes);
    text[len_bytes] = '\0';
    if (ip_addr_parse(&a, text) == ST_OK)
        ASSERT(ip_addr_parse(&a2, ip_addr_format(&a, buf)) == ST_OK && ip_addr_equal(&a, &a2));
    if (ip_endpoint_parse(&e, text) == ST_OK)
        ASSERT(ip_endpoint_parse(&e2, ip_endpoint_format(&e, buf)) == ST_OK &&
               ip_addr_equal(&e.addr, &e2.addr) && e.port == e2.port);
    if (mac_parse(&m, text) == ST_OK)
        ASSERT(mac_parse(&m2, mac_format(&m, mac_buf)) == ST_OK && mac_equal(&m, &m2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    typedef void fuzz_fn(const uint8_t *, size_t);
    static fuzz_fn *const targets[] = { fuzz_eth, fuzz_arp,  fuzz_ip4,  fuzz_ip6, fuzz_udp,
                                        fuzz_tcp, fuzz_icmp, fuzz_csum, fuzz_text };

    if (len_bytes > 0)
        targets[data[0] % ARRAY_SIZE(targets)](data + 1, len_bytes - 1);
    return 0;
}
