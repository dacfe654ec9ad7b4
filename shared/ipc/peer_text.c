/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/peer_text.h"

#include "base/util.h"

#include <stdint.h>
#include <string.h>

static size_t continuation_bytes(const uint8_t *p, size_t want)
{
    size_t n = 0;

    while (n < want && (p[1 + n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Length of the character at @p (which is terminated), 0 when there is no valid one. Overlong
 * forms, surrogates and anything above U+10FFFF are not valid (RFC 3629, section 4). */
static size_t utf8_char_bytes(const uint8_t *p)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return continuation_bytes(p, 1) == 1 ? 2 : 0;
    if ((p[0] & 0xf0) == 0xe0) {
        if (continuation_bytes(p, 2) != 2)
            return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if (continuation_bytes(p, 3) != 3)
            return 0;
        if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

/* C0, DEL and C1: an escape sequence in a log line can do things to a terminal. */
static int is_control(const uint8_t *p, size_t len_bytes)
{
    if (len_bytes == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    return len_bytes == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

void peer_text_copy(char *dst, size_t cap, const char *text)
{
    const uint8_t *p = (const uint8_t *)(text ? text : "");
    size_t used = 0;

    ASSERT(cap > 0);
    while (*p) {
        size_t n = utf8_char_bytes(p);
        int replace = n == 0 || is_control(p, n);
        size_t out = replace ? 1 : n;

        if (used + out >= cap)
            break;
        if (replace)
            dst[used] = '?';
        else
            memcpy(dst + used, p, n);
        used += out;
        p += n ? n : 1;
    }
    dst[used] = '\0';
}
