/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * struct virtio_net_hdr_mrg_rxbuf of virtio 1.2 (5.1.6), little-endian:
 *
 *   0 flags   1 gso_type   2 hdr_len   4 gso_size   6 csum_start   8 csum_offset   10 num_buffers
 *
 * It is what a Linux tap with IFF_VNET_HDR gives and takes, so an agent passes it on as it is. It
 * comes from the guest: everything in it is checked against the frame here, once, so that nobody
 * behind has to. What is believed of hdr_len is only that it lies in the frame: Linux puts there
 * how much of a packet happened to be contiguous in memory. Where the headers really end is read
 * from the frame: checksum start is where TCP or UDP begins, and the header says how long it is.
 *
 * Not accepted: UFO (gso_type 3: fragments that only the sender's stack can make sense of),
 * coalescing information (flag 4) and anything newer, none of which was negotiated. The ECN bit of
 * gso_type is accepted and not kept: it says how to split, and segments end here.
 */
#include "link/vnet_header.h"

#include "base/bytes.h"

enum { FLAG_NEEDS_CSUM = 1, FLAG_DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCP4 = 1, GSO_TCP6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };
enum { ETH_BYTES = 14, TCP_MIN_BYTES = 20, UDP_BYTES = 8 };
enum { TCP_CSUM_AT = 16, UDP_CSUM_AT = 6, TCP_DATA_OFFSET_AT = 12 };

static bool take_gso_type(struct frame_offload *off, uint8_t type)
{
    switch (type & ~GSO_ECN) {
    case GSO_NONE: off->gso = FRAME_GSO_NONE; return true;
    case GSO_TCP4: off->gso = FRAME_GSO_TCP4; return true;
    case GSO_TCP6: off->gso = FRAME_GSO_TCP6; return true;
    case GSO_UDP_L4: off->gso = FRAME_GSO_UDP; return true;
    default: return false;
    }
}

/* A super-segment: where its headers end, which must be within the frame. */
static bool find_header_end(struct frame_offload *off, const uint8_t *frame, size_t len_bytes)
{
    struct bytes r = bytes_of(frame, len_bytes);
    size_t l4_bytes = UDP_BYTES;

    if (off->gso != FRAME_GSO_UDP) {
        bytes_take(&r, (size_t)off->csum_start + TCP_DATA_OFFSET_AT);
        l4_bytes = (size_t)(bytes_u8(&r) >> 4) * 4;
        if (!bytes_ok(&r) || l4_bytes < TCP_MIN_BYTES)
            return false;
    }
    if (off->csum_offset != (off->gso == FRAME_GSO_UDP ? UDP_CSUM_AT : TCP_CSUM_AT))
        return false;
    if (off->csum_start + l4_bytes > len_bytes || off->csum_start + l4_bytes > UINT16_MAX)
        return false;
    off->header_bytes = (uint16_t)(off->csum_start + l4_bytes);
    return true;
}

enum status vnet_header_decode(struct frame_offload *out, const uint8_t p[static VNET_HEADER_BYTES],
                               const uint8_t *frame, size_t len_bytes)
{
    struct bytes r = bytes_of(p, VNET_HEADER_BYTES);
    struct frame_offload off = { .gso = FRAME_GSO_NONE };
    uint8_t flags = bytes_u8(&r);
    uint8_t gso_type = bytes_u8(&r);
    uint16_t hdr_len = bytes_le16(&r);

    off.gso_size = bytes_le16(&r);
    off.csum_start = bytes_le16(&r);
    off.csum_offset = bytes_le16(&r);
    off.needs_csum = flags & FLAG_NEEDS_CSUM;
    off.csum_valid = flags & FLAG_DATA_VALID;
    if (flags & ~(FLAG_NEEDS_CSUM | FLAG_DATA_VALID) || !take_gso_type(&off, gso_type) ||
        hdr_len > len_bytes)
        return ST_PROTO;
    if (off.needs_csum &&
        (off.csum_start < ETH_BYTES || (size_t)off.csum_start + off.csum_offset + 2 > len_bytes))
        return ST_PROTO;
    if (off.gso != FRAME_GSO_NONE &&
        (!off.needs_csum || off.gso_size == 0 || !find_header_end(&off, frame, len_bytes)))
        return ST_PROTO;
    if (!off.needs_csum)
        off.csum_start = off.csum_offset = 0;
    if (off.gso == FRAME_GSO_NONE)
        off.gso_size = 0;
    *out = off;
    return ST_OK;
}

void vnet_header_encode(uint8_t p[static VNET_HEADER_BYTES], const struct frame_offload *off)
{
    static const struct frame_offload plain;
    static const uint8_t types[] = {
        [FRAME_GSO_NONE] = GSO_NONE,
        [FRAME_GSO_TCP4] = GSO_TCP4,
        [FRAME_GSO_TCP6] = GSO_TCP6,
        [FRAME_GSO_UDP] = GSO_UDP_L4,
    };
    struct bytes_out w = bytes_into(p, VNET_HEADER_BYTES);

    if (!off)
        off = &plain;
    bytes_put_u8(&w, (uint8_t)((off->needs_csum ? FLAG_NEEDS_CSUM : 0) |
                               (off->csum_valid ? FLAG_DATA_VALID : 0)));
    bytes_put_u8(&w, types[off->gso]);
    bytes_put_le16(&w, off->header_bytes);
    bytes_put_le16(&w, off->gso_size);
    bytes_put_le16(&w, off->csum_start);
    bytes_put_le16(&w, off->csum_offset);
    bytes_put_le16(&w, 0); /* number of buffers: receivers of this direction ignore it */
}
