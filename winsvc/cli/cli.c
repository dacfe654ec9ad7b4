/* SPDX-License-Identifier: Apache-2.0
 * The table of commands and the help. A command is one row here and one cli_x.c.
 */
#include "cli/cli.h"

#include "base/version.h"
#include "cli/cli_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_MAX = 4096 };

struct cli {
    struct cli_status *status; /* owned */
};

static const char overview[] =
    "rdlink: shows how the link between this computer and its guests is doing\n"
    "\n"
    "  rdlink status [--json] [--address ADDR] [--timeout TIME]\n"
    "  rdlink version\n"
    "  rdlink help [status|address|exit-codes]\n"
    "\n"
    "RDLINK_STATUS in the environment says where the status is, NO_COLOR turns colour\n"
    "off. What a reason in the output means: docs/troubleshooting.md.\n";

static const char status_help[] =
    "rdlink status: one line for each part, how long it has been so, and what to do\n"
    "\n";

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
    "  0  ready\n"
    "  1  running, but not ready: degraded, starting, or waiting for a guest\n"
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

static int run_help(const struct cli_env *env, int argc, const char *const *argv)
{
    char options[HELP_MAX];

    if (argc == 0) {
        print(env, CLI_STDOUT, overview);
    } else if (!strcmp(argv[0], "status")) {
        cli_status_help(options, sizeof options);
        print(env, CLI_STDOUT, status_help);
        print(env, CLI_STDOUT, options);
    } else if (!strcmp(argv[0], "address")) {
        print(env, CLI_STDOUT, address_help);
    } else if (!strcmp(argv[0], "exit-codes")) {
        print(env, CLI_STDOUT, exit_code_help);
    } else {
        return usage(env, "no help on", argv[0]);
    }
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
    const char *command = argc > 1 ? argv[1] : "";
    struct cli *c;
    int code;

    if (argc < 2) {
        print(env, CLI_STDERR, overview);
        return CLI_USAGE;
    }
    if (!strcmp(command, "help") || asks_for_help(command))
        return run_help(env, argc - 2, argv + 2);
    if (argc == 3 && asks_for_help(argv[2]))
        return run_help(env, 1, argv + 1);
    if (!strcmp(command, "version") || !strcmp(command, "--version")) {
        return run_version(env);
    }
    if (strcmp(command, "status"))
        return usage(env, "no command", command);
    c = calloc(1, sizeof *c);
    if (!c) {
        print(env, CLI_STDERR, "rdlink: out of memory\n  next  try again\n");
        return CLI_NOT_RUNNING;
    }
    code = cli_status_start(&c->status, env, argc - 2, argv + 2);
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
    cli_status_free(c->status);
    free(c);
}
