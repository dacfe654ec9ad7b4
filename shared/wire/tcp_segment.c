/* SPDX-License-Identifier: Apache-2.0
 * RFC 9293 3.1, options of 3.2, RFC 7323 (window scale), RFC 2018 (SACK permitted).
 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_SCALE = 3, OPTION_SACK_OK = 4 };
enum { WINDOW_SCALE_MAX = 14, OPTIONS_MAX = 12 };

/* One option behind its kind and length; @body_bytes follow. A known one has its own length. */
static bool take_option(struct tcp_header *h, uint8_t kind, size_t body_bytes, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, body_bytes);

    if (!p)
        return false;
    switch (kind) {
    case OPTION_MSS:
        if (body_bytes != 2)
            return false;
        h->has_mss = true;
        h->mss = field_be16(p);
        return true;
    case OPTION_SCALE:
        if (body_bytes != 1)
            return false;
        h->has_window_scale = true;
        h->window_scale = p[0] > WINDOW_SCALE_MAX ? WINDOW_SCALE_MAX : p[0];
        return true;
    case OPTION_SACK_OK: h->has_sack_permitted = true; return body_bytes == 0;
    default: return true;
    }
}

static bool take_options(struct tcp_header *h, struct bytes r)
{
    while (r.left > 0) {
        uint8_t kind = bytes_u8(&r);
        uint8_t len;

        if (kind == OPTION_END)
            return true;
        if (kind == OPTION_NOP)
            continue;
        len = bytes_u8(&r);
        if (len < 2 || !take_option(h, kind, (size_t)len - 2, &r))
            return false;
    }
    return true;
}

enum status tcp_decode(struct tcp_header *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, TCP_HEADER_BYTES);
    const uint8_t *options;
    size_t header_bytes;

    if (!p)
        return ST_PROTO;
    header_bytes = (size_t)(p[12] >> 4) * 4;
    if (header_bytes < TCP_HEADER_BYTES)
        return ST_PROTO;
    *out = (struct tcp_header){
        .src_port = field_be16(p),
        .dst_port = field_be16(p + 2),
        .seq = field_be32(p + 4),
        .ack = field_be32(p + 8),
        .flags = p[13],
        .window = field_be16(p + 14),
        .checksum = field_be16(p + 16),
        .header_bytes = (uint8_t)header_bytes,
    };
    if (header_bytes == TCP_HEADER_BYTES)
        return ST_OK;
    options = bytes_take(r, header_bytes - TCP_HEADER_BYTES);
    if (!options || !take_options(out, bytes_of(options, header_bytes - TCP_HEADER_BYTES)))
        return ST_PROTO;
    return ST_OK;
}

/* Each option is padded to four bytes; that is how they most often stand in a SYN. */
void tcp_put(struct bytes_out *w, const struct tcp_header *h)
{
    uint8_t b[TCP_HEADER_BYTES + OPTIONS_MAX] = { 0 };
    size_t n = TCP_HEADER_BYTES;

    if (h->has_mss) {
        b[n] = OPTION_MSS;
        b[n + 1] = 4;
        field_set_be16(b + n + 2, h->mss);
        n += 4;
    }
    if (h->has_sack_permitted) {
        b[n] = b[n + 1] = OPTION_NOP;
        b[n + 2] = OPTION_SACK_OK;
        b[n + 3] = 2;
        n += 4;
    }
    if (h->has_window_scale) {
        b[n] = OPTION_NOP;
        b[n + 1] = OPTION_SCALE;
        b[n + 2] = 3;
        b[n + 3] = h->window_scale;
        n += 4;
    }
    field_set_be16(b, h->src_port);
    field_set_be16(b + 2, h->dst_port);
    field_set_be32(b + 4, h->seq);
    field_set_be32(b + 8, h->ack);
    b[12] = (uint8_t)(n / 4 << 4);
    b[13] = h->flags;
    field_set_be16(b + 14, h->window);
    field_set_be16(b + 16, h->checksum);
    bytes_put(w, b, n);
}
