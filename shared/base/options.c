/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: every source of settings ends in set_value(): find the key in the table, check the text
 * against the kind, store it. What differs is only how key and value are cut out of the source and
 * how the place of an error is named. A list option is replaced, not extended, by the first value
 * of a later source (a command line that names one address means that address, not one more); that
 * is what `seen` is for.
 */
#include "base/options.h"

#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 * 1024, MAX_KEY = 48, MAX_OPTIONS = 64, HELP_COLUMNS = 79 };

/* One pass over one source. */
struct source {
    const struct option *table;
    size_t count;
    void *config;
    bool seen[MAX_OPTIONS]; /* keys this source has set */
};

static struct source source_of(const struct option *table, size_t count, void *config)
{
    ASSERT(count <= MAX_OPTIONS);
    return (struct source){ .table = table, .count = count, .config = config };
}

/* ---- names --------------------------------------------------------------------------------- */

static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[MAX_KEY + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > MAX_KEY || lb > MAX_KEY)
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

static const char *nearest_key(const struct source *s, const char *key)
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

static const struct option *find_option(const struct source *s, const char *key, struct errmsg *e)
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

static enum status parse_number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (!isdigit((unsigned char)text[0]))
        return ST_INVAL;
    errno = 0;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return errno == ERANGE || *out > UINT32_MAX ? ST_INVAL : ST_OK;
}

enum status option_duration_parse(const char *text, uint64_t *out_ms)
{
    static const struct {
        const char *suffix;
        uint32_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60 * 1000 }, { "h", 3600000 } };
    const char *end;
    uint64_t n;

    if (parse_number(text, &end, &n) != ST_OK)
        return ST_INVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (!strcmp(end, units[i].suffix)) {
            *out_ms = n * units[i].ms;
            return *out_ms > UINT32_MAX ? ST_INVAL : ST_OK;
        }
    }
    return ST_INVAL;
}

static enum status store_number(const struct option *o, void *field, const char *value,
                                struct errmsg *e)
{
    bool is_duration = o->kind == OPTION_DURATION;
    const char *end = "";
    uint64_t n;
    enum status st = is_duration ? option_duration_parse(value, &n) : parse_number(value, &end, &n);

    if (st != ST_OK || *end) {
        errmsg_set(e, "%s: '%.60s' is not a %s", o->key, value,
                   is_duration ? "duration such as 250ms, 5s or 2m" : "whole number");
        return ST_INVAL;
    }
    if ((o->min || o->max) && (n < o->min || n > o->max)) {
        errmsg_set(e, "%s: %.60s is outside %u to %u%s", o->key, value, o->min, o->max,
                   is_duration ? " ms" : "");
        return ST_INVAL;
    }
    *(uint32_t *)field = (uint32_t)n;
    return ST_OK;
}

