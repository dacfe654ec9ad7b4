/* SPDX-License-Identifier: Apache-2.0
 * completion.h - scripts that let a shell complete rdlink's commands, options and fixed values. One
 * writer for each shell; all go by the table of commands, and ask nothing when they complete.
 */
#ifndef WINSVC_CLI_COMPLETION_H
#define WINSVC_CLI_COMPLETION_H

#include "cli/cli_command.h"

/* Prints the script to standard output. */
typedef void completion_fn(const struct cli_env *env);

completion_fn completion_bash, completion_zsh, completion_fish, completion_powershell;

/* What may stand as an option's value. */
enum completion_value {
    COMPLETION_NO_VALUE, /* a flag */
    COMPLETION_FREE,     /* anything: nothing can be offered */
    COMPLETION_FILE,
    COMPLETION_WORDS /* cli_option_words() */
};

enum completion_value completion_value_of(const struct option *o);
/* The words that may follow @c's name, as cli_next_word() takes them; "" when there are none. */
const char *completion_words_after(const struct cli_command *c, char *buf, size_t cap);
/* All of @list, each with @before and @after around it. */
void completion_say_words(const struct cli_env *env, const char *list, const char *before,
                          const char *after);
/* @text with @escape before each of the characters @special, or doubled where @escape is 0. */
const char *completion_quoted(char *buf, size_t cap, const char *text, const char *special,
                              char escape);

#endif
