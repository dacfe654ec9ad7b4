/* SPDX-License-Identifier: Apache-2.0
 * hash.h - SipHash-1-3 (Aumasson, Bernstein 2012), for tables whose keys a peer can choose: without
 * the key nobody can make many of them fall into one bucket. Not for signatures. Pure.
 */
#ifndef SHARED_BASE_HASH_H
#define SHARED_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Filled with random bytes once per table or process. */
struct hash_key {
    uint64_t k[2];
};

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len_bytes);

#endif
