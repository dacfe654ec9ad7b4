/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

const uint8_t *bytes_take(struct bytes *r, size_t n)
{
    const uint8_t *at = r->p;

    if (r->failed || n > r->left) {
        r->failed = true;
        return NULL;
    }
    if (n) {
        r->p += n;
        r->left -= n;
    }
    return at;
}

uint8_t bytes_u8(struct bytes *r)
{
    const uint8_t *b = bytes_take(r, 1);

    return b ? b[0] : 0;
}

uint16_t bytes_le16(struct bytes *r)
{
    const uint8_t *b = bytes_take(r, 2);

    return b ? (uint16_t)(b[0] | b[1] << 8) : 0;
}

uint32_t bytes_le32(struct bytes *r)
{
    const uint8_t *b = bytes_take(r, 4);

    return b ? (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24
             : 0;
}

uint16_t bytes_be16(struct bytes *r)
{
    const uint8_t *b = bytes_take(r, 2);

    return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

uint32_t bytes_be32(struct bytes *r)
{
    const uint8_t *b = bytes_take(r, 4);

    return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3]
             : 0;
}

void bytes_put(struct bytes_out *w, const void *src, size_t n)
{
    if (w->failed || n > w->cap_bytes - w->len_bytes) {
        w->failed = true;
        return;
    }
    if (n)
        memcpy(w->p + w->len_bytes, src, n);
    w->len_bytes += n;
}

void bytes_put_u8(struct bytes_out *w, uint8_t v)
{
    bytes_put(w, &v, 1);
}

void bytes_put_le16(struct bytes_out *w, uint16_t v)
{
    bytes_put(w, (uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8) }, 2);
}

void bytes_put_le32(struct bytes_out *w, uint32_t v)
{
    bytes_put(w,
              (uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) },
              4);
}

void bytes_put_be16(struct bytes_out *w, uint16_t v)
{
    bytes_put(w, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

void bytes_put_be32(struct bytes_out *w, uint32_t v)
{
    bytes_put(w,
              (uint8_t[]){ (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v },
              4);
}
