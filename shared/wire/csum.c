/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * The Internet checksum is a sum of 16-bit words with the carries added back in. Such a sum may be
 * taken in words of any width that is a multiple of 16 bits, and in either byte order: the result
 * only comes out with its bytes swapped (RFC 1071, 2(B)). So words are loaded 64 bits at a time as
 * the machine has them, added with end-around carry in four independent chains (an add and an
 * add-with-carry each, nothing waits for its neighbour), and the byte order is set right once, when
 * the sum is folded to 16 bits.
 *
 * Invariant: a uint64_t sum stands for itself modulo 2^64 - 1 in native byte order; adding to it
 * never loses a carry, so any number of bytes may be added.
 * What is long goes through vectors first, where there are any (csum_wide_*.c): the chains take a
 * cache line in a few cycles, but a byte of a download is copied only three times in all.
 */
#include "wire/csum.h"

#include "wire/csum_wide.h"

#include <string.h>

enum { WIDE_FROM_BYTES = 256 }; /* below it vectors are not worth their beginning and end */

static inline uint64_t add_carry(uint64_t a, uint64_t b)
{
    a += b;
    return a + (a < b);
}

static inline uint64_t load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* What is left below eight bytes. An odd last byte is the first of a word whose other one is 0. */
static inline uint64_t sum_of_tail(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    uint32_t four;
    uint16_t two;

    if (n & 4) {
        memcpy(&four, p, sizeof four);
        sum += four;
        p += 4;
    }
    if (n & 2) {
        memcpy(&two, p, sizeof two);
        sum += two;
        p += 2;
    }
    if (n & 1) {
        const uint8_t word[2] = { *p, 0 };

        memcpy(&two, word, sizeof two);
        sum += two;
    }
    return sum;
}

uint64_t csum_add(uint64_t sum, const void *data, size_t len_bytes)
{
    const uint8_t *p = data;

    if (len_bytes >= WIDE_FROM_BYTES) {
        size_t n = csum_wide(&sum, NULL, p, len_bytes);

        p += n;
        len_bytes -= n;
    }
    if (len_bytes >= 64) {
        uint64_t a = 0, b = 0, c = 0;

        for (; len_bytes >= 64; p += 64, len_bytes -= 64) {
            sum = add_carry(sum, load(p));
            a = add_carry(a, load(p + 8));
            b = add_carry(b, load(p + 16));
            c = add_carry(c, load(p + 24));
            sum = add_carry(sum, load(p + 32));
            a = add_carry(a, load(p + 40));
            b = add_carry(b, load(p + 48));
            c = add_carry(c, load(p + 56));
        }
        sum = add_carry(add_carry(sum, a), add_carry(b, c));
    }
    for (; len_bytes >= 8; p += 8, len_bytes -= 8)
        sum = add_carry(sum, load(p));
    return add_carry(sum, sum_of_tail(p, len_bytes));
}

uint64_t csum_copy(uint64_t sum, void *to, const void *data, size_t len_bytes)
{
    size_t n = len_bytes >= WIDE_FROM_BYTES ? csum_wide(&sum, to, data, len_bytes) : 0;

    memcpy((uint8_t *)to + n, (const uint8_t *)data + n, len_bytes - n);
    return csum_add(sum, (const uint8_t *)data + n, len_bytes - n);
}

uint64_t csum_join(uint64_t first, size_t first_bytes, uint64_t second)
{
    if (first_bytes % 2)
        second = second << 8 | second >> 56; /* each byte is the other one of its word */
    return add_carry(first, second);
}

uint64_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                     uint32_t l4_bytes)
{
    /* IPv4: zero, protocol, 16-bit length. IPv6: 32-bit length, zeros, next header. As sums of
     * 16-bit words the two are the same. */
    const uint8_t tail[8] = { (uint8_t)(l4_bytes >> 24),
                              (uint8_t)(l4_bytes >> 16),
                              (uint8_t)(l4_bytes >> 8),
                              (uint8_t)l4_bytes,
                              0,
                              0,
                              0,
                              proto };
    size_t from = ip_addr_is_v4(src) ? 12 : 0;
    uint64_t sum = load(tail);

    sum = csum_add(sum, src->b + from, sizeof src->b - from);
    return csum_add(sum, dst->b + from, sizeof dst->b - from);
}

uint16_t csum_fold(uint64_t sum)
{
    uint8_t word[2];
    uint16_t native;

    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16 & 0xffff) + (sum & 0xffff) + (sum >> 32);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    native = (uint16_t)sum;
    memcpy(word, &native, sizeof word);
    return (uint16_t)(word[0] << 8 | word[1]);
}

uint16_t csum_finish(uint64_t sum)
{
    return (uint16_t)~csum_fold(sum);
}
