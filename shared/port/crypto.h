/* SPDX-License-Identifier: Apache-2.0
 * crypto.h - the little cryptography there is: HMAC-SHA256, and what goes with secrets.
 *
 * The arithmetic is the system's: BCrypt on Windows, libsodium on Linux. Random bytes come from
 * sys_random() (port/sys.h). Pure; any thread.
 */
#ifndef SHARED_PORT_CRYPTO_H
#define SHARED_PORT_CRYPTO_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HMAC_SHA256_BYTES = 32 };

/* RFC 2104 over SHA-256; keys of any length. ST_IO: the system's provider fails, and @mac is
 * untouched. */
enum status hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t len_bytes,
                        uint8_t mac[HMAC_SHA256_BYTES]);
/* Takes the same time whatever differs. */
bool crypto_equal(const void *a, const void *b, size_t len_bytes);
/* Zeroes memory that held a secret; the compiler does not leave it out. */
void crypto_wipe(void *p, size_t len_bytes);

#endif
