/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: every source of settings ends in option_source_set(): check the text against the table,
 * store it, note who said so. What differs is only how key and value are cut out of the source and
 * how the place of a mistake is named. A list option is replaced, not extended, by the first value
 * of a later source (a command line that names one address means that address, not one more); that
 * is what `seen` is for.
 */
#include "base/option_source.h"

#include "base/option_line.h"
#include "base/option_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const layer_names[] = {
    [OPTION_FROM_DEFAULT] = "default",   [OPTION_FROM_FILE] = "file",
    [OPTION_FROM_REGISTRY] = "registry", [OPTION_FROM_ARGV] = "command line",
    [OPTION_FROM_POLICY] = "policy",
};
_Static_assert(ARRAY_SIZE(layer_names) == OPTION_LAYER_COUNT, "a name for each layer");

const char *option_layer_name(enum option_layer layer)
{
    return (unsigned)layer < OPTION_LAYER_COUNT ? layer_names[layer] : "unknown";
}

/* ---- names --------------------------------------------------------------------------------- */

static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[OPTION_KEY_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > OPTION_KEY_MAX || lb > OPTION_KEY_MAX)
        return UINT32_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned replace = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(MIN(row[j], row[j - 1]) + 1, replace);
        }
    }
    return row[lb];
}

static const char *nearest_key(const struct option_source *s, const char *key)
{
    const char *best = NULL;
    unsigned best_distance = 4; /* further away than this is not a misspelling */

    for (size_t i = 0; i < s->count; i++) {
        unsigned d = edit_distance(key, s->table[i].key);

        if (d < best_distance) {
            best_distance = d;
            best = s->table[i].key;
        }
    }
    return best;
}

const struct option *option_source_find(const struct option_source *s, const char *key,
                                        struct errmsg *e)
{
    const char *near;

    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->table[i].key, key))
            return &s->table[i];
    near = nearest_key(s, key);
    errmsg_set(e, near ? "unknown option '%.40s': did you mean '%s'?" : "unknown option '%.40s'%s",
               key, near ? near : "");
    return NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

static void note_origin(struct option_source *s, const struct option *o, unsigned line)
{
    size_t i = (size_t)(o - s->table);
    bool first = !s->seen[i];

    s->seen[i] = true;
    if (!s->origins)
        return;
    s->origins[i].layer = s->layer;
    s->origins[i].layers |= 1u << s->layer;
    if (first)
        s->origins[i].line = line;
}

enum status option_source_set(struct option_source *s, const struct option *o, const char *value,
                              unsigned line, struct errmsg *e)
{
    enum status st;

    ASSERT(s->count <= OPTIONS_MAX);
    st = option_value_store(o, s->config, value, !s->seen[o - s->table], e);
    if (st == ST_OK)
        note_origin(s, o, line);
    return st;
}

void option_source_set_empty(struct option_source *s, const struct option *o)
{
    ASSERT(o->kind == OPTION_LIST);
    ((struct option_list *)(void *)((char *)s->config + o->offset))->count = 0;
    note_origin(s, o, 0);
}

/* ---- command line -------------------------------------------------------------------------- */

/* --key=value, --key value, --flag. @used: arguments consumed. */
static enum status parse_arg(struct option_source *s, int argc, const char *const *argv, int *used,
                             struct errmsg *e)
{
    char key[OPTION_KEY_MAX + 1];
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *o;
    const char *value;

    snprintf(key, sizeof key, "%.*s", (int)MIN(len, (size_t)OPTION_KEY_MAX), name);
    o = option_source_find(s, key, e);
    if (!o)
        return ST_INVAL;
    *used = 1;
    if (equals) {
        value = equals + 1;
    } else if (o->kind == OPTION_FLAG) {
        value = "true";
    } else if (argc > 1) {
        value = argv[1];
        *used = 2;
    } else {
        errmsg_set(e, "--%s needs a value (%s)", o->key, o->value_name);
        return ST_INVAL;
    }
    return option_source_set(s, o, value, 0, e);
}

enum status option_source_argv(struct option_source *s, int argc, const char *const *argv,
                               int *rest, struct errmsg *e)
{
    int at = 0;

    while (at < argc && argv[at][0] == '-' && argv[at][1] == '-') {
        int used = 0;
        enum status st;

        if (!argv[at][2]) { /* "--": what follows is not ours */
            at++;
            break;
        }
        st = parse_arg(s, argc - at, argv + at, &used, e);
        if (st != ST_OK)
            return st;
        at += used;
    }
    *rest = at;
    return ST_OK;
}

/* ---- file ---------------------------------------------------------------------------------- */

/* @at: the offset of a mistake. */
static enum status parse_line(struct option_source *s, const char *line, size_t len_bytes,
                              unsigned number, size_t *at, struct errmsg *e)
{
    struct option_line l;
    const struct option *o;
    enum status st = option_line_read(&l, line, len_bytes, at, e);

    if (!l.has_key)
        return st;
    o = option_source_find(s, l.key, e); /* comes before what is wrong behind the key */
    if (!o) {
        *at = l.key_at;
        return ST_INVAL;
    }
    if (st != ST_OK)
        return st;
    st = option_source_set(s, o, l.value, number, e);
    if (st != ST_OK)
        *at = l.value_at;
    return st;
}

enum status option_source_text(struct option_source *s, const char *name, const char *text,
                               size_t len_bytes, struct errmsg *e)
{
    const char *end = text + len_bytes;
    enum status result = ST_OK;
    unsigned number = 0;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t at = 0, len = (size_t)((newline ? newline : end) - text);
        struct errmsg mistake = { "" };
        enum status st = parse_line(s, text, len, ++number, &at, &mistake);

        if (st != ST_OK) {
            errmsg_wrap(&mistake, "%s:%u:%u", name, number, (unsigned)at + 1);
            if (result == ST_OK)
                errmsg_set(e, "%s", mistake.text);
            result = st;
            if (!s->on_error)
                return st;
            s->on_error(s->error_ctx, mistake.text);
        }
        text = newline ? newline + 1 : end;
    }
    return result;
}

static enum status read_all(FILE *f, char **text, size_t *len_bytes)
{
    *text = malloc(OPTION_FILE_MAX + 1);
    if (!*text)
        return ST_NOMEM;
    *len_bytes = fread(*text, 1, OPTION_FILE_MAX + 1, f);
    if (!ferror(f) && *len_bytes <= OPTION_FILE_MAX)
        return ST_OK;
    free(*text);
    *text = NULL;
    return *len_bytes > OPTION_FILE_MAX ? ST_FULL : ST_IO;
}

enum status option_file_read(const char *path, char **text, size_t *len_bytes, struct errmsg *e)
{
    FILE *f = fopen(path, "rb");
    enum status st;

    if (!f) {
        st = errno == ENOENT || errno == ENOTDIR ? ST_NOTFOUND
             : errno == EACCES                   ? ST_DENIED
                                                 : ST_IO;
    } else {
        st = read_all(f, text, len_bytes);
        fclose(f);
    }
    if (st != ST_OK)
        errmsg_set(e, "%s: %s", path, st == ST_FULL ? "longer than 64 KiB" : status_text(st));
    return st;
}

enum status option_source_file(struct option_source *s, const char *path, struct errmsg *e)
{
    char *text;
    size_t len;
    struct errmsg mistake = { "" };
    enum status st = option_file_read(path, &text, &len, &mistake);

    if (st != ST_OK) {
        errmsg_set(e, "%s", mistake.text);
        return st;
    }
    st = option_source_text(s, path, text, len, e);
    free(text);
    return st;
}
