/* SPDX-License-Identifier: Apache-2.0 */
#include "support/frame_expect.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "wire/csum.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------ */

/* Whether the checksum is right, or the partial one is where @off says that it is partial. */
static bool l4_checksum_is_right(const struct frame_view *v, struct bytes l4, size_t at,
                                 const struct frame_offload *off)
{
    uint64_t pseudo = v->ip.proto == IP_PROTO_ICMP
                          ? 0
                          : csum_pseudo(&v->ip.src, &v->ip.dst, v->ip.proto, (uint32_t)l4.left);

    if (off && off->needs_csum) {
        uint16_t got = (uint16_t)(l4.p[at] << 8 | l4.p[at + 1]);

        return v->frame + off->csum_start == l4.p && off->csum_offset == at &&
               got == csum_fold(pseudo);
    }
    if (v->ip.proto == IP_PROTO_UDP && !v->is_ip6 && l4.p[at] == 0 && l4.p[at + 1] == 0)
        return true;
    return csum_finish(csum_add(pseudo, l4.p, l4.left)) == 0;
}

static const char *check_l4(struct frame_view *v, struct bytes *r, const struct frame_offload *off)
{
    struct bytes l4 = *r;

    switch (v->ip.proto) {
    case IP_PROTO_TCP:
        if (tcp_decode(&v->tcp, r))
            return "malformed TCP header";
        v->is_tcp = true;
        return l4_checksum_is_right(v, l4, 16, off) ? NULL : "wrong TCP checksum";
    case IP_PROTO_UDP:
        if (udp_decode(&v->udp, r))
            return "malformed UDP header";
        v->is_udp = true;
        return l4_checksum_is_right(v, l4, 6, off) ? NULL : "wrong UDP checksum";
    case IP_PROTO_ICMP:
    case IP_PROTO_ICMP6:
        if (icmp_decode(&v->icmp, r))
            return "malformed ICMP header";
        v->is_icmp = true;
        return l4_checksum_is_right(v, l4, 2, off) ? NULL : "wrong ICMP checksum";
    default: return NULL;
    }
}

const char *frame_check(struct frame_view *v, const void *frame, size_t len_bytes,
                        const struct frame_offload *off)
{
    struct bytes r = bytes_of(frame, len_bytes);
    const char *wrong = NULL;

    *v = (struct frame_view){ .frame = frame, .len_bytes = len_bytes };
    if (eth_decode(&v->eth, &r))
        return "runt";
    if (v->eth.type == ETH_TYPE_ARP) {
        v->is_arp = arp_decode(&v->arp, &r) == ST_OK;
        wrong = v->is_arp ? NULL : "malformed ARP";
    } else if (v->eth.type == ETH_TYPE_IP4 || v->eth.type == ETH_TYPE_IP6) {
        v->is_ip6 = v->eth.type == ETH_TYPE_IP6;
        v->is_ip = (v->is_ip6 ? ip6_decode : ip4_decode)(&v->ip, &r) == ST_OK;
        if (!v->is_ip)
            wrong = "malformed IP header";
        else if (!v->ip.more_fragments && v->ip.fragment_offset == 0)
            wrong = check_l4(v, &r, off);
    }
    v->payload = r.p;
    v->payload_bytes = r.left;
    return wrong;
}

/* ---- as text ------------------------------------------------------------------------------ */

static const char *flags_text(uint8_t flags, char buf[static 9])
{
    static const char letters[] = "FSRP.UEW"; /* as tcpdump has them */
    size_t n = 0;

    for (unsigned i = 0; i < 8; i++)
        if (flags >> i & 1)
            buf[n++] = letters[i];
    buf[n] = '\0';
    return buf;
}

static void describe_tcp(char *buf, size_t cap, const struct frame_view *v, const char *src,
                         const char *dst)
{
    const struct tcp_header *t = &v->tcp;
    char flags[9], mss[16] = "", scale[16] = "";

    if (t->has_mss)
        snprintf(mss, sizeof mss, " mss %u", t->mss);
    if (t->has_window_scale)
        snprintf(scale, sizeof scale, " scale %u", t->window_scale);
    snprintf(buf, cap, "%s:%u > %s:%u tcp [%s] seq %lu ack %lu win %u%s%s len %zu", src,
             t->src_port, dst, t->dst_port, flags_text(t->flags, flags), (unsigned long)t->seq,
             (unsigned long)t->ack, t->window, mss, scale, v->payload_bytes);
}

const char *frame_describe(char buf[static FRAME_TEXT_MAX], const void *frame, size_t len_bytes)
{
    struct frame_view v;
    const char *wrong = frame_check(&v, frame, len_bytes, NULL);
    char src[IP_ADDR_TEXT_MAX] = "", dst[IP_ADDR_TEXT_MAX] = "";
    size_t n;

    ip_addr_format(v.is_arp ? &v.arp.sender : &v.ip.src, src);
    ip_addr_format(v.is_arp ? &v.arp.target : &v.ip.dst, dst);
    if (v.is_tcp)
        describe_tcp(buf, FRAME_TEXT_MAX, &v, src, dst);
    else if (v.is_udp)
        snprintf(buf, FRAME_TEXT_MAX, "%s:%u > %s:%u udp len %zu", src, v.udp.src_port, dst,
                 v.udp.dst_port, v.payload_bytes);
    else if (v.is_icmp)
        snprintf(buf, FRAME_TEXT_MAX, "%s > %s icmp%s type %u code %u rest %08lx len %zu", src, dst,
                 v.is_ip6 ? "6" : "", v.icmp.type, v.icmp.code, (unsigned long)v.icmp.rest,
                 v.payload_bytes);
    else if (v.is_ip)
        snprintf(buf, FRAME_TEXT_MAX, "%s > %s proto %u offset %lu%s len %zu", src, dst, v.ip.proto,
                 (unsigned long)v.ip.fragment_offset, v.ip.more_fragments ? "+" : "",
                 v.payload_bytes);
    else if (v.is_arp)
        snprintf(buf, FRAME_TEXT_MAX, "arp %s %s > %s", v.arp.op == ARP_REPLY ? "reply" : "request",
                 src, dst);
    else
        snprintf(buf, FRAME_TEXT_MAX, "type %04x len %zu", v.eth.type, len_bytes);
    n = strlen(buf);
    if (wrong)
        snprintf(buf + n, FRAME_TEXT_MAX - n, " (%s)", wrong);
    return buf;
}

