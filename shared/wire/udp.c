/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

enum status udp_decode(struct udp_header *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, UDP_HEADER_BYTES);
    size_t len_bytes;

    if (!p)
        return ST_PROTO;
    /* 0 would mean "up to the end" in an IPv6 jumbogram (RFC 2675), which cannot come here. */
    len_bytes = field_be16(p + 4);
    if (len_bytes < UDP_HEADER_BYTES || len_bytes - UDP_HEADER_BYTES > r->left)
        return ST_PROTO;
    out->src_port = field_be16(p);
    out->dst_port = field_be16(p + 2);
    out->payload_bytes = (uint16_t)(len_bytes - UDP_HEADER_BYTES);
    out->checksum = field_be16(p + 6);
    r->left = out->payload_bytes;
    return ST_OK;
}

void udp_put(struct bytes_out *w, const struct udp_header *h)
{
    uint8_t b[UDP_HEADER_BYTES];

    if (h->payload_bytes > UINT16_MAX - UDP_HEADER_BYTES) {
        w->failed = true;
        return;
    }
    field_set_be16(b, h->src_port);
    field_set_be16(b + 2, h->dst_port);
    field_set_be16(b + 4, (uint16_t)(UDP_HEADER_BYTES + h->payload_bytes));
    field_set_be16(b + 6, h->checksum);
    bytes_put(w, b, sizeof b);
}
