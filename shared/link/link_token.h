/* SPDX-License-Identifier: Apache-2.0
 * link_token.h - the first bytes of a data link between a proved host and a proved agent: something
 * that only this agent was told, over its control channel. Pure.
 *
 *     "rdl.link", 8 bytes | token, 32 bytes | frames of link protocol v2
 *
 * Its first four bytes would be the length of a frame that cannot be.
 */
#ifndef SHARED_LINK_LINK_TOKEN_H
#define SHARED_LINK_LINK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINK_TOKEN_BYTES = 32, LINK_PREAMBLE_BYTES = 8 + LINK_TOKEN_BYTES };

struct link_token {
    uint8_t bytes[LINK_TOKEN_BYTES];
};

/* False, and *out untouched: not as long as a token. */
bool link_token_take(struct link_token *out, const void *bytes, size_t len_bytes);
void link_token_preamble(const struct link_token *token, uint8_t out[LINK_PREAMBLE_BYTES]);
/* Whether @preamble is @token's; in constant time. */
bool link_token_fits(const struct link_token *token, const uint8_t preamble[LINK_PREAMBLE_BYTES]);

#endif
