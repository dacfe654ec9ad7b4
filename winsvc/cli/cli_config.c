/* SPDX-License-Identifier: Apache-2.0
 * THEORY: `rdlink config` works on what is written, not on the service: it reads the same sources
 * with the same code, except for the command line that only the service has. set and unset change
 * the text of the file (base/option_edit), check the result as the service would, and only then put
 * it in the place of the old one; the service sees it by itself.
 */
#include "cli/cli_config.h"

#include "base/option_edit.h"
#include "base/util.h"
#include "port/put_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = OPTION_LIST_MAX + 2, ARGS_MAX = 4 };

struct config_run {
    struct cli_env env;
    char file[OPTION_VALUE_MAX], root[OPTION_VALUE_MAX];
    bool json;
    const char *all_words[WORDS_MAX]; /* the verb and what follows it, without options */
    const char *const *words;         /* without the verb */
    unsigned word_count;
    const char *args[ARGS_MAX]; /* as the service would have them */
    struct config_input input;
    unsigned mistakes;
    struct config config;
};

static const struct option options[] = {
    { .key = "config",
      .kind = OPTION_STRING,
      .offset = offsetof(struct config_run, file),
      .value_name = "FILE",
      .help = "the file, instead of the default one" },
    { .key = "config-root",
      .kind = OPTION_STRING,
      .offset = offsetof(struct config_run, root),
      .value_name = "NAME",
      .help = "as the service's option of that name" },
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct config_run, json),
      .help = "show: one object" },
};

/* ---- loading ------------------------------------------------------------------------------- */

static void on_mistake(void *ctx, const char *text)
{
    struct config_run *r = ctx;

    r->mistakes++;
    cli_say(&r->env, "%s\n", text);
}

static void make_input(struct config_run *r)
{
    r->input = (struct config_input){ .argv = r->args };
    if (r->file[0]) {
        r->args[r->input.argc++] = "--config";
        r->args[r->input.argc++] = r->file;
    }
    if (r->root[0]) {
        r->args[r->input.argc++] = "--config-root";
        r->args[r->input.argc++] = r->root;
    }
}

static int failure(const struct config_run *r, enum status st, const struct errmsg *e)
{
    if (st == ST_DENIED) {
        cli_complain(&r->env, e->text, "run this as root or administrator");
        return CLI_NO_PERMISSION;
    }
    if (st == ST_NOTFOUND) {
        cli_complain(&r->env, e->text, "name a file that exists");
        return CLI_USAGE;
    }
    cli_complain(&r->env, e->text, "rdlink config check shows all mistakes");
    return CLI_DEGRADED;
}

static int wrong_usage(const struct config_run *r, const char *what)
{
    cli_complain(&r->env, what, "rdlink help config");
    return CLI_USAGE;
}

/* ---- verbs --------------------------------------------------------------------------------- */

static int verb_check(struct config_run *r)
{
    struct errmsg e = { "" };
    enum status st;

    if (r->word_count > 1 || (r->word_count && r->file[0]))
        return wrong_usage(r, "config check takes one file");
    if (r->word_count)
        snprintf(r->file, sizeof r->file, "%s", r->words[0]);
    make_input(r);
    r->input.on_error = on_mistake;
    r->input.error_ctx = r;
    st = config_load(&r->config, &r->input, &e);
    if (st == ST_DENIED || st == ST_NOTFOUND)
        return failure(r, st, &e);
    if (r->mistakes)
        cli_say(&r->env, "%u mistake%s\n", r->mistakes, r->mistakes == 1 ? "" : "s");
    else
        cli_say(&r->env, "%s: %s\n", r->config.places.file,
                r->config.file_is_there ? "no mistakes" : "does not exist; the rest is good");
    return st == ST_OK ? CLI_READY : CLI_DEGRADED;
}

static int verb_show(struct config_run *r)
{
    struct errmsg e = { "" };
    enum status st;

    if (r->word_count)
        return wrong_usage(r, "config show takes no argument");
    make_input(r);
    st = config_load(&r->config, &r->input, &e);
    return st == ST_OK ? cli_config_show(&r->env, &r->config, r->json) : failure(r, st, &e);
}

/* The option to be changed; NULL after a complaint. */
static const struct option *option_named(struct config_run *r, const char *key)
{
    struct option_source s = { .table = NULL };
    const struct option *o;
    struct errmsg e = { "" };

    s.table = config_options(&s.count);
    o = option_source_find(&s, key, &e);
    if (!o)
        (void)wrong_usage(r, e.text);
    return o;
}

/* The result of an edit, as the service would take it. */
static enum status check_text(struct config_run *r, const char *text, size_t len, struct errmsg *e)
{
    r->input.file_text = text;
    r->input.file_text_len = len;
    return config_load(&r->config, &r->input, e);
}

