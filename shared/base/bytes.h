/* SPDX-License-Identifier: Apache-2.0
 * bytes.h - the only place that walks untrusted bytes: a bounds-checked reader and writer.
 *
 * Both latch: after the first access beyond the end every further one fails too, a read gives 0 or
 * NULL, and bytes_ok() says so once at the end. So a decoder reads all its fields and checks once:
 *
 *     struct bytes r = bytes_of(p, n);
 *     op = bytes_u8(&r); len = bytes_le16(&r); body = bytes_take(&r, len);
 *     if (!bytes_ok(&r)) return ST_PROTO;
 *
 * Pure; owns nothing.
 */
#ifndef SHARED_BASE_BYTES_H
#define SHARED_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *p;
    size_t left;
    bool failed;
};

static inline struct bytes bytes_of(const void *p, size_t len_bytes)
{
    return (struct bytes){ .p = p, .left = len_bytes, .failed = false };
}

static inline bool bytes_ok(const struct bytes *r)
{
    return !r->failed;
}

/* The next @n bytes, borrowed from the input; NULL when there are fewer. */
const uint8_t *bytes_take(struct bytes *r, size_t n);
uint8_t bytes_u8(struct bytes *r);
uint16_t bytes_le16(struct bytes *r);
uint32_t bytes_le32(struct bytes *r);
uint16_t bytes_be16(struct bytes *r);
uint32_t bytes_be32(struct bytes *r);

/* Writer into a caller's buffer. */
struct bytes_out {
    uint8_t *p;
    size_t len_bytes, cap_bytes;
    bool failed;
};

static inline struct bytes_out bytes_into(void *p, size_t cap_bytes)
{
    return (struct bytes_out){ .p = p, .len_bytes = 0, .cap_bytes = cap_bytes, .failed = false };
}

static inline bool bytes_out_ok(const struct bytes_out *w)
{
    return !w->failed;
}

void bytes_put(struct bytes_out *w, const void *src, size_t n);
void bytes_put_u8(struct bytes_out *w, uint8_t v);
void bytes_put_le16(struct bytes_out *w, uint16_t v);
void bytes_put_le32(struct bytes_out *w, uint32_t v);
void bytes_put_be16(struct bytes_out *w, uint16_t v);
void bytes_put_be32(struct bytes_out *w, uint32_t v);

#endif
