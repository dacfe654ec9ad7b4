/* SPDX-License-Identifier: Apache-2.0
 * rdlink-agent: the guest's end of rdlink. A list of steps; the work is in agent.c,
 * net/net_agent.c and net/relay_agent.c.
 */
#include "base/log.h"
#include "base/version.h"
#include "guestagent/agent.h"
#include "guestagent/config.h"
#include "guestagent/journal.h"
#include "guestagent/key_copy.h"
#include "guestagent/main_help.h"
#include "guestagent/net/net_agent.h"
#include "guestagent/net/net_config.h"
#include "guestagent/net/relay_agent.h"
#include "guestagent/net/relay_config.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 4 };

/* One of the three units: exactly one of these is there. */
struct program {
    struct loop *loop;
    struct net *sockets; /* of a relay */
    struct agent *agent;
    struct net_agent *net;
    struct relay_agent *relay;
};

/* What it is to be: exactly one of these is there. */
struct unit {
    const struct config *bridge;
    const struct net_config *net;
    const struct relay_config *relay;
};

static void on_signal(void *ctx, int signal)
{
    struct program *p = ctx;

    if (p->agent)
        agent_stop(p->agent);
    else if (p->net)
        net_agent_stop(p->net);
    else
        relay_agent_stop(p->relay);
}

static void on_stopped(void *ctx)
{
    struct program *p = ctx;

    loop_uv_stop(p->loop);
}

static enum status start_relay(struct program *p, const struct relay_config *config,
                               struct errmsg *e)
{
    enum status st = net_uv_new(&p->sockets, p->loop, e);

    if (st == ST_OK)
        st = net_uv_set_device(p->sockets, config->tap_name);
    if (st == ST_OK)
        st = relay_agent_new(&p->relay, p->loop, p->sockets, config, on_stopped, p, e);
    return st;
}

static enum status start(struct program *p, const struct unit *u, struct errmsg *e)
{
    if (u->bridge)
        return agent_new(&p->agent, p->loop, u->bridge, on_stopped, p, e);
    if (u->net)
        return net_agent_new(&p->net, p->loop, u->net, on_stopped, p, e);
    return start_relay(p, u->relay, e);
}

/* Serves until it is told to stop. */
static enum status serve(const struct unit *u, struct errmsg *e)
{
    struct program p = { .loop = NULL };
    enum status st = loop_uv_new(&p.loop, e);

    if (st)
        return st;
    st = start(&p, u, e);
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
    net_agent_free(p.net);
    relay_agent_free(p.relay);
    net_uv_free(p.sockets);
    loop_uv_free(p.loop);
    return st;
}

static void begin_log(const char *verb)
{
    enum status st;

    log_set_process(verb, sys_pid());
    st = journal_open(NULL);
    if (st != ST_OK && st != ST_NOTFOUND)
        log_warn(LOG_MAIN, "the journal gets this log as plain text");
}

static int run(const char *verb, const char *levels, const struct unit *unit)
{
    struct errmsg e = { "" };

    log_set_levels_text(levels);
    begin_log(verb);
    log_info(LOG_MAIN, "rdlink-agent %s %s starts", verb, rdlink_version());
    if (serve(unit, &e) != ST_OK) {
        log_error(LOG_MAIN, "%s", e.text);
        return EXIT_FAILED;
    }
    log_info(LOG_MAIN, "stopped");
    return EXIT_OK;
}

static int bridge(int argc, char **argv)
{
    static struct config config; /* some KiB of addresses */
    struct errmsg e = { "" };

    if (config_load(&config, argc, (const char *const *)argv, &e) != ST_OK) {
        fprintf(stderr, "rdlink-agent bridge: %s\n", e.text);
        return EXIT_USAGE;
    }
    return run("bridge", config.log_level, &(struct unit){ .bridge = &config });
}

static int net(int argc, char **argv)
{
    static struct net_config config;
    struct errmsg e = { "" };

    if (net_config_load(&config, argc, (const char *const *)argv, &e) != ST_OK) {
        fprintf(stderr, "rdlink-agent net: %s\n", e.text);
        return EXIT_USAGE;
    }
    return run("net", config.log_level, &(struct unit){ .net = &config });
}

static int relay(int argc, char **argv)
{
    static struct relay_config config;
    struct errmsg e = { "" };

    if (relay_config_load(&config, argc, (const char *const *)argv, &e) != ST_OK) {
        fprintf(stderr, "rdlink-agent relay: %s\n", e.text);
        return EXIT_USAGE;
    }
    return run("relay", config.log_level, &(struct unit){ .relay = &config });
}

/* Also done when there is no key. */
static int copy_key(int argc, char **argv)
{
    struct errmsg e = { "" };

    if (argc != 2) {
        fprintf(stderr, "rdlink-agent copy-key: which FROM, and where TO?\n");
        return EXIT_USAGE;
    }
    begin_log("copy-key");
    if (key_copy(argv[0], argv[1], &e) != ST_OK) {
        log_error(LOG_IPC, "no key is handed on: %s", e.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (!strcmp(verb, "bridge"))
        return bridge(argc - 2, argv + 2);
    if (!strcmp(verb, "net"))
        return net(argc - 2, argv + 2);
    if (!strcmp(verb, "copy-key"))
        return copy_key(argc - 2, argv + 2);
    if (!strcmp(verb, "relay"))
        return relay(argc - 2, argv + 2);
    if (!strcmp(verb, "version") || !strcmp(verb, "--version"))
        return printf("rdlink-agent %s\n", rdlink_version()) < 0 ? EXIT_FAILED : EXIT_OK;
    if (!strcmp(verb, "help") || !strcmp(verb, "--help") || !strcmp(verb, "-h"))
        return main_help(argc - 2, (const char *const *)argv + 2);
    main_help_usage(stderr);
    return EXIT_USAGE;
}
