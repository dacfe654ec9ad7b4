/* SPDX-License-Identifier: Apache-2.0
 * peer_text.h - text that a peer sent, made safe to store, log and show. Pure, any thread.
 */
#ifndef SHARED_IPC_PEER_TEXT_H
#define SHARED_IPC_PEER_TEXT_H

#include <stddef.h>

/* Copies @text into @dst: cut at a character when too long, every byte that is not part of valid
 * UTF-8 and every control character replaced by '?'. Always terminated; NULL counts as "".
 * @cap must not be 0. */
void peer_text_copy(char *dst, size_t cap, const char *text);

#endif
