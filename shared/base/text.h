/* SPDX-License-Identifier: Apache-2.0
 * text.h - a text that grows while it is written.
 *
 * It latches: after the first lack of memory nothing more is added, and text_take() says so once
 * at the end. It has no bound of its own: whoever adds what a peer sends bounds that. All zero is
 * an empty one. Owns its memory.
 */
#ifndef SHARED_BASE_TEXT_H
#define SHARED_BASE_TEXT_H

#include "base/util.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *chars; /* owned, terminated; NULL before the first is added */
    size_t len_bytes, cap_bytes;
    bool failed;
};

void text_add(struct text *t, const void *chars, size_t len_bytes);
void text_printf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The text, terminated and the caller's to free(), "" for an empty one; NULL = no memory, now or
 * before. @t is empty again. @len_bytes may be NULL. */
char *text_take(struct text *t, size_t *len_bytes);
void text_fini(struct text *t);

#endif
