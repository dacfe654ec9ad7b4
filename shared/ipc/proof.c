/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *     opener                                    acceptor
 *       |-- Hello { nonce o } --------------------->|
 *       |<- HelloAck { nonce a, mac(acceptor) } ----|  shows that it has the key, for this o
 *       |-- Proof { mac(opener) } ----------------->|  shows that it has the key, for this a
 *
 *     mac(by) = HMAC-SHA256(key, label | by | major | roles | o | a | instances)
 *
 * Fixed fields first, then each instance with its length, so that no two transcripts give the same
 * bytes. @by keeps a MAC from being sent back to whom it came from, the roles keep one unit's from
 * being used for the other (both have the same key), o and a keep an old one from being used at
 * all.
 */
#include "ipc/proof.h"

#include "base/bytes.h"
#include "base/hex.h"
#include "base/util.h"

#include <string.h>

static const char label[16] = "rdlink.v1 proof";

enum { TRANSCRIPT_MAX = sizeof label + 1 + 12 + 2 * PROOF_NONCE_BYTES + 2 * PROOF_INSTANCE_MAX };

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum status proof_key_parse(struct proof_key *out, const char *text, size_t len_bytes)
{
    struct proof_key key;

    for (; len_bytes > 0 && is_space(*text); len_bytes--)
        text++;
    while (len_bytes > 0 && is_space(text[len_bytes - 1]))
        len_bytes--;
    if (len_bytes == 0)
        return ST_NOTFOUND;
    if (len_bytes != 2 * sizeof key.bytes)
        return ST_INVAL;
    for (size_t i = 0; i < sizeof key.bytes; i++) {
        int byte = hex_byte(text + 2 * i);

        if (byte < 0) {
            crypto_wipe(&key, sizeof key);
            return ST_INVAL;
        }
        key.bytes[i] = (uint8_t)byte;
    }
    *out = key;
    crypto_wipe(&key, sizeof key);
    return ST_OK;
}

void proof_key_format(const struct proof_key *key, char text[2 * PROOF_KEY_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof key->bytes; i++) {
        text[2 * i] = digits[key->bytes[i] >> 4];
        text[2 * i + 1] = digits[key->bytes[i] & 15];
    }
    text[2 * sizeof key->bytes] = '\0';
}

bool proof_is_instance(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t len = strlen(text);

    return len > 0 && len < PROOF_INSTANCE_MAX && text[0] != '.' && strspn(text, allowed) == len;
}

/* ---- MACs ------------------------------------------------------------------------------------ */

static void put_text(struct bytes_out *w, const char *text)
{
    size_t len = strlen(text);

    bytes_put_u8(w, (uint8_t)len);
    bytes_put(w, text, len);
}

enum status proof_mac(const struct proof_key *key, enum proof_direction by,
                      const struct proof_transcript *t, uint8_t mac[PROOF_MAC_BYTES])
{
    uint8_t bytes[TRANSCRIPT_MAX];
    struct bytes_out w = bytes_into(bytes, sizeof bytes);

    bytes_put(&w, label, sizeof label);
    bytes_put_u8(&w, (uint8_t)by);
    bytes_put_le32(&w, t->major);
    bytes_put_le32(&w, t->opener_role);
    bytes_put_le32(&w, t->acceptor_role);
    bytes_put(&w, t->opener_nonce, sizeof t->opener_nonce);
    bytes_put(&w, t->acceptor_nonce, sizeof t->acceptor_nonce);
    put_text(&w, t->opener_instance);
    put_text(&w, t->acceptor_instance);
    ASSERT(bytes_out_ok(&w));
    return hmac_sha256(key->bytes, sizeof key->bytes, bytes, w.len_bytes, mac);
}

bool proof_verify(const struct proof_key *key, enum proof_direction by,
                  const struct proof_transcript *t, const void *mac, size_t mac_bytes)
{
    uint8_t want[PROOF_MAC_BYTES];

    return mac_bytes == sizeof want && proof_mac(key, by, t, want) == ST_OK &&
           crypto_equal(want, mac, sizeof want);
}
