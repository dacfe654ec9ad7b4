/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: three configurations.
 *
 *     sources --config_load()--> next --good--> loaded   what is written
 *                                     '-------> running  what is in force: as loaded, but for
 *                                                        options that wait for the next start
 *
 * pending = where loaded and running differ. A change is logged against what was loaded before, and
 * applied against what was running, so writing a value and taking it back leaves no trace.
 *
 * When to look: a watch on the folders of the files is only a hint (a folder may not exist yet, an
 * editor writes in several steps), and the registry is not watched at all. So every TICK_MS, and
 * SETTLE_MS after a hint, a fingerprint of all sources is taken; they are read when it is another
 * one than that of the last reading, good or not. A mistake is thereby told once, not at each tick.
 * The first tick reads all of them once more, for what was written after the start had read them.
 */
#include "config/config_live.h"

#include "base/log.h"
#include "base/option_value.h"
#include "port/dir_watch.h"
#include "port/loop.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 2000, SETTLE_MS = 100, SHOWN_MAX = 120, FOLDERS = 2 };

/* The folder of one of the files. */
struct folder {
    char path[OPTION_VALUE_MAX];
    struct dir_watch *watch; /* owned; NULL while it does not exist */
};

struct config_live {
    struct loop *loop;             /* borrowed */
    struct config *running;        /* borrowed */
    const struct config_input *in; /* borrowed */
    const struct config_live_ops *ops;
    void *ctx;
    struct config *loaded, *next; /* owned; next is scratch */
    struct folder folders[FOLDERS];
    struct timer timer;
    uint64_t fingerprint; /* of what was read last; at first of nothing */
    uint64_t generation;
    int64_t loaded_ms;
    struct errmsg mistake; /* empty = none */
};

/* ---- changes --------------------------------------------------------------------------------- */

static void log_change(const struct option *o, const struct config *before,
                       const struct config *after)
{
    char was[SHOWN_MAX], is[SHOWN_MAX], from[OPTION_VALUE_MAX + 16];

    option_value_format(o, before, was, sizeof was);
    option_value_format(o, after, is, sizeof is);
    log_info(LOG_CONFIG, "%s: '%s' -> '%s' (%.200s)%s", o->key, was, is,
             config_origin_text(after, o, from, sizeof from),
             config_effect(o) == CONFIG_NEXT_START ? ", at the next start" : "");
}

/* How many options have another value; each is logged. */
static unsigned log_changes(const struct config *before, const struct config *after)
{
    size_t count;
    const struct option *table = config_options(&count);
    unsigned changed = 0;

    for (size_t i = 0; i < count; i++) {
        if (option_value_equal(&table[i], before, after))
            continue;
        changed++;
        log_change(&table[i], before, after);
    }
    return changed;
}

static unsigned effects_of(const struct config *before, const struct config *after)
{
    size_t count;
    const struct option *table = config_options(&count);
    unsigned effects = 0;

    for (size_t i = 0; i < count; i++)
        if (!option_value_equal(&table[i], before, after))
            effects |= 1u << config_effect(&table[i]);
    return effects;
}

/* @loaded is good, and ours from now on. */
static void accept(struct config_live *l, struct config *loaded)
{
    if (log_changes(l->loaded, loaded)) {
        l->generation++;
        l->loaded_ms = sys_wall_ms();
    }
    free(l->loaded);
    l->loaded = loaded;
}

/* @next is good. */
static enum status apply(struct config_live *l, struct errmsg *e)
{
    struct config *loaded = malloc(sizeof *loaded);
    enum status st = ST_NOMEM;
    unsigned effects;

    if (!loaded) {
        errmsg_set(e, "%s", status_text(st));
        return st;
    }
    *loaded = *l->next;
    st = config_keep_running(l->next, l->running, e);
    if (st != ST_OK) {
        free(loaded);
        return st;
    }
    accept(l, loaded);
    effects = effects_of(l->running, l->next);
    *l->running = *l->next;
    if (effects)
        l->ops->on_applied(l->ctx, effects);
    return ST_OK;
}

