/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/linux/guest_files.h"

#include "guestagent/linux/file_put.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATEWAY_NAME "gateway.rancher-desktop.internal"

enum {
    RESOLVER_TEXT_MAX = 512,
    LINE_MAX_BYTES = IP_ADDR_TEXT_MAX + sizeof GATEWAY_NAME + 2 /* blank, end of line */
};

/* ---- resolv.conf ----------------------------------------------------------------------- */

static bool is_search_list(const char *text)
{
    for (; *text; text++) {
        bool is_name = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                       (*text >= '0' && *text <= '9') || strchr("-._ ", *text);

        if (!is_name)
            return false;
    }
    return true;
}

enum status guest_files_put_resolver(const char *path, const struct ip_addr *server,
                                     const char *search, struct errmsg *e)
{
    char text[RESOLVER_TEXT_MAX];
    char ip[IP_ADDR_TEXT_MAX];
    bool is_good = is_search_list(search);
    enum status st;
    int len;

    if (!is_good)
        search = "";
    len =
        snprintf(text, sizeof text, "# Written by rdlink-agent net.\n%s%s%snameserver %s\n",
                 *search ? "search " : "", search, *search ? "\n" : "", ip_addr_format(server, ip));
    if (len >= (int)sizeof text) {
        errmsg_set(e, "search list of %zu bytes", strlen(search));
        return ST_INVAL;
    }
    st = file_put(path, text, (size_t)len, e);
    if (!st && !is_good) {
        errmsg_set(e, "the host's search list is no list of domain names, left out");
        return ST_INVAL;
    }
    return st;
}

/* ---- hosts ----------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* "ADDRESS gateway.rancher-desktop.internal" and no more: such a line is ours, or of the script
 * that did this before us. With other names or a comment on it, it is somebody else's. */
static bool is_ours(const char *line, size_t len_bytes)
{
    size_t name_bytes = strlen(GATEWAY_NAME);

    while (len_bytes > 0 && is_blank(line[len_bytes - 1]))
        len_bytes--;
    if (len_bytes <= name_bytes || memcmp(line + len_bytes - name_bytes, GATEWAY_NAME, name_bytes))
        return false;
    len_bytes -= name_bytes;
    if (!is_blank(line[len_bytes - 1]))
        return false;
    while (len_bytes > 0 && is_blank(line[len_bytes - 1]))
        len_bytes--;
    for (size_t i = 0; i < len_bytes; i++) {
        if (is_blank(line[i]) || line[i] == '#')
            return false;
    }
    return len_bytes > 0;
}

/* @line has its end of line. */
static size_t put_line(char *out, const char *line)
{
    size_t len = strlen(line);

    memcpy(out, line, len + 1);
    return len;
}

/* @out has room for @old, one line more, an end of line and a 0. Returns how long it is. */
static size_t with_line(char *out, const char *old, size_t old_bytes, const char *line)
{
    bool placed = *line == '\0';
    size_t len = 0;
    size_t at = 0;

    while (at < old_bytes) {
        const char *newline = memchr(old + at, '\n', old_bytes - at);
        size_t next = newline ? (size_t)(newline - old) + 1 : old_bytes;
        size_t text_bytes = next - at - (newline ? 1 : 0);

        if (!is_ours(old + at, text_bytes)) {
            memcpy(out + len, old + at, next - at);
            len += next - at;
        } else if (!placed) {
            len += put_line(out + len, line);
            placed = true;
        }
        at = next;
    }
    if (!placed) {
        if (len > 0 && out[len - 1] != '\n')
            out[len++] = '\n';
        len += put_line(out + len, line);
    }
    return len;
}

enum status guest_files_put_gateway(const char *path, const struct ip_addr *gateway,
                                    struct errmsg *e)
{
    char line[LINE_MAX_BYTES] = "";
    char ip[IP_ADDR_TEXT_MAX];
    char *old = NULL;
    size_t old_bytes = 0;
    enum status st = file_text(path, &old, &old_bytes, e);
    char *text = NULL;

    if (st && st != ST_NOTFOUND)
        return st;
    if (!ip_addr_is_unspecified(gateway))
        snprintf(line, sizeof line, "%s " GATEWAY_NAME "\n", ip_addr_format(gateway, ip));
    if (!old && !*line)
        return ST_OK;
    st = ST_NOMEM;
    text = malloc(old_bytes + sizeof line + 2);
    if (text)
        st = file_put(path, text, with_line(text, old ? old : "", old_bytes, line), e);
    free(text);
    free(old);
    return st;
}
