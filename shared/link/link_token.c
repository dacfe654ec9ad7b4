/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_token.h"

#include "port/crypto.h"

#include <string.h>

enum { MAGIC_BYTES = LINK_PREAMBLE_BYTES - LINK_TOKEN_BYTES };

static const char magic[] = "rdl.link";

_Static_assert(sizeof magic - 1 == MAGIC_BYTES, "the magic's length");

bool link_token_take(struct link_token *out, const void *bytes, size_t len_bytes)
{
    if (len_bytes != sizeof out->bytes)
        return false;
    memcpy(out->bytes, bytes, sizeof out->bytes);
    return true;
}

void link_token_preamble(const struct link_token *token, uint8_t out[LINK_PREAMBLE_BYTES])
{
    memcpy(out, magic, MAGIC_BYTES);
    memcpy(out + MAGIC_BYTES, token->bytes, sizeof token->bytes);
}

bool link_token_fits(const struct link_token *token, const uint8_t preamble[LINK_PREAMBLE_BYTES])
{
    uint8_t want[LINK_PREAMBLE_BYTES];

    link_token_preamble(token, want);
    return crypto_equal(want, preamble, sizeof want);
}
