/* SPDX-License-Identifier: Apache-2.0
 * csum_wide.h - what vectors of this processor do faster in csum.c. One file of csum_wide_*.c is
 * built, chosen by CMake. Pure.
 */
#ifndef SHARED_WIRE_CSUM_WIDE_H
#define SHARED_WIRE_CSUM_WIDE_H

#include <stddef.h>
#include <stdint.h>

/* Adds the front of @data to @sum as csum_add() does, and copies it to @to unless that is NULL.
 * Returns how many bytes that was, a multiple of eight; 0: none, there are no such vectors. */
size_t csum_wide(uint64_t *sum, uint8_t *to, const uint8_t *data, size_t len_bytes);

#endif
