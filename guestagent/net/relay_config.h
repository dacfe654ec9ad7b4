/* SPDX-License-Identifier: Apache-2.0
 * relay_config.h - the options of `rdlink-agent relay`: one table for command line and file.
 */
#ifndef GUESTAGENT_NET_RELAY_CONFIG_H
#define GUESTAGENT_NET_RELAY_CONFIG_H

#include "base/options.h"
#include "port/addr.h"

#define RELAY_DEFAULT_SOCKET "unix:/run/rdlink/relay.sock"

struct relay_config {
    /* as given */
    char file[OPTION_VALUE_MAX], listen[OPTION_VALUE_MAX], tap_name[OPTION_VALUE_MAX];
    char log_level[OPTION_VALUE_MAX];
    /* as understood */
    struct addr listen_at;
};

/* As config_load(): defaults, then the file that --config names, then @argv. */
enum status relay_config_load(struct relay_config *out, int argc, const char *const *argv,
                              struct errmsg *e);
size_t relay_config_help(char *buf, size_t cap);
/* The table itself, for the manual page. */
const struct option *relay_config_options(size_t *count);

#endif
