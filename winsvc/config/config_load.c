/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: a configuration is read in one pass over the sources, in the order of their precedence,
 * into one struct; each value remembers its source. The command line is read twice, because only it
 * says which file is read before it. Then config_finish() turns texts into values and checks what
 * single options cannot tell: it may run again on a struct whose texts were changed
 * (config_keep_running()), so it starts from nothing but them.
 *
 * Mistakes: with on_error every source is read to its end and each mistake told; config_finish()
 * comes only when there was none, because it would complain of what they led to.
 */
#include "config/config.h"

#include "base/hash.h"
#include "base/option_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- where values come from ------------------------------------------------------------------ */

static size_t index_of(const struct option *o)
{
    size_t count;

    return (size_t)(o - config_options(&count));
}

const char *config_origin_text(const struct config *c, const struct option *o, char *buf,
                               size_t cap)
{
    const struct option_origin *from = &c->origins[index_of(o)];
    bool is_policy = from->layer == OPTION_FROM_POLICY;

    if (from->line)
        snprintf(buf, cap, "%s:%u", is_policy ? c->places.policy_file : c->places.file, from->line);
    else if (is_policy || from->layer == OPTION_FROM_REGISTRY)
        snprintf(buf, cap, "HKLM\\%s",
                 is_policy ? c->places.store.policy : c->places.store.settings);
    else
        snprintf(buf, cap, "%s", option_layer_name(from->layer));
    return buf;
}

bool config_is_locked(const struct config *c, const struct option *o)
{
    return c->origins[index_of(o)].layer == OPTION_FROM_POLICY;
}

struct loading {
    struct config *config;
    const struct config_input *in;
    struct option_source source; /* of the layer being read */
    const char *place;           /* of a store */
    struct errmsg first;         /* mistake, while st is not ST_OK */
    enum status st;
};

static void begin_layer(struct loading *l, enum option_layer layer)
{
    size_t count;
    const struct option *table = config_options(&count);

    l->source = (struct option_source){ .table = table,
                                        .count = count,
                                        .config = l->config,
                                        .layer = layer,
                                        .origins = l->config->origins,
                                        .on_error = l->in->on_error,
                                        .error_ctx = l->in->error_ctx };
}

static bool may_go_on(const struct loading *l)
{
    return l->st == ST_OK || l->in->on_error;
}

/* @is_told: on_error has it already. */
static void take_mistake(struct loading *l, enum status st, const struct errmsg *e, bool is_told)
{
    if (st == ST_OK)
        return;
    if (l->st == ST_OK) {
        l->st = st;
        l->first = *e;
    }
    if (!is_told && l->in->on_error)
        l->in->on_error(l->in->error_ctx, e->text);
}

/* Options that say where the others are found have no say there. */
static void check_places(struct loading *l)
{
    static const char *const only_argv[] = { "config", "config-root" };
    unsigned layer = 1u << l->source.layer;

    for (unsigned i = 0; i < ARRAY_SIZE(only_argv); i++) {
        const struct option *o = option_source_find(&l->source, only_argv[i], NULL);
        char place[OPTION_VALUE_MAX + 16];
        struct errmsg e = { "" };

        if (!(l->config->origins[index_of(o)].layers & layer))
            continue;
        config_origin_text(l->config, o, place, sizeof place);
        errmsg_set(&e, "%.200s: '%s' belongs on the command line", place, o->key);
        take_mistake(l, ST_INVAL, &e, false);
    }
}

/* ---- the sources ----------------------------------------------------------------------------- */

static void read_argv(struct loading *l)
{
    struct errmsg e = { "" };
    int rest = 0;
    enum status st;

    begin_layer(l, OPTION_FROM_ARGV);
    st = option_source_argv(&l->source, l->in->argc, l->in->argv, &rest, &e);
    if (st == ST_OK && rest != l->in->argc) {
        errmsg_set(&e, "unexpected argument '%.80s'", l->in->argv[rest]);
        st = ST_INVAL;
    }
    take_mistake(l, st, &e, false);
}

static void read_text(struct loading *l, const char *path, const char *text, size_t len_bytes)
{
    struct errmsg e = { "" };

    take_mistake(l, option_source_text(&l->source, path, text, len_bytes, &e), &e, true);
    check_places(l);
}

static void read_file(struct loading *l, enum option_layer layer, const char *path, bool must_exist,
                      bool *is_there)
{
    struct errmsg e = { "" };
    char *text;
    size_t len;
    enum status st;

    if (!path[0] || !may_go_on(l))
        return;
    begin_layer(l, layer);
    if (layer == OPTION_FROM_FILE && l->in->file_text) {
        read_text(l, path, l->in->file_text, l->in->file_text_len);
        return;
    }
    st = option_file_read(path, &text, &len, &e);
    *is_there = st != ST_NOTFOUND;
    if (st == ST_NOTFOUND && !must_exist)
        return;
    if (st != ST_OK) {
        take_mistake(l, st, &e, false);
        return;
    }
    read_text(l, path, text, len);
    free(text);
}

