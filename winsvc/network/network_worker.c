/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   start -> greeting -> everything is opened -> Ready -> links come and go -> Drain, Shutdown or
 *                            `-> ExitNotice, 1                    end of the controller -> exit 0
 *
 * Opened after the greeting, because only then a failure can be told: a data port that somebody
 * else has is the controller's to explain.
 *
 * Forwards made at run time belong to the guest's agent, which says each one once; so they have to
 * survive this process. Each change goes to the controller, and the worker that takes its place is
 * given them back after the greeting. They come back `kept`: the predecessor's socket may still be
 * closing, and the guest believes that the port is published, so waiting for it is right even where
 * an expose at run time would be refused. What takes the port meanwhile is said by ForwardsBound.
 *
 * Drain ends at once. A switch has nothing to finish: its flows are the guest's connections, which
 * last as long as the guest likes, and half a network (old flows go on, new ones are refused) looks
 * like a fault from within. The guest's connections are reset and the host's closed by
 * switch_free(), so both sides know.
 *
 * Each forward and its state goes into the status, too (forward_states.h): the controller gets all
 * of them whenever the switch's generation of them is another one than it was told, a fifth of a
 * second later, so that many changes are one message; and where it has just been told, a second
 * later, because a message may have 64 KiB, of which four in the queue end the channel.
 *
 * Health is looked at when it is reported, every second; in the first ten seconds of a link, while
 * the network is not ready yet, ten times a second, and what changed is told at once: containers
 * wait for it; likewise while the controller has a doubt (LookNow). A thousand forwards that come
 * back are one look, a tenth of a second after the first; and a guest that connects a thousand
 * times a second is told of twenty times (tell()), or it would keep the controller busy, which has
 * other guests.
 */
#include "network/network_worker.h"

#include "base/log.h"
#include "ipc/health.h"
#include "link/link_token.h"
#include "network/forward_states.h"
#include "network/link_watch.h"
#include "network/network_health.h"
#include "network/switch_host.h"
#include "port/crypto.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"
#include "supervisor/worker_link.h"
#include "switch/switch_options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 100, SETTLE_FOR_MS = 10000, TELL_MAX_PER_S = 20 };
enum { FORWARDS_MS = 200, FORWARDS_AGAIN_MS = 1000 };

struct network_worker {
    struct switch_env env;         /* borrows */
    struct switch_options options; /* as given; config borrows from it */
    struct switch_host_config config;
    struct worker_link *link; /* owned */
    struct switch_host *host; /* owned; NULL before the greeting */
    struct link_watch watch;
    struct condition_set conditions;
    bool guest_has_address;                 /* or had one, on this link */
    char listen_why[CONDITION_MESSAGE_MAX]; /* "" = the link's listener is well */
    uint64_t telling_since_ms;              /* see tell() */
    unsigned told;
    struct timer settle;    /* a look soon: linked and not ready, forwards changed */
    struct timer forwards;  /* due: they are not as the controller was told */
    uint64_t told_forwards; /* their generation, when it was; 0 = not yet */
    uint64_t told_forwards_ms;
    network_worker_done_fn *done;
    void *ctx;
};

static void finish(struct network_worker *w, int code)
{
    timer_stop(&w->settle);
    timer_stop(&w->forwards);
    w->done(w->ctx, code);
}

static struct switch_ *switch_of(struct network_worker *w)
{
    return switch_host_switch(w->host);
}

/* ---- health ---------------------------------------------------------------------------------- */

static struct network_facts facts_of(struct network_worker *w)
{
    return (struct network_facts){
        .sw = switch_of(w),
        .watch = &w->watch,
        .overlap = switch_host_overlap(w->host),
        .listen_why = w->listen_why,
        .refused_links = switch_host_refused_links(w->host),
        .guest_has_address = w->guest_has_address,
        .now_ms = loop_now_ms(w->env.loop),
        .wall_ms = sys_wall_ms(),
    };
}

/* By DHCP, or because it speaks from one. Remembered, because a guest that is silent is forgotten
 * by the switch and has its address all the same. */
static void look_for_address(struct network_worker *w)
{
    struct switch_census census;
    struct ip_addr ip;

    switch_get_census(switch_of(w), &census);
    w->guest_has_address |= census.guest_has_address || switch_guest_address(switch_of(w), &ip);
}

static enum status send_states(void *ctx, Rdlink__V1__Envelope *msg)
{
    struct network_worker *w = ctx;

    return worker_link_send(w->link, msg);
}

/* Where it fails the next look tries again. */
static void on_forwards_due(void *ctx)
{
    struct network_worker *w = ctx;
    struct forward_states states = { 0 };
    uint64_t generation = switch_forward_generation(switch_of(w));
    enum status st = forward_states_of(&states, switch_of(w));

    if (st == ST_OK)
        st = forward_states_send(&states, send_states, w);
    w->told_forwards_ms = loop_now_ms(w->env.loop);
    if (st == ST_OK)
        w->told_forwards = generation;
    else
        log_limited(LOG_WARN, LOG_SWITCH, "the controller is not told its forwards: %s",
                    status_text(st));
    forward_states_clear(&states);
}

static void look_at_forwards(struct network_worker *w)
{
    uint64_t age_ms = loop_now_ms(w->env.loop) - w->told_forwards_ms;

    if (switch_forward_generation(switch_of(w)) == w->told_forwards ||
        timer_is_running(&w->forwards))
        return;
    timer_start(&w->forwards,
                w->told_forwards && age_ms < FORWARDS_AGAIN_MS ? FORWARDS_AGAIN_MS : FORWARDS_MS);
}

/* True: a reader of the status wants to know. */
static bool look(struct network_worker *w)
{
    const struct switch_counters *n = switch_get_counters(switch_of(w));
    struct network_facts facts;

    look_for_address(w);
    look_at_forwards(w);
    facts = facts_of(w);
    if (link_watch_look(&w->watch, facts.now_ms, n->rx_frames, n->tx_frames))
        switch_ask_guest(switch_of(w));
    return network_health_update(&w->conditions, &facts);
}

static void fill_health(void *ctx, struct health_report *out)
{
    struct network_worker *w = ctx;
    struct network_facts facts;

    if (!w->host)
        return; /* it could not be opened; the exit notice is on its way */
    (void)look(w);
    facts = facts_of(w);
    network_health_fill(out, &w->conditions, &facts);
}

/* Now; after many of them within a second it waits for that second's own report. */
static void tell(struct network_worker *w)
{
    uint64_t now_ms = loop_now_ms(w->env.loop);

    if (now_ms - w->telling_since_ms >= 1000) {
        w->telling_since_ms = now_ms;
        w->told = 0;
    }
    if (w->told++ < TELL_MAX_PER_S)
        worker_link_report(w->link);
}

static void on_settle(void *ctx)
{
    struct network_worker *w = ctx;

    if (look(w))
        tell(w);
    if (w->watch.is_doubted)
        timer_start(&w->settle, SETTLE_MS);
    else if (w->watch.is_up && !network_health_is_ready(&w->conditions) &&
             loop_now_ms(w->env.loop) - w->watch.since_ms < SETTLE_FOR_MS)
        timer_start(&w->settle, SETTLE_MS);
}

/* ---- what the switch tells ------------------------------------------------------------------- */

static void on_link(void *ctx)
{
    struct network_worker *w = ctx;
    const struct switch_counters *n = switch_get_counters(switch_of(w));

    w->guest_has_address = false;
    link_watch_up(&w->watch, loop_now_ms(w->env.loop), n->rx_frames, n->tx_frames);
    timer_start(&w->settle, SETTLE_MS);
    tell(w);
}

static void on_link_end(void *ctx, enum status why)
{
    struct network_worker *w = ctx;

    link_watch_down(&w->watch, loop_now_ms(w->env.loop), why);
    tell(w);
}

static void on_listen(void *ctx, enum status st, const char *why)
{
    struct network_worker *w = ctx;

    snprintf(w->listen_why, sizeof w->listen_why, "%s", st ? why : "");
    tell(w);
}

static void on_network_change(void *ctx)
{
    tell(ctx);
}

static const struct switch_host_ops host_ops = {
    .on_link = on_link,
    .on_link_end = on_link_end,
    .on_listen = on_listen,
    .on_network_change = on_network_change,
};

/* ---- forwards -------------------------------------------------------------------------------- */

static void on_forward_change(void *ctx, const struct switch_forward *f, bool removed)
{
    struct network_worker *w = ctx;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardChange change = RDLINK__V1__FORWARD_CHANGE__INIT;
    Rdlink__V1__Forward forward = RDLINK__V1__FORWARD__INIT;
    char protocol[4], local[SWITCH_FORWARD_LOCAL_MAX], remote[IP_ENDPOINT_TEXT_MAX];

    snprintf(protocol, sizeof protocol, "%s", f->proto == SWITCH_FORWARD_UDP ? "udp" : "tcp");
    snprintf(local, sizeof local, "%s", f->local);
    ip_endpoint_format(&f->guest, remote);
    forward.protocol = protocol;
    forward.local = local;
    forward.remote = remote;
    change.forward = &forward;
    change.removed = removed;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE;
    msg.forward_change = &change;
    if (worker_link_send(w->link, &msg))
        log_limited(LOG_WARN, LOG_SWITCH, "forward=%s/%s: the controller could not be told",
                    protocol, local);
    worker_link_report(w->link);
}

/* What the controller sends is what a guest once said, so it is checked like that. */
static enum status take_forward(struct network_worker *w, const Rdlink__V1__ForwardChange *change,
                                struct errmsg *e)
{
    const Rdlink__V1__Forward *f = change->forward;
    enum switch_forward_proto proto = SWITCH_FORWARD_TCP;
    struct ip_endpoint guest;

    if (!f || (strcmp(f->protocol, "tcp") && strcmp(f->protocol, "udp"))) {
        errmsg_set(e, "neither of tcp nor of udp");
        return ST_INVAL;
    }
    if (!strcmp(f->protocol, "udp"))
        proto = SWITCH_FORWARD_UDP;
    if (change->removed)
        return switch_forward_remove(switch_of(w), proto, f->local);
    if (ip_endpoint_parse(&guest, f->remote)) {
        errmsg_set(e, "not an address and a port");
        return ST_INVAL;
    }
    return switch_forward_add(switch_of(w), proto, f->local, &guest, true, e);
}

/* ---- what the controller tells --------------------------------------------------------------- */

static void on_open(void *ctx, const struct channel_peer *controller)
{
    struct network_worker *w = ctx;
    struct errmsg e = { "" };
    enum status st = switch_host_new(&w->host, &w->env, &w->config, &host_ops, w, &e);

    if (st) {
        log_error(LOG_SWITCH, "start: %s", e.text);
        worker_link_exit_notice(w->link, 1, st == ST_EXISTS ? "DataPortTaken" : "ListenFailed",
                                e.text);
        finish(w, 1);
        return;
    }
    switch_on_forward_change(switch_of(w), on_forward_change, w);
    log_info(LOG_SWITCH, "instance=%s link=%s subnet=%s mtu=%u: ready", w->options.instance,
             w->options.link, w->options.subnet, w->config.config.mtu);
    worker_link_ready(w->link, w->options.link);
}

static void on_forward(struct network_worker *w, const Rdlink__V1__ForwardChange *change)
{
    struct errmsg e = { "" };
    enum status st = take_forward(w, change, &e);

    if (st)
        log_limited(LOG_WARN, LOG_SWITCH, "a forward of the controller's: %s",
                    e.text[0] ? e.text : status_text(st));
    timer_start(&w->settle, SETTLE_MS);
}

/* Nobody passes by a token that cannot be read. */
static void on_offer(struct network_worker *w, const Rdlink__V1__NetworkOffer *offer)
{
    struct link_token token = { { 0 } };
    bool is_token = link_token_take(&token, offer->link_token.data, offer->link_token.len);

    if (offer->link_token.len > 0 && !is_token) {
        log_error(LOG_SWITCH, "a link token of %zu bytes: ignored", offer->link_token.len);
        return;
    }
    switch_host_set_token(w->host, is_token ? &token : NULL);
    crypto_wipe(&token, sizeof token);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct network_worker *w = ctx;

    if (!w->host)
        return;
    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE: on_forward(w, msg->forward_change); break;
    case RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER: on_offer(w, msg->network_offer); break;
    case RDLINK__V1__ENVELOPE__BODY_LOOK_NOW:
        link_watch_doubt(&w->watch);
        timer_start(&w->settle, 0);
        break;
    default: break;
    }
}

static void on_drain(void *ctx, uint32_t deadline_ms)
{
    log_info(LOG_SWITCH, "drain: the network ends now");
    finish(ctx, 0);
}

static void on_shutdown(void *ctx, const char *reason)
{
    log_info(LOG_SWITCH, "shut down by the controller: %s", reason);
    finish(ctx, 0);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    log_warn(LOG_SWITCH, "link to the controller ended: %s: %s", channel_end_name(why), detail);
    finish(ctx, why == CHANNEL_END_CLOSED_BY_PEER ? 0 : 1);
}

static const struct worker_link_ops link_ops = {
    .on_open = on_open,
    .fill_health = fill_health,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_shutdown = on_shutdown,
    .on_end = on_end,
};

/* ---- life ------------------------------------------------------------------------------------ */

static enum status prepare(struct network_worker **out, const struct switch_env *env,
                           struct routes *routes, int argc, const char *const *argv,
                           struct errmsg *e)
{
    struct network_worker *w = calloc(1, sizeof *w);
    enum status st;

    if (!w) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    w->env = *env;
    timer_init(&w->settle, env->loop, on_settle, w);
    timer_init(&w->forwards, env->loop, on_forwards_due, w);
    st = switch_options_parse_worker(&w->options, argc, argv, e);
    if (st == ST_OK)
        st = switch_host_config_of(&w->config, &w->options, e);
    if (st) {
        free(w);
        return st;
    }
    log_set_levels_text(w->options.log_level);
    log_set_process(w->options.instance, sys_pid());
    w->config.routes = routes;
    w->config.control_may_fail = true;
    *out = w;
    return ST_OK;
}

static struct worker_link_config link_config(const struct network_worker *w)
{
    return (struct worker_link_config){ .role = RDLINK__V1__ROLE__ROLE_WORKER_SWITCH,
                                        .instance = w->options.instance };
}

enum status network_worker_new(struct network_worker **out, const struct switch_env *env,
                               struct routes *routes, struct stream *control, int argc,
                               const char *const *argv, network_worker_done_fn *done, void *ctx,
                               struct errmsg *e)
{
    struct network_worker *w = NULL;
    struct worker_link_config config;
    enum status st = prepare(&w, env, routes, argc, argv, e);

    if (st) {
        stream_close(control);
        return st;
    }
    w->done = done;
    w->ctx = ctx;
    config = link_config(w);
    st = worker_link_new(&w->link, env->loop, control, &config, &link_ops, w);
    if (st) {
        errmsg_set(e, "%s", status_text(st));
        network_worker_free(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

enum status network_worker_start(struct network_worker **out, const struct switch_env *env,
                                 struct routes *routes, int argc, const char *const *argv,
                                 network_worker_done_fn *done, void *ctx, struct errmsg *e)
{
    struct network_worker *w = NULL;
    struct worker_link_config config;
    enum status st = prepare(&w, env, routes, argc, argv, e);

    if (st)
        return st;
    w->done = done;
    w->ctx = ctx;
    config = link_config(w);
    st = worker_link_open(&w->link, env->loop, &config, &link_ops, w, e);
    if (st) {
        network_worker_free(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void network_worker_free(struct network_worker *w)
{
    if (!w)
        return;
    timer_stop(&w->settle);
    timer_stop(&w->forwards);
    switch_host_free(w->host);
    worker_link_free(w->link); /* sends what is queued: an exit notice */
    free(w);
}
