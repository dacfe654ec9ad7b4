/* SPDX-License-Identifier: Apache-2.0
 * `rdlinkd install`, uninstall, start, stop, status, configure: the commands of a person (or an
 * installer) who looks after the Windows service.
 */
#include "main_run.h"

#include "base/util.h"
#include "port/sys.h"
#include "port/win/win_error.h"
#include "win/service_install.h"
#include "win/service_plan.h"

#include <stdio.h>
#include <string.h>

static int failed(const char *verb, enum status st, const struct errmsg *e)
{
    fprintf(stderr, "rdlinkd: %s: %s\n", verb, e->text[0] ? e->text : status_text(st));
    if (st == ST_DENIED)
        fprintf(stderr, "Run it as an administrator.\n");
    return EXIT_FAILED;
}

static void print_settings(const struct service_settings *settings)
{
    for (unsigned i = 0; i < SERVICE_SETTINGS; i++) {
        const struct service_setting *s = &settings->items[i];
        char text[WIN_ERROR_TEXT_MAX];

        if (s->is_set)
            printf("  %-24s set\n", s->name);
        else
            printf("  %-24s NOT SET%s%s\n", s->name, s->error ? ": " : "",
                   s->error ? win_error_text(s->error, text) : "");
    }
}

static int verb_install(int argc, const char *const *argv)
{
    static struct config unused; /* 60 KiB */
    const struct config_input input = { .argc = argc, .argv = argv };
    char program[SERVICE_PATH_MAX], command[SERVICE_COMMAND_MAX];
    struct service_settings settings;
    struct errmsg e = { "" };
    enum status st = config_load(&unused, &input, &e);

    if (st) { /* or the service would not start */
        failed("install", st, &e);
        return EXIT_USAGE;
    }
    st = sys_self_path(program, sizeof program);
    if (st == ST_OK)
        st = service_command(command, sizeof command, program, argc, argv, &e);
    if (st == ST_OK)
        st = service_install(command, &settings, &e);
    if (st)
        return failed("install", st, &e);
    printf("Service %s is installed: %s\n", SERVICE_NAME, command);
    print_settings(&settings);
    return EXIT_OK;
}

static int verb_configure(int argc, const char *const *argv)
{
    struct service_settings settings;
    struct errmsg e = { "" };
    enum status st = service_configure(&settings, &e);

    if (st)
        return failed("configure", st, &e);
    print_settings(&settings);
    return EXIT_OK;
}

static int verb_uninstall(int argc, const char *const *argv)
{
    struct errmsg e = { "" };
    bool was_installed;
    enum status st = service_uninstall(&was_installed, &e);

    if (st)
        return failed("uninstall", st, &e);
    printf("Service %s %s.\n", SERVICE_NAME, was_installed ? "is removed" : "was not installed");
    return EXIT_OK;
}

static int verb_start(int argc, const char *const *argv)
{
    struct errmsg e = { "" };
    enum status st = service_start(&e);

    if (st)
        return failed("start", st, &e);
    printf("Service %s runs.\n", SERVICE_NAME);
    return EXIT_OK;
}

static int verb_stop(int argc, const char *const *argv)
{
    struct errmsg e = { "" };
    enum status st = service_stop(&e);

    if (st)
        return failed("stop", st, &e);
    printf("Service %s is stopped.\n", SERVICE_NAME);
    return EXIT_OK;
}

static int verb_status(int argc, const char *const *argv)
{
    static struct service_state s;
    char text[WIN_ERROR_TEXT_MAX];
    struct errmsg e = { "" };
    enum status st = service_query(&s, &e);

    if (st)
        return failed("status", st, &e);
    printf("Service %s: %s\n", SERVICE_NAME, s.state);
    if (!s.is_installed)
        return EXIT_NOT_RUNNING;
    if (s.pid)
        printf("  %-24s %u\n", "pid", s.pid);
    else if (s.exit_code)
        printf("  %-24s %s\n", "stopped with", win_error_text(s.exit_code, text));
    printf("  %-24s %s\n", "starts", s.is_automatic ? "by itself" : "only when told");
    printf("  %-24s %s\n", "account", s.account);
    printf("  %-24s %s\n", "command", s.command);
    print_settings(&s.settings);
    return s.is_running ? EXIT_OK : EXIT_NOT_RUNNING;
}

static const struct {
    const char *name;
    bool has_options;
    int (*run)(int argc, const char *const *argv);
} verbs[] = {
    { "install", true, verb_install }, { "uninstall", false, verb_uninstall },
    { "start", false, verb_start },    { "stop", false, verb_stop },
    { "status", false, verb_status },  { "configure", false, verb_configure },
};

int main_install(const char *verb, int argc, const char *const *argv)
{
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verb, verbs[i].name) != 0)
            continue;
        if (argc > 0 && !verbs[i].has_options) {
            fprintf(stderr, "rdlinkd: %s takes no options\n", verb);
            return EXIT_USAGE;
        }
        return verbs[i].run(argc, argv);
    }
    return EXIT_USAGE;
}
