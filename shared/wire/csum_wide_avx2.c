/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Vectors have no carry. So each 64-bit word is taken as two of 32 bits, which are summed in lanes
 * of 64: no lane overflows before 16 GiB. At the end a lane of high words weighs 2^32 times one of
 * low words, and modulo 2^64 - 1 that is the lane with its halves exchanged.
 *
 * A copy and a sum in one pass is three times as fast as memcpy() and csum_add()'s four chains,
 * which were a quarter of what the switch spends on a download in frames of 64 KiB. Whether the
 * processor has AVX2 is known at run time. Not on Windows: GCC does not align its stack there for
 * what it keeps of such vectors (its bug 54412).
 */
#include "wire/csum_wide.h"

#include <string.h>

#define WITH_AVX2 __attribute__((target("avx2")))

enum { BLOCK_BYTES = 64, LANES = 4, VECTOR_BYTES = LANES * sizeof(uint64_t) };

typedef uint64_t vector __attribute__((vector_size(VECTOR_BYTES)));

/* The sums of the low and of the high halves of all words. */
struct lanes {
    uint64_t low[LANES], high[LANES];
};

WITH_AVX2 static void sum_blocks(struct lanes *out, uint8_t *to, const uint8_t *p, size_t count)
{
    vector low = { 0 }, high = { 0 }, low2 = { 0 }, high2 = { 0 };

    for (; count > 0; count--, p += BLOCK_BYTES) {
        vector a, b;

        memcpy(&a, p, VECTOR_BYTES);
        memcpy(&b, p + VECTOR_BYTES, VECTOR_BYTES);
        if (to) {
            memcpy(to, &a, VECTOR_BYTES);
            memcpy(to + VECTOR_BYTES, &b, VECTOR_BYTES);
            to += BLOCK_BYTES;
        }
        low += a & 0xffffffff;
        high += a >> 32;
        low2 += b & 0xffffffff;
        high2 += b >> 32;
    }
    low += low2;
    high += high2;
    memcpy(out->low, &low, VECTOR_BYTES);
    memcpy(out->high, &high, VECTOR_BYTES);
}

static uint64_t add_carry(uint64_t a, uint64_t b)
{
    a += b;
    return a + (a < b);
}

size_t csum_wide(uint64_t *sum, uint8_t *to, const uint8_t *data, size_t len_bytes)
{
    size_t count = len_bytes / BLOCK_BYTES;
    struct lanes lanes;

    if (!__builtin_cpu_supports("avx2"))
        return 0;
    sum_blocks(&lanes, to, data, count);
    for (unsigned i = 0; i < LANES; i++) {
        uint64_t exchanged = lanes.high[i] << 32 | lanes.high[i] >> 32;

        *sum = add_carry(add_carry(*sum, lanes.low[i]), exchanged);
    }
    return count * BLOCK_BYTES;
}
