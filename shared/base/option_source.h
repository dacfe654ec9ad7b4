/* SPDX-License-Identifier: Apache-2.0
 * option_source.h - one pass over one source of settings, which remembers where each value came
 * from: default < file < registry < command line < policy, in the order in which the owner reads
 * them.
 *
 * A repeatable key is replaced, not extended, by the first value of a later source. Owns nothing.
 * Pure but for option_source_file().
 */
#ifndef SHARED_BASE_OPTION_SOURCE_H
#define SHARED_BASE_OPTION_SOURCE_H

#include "base/options.h"

enum option_layer {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_FILE,
    OPTION_FROM_REGISTRY,
    OPTION_FROM_ARGV,
    OPTION_FROM_POLICY, /* overrides all others: the value is locked */
    OPTION_LAYER_COUNT
};
/* "default", "file", "registry", "command line", "policy" */
const char *option_layer_name(enum option_layer layer);

struct option_origin {
    enum option_layer layer; /* whose value holds */
    unsigned line;           /* of that layer's file, the first with the key; 0 = it is no file */
    unsigned layers;         /* bit for each layer that has a value */
};

/* One mistake, with its place. */
typedef void option_error_fn(void *ctx, const char *text);

/* Zero-initialise and set the first group. */
struct option_source {
    const struct option *table;
    size_t count; /* at most OPTIONS_MAX */
    void *config;
    enum option_layer layer;
    struct option_origin *origins; /* @count of them; NULL: nobody asks */
    /* Told each mistake of a text or registry, which is then read to its end; NULL: the first one
     * ends it. */
    option_error_fn *on_error;
    void *error_ctx;

    bool seen[OPTIONS_MAX]; /* private: keys this source has set */
};

/* NULL: unknown, and @e names the nearest key. */
const struct option *option_source_find(const struct option_source *s, const char *key,
                                        struct errmsg *e);
/* One value, as from a registry; @line 0 = no file. ST_INVAL. */
enum status option_source_set(struct option_source *s, const struct option *o, const char *value,
                              unsigned line, struct errmsg *e);
/* The list @o has no value in this source. */
void option_source_set_empty(struct option_source *s, const struct option *o);
/* With on_error @e is the first mistake. @name is for messages only. ST_INVAL with
 * "name:line:col: ...". */
enum status option_source_text(struct option_source *s, const char *name, const char *text,
                               size_t len_bytes, struct errmsg *e);
/* As options_load_file() and options_parse_argv(). */
enum status option_source_file(struct option_source *s, const char *path, struct errmsg *e);
enum status option_source_argv(struct option_source *s, int argc, const char *const *argv,
                               int *rest, struct errmsg *e);

/* A whole configuration file; *@text is the caller's to free(), also when the file is empty.
 * ST_NOTFOUND, ST_DENIED, ST_IO, ST_NOMEM, ST_FULL (over OPTION_FILE_MAX). */
enum status option_file_read(const char *path, char **text, size_t *len_bytes, struct errmsg *e);

#endif
