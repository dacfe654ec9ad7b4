/* SPDX-License-Identifier: Apache-2.0
 * RFC 792 and 4443: the eight bytes that all messages of both begin with.
 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

enum status icmp_decode(struct icmp_header *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, ICMP_HEADER_BYTES);

    if (!p)
        return ST_PROTO;
    out->type = p[0];
    out->code = p[1];
    out->checksum = field_be16(p + 2);
    out->rest = field_be32(p + 4);
    return ST_OK;
}

void icmp_put(struct bytes_out *w, const struct icmp_header *h)
{
    uint8_t b[ICMP_HEADER_BYTES] = { h->type, h->code };

    field_set_be16(b + 2, h->checksum);
    field_set_be32(b + 4, h->rest);
    bytes_put(w, b, sizeof b);
}
