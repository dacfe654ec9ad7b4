/* SPDX-License-Identifier: Apache-2.0
 * cli_command.h - what a command is, and what commands share: the options that say where the
 * service is, and the words when it does not answer.
 *
 * A command is a table row in cli.c and a file of its own. Runs on: the loop of struct cli_env.
 */
#ifndef WINSVC_CLI_CLI_COMMAND_H
#define WINSVC_CLI_CLI_COMMAND_H

#include "base/options.h"
#include "cli/cli.h"
#include "port/addr.h"

struct cli_command {
    const char *name;
    const char *usage;   /* what may follow the name, for the overview */
    const char *summary; /* one line */
    const struct option *options;
    size_t option_count;
    /* @argv: what follows the name. An exit code, or CLI_PENDING with *run set. */
    int (*start)(void **run, const struct cli_env *env, int argc, const char *const *argv);
    void (*free)(void *run); /* NULL is fine */
};

extern const struct cli_command cli_status_command, cli_wait_command, cli_check_command,
    cli_metrics_command, cli_ports_command, cli_capture_command;

/* Where the service is. A command's options begin with CLI_SERVICE_OPTIONS. */
struct cli_service {
    char address[OPTION_VALUE_MAX];
    uint32_t timeout_ms;
    struct addr at; /* @address, once chosen */
};

enum status cli_check_address(const char *value, struct errmsg *e);
/* clang-format off: rows of an option table */
#define CLI_SERVICE_OPTIONS(type, member, timeout, what)                                        \
    { .key = "address",                                                                         \
      .kind = OPTION_STRING,                                                                    \
      .offset = offsetof(type, member.address),                                                 \
      .check = cli_check_address,                                                               \
      .value_name = "ADDR",                                                                     \
      .help = "where the service's status is (see: rdlink help address)" },                     \
    {                                                                                           \
        .key = "timeout", .kind = OPTION_DURATION, .offset = offsetof(type, member.timeout_ms), \
        .fallback = timeout, .min = 1, .max = 86400000, .value_name = "TIME", .help = what      \
    }
/* clang-format on */

/* Two lines on standard error: what, and what to do next. */
void cli_complain(const struct cli_env *env, const char *what, const char *next);
/* Options of @command from @argv into @options, and where the service is: --address, then
 * RDLINK_STATUS, then the system's default. CLI_PENDING, or CLI_USAGE, which was explained. */
int cli_parse(const struct cli_command *command, const struct cli_env *env, void *options,
              struct cli_service *service, int argc, const char *const *argv);
/* No answer: is it not there, not allowed, or not well? Explains, and returns the exit code. */
int cli_service_failure(const struct cli_env *env, const struct cli_service *service,
                        enum status st, const struct errmsg *why);

#endif
