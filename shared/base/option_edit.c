/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: the text is copied line by line, and only lines of the key are looked at twice. The n-th
 * of them gets the n-th value in the place of its own; those beyond the last value are left out.
 * What remains of the values is written after the last line of the key, so that a list stays
 * together, or at the end. That place is found in a first pass, which also says which line end the
 * file uses. A line of the key that does not parse (a missing quote) is replaced as a whole,
 * because nobody knows where its value ends.
 */
#include "base/option_edit.h"

#include "base/option_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct editor {
    const char *key;
    const char *const *values;
    unsigned count;
    unsigned next;   /* value to be written next */
    unsigned lines;  /* of the key, in the text */
    unsigned passed; /* of those, how many were copied */
    const char *line_end;
    char *buf; /* owned; OPTION_FILE_MAX + 1 bytes */
    size_t len;
    enum status st;
    struct errmsg *e;
};

static void put(struct editor *ed, const char *bytes, size_t n)
{
    if (ed->st != ST_OK)
        return;
    if (n > OPTION_FILE_MAX - ed->len) {
        ed->st = ST_FULL;
        errmsg_set(ed->e, "the file would be longer than 64 KiB");
        return;
    }
    memcpy(ed->buf + ed->len, bytes, n);
    ed->len += n;
}

static void put_text(struct editor *ed, const char *text)
{
    put(ed, text, strlen(text));
}

/* The next value, as it is written. */
static void put_value(struct editor *ed)
{
    char quoted[2 * OPTION_VALUE_MAX];
    enum status st = option_line_quote(quoted, sizeof quoted, ed->values[ed->next++], ed->e);

    if (ed->st == ST_OK)
        ed->st = st;
    put_text(ed, quoted);
}

static void put_rest(struct editor *ed)
{
    if (ed->next < ed->count && ed->len > 0 && ed->buf[ed->len - 1] != '\n')
        put_text(ed, ed->line_end);
    while (ed->next < ed->count && ed->st == ST_OK) {
        put_text(ed, ed->key);
        put_text(ed, " = ");
        put_value(ed);
        put_text(ed, ed->line_end);
    }
}

/* Of the line at @text, with its newline. */
static size_t line_length(const char *text, const char *end)
{
    const char *newline = memchr(text, '\n', (size_t)(end - text));

    return newline ? (size_t)(newline - text) + 1 : (size_t)(end - text);
}

static bool is_of_key(const struct editor *ed, struct option_line *l, const char *line, size_t len,
                      bool *good)
{
    size_t at = 0;

    if (len && line[len - 1] == '\n')
        len--;
    *good = option_line_read(l, line, len, &at, NULL) == ST_OK;
    return l->has_key && strcmp(l->key, ed->key) == 0;
}

static void look(struct editor *ed, const char *text, const char *end)
{
    ed->line_end = "\n";
    while (text < end) {
        size_t len = line_length(text, end);
        struct option_line l;
        bool good;

        if (len > 1 && text[len - 1] == '\n' && text[len - 2] == '\r')
            ed->line_end = "\r\n";
        ed->lines += is_of_key(ed, &l, text, len, &good);
        text += len;
    }
}

static void put_changed(struct editor *ed, const struct option_line *l, const char *line,
                        size_t len, bool good)
{
    if (good) {
        put(ed, line, l->value_at);
        put_value(ed);
        put(ed, line + l->value_end, len - l->value_end);
        return;
    }
    put(ed, line, l->key_at);
    put_text(ed, ed->key);
    put_text(ed, " = ");
    put_value(ed);
    put_text(ed, ed->line_end);
}

static void copy(struct editor *ed, const char *text, const char *end)
{
    while (text < end) {
        size_t len = line_length(text, end);
        struct option_line l;
        bool good;

        if (!is_of_key(ed, &l, text, len, &good)) {
            put(ed, text, len);
        } else {
            if (ed->next < ed->count)
                put_changed(ed, &l, text, len, good);
            if (++ed->passed == ed->lines)
                put_rest(ed);
        }
        text += len;
    }
    put_rest(ed);
}

enum status option_edit(const char *text, size_t len_bytes, const char *key,
                        const char *const *values, unsigned count, char **out, size_t *out_len,
                        struct errmsg *e)
{
    struct editor ed = { .key = key, .values = values, .count = count, .e = e };

    ed.buf = malloc(OPTION_FILE_MAX + 1);
    if (!ed.buf) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    look(&ed, text, text + len_bytes);
    copy(&ed, text, text + len_bytes);
    if (ed.st != ST_OK) {
        free(ed.buf);
        return ed.st;
    }
    ed.buf[ed.len] = '\0';
    *out = ed.buf;
    *out_len = ed.len;
    return ST_OK;
}
