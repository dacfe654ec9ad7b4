/* SPDX-License-Identifier: Apache-2.0 */
#include "base/guid.h"

#include "base/hex.h"

#include <stdio.h>
#include <string.h>

/* Text position of each byte's two digits, in memory order: the first three groups are stored
 * little-endian. */
static const uint8_t digit_at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
enum { TEXT_LEN = 36 };

enum status guid_parse(struct guid *out, const char *text)
{
    size_t len = strlen(text);
    struct guid g;

    if (len == TEXT_LEN + 2 && text[0] == '{' && text[len - 1] == '}') {
        text++;
        len -= 2;
    }
    if (len != TEXT_LEN || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
        return ST_INVAL;
    for (unsigned i = 0; i < 16; i++) {
        int byte = hex_byte(text + digit_at[i]);

        if (byte < 0)
            return ST_INVAL;
        g.bytes[i] = (uint8_t)byte;
    }
    *out = g;
    return ST_OK;
}

const char *guid_format(const struct guid *g, char buf[static GUID_TEXT_MAX])
{
    static const char hex[] = "0123456789abcdef";

    for (unsigned i = 0; i < 16; i++) {
        buf[digit_at[i]] = hex[g->bytes[i] >> 4];
        buf[digit_at[i] + 1] = hex[g->bytes[i] & 15];
    }
    buf[8] = buf[13] = buf[18] = buf[23] = '-';
    buf[TEXT_LEN] = '\0';
    return buf;
}
