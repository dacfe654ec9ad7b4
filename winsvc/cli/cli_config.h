/* SPDX-License-Identifier: Apache-2.0
 * cli_config.h - what `rdlink config` is made of: one loaded configuration and its views.
 */
#ifndef WINSVC_CLI_CLI_CONFIG_H
#define WINSVC_CLI_CLI_CONFIG_H

#include "cli/cli_command.h"
#include "config/config.h"

/* All values of @c with their sources, as lines or as one object. CLI_READY, or another exit code,
 * which was explained. */
int cli_config_show(const struct cli_env *env, const struct config *c, bool json);

#endif
