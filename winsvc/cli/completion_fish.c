/* SPDX-License-Identifier: Apache-2.0
 * A `complete` for each command, word and option; fish puts them together.
 */
#include "cli/completion.h"

enum { TEXT_MAX = 512 };

static const char *described(char *buf, size_t cap, const char *text)
{
    return completion_quoted(buf, cap, text, "\\'", '\\');
}

static void one_option(const struct cli_env *env, const char *command, const struct option *o)
{
    char letter = cli_option_letter(o), text[TEXT_MAX];

    cli_say(env, "complete -c rdlink -n '__fish_seen_subcommand_from %s' -l %s", command, o->key);
    if (letter)
        cli_say(env, " -s %c", letter);
    switch (completion_value_of(o)) {
    case COMPLETION_NO_VALUE: break;
    case COMPLETION_FREE: cli_say(env, " -x"); break;
    case COMPLETION_FILE: cli_say(env, " -r -F"); break;
    case COMPLETION_WORDS:
        cli_say(env, " -x -a '");
        completion_say_words(env, cli_option_words(o), " ", "");
        cli_say(env, "'");
        break;
    }
    cli_say(env, " -d '%s'\n", described(text, sizeof text, o->help));
}

static void one_command(const struct cli_env *env, const struct cli_command *c)
{
    char words[TEXT_MAX];

    completion_words_after(c, words, sizeof words);
    if (words[0]) {
        cli_say(env,
                "complete -c rdlink -n '__fish_seen_subcommand_from %s; "
                "and test (count (commandline -opc)) -eq 2' -a '",
                c->name);
        completion_say_words(env, words, " ", "");
        cli_say(env, "'\n");
    }
    for (size_t i = 0; i < c->option_count; i++)
        one_option(env, c->name, &c->options[i]);
}

void completion_fish(const struct cli_env *env)
{
    char text[TEXT_MAX];

    cli_say(env, "# fish completion of rdlink. Save it as ~/.config/fish/completions/rdlink.fish\n"
                 "complete -c rdlink -f\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        cli_say(env, "complete -c rdlink -n __fish_use_subcommand -a %s -d '%s'\n",
                cli_commands[i]->name, described(text, sizeof text, cli_commands[i]->summary));
    for (unsigned i = 0; i < cli_command_count; i++)
        one_command(env, cli_commands[i]);
}