static enum status edit(struct config_run *r, const char *key, struct errmsg *e)
{
    const char *path = r->config.places.file;
    char *before = NULL, *after = NULL;
    size_t before_len = 0, after_len = 0;
    enum status st = option_file_read(path, &before, &before_len, e);

    if (st != ST_OK && st != ST_NOTFOUND)
        return st;
    st = option_edit(before ? before : "", before_len, key, r->words + 1, r->word_count - 1, &after,
                     &after_len, e);
    free(before);
    if (st != ST_OK)
        return st;
    st = check_text(r, after, after_len, e);
    if (st == ST_OK) {
        st = put_file(r->config.places.file, after, after_len, 0644 | PUT_FILE_KEEP_MODE);
        if (st != ST_OK)
            errmsg_set(e, "%.200s: %s", r->config.places.file,
                       st == ST_NOTFOUND ? "its folder does not exist" : status_text(st));
    }
    free(after);
    return st;
}

/* Written, but does it count? */
static void tell_outcome(struct config_run *r, const struct option *o, bool is_set)
{
    size_t count;
    enum option_layer layer = r->config.origins[o - config_options(&count)].layer;
    char place[OPTION_VALUE_MAX + 16];

    cli_say(&r->env, "%s: %s is %s\n", r->config.places.file, o->key, is_set ? "set" : "not set");
    if (layer > OPTION_FROM_FILE)
        cli_say(&r->env, "it has no effect: %.200s %s it\n",
                config_origin_text(&r->config, o, place, sizeof place),
                config_is_locked(&r->config, o) ? "locks" : "overrides");
    else if (config_effect(o) == CONFIG_NEXT_START)
        cli_say(&r->env, "it takes effect when the service starts next\n");
}

static int change(struct config_run *r, bool is_set)
{
    const struct option *o = option_named(r, r->words[0]);
    struct errmsg e = { "" };
    enum status st;

    if (!o)
        return CLI_USAGE;
    if (r->word_count > 2 && o->kind != OPTION_LIST)
        return wrong_usage(r, "only a list takes several values");
    make_input(r);
    st = config_load(&r->config, &r->input, &e); /* for its place; a mistake may be mended now */
    if (!r->config.places.file[0])
        return failure(r, st, &e);
    errmsg_set(&e, "%s", "");
    st = edit(r, o->key, &e);
    if (st == ST_OK) {
        tell_outcome(r, o, is_set);
        return CLI_READY;
    }
    if (st == ST_DENIED)
        return failure(r, st, &e);
    cli_complain(&r->env, e.text, "nothing was written; rdlink help config");
    return CLI_DEGRADED;
}

static int verb_set(struct config_run *r)
{
    return r->word_count < 2 ? wrong_usage(r, "config set takes a key and its value")
                             : change(r, true);
}

static int verb_unset(struct config_run *r)
{
    return r->word_count != 1 ? wrong_usage(r, "config unset takes a key") : change(r, false);
}

/* ---- start --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(struct config_run *r);
} verbs[] = {
    { "check", verb_check },
    { "show", verb_show },
    { "set", verb_set },
    { "unset", verb_unset },
};

/* Options may stand before and after the words; "--" ends them. */
static enum status take_args(struct config_run *r, int argc, const char *const *argv,
                             struct errmsg *e)
{
    int at = 0, used;

    while (at < argc) {
        bool ends = false;
        enum status st =
            options_parse_argv(options, ARRAY_SIZE(options), r, argc - at, argv + at, &used, e);

        if (st != ST_OK)
            return st;
        ends = used > 0 && !strcmp(argv[at + used - 1], "--");
        at += used;
        do {
            if (at == argc)
                break;
            if (r->word_count == WORDS_MAX) {
                errmsg_set(e, "too many words");
                return ST_INVAL;
            }
            r->all_words[r->word_count++] = argv[at++];
        } while (ends);
    }
    return ST_OK;
}

static int run_verb(struct config_run *r, int argc, const char *const *argv)
{
    struct errmsg e = { "" };

    if (take_args(r, argc, argv, &e) != ST_OK)
        return wrong_usage(r, e.text);
    if (r->word_count == 0)
        return wrong_usage(r, "config: what? check, show, set or unset");
    r->words = r->all_words + 1;
    r->word_count--;
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        if (!strcmp(r->all_words[0], verbs[i].name))
            return verbs[i].run(r);
    errmsg_set(&e, "config: '%.60s' is none of %s", r->all_words[0], cli_config_command.words);
    return wrong_usage(r, e.text);
}

static int config_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct config_run *r = run;

    r->env = *env;
    return run_verb(r, argc, argv);
}

const struct cli_command cli_config_command = {
    .name = "config",
    .usage = "check [FILE] | show [--json] | set KEY VALUE... | unset KEY  [--config FILE]",
    .summary = "what the service is told: checks, shows and changes it",
    .words = "check|show|set|unset",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .run_bytes = sizeof(struct config_run),
    .start = config_start,
};