/* ---- expectations ------------------------------------------------------------------------- */

static void fail_at(const struct frame_view *v, const char *what)
{
    char text[FRAME_TEXT_MAX];

    fail_msg("%s: %s", what, frame_describe(text, v->frame, v->len_bytes));
}

void frame_expect_offload(struct frame_view *v, const void *frame, size_t len_bytes,
                          const struct frame_offload *off)
{
    const char *wrong = frame_check(v, frame, len_bytes, off);

    if (wrong)
        fail_at(v, wrong);
}

void frame_expect(struct frame_view *v, const void *frame, size_t len_bytes)
{
    frame_expect_offload(v, frame, len_bytes, NULL);
}

void frame_expect_tcp(const struct frame_view *v, uint8_t flags)
{
    char want[9], what[32];

    if (v->is_tcp && (v->tcp.flags & ~TCP_PSH) == (flags & ~TCP_PSH))
        return;
    snprintf(what, sizeof what, "wanted tcp [%s]", flags_text(flags, want));
    fail_at(v, what);
}

void frame_expect_udp(const struct frame_view *v, uint16_t src_port, uint16_t dst_port)
{
    char what[48];

    if (v->is_udp && v->udp.src_port == src_port && v->udp.dst_port == dst_port)
        return;
    snprintf(what, sizeof what, "wanted udp from %u to %u", src_port, dst_port);
    fail_at(v, what);
}

void frame_expect_icmp(const struct frame_view *v, uint8_t type, uint8_t code)
{
    char what[48];

    if (v->is_icmp && v->icmp.type == type && v->icmp.code == code)
        return;
    snprintf(what, sizeof what, "wanted icmp type %u code %u", type, code);
    fail_at(v, what);
}

void frame_expect_arp_reply(const struct frame_view *v, const char *sender)
{
    struct ip_addr want = frame_addr(sender);

    if (!v->is_arp || v->arp.op != ARP_REPLY || !ip_addr_equal(&v->arp.sender, &want) ||
        !mac_equal(&v->arp.sender_mac, &v->eth.src))
        fail_at(v, "wanted an arp reply");
}

void frame_expect_path(const struct frame_view *v, const char *src, const char *dst)
{
    struct ip_addr from = frame_addr(src), to = frame_addr(dst);

    if (!v->is_ip || !ip_addr_equal(&v->ip.src, &from) || !ip_addr_equal(&v->ip.dst, &to))
        fail_at(v, "wanted other addresses");
}

void frame_expect_payload(const struct frame_view *v, const void *want, size_t len_bytes)
{
    if (v->payload_bytes != len_bytes ||
        (len_bytes > 0 && memcmp(v->payload, want, len_bytes) != 0))
        fail_at(v, "wanted another payload");
}

void frame_expect_pattern(const struct frame_view *v, uint64_t at)
{
    for (size_t i = 0; i < v->payload_bytes; i++)
        if (v->payload[i] != frame_pattern(at + i)) {
            char what[64];

            snprintf(what, sizeof what, "payload differs at byte %zu", i);
            fail_at(v, what);
        }
}

/* ---- links -------------------------------------------------------------------------------- */

static void take_offload(struct bytes *r, struct frame_offload *off)
{
    uint8_t flags = bytes_u8(r), gso = bytes_u8(r);

    *off = (struct frame_offload){ .needs_csum = flags & 1, .csum_valid = flags & 2 };
    off->gso = gso == 1   ? FRAME_GSO_TCP4
               : gso == 4 ? FRAME_GSO_TCP6
               : gso == 5 ? FRAME_GSO_UDP
                          : FRAME_GSO_NONE;
    off->header_bytes = bytes_le16(r);
    off->gso_size = bytes_le16(r);
    off->csum_start = bytes_le16(r);
    off->csum_offset = bytes_le16(r);
    bytes_le16(r); /* number of buffers */
}

bool frame_unwrap(enum frame_protocol protocol, const uint8_t **p, size_t *left,
                  const uint8_t **frame, size_t *len_bytes, struct frame_offload *off)
{
    struct bytes r = bytes_of(*p, *left);
    size_t n = protocol == FRAME_STDIO  ? bytes_le16(&r)
               : protocol == FRAME_QEMU ? bytes_be32(&r)
               : protocol == FRAME_V2   ? bytes_le32(&r)
                                        : *left;
    const uint8_t *body = bytes_take(&r, n);
    struct bytes rest;

    if (!body || n == 0)
        return false;
    *p = r.p;
    *left = r.left;
    rest = bytes_of(body, n);
    if (off)
        memset(off, 0, sizeof *off);
    if (protocol == FRAME_V2) {
        struct frame_offload unused;

        take_offload(&rest, off ? off : &unused);
        if (!bytes_ok(&rest))
            return false;
    }
    *frame = rest.p;
    *len_bytes = rest.left;
    return true;
}
