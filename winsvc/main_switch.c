/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   --link qemu:unix:PATH    listens; each client becomes the link in the place of the one before
 *   ... --dial               connects, and again REDIAL_MS after that failed or the link was lost
 *
 * The switch's state outlives its links, so a guest (or the program that holds its tap) may be
 * restarted and finds its flows. Ends at a stop signal, with the counters in the log.
 */
#include "main_switch.h"

#include "base/log.h"
#include "main_run.h"
#include "platform.h"
#include "port/listener.h"
#include "port/resolver.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "port/uv/resolver_uv.h"
#include "switch/switch_options.h"

#include <inttypes.h>

enum { REDIAL_MS = 500, DIAL_TIMEOUT_MS = 5000 };

struct switch_run {
    struct switch_options options;
    struct switch_config config;
    enum frame_protocol protocol;
    struct addr at;
    struct loop *loop; /* owned, as all below */
    struct net *net;
    struct resolver *resolver;
    struct switch_ *sw;
    struct listener *listener; /* one of these two */
    struct dial *dial;
    struct timer redial;
};

/* ---- links ----------------------------------------------------------------------------------- */

static void attach(struct switch_run *run, struct stream *s)
{
    enum status st = switch_attach(run->sw, s, run->protocol);

    if (st)
        log_error(LOG_SWITCH, "attach a link: %s", status_text(st));
}

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    attach(ctx, s);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    if (st)
        log_warn(LOG_SWITCH, "listener of the link: %s", why->text);
}

static const struct listener_handler listener_handler = { on_accept, on_listener_state };

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct switch_run *run = ctx;

    run->dial = NULL;
    if (st)
        log_debug(LOG_SWITCH, "connect the link: %s", why->text);
    else
        attach(run, s);
}

/* Also looks whether the link is still there: a lost one is dialled again. */
static void on_redial(void *ctx)
{
    struct switch_run *run = ctx;
    struct errmsg e = { "" };

    if (!run->dial && !switch_has_link(run->sw) &&
        dial_start(run->loop, &run->dial, &run->at, DIAL_TIMEOUT_MS, on_dialled, run, &e) != ST_OK)
        log_debug(LOG_SWITCH, "connect the link: %s", e.text);
    timer_start(&run->redial, REDIAL_MS);
}

static enum status open_link(struct switch_run *run, struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1 };

    if (run->options.dial) {
        timer_start(&run->redial, 0);
        return ST_OK;
    }
    return listener_open(run->loop, &run->listener, &run->at, &opts, &listener_handler, run, e);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_stop_signal(void *ctx, int signal)
{
    struct switch_run *run = ctx;

    loop_uv_stop(run->loop);
}

static enum status open_all(struct switch_run *run, struct errmsg *e)
{
    const struct resolver_uv_config system_servers = { .conf_path = NULL };
    struct switch_env env = { .random = sys_random };
    enum status st = loop_uv_new(&run->loop, e);

    if (st)
        return st;
    timer_init(&run->redial, run->loop, on_redial, run);
    st = net_uv_new(&run->net, run->loop, e);
    if (st == ST_OK)
        st = resolver_uv_new(&run->resolver, run->loop, run->net, &system_servers, e);
    if (st)
        return st;
    env.loop = run->loop;
    env.net = run->net;
    env.resolver = run->resolver;
    st = switch_new(&run->sw, &env, &run->config, e);
    for (unsigned i = 0; st == ST_OK && i < run->options.forwards.count; i++)
        st = switch_forward_add_spec(run->sw, run->options.forwards.items[i], e);
    if (st == ST_OK)
        st = open_link(run, e);
    if (st == ST_OK)
        st = loop_uv_on_stop_signals(run->loop, on_stop_signal, run);
    return st;
}

static void close_all(struct switch_run *run)
{
    if (!run->loop)
        return;
    timer_stop(&run->redial);
    dial_cancel(run->loop, run->dial);
    listener_close(run->listener);
    if (run->sw)
        switch_free(run->sw);
    if (run->resolver)
        run->resolver->ops->close(run->resolver);
    net_uv_free(run->net);
    loop_uv_free(run->loop);
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
    enum log_level level;
    enum status st = switch_options_parse(&run.options, argc, argv, &e);

    if (st == ST_OK)
        st = switch_options_link(run.options.link, &run.protocol, &run.at, &e);
    if (st == ST_OK)
        st = switch_options_config(&run.options, &run.config, &e);
    if (st) {
        log_error(LOG_CONFIG, "%s", e.text);
        return EXIT_USAGE;
    }
    if (log_level_parse(&level, run.options.log_level))
        log_set_level(level);
    platform_raise_limits();
    st = open_all(&run, &e);
    if (st == ST_OK) {
        log_info(LOG_SWITCH, "link=%s subnet=%s mtu=%u: ready", run.options.link,
                 run.options.subnet, run.config.mtu);
        loop_uv_run(run.loop);
        log_counters(run.sw);
    } else {
        log_error(LOG_SWITCH, "start: %s", e.text);
    }
    close_all(&run);
    return st ? EXIT_FAILED : EXIT_OK;
}

size_t main_switch_help(char *buf, size_t cap)
{
    return switch_options_help(buf, cap);
}
