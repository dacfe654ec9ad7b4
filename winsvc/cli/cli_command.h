/* SPDX-License-Identifier: Apache-2.0
 * cli_command.h - what a command is, and what commands share: the options that say where the
 * service is, and the words when it does not answer.
 *
 * A command is a table row in cli.c and a file of its own. Runs on: the loop of struct cli_env.
 */
#ifndef WINSVC_CLI_CLI_COMMAND_H
#define WINSVC_CLI_CLI_COMMAND_H

#include "base/options.h"
#include "cli/cli.h"
#include "cli/http_client.h"
#include "port/addr.h"

/* Of the status that this program understands (docs/status.md). */
#define CLI_API_VERSION "rdlink.v1"

struct cli_command {
    const char *name;
    const char *usage;   /* what may follow the name, for the overview */
    const char *summary; /* one line */
    const struct option *options;
    size_t option_count;
    /* The words that may follow the name, as "bash|zsh|fish"; NULL: none, or any one. */
    const char *words;
    /* Of the state of a run, which is all zero before start(). 0: the command has none, and never
     * returns CLI_PENDING. */
    size_t run_bytes;
    /* @argv: what follows the name. An exit code, or CLI_PENDING. */
    int (*start)(void *run, const struct cli_env *env, int argc, const char *const *argv);
    /* Ends what @run has under way and frees what it owns, whatever start() returned. No function:
     * nothing. */
    void (*fini)(void *run);
};

/* A run of @command: an exit code, or CLI_PENDING with *run set; that is NULL otherwise. */
int cli_run_start(void **run, const struct cli_command *command, const struct cli_env *env,
                  int argc, const char *const *argv);
/* NULL is fine. */
void cli_run_free(const struct cli_command *command, void *run);

extern const struct cli_command cli_status_command, cli_wait_command, cli_check_command,
    cli_metrics_command, cli_ports_command, cli_capture_command, cli_page_command,
    cli_report_command, cli_bugreport_command, cli_logs_command, cli_restart_command,
    cli_config_command, cli_key_command, cli_completion_command, cli_version_command,
    cli_help_command;

/* The table of commands, in the order in which they are shown. */
extern const struct cli_command *const cli_commands[];
extern const unsigned cli_command_count;
/* NULL: there is none of that name. */
const struct cli_command *cli_find_command(const char *name);

/* The words that an option's value, or a command, is one of are written "warn|off|deny". Takes the
 * first of @list into @word and returns what is left, NULL at the end: for (l = ...; (l =
 * cli_next_word(l, w, sizeof w));). */
const char *cli_next_word(const char *list, char *word, size_t cap);
/* The list of words for @o's value, or NULL when it is free text. */
const char *cli_option_words(const struct option *o);
/* 'o' for --output, where a person may say -o; 0: none. */
char cli_option_letter(const struct option *o);

/* Where the service is. A command's options begin with CLI_SERVICE_OPTIONS. */
struct cli_service {
    char address[OPTION_VALUE_MAX];
    uint32_t timeout_ms;
    struct addr at; /* @address, once chosen */
};

enum status cli_check_address(const char *value, struct errmsg *e);
/* clang-format off: rows of an option table */
#define CLI_SERVICE_OPTIONS(type, member, timeout, what)                                        \
    { .key = "address",                                                                         \
      .kind = OPTION_STRING,                                                                    \
      .offset = offsetof(type, member.address),                                                 \
      .check = cli_check_address,                                                               \
      .value_name = "ADDR",                                                                     \
      .help = "where the service's status is (see: rdlink help address)" },                     \
    {                                                                                           \
        .key = "timeout", .kind = OPTION_DURATION, .offset = offsetof(type, member.timeout_ms), \
        .fallback = timeout, .min = 1, .max = 86400000, .value_name = "TIME", .help = what      \
    }
/* clang-format on */

/* At most 1 KiB to standard output. */
void cli_say(const struct cli_env *env, const char *format, ...) PRINTF_LIKE(2, 3);
/* Two lines on standard error: what, and what to do next. */
void cli_complain(const struct cli_env *env, const char *what, const char *next);
/* Says so; returns @code. */
int cli_out_of_memory(const struct cli_env *env, int code);
/* Options of @command from @argv into @options, and the word after them into *@word (NULL: none;
 * one that is none of the command's words, if it has some, is wrong usage). A command without words
 * takes @word NULL. CLI_PENDING, or CLI_USAGE, which was explained. */
int cli_parse_options(const struct cli_command *command, const struct cli_env *env, void *options,
                      const char **word, int argc, const char *const *argv);
/* Options of @command from @argv into @options, and where the service is: --address, then
 * RDLINK_STATUS, then the system's default. CLI_PENDING, or CLI_USAGE, which was explained. */
int cli_parse(const struct cli_command *command, const struct cli_env *env, void *options,
              struct cli_service *service, int argc, const char *const *argv);
/* The same for a command that takes a word: *@word, NULL when there is none. */
int cli_parse_word(const struct cli_command *command, const struct cli_env *env, void *options,
                   struct cli_service *service, const char **word, int argc,
                   const char *const *argv);
/* The newest file of the service's log in @folder, "" = the default one. */
void cli_log_path(const struct cli_env *env, const char *folder, char *buf, size_t cap);
/* The file with the last status of a service that does not answer: @named, unless that is "", then
 * the default one, for the default service only. NULL: it is not known. */
const char *cli_status_file(const struct cli_env *env, const struct cli_service *service,
                            const char *named);
/* No answer: is it not there, not allowed, or not well? Explains, and returns the exit code. */
int cli_service_failure(const struct cli_env *env, const struct cli_service *service,
                        enum status st, const struct errmsg *why);
/* GET @target of the service. CLI_PENDING, or an exit code that was explained. */
int cli_ask(struct http_client **out, const struct cli_env *env, const struct cli_service *service,
            const char *target, http_client_done_fn *fn, void *ctx);

#endif
