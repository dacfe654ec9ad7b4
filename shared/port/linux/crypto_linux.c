/* SPDX-License-Identifier: Apache-2.0
 * sodium_init() is not called: it chooses among implementations of ciphers and prepares libsodium's
 * own random numbers, and none of that is used here.
 */
#include "port/crypto.h"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/utils.h>

_Static_assert((int)HMAC_SHA256_BYTES == (int)crypto_auth_hmacsha256_BYTES, "one length of a MAC");

enum status hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t len_bytes,
                        uint8_t mac[HMAC_SHA256_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_bytes);
    crypto_auth_hmacsha256_update(&state, data, len_bytes);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
    return ST_OK;
}

bool crypto_equal(const void *a, const void *b, size_t len_bytes)
{
    return sodium_memcmp(a, b, len_bytes) == 0;
}

void crypto_wipe(void *p, size_t len_bytes)
{
    sodium_memzero(p, len_bytes);
}
