/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   listening   each client becomes the link, in the place of the one before (link_gate.h: if it
 *               means it)
 *   dialling    connects, and again REDIAL_MS after that failed or the link was lost
 *
 * The switch's state outlives its links, so a guest (or the program that holds its tap) may be
 * restarted and finds its flows. A client that is not the guest, by the CID that the kernel vouches
 * for, is closed before it is the link, or any guest of this machine could take another's place.
 *
 * The CID says which machine, not which program in it. Once the controller has given a token, only
 * who begins with it becomes the link (link_gate.h), and a link from before it is closed, because
 * anybody may have made it. A link that began with an earlier token stays.
 */
#include "network/switch_host.h"

#include "base/log.h"
#include "network/link_gate.h"
#include "network/subnet_watch.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"
#include "switch/switch_options.h"

#include <stdlib.h>

enum {
    REDIAL_MS = 500,
    DIAL_TIMEOUT_MS = 5000,
    TRIM_LOOK_MS = 5000,
    TRIM_FREED_BYTES = 4 << 20, /* worth a trim, */
    TRIM_QUIET_BYTES = 1 << 20  /* which bulk does not wait for */
};

struct switch_host {
    struct switch_env env; /* borrows */
    struct addr at;
    enum frame_protocol protocol;
    bool has_cid;
    uint32_t cid;
    struct link_gate gate;
    bool is_proved;            /* the link began with a token */
    struct switch_ *sw;        /* owned */
    struct listener *control;  /* owned; NULL = none */
    struct listener *listener; /* owned; one of these two */
    struct dial *dial;         /* borrowed from the loop while it lasts */
    struct timer redial;
    struct timer trim;
    uint64_t trimmed_bytes; /* of census.freed_bytes, at the last trim */
    struct subnet_watch subnet;
    const struct switch_host_ops *ops;
    void *ctx;
};

/* ---- links ----------------------------------------------------------------------------------- */

static enum status attach(struct switch_host *h, struct stream *s)
{
    enum status st = switch_attach(h->sw, s, h->protocol);

    if (st)
        log_limited(LOG_ERROR, LOG_SWITCH, "attach a link: %s", status_text(st));
    else if (h->ops->on_link)
        h->ops->on_link(h->ctx);
    return st;
}

static void on_pass(void *ctx, struct stream *s, bool is_proved)
{
    struct switch_host *h = ctx;

    if (attach(h, s) == ST_OK)
        h->is_proved = is_proved;
}

static bool is_guest(const struct switch_host *h, const struct peer *peer)
{
    return !h->has_cid || !peer->is_vsock || (peer->has_cid && peer->cid == h->cid);
}

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct switch_host *h = ctx;

    if (is_guest(h, peer)) {
        link_gate_admit(&h->gate, s, switch_has_link(h->sw));
        return;
    }
    log_warn_limited(LOG_SWITCH, "cid=%u is not this switch's guest: closed", peer->cid);
    stream_close(s);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    struct switch_host *h = ctx;

    if (st)
        log_limited(LOG_WARN, LOG_SWITCH, "listener of the link: %s", why->text);
    if (h->ops->on_listen)
        h->ops->on_listen(h->ctx, st, why->text);
}

static const struct listener_handler listener_handler = { on_accept, on_listener_state };

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct switch_host *h = ctx;

    h->dial = NULL;
    if (st)
        log_debug(LOG_SWITCH, "connect the link: %s", why->text);
    else
        st = attach(h, s);
    if (st)
        timer_start(&h->redial, REDIAL_MS);
}

static void on_redial(void *ctx)
{
    struct switch_host *h = ctx;
    struct errmsg e = { "" };

    if (dial_start(h->env.loop, &h->dial, &h->at, DIAL_TIMEOUT_MS, on_dialled, h, &e) == ST_OK)
        return;
    log_debug(LOG_SWITCH, "connect the link: %s", e.text);
    timer_start(&h->redial, REDIAL_MS);
}

static void on_link_end(void *ctx, enum status why)
{
    struct switch_host *h = ctx;

    if (!h->listener)
        timer_start(&h->redial, REDIAL_MS);
    if (h->ops->on_link_end)
        h->ops->on_link_end(h->ctx, why);
}

static enum status open_link(struct switch_host *h, bool dial, struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1 };

    if (dial) {
        timer_start(&h->redial, 0);
        return ST_OK;
    }
    return listener_open(h->env.loop, &h->listener, &h->at, &opts, &listener_handler, h, e);
}

/* ---- the control socket --------------------------------------------------------------------- */

static void on_control_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct switch_host *h = ctx;
    enum status st = switch_control_serve(h->sw, s);

    if (st)
        log_warn_limited(LOG_SWITCH, "control connection refused: %s", status_text(st));
}

static void on_control_state(void *ctx, enum status st, const struct errmsg *why)
{
    if (st)
        log_limited(LOG_WARN, LOG_SWITCH, "control socket: %s", why->text);
}

static const struct listener_handler control_handler = { on_control_accept, on_control_state };

