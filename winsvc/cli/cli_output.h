/* SPDX-License-Identifier: Apache-2.0
 * cli_output.h - what the commands that write a file for somebody else have in common. Any thread.
 */
#ifndef WINSVC_CLI_CLI_OUTPUT_H
#define WINSVC_CLI_CLI_OUTPUT_H

#include "base/status.h"

struct cli_env;

enum { CLI_STAMP_MAX = 32 };

/* The time as a part of a file's name: "20261122T101500Z"; "" where the clock makes no sense. */
void cli_output_stamp(const struct cli_env *env, char stamp[static CLI_STAMP_MAX]);
/* Explains why there is no @output; the exit code. */
int cli_output_failure(const struct cli_env *env, const char *output, enum status st);

#endif
