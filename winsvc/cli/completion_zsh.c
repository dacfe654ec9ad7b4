/* SPDX-License-Identifier: Apache-2.0
 * _describe for the commands, _arguments for what follows each. The script can be sourced, or be a
 * file _rdlink in $fpath: the last lines find out which.
 */
#include "cli/completion.h"

enum { TEXT_MAX = 512 };

static const char head[] = "#compdef rdlink\n"
                           "# zsh completion of rdlink. In ~/.zshrc, below compinit:\n"
                           "#   source <(rdlink completion zsh)\n"
                           "_rdlink()\n"
                           "{\n"
                           "    local -a commands=(\n";

static const char tail[] = "    esac\n"
                           "}\n"
                           "if [[ ${funcstack[1]} == _rdlink ]]; then\n"
                           "    _rdlink \"$@\"\n"
                           "else\n"
                           "    compdef _rdlink rdlink\n"
                           "fi\n";

/* Within single quotes, where a description ends at a colon or a bracket. */
static const char *described(char *buf, size_t cap, const char *text)
{
    char plain[TEXT_MAX];
    size_t n = 0;

    for (; *text && n + 1 < sizeof plain; text++)
        plain[n++] =
            *text == '\'' ? '`' : *text; /* nobody escapes a quote in all of zsh's layers */
    plain[n] = '\0';
    return completion_quoted(buf, cap, plain, "\\:[]", '\\');
}

static void option_spec(const struct cli_env *env, const struct option *o)
{
    enum completion_value value = completion_value_of(o);
    char letter = cli_option_letter(o), text[TEXT_MAX];

    described(text, sizeof text, o->help);
    if (value == COMPLETION_NO_VALUE) {
        cli_say(env, " \\\n            '--%s[%s]'", o->key, text);
        return;
    }
    for (int is_short = 0; is_short <= (letter ? 1 : 0); is_short++) {
        if (is_short)
            cli_say(env, " \\\n            '-%c[%s]:value:", letter, text);
        else
            cli_say(env, " \\\n            '--%s=[%s]:value:", o->key, text);
        if (value == COMPLETION_FILE)
            cli_say(env, "_files");
        if (value == COMPLETION_WORDS) {
            cli_say(env, "(");
            completion_say_words(env, cli_option_words(o), " ", "");
            cli_say(env, ")");
        }
        cli_say(env, "'");
    }
}

static void command_case(const struct cli_env *env, const struct cli_command *c)
{
    char words[TEXT_MAX];

    completion_words_after(c, words, sizeof words);
    cli_say(env, "    %s)\n        _arguments", c->name);
    for (size_t i = 0; i < c->option_count; i++)
        option_spec(env, &c->options[i]);
    if (words[0]) {
        cli_say(env, " \\\n            '1:word:(");
        completion_say_words(env, words, " ", "");
        cli_say(env, ")'");
    }
    cli_say(env, "\n        ;;\n");
}

void completion_zsh(const struct cli_env *env)
{
    char text[TEXT_MAX];

    env->print(env->ctx, CLI_STDOUT, head);
    for (unsigned i = 0; i < cli_command_count; i++)
        cli_say(env, "        '%s:%s'\n", cli_commands[i]->name,
                described(text, sizeof text, cli_commands[i]->summary));
    cli_say(env, "    )\n"
                 "    if ((CURRENT == 2)); then\n"
                 "        _describe command commands\n"
                 "        return\n"
                 "    fi\n"
                 "    shift words\n"
                 "    ((CURRENT--))\n"
                 "    case $words[1] in\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        command_case(env, cli_commands[i]);
    env->print(env->ctx, CLI_STDOUT, tail);
}
