/* SPDX-License-Identifier: Apache-2.0
 * rdlinkd: the host side of rdlink. This file only turns the command line into one of a few verbs.
 */
#include "main_env.h"
#include "main_help.h"
#include "main_run.h"
#include "main_switch.h"

#include "base/log.h"
#include "base/util.h"
#include "base/version.h"
#include "docker/docker_worker.h"
#include "network/network_worker.h"
#include "platform.h"
#include "port/uv/loop_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- run: the controller on a console -------------------------------------------------------- */

static void on_stop_signal(void *ctx, int signal)
{
    struct main_run *run = ctx;

    app_stop(run->app);
}

/* What is wrong was logged, and the configuration is as it was. */
static void on_reload_signal(void *ctx, int signal)
{
    struct main_run *run = ctx;

    log_info(LOG_MAIN, "SIGHUP: reading the configuration");
    (void)app_reload(run->app, NULL);
}

static int verb_run(int argc, const char *const *argv)
{
    /* Not on the stack: the configuration is some 60 KiB, and Windows' stacks are small. */
    static struct main_run run;
    int code = main_run_start(&run, argc, argv);

    if (code != EXIT_OK)
        return code;
    if (loop_uv_on_stop_signals(run.loop, on_stop_signal, &run) != ST_OK)
        log_warn(LOG_MAIN, "signals cannot be handled: stop will not drain");
    if (loop_uv_on_reload_signal(run.loop, on_reload_signal, &run) != ST_OK)
        log_warn(LOG_MAIN, "SIGHUP cannot be handled: it will end this process");
    main_run_wait(&run);
    return main_run_finish(&run);
}

/* ---- --worker: a process of the controller's ------------------------------------------------- */

struct worker_run {
    struct loop *loop;
    int exit_code;
};

static void on_worker_done(void *ctx, int code)
{
    struct worker_run *run = ctx;

    run->exit_code = code;
    loop_uv_stop(run->loop);
}

/* Ctrl-C on a console reaches the workers as well as the controller, who is about to drain them:
 * theirs is not to react. A worker ends by message or with its controller. */
static void on_worker_signal(void *ctx, int signal)
{
}

/* Until it is done; @st and @e are of its start. */
static void run_worker(struct worker_run *run, const char *name, enum status st,
                       const struct errmsg *e)
{
    if (st == ST_OK) {
        (void)loop_uv_on_stop_signals(run->loop, on_worker_signal, run);
        loop_uv_run(run->loop);
        return;
    }
    log_error(LOG_MAIN, "start %s worker: %s", name, e->text);
    run->exit_code = st == ST_INVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int worker_docker(int argc, const char *const *argv)
{
    struct worker_run run = { NULL, EXIT_OK };
    struct docker_worker *worker = NULL;
    struct errmsg e = { "" };

    if (loop_uv_new(&run.loop, &e) != ST_OK) {
        log_error(LOG_MAIN, "event loop: %s", e.text);
        return EXIT_FAILED;
    }
    run_worker(&run, "docker",
               docker_worker_start(&worker, run.loop, argc, argv, on_worker_done, &run, &e), &e);
    docker_worker_free(worker);
    loop_uv_free(run.loop);
    return run.exit_code;
}

static int worker_switch(int argc, const char *const *argv)
{
    struct worker_run run = { NULL, EXIT_OK };
    struct network_worker *worker = NULL;
    struct main_env env = { .routes = NULL };
    struct errmsg e = { "" };
    enum status st = main_env_open(&env, &e);

    run.loop = env.env.loop;
    if (st == ST_OK)
        st = network_worker_start(&worker, &env.env, env.routes, argc, argv, on_worker_done, &run,
                                  &e);
    run_worker(&run, "switch", st, &e);
    network_worker_free(worker);
    main_env_close(&env);
    return run.exit_code;
}

static int verb_worker(int argc, const char *const *argv)
{
    if (argc > 0 && !strcmp(argv[0], "docker")) {
        platform_harden_worker(PLATFORM_WORKER_DOCKER);
        return worker_docker(argc - 1, argv + 1);
    }
    if (argc > 0 && !strcmp(argv[0], "switch")) {
        platform_harden_worker(PLATFORM_WORKER_SWITCH);
        return worker_switch(argc - 1, argv + 1);
    }
    log_error(LOG_MAIN, "unknown worker; this build has: docker, switch");
    return EXIT_USAGE;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int verb_version(int argc, const char *const *argv)
{
    printf("rdlinkd %s\n", rdlink_version());
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(int argc, const char *const *argv);
} verbs[] = {
    { "run", verb_run },         { "service", main_service }, { "switch", main_switch },
    { "--worker", verb_worker }, { "version", verb_version }, { "--version", verb_version },
    { "help", main_help },       { "--help", main_help },
};

/* Of the Windows service. */
static const char *const service_verbs[] = { "install", "uninstall", "start",
                                             "stop",    "status",    "configure" };

int main(int argc, char **argv)
{
    platform_harden_process();
    for (unsigned i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(argc - 2, (const char *const *)argv + 2);
    for (unsigned i = 0; argc > 1 && i < ARRAY_SIZE(service_verbs); i++)
        if (!strcmp(argv[1], service_verbs[i]))
            return main_install(argv[1], argc - 2, (const char *const *)argv + 2);
    fprintf(stderr, "rdlinkd: %s%s\nTry `rdlinkd help`.\n",
            argc > 1 ? "unknown command " : "no command", argc > 1 ? argv[1] : "");
    return EXIT_USAGE;
}
