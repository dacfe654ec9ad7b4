/* SPDX-License-Identifier: Apache-2.0
 * proof.h - what both sides of a greeting compute to show that they have the same key. Pure.
 *
 * Each side contributes a fresh nonce; a MAC covers both of them, the direction it goes, and what
 * the greeting said of both sides. The acceptor's goes into HelloAck, the opener's into Proof.
 * docs/proof.md says what that keeps out and what not.
 */
#ifndef SHARED_IPC_PROOF_H
#define SHARED_IPC_PROOF_H

#include "base/status.h"
#include "port/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROOF_KEY_BYTES = 32,
    PROOF_NONCE_BYTES = 32,
    PROOF_MAC_BYTES = HMAC_SHA256_BYTES,
    PROOF_INSTANCE_MAX = 64 /* terminator included */
};

/* Of one instance: both of its units, and the hosts it belongs to. */
struct proof_key {
    uint8_t bytes[PROOF_KEY_BYTES];
};

/* 64 hexadecimal digits, and white space around them. ST_NOTFOUND: nothing but white space;
 * ST_INVAL: anything else. On failure *out is untouched. */
enum status proof_key_parse(struct proof_key *out, const char *text, size_t len_bytes);
/* The 64 digits in lower case. */
void proof_key_format(const struct proof_key *key, char text[2 * PROOF_KEY_BYTES + 1]);
/* Letters, digits, '-', '_' and '.', not first; 1 to 63 bytes. It names files. */
bool proof_is_instance(const char *text);

enum proof_direction { PROOF_BY_ACCEPTOR = 1, PROOF_BY_OPENER = 2 };

/* What was said in the greeting; the same on both sides, or the MACs differ. */
struct proof_transcript {
    uint32_t major;
    uint32_t opener_role, acceptor_role;
    uint8_t opener_nonce[PROOF_NONCE_BYTES], acceptor_nonce[PROOF_NONCE_BYTES];
    char opener_instance[PROOF_INSTANCE_MAX], acceptor_instance[PROOF_INSTANCE_MAX];
};

/* ST_IO: hmac_sha256() fails. */
enum status proof_mac(const struct proof_key *key, enum proof_direction by,
                      const struct proof_transcript *t, uint8_t mac[PROOF_MAC_BYTES]);
/* Whether @mac is it; false when it cannot be computed. */
bool proof_verify(const struct proof_key *key, enum proof_direction by,
                  const struct proof_transcript *t, const void *mac, size_t mac_bytes);

#endif
