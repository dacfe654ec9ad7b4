/* SPDX-License-Identifier: Apache-2.0
 * config.h - the agent's options: one table for the command line and the file, checked once.
 */
#ifndef GUESTAGENT_CONFIG_H
#define GUESTAGENT_CONFIG_H

#include "base/options.h"
#include "guestagent/identity.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_BRIDGE_PORT = 6660, CONFIG_CONTROL_PORT = 6680 };

struct config {
    /* as given */
    char file[OPTION_VALUE_MAX];
    struct option_list listen;
    char control[OPTION_VALUE_MAX];
    char target[OPTION_VALUE_MAX];
    uint32_t target_owner;
    uint32_t max_connections;
    uint32_t dial_timeout_ms, drain_timeout_ms;
    char log_level[OPTION_VALUE_MAX];
    struct identity_options identity;

    /* as understood */
    struct addr listen_at[OPTION_LIST_MAX];
    unsigned listen_count;
    bool has_control;
    struct addr control_at;
    struct addr target_at;
};

/* Defaults, then the file that --config names, then @argv (without program and verb). ST_INVAL and
 * the statuses of options_load_file(), with a message for whoever typed it. */
enum status config_load(struct config *out, int argc, const char *const *argv, struct errmsg *e);
/* Help lines of the table; as options_help(). */
size_t config_help(char *buf, size_t cap);
/* The table itself, for the manual page. */
const struct option *config_options(size_t *count);

#endif
