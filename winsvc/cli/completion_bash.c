/* SPDX-License-Identifier: Apache-2.0
 * One function with one case statement: what can come next by the command and the word before.
 * Bash cuts --option=value into three words, so an equals sign is looked past. No bash-completion
 * package is needed.
 */
#include "cli/completion.h"

static const char head[] =
    "# bash completion of rdlink. In ~/.bashrc: eval \"$(rdlink completion bash)\"\n"
    "_rdlink()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
    "    if [ \"$cur\" = = ]; then\n"
    "        cur=\n"
    "    elif [ \"$prev\" = = ]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    COMPREPLY=()\n"
    "    case $COMP_CWORD:${COMP_WORDS[1]}:$prev in\n";

static const char tail[] = "    esac\n"
                           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                           "}\n"
                           "complete -F _rdlink rdlink\n";

static const char file_names[] = "        compopt -o filenames 2>/dev/null\n"
                                 "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                                 "        return\n";

static void option_case(const struct cli_env *env, const char *command, const struct option *o)
{
    enum completion_value value = completion_value_of(o);
    char letter = cli_option_letter(o);

    if (value == COMPLETION_NO_VALUE)
        return;
    cli_say(env, "    *:%s:--%s", command, o->key);
    if (letter)
        cli_say(env, " | *:%s:-%c", command, letter);
    cli_say(env, ")\n");
    if (value == COMPLETION_WORDS) {
        cli_say(env, "        words='");
        completion_say_words(env, cli_option_words(o), " ", "");
        cli_say(env, "'\n");
    } else {
        cli_say(env, "%s", value == COMPLETION_FILE ? file_names : "        return\n");
    }
    cli_say(env, "        ;;\n");
}

static void command_case(const struct cli_env *env, const struct cli_command *c)
{
    char words[512];

    for (size_t i = 0; i < c->option_count; i++)
        option_case(env, c->name, &c->options[i]);
    cli_say(env, "    2:%s:*)\n        words='", c->name);
    completion_say_words(env, completion_words_after(c, words, sizeof words), " ", "");
    for (size_t i = 0; i < c->option_count; i++)
        cli_say(env, " --%s", c->options[i].key);
    cli_say(env, "'\n        ;;\n    *:%s:*)\n        words='", c->name);
    for (size_t i = 0; i < c->option_count; i++)
        cli_say(env, " --%s", c->options[i].key);
    cli_say(env, "'\n        ;;\n");
}

void completion_bash(const struct cli_env *env)
{
    env->print(env->ctx, CLI_STDOUT, head);
    cli_say(env, "    1:*)\n        words='");
    for (unsigned i = 0; i < cli_command_count; i++)
        cli_say(env, " %s", cli_commands[i]->name);
    cli_say(env, "'\n        ;;\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        command_case(env, cli_commands[i]);
    env->print(env->ctx, CLI_STDOUT, tail);
}
