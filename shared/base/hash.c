/* SPDX-License-Identifier: Apache-2.0
 * hash.c - SipHash with one round per word and three at the end: what Rust's and Linux' hash
 * tables use, a quarter faster than 2-4 and still keyed. Words are little-endian on every machine.
 */
#include "base/hash.h"

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->c += v->d;
    v->b = rotate(v->b, 13) ^ v->a;
    v->d = rotate(v->d, 16) ^ v->c;
    v->a = rotate(v->a, 32);
    v->c += v->b;
    v->a += v->d;
    v->b = rotate(v->b, 17) ^ v->c;
    v->d = rotate(v->d, 21) ^ v->a;
    v->c = rotate(v->c, 32);
}

/* Compilers make one load of it. */
static inline uint64_t load_word(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

/* The rest below a word, and the length on top of it. */
static inline uint64_t load_tail(const uint8_t *p, size_t left, size_t len_bytes)
{
    uint64_t v = (uint64_t)(len_bytes & 0xff) << 56;

    while (left-- > 0)
        v |= (uint64_t)p[left] << (8 * left);
    return v;
}

static inline void sip_word(struct sip *v, uint64_t word)
{
    v->d ^= word;
    sip_round(v);
    v->a ^= word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len_bytes)
{
    const uint8_t *p = data;
    size_t left = len_bytes;
    struct sip v = {
        .a = key->k[0] ^ 0x736f6d6570736575,
        .b = key->k[1] ^ 0x646f72616e646f6d,
        .c = key->k[0] ^ 0x6c7967656e657261,
        .d = key->k[1] ^ 0x7465646279746573,
    };

    for (; left >= 8; left -= 8, p += 8)
        sip_word(&v, load_word(p));
    sip_word(&v, load_tail(p, left, len_bytes));
    v.c ^= 0xff;
    sip_round(&v);
    sip_round(&v);
    sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}
