/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1024 };

/* Room for @more bytes and the terminator. */
static bool make_room(struct text *t, size_t more)
{
    size_t want = t->len_bytes + more + 1;
    size_t cap = MAX(MAX(2 * t->cap_bytes, want), FIRST_BYTES);
    char *larger;

    if (t->failed || want <= t->cap_bytes)
        return !t->failed;
    larger = realloc(t->chars, cap);
    if (!larger) {
        t->failed = true;
        return false;
    }
    t->chars = larger;
    t->cap_bytes = cap;
    return true;
}

void text_add(struct text *t, const void *chars, size_t len_bytes)
{
    if (!make_room(t, len_bytes))
        return;
    memcpy(t->chars + t->len_bytes, chars, len_bytes);
    t->len_bytes += len_bytes;
    t->chars[t->len_bytes] = '\0';
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n > 0 && make_room(t, (size_t)n)) {
        vsnprintf(t->chars + t->len_bytes, t->cap_bytes - t->len_bytes, fmt, again);
        t->len_bytes += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

char *text_take(struct text *t, size_t *len_bytes)
{
    char *chars;

    text_add(t, "", 0); /* so that an empty one is a text too */
    if (t->failed) {
        text_fini(t);
        return NULL;
    }
    chars = t->chars;
    if (len_bytes)
        *len_bytes = t->len_bytes;
    *t = (struct text){ 0 };
    return chars;
}

void text_fini(struct text *t)
{
    free(t->chars);
    *t = (struct text){ 0 };
}
