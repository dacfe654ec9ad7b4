/* SPDX-License-Identifier: Apache-2.0
 * The table of commands. A command is one row here and one cli_x.c.
 */
#include "cli/cli.h"

#include "base/util.h"
#include "cli/cli_command.h"
#include "cli/cli_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_command *const cli_commands[] = {
    &cli_status_command,  &cli_wait_command,       &cli_check_command,   &cli_ports_command,
    &cli_capture_command, &cli_metrics_command,    &cli_page_command,    &cli_report_command,
    &cli_restart_command, &cli_config_command,     &cli_key_command,     &cli_bugreport_command,
    &cli_logs_command,    &cli_completion_command, &cli_version_command, &cli_help_command,
};
const unsigned cli_command_count = ARRAY_SIZE(cli_commands);

struct cli {
    const struct cli_command *command;
    void *run; /* owned */
};

const struct cli_command *cli_find_command(const char *name)
{
    for (unsigned i = 0; i < cli_command_count; i++)
        if (!strcmp(cli_commands[i]->name, name))
            return cli_commands[i];
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static int run_command(struct cli **out, const struct cli_command *command,
                       const struct cli_env *env, int argc, const char *const *argv)
{
    struct cli *c = calloc(1, sizeof *c);
    int code;

    if (!c)
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    c->command = command;
    code = cli_run_start(&c->run, command, env, argc, argv);
    if (code == CLI_PENDING)
        *out = c;
    else
        cli_free(c);
    return code;
}

int cli_start(struct cli **out, const struct cli_env *env, int argc, const char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct cli_command *command;
    char what[160];

    if (argc < 2) {
        cli_help_overview(env, CLI_STDERR);
        return CLI_USAGE;
    }
    if (asks_for_help(name))
        name = "help";
    if (!strcmp(name, "--version"))
        name = "version";
    command = cli_find_command(name);
    if (!command) {
        snprintf(what, sizeof what, "no command '%.100s'", name);
        cli_complain(env, what, "rdlink help");
        return CLI_USAGE;
    }
    if (argc == 3 && asks_for_help(argv[2]))
        return run_command(out, &cli_help_command, env, 1, argv + 1);
    return run_command(out, command, env, argc - 2, argv + 2);
}

void cli_free(struct cli *c)
{
    if (!c)
        return;
    cli_run_free(c->command, c->run);
    free(c);
}
