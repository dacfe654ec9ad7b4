/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_line.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A line being read. */
struct cursor {
    const char *line, *at, *end;
};

/* The carriage return of a line's end is one, too. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
}

static enum status read_key(struct cursor *c, char key[OPTION_KEY_MAX + 1], struct errmsg *e)
{
    size_t n = 0;

    while (c->at < c->end && (isalnum((unsigned char)*c->at) || *c->at == '-')) {
        if (n == OPTION_KEY_MAX) {
            errmsg_set(e, "key longer than %d characters", OPTION_KEY_MAX);
            return ST_INVAL;
        }
        key[n++] = *c->at++;
    }
    key[n] = '\0';
    if (!n) {
        errmsg_set(e, "expected a key of letters, digits and '-'");
        return ST_INVAL;
    }
    return ST_OK;
}

/* The value's end: its closing quote, or the last byte before a comment that is no blank. */
static const char *value_stop(const struct cursor *c, bool quoted)
{
    const char *stop = memchr(c->at, quoted ? '"' : '#', (size_t)(c->end - c->at));

    if (!stop)
        stop = c->end;
    while (!quoted && stop > c->at && is_blank(stop[-1]))
        stop--;
    return stop;
}

static enum status read_value(struct cursor *c, struct option_line *out, struct errmsg *e)
{
    bool quoted = c->at < c->end && *c->at == '"';
    const char *stop;
    size_t n = 0;

    out->value_at = (size_t)(c->at - c->line);
    if (quoted)
        c->at++;
    stop = value_stop(c, quoted);
    while (c->at < stop) {
        if (*c->at == '\0') {
            errmsg_set(e, "zero byte in value");
            return ST_INVAL;
        }
        if (n == OPTION_VALUE_MAX - 1) {
            errmsg_set(e, "value longer than %d bytes", OPTION_VALUE_MAX - 1);
            return ST_INVAL;
        }
        out->value[n++] = *c->at++;
    }
    if (quoted && c->at == c->end) {
        errmsg_set(e, "missing closing quote");
        return ST_INVAL;
    }
    if (quoted)
        c->at++;
    out->value[n] = '\0';
    out->value_end = (size_t)(c->at - c->line);
    return ST_OK;
}

static enum status read_setting(struct option_line *out, struct cursor *c, struct errmsg *e)
{
    enum status st = read_key(c, out->key, e);

    if (st != ST_OK)
        return st;
    out->has_key = true;
    skip_blanks(c);
    if (c->at == c->end || *c->at != '=') {
        errmsg_set(e, "expected '=' after '%s'", out->key);
        return ST_INVAL;
    }
    c->at++;
    skip_blanks(c);
    st = read_value(c, out, e);
    if (st != ST_OK)
        return st;
    skip_blanks(c);
    if (c->at < c->end && *c->at != '#') {
        errmsg_set(e, "unexpected text after the value of '%s'", out->key);
        return ST_INVAL;
    }
    return ST_OK;
}

enum status option_line_read(struct option_line *out, const char *line, size_t len_bytes,
                             size_t *at, struct errmsg *e)
{
    struct cursor c = { line, line, line + len_bytes };
    enum status st;

    out->has_key = false;
    skip_blanks(&c);
    out->key_at = (size_t)(c.at - line);
    if (c.at == c.end || *c.at == '#')
        return ST_OK;
    st = read_setting(out, &c, e);
    *at = (size_t)(c.at - line);
    return st;
}

static bool needs_quotes(const char *value)
{
    size_t len = strlen(value);

    return !len || value[0] == '"' || strchr(value, '#') || strchr(" \t", value[0]) ||
           strchr(" \t", value[len - 1]);
}

enum status option_line_quote(char *buf, size_t cap, const char *value, struct errmsg *e)
{
    bool quoted = needs_quotes(value);
    int n;

    if (strpbrk(value, "\r\n") || (quoted && strchr(value, '"'))) {
        errmsg_set(e, "'%.80s' cannot be written to a file: %s", value,
                   strpbrk(value, "\r\n") ? "it has more than one line"
                                          : "it has quotes and what must be quoted");
        return ST_INVAL;
    }
    n = snprintf(buf, cap, quoted ? "\"%s\"" : "%s", value);
    return n < 0 || (size_t)n >= cap ? ST_FULL : ST_OK;
}