enum status config_live_reload(struct config_live *l, struct errmsg *e)
{
    struct errmsg mistake = { "" };
    enum status st;

    l->fingerprint = config_fingerprint(l->loaded); /* first: what is written meanwhile is seen */
    st = config_load(l->next, l->in, &mistake);
    if (st == ST_OK)
        st = apply(l, &mistake);
    if (st != ST_OK)
        log_error(LOG_CONFIG, "the configuration stays as it is: %s", mistake.text);
    else if (l->mistake.text[0])
        log_info(LOG_CONFIG, "the configuration is good again");
    l->mistake = mistake;
    errmsg_set(e, "%s", mistake.text);
    l->ops->on_change(l->ctx);
    return st;
}

/* ---- when to look ---------------------------------------------------------------------------- */

static void on_hint(void *ctx)
{
    struct config_live *l = ctx;

    timer_start(&l->timer, SETTLE_MS);
}

static void add_folder(struct folder *f, const char *file)
{
    const char *slash = strrchr(file, '/'), *backslash = strrchr(file, '\\');
    const char *end = !slash || (backslash && backslash > slash) ? backslash : slash;

    if (file[0])
        snprintf(f->path, sizeof f->path, "%.*s", end ? (int)(end - file) : 1, end ? file : ".");
}

/* A folder that does not exist is tried again at each tick. */
static void watch(struct config_live *l)
{
    for (unsigned i = 0; i < FOLDERS; i++) {
        struct folder *f = &l->folders[i];

        if (f->path[0] && !f->watch)
            (void)dir_watch_open(&f->watch, l->loop, f->path, on_hint, l, NULL);
    }
}

static void on_tick(void *ctx)
{
    struct config_live *l = ctx;

    timer_start(&l->timer, TICK_MS);
    watch(l);
    if (config_fingerprint(l->loaded) != l->fingerprint)
        (void)config_live_reload(l, NULL);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

void config_live_view(const struct config_live *l, struct config_view *out)
{
    size_t count;
    const struct option *table = config_options(&count);

    memset(out, 0, sizeof *out);
    snprintf(out->file, sizeof out->file, "%s", l->loaded->places.file);
    snprintf(out->message, sizeof out->message, "%s", l->mistake.text);
    out->valid = !l->mistake.text[0];
    out->file_is_there = l->loaded->file_is_there;
    out->generation = l->generation;
    out->loaded_ms = l->loaded_ms;
    for (size_t i = 0; i < count; i++) {
        out->layers |= l->loaded->origins[i].layers;
        if (!option_value_equal(&table[i], l->loaded, l->running))
            out->pending[out->pending_count++] = table[i].key;
        if (config_is_locked(l->loaded, &table[i]))
            out->locked[out->locked_count++] = table[i].key;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status config_live_new(struct config_live **out, struct loop *loop, struct config *running,
                            const struct config_input *in, const struct config_live_ops *ops,
                            void *ctx)
{
    struct config_live *l = calloc(1, sizeof *l);

    if (!l)
        return ST_NOMEM;
    l->loaded = malloc(sizeof *l->loaded);
    l->next = malloc(sizeof *l->next);
    if (!l->loaded || !l->next) {
        free(l->loaded);
        free(l->next);
        free(l);
        return ST_NOMEM;
    }
    l->loop = loop;
    l->running = running;
    l->in = in;
    l->ops = ops;
    l->ctx = ctx;
    *l->loaded = *running;
    l->generation = 1;
    l->loaded_ms = sys_wall_ms();
    add_folder(&l->folders[0], running->places.file);
    add_folder(&l->folders[1], running->places.policy_file);
    if (!strcmp(l->folders[0].path, l->folders[1].path))
        l->folders[1].path[0] = '\0';
    timer_init(&l->timer, loop, on_tick, l);
    timer_start(&l->timer, 0);
    *out = l;
    return ST_OK;
}

void config_live_free(struct config_live *l)
{
    if (!l)
        return;
    timer_stop(&l->timer);
    for (unsigned i = 0; i < FOLDERS; i++)
        dir_watch_close(l->folders[i].watch);
    free(l->loaded);
    free(l->next);
    free(l);
}
