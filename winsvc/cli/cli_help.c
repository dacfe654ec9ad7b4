/* SPDX-License-Identifier: Apache-2.0
 * `rdlink help`: from the table of commands and a few topics; and the same as a manual page.
 */
#include "cli/cli_help.h"

#include "base/man_page.h"
#include "base/util.h"
#include "cli/cli_command.h"

#include <stdio.h>
#include <string.h>

enum { HELP_MAX = 4096 };

static const char summary[] = "shows how the link between this computer and its guests is doing";

static const struct {
    const char *name, *title, *text;
} topics[] = {
    { "address", "Addresses",
      "  unix:PATH            a unix socket; default unix:/run/rdlink/status.sock\n"
      "  npipe:NAME           the pipe \\\\.\\pipe\\NAME; default on Windows\n"
      "                       npipe:rdlink_status\n"
      "  tcp:127.0.0.1:PORT   loopback TCP\n"
      "\n"
      "--address comes before RDLINK_STATUS, and that before the default.\n" },
    { "exit-codes", "Exit codes",
      "  0  ready, or done\n"
      "  1  running, but not ready: degraded, starting, or waiting for a guest;\n"
      "     what was waited for did not come; a check failed\n"
      "  2  not running, or no answer\n"
      "  3  no permission to read the status\n"
      "  4  wrong usage\n" },
};

static void say(const struct cli_env *env, const char *text)
{
    env->print(env->ctx, CLI_STDOUT, text);
}

void cli_help_overview(const struct cli_env *env, enum cli_out to)
{
    char line[256];

    snprintf(line, sizeof line, "rdlink: %s\n\n", summary);
    env->print(env->ctx, to, line);
    for (unsigned i = 0; i < cli_command_count; i++) {
        snprintf(line, sizeof line, "  rdlink %-11s %s\n", cli_commands[i]->name,
                 cli_commands[i]->summary);
        env->print(env->ctx, to, line);
    }
    env->print(env->ctx, to,
               "\n"
               "rdlink help COMMAND says what a command takes.\n"
               "RDLINK_STATUS in the environment says where the status is, NO_COLOR turns colour\n"
               "off. What a reason in the output means: docs/troubleshooting.md.\n");
}

static void help_on(const struct cli_env *env, const struct cli_command *c)
{
    char text[HELP_MAX];

    snprintf(text, sizeof text, "rdlink %s: %s\n\n  rdlink %s %s\n\n", c->name, c->summary, c->name,
             c->usage);
    say(env, text);
    options_help(c->options, c->option_count, text, sizeof text);
    say(env, text);
}

/* ---- the manual page --------------------------------------------------------------------- */

static void man_print(void *ctx, const char *text)
{
    say(ctx, text);
}

static void man_commands(struct man_page *m)
{
    char text[256];

    man_page_section(m, "COMMANDS");
    for (unsigned i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = cli_commands[i];

        snprintf(text, sizeof text, "rdlink %s %s", c->name, c->usage);
        man_page_part(m, text);
        snprintf(text, sizeof text, "%s.", c->summary);
        man_page_text(m, text);
        man_page_options(m, c->options, c->option_count);
    }
}

static void print_man_page(const struct cli_env *env)
{
    struct cli_env copy = *env;
    struct man_page m = { .print = man_print, .ctx = &copy };

    man_page_begin(&m, "rdlink", 1, summary);
    man_page_section(&m, "SYNOPSIS");
    man_page_lines(&m, "rdlink COMMAND [OPTIONS]");
    man_page_section(&m, "DESCRIPTION");
    man_page_text(&m,
                  "rdlink asks the service rdlinkd, over a local socket or pipe, and explains "
                  "what it says: which part works, since when, why another one does not, and "
                  "what to do. Few commands change anything; those say so and ask at "
                  "the service's control socket, which is its owner's and administrators' alone.");
    man_commands(&m);
    for (unsigned i = 0; i < ARRAY_SIZE(topics); i++) {
        man_page_section(&m, topics[i].title);
        man_page_lines(&m, topics[i].text);
    }
    man_page_section(&m, "ENVIRONMENT");
    man_page_item(&m, "RDLINK_STATUS", "Where the status is, as --address.");
    man_page_item(&m, "NO_COLOR", "Not empty: no colour on a terminal either.");
    man_page_section(&m, "SEE ALSO");
    man_page_lines(&m, "rdlinkd(8), rdlink-agent(8)");
}

/* ---- start ------------------------------------------------------------------------------- */

static int no_help_on(const struct cli_env *env, const char *word)
{
    char what[128];

    snprintf(what, sizeof what, "no help on '%.80s'", word);
    cli_complain(env, what, "rdlink help");
    return CLI_USAGE;
}

static int help_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    const struct cli_command *command = argc ? cli_find_command(argv[0]) : NULL;

    if (argc == 0) {
        cli_help_overview(env, CLI_STDOUT);
        return CLI_READY;
    }
    if (command) {
        help_on(env, command);
        return CLI_READY;
    }
    if (!strcmp(argv[0], "man")) {
        print_man_page(env);
        return CLI_READY;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(topics); i++) {
        if (strcmp(argv[0], topics[i].name) != 0)
            continue;
        cli_say(env, "%s\n\n", topics[i].title);
        say(env, topics[i].text);
        return CLI_READY;
    }
    return no_help_on(env, argv[0]);
}

const struct cli_command cli_help_command = {
    .name = "help",
    .usage = "[COMMAND|address|exit-codes|man]",
    .summary = "this; a command's options; a topic; the manual page",
    .words = "address|exit-codes|man", /* and the commands */
    .start = help_start,
};
