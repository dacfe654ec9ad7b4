/* SPDX-License-Identifier: Apache-2.0
 * RFC 791. What a header says about lengths is believed only as far as bytes are there.
 */
#include "wire/csum.h"
#include "wire/wire.h"
#include "wire/wire_internal.h"

#include <string.h>

enum { FLAG_DF = 0x4000, FLAG_MF = 0x2000, OFFSET_MASK = 0x1fff };
enum { OPTION_END = 0, OPTION_NOP = 1 };

/* Options are of no use to a translating gateway, but a packet whose options run over the end of
 * its header was made to be misread by somebody. */
static bool options_are_whole(const uint8_t *p, size_t len_bytes)
{
    struct bytes r = bytes_of(p, len_bytes);

    while (r.left > 0) {
        uint8_t kind = bytes_u8(&r);
        uint8_t len;

        if (kind == OPTION_END)
            return true;
        if (kind == OPTION_NOP)
            continue;
        len = bytes_u8(&r);
        if (len < 2 || !bytes_take(&r, (size_t)len - 2))
            return false;
    }
    return true;
}

/* Only the last fragment may have a length that is no multiple of 8, and none may reach beyond what
 * a datagram can hold. */
static bool fragment_is_possible(const struct ip_header *h)
{
    if (h->more_fragments && (h->payload_bytes == 0 || h->payload_bytes % 8 != 0))
        return false;
    return h->fragment_offset + h->payload_bytes + h->header_bytes <= IP_MAX_BYTES;
}

enum status ip4_decode(struct ip_header *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, IP4_HEADER_BYTES);
    size_t header_bytes, total_bytes;
    uint16_t fragment;

    if (!p || p[0] >> 4 != 4)
        return ST_PROTO;
    header_bytes = (size_t)(p[0] & 15) * 4;
    total_bytes = field_be16(p + 2);
    if (header_bytes < IP4_HEADER_BYTES || total_bytes < header_bytes ||
        total_bytes - IP4_HEADER_BYTES > r->left)
        return ST_PROTO;
    if (header_bytes > IP4_HEADER_BYTES) {
        bytes_take(r, header_bytes - IP4_HEADER_BYTES);
        if (!options_are_whole(p + IP4_HEADER_BYTES, header_bytes - IP4_HEADER_BYTES))
            return ST_PROTO;
    }
    if (csum_finish(csum_add(0, p, header_bytes)) != 0)
        return ST_PROTO;
    fragment = field_be16(p + 6);
    *out = (struct ip_header){
        .src = ip_addr_of_v4(p + 12),
        .dst = ip_addr_of_v4(p + 16),
        .proto = p[9],
        .ttl = p[8],
        .traffic_class = p[1],
        .id = field_be16(p + 4),
        .dont_fragment = fragment & FLAG_DF,
        .more_fragments = fragment & FLAG_MF,
        .fragment_offset = (uint32_t)(fragment & OFFSET_MASK) * 8,
        .payload_bytes = (uint16_t)(total_bytes - header_bytes),
        .header_bytes = (uint16_t)header_bytes,
    };
    r->left = out->payload_bytes;
    return fragment_is_possible(out) ? ST_OK : ST_PROTO;
}

void ip4_put(struct bytes_out *w, const struct ip_header *h)
{
    uint8_t b[IP4_HEADER_BYTES] = { 0x45 };
    uint16_t fragment = (uint16_t)(h->fragment_offset / 8 & OFFSET_MASK);

    if (h->payload_bytes > IP_MAX_BYTES - IP4_HEADER_BYTES) {
        w->failed = true;
        return;
    }
    if (h->dont_fragment)
        fragment |= FLAG_DF;
    if (h->more_fragments)
        fragment |= FLAG_MF;
    b[1] = h->traffic_class;
    field_set_be16(b + 2, (uint16_t)(IP4_HEADER_BYTES + h->payload_bytes));
    field_set_be16(b + 4, (uint16_t)h->id);
    field_set_be16(b + 6, fragment);
    b[8] = h->ttl;
    b[9] = h->proto;
    field_set_be32(b + 12, ip_addr_to_v4(&h->src));
    field_set_be32(b + 16, ip_addr_to_v4(&h->dst));
    field_set_be16(b + 10, csum_finish(csum_add(0, b, sizeof b)));
    bytes_put(w, b, sizeof b);
}
