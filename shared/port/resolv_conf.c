/* SPDX-License-Identifier: Apache-2.0 */
#include "port/resolv_conf.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of [p, end), of *len characters; NULL when there is none. */
static const char *next_word(const char *p, const char *end, size_t *len)
{
    const char *start;

    while (p < end && is_blank(*p))
        p++;
    start = p;
    while (p < end && !is_blank(*p) && *p != '#' && *p != ';')
        p++;
    *len = (size_t)(p - start);
    return *len ? start : NULL;
}

static void take_line(struct name_servers *out, const char *line, const char *end)
{
    static const char key[] = "nameserver";
    char text[IP_ADDR_TEXT_MAX];
    size_t len;
    const char *word = next_word(line, end, &len);

    if (!word || len != sizeof key - 1 || memcmp(word, key, len) != 0)
        return;
    word = next_word(word + len, end, &len);
    if (!word || len >= sizeof text || out->count == NAME_SERVERS_MAX)
        return;
    memcpy(text, word, len);
    text[len] = '\0';
    if (ip_addr_parse(&out->at[out->count], text) == ST_OK)
        out->count++;
}

void resolv_conf_parse(struct name_servers *out, const char *text, size_t len_bytes)
{
    const char *end = text + len_bytes;

    out->count = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;

        take_line(out, text, line_end);
        text = newline ? newline + 1 : end;
    }
    if (out->count == 0)
        out->at[out->count++] = ip_addr_v4(0x7f000001);
}
