/* SPDX-License-Identifier: Apache-2.0
 * BCrypt with its pseudo-handles were shorter, but those are of Windows 10 and Wine's are young; a
 * provider is opened for each MAC instead, which is a handful for each greeting.
 */
#include "port/crypto.h"

#include <windows.h>

#include <bcrypt.h>

static bool compute(BCRYPT_ALG_HANDLE provider, const void *key, size_t key_bytes, const void *data,
                    size_t len_bytes, uint8_t mac[HMAC_SHA256_BYTES])
{
    BCRYPT_HASH_HANDLE hash = NULL;
    bool ok = BCRYPT_SUCCESS(BCryptCreateHash(provider, &hash, NULL, 0, (PUCHAR)(uintptr_t)key,
                                              (ULONG)key_bytes, 0)) &&
              BCRYPT_SUCCESS(BCryptHashData(hash, (PUCHAR)(uintptr_t)data, (ULONG)len_bytes, 0)) &&
              BCRYPT_SUCCESS(BCryptFinishHash(hash, mac, HMAC_SHA256_BYTES, 0));

    if (hash)
        BCryptDestroyHash(hash);
    return ok;
}

enum status hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t len_bytes,
                        uint8_t mac[HMAC_SHA256_BYTES])
{
    BCRYPT_ALG_HANDLE provider = NULL;
    bool ok;

    if (!BCRYPT_SUCCESS(BCryptOpenAlgorithmProvider(&provider, BCRYPT_SHA256_ALGORITHM, NULL,
                                                    BCRYPT_ALG_HANDLE_HMAC_FLAG)))
        return ST_IO;
    ok = compute(provider, key, key_bytes, data, len_bytes, mac);
    BCryptCloseAlgorithmProvider(provider, 0);
    return ok ? ST_OK : ST_IO;
}

/* Windows has no such comparison. Every byte is looked at; volatile keeps it so. */
bool crypto_equal(const void *a, const void *b, size_t len_bytes)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;

    for (size_t i = 0; i < len_bytes; i++)
        differ |= (uint8_t)(x[i] ^ y[i]);
    return differ == 0;
}

void crypto_wipe(void *p, size_t len_bytes)
{
    SecureZeroMemory(p, len_bytes);
}
