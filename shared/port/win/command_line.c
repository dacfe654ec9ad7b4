/* SPDX-License-Identifier: Apache-2.0
 * Inside "..." a backslash is itself unless a row of them meets a quote; that row is doubled and
 * the quote gets one more. The first word is different: no backslash escapes anything in it.
 */
#include "port/win/command_line.h"

#include <string.h>

static void put(struct command_line *c, char byte, size_t times)
{
    for (; times; times--) {
        if (c->len < c->cap)
            c->out[c->len] = byte;
        c->len++;
    }
}

static void put_text(struct command_line *c, const char *text)
{
    for (; *text; text++)
        put(c, *text, 1);
}

static void put_quoted(struct command_line *c, const char *word)
{
    size_t slashes = 0;

    put(c, '"', 1);
    for (; *word; word++) {
        if (*word == '\\') {
            slashes++;
            continue;
        }
        put(c, '\\', *word == '"' ? 2 * slashes + 1 : slashes);
        slashes = 0;
        put(c, *word, 1);
    }
    put(c, '\\', 2 * slashes);
    put(c, '"', 1);
}

void command_line_program(struct command_line *c, const char *path)
{
    put(c, '"', 1);
    put_text(c, path);
    put(c, '"', 1);
}

void command_line_add(struct command_line *c, const char *word)
{
    put(c, ' ', 1);
    if (*word && !strpbrk(word, " \t\n\v\""))
        put_text(c, word);
    else
        put_quoted(c, word);
}

bool command_line_end(struct command_line *c)
{
    put(c, '\0', 1);
    return c->len <= c->cap;
}