/* A number may stand for a flag; nothing else stands for another kind. */
static enum status take_items(struct loading *l, const struct option *o,
                              const struct config_value *v, struct errmsg *e)
{
    enum status st = ST_OK;

    if (v->kind == CONFIG_LIST && o->kind != OPTION_LIST) {
        errmsg_set(e, "%s takes one value, not a list (REG_SZ or REG_DWORD)", o->key);
        return ST_INVAL;
    }
    if (v->kind == CONFIG_NUMBER && o->kind == OPTION_FLAG) {
        bool one = !strcmp(v->items[0], "1");

        if (one || !strcmp(v->items[0], "0"))
            return option_source_set(&l->source, o, one ? "true" : "false", 0, e);
    }
    if (v->count == 0)
        option_source_set_empty(&l->source, o);
    for (unsigned i = 0; i < v->count && st == ST_OK; i++)
        st = option_source_set(&l->source, o, v->items[i], 0, e);
    return st;
}

static void on_value(void *ctx, const struct config_value *v)
{
    struct loading *l = ctx;
    struct errmsg e = { "" };
    const struct option *o = option_source_find(&l->source, v->name, &e);
    enum status st = o ? take_items(l, o, v, &e) : ST_INVAL;

    if (st != ST_OK)
        errmsg_wrap(&e, "HKLM\\%s", l->place);
    take_mistake(l, st, &e, false);
}

static void read_store(struct loading *l, enum option_layer layer, const char *place)
{
    const struct config_store *store = &l->config->places.store;
    struct errmsg e = { "" };

    if (!store->read || !may_go_on(l))
        return;
    begin_layer(l, layer);
    l->place = place;
    take_mistake(l, store->read(store, place, on_value, l, &e), &e, false);
    check_places(l);
}

static void reset(struct loading *l)
{
    size_t count;
    const struct option *table = config_options(&count);

    memset(l->config, 0, sizeof *l->config);
    options_defaults(table, count, l->config);
}

static enum status find_places(struct loading *l, struct config_places *out, bool *is_named)
{
    const struct config_text *text = &l->config->text;
    enum status st = config_places_find(text->config_root, out);

    if (l->in->store)
        out->store = *l->in->store;
    *is_named = text->config[0] != '\0';
    if (*is_named)
        memcpy(out->file, text->config, sizeof out->file);
    return st;
}

static enum status read_all(struct loading *l)
{
    struct config *c = l->config;
    struct config_places places = { .file = "" };
    struct errmsg e = { "" };
    bool is_named;

    reset(l);
    read_argv(l);
    if (l->st != ST_OK)
        return l->st;
    if (find_places(l, &places, &is_named) != ST_OK) {
        errmsg_set(&e, "config-root: too long");
        take_mistake(l, ST_INVAL, &e, false);
        return l->st;
    }
    reset(l);
    c->places = places;
    read_file(l, OPTION_FROM_FILE, places.file, is_named, &c->file_is_there);
    read_store(l, OPTION_FROM_REGISTRY, places.store.settings);
    if (may_go_on(l))
        read_argv(l);
    read_file(l, OPTION_FROM_POLICY, places.policy_file, false, &c->policy_file_is_there);
    read_store(l, OPTION_FROM_POLICY, places.store.policy);
    return l->st;
}

enum status config_load(struct config *c, const struct config_input *in, struct errmsg *e)
{
    struct loading l = { .config = c, .in = in };
    struct errmsg mistake = { "" };

    if (read_all(&l) == ST_OK)
        take_mistake(&l, config_finish(c, &mistake), &mistake, false);
    if (l.st != ST_OK)
        errmsg_set(e, "%s", l.first.text);
    return l.st;
}

/* ---- changes --------------------------------------------------------------------------------- */

enum status config_keep_running(struct config *c, const struct config *running, struct errmsg *e)
{
    size_t count;
    const struct option *table = config_options(&count);

    for (size_t i = 0; i < count; i++)
        if (config_effect(&table[i]) == CONFIG_NEXT_START)
            option_value_copy(&table[i], c, running);
    return config_finish(c, e);
}

/* Nobody gains by making two configurations hash alike: a fixed key will do. */
static uint64_t mix(uint64_t so_far, const void *data, size_t len_bytes)
{
    const struct hash_key key = { { so_far, len_bytes } };

    return hash_bytes(&key, data, len_bytes);
}

static void mix_value(void *ctx, const struct config_value *v)
{
    uint64_t *h = ctx;

    *h = mix(*h, v->name, strlen(v->name));
    *h = mix(*h, &v->kind, sizeof v->kind);
    for (unsigned i = 0; i < v->count; i++)
        *h = mix(*h, v->items[i], strlen(v->items[i]));
}

static uint64_t mix_file(uint64_t h, const char *path)
{
    size_t len = 0;
    char *text = NULL;
    enum status st = path[0] ? option_file_read(path, &text, &len, NULL) : ST_NOTFOUND;

    h = mix(h, &st, sizeof st);
    if (st == ST_OK)
        h = mix(h, text, len);
    free(text);
    return h;
}

uint64_t config_fingerprint(const struct config *c)
{
    const struct config_store *store = &c->places.store;
    uint64_t h = mix_file(mix_file(0, c->places.file), c->places.policy_file);

    if (store->read) {
        (void)store->read(store, store->settings, mix_value, &h, NULL);
        h = mix(h, "", 0);
        (void)store->read(store, store->policy, mix_value, &h, NULL);
    }
    return h;
}
