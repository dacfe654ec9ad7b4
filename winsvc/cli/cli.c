/* SPDX-License-Identifier: Apache-2.0
 * The table of commands and the help. A command is one row here and one cli_x.c.
 */
#include "cli/cli.h"

#include "base/util.h"
#include "base/version.h"
#include "cli/cli_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_MAX = 4096 };

static const struct cli_command *const commands[] = { &cli_status_command,  &cli_wait_command,
                                                      &cli_check_command,   &cli_ports_command,
                                                      &cli_capture_command, &cli_metrics_command };

struct cli {
    const struct cli_command *command;
    void *run; /* owned */
};

static const char address_help[] =
    "Addresses\n"
    "\n"
    "  unix:PATH            a unix socket; default unix:/run/rdlink/status.sock\n"
    "  npipe:NAME           the pipe \\\\.\\pipe\\NAME; default on Windows\n"
    "                       npipe:rdlink_status\n"
    "  tcp:127.0.0.1:PORT   loopback TCP\n"
    "\n"
    "--address comes before RDLINK_STATUS, and that before the default.\n";

static const char exit_code_help[] =
    "Exit codes\n"
    "\n"
    "  0  ready, or done\n"
    "  1  running, but not ready: degraded, starting, or waiting for a guest;\n"
    "     what was waited for did not come; a check failed\n"
    "  2  not running, or no answer\n"
    "  3  no permission to read the status\n"
    "  4  wrong usage\n";

static void print(const struct cli_env *env, enum cli_out to, const char *text)
{
    env->print(env->ctx, to, text);
}

static int usage(const struct cli_env *env, const char *what, const char *word)
{
    char text[256];

    snprintf(text, sizeof text, "rdlink: %s '%.100s'\n  next  rdlink help\n", what, word);
    print(env, CLI_STDERR, text);
    return CLI_USAGE;
}

static void print_overview(const struct cli_env *env, enum cli_out to)
{
    char line[256];

    print(env, to, "rdlink: shows how the link between this computer and its guests is doing\n\n");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        snprintf(line, sizeof line, "  rdlink %-8s %s\n", commands[i]->name, commands[i]->summary);
        print(env, to, line);
    }
    print(env, to,
          "  rdlink version  of this program\n"
          "  rdlink help [COMMAND|address|exit-codes]\n"
          "\n"
          "RDLINK_STATUS in the environment says where the status is, NO_COLOR turns colour\n"
          "off. What a reason in the output means: docs/troubleshooting.md.\n");
}

static const struct cli_command *find_command(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static void help_on(const struct cli_env *env, const struct cli_command *c)
{
    char text[HELP_MAX];

    snprintf(text, sizeof text, "rdlink %s: %s\n\n  rdlink %s %s\n\n", c->name, c->summary, c->name,
             c->usage);
    print(env, CLI_STDOUT, text);
    options_help(c->options, c->option_count, text, sizeof text);
    print(env, CLI_STDOUT, text);
}

static int run_help(const struct cli_env *env, int argc, const char *const *argv)
{
    const struct cli_command *command = argc ? find_command(argv[0]) : NULL;

    if (argc == 0)
        print_overview(env, CLI_STDOUT);
    else if (command)
        help_on(env, command);
    else if (!strcmp(argv[0], "address"))
        print(env, CLI_STDOUT, address_help);
    else if (!strcmp(argv[0], "exit-codes"))
        print(env, CLI_STDOUT, exit_code_help);
    else
        return usage(env, "no help on", argv[0]);
    return CLI_READY;
}

static int run_version(const struct cli_env *env)
{
    char text[64];

    snprintf(text, sizeof text, "rdlink %s\n", rdlink_version());
    print(env, CLI_STDOUT, text);
    return CLI_READY;
}

static bool asks_for_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

int cli_start(struct cli **out, const struct cli_env *env, int argc, const char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct cli_command *command = find_command(name);
    struct cli *c;
    int code;

    if (argc < 2) {
        print_overview(env, CLI_STDERR);
        return CLI_USAGE;
    }
    if (!strcmp(name, "help") || asks_for_help(name))
        return run_help(env, argc - 2, argv + 2);
    if (argc == 3 && asks_for_help(argv[2]))
        return run_help(env, 1, argv + 1);
    if (!strcmp(name, "version") || !strcmp(name, "--version"))
        return run_version(env);
    if (!command)
        return usage(env, "no command", name);
    c = calloc(1, sizeof *c);
    if (!c) {
        cli_complain(env, "out of memory", "try again");
        return CLI_NOT_RUNNING;
    }
    c->command = command;
    code = command->start(&c->run, env, argc - 2, argv + 2);
    if (code == CLI_PENDING)
        *out = c;
    else
        cli_free(c);
    return code;
}

void cli_free(struct cli *c)
{
    if (!c)
        return;
    c->command->free(c->run);
    free(c);
}
