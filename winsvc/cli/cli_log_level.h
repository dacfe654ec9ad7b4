/* SPDX-License-Identifier: Apache-2.0
 * cli_log_level.h - `rdlink logs level`, which cli_logs.c hands on. Runs on: the loop of cli_env.
 */
#ifndef WINSVC_CLI_CLI_LOG_LEVEL_H
#define WINSVC_CLI_CLI_LOG_LEVEL_H

#include "cli/cli_command.h"

extern const struct cli_command cli_log_level_command;

#endif
