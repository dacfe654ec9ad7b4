/* SPDX-License-Identifier: Apache-2.0
 * csum.h - the Internet checksum (RFC 1071), fast enough for the data path. Pure.
 */
#ifndef SHARED_WIRE_CSUM_H
#define SHARED_WIRE_CSUM_H

#include "base/ip_addr.h"

#include <stddef.h>
#include <stdint.h>

/* A sum that is not folded yet; add pieces in any order, each but the last of even length. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len_bytes);
/* The same, and copies them. */
uint64_t csum_copy(uint64_t sum, void *to, const void *data, size_t len_bytes);
/* Of two pieces one behind the other, the first of which has @first_bytes, odd or even. */
uint64_t csum_join(uint64_t first, size_t first_bytes, uint64_t second);
/* The pseudo-header of either family for @l4_bytes of @proto. */
uint64_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                     uint32_t l4_bytes);
/* Folded, not complemented, as it stands in a virtio-net partial checksum field (host order). */
uint16_t csum_fold(uint64_t sum);
/* What goes into the packet (host order): the complement of the fold. */
uint16_t csum_finish(uint64_t sum);

#endif
