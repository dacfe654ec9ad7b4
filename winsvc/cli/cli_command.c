/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_command.h"

#include <stdio.h>

enum status cli_check_address(const char *value, struct errmsg *e)
{
    struct addr a;

    return addr_parse(&a, value, e);
}

void cli_complain(const struct cli_env *env, const char *what, const char *next)
{
    char text[1024];

    snprintf(text, sizeof text, "rdlink: %s\n  next  %s\n", what, next);
    env->print(env->ctx, CLI_STDERR, text);
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

int cli_parse(const struct cli_command *command, const struct cli_env *env, void *options,
              struct cli_service *service, int argc, const char *const *argv)
{
    struct errmsg e = { .text = "" };
    char next[64];
    enum status st;
    int used = 0;

    options_defaults(command->options, command->option_count, options);
    st =
        options_parse_argv(command->options, command->option_count, options, argc, argv, &used, &e);
    if (st == ST_OK && used < argc) {
        errmsg_set(&e, "%s takes no argument '%.100s'", command->name, argv[used]);
        st = ST_INVAL;
    }
    if (st == ST_OK)
        st = choose_address(env, service, &e);
    if (st == ST_OK)
        return CLI_PENDING;
    snprintf(next, sizeof next, "rdlink help %s", command->name);
    cli_complain(env, e.text, next);
    return CLI_USAGE;
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
