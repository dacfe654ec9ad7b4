/* SPDX-License-Identifier: Apache-2.0
 * config_store.h - settings that are kept by the system instead of in a file: Windows' registry. A
 * contract, so that a test can script one; Linux has none.
 *
 * Runs on: any thread, blocks shortly.
 */
#ifndef WINSVC_CONFIG_CONFIG_STORE_H
#define WINSVC_CONFIG_CONFIG_STORE_H

#include "base/options.h"
#include "base/status.h"

enum config_value_kind { CONFIG_TEXT, CONFIG_NUMBER, CONFIG_LIST };

/* One value; everything is borrowed for the call. */
struct config_value {
    const char *name;
    enum config_value_kind kind;
    const char *items[OPTION_LIST_MAX]; /* CONFIG_NUMBER: its decimal digits */
    unsigned count;                     /* 1, or of a list any number */
};

typedef void config_value_fn(void *ctx, const struct config_value *v);

struct config_store {
    /* Each value of @place. A place that is not there has none. NULL: there is no such store.
     * ST_DENIED, ST_IO, ST_INVAL (a value of no kind that fits, too many in a list): @e names it.
     */
    enum status (*read)(const struct config_store *s, const char *place, config_value_fn *fn,
                        void *ctx, struct errmsg *e);
    char settings[OPTION_VALUE_MAX]; /* the place of what an administrator sets */
    char policy[OPTION_VALUE_MAX];   /* and of what is locked */
    void *ctx;                       /* read()'s own */
};

#endif
