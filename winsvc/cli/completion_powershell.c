/* SPDX-License-Identifier: Apache-2.0
 * The tables as PowerShell's own, and one block that looks them up: Windows PowerShell 5.1 and
 * PowerShell 7. File names need nothing: PowerShell offers them where a completer has no answer.
 */
#include "cli/completion.h"

#include <stdio.h>

enum { TEXT_MAX = 512 };

static const char tail[] =
    "    }\n"
    "    # What stands before the word that is being completed.\n"
    "    $before = @($line.CommandElements |\n"
    "        Where-Object { $_.Extent.EndOffset -lt $cursor } |\n"
    "        ForEach-Object { $_.ToString() })\n"
    "    $value = \"$($before[1]) $($before[-1])\"\n"
    "    $tables = @()\n"
    "    if ($before.Count -eq 1) {\n"
    "        $tables = @($commands)\n"
    "    } elseif ($values.ContainsKey($value)) {\n"
    "        $tables = @($values[$value])\n"
    "    } else {\n"
    "        if ($before.Count -eq 2 -and $values.ContainsKey($before[1])) {\n"
    "            $tables += @($values[$before[1]])\n"
    "        }\n"
    "        if ($options.ContainsKey($before[1])) {\n"
    "            $tables += @($options[$before[1]])\n"
    "        }\n"
    "    }\n"
    "    $known = $tables | ForEach-Object { $_.GetEnumerator() }\n"
    "    $known | Where-Object { $_.Key -like \"$word*\" } | ForEach-Object {\n"
    "        [System.Management.Automation.CompletionResult]::new(\n"
    "            $_.Key, $_.Key, 'ParameterValue', $_.Value)\n"
    "    }\n"
    "}\n";

static const char *described(char *buf, size_t cap, const char *text)
{
    return completion_quoted(buf, cap, text, "'", '\0');
}

/* An ordered table of words to tool tips, which may not be empty: the word itself where nothing
 * more is known. */
static void words_table(const struct cli_env *env, const char *key, const char *list)
{
    char word[64];

    cli_say(env, "        '%s' = [ordered]@{", key);
    while ((list = cli_next_word(list, word, sizeof word)))
        cli_say(env, " '%s' = '%s'%s", word, word, *list ? ";" : "");
    cli_say(env, " }\n");
}

static void values_of(const struct cli_env *env, const struct cli_command *c)
{
    char words[TEXT_MAX], key[64];

    completion_words_after(c, words, sizeof words);
    if (words[0])
        words_table(env, c->name, words);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct option *o = &c->options[i];

        if (completion_value_of(o) == COMPLETION_NO_VALUE)
            continue;
        snprintf(key, sizeof key, "%s --%s", c->name, o->key);
        words_table(env, key, cli_option_words(o) ? cli_option_words(o) : "");
    }
}

static void options_of(const struct cli_env *env, const struct cli_command *c)
{
    char text[TEXT_MAX];

    if (!c->option_count)
        return;
    cli_say(env, "        '%s' = [ordered]@{\n", c->name);
    for (size_t i = 0; i < c->option_count; i++)
        cli_say(env, "            '--%s' = '%s'\n", c->options[i].key,
                described(text, sizeof text, c->options[i].help));
    cli_say(env, "        }\n");
}

void completion_powershell(const struct cli_env *env)
{
    char text[TEXT_MAX];

    cli_say(env,
            "# PowerShell completion of rdlink. In $PROFILE:\n"
            "#   rdlink completion powershell | Out-String | Invoke-Expression\n"
            "Register-ArgumentCompleter -Native -CommandName rdlink, rdlink.exe -ScriptBlock {\n"
            "    param($word, $line, $cursor)\n"
            "    $commands = [ordered]@{\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        cli_say(env, "        '%s' = '%s'\n", cli_commands[i]->name,
                described(text, sizeof text, cli_commands[i]->summary));
    cli_say(env, "    }\n    $options = @{\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        options_of(env, cli_commands[i]);
    cli_say(env, "    }\n    $values = @{\n");
    for (unsigned i = 0; i < cli_command_count; i++)
        values_of(env, cli_commands[i]);
    env->print(env->ctx, CLI_STDOUT, tail);
}
