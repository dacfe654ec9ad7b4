/* SPDX-License-Identifier: Apache-2.0
 * rdlink-agent: the guest's end of rdlink. A list of steps; the work is in agent.c.
 */
#include "base/log.h"
#include "base/version.h"
#include "guestagent/agent.h"
#include "guestagent/config.h"
#include "port/uv/loop_uv.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 4, HELP_MAX = 8192 };

struct program {
    struct loop *loop;
    struct agent *agent;
};

static void on_signal(void *ctx, int signal)
{
    struct program *p = ctx;

    agent_stop(p->agent);
}

static void on_stopped(void *ctx)
{
    struct program *p = ctx;

    loop_uv_stop(p->loop);
}

/* Serves until it is told to stop. */
static enum status serve(const struct config *config, struct errmsg *e)
{
    struct program p = { .loop = NULL };
    enum status st = loop_uv_new(&p.loop, e);

    if (st)
        return st;
    st = agent_new(&p.agent, p.loop, config, on_stopped, &p, e);
    if (st)
        goto out;
    st = loop_uv_on_stop_signals(p.loop, on_signal, &p);
    if (st) {
        errmsg_set(e, "handle signals: %s", status_text(st));
        goto out;
    }
    loop_uv_run(p.loop);
out:
    agent_free(p.agent);
    loop_uv_free(p.loop);
    return st;
}

static int bridge(int argc, char **argv)
{
    static struct config config; /* some KiB of addresses */
    struct errmsg e = { "" };

    if (config_load(&config, argc, (const char *const *)argv, &e) != ST_OK) {
        fprintf(stderr, "rdlink-agent bridge: %s\n", e.text);
        return EXIT_USAGE;
    }
    log_set_level(config.level);
    log_info(LOG_MAIN, "rdlink-agent %s starts", rdlink_version());
    if (serve(&config, &e) != ST_OK) {
        log_error(LOG_MAIN, "%s", e.text);
        return EXIT_FAILED;
    }
    log_info(LOG_MAIN, "stopped");
    return EXIT_OK;
}

static int help(FILE *to)
{
    static char text[HELP_MAX];

    config_help(text, sizeof text);
    fprintf(to,
            "rdlink-agent - the guest's end of rdlink\n\n"
            "  rdlink-agent bridge [options]   carry docker streams from the host to docker.sock\n"
            "  rdlink-agent version\n"
            "  rdlink-agent help\n\n"
            "Options of bridge:\n%s\n"
            "SIGTERM drains, a second one cuts. Exit codes: 0 stopped, 1 failed, 4 usage.\n",
            text);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (!strcmp(verb, "bridge"))
        return bridge(argc - 2, argv + 2);
    if (!strcmp(verb, "version") || !strcmp(verb, "--version"))
        return printf("rdlink-agent %s\n", rdlink_version()) < 0 ? EXIT_FAILED : EXIT_OK;
    if (!strcmp(verb, "help") || !strcmp(verb, "--help") || !strcmp(verb, "-h"))
        return help(stdout);
    return help(stderr);
}
