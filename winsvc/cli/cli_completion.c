/* SPDX-License-Identifier: Apache-2.0
 * `rdlink completion SHELL`: prints the script; the shell's own writer makes it.
 */
#include "cli/completion.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    completion_fn *write;
} shells[] = {
    { "bash", completion_bash },
    { "zsh", completion_zsh },
    { "fish", completion_fish },
    { "powershell", completion_powershell },
};

/* ---- what the writers share -------------------------------------------------------------- */

enum completion_value completion_value_of(const struct option *o)
{
    if (o->kind == OPTION_FLAG)
        return COMPLETION_NO_VALUE;
    if (cli_option_words(o))
        return COMPLETION_WORDS;
    return o->value_name && !strncmp(o->value_name, "FILE", 4) ? COMPLETION_FILE : COMPLETION_FREE;
}

/* Each command is also a topic of help. */
const char *completion_words_after(const struct cli_command *c, char *buf, size_t cap)
{
    size_t len = (size_t)snprintf(buf, cap, "%s", c->words ? c->words : "");

    for (unsigned i = 0; c == &cli_help_command && i < cli_command_count; i++)
        len += (size_t)snprintf(buf + len, cap - len, "|%s", cli_commands[i]->name);
    ASSERT(len < cap);
    return buf;
}

void completion_say_words(const struct cli_env *env, const char *list, const char *before,
                          const char *after)
{
    char word[64];

    while ((list = cli_next_word(list, word, sizeof word)))
        cli_say(env, "%s%s%s", before, word, after);
}

const char *completion_quoted(char *buf, size_t cap, const char *text, const char *special,
                              char escape)
{
    size_t n = 0;

    for (; *text && n + 3 <= cap; text++) {
        if (strchr(special, *text))
            buf[n++] = escape ? escape : *text;
        buf[n++] = *text;
    }
    ASSERT(!*text);
    buf[n] = '\0';
    return buf;
}

/* ---- the command ------------------------------------------------------------------------- */

static int completion_start(void *run, const struct cli_env *env, int argc, const char *const *argv)
{
    const char *shell = NULL;
    char none;
    int code = cli_parse_options(&cli_completion_command, env, &none, &shell, argc, argv);

    if (code != CLI_PENDING)
        return code;
    for (unsigned i = 0; shell && i < ARRAY_SIZE(shells); i++) {
        if (!strcmp(shells[i].name, shell)) {
            shells[i].write(env);
            return CLI_READY;
        }
    }
    cli_complain(env, "for which shell? bash, zsh, fish or powershell", "rdlink help completion");
    return CLI_USAGE;
}

const struct cli_command cli_completion_command = {
    .name = "completion",
    .usage = "bash|zsh|fish|powershell",
    .summary = "a script that lets that shell complete rdlink's words",
    .words = "bash|zsh|fish|powershell",
    .start = completion_start,
};