/* A network without a control socket is worth more to a guest than none. */
static enum status open_control(struct switch_host *h, const struct switch_host_config *config,
                                struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1,
                                        .sddl = config->control_sddl,
                                        .byte_mode = true };
    enum status st;

    if (config->control.kind == ADDR_NONE)
        return ST_OK;
    st = listener_open(h->env.loop, &h->control, &config->control, &opts, &control_handler, h, e);
    if (!st || !config->control_may_fail)
        return st;
    log_error(LOG_SWITCH, "no control socket: %s", e->text);
    return ST_OK;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Ten thousand flows that all had a word under way leave the allocator a page each, which it keeps
 * because small blocks lie between. */
static void on_trim_look(void *ctx)
{
    struct switch_host *h = ctx;
    struct switch_census census;

    switch_get_census(h->sw, &census);
    if (census.freed_bytes - h->trimmed_bytes >= TRIM_FREED_BYTES &&
        census.buffer_bytes < TRIM_QUIET_BYTES) {
        h->trimmed_bytes = census.freed_bytes;
        sys_trim_memory();
    }
    timer_start(&h->trim, TRIM_LOOK_MS);
}

/* ---- the host's own network ----------------------------------------------------------------- */

static void on_network_change(void *ctx)
{
    struct switch_host *h = ctx;

    log_info(LOG_SWITCH, "this host's network changed");
    switch_network_changed(h->sw);
    if (h->ops->on_network_change)
        h->ops->on_network_change(h->ctx);
}

static void watch_network(struct switch_host *h, const struct switch_host_config *config)
{
    const struct switch_config *c = &config->config;
    const struct subnet_watch_config watch = { .net = c->net,
                                               .prefix_bits = c->prefix_bits,
                                               .ip6 = c->ip6,
                                               .net6 = c->net6,
                                               .prefix6_bits = 64 };

    if (config->routes)
        subnet_watch_start(&h->subnet, h->env.loop, config->routes, &watch, on_network_change, h);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status switch_host_config_of(struct switch_host_config *out,
                                  const struct switch_options *options, struct errmsg *e)
{
    struct switch_host_config c = {
        .dial = options->dial,
        .has_cid = options->peer_cid != 0,
        .cid = options->peer_cid,
        .control_sddl = options->control_sddl[0] ? options->control_sddl : NULL,
        .forwards = &options->forwards,
    };
    enum status st = switch_options_link(options->link, &c.protocol, &c.link, e);

    if (st == ST_OK)
        st = switch_options_config(options, &c.config, e);
    if (st == ST_OK && options->control[0])
        st = addr_parse(&c.control, options->control, e);
    if (st == ST_OK)
        *out = c;
    return st;
}

static enum status open_all(struct switch_host *h, const struct switch_host_config *config,
                            struct errmsg *e)
{
    enum status st = switch_new(&h->sw, &h->env, &config->config, e);

    for (unsigned i = 0; st == ST_OK && config->forwards && i < config->forwards->count; i++)
        st = switch_forward_add_spec(h->sw, config->forwards->items[i], e);
    if (st)
        return st;
    switch_on_link_end(h->sw, on_link_end, h);
    watch_network(h, config);
    st = open_control(h, config, e);
    if (st)
        return st;
    return open_link(h, config->dial, e);
}

enum status switch_host_new(struct switch_host **out, const struct switch_env *env,
                            const struct switch_host_config *config,
                            const struct switch_host_ops *ops, void *ctx, struct errmsg *e)
{
    struct switch_host *h = calloc(1, sizeof *h);
    enum status st;

    if (!h) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    h->env = *env;
    h->at = config->link;
    h->protocol = config->protocol;
    h->has_cid = config->has_cid;
    h->cid = config->cid;
    h->ops = ops;
    h->ctx = ctx;
    link_gate_init(&h->gate, env->loop, on_pass, h);
    timer_init(&h->redial, env->loop, on_redial, h);
    timer_init(&h->trim, env->loop, on_trim_look, h);
    timer_start(&h->trim, TRIM_LOOK_MS);
    st = open_all(h, config, e);
    if (st) {
        switch_host_free(h);
        return st;
    }
    *out = h;
    return ST_OK;
}

void switch_host_set_token(struct switch_host *h, const struct link_token *token)
{
    link_gate_set_token(&h->gate, token);
    if (!token || h->is_proved || !switch_has_link(h->sw))
        return;
    log_limited(LOG_WARN, LOG_SWITCH, "the link there was is closed: it is not known whose it is");
    switch_detach(h->sw);
}

uint64_t switch_host_refused_links(const struct switch_host *h)
{
    return h->gate.refused;
}

struct switch_ *switch_host_switch(struct switch_host *h)
{
    return h->sw;
}

const struct route *switch_host_overlap(const struct switch_host *h)
{
    return subnet_watch_overlap(&h->subnet);
}

void switch_host_free(struct switch_host *h)
{
    if (!h)
        return;
    subnet_watch_stop(&h->subnet);
    timer_stop(&h->redial);
    timer_stop(&h->trim);
    dial_cancel(h->env.loop, h->dial);
    listener_close(h->control);
    listener_close(h->listener);
    link_gate_fini(&h->gate);
    switch_free(h->sw);
    free(h);
}
