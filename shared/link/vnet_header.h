/* SPDX-License-Identifier: Apache-2.0
 * vnet_header.h - the virtio-net header before each frame of the v2 protocol. Pure; for link/
 * and for tap devices, which have the same header (frame_link.h says what it means).
 */
#ifndef SHARED_LINK_VNET_HEADER_H
#define SHARED_LINK_VNET_HEADER_H

#include "link/frame_link.h"

enum { VNET_HEADER_BYTES = 12 };

/* Reads the header at @p and holds it against the frame of @len_bytes it comes with: ST_PROTO when
 * an offload of it would touch anything outside the frame. */
enum status vnet_header_decode(struct frame_offload *out, const uint8_t p[static VNET_HEADER_BYTES],
                               const uint8_t *frame, size_t len_bytes);
/* @off may be NULL: a plain frame. */
void vnet_header_encode(uint8_t p[static VNET_HEADER_BYTES], const struct frame_offload *off);

#endif
