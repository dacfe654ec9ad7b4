/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_command.h"

#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 32 };

/* ---- a run ------------------------------------------------------------------------------- */

int cli_run_start(void **run, const struct cli_command *command, const struct cli_env *env,
                  int argc, const char *const *argv)
{
    void *state = NULL;
    int code;

    if (command->run_bytes && !(state = calloc(1, command->run_bytes)))
        return cli_out_of_memory(env, CLI_NOT_RUNNING);
    code = command->start(state, env, argc, argv);
    if (code != CLI_PENDING) {
        cli_run_free(command, state);
        state = NULL;
    }
    *run = state;
    return code;
}

void cli_run_free(const struct cli_command *command, void *run)
{
    if (run && command->fini)
        command->fini(run);
    free(run);
}

/* ---- options ----------------------------------------------------------------------------- */

enum status cli_check_address(const char *value, struct errmsg *e)
{
    struct addr a;

    return addr_parse(&a, value, e);
}

/* ---- words for a person ------------------------------------------------------------------ */

void cli_say(const struct cli_env *env, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->print(env->ctx, CLI_STDOUT, text);
}

void cli_complain(const struct cli_env *env, const char *what, const char *next)
{
    char text[1024];

    snprintf(text, sizeof text, "rdlink: %s\n  next  %s\n", what, next);
    env->print(env->ctx, CLI_STDERR, text);
}

int cli_out_of_memory(const struct cli_env *env, int code)
{
    cli_complain(env, "out of memory", "try again");
    return code;
}

static enum status choose_address(const struct cli_env *env, struct cli_service *s,
                                  struct errmsg *e)
{
    bool from_env = !s->address[0] && env->status_address && env->status_address[0];
    enum status st;

    if (!s->address[0])
        snprintf(s->address, sizeof s->address, "%s",
                 from_env ? env->status_address : env->default_address);
    st = addr_parse(&s->at, s->address, e);
    if (st && from_env)
        errmsg_wrap(e, "RDLINK_STATUS");
    return st;
}

const char *cli_next_word(const char *list, char *word, size_t cap)
{
    size_t len = strcspn(list, "|");

    if (!len)
        return NULL;
    snprintf(word, cap, "%.*s", (int)len, list);
    return list + len + (list[len] == '|');
}

/* A value's name is in capitals or has brackets unless it is the words themselves. */
const char *cli_option_words(const struct option *o)
{
    const char *name = o->value_name;

    if (!name || !strchr(name, '|') || strspn(name, "abcdefghijklmnopqrstuvwxyz-|") != strlen(name))
        return NULL;
    return name;
}

char cli_option_letter(const struct option *o)
{
    return strcmp(o->key, "output") == 0 ? 'o' : '\0';
}

static bool is_one_of(const char *list, const char *word)
{
    char one[64];

    while (list && (list = cli_next_word(list, one, sizeof one)))
        if (!strcmp(one, word))
            return true;
    return false;
}

static const char *long_name(const struct cli_command *command, const char *arg)
{
    if (strcmp(arg, "-o") != 0)
        return arg;
    for (size_t i = 0; i < command->option_count; i++)
        if (cli_option_letter(&command->options[i]) == 'o')
            return "--output";
    return arg;
}

static int wrong_usage(const struct cli_command *command, const struct cli_env *env,
                       const struct errmsg *e)
{
    char next[64];

    snprintf(next, sizeof next, "rdlink help %s", command->name);
    cli_complain(env, e->text, next);
    return CLI_USAGE;
}

int cli_parse_options(const struct cli_command *command, const struct cli_env *env, void *options,
                      const char **word, int argc, const char *const *argv)
{
    const char *args[ARGS_MAX];
    struct errmsg e = { .text = "" };
    int used = 0, more = 0;

    argc = MIN(argc, ARGS_MAX);
    for (int i = 0; i < argc; i++)
        args[i] = long_name(command, argv[i]);
    options_defaults(command->options, command->option_count, options);
    if (options_parse_argv(command->options, command->option_count, options, argc, args, &used, &e))
        return wrong_usage(command, env, &e);
    if (word && (*word = used < argc ? argv[used++] : NULL) &&
        options_parse_argv(command->options, command->option_count, options, argc - used,
                           args + used, &more, &e))
        return wrong_usage(command, env, &e);
    used += more;
    if (used < argc)
        errmsg_set(&e, "%s takes no argument '%.100s'", command->name, argv[used]);
    else if (word && *word && command->words && !is_one_of(command->words, *word))
        errmsg_set(&e, "%s: '%.60s' is none of %.150s", command->name, *word, command->words);
    return e.text[0] ? wrong_usage(command, env, &e) : CLI_PENDING;
}

int cli_parse_word(const struct cli_command *command, const struct cli_env *env, void *options,
                   struct cli_service *service, const char **word, int argc,
                   const char *const *argv)
{
    int code = cli_parse_options(command, env, options, word, argc, argv);
    struct errmsg e = { .text = "" };

    if (code != CLI_PENDING || choose_address(env, service, &e) == ST_OK)
        return code;
    return wrong_usage(command, env, &e);
}

int cli_parse(const struct cli_command *command, const struct cli_env *env, void *options,
              struct cli_service *service, int argc, const char *const *argv)
{
    return cli_parse_word(command, env, options, service, NULL, argc, argv);
}

void cli_log_path(const struct cli_env *env, const char *folder, char *buf, size_t cap)
{
    if (!folder[0])
        folder = env->default_logs ? env->default_logs : ".";
    snprintf(buf, cap, "%s/rdlinkd.log", folder);
}

const char *cli_status_file(const struct cli_env *env, const struct cli_service *service,
                            const char *named)
{
    if (named[0])
        return named;
    return strcmp(service->address, env->default_address) ? NULL : env->default_status_file;
}

int cli_service_failure(const struct cli_env *env, const struct cli_service *service,
                        enum status st, const struct errmsg *why)
{
    char what[600];

    if (st == ST_DENIED) {
        snprintf(what, sizeof what, "no permission to read the status at %s", service->address);
        cli_complain(env, what, "run it as the owner of the service or an administrator");
        return CLI_NO_PERMISSION;
    }
    if (st == ST_NOTFOUND || st == ST_REFUSED) {
        snprintf(what, sizeof what, "the service is not running: nobody answers at %s",
                 service->address);
        cli_complain(
            env, what,
            "start it: systemctl start rdlinkd, sc start RancherDesktopLink, or rdlinkd run");
        return CLI_NOT_RUNNING;
    }
    snprintf(what, sizeof what, "no status from %s: %.250s", service->address,
             why && why->text[0] ? why->text : status_text(st));
    cli_complain(env, what,
                 st == ST_TIMEOUT
                     ? "the service hangs or is very busy: read its log, restart it"
                     : "check that --address is rdlink's status and not another socket");
    return CLI_NOT_RUNNING;
}

int cli_ask(struct http_client **out, const struct cli_env *env, const struct cli_service *service,
            const char *target, http_client_done_fn *fn, void *ctx)
{
    struct errmsg e = { "" };
    enum status st =
        http_client_get(out, env->loop, &service->at, target, service->timeout_ms, fn, ctx, &e);

    return st ? cli_service_failure(env, service, st, &e) : CLI_PENDING;
}