static enum status store_flag(const struct option *o, void *field, const char *value,
                              struct errmsg *e)
{
    if (!strcmp(value, "true") || !strcmp(value, "yes") || !strcmp(value, "on")) {
        *(bool *)field = true;
    } else if (!strcmp(value, "false") || !strcmp(value, "no") || !strcmp(value, "off")) {
        *(bool *)field = false;
    } else {
        errmsg_set(e, "%s: '%.60s' is neither true nor false", o->key, value);
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status store_text(const struct option *o, void *field, const char *value,
                              bool first_of_source, struct errmsg *e)
{
    struct option_list *list = field;
    char *to = field;

    if (strlen(value) >= OPTION_VALUE_MAX) {
        errmsg_set(e, "%s: value longer than %d bytes", o->key, OPTION_VALUE_MAX - 1);
        return ST_INVAL;
    }
    if (o->kind == OPTION_LIST) {
        if (first_of_source)
            list->count = 0;
        if (list->count == OPTION_LIST_MAX) {
            errmsg_set(e, "%s: more than %d values", o->key, OPTION_LIST_MAX);
            return ST_INVAL;
        }
        to = list->items[list->count++];
    }
    memcpy(to, value, strlen(value) + 1);
    return ST_OK;
}

static enum status set_value(struct source *s, const struct option *o, const char *value,
                             struct errmsg *e)
{
    void *field = (char *)s->config + o->offset;
    bool *seen = &s->seen[o - s->table];
    bool first = !*seen;
    enum status st = ST_OK;

    if (o->check && (st = o->check(value, e)) != ST_OK) {
        errmsg_wrap(e, "%s", o->key);
        return st;
    }
    *seen = true;
    switch (o->kind) {
    case OPTION_FLAG: return store_flag(o, field, value, e);
    case OPTION_UINT:
    case OPTION_DURATION: return store_number(o, field, value, e);
    case OPTION_STRING:
    case OPTION_LIST: return store_text(o, field, value, first, e);
    }
    return ST_INVAL;
}

void options_defaults(const struct option *table, size_t count, void *config)
{
    struct source s = source_of(table, count, config);
    struct errmsg e;

    for (size_t i = 0; i < count; i++)
        if (table[i].fallback)
            ASSERT(set_value(&s, &table[i], table[i].fallback, &e) == ST_OK);
}

/* ---- command line -------------------------------------------------------------------------- */

/* --key=value, --key value, --flag. @used: arguments consumed. */
static enum status parse_arg(struct source *s, int argc, const char *const *argv, int *used,
                             struct errmsg *e)
{
    char key[MAX_KEY + 1];
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *o;
    const char *value;

    snprintf(key, sizeof key, "%.*s", (int)MIN(len, (size_t)MAX_KEY), name);
    o = find_option(s, key, e);
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
    return set_value(s, o, value, e);
}

enum status options_parse_argv(const struct option *table, size_t count, void *config, int argc,
                               const char *const *argv, int *rest, struct errmsg *e)
{
    struct source s = source_of(table, count, config);
    int at = 0;

    while (at < argc && argv[at][0] == '-' && argv[at][1] == '-') {
        int used = 0;
        enum status st;

        if (!argv[at][2]) { /* "--": what follows is not ours */
            at++;
            break;
        }
        st = parse_arg(&s, argc - at, argv + at, &used, e);
        if (st != ST_OK)
            return st;
        at += used;
    }
    *rest = at;
    return ST_OK;
}

/* ---- file ---------------------------------------------------------------------------------- */

/* A line being read; positions in error messages are 1-based columns. */
struct cursor {
    const char *line, *at, *end;
};

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static enum status read_key(struct cursor *c, char key[MAX_KEY + 1], struct errmsg *e)
{
    size_t n = 0;

    while (c->at < c->end && (isalnum((unsigned char)*c->at) || *c->at == '-')) {
        if (n == MAX_KEY) {
            errmsg_set(e, "key longer than %d characters", MAX_KEY);
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

static enum status read_value(struct cursor *c, char value[OPTION_VALUE_MAX], struct errmsg *e)
{
    bool quoted = c->at < c->end && *c->at == '"';
    size_t n = 0;

    if (quoted)
        c->at++;
    while (c->at < c->end && *c->at != (quoted ? '"' : '#')) {
        if (n == OPTION_VALUE_MAX - 1 || *c->at == '\0') {
            errmsg_set(e, *c->at ? "value longer than %d bytes" : "zero byte%.0d in value", (int)n);
            return ST_INVAL;
        }
        value[n++] = *c->at++;
    }
    if (quoted && c->at == c->end) {
        errmsg_set(e, "missing closing quote");
        return ST_INVAL;
    }
    if (quoted)
        c->at++;
    else
        while (n && strchr(" \t\r", value[n - 1]))
            n--;
    value[n] = '\0';
    return ST_OK;
}

static enum status parse_line(struct source *s, struct cursor *c, struct errmsg *e)
{
    char key[MAX_KEY + 1], value[OPTION_VALUE_MAX];
    const struct option *o;
    const char *start;
    enum status st;

    skip_blanks(c);
    if (c->at == c->end || *c->at == '#')
        return ST_OK;
    start = c->at;
    if ((st = read_key(c, key, e)) != ST_OK)
        return st;
    o = find_option(s, key, e);
    if (!o) {
        c->at = start;
        return ST_INVAL;
    }
    skip_blanks(c);
    if (c->at == c->end || *c->at != '=') {
        errmsg_set(e, "expected '=' after '%s'", key);
        return ST_INVAL;
    }
    c->at++;
    skip_blanks(c);
    start = c->at;
    if ((st = read_value(c, value, e)) != ST_OK)
        return st;
    skip_blanks(c);
    if (c->at < c->end && *c->at != '#') {
        errmsg_set(e, "unexpected text after the value of '%s'", key);
        return ST_INVAL;
    }
    st = set_value(s, o, value, e);
    if (st != ST_OK)
        c->at = start;
    return st;
}

enum status options_parse_text(const struct option *table, size_t count, void *config,
                               const char *name, const char *text, size_t len_bytes,
                               struct errmsg *e)
{
    struct source s = source_of(table, count, config);
    const char *end = text + len_bytes;
    unsigned line_number = 0;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct cursor c = { text, text, newline ? newline : end };
        enum status st = parse_line(&s, &c, e);

        line_number++;
        if (st != ST_OK) {
            errmsg_wrap(e, "%s:%u:%u", name, line_number, (unsigned)(c.at - c.line) + 1);
            return st;
        }
        text = newline ? newline + 1 : end;
    }
    return ST_OK;
}

enum status options_load_file(const struct option *table, size_t count, void *config,
                              const char *path, struct errmsg *e)
{
    char *text = NULL;
    enum status st;
    size_t len;
    FILE *f = fopen(path, "rb");

    if (!f) {
        st = errno == ENOENT ? ST_NOTFOUND : errno == EACCES ? ST_DENIED : ST_IO;
        errmsg_set(e, "%s: %s", path, status_text(st));
        return st;
    }
    text = malloc(MAX_FILE_BYTES + 1);
    if (!text) {
        st = ST_NOMEM;
        errmsg_set(e, "%s: %s", path, status_text(st));
        goto out;
    }
    len = fread(text, 1, MAX_FILE_BYTES + 1, f);
    if (ferror(f) || len > MAX_FILE_BYTES) {
        st = ferror(f) ? ST_IO : ST_FULL;
        errmsg_set(e, "%s: %s", path, ferror(f) ? status_text(st) : "longer than 64 KiB");
        goto out;
    }
    st = options_parse_text(table, count, config, path, text, len, e);
out:
    free(text);
    fclose(f);
    return st;
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
    struct source s = source_of(table, count, config);
    const struct option *o = find_option(&s, file_key, NULL);
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
