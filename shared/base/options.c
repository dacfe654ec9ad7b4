/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include "base/log.h"
#include "base/option_source.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMNS = 79 };

static struct option_source source_of(const struct option *table, size_t count, void *config)
{
    return (struct option_source){ .table = table, .count = count, .config = config };
}

void options_defaults(const struct option *table, size_t count, void *config)
{
    struct option_source s = source_of(table, count, config);
    struct errmsg e;

    for (size_t i = 0; i < count; i++)
        if (table[i].fallback)
            ASSERT(option_source_set(&s, &table[i], table[i].fallback, 0, &e) == ST_OK);
}

enum status options_parse_argv(const struct option *table, size_t count, void *config, int argc,
                               const char *const *argv, int *rest, struct errmsg *e)
{
    struct option_source s = source_of(table, count, config);

    return option_source_argv(&s, argc, argv, rest, e);
}

enum status options_load_file(const struct option *table, size_t count, void *config,
                              const char *path, struct errmsg *e)
{
    struct option_source s = source_of(table, count, config);

    return option_source_file(&s, path, e);
}

enum status options_check_log_level(const char *value, struct errmsg *e)
{
    struct log_levels unused;

    log_get_levels(&unused);
    return log_levels_parse(&unused, value, e);
}

/* ---- all sources ------------------------------------------------------------------------- */

static enum status parse_whole_argv(const struct option *table, size_t count, void *config,
                                    int argc, const char *const *argv, struct errmsg *e)
{
    int rest = 0;
    enum status st = options_parse_argv(table, count, config, argc, argv, &rest, e);

    if (st == ST_OK && rest != argc) {
        errmsg_set(e, "unexpected argument '%.80s'", argv[rest]);
        return ST_INVAL;
    }
    return st;
}

static void reset(const struct option *table, size_t count, void *config, size_t size_bytes)
{
    memset(config, 0, size_bytes);
    options_defaults(table, count, config);
}

/* The file's name can only come from the command line, which nevertheless overrides the file: so
 * the command line is read twice. */
enum status options_load(const struct option *table, size_t count, void *config, size_t size_bytes,
                         const char *file_key, int argc, const char *const *argv, struct errmsg *e)
{
    struct option_source s = source_of(table, count, config);
    const struct option *o = option_source_find(&s, file_key, NULL);
    char file[OPTION_VALUE_MAX], *field;
    enum status st;

    ASSERT(o && o->kind == OPTION_STRING);
    field = (char *)config + o->offset;
    reset(table, count, config, size_bytes);
    st = parse_whole_argv(table, count, config, argc, argv, e);
    if (st != ST_OK || !field[0])
        return st;
    memcpy(file, field, sizeof file);
    reset(table, count, config, size_bytes);
    st = options_load_file(table, count, config, file, e);
    if (st == ST_OK && field[0]) {
        errmsg_set(e, "%s: '%s' belongs on the command line", file, file_key);
        st = ST_INVAL;
    }
    return st ? st : parse_whole_argv(table, count, config, argc, argv, e);
}

/* ---- help ---------------------------------------------------------------------------------- */

struct text_out {
    char *buf;
    size_t cap, len;
};

static void put_text(struct text_out *t, const char *s, size_t n)
{
    if (t->len < t->cap)
        snprintf(t->buf + t->len, t->cap - t->len, "%.*s", (int)n, s);
    t->len += n;
}

/* @words, wrapped at HELP_COLUMNS, each line indented by @indent. */
static void put_wrapped(struct text_out *t, const char *words, size_t indent)
{
    while (*words) {
        size_t room = HELP_COLUMNS - indent, n = strlen(words);

        if (n > room) {
            n = room;
            while (n && words[n] != ' ')
                n--;
            if (!n)
                n = room;
        }
        for (size_t i = 0; i < indent; i++)
            put_text(t, " ", 1);
        put_text(t, words, n);
        put_text(t, "\n", 1);
        words += n;
        while (*words == ' ')
            words++;
    }
}

size_t options_help(const struct option *table, size_t count, char *buf, size_t cap)
{
    struct text_out t = { buf, cap, 0 };

    if (cap)
        buf[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct option *o = &table[i];
        char head[160];
        int n = snprintf(head, sizeof head, "  --%s%s%s%s%s%s\n", o->key, o->value_name ? " " : "",
                         o->value_name ? o->value_name : "", o->fallback ? "   [" : "",
                         o->fallback ? o->fallback : "", o->fallback ? "]" : "");

        put_text(&t, head, MIN((size_t)MAX(n, 0), sizeof head - 1));
        put_wrapped(&t, o->help, 6);
    }
    return t.len;
}
