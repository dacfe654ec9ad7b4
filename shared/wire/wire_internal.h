/* SPDX-License-Identifier: Apache-2.0
 * wire_internal.h - fields of a header's fixed part.
 *
 * A codec takes the whole fixed part with one checked bytes_take() (or puts it with one
 * bytes_put()) and reaches its fields by constant offsets: one bounds check a header, not one a
 * field. Nothing of a length that comes from the packet is read this way. Private to wire/.
 */
#ifndef SHARED_WIRE_WIRE_INTERNAL_H
#define SHARED_WIRE_WIRE_INTERNAL_H

#include <stdint.h>

static inline uint16_t field_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t field_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline void field_set_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void field_set_be32(uint8_t *p, uint32_t v)
{
    field_set_be16(p, (uint16_t)(v >> 16));
    field_set_be16(p + 2, (uint16_t)v);
}

#endif
