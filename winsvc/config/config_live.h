/* SPDX-License-Identifier: Apache-2.0
 * config_live.h - a configuration that changes while rdlinkd runs: as a whole, or not at all.
 *
 * What is written in the files, the registry or the policy is noticed by itself within two seconds
 * (files mostly at once); config_live_reload() looks now. A configuration with a mistake leaves the
 * old one in force and is told; a good one replaces it in place, but for options that only count at
 * the next start: those stay as they are and are listed as pending. Each change is logged, old and
 * new value, key by key.
 * Owns: the watches and the newest good configuration. Runs on: the controller's loop.
 */
#ifndef WINSVC_CONFIG_CONFIG_LIVE_H
#define WINSVC_CONFIG_CONFIG_LIVE_H

#include "config/config.h"

struct config_live;
struct loop;

struct config_live_ops {
    /* The running configuration was replaced; @effects has a bit (1 << enum config_effect) for each
     * that a change of it has. */
    void (*on_applied)(void *ctx, unsigned effects);
    /* What config_live_view() tells is another. */
    void (*on_change)(void *ctx);
};

/* What a reader may know. Names are those of the table. */
struct config_view {
    char file[OPTION_VALUE_MAX];
    bool file_is_there;
    bool valid;          /* what is written now is what is in force, or will be */
    char message[256];   /* the first mistake, when not valid */
    uint64_t generation; /* 1 at the start, one up at each change that was taken */
    int64_t loaded_ms;   /* wall clock, of that change */
    unsigned layers;     /* bit for each enum option_layer that has a value */
    const char *pending[OPTIONS_MAX], *locked[OPTIONS_MAX];
    unsigned pending_count, locked_count;
};

/* @running was loaded from @in just now; it is replaced in place, so pointers to it stay good. Both
 * are borrowed until config_live_free(), with what @in names. ST_NOMEM. */
enum status config_live_new(struct config_live **out, struct loop *loop, struct config *running,
                            const struct config_input *in, const struct config_live_ops *ops,
                            void *ctx);
/* Reads all sources now. ST_OK also when nothing has changed; otherwise as config_load(), and the
 * configuration is what it was. */
enum status config_live_reload(struct config_live *l, struct errmsg *e);
void config_live_view(const struct config_live *l, struct config_view *out);
/* NULL is fine. */
void config_live_free(struct config_live *l);

#endif
