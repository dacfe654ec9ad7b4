/* SPDX-License-Identifier: Apache-2.0
 * rdlinkd switch: command line in, network/switch_host, until a stop signal; then the counters go
 * to the log.
 */
#include "main_switch.h"

#include "base/log.h"
#include "main_env.h"
#include "main_run.h"
#include "network/switch_host.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "switch/switch_options.h"

#include <inttypes.h>

struct switch_run {
    struct switch_options options;
    struct switch_host_config config;
    struct main_env env;      /* owned */
    struct switch_host *host; /* owned */
};

static void on_stop_signal(void *ctx, int signal)
{
    struct switch_run *run = ctx;

    loop_uv_stop(run->env.env.loop);
}

static enum status open_all(struct switch_run *run, struct errmsg *e)
{
    static const struct switch_host_ops nobody_asks = { .on_link = NULL };
    enum status st = main_env_open(&run->env, e);

    if (st)
        return st;
    run->config.routes = run->env.routes;
    st = switch_host_new(&run->host, &run->env.env, &run->config, &nobody_asks, NULL, e);
    if (st == ST_OK)
        st = loop_uv_on_stop_signals(run->env.env.loop, on_stop_signal, run);
    return st;
}

static void log_counters(struct switch_ *sw)
{
    const struct switch_counters *c = switch_get_counters(sw);

#define X(name)  \
    if (c->name) \
        log_debug(LOG_SWITCH, #name "=%" PRIu64, c->name);
    SWITCH_COUNTER_LIST(X)
#undef X
}

int main_switch(int argc, const char *const *argv)
{
    static struct switch_run run; /* its options are some KiB */
    struct errmsg e = { "" };
    enum status st = switch_options_parse(&run.options, argc, argv, &e);

    if (st == ST_OK)
        st = switch_host_config_of(&run.config, &run.options, &e);
    if (st) {
        log_error(LOG_CONFIG, "%s", e.text);
        return EXIT_USAGE;
    }
    log_set_levels_text(run.options.log_level);
    log_set_process("switch", sys_pid());
    st = open_all(&run, &e);
    if (st == ST_OK) {
        log_info(LOG_SWITCH, "link=%s subnet=%s mtu=%u: ready", run.options.link,
                 run.options.subnet, run.config.config.mtu);
        loop_uv_run(run.env.env.loop);
        log_counters(switch_host_switch(run.host));
    } else {
        log_error(LOG_SWITCH, "start: %s", e.text);
    }
    switch_host_free(run.host);
    main_env_close(&run.env);
    return st ? EXIT_FAILED : EXIT_OK;
}
