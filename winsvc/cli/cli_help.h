/* SPDX-License-Identifier: Apache-2.0
 * cli_help.h - the overview of all commands, for those who named none. The rest of the help is the
 * command `rdlink help`.
 */
#ifndef WINSVC_CLI_CLI_HELP_H
#define WINSVC_CLI_CLI_HELP_H

#include "cli/cli.h"

void cli_help_overview(const struct cli_env *env, enum cli_out to);

#endif
