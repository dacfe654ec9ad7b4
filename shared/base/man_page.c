/* SPDX-License-Identifier: Apache-2.0
 * The page has no date: two builds of one source are the same, and the version says which it is.
 */
#include "base/man_page.h"

#include "base/util.h"
#include "base/version.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 76, LINE_MAX_BYTES = 256 };

static void put(struct man_page *m, const char *text)
{
    m->print(m->ctx, text);
}

static void put_char(struct man_page *m, char c)
{
    static const struct {
        char c;
        const char *as;
    } rules[] = { { '\\', "\\e" },  { '-', "\\-" },   { '`', "\\(ga" }, { '\'', "\\(aq" },
                  { '^', "\\(ha" }, { '~', "\\(ti" }, { '"', "\\(dq" } };
    char plain[2] = { c, '\0' };

    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        if (rules[i].c == c) {
            put(m, rules[i].as);
            return;
        }
    }
    put(m, plain);
}

/* A line that begins with a period would be a request. */
static void put_words(struct man_page *m, const char *text, size_t len)
{
    if (len && text[0] == '.')
        put(m, "\\&");
    for (size_t i = 0; i < len; i++)
        put_char(m, text[i]);
}

/* Filled text, in lines that are easy on whoever reads the source. */
static void put_filled(struct man_page *m, const char *text)
{
    while (*text) {
        size_t n = strlen(text);

        if (n > COLUMNS) {
            n = COLUMNS;
            while (n && text[n] != ' ')
                n--;
            if (!n)
                n = strcspn(text, " ");
        }
        put_words(m, text, n);
        put(m, "\n");
        text += n;
        text += strspn(text, " ");
    }
}

static void put_heading(struct man_page *m, const char *macro, const char *title)
{
    put(m, macro);
    put(m, " \"");
    put_words(m, title, strlen(title));
    put(m, "\"\n");
    m->has_text = false;
}

static void begin_paragraph(struct man_page *m)
{
    if (m->has_text)
        put(m, ".PP\n");
    m->has_text = true;
}

void man_page_begin(struct man_page *m, const char *name, unsigned section, const char *summary)
{
    char line[LINE_MAX_BYTES];

    snprintf(line, sizeof line, ".TH %.40s %u \"\" \"rdlink %.40s\"\n.SH NAME\n", name, section,
             rdlink_version());
    put(m, line);
    put_words(m, name, strlen(name));
    put(m, " \\- ");
    put_words(m, summary, strlen(summary));
    put(m, "\n");
}

void man_page_section(struct man_page *m, const char *title)
{
    put_heading(m, ".SH", title);
}

void man_page_part(struct man_page *m, const char *title)
{
    put_heading(m, ".SS", title);
}

void man_page_text(struct man_page *m, const char *text)
{
    begin_paragraph(m);
    put_filled(m, text);
}

void man_page_lines(struct man_page *m, const char *lines)
{
    begin_paragraph(m);
    put(m, ".nf\n");
    while (*lines) {
        size_t n = strcspn(lines, "\n");

        put_words(m, lines, n);
        put(m, "\n");
        lines += n + (lines[n] == '\n');
    }
    put(m, ".fi\n");
}

void man_page_item(struct man_page *m, const char *term, const char *text)
{
    m->has_text = true;
    put(m, ".TP\n\\fB");
    put_words(m, term, strlen(term));
    put(m, "\\fR\n");
    put_filled(m, text);
}

static void put_option(struct man_page *m, const struct option *o)
{
    char text[LINE_MAX_BYTES + 16];

    m->has_text = true;
    put(m, ".TP\n\\fB\\-\\-");
    put_words(m, o->key, strlen(o->key));
    put(m, "\\fR");
    if (o->value_name) {
        put(m, " \\fI");
        put_words(m, o->value_name, strlen(o->value_name));
        put(m, "\\fR");
    }
    put(m, "\n");
    put_filled(m, o->help);
    if (!o->fallback || !o->fallback[0])
        return;
    snprintf(text, sizeof text, "Default: %.*s", LINE_MAX_BYTES, o->fallback);
    put(m, ".br\n");
    put_filled(m, text);
}

void man_page_options(struct man_page *m, const struct option *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_option(m, &table[i]);
}
